//! The longest of many calls, in wall-clock time and in the time of the thread's core.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};

use crate::cores;
use crate::error::Error;
use crate::limits::TABLE_STALL_US_GOAL;

const GOAL: Duration = Duration::from_micros(TABLE_STALL_US_GOAL);

/// The longest calls so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stalls {
    /// On the wall: other programs' time and the host's included.
    pub(crate) wall: Duration,
    /// On the core: the kernel's page faults included, and what the host took meanwhile.
    pub(crate) core: Duration,
    /// Calls that took the core longer than the goal.
    pub(crate) long: u64,
    /// Of those, the ones in which the kernel had to find a page for the caller.
    pub(crate) long_faulted: u64,
    /// Time of the core in all calls.
    pub(crate) busy: Duration,
}

impl Stalls {
    /// Runs one call and remembers its length; gives its time of the core.
    pub(crate) fn time(&mut self, call: impl FnOnce()) -> Result<Duration, Error> {
        let faults = faults()?;
        let (wall, core) = (Instant::now(), thread_time()?);
        call();
        let core = thread_time()?.saturating_sub(core);
        self.add(wall.elapsed(), core);
        if core > GOAL {
            self.long_faulted += u64::from(self::faults()? > faults);
        }
        Ok(core)
    }

    fn add(&mut self, wall: Duration, core: Duration) {
        self.wall = self.wall.max(wall);
        self.core = self.core.max(core);
        self.long += u64::from(core > GOAL);
        self.busy += core;
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            wall: self.wall.max(other.wall),
            core: self.core.max(other.core),
            long: self.long + other.long,
            long_faulted: self.long_faulted + other.long_faulted,
            busy: self.busy + other.busy,
        }
    }

    /// Calls beyond the goal in each second of the core.
    pub(crate) fn long_per_s(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "calls of a run")]
        let long = self.long as f64;
        long / self.busy.as_secs_f64().max(1e-9)
    }
}

/// Pages that the kernel has found for this thread.
fn faults() -> Result<i64, Error> {
    let usage =
        getrusage(UsageWho::RUSAGE_THREAD).map_err(Error::errno("read the thread's use"))?;
    Ok(usage.minor_page_faults())
}

/// Time that this thread has had a core.
pub(crate) fn thread_time() -> Result<Duration, Error> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_err(Error::errno("read the thread's time"))?;
    Ok(Duration::from(time))
}

/// Runs `work` while another core, if there is one, does nothing but read the clocks, and what the
/// longest was that it went without: it is what the machine itself does to a program.
pub(crate) fn beside_spinner<T>(
    core: Option<CoreId>,
    work: impl FnOnce() -> T,
) -> (T, Option<Stalls>) {
    let Some(core) = core else {
        return (work(), None);
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let spinner = scope.spawn(|| spin(core, &is_over));
        let value = work();
        is_over.store(true, Ordering::Relaxed);
        let hiccups = spinner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (value, hiccups.ok())
    })
}

fn spin(core: CoreId, is_over: &AtomicBool) -> Result<Stalls, Error> {
    cores::pin(core)?;
    let mut hiccups = Stalls::default();
    let mut last = (Instant::now(), thread_time()?);
    while !is_over.load(Ordering::Relaxed) {
        let now = (Instant::now(), thread_time()?);
        hiccups.add(now.0 - last.0, now.1.saturating_sub(last.1));
        last = now;
    }
    Ok(hiccups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_call_that_touches_new_memory_is_told_from_one_that_does_not() {
        let slow = || {
            let begin = thread_time().expect("it has a clock");
            while thread_time().expect("it has a clock") - begin < 2 * GOAL {}
        };
        // The kernel may take a page of the program away at any time, but not always.
        let is_told_apart = (0..20).any(|_| {
            let mut stalls = Stalls::default();
            stalls.time(slow).expect("it has a clock");
            assert_eq!(stalls.long, 1);
            stalls.long_faulted == 0
        });
        assert!(is_told_apart);
        let mut stalls = Stalls::default();
        let new_memory = || {
            std::hint::black_box(vec![1_u8; 64 << 20]);
        };
        stalls.time(new_memory).expect("it has a clock");
        assert_eq!((stalls.long, stalls.long_faulted), (1, 1));
    }

    #[test]
    fn longest_call_is_remembered_on_both_clocks() {
        let mut stalls = Stalls::default();
        let busy = |length: Duration| {
            let begin = thread_time().expect("it has a clock");
            while thread_time().expect("it has a clock") - begin < length {}
        };
        for millis in [1, 5, 2] {
            stalls.time(|| busy(Duration::from_millis(millis))).expect("it has a clock");
        }
        assert!(stalls.core >= Duration::from_millis(5), "{stalls:?}");
        assert!(stalls.wall >= stalls.core, "{stalls:?}");
    }
}
