//! Every bound of this crate, with its derivation.

use base::Duration;

/// Bytes of an Ethernet header without a VLAN tag: two addresses and the type.
pub const ETHERNET_HEADER_LEN: usize = 14;

/// Frames one packet may be gathered from. A stream's segment is a header slot and payload nodes:
/// 16 pieces make 1,448 bytes even of pieces of 91 bytes, and the kernel's `MAX_SKB_FRAGS` is 17.
pub const SEGMENTS_MAX: u8 = 16;

/// Frames that one burst should hold: what the engine prefetches for at once. A larger burst
/// works, and its prefetched lines fall out of the first-level cache before they are used.
pub const BURST_FRAMES_MAX: usize = 64;

/// Slots of a ring of the in-memory pair, at most. At 2 KiB a frame this is 128 MiB an end.
pub(crate) const MEM_DEPTH_MAX: usize = 1 << 16;

/// The smallest MTU a link may have: what IPv6 asks of every link.
//= https://www.rfc-editor.org/rfc/rfc8200#section-5
//# IPv6 requires that every link in the Internet have an MTU of 1280
//# octets or greater.
pub(crate) const MTU_MIN: u16 = 1280;

/// Packets that one `Impaired` may be told to hold. 65,536 full packets are 52 ms at 15 Gbit/s;
/// with the handles of 16 frames each this takes 15 MiB, at construction.
pub(crate) const HELD_PACKETS_MAX: u32 = 1 << 16;

/// Packets that `Impaired` holds back for reordering at once; what is chosen beyond that keeps its
/// place. Each is looked at for every packet that leaves, so there are as many as in a burst.
pub(crate) const HELD_BACK_MAX: usize = 64;

/// Parts in a million: all of them.
pub(crate) const PPM_MAX: u32 = 1_000_000;

/// Bits a second that `Impaired` may be told to let through. Above 8 Tbit/s the shortest packet
/// takes less than a nanosecond, and a limit says nothing any more.
pub(crate) const RATE_BITS_PER_S_MAX: u64 = 8_000_000_000_000;

/// The longest delay, jitter or hold of `Impaired`: longer than any timer of TCP waits for
/// a packet (two maximum segment lifetimes), so what comes later proves nothing more.
pub(crate) const HOLD_MAX: Duration = Duration::from_secs(240);

/// Bytes kept of a packet at most: what a 16-bit length can say, and the longest packet of 16 frames.
pub const SNAP_LEN_MAX: usize = 65_535;

/// Bytes of one block of a capture: the longest record and as much again, so that few are cut short.
pub(crate) const CAPTURE_BLOCK_LEN: usize = 1 << 17;
const _: () = assert!(CAPTURE_BLOCK_LEN >= 16 + SNAP_LEN_MAX);

/// Blocks between a core and who reads its capture.
pub(crate) const CAPTURE_BLOCKS: usize = 32;

/// Bytes that a capture takes for each core: at 10 Gbit/s whole packets for 3 ms, in which a reader
/// looks once or twice.
pub const CAPTURE_LEN: usize = CAPTURE_BLOCK_LEN * CAPTURE_BLOCKS;

/// How long a packet lies in a block that is not full before it is handed over: soon for people, and
/// so rarely that few blocks leave half empty.
pub(crate) const CAPTURE_HOLD: Duration = Duration::from_millis(1);

/// Frames of a burst that are watched while they are sent: four times the stack's backlog.
pub(crate) const CAPTURE_WATCHED_MAX: usize = 1_024;

/// Steps of a filter at most: each leaves or takes one bit of a 64-bit stack.
pub(crate) const FILTER_STEPS_MAX: usize = 64;

/// Parentheses and `not` within one another at most.
pub(crate) const FILTER_DEPTH_MAX: usize = 16;

/// VLAN tags that a filter looks behind: a customer's within a provider's.
pub(crate) const VLAN_TAGS_MAX: usize = 2;

const _: () = assert!(MEM_DEPTH_MAX.is_power_of_two());
const _: () = assert!(CAPTURE_BLOCKS.is_power_of_two());
// `Impaired` offers packets only while the longest still fits.
const _: () = assert!(SEGMENTS_MAX as usize <= BURST_FRAMES_MAX);
