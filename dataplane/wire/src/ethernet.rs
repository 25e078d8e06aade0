//! Ethernet II frames, without the frame check sequence, which no device hands up.

use crate::{MacAddress, ParseError};

/// Bytes of a header without a VLAN tag.
pub const HEADER_LEN: usize = 14;
/// Bytes of the shortest frame without its check sequence; senders pad shorter ones with zeros.
pub const FRAME_LEN_MIN: usize = 60;

/// What a frame carries. Values below `0x0600` are lengths of IEEE 802.3 frames.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4 (RFC 894).
    pub const IPV4: Self = Self(0x0800);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// An IEEE 802.1Q tag comes first.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6 (RFC 2464).
    pub const IPV6: Self = Self(0x86dd);
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Repr {
    /// Who shall receive it.
    pub destination: MacAddress,
    /// Who sent it.
    pub source: MacAddress,
    /// What it carries.
    pub ethertype: EtherType,
}

impl Repr {
    /// Reads the header at the start of `bytes`, and its length in bytes. What follows is the
    /// payload and maybe padding, which only the payload's own length tells apart.
    ///
    /// # Errors
    ///
    /// `Truncated` below 14 bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let repr = Self {
            destination: MacAddress([d0, d1, d2, d3, d4, d5]),
            source: MacAddress([s0, s1, s2, s3, s4, s5]),
            ethertype: EtherType(u16::from_be_bytes([t0, t1])),
        };
        Ok((repr, HEADER_LEN))
    }

    /// The length in bytes of the header that [`Repr::emit`] writes.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header into the first 14 bytes of `bytes`.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the header.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        let Self { destination, source, ethertype } = self;
        let header = bytes.first_chunk_mut::<HEADER_LEN>();
        let header = header.expect("the caller gives room for the header");
        header[0..6].copy_from_slice(&destination.0);
        header[6..12].copy_from_slice(&source.0);
        header[12..14].copy_from_slice(&ethertype.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let repr = Repr {
            destination: MacAddress::BROADCAST,
            source: MacAddress([2, 0, 0, 0, 0, 10]),
            ethertype: EtherType::ARP,
        };
        let mut bytes = [0xaa; HEADER_LEN + 3];
        repr.emit(&mut bytes);
        assert_eq!(
            bytes[..],
            [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 10, 8, 6, 0xaa, 0xaa, 0xaa]
        );
        assert_eq!(Repr::parse(&bytes), Ok((repr, HEADER_LEN)));
    }

    #[test]
    fn thirteen_bytes_are_no_header() {
        assert_eq!(Repr::parse(&[0; 13]), Err(ParseError::Truncated));
    }
}
