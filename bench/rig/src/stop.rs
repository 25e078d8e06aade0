//! The flag that Ctrl-C and SIGTERM raise, asked by every loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;

/// Whether the run should end now. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that the two signals raise; the second signal ends the process at once, so that a
    /// loop that forgot to ask cannot hold the terminal.
    pub(crate) fn on_signals() -> Result<Self, Error> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop.0))
                .map_err(Error::io("install a signal handler"))?;
            signal_hook::flag::register(signal, Arc::clone(&stop.0))
                .map_err(Error::io("install a signal handler"))?;
        }
        Ok(stop)
    }

    /// Raises the flag.
    #[cfg(test)]
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails once the flag is up.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
