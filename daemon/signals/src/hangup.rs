//! SIGHUP: the configuration is to be read again.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::SIGHUP;

/// Whether somebody has asked since it was looked at last.
#[derive(Debug)]
pub struct Hangup {
    wake: UnixStream,
}

impl Hangup {
    /// Catches the signal from now on; without this it would end the process.
    ///
    /// # Errors
    /// The kernel has no pair of sockets, or takes no handler.
    pub fn on_signal() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGHUP, waker)?;
        Ok(Self { wake })
    }

    /// Whether it came, once for all that came.
    #[must_use]
    pub fn take(&self) -> bool {
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

    /// What to sleep on: readable once it has come.
    #[must_use]
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGHUP;
    use signal_hook::low_level::raise;

    use super::Hangup;

    #[test]
    fn a_signal_is_seen_once_however_often_it_came() {
        let hangup = Hangup::on_signal().unwrap();
        assert!(!hangup.take());
        for _ in 0..3 {
            raise(SIGHUP).unwrap();
        }
        assert!(hangup.take());
        assert!(!hangup.take(), "it was looked at");
        raise(SIGHUP).unwrap();
        assert!(hangup.take());
    }
}
