//! SIGINT and SIGTERM: two flags for the loops, descriptors that wake them, and the second signal.
//!
//! Who is *asked* to stop takes nobody in and lets end what is under way; who is *told* to stops at
//! once. A signal asks where there is time for it, and else it tells.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// Whether the run should end.
#[derive(Debug)]
pub(crate) struct Stop {
    /// When everything under way has ended.
    asked: Flag,
    /// Now.
    told: Flag,
    /// One of both: the next signal ends the process.
    is_either: Arc<AtomicBool>,
}

/// Whether it is up, and what to sleep on until it is.
#[derive(Debug)]
struct Flag {
    is_up: Arc<AtomicBool>,
    /// Readable once the flag is up. A signal interrupts `poll` only in the thread that the kernel
    /// chose to run its handler, which need not be the worker.
    wake: UnixStream,
    waker: UnixStream,
}

impl Flag {
    fn new() -> Result<Self, Error> {
        let (wake, waker) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        Ok(Self { is_up: Arc::default(), wake, waker })
    }

    fn put_up(&self) {
        self.is_up.store(true, Ordering::Relaxed);
        // Both ends are ours, so they are open; each thread writes once, so there is room.
        (&self.waker).write_all(b"x").ok();
    }

    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }
}

impl Stop {
    /// Flags that the two signals put up. The second signal ends the process at once, with 128
    /// and its number as shells have it, so that nothing can hold the terminal. The first one asks
    /// where `is_asking`, and else it tells.
    pub(crate) fn on_signals(is_asking: bool) -> Result<Self, Error> {
        let stop = Self::new()?;
        for signal in [SIGINT, SIGTERM] {
            let failed = Error::io("install a signal handler");
            stop.install(signal, is_asking).map_err(failed)?;
        }
        Ok(stop)
    }

    /// Flags that no signal puts up.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { asked: Flag::new()?, told: Flag::new()?, is_either: Arc::default() })
    }

    fn install(&self, signal: i32, is_asking: bool) -> io::Result<()> {
        let Self { asked, told, is_either } = self;
        let flag = if is_asking { asked } else { told };
        // In this order: the first signal finds the flag down, passes, and puts it up.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            128 + signal,
            Arc::clone(is_either),
        )?;
        signal_hook::flag::register(signal, Arc::clone(is_either))?;
        signal_hook::flag::register(signal, Arc::clone(&flag.is_up))?;
        signal_hook::low_level::pipe::register(signal, flag.waker.try_clone()?)?;
        Ok(())
    }

    /// Tells all who look at it to stop.
    pub(crate) fn raise(&self) {
        self.told.put_up();
        self.is_either.store(true, Ordering::Relaxed);
    }

    /// Asks them, as a signal does.
    #[cfg(test)]
    pub(crate) fn ask(&self) {
        self.asked.put_up();
    }

    /// Whether they are told to.
    pub(crate) fn is_raised(&self) -> bool {
        self.told.is_up()
    }

    /// Whether they are asked to.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_up()
    }

    /// What to sleep on: readable once they are told to.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.told.wake.as_fd()
    }

    /// The same, once they are asked to.
    pub(crate) fn asked_fd(&self) -> BorrowedFd<'_> {
        self.asked.wake.as_fd()
    }

    /// Sleeps until they are told to, or asked to where that is `or_asked` for; at most so long.
    pub(crate) fn sleep(&self, or_asked: bool, most: PollTimeout) -> Result<(), Error> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [readable(self.wake_fd()), readable(self.asked_fd())];
        let count = if or_asked { 2 } else { 1 };
        match poll(&mut fds[..count], most) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::io("wait for a signal")(io::Error::from(errno))),
        }
    }
}
