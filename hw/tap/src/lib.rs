//! Queue pairs on a TAP device, and the kernel's end of it: address, MTU, up.
//!
//! It is no fast path: each packet is a system call and a copy by the kernel, both ways.
//!
//! # Why it is built this way
//!
//! AF_XDP needs rights over the machine. A TAP device needs them over a network namespace only,
//! and everybody may have one of those inside a user namespace. So whoever develops, or runs the
//! ordinary tests, gets a real kernel at the other end without root: `scripts/lab tap -- COMMAND`.
//!
//! The naive design calls `ip` to set the interface up, and fails where it is not installed, or
//! prints what no program can act on. Here the interface is set up over netlink, and each refusal
//! is a [`TapError`] that says what to do.
//!
//! ```text
//!    stack -- TapQueue --write--> abele0 (TAP) --> the kernel's TCP/IP, 10.77.0.1
//!          <--------- --read---           <--          curl, nc, ...
//! ```
//!
//! The device has no virtio header: the kernel then checks and fills in every checksum, and sends
//! no super-frames. It vanishes with the last descriptor.
//!
//! Kernel documentation: <https://docs.kernel.org/networking/tuntap.html>.
#![allow(unsafe_code, reason = "one ioctl, which binds a descriptor to an interface")]

mod error;
mod interface;
mod limits;
mod netlink;
mod open;
mod queue;

pub use error::TapError;
pub use interface::Interface;
pub use open::{Tap, TapConfig, open};
pub use queue::TapQueue;
