//! SIGHUP: the configuration is to be read again.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::SIGHUP;

use crate::error::Error;

/// Whether somebody has asked since it was looked at last.
#[derive(Debug)]
pub(crate) struct Hangup {
    wake: UnixStream,
}

impl Hangup {
    /// Catches the signal from now on; without this it would end the process.
    pub(crate) fn on_signal() -> Result<Self, Error> {
        let failed = "install a signal handler";
        let (wake, waker) = UnixStream::pair().map_err(Error::io("make a pair of sockets"))?;
        wake.set_nonblocking(true).map_err(Error::io(failed))?;
        signal_hook::low_level::pipe::register(SIGHUP, waker).map_err(Error::io(failed))?;
        Ok(Self { wake })
    }

    /// Whether it came, once for all that came.
    pub(crate) fn take(&self) -> bool {
        let mut signals = [0; 64];
        let mut came = false;
        loop {
            match (&self.wake).read(&mut signals) {
                Ok(0) => return came,
                Ok(_) => came = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_empty) => return came,
            }
        }
    }

    /// What to sleep on.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
