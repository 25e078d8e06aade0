//! TCP for one core: records, segments and timers, from RFC 9293 and its companions.
//!
//! It does no I/O, reads no clock and knows no IP: segments, time and frames come in as arguments,
//! and what is to be sent or told goes out as values. Addresses are opaque names here; checksums
//! and headers of other layers belong to `stack`.
//!
//! The naive design is a socket: a control block of kilobytes with buffers of its own, a timer
//! object per timer and a task per connection. At ten million connections that is tens of
//! gigabytes for users who say nothing. Here an idle connection is one 64-byte [`Record`] and its
//! slot in the flow index; a busy one borrows an [`Extension`] and gives it back when it has been
//! quiet; payload lies in frames that segment [`Node`]s point into, and is sent from there.
//!
//! ```text
//!            handle_segment                        poll_dirty, poll_segment
//!                  |                                         ^
//!   ingress: find -> judge -> ack, data, fin      egress: window, Nagle, header
//!                  |                                         |
//!   FlowIndex -> Record --(busy)--> Extension -> Node -> Node (frames)
//!             -> HalfOpen (FIFO per time-out)      Wheel: one lazy timer per extension
//!                (full: a cookie instead)
//!             -> TimeWait (ring)                   sweep: keep-alive over the records
//! ```
//!
//! Read first: RFC 9293 section 3.10.7, then `ingress.rs` and `egress.rs`. What is not followed
//! is listed with its reason in `docs/rfc/`.
#![forbid(unsafe_code)]

mod challenge;
pub mod congestion;
mod connections;
mod cookie;
mod counters;
mod egress;
mod extension;
mod flow;
mod half_open;
mod index;
mod ingress;
mod keys;
mod life;
pub mod limits;
mod listener;
mod listing;
mod node;
mod quantum;
mod record;
mod rtt;
mod scarcity;
mod state;
mod sweep;
mod time_wait;
mod timer;
mod user_timeout;

pub use connections::{CloseReason, Config, ConfigError, Ended, Tcp, Usage};
pub use counters::{Counters, DropReason};
pub use egress::{ConnectError, Dirty, Outgoing, Payload, SendError};
pub use extension::Extension;
pub use flow::Flow;
pub use half_open::HalfOpen;
pub use ingress::{Arrival, Outcome};
pub use keys::Keys;
pub use listener::{KeepAlive, ListenError, ListenerId, ListenerOptions, ListenerSeen};
pub use listing::{Listed, Phase, Seen};
pub use node::Node;
pub use record::{Flags, Record};
pub use state::{Event, State, Transition};
pub use time_wait::TimeWait;
pub use timer::Due;
pub use user_timeout::UserTimeout;

use base::Instant;
use memory::CoreArena;
use wire::Address;

/// The four addresses that name a connection. `local` is the index of one of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// The peer's address.
    pub remote: Address,
    /// The peer's TCP port.
    pub remote_port: u16,
    /// Our TCP port.
    pub local_port: u16,
    /// Our address, by its index in `ip`.
    pub local: u16,
}

/// A handle to a connection: stale, and refused, once the connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Conn {
    /// The record.
    pub index: u32,
    /// Which user of that record.
    pub generation: u32,
}

/// What TCP works with besides its own memory.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The time.
    pub now: Instant,
    /// The core's frames.
    pub arena: &'a mut CoreArena,
}

/// A segment without data that answers at once, outside of any queue.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// Whom it is for.
    pub tuple: Tuple,
    /// The neighbour to try first.
    pub hop: u16,
    /// The header.
    pub repr: wire::tcp::Repr,
}

#[cfg(test)]
mod tests;
