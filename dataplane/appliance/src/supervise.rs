//! What nobody's core has time for: whether the device is still there, and what the XDP program has
//! counted.
//!
//! An AF_XDP socket whose interface was deleted is silent, and so is one to which nobody sends. Only
//! the kernel's list of interfaces tells them apart.

use std::io;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use publisher::Board;
use tracing::{error, warn};

use crate::device::Device;
use crate::error::Error;
use crate::limits::SUPERVISE_EVERY;
use crate::stop::Stop;

/// Looks after a device until the stop flag is raised; raises it, and says so, if the device is gone.
pub(crate) fn supervise<D: Device>(device: &D, board: &Board, stop: &Stop) -> Result<bool, Error> {
    let mut is_told = false;
    loop {
        let counted = count(device, board);
        if let Err(error) = counted
            && !std::mem::replace(&mut is_told, true)
        {
            warn!("what the xdp program counts cannot be read: {error}");
        }
        if device.is_gone() {
            error!("the device is gone");
            stop.raise();
            return Ok(true);
        }
        if is_raised(stop)? {
            return Ok(false);
        }
    }
}

/// Copies the XDP program's counters to where a core shows them.
fn count<D: Device>(device: &D, board: &Board) -> Result<(), Error> {
    let Some(steering) = device.steering() else { return Ok(()) };
    let counters = steering.counters()?;
    counters.iter().for_each(|(reason, tally)| board.set_packets(reason, tally.packets));
    Ok(())
}

/// Whether the flag is raised before it is time to look again.
fn is_raised(stop: &Stop) -> Result<bool, Error> {
    let mut wake = [PollFd::new(stop.wake_fd(), PollFlags::POLLIN)];
    match poll(&mut wake, PollTimeout::from(SUPERVISE_EVERY)) {
        Ok(_) | Err(Errno::EINTR) => Ok(stop.is_raised()),
        Err(errno) => Err(Error::io("wait for a signal")(io::Error::from(errno))),
    }
}
