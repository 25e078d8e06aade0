//! What carries the frames, for all workers: taken from the machine once, a queue pair for each.

mod af_xdp;
mod tap;

use loader::Steering;
use memory::{CoreArena, FrameArena};
use nic::QueuePair;
use stack::Owners;
use wire::MacAddress;

use crate::error::Error;
use crate::plan::Plan;

pub(crate) use self::af_xdp::AfXdpDevice;
pub(crate) use self::tap::TapDevice;

/// One kind of device. Its steps come in the order in which they can fail cheaply:
///
/// ```text
/// main thread     open --> seats (frames are there) ......... attach --> ready ....... dropped
/// each worker               \--> sit (on its core, over its part of the frames) --> serve --/
/// ```
///
/// What is to be undone at the end is undone when it is dropped, after the last queue pair.
pub(crate) trait Device: Sized + Sync {
    /// What a worker receives and sends by.
    type Queue: QueuePair;
    /// What a worker makes its queue pair of, on its own thread.
    type Seat: Send;

    /// What a queue pair says of itself to the tools, each by one of `publisher::DEVICE_FACTS`.
    fn facts(_queue: &Self::Queue) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Whether it is no longer there, where its queue pairs might not find out.
    fn is_gone(&self) -> bool {
        false
    }

    /// Takes the device from the machine.
    fn open(plan: &Plan) -> Result<Self, Error>;

    /// Its Ethernet address, if the plan has none.
    fn mac(&self) -> Option<MacAddress> {
        None
    }

    /// How it spreads flows over the workers' queues, if it does and says so.
    fn owners(&self) -> Option<Owners> {
        None
    }

    /// A seat for each worker, in order. The frames of all of them are there.
    fn seats(&mut self, frames: &FrameArena) -> Result<Vec<Self::Seat>, Error>;

    /// Makes the queue pair, on the thread and core of its worker.
    fn sit(seat: Self::Seat, arena: &mut CoreArena) -> Result<Self::Queue, Error>;

    /// Lets packets in: every worker has its queue pair, and none has had a turn yet. Says how the XDP
    /// program was attached, if there is one.
    fn attach(&mut self, plan: &Plan) -> Result<Option<String>, Error>;

    /// The XDP program before it, if there is one.
    fn steering(&self) -> Option<&Steering> {
        None
    }

    /// Keeps packets out again: the workers have ended.
    fn detach(&mut self) {}
}
