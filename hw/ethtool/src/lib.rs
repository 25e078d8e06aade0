//! What a NIC says of itself: address and MTU, driver, queues, rings, offloads, how it spreads flows,
//! and what it can do for XDP.
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
//!   names()              all interfaces
//!   link(name)           Ethernet address, MTU, up or not
//!   driver(name)         the driver and its place on the bus
//!   channels(name)       queues: how many there are, how many could be
//!   rings(name)          packets that they hold
//!   features(name)       checksums, segments and merging that are left to the interface
//!   rss(name)            hash function, key, indirection table
//!   hash_fields(name)    what of a TCP packet is hashed
//!   xdp_abilities(name)  native, zero-copy, several buffers
//!   xdp_attached(name)   the program that is on it
//!   veth_peer(name)      the other end of a veth pair, in whichever namespace
//!   Groups::join(..)     groups that are let in while it is held
//! ```
//!
//! The interface of the kernel: `include/uapi/linux/ethtool.h`, `if_link.h` and `netdev.h`,
//! <https://docs.kernel.org/networking/scaling.html>,
//! <https://docs.kernel.org/networking/netlink_spec/netdev.html>.
#![allow(
    unsafe_code,
    reason = "the ioctls of ethtool and of an interface, and one option of a socket"
)]

mod channels;
mod driver;
mod error;
mod features;
mod groups;
mod ioctl;
mod limits;
mod link;
mod names;
mod netlink;
mod peer;
mod rings;
mod rss;
mod rtnetlink;
mod xdp;

pub use channels::{Channels, channels};
pub use driver::{Driver, driver};
pub use error::EthtoolError;
pub use features::{Feature, Features, features};
pub use groups::Groups;
pub use link::{Link, link};
pub use names::names;
pub use peer::{VethEnd, VethPeer, veth_peer};
pub use rings::{Rings, rings};
pub use rss::{HashFields, HashFunction, Rss, hash_fields, rss};
pub use xdp::{XdpAbilities, XdpAttached, xdp_abilities, xdp_attached};
