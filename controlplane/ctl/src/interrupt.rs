//! Ctrl-C and SIGTERM as a flag, so that a listing ends well and the terminal is put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;
use crate::limits::SIGNAL_SLICE;

/// Whether to stop.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches the signals from now on.
    pub(crate) fn catch() -> Result<Self, Error> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .map_err(|source| Error::System { what: "catch signals", source })?;
        }
        Ok(Self(flag))
    }

    /// An error once a signal has come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
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
