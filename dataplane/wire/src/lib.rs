//! The formats of the packets that this stack speaks: parse, emit, checksums, addresses.
//!
//! It keeps no state and takes no decision: which packets are dropped, answered or remembered is
//! `ip`'s and `tcp`'s business.
//!
//! # Why it is built this way
//!
//! The naive design reads fields out of a byte slice wherever one is needed. Every such place then
//! has to remember that the slice may be too short, that a length field may lie, and that a header
//! may be longer than its fixed part; the place that forgets is a remote crash. Here there is one
//! parser per protocol. It checks every length once, and gives
//!
//! - a *view* where the payload is needed (`Packet`, `Datagram`): borrowed bytes whose lengths and
//!   checksum are right because there is no other way to make one;
//! - a `Repr` where only the meaning is needed: plain values, and as far as types can say it only
//!   those that mean something. `parse` gives the `Repr` and the header's length, `emit` writes it,
//!   and what was emitted parses to the same `Repr`; the fuzz harnesses hold every parser to that.
//!
//! Nothing here allocates, and no input makes a parser panic. An `emit` into a buffer that is too
//! short does: that is a bug of the caller, not the peer's doing.
//!
//! ```text
//! bytes --parse--> view { header, options, payload }    --repr()-->  Repr  --emit--> bytes
//!   |                                                                  ^
//!   +---------------------------- parse (header length) ---------------+
//!
//! ethernet | arp
//!          | ipv4                       | icmpv4, tcp, udp
//!          | ipv6 + extension headers   | icmpv6 (ndp), tcp, udp
//! ```
//!
//! - Checksums: [`checksum`], RFC 1071.
//! - TCP: [`tcp`], RFC 9293, 7323, 2018.
//! - IPv4: [`ipv4`], RFC 791, 1122. IPv6: [`ipv6`], RFC 8200.
//! - Neighbours: [`arp`], RFC 826; [`ndp`], RFC 4861.
//! - Which core a flow belongs to: [`toeplitz`].
#![forbid(unsafe_code)]

mod address;
pub mod arp;
pub mod checksum;
mod error;
pub mod ethernet;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod ndp;
pub mod protocol;
mod seq;
pub mod tcp;
pub mod toeplitz;
pub mod udp;

pub use address::{Address, MacAddress, ParseMacError};
pub use error::ParseError;
pub use seq::SeqNum;
pub use toeplitz::Toeplitz;

// A fuzzing build instruments the unit tests too, and what they then call comes with bolero.
#[cfg(all(test, fuzzing))]
use bolero as _;
