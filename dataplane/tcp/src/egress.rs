//! What leaves: the service's calls, and the segments that connections have to send.
//!
//! Nothing is sent from within a call: a connection with something to send is marked *dirty*, and
//! after the burst has been taken in each dirty connection is polled until it has nothing more.
//! So a burst is answered by one acknowledgement at most, and by none where data leaves anyway.

mod calls;
mod segment;

use memory::Stowed;
use thiserror::Error;
use wire::tcp::Repr;

use crate::Tuple;

pub use calls::ConnectError;
pub use segment::Dirty;

/// A segment to be sent: the header, and where its data lies.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    /// Whom it is for.
    pub tuple: Tuple,
    /// The neighbour to try first.
    pub hop: u16,
    /// The record, for [`crate::Tcp::set_hop`].
    pub index: u32,
    /// The header.
    pub repr: Repr,
    /// The data.
    pub payload: Option<Payload>,
}

/// The data of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Payload {
    /// Where it lies; the node keeps its own reference.
    pub bytes: Stowed,
    /// The bytes in front of it in the frame are free for headers: they belong to nobody, or are
    /// acknowledged.
    pub is_front_free: bool,
}

/// Why the service's data was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The handle is stale: the connection has ended.
    #[error("the connection has ended")]
    Ended,
    /// The service has closed its direction.
    #[error("the sending direction is closed")]
    Closed,
    /// No room now; `on_writable` follows.
    #[error("no room to send now")]
    ResourceRoom,
}
