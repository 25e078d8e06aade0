//! UDP (RFC 768): which datagrams are for us, and on which of our ports.
//!
//! It keeps no connection, queues nothing and knows no IP: a datagram comes in as bytes with its
//! addresses, and what is to be done with it goes out as a value.
//!
//! This is the smallest transport and the worked example for adding one: a header in `wire`, a
//! crate like this one that judges it, and an arm in the stack's `ingress.rs`.
//!
//! ```text
//! ip -> Udp::handle_datagram -> Deliver | PortUnreachable (ip answers by ICMP) | Drop(reason)
//! ```
#![forbid(unsafe_code)]

mod counters;
mod ingress;
mod limits;
mod ports;

pub use counters::{Counters, DropReason};
pub use ingress::{Header, Ingress, Udp};
pub use limits::PORTS_MAX;
pub use ports::BindError;
pub use wire::udp::HEADER_LEN;
