//! The sleep of an idle core: until packets come, another core hands something over, a time
//! has come, or it is to stop.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use base::Instant;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::bell::Bell;
use crate::error::Error;
use crate::limits::{SLEEP_MAX, SLEEP_UNWAKEABLE};
use crate::stop::Stop;

/// What ended a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Packets, another core, a time, or a signal.
    Work,
    /// The device is gone: it will never have packets again.
    DeviceGone,
}

/// What a core sleeps on.
#[derive(Debug)]
pub(crate) struct Wait {
    epoll: Epoll,
    /// The longest sleep.
    most: Duration,
}

const QUEUE: u64 = 0;
const STOP: u64 = 1;
const BELL: u64 = 2;
const ASKED: u64 = 3;

impl Wait {
    /// Sleeps on the descriptor of a queue pair, where it has one, on the core's own bell, and on
    /// the stop flags.
    pub(crate) fn new(
        queue: Option<BorrowedFd<'_>>,
        bell: &Bell,
        stop: &Stop,
    ) -> Result<Self, Error> {
        const WHAT: &str = "make an epoll descriptor";
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno(WHAT))?;
        let readable = |data| EpollEvent::new(EpollFlags::EPOLLIN, data);
        epoll.add(stop.wake_fd(), readable(STOP)).map_err(Error::errno(WHAT))?;
        epoll.add(stop.asked_fd(), readable(ASKED)).map_err(Error::errno(WHAT))?;
        epoll.add(bell.wake_fd(), readable(BELL)).map_err(Error::errno(WHAT))?;
        if let Some(queue) = queue {
            epoll.add(queue, readable(QUEUE)).map_err(Error::errno(WHAT))?;
        }
        // A queue pair without a descriptor wakes nobody, so it is asked often.
        let most = if queue.is_some() { SLEEP_MAX } else { SLEEP_UNWAKEABLE };
        Ok(Self { epoll, most })
    }

    /// Sleeps on although it was asked to stop: it knows.
    pub(crate) fn forget_asked(&self, stop: &Stop) -> Result<(), Error> {
        self.epoll.delete(stop.asked_fd()).map_err(Error::errno("watch one descriptor less"))
    }

    /// Sleeps until there is work, at most until `deadline`. `bell` is the one it was made with.
    pub(crate) fn sleep(
        &self,
        bell: &Bell,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Result<Woken, Error> {
        let mut events = [EpollEvent::empty(); 4];
        let count = match self.epoll.wait(&mut events, timeout(now, deadline, self.most)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(Error::errno("wait for packets")(errno)),
        };
        if events[..count].iter().any(|event| event.data() == BELL) {
            bell.hush();
        }
        let gone = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        let is_gone = |event: &EpollEvent| event.data() == QUEUE && event.events().intersects(gone);
        Ok(if events[..count].iter().any(is_gone) { Woken::DeviceGone } else { Woken::Work })
    }
}

/// Rounded up to milliseconds, the tick of every timer: rounded down, the core would wake before
/// the deadline and spin up to it.
fn timeout(now: Instant, deadline: Option<Instant>, most: Duration) -> EpollTimeout {
    let until = deadline.map(|at| Duration::from_nanos(at.saturating_since(now).as_nanos()));
    let sleep = until.map_or(most, |until| until.min(most));
    let millis = sleep.as_nanos().div_ceil(1_000_000);
    EpollTimeout::from(u16::try_from(millis).expect("SLEEP_MAX is 10,000 ms"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use base::{Duration, Instant};
    use nix::sys::epoll::EpollTimeout;

    use super::{Wait, Woken, timeout};
    use crate::bell::Bell;
    use crate::limits::SLEEP_MAX;
    use crate::stop::Stop;

    #[test]
    fn the_deadline_bounds_the_sleep_and_a_past_one_forbids_it() {
        let now = Instant::from_nanos(5_000_000_000);
        let within = |deadline| timeout(now, deadline, SLEEP_MAX);
        assert_eq!(within(Some(Instant::ZERO)), EpollTimeout::ZERO);
        assert_eq!(within(Some(now + Duration::from_micros(1))), EpollTimeout::from(1_u8));
        assert_eq!(within(Some(now + Duration::from_millis(3))), EpollTimeout::from(3_u8));
        assert_eq!(within(Some(now + Duration::from_secs(1 << 30))), within(None));
    }

    #[test]
    fn packets_and_the_stop_flag_wake_and_a_closed_device_is_noticed() {
        let stop = Stop::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let bell = Bell::new().unwrap();
        let wait = Wait::new(Some(ours.as_fd()), &bell, &stop).unwrap();
        let nap = || wait.sleep(&bell, Instant::ZERO, None).unwrap();
        theirs.write_all(b"packet").unwrap();
        assert_eq!(nap(), Woken::Work);
        stop.raise();
        assert_eq!(nap(), Woken::Work);
        drop(theirs);
        assert_eq!(nap(), Woken::DeviceGone);
    }

    #[test]
    fn who_is_asked_to_stop_is_woken_until_it_says_that_it_knows() {
        let (stop, bell) = (Stop::new().unwrap(), Bell::new().unwrap());
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let wait = Wait::new(Some(ours.as_fd()), &bell, &stop).unwrap();
        let nap = |time| {
            let begun = std::time::Instant::now();
            wait.sleep(&bell, Instant::ZERO, Some(Instant::ZERO + time)).unwrap();
            begun.elapsed()
        };
        stop.ask();
        assert!(!stop.is_raised() && stop.is_asked());
        assert!(nap(Duration::from_secs(8)) < std::time::Duration::from_secs(5));
        wait.forget_asked(&stop).unwrap();
        assert!(nap(Duration::from_millis(20)) >= std::time::Duration::from_millis(19));
    }

    #[test]
    fn a_bell_wakes_the_core_that_lay_down_once_and_is_silent_then() {
        let (stop, bell) = (Stop::new().unwrap(), Bell::new().unwrap());
        let wait = Wait::new(Some(stop.wake_fd()), &bell, &stop);
        assert!(wait.is_err(), "one descriptor is not watched twice");
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let wait = Wait::new(Some(ours.as_fd()), &bell, &stop).unwrap();
        // Nobody sleeps: nothing is rung.
        bell.ring();
        let soon = Instant::ZERO + Duration::from_millis(1);
        let events = |deadline| wait.sleep(&bell, Instant::ZERO, deadline).unwrap();
        assert_eq!(events(Some(soon)), Woken::Work);
        bell.lie_down();
        bell.ring();
        // Without the bell this would take ten seconds, which the run of tests does not give.
        let begun = std::time::Instant::now();
        assert_eq!(events(None), Woken::Work);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
        bell.rise();
        let begun = std::time::Instant::now();
        assert_eq!(events(Some(Instant::ZERO + Duration::from_millis(20))), Woken::Work);
        assert!(begun.elapsed() >= std::time::Duration::from_millis(19), "it still rang");
    }
}
