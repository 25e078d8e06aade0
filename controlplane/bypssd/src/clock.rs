//! The clock that leases are measured with, and the watch over it.
//!
//! `CLOCK_BOOTTIME` counts the time that the machine sleeps, so a lease ends also while it does;
//! `CLOCK_MONOTONIC` does not. Their difference therefore says when the machine has slept. Neither
//! goes back; if one does, the last instant stands, because leases compare what they are given.

use base::{Duration, Instant};
use nix::time::{ClockId, clock_gettime};

use crate::limits::{CLOCK_LOOK, JUMP_MIN};

/// Time since the machine has started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    last: Instant,
}

/// What a look at the clocks has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jump {
    /// The machine slept for so long: the leases ran on.
    Slept(Duration),
    /// The clock that counts sleep fell behind the one that does not, by so much: leases took longer
    /// than they say.
    Behind(Duration),
}

fn read(clock: ClockId) -> Instant {
    let time = clock_gettime(clock).expect("every kernel since 2.6.39 has these clocks");
    let (seconds, nanos) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_nsec()));
    let (seconds, nanos) = (seconds.unwrap_or(0), nanos.unwrap_or(0));
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}

impl Clock {
    /// A clock that has not been read.
    pub(crate) fn new() -> Self {
        Self { last: Instant::ZERO }
    }

    /// The time now, never before what it said last.
    #[inline]
    pub(crate) fn now(&mut self) -> Instant {
        self.last = self.last.max(read(ClockId::CLOCK_BOOTTIME));
        self.last
    }
}

/// What the calling thread has taken of a core since its start.
pub(crate) fn cpu_time() -> Duration {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID).saturating_since(Instant::ZERO)
}

/// Compares the two clocks, once a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockWatch {
    /// How far the first was ahead of the second, in nanoseconds.
    ahead: u64,
    next: Instant,
}

impl ClockWatch {
    /// A watch that begins now.
    pub(crate) fn start() -> Self {
        let boot = read(ClockId::CLOCK_BOOTTIME);
        let monotonic = read(ClockId::CLOCK_MONOTONIC);
        Self { ahead: ahead(boot, monotonic), next: boot + CLOCK_LOOK }
    }

    /// Looks, if it is time to.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Jump> {
        if now < self.next {
            return None;
        }
        self.next = now + CLOCK_LOOK;
        let boot = read(ClockId::CLOCK_BOOTTIME);
        self.compare(boot, read(ClockId::CLOCK_MONOTONIC))
    }

    fn compare(&mut self, boot: Instant, monotonic: Instant) -> Option<Jump> {
        let before = std::mem::replace(&mut self.ahead, ahead(boot, monotonic));
        let more = Duration::from_nanos(self.ahead.saturating_sub(before));
        let less = Duration::from_nanos(before.saturating_sub(self.ahead));
        if more >= JUMP_MIN {
            return Some(Jump::Slept(more));
        }
        (less >= JUMP_MIN).then_some(Jump::Behind(less))
    }
}

/// The first never runs behind the second: it is the second and the sleep.
fn ahead(boot: Instant, monotonic: Instant) -> u64 {
    boot.saturating_since(monotonic).as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_never_back() {
        let mut clock = Clock::new();
        let first = clock.now();
        assert!(first > Instant::ZERO && clock.now() >= first);
        let mut ahead = Clock { last: first + Duration::from_secs(60) };
        assert_eq!(ahead.now(), first + Duration::from_secs(60));
    }

    #[test]
    fn sleep_is_seen_and_drift_is_not() {
        let seconds = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut watch = ClockWatch { ahead: 0, next: Instant::ZERO };
        assert_eq!(watch.compare(seconds(10), seconds(10)), None);
        let drift = Duration::from_micros(300);
        assert_eq!(watch.compare(seconds(20) + drift, seconds(20)), None);
        let slept = watch.compare(seconds(90) + drift, seconds(30));
        assert_eq!(slept, Some(Jump::Slept(Duration::from_secs(60))));
        assert_eq!(watch.compare(seconds(91) + drift, seconds(31)), None);
        let behind = watch.compare(seconds(92), seconds(33));
        assert!(matches!(behind, Some(Jump::Behind(_))), "{behind:?}");
    }

    #[test]
    fn a_watch_looks_once_a_second_and_finds_nothing_on_a_machine_that_is_awake() {
        let mut watch = ClockWatch::start();
        let now = Clock::new().now();
        assert_eq!(watch.poll(now), None);
        assert_eq!(watch.poll(now + Duration::from_secs(2)), None);
    }
}
