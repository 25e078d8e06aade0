//! Every bound of this crate, with its derivation.

/// Bytes of an interface's name: `IFNAMSIZ` is 16 with the closing zero.
pub(crate) const NAME_LEN_MAX: usize = 15;

/// Queues of one device: `MAX_TAP_QUEUES` of the kernel.
pub(crate) const QUEUES_MAX: u16 = 256;

/// The smallest MTU under which the kernel keeps IPv6 on the interface.
//= https://www.rfc-editor.org/rfc/rfc8200#section-5
//# IPv6 requires that every link in the Internet have an MTU of 1280
//# octets or greater.
pub(crate) const MTU_MIN: u16 = 1280;

/// The largest MTU: with an Ethernet header and the one byte more that shows that a packet was cut
/// off, it must fit into a frame of 4,096 bytes with 64 bytes of headroom.
pub(crate) const MTU_MAX: u16 = 4096 - 64 - 14 - 1;

const _: () = assert!(MTU_MIN < MTU_MAX);
