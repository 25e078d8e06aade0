//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use crate::{MacAddress, ParseError};

/// Bytes of a packet for IPv4 over Ethernet.
pub const PACKET_LEN: usize = 28;

/// Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
const HEAD: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What a packet asks or says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Who has the target's protocol address?
    Request,
    /// The sender has the sender's protocol address.
    Reply,
}

/// What a packet says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repr {
    /// Whether it asks or answers.
    pub operation: Operation,
    /// The sender's Ethernet address.
    pub sender_mac: MacAddress,
    /// The sender's IPv4 address; unspecified in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// The target's Ethernet address; without meaning in a request.
    pub target_mac: MacAddress,
    /// The target's IPv4 address.
    pub target_ip: Ipv4Addr,
}

impl Repr {
    /// Reads the packet at the start of `bytes`, and its length in bytes; Ethernet padding may
    /// follow.
    ///
    /// # Errors
    ///
    /// `Truncated` below 28 bytes; `BadField` for other hardware, protocols, address lengths or
    /// operations.
    //= https://www.rfc-editor.org/rfc/rfc826#section-packet-reception
    //# Do I have the hardware type in ar$hrd?
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let packet: &[u8; PACKET_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        if !packet.starts_with(&HEAD) {
            return Err(ParseError::BadField);
        }
        let operation = match [packet[6], packet[7]] {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return Err(ParseError::BadField),
        };
        let [.., a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = *packet;
        let repr = Self {
            operation,
            sender_mac: MacAddress([a, b, c, d, e, f]),
            sender_ip: Ipv4Addr::new(g, h, i, j),
            target_mac: MacAddress([k, l, m, n, o, p]),
            target_ip: Ipv4Addr::new(q, r, s, t),
        };
        Ok((repr, PACKET_LEN))
    }

    /// The length in bytes of what [`Repr::emit`] writes.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        PACKET_LEN
    }

    /// Writes the packet into the first 28 bytes of `bytes`.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than that.
    pub fn emit(&self, bytes: &mut [u8]) {
        let Self { operation, sender_mac, sender_ip, target_mac, target_ip } = self;
        let packet = bytes.first_chunk_mut::<PACKET_LEN>();
        let packet = packet.expect("the caller gives room for the packet");
        packet[0..6].copy_from_slice(&HEAD);
        packet[6..8].copy_from_slice(match operation {
            Operation::Request => &[0, 1],
            Operation::Reply => &[0, 2],
        });
        packet[8..14].copy_from_slice(&sender_mac.0);
        packet[14..18].copy_from_slice(&sender_ip.octets());
        packet[18..24].copy_from_slice(&target_mac.0);
        packet[24..28].copy_from_slice(&target_ip.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply of Linux: 10.9.0.2 is at 02:00:00:00:00:0b.
    const CAPTURED: [u8; PACKET_LEN] = [
        0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 0x0b, 10, 9, 0, 2, 2, 0, 0, 0, 0, 0x0a, 10, 9, 0, 1,
    ];

    #[test]
    fn a_captured_reply_is_read_and_written() {
        let (repr, len) = Repr::parse(&CAPTURED).expect("captured");
        assert_eq!(len, PACKET_LEN);
        let expected = Repr {
            operation: Operation::Reply,
            sender_mac: MacAddress([2, 0, 0, 0, 0, 0x0b]),
            sender_ip: Ipv4Addr::new(10, 9, 0, 2),
            target_mac: MacAddress([2, 0, 0, 0, 0, 0x0a]),
            target_ip: Ipv4Addr::new(10, 9, 0, 1),
        };
        assert_eq!(repr, expected);
        let mut bytes = [0; PACKET_LEN];
        repr.emit(&mut bytes);
        assert_eq!(bytes, CAPTURED);
    }

    #[test]
    fn another_hardware_protocol_length_or_operation_is_refused() {
        for at in 0..8 {
            let mut bytes = CAPTURED;
            bytes[at] = bytes[at].wrapping_add(7);
            assert_eq!(Repr::parse(&bytes), Err(ParseError::BadField), "byte {at}");
        }
        assert_eq!(Repr::parse(&CAPTURED[..27]), Err(ParseError::Truncated));
    }
}
