//! What a NIC says of itself: its address and MTU, its channels, and how it spreads flows over them.
//!
//! It parses no output of a program, and changes one thing only, for as long as it is held: which
//! Ethernet groups the NIC lets in.
//!
//! # Why it is built this way
//!
//! Which core owns a flow follows from the hash of the NIC. The naive gateway sets a key and a
//! table of its own and believes that they are there; a driver that keeps its own, or hashes
//! addresses only, then delivers most packets to cores that do not own them, and nobody is told.
//! Here what the driver has is read back, and what it does not say is `None`.
//!
//! `/sys/class/net` shows the namespace that it was mounted in, which need not be ours; each
//! question here goes through a socket, which is in the namespace of the thread that made it.
//!
//! ```text
//!   link(name)         Ethernet address, MTU, up or not
//!   channels(name)     queues: how many there are, how many could be
//!   rss(name)          hash function, key, indirection table
//!   hash_fields(name)  what of a TCP packet is hashed
//!   Groups::join(..)   groups that are let in while it is held
//! ```
//!
//! The interface of the kernel: `include/uapi/linux/ethtool.h`,
//! <https://docs.kernel.org/networking/scaling.html>.
#![allow(
    unsafe_code,
    reason = "the ioctls of ethtool and of an interface, and one option of a socket"
)]

mod channels;
mod error;
mod groups;
mod ioctl;
mod limits;
mod link;
mod rss;

pub use channels::{Channels, channels};
pub use error::EthtoolError;
pub use groups::Groups;
pub use link::{Link, link};
pub use rss::{HashFields, HashFunction, Rss, hash_fields, rss};
