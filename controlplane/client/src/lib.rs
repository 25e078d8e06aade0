//! What an application links to hold ports at a switch: leases, guards, owners, messages.
//!
//! It decides nothing about who owns what; the switch does. It is no framework: it has one thread
//! of its own, which keeps the lease, and calls nobody back.
//!
//! # Why it is built this way
//!
//! The naive client sends a request and waits for its answer, renews its lease from a timer, and
//! asks the switch whether it still is an owner. Each call then costs a round trip; a renewal that
//! is counted from its answer lets two be owners at once; and a question is answered for an instant
//! that is over. Here separate calls share frames, without a delay where nothing is under way;
//! authority counts from the instant of sending and is one word, which whoever looks compares with
//! the clock; and what is known of others stays until a notice says otherwise.
//!
//! ```text
//! blocking, future --calls--> shell (thread, sockets, clock, TLS) --bytes, now--> core
//!        ^                      |                                                  |
//!        +-- PortGuard, events -+<------------- answers, events, what to do -------+
//! ```
//!
//! [`core::Core`] does no I/O and reads no clock; its tests run in virtual time. The format is
//! `docs/PROTOCOL.md`.
#![forbid(unsafe_code)]

mod answer;
mod authority;
pub mod blocking;
mod clock;
mod config;
pub mod core;
mod counters;
mod error;
mod event;
pub mod future;
mod guard;
pub mod limits;
mod link;
mod lot;
mod numbers;
mod place;
mod shell;
mod tls;
mod trouble;

pub use authority::{Authority, Ended};
pub use config::{Config, ConfigError, Entropy};
pub use counters::Counters;
pub use error::{CallError, Over, RequestError};
pub use event::{Done, Event, Grant, Holder, NodeInfo, Owner, PortInfo, Registered};
pub use guard::PortGuard;
pub use lot::PortName;
pub use shell::StartError;
pub use tls::{TlsError, TlsFiles};
pub use trouble::{TlsFault, Trouble};
