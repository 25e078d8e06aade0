//! Until when a port is held, as `lock` tells it to its supervisor through a pipe.
//!
//! `lock` may be stopped, by a signal or a debugger, and its lease ends meanwhile. So the supervisor
//! knows the end as well, by the clock of the lease, and ends the command when no news has come.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{close, pipe2};

use crate::limits::LOCK_SLICE;

/// When the command of a lock is to be ended, counted from the machine's start, suspended or not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Deadline {
    /// By SIGTERM.
    tell_at: Duration,
    /// By SIGKILL.
    kill_at: Duration,
}

impl Deadline {
    /// Of a lease with so much left at `now`, and so much after a renewal. `lock` itself says SIGTERM
    /// when a third is left: the supervisor waits a little for it, so that the command hears it once.
    pub(super) fn of(now: Duration, left: Duration, most: Duration) -> Self {
        let before_end = |part| (now + left).saturating_sub(part);
        Self { tell_at: before_end(most * 3 / 10), kill_at: before_end(most / 10) }
    }

    fn to_bytes(self) -> [u8; LEN] {
        let [tell_at, kill_at] = [self.tell_at, self.kill_at].map(|at| {
            let nanos = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
            nanos.to_le_bytes()
        });
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&tell_at);
        bytes[8..].copy_from_slice(&kill_at);
        bytes
    }

    fn from_bytes(bytes: [u8; LEN]) -> Self {
        let (halves, _rest) = bytes.as_chunks::<8>();
        let at = |half: usize| Duration::from_nanos(u64::from_le_bytes(halves[half]));
        Self { tell_at: at(0), kill_at: at(1) }
    }
}

/// Bytes of a deadline: a pipe takes them whole or not at all.
const LEN: usize = 16;

/// The clock of leases, which every Linux since 2.6.39 has.
pub(super) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has CLOCK_BOOTTIME").into()
}

/// The end of `lock`.
#[derive(Debug)]
pub(super) struct Teller {
    pipe: File,
    told: Deadline,
}

impl Teller {
    /// The first deadline is in the pipe already; the other end is for the supervisor to inherit.
    pub(super) fn open(first: Deadline) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        fcntl(&read, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let mut pipe = File::from(write);
        pipe.write_all(&first.to_bytes())?;
        Ok((Self { pipe, told: first }, read))
    }

    /// Tells a later deadline.
    pub(super) fn extend(&mut self, deadline: Deadline) {
        if deadline.kill_at > self.told.kill_at {
            self.write(deadline);
        }
    }

    /// The command has been told to end, and is not to be told again.
    pub(super) fn has_told(&mut self) {
        self.write(Deadline { tell_at: self.told.kill_at, ..self.told });
    }

    fn write(&mut self, deadline: Deadline) {
        // A supervisor that is stopped reads nothing, and one that has ended needs nothing.
        if self.pipe.write_all(&deadline.to_bytes()).is_ok() {
            self.told = deadline;
        }
    }
}

/// What the supervisor is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    Nothing,
    /// The port may be lost soon.
    Tell,
    Kill,
    /// Nobody tells anything any more.
    Gone,
}

/// The end of the supervisor.
#[derive(Debug)]
pub(super) struct Listener {
    pipe: File,
    timer: TimerFd,
    deadline: Deadline,
}

impl Listener {
    /// On the pipe that was inherited under this number, and that nobody else is to inherit.
    pub(super) fn open(inherited: RawFd) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let mut pipe = options.open(format!("/proc/self/fd/{inherited}"))?;
        close(inherited)?;
        let mut first = [0; LEN];
        pipe.read_exact(&mut first)?;
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(timerfd::ClockId::CLOCK_BOOTTIME, flags)?;
        Ok(Self { pipe, timer, deadline: Deadline::from_bytes(first) })
    }

    /// Waits for news, or until something is due.
    pub(super) fn wait(&mut self) -> Due {
        let Deadline { tell_at, kill_at } = self.deadline;
        let next = if now() < tell_at { tell_at } else { kill_at };
        let timer = Expiration::OneShot(TimeSpec::from_duration(next));
        let is_set = self.timer.set(timer, TimerSetTimeFlags::TFD_TIMER_ABSTIME).is_ok();
        let both = [self.pipe.as_fd(), self.timer.as_fd()];
        let mut both = both.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if !is_set || poll(&mut both, PollTimeout::NONE).is_err() {
            // By a signal, or because the machine lacks something: then it looks from time to time.
            thread::sleep(LOCK_SLICE);
        }
        if !self.hear() {
            return Due::Gone;
        }
        match now() {
            now if now >= self.deadline.kill_at => Due::Kill,
            now if now >= self.deadline.tell_at => Due::Tell,
            _early => Due::Nothing,
        }
    }

    /// Takes the latest that was told; `false`: the other end is closed.
    fn hear(&mut self) -> bool {
        let mut bytes = [0; LEN];
        loop {
            match self.pipe.read(&mut bytes) {
                Ok(LEN) => self.deadline = Deadline::from_bytes(bytes),
                Ok(_end) => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // There is nothing more, and if it cannot be read any more the deadline stands.
                Err(_none) => return true,
            }
        }
    }
}

/// The number under which the supervisor inherits it.
pub(super) fn number(inherited: &OwnedFd) -> RawFd {
    inherited.as_raw_fd()
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use nix::unistd::dup;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Both ends in one process; the inherited number is a copy, which is closed.
    fn both(first: Deadline) -> (Teller, Listener) {
        let (teller, read) = Teller::open(first).expect("there are pipes");
        let flags = fcntl(&read, FcntlArg::F_GETFD).expect("it is open");
        assert!(!FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC), "it is inherited");
        let copy = std::os::fd::IntoRawFd::into_raw_fd(dup(&read).expect("there are descriptors"));
        (teller, Listener::open(copy).expect("it is a pipe with a deadline"))
    }

    #[test]
    fn a_deadline_is_before_the_end_of_the_lease_and_its_signal_before_it() {
        let deadline = Deadline::of(10 * SECOND, 2 * SECOND, 3 * SECOND);
        let [tell_at, kill_at] = [11_100, 11_700].map(Duration::from_millis);
        assert_eq!(deadline, Deadline { tell_at, kill_at });
        assert_eq!(Deadline::from_bytes(deadline.to_bytes()), deadline);
    }

    #[test]
    fn what_is_due_follows_from_the_latest_that_was_told() {
        let after = |millis| now() + Duration::from_millis(millis);
        let first = Deadline { tell_at: after(0), kill_at: after(60_000) };
        let (mut teller, mut listener) = both(first);
        teller.extend(Deadline { tell_at: after(0), kill_at: after(1) });
        teller.extend(Deadline { tell_at: after(30_000), kill_at: after(90_000) });
        assert_eq!(listener.wait(), Due::Nothing, "an earlier end is none");
        teller.extend(Deadline { tell_at: after(0), kill_at: after(90_001) });
        assert_eq!(listener.wait(), Due::Tell);
        teller.has_told();
        assert_eq!(listener.wait(), Due::Nothing);
        teller.write(Deadline { tell_at: after(5), kill_at: after(5) });
        assert_eq!(listener.wait(), Due::Nothing, "there is news, and nothing is due yet");
        assert_eq!(listener.wait(), Due::Kill, "none has come");
        drop(teller);
        assert_eq!(listener.wait(), Due::Gone);
    }

    #[test]
    fn what_is_no_pipe_with_a_deadline_is_refused() {
        let file = File::open("/dev/null").expect("it is there");
        assert!(Listener::open(std::os::fd::IntoRawFd::into_raw_fd(file)).is_err());
        assert!(Listener::open(1_000_000).is_err());
    }
}
