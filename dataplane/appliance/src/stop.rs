//! SIGINT and SIGTERM: a flag for the loop, a descriptor that wakes it, and the second signal.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// Whether the run should end now.
#[derive(Debug)]
pub(crate) struct Stop {
    is_raised: Arc<AtomicBool>,
    /// Readable once the flag is up. A signal interrupts `poll` only in the thread that the kernel
    /// chose to run its handler, which need not be the worker.
    wake: UnixStream,
    waker: UnixStream,
}

impl Stop {
    /// A flag that the two signals raise. The second signal ends the process at once, with
    /// 128 and its number as shells have it, so that nothing can hold the terminal.
    pub(crate) fn on_signals() -> Result<Self, Error> {
        let stop = Self::new()?;
        for signal in [SIGINT, SIGTERM] {
            let failed = Error::io("install a signal handler");
            stop.install(signal).map_err(failed)?;
        }
        Ok(stop)
    }

    /// A flag that no signal raises.
    pub(crate) fn new() -> Result<Self, Error> {
        let (wake, waker) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        Ok(Self { is_raised: Arc::default(), wake, waker })
    }

    fn install(&self, signal: i32) -> std::io::Result<()> {
        let flag = || Arc::clone(&self.is_raised);
        // In this order: the first signal finds the flag down, passes, and raises it.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag())?;
        signal_hook::flag::register(signal, flag())?;
        signal_hook::low_level::pipe::register(signal, self.waker.try_clone()?)?;
        Ok(())
    }

    /// Raises the flag, for all who look at it.
    pub(crate) fn raise(&self) {
        self.is_raised.store(true, Ordering::Relaxed);
        // Both ends are ours, so they are open; each thread writes once, so there is room.
        (&self.waker).write_all(b"x").ok();
    }

    /// Whether the flag is up.
    pub(crate) fn is_raised(&self) -> bool {
        self.is_raised.load(Ordering::Relaxed)
    }

    /// What to sleep on: readable once the flag is up.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
