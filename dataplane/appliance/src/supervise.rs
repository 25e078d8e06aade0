//! What nobody's core has time for: whether the device is still there, and what the XDP program has
//! counted.
//!
//! An AF_XDP socket whose interface was deleted is silent, and so is one to which nobody sends. Only
//! the kernel's list of interfaces tells them apart.

use nix::poll::PollTimeout;
use publisher::Board;
use tracing::{error, info, warn};

use crate::device::Device;
use crate::error::Error;
use crate::limits::SUPERVISE_EVERY;
use crate::stop::Stop;

/// Looks after a device until the stop flag is raised; raises it, and says so, if the device is gone.
pub(crate) fn supervise<D: Device>(device: &D, board: &Board, stop: &Stop) -> Result<bool, Error> {
    let (mut is_told, mut is_asked) = (false, false);
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
        stop.sleep(!is_asked, PollTimeout::from(SUPERVISE_EVERY))?;
        if stop.is_raised() {
            return Ok(false);
        }
        if stop.is_asked() && !std::mem::replace(&mut is_asked, true) {
            info!("asked to stop: nobody is taken in, what is under way may end");
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
