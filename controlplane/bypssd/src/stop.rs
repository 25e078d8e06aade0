//! SIGINT and SIGTERM: the first asks the switch to leave, the second ends the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// Whether the switch was asked to leave, and what to sleep on until it is.
#[derive(Debug)]
pub(crate) struct Stop {
    is_asked: Arc<AtomicBool>,
    /// Readable once it is. A signal interrupts `poll` only in the thread that the kernel chose to
    /// run its handler, which need not be the one that sleeps.
    wake: UnixStream,
    waker: UnixStream,
}

impl Stop {
    /// What the two signals ask. The second signal ends the process at once, with 128 and its number
    /// as shells have it, so that nothing can hold the terminal.
    pub(crate) fn on_signals() -> Result<Self, Error> {
        let (wake, waker) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        let stop = Self { is_asked: Arc::default(), wake, waker };
        for signal in [SIGINT, SIGTERM] {
            stop.install(signal).map_err(Error::io("install a signal handler"))?;
        }
        Ok(stop)
    }

    fn install(&self, signal: i32) -> io::Result<()> {
        let Self { is_asked, waker, wake: _ } = self;
        // In this order: the first signal finds the flag down, passes, and puts it up.
        let code = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(is_asked))?;
        signal_hook::flag::register(signal, Arc::clone(is_asked))?;
        signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        Ok(())
    }

    /// Whether a signal came.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// The next signal ends the process: the switch leaves already.
    pub(crate) fn leaves(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// What to sleep on.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
