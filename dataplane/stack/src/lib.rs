//! One core's TCP/IP: a queue pair below, a [`Service`] above, `ip`, `udp` and `tcp` between.
//!
//! It has no thread, reads no clock and knows no application: `engine` calls it in the order of a
//! turn, and what the application wants it says through [`Context`].
//!
//! The naive design gives each connection a pair of byte buffers and wakes a task for it. Then
//! every byte is copied twice and every packet costs a scheduler. Here the service is called on
//! the core that received the packet, with the frame that the packet arrived in, and what it
//! sends leaves in the same turn.
//!
//! ```text
//!            Service::on_open / on_data / on_end / on_writable / on_close / on_datagram
//!                  ^                                        |  Context::send / close / ...
//!   ingress.rs  parse, verify, prefetch, tcp.handle_segment |
//!                  ^                                        v
//!   rx burst  -> ip.handle_frame          egress.rs  poll, headers in place -> tx burst
//!                  |        ^
//!   hand_over.rs   v        |  segments of other cores' flows; news of neighbours
//!                 rings from each core to each
//! ```
//!
//! Several cores of one device share nothing but those rings. A flow belongs to one core
//! ([`Owners`]); ARP, neighbour discovery, echo requests and UDP are answered by the core that
//! receives them, and each core asks for the neighbours that it needs itself. Of an echo request that
//! one core has sent another may hear the reply: who asks listens at all of them.
#![forbid(unsafe_code)]

mod context;
mod core;
mod counters;
mod echo;
mod egress;
mod hand_over;
mod ingress;
mod limits;
mod owners;
mod service;
mod timers;

pub use crate::context::{Context, DatagramError};
pub use crate::core::{Config, ConfigError, Core, Stack};
pub use crate::counters::{Counters, DropReason};
pub use crate::echo::EchoError;
pub use crate::hand_over::HandOver;
pub use crate::limits::{BURST, HAND_OVER_LEN, OWNERS_LEN, TIMERS_MAX_DEFAULT, TX_BACKLOG};
pub use crate::owners::Owners;
pub use crate::service::{Data, Datagram, Refuse, Service};
pub use crate::timers::TimersFull;
pub use tcp::{
    CloseReason, Conn, ConnectError, KeepAlive, ListenerId, ListenerOptions, SendError, UserTimeout,
};
