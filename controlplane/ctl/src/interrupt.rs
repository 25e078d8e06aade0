//! Ctrl-C and SIGTERM as a flag, so that a listing ends well and the terminal is put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Error, INTERRUPTED};
use crate::limits::SIGNAL_SLICE;

/// Whether to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    is_asked: Arc<AtomicBool>,
    /// A signal ends the process at once, since nothing would look at the flag.
    ends_at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Catches the signals from now on.
    pub(crate) fn catch() -> Result<Self, Error> {
        let (is_asked, ends_at_once) = (Arc::default(), Arc::default());
        for signal in [SIGINT, SIGTERM] {
            let ends = Arc::clone(&ends_at_once);
            signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), ends)
                .and_then(|_id| signal_hook::flag::register(signal, Arc::clone(&is_asked)))
                .map_err(|source| Error::System { what: "catch signals", source })?;
        }
        Ok(Self { is_asked, ends_at_once })
    }

    /// Does what waits for others, leaves nothing behind if it is cut off, and looks at no flag: a
    /// signal ends the process meanwhile.
    pub(crate) fn at_once<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let before = self.ends_at_once.swap(true, Ordering::SeqCst);
        // One that came before is seen here, and one that comes now ends the process.
        let done = self.check().and_then(|()| work());
        self.ends_at_once.store(before, Ordering::SeqCst);
        done
    }

    /// An error once a signal has come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_asked.load(Ordering::SeqCst) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Sleeps, unless a signal comes.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Error> {
        let mut left = time;
        loop {
            self.check()?;
            if left.is_zero() {
                return Ok(());
            }
            let slice = left.min(SIGNAL_SLICE);
            thread::sleep(slice);
            left -= slice;
        }
    }
}
