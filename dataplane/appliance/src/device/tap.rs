//! A TAP device with a queue for each worker.

use memory::{CoreArena, FrameArena};
use tap::{Interface, TapConfig, TapQueue};

use super::Device;
use crate::error::Error;
use crate::plan::Plan;

/// The device; it vanishes with its last queue.
#[derive(Debug)]
pub(crate) struct TapDevice {
    interface: Interface,
    /// Until the workers have them.
    queues: Vec<TapQueue>,
}

impl Device for TapDevice {
    type Queue = TapQueue;
    type Seat = TapQueue;

    fn open(plan: &Plan) -> Result<Self, Error> {
        let (name, mtu) = (Some(plan.interface.name.clone()), plan.interface.mtu);
        let tap::Tap { interface, queues } =
            tap::open(&TapConfig { name, queues: plan.workers.count, mtu })?;
        Ok(Self { interface, queues })
    }

    fn seats(&mut self, _frames: &FrameArena) -> Result<Vec<TapQueue>, Error> {
        Ok(std::mem::take(&mut self.queues))
    }

    fn sit(queue: TapQueue, _arena: &mut CoreArena) -> Result<TapQueue, Error> {
        Ok(queue)
    }

    /// The kernel's end goes up, so that what is sent from there on finds the gateway.
    fn attach(&mut self, plan: &Plan) -> Result<Option<String>, Error> {
        for cidr in &plan.interface.kernel_addresses {
            self.interface.add_address(cidr.address().to_ip(), cidr.prefix_len())?;
        }
        self.interface.set_up()?;
        Ok(None)
    }
}
