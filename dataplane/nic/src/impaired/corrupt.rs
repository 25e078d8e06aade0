//! One flipped bit, placed where the Internet checksum of the packet sees it.

use core::ops::Range;

use base::Rng;
use memory::{CoreArena, Frame};

use super::Frames;
use crate::limits::ETHERNET_HEADER_LEN;

const ETHERTYPE_AT: usize = 12;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const IPV4_HEADER_LEN: usize = 20;
const IPV4_TOTAL_LEN_AT: usize = ETHERNET_HEADER_LEN + 2;
const IPV6_HEADER_LEN: usize = 40;
const IPV6_PAYLOAD_LEN_AT: usize = ETHERNET_HEADER_LEN + 4;
/// The first field of the IPv6 header that the pseudo-header covers as it stands: the source.
const IPV6_SOURCE_AT: usize = ETHERNET_HEADER_LEN + 8;

/// Flips one bit that a checksum covers; a shared frame is copied first, its other holders keep
/// what they have. False, and the packet is whole, if no checksum covers it or no frame is free.
pub(super) fn flip_covered_bit(
    arena: &mut CoreArena,
    packet: &mut Frames,
    rng: &mut Rng,
    bounce: &mut [u8],
) -> bool {
    let Some(covered) = covered(arena, packet) else {
        return false;
    };
    let place = rng.below(covered.len() as u64 * 8);
    let mut at = covered.start + usize::try_from(place / 8).expect("a packet has u16 bytes");
    for frame in packet {
        if at >= frame.len() {
            at -= frame.len();
            continue;
        }
        if !unshare(arena, frame, bounce) {
            return false;
        }
        arena.bytes_mut(frame)[at] ^= 1 << (place % 8);
        return true;
    }
    false
}

/// The bytes of the packet that the checksum of its IP header or of its transport covers.
fn covered(arena: &CoreArena, packet: &Frames) -> Option<Range<usize>> {
    let len: usize = packet.iter().map(Frame::len).sum();
    let (start, end) = match pair_at(arena, packet, ETHERTYPE_AT)? {
        IPV4 => {
            let total = pair_at(arena, packet, IPV4_TOTAL_LEN_AT)?;
            let total = usize::from(u16::from_be_bytes(total)).max(IPV4_HEADER_LEN);
            (ETHERNET_HEADER_LEN, ETHERNET_HEADER_LEN + total)
        }
        IPV6 => {
            let payload = pair_at(arena, packet, IPV6_PAYLOAD_LEN_AT)?;
            let payload = usize::from(u16::from_be_bytes(payload));
            (IPV6_SOURCE_AT, ETHERNET_HEADER_LEN + IPV6_HEADER_LEN + payload)
        }
        _ => return None,
    };
    // What lies behind the IP packet is padding of the link.
    let end = end.min(len);
    (start < end).then_some(start..end)
}

fn pair_at(arena: &CoreArena, packet: &Frames, at: usize) -> Option<[u8; 2]> {
    Some([byte_at(arena, packet, at)?, byte_at(arena, packet, at + 1)?])
}

fn byte_at(arena: &CoreArena, packet: &Frames, mut at: usize) -> Option<u8> {
    for frame in packet {
        if at < frame.len() {
            return Some(arena.bytes(frame)[at]);
        }
        at -= frame.len();
    }
    None
}

/// Makes `frame` the only reference to its bytes, by a copy if need be; false if no frame is free.
fn unshare(arena: &mut CoreArena, frame: &mut Frame, bounce: &mut [u8]) -> bool {
    if arena.is_unshared(frame) {
        return true;
    }
    let Some(mut copy) = arena.allocate() else {
        return false;
    };
    let len = frame.len();
    bounce[..len].copy_from_slice(arena.bytes(frame));
    // The original may begin further to the front than a new frame does.
    let missing = len.saturating_sub(arena.tailroom(&copy));
    arena.extend_front(&mut copy, missing);
    arena.set_len(&mut copy, len);
    arena.bytes_mut(&mut copy).copy_from_slice(&bounce[..len]);
    copy.set_flags(frame.flags());
    arena.free(core::mem::replace(frame, copy));
    true
}
