//! IPv6 packets (RFC 8200).

mod extensions;

use core::net::Ipv6Addr;

use crate::ParseError;
pub use extensions::{EXTENSIONS_MAX, ExtensionError, Fragment, Upper};

/// Bytes of a header without extension headers.
pub const HEADER_LEN: usize = 40;
/// Bytes that every link takes (RFC 8200 5).
pub const MTU_MIN: usize = 1280;

/// A packet whose fixed header has been checked: version and length.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER_LEN],
    payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks the packet at the start of `bytes`, behind which Ethernet padding may follow.
    ///
    /// # Errors
    ///
    /// `Truncated` below 40 bytes; `BadVersion`; `BadLength` if the payload is longer than what is
    /// there. A jumbogram (RFC 2675) reads as one without payload.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, rest) =
            bytes.split_first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
        if header[0] >> 4 != 6 {
            return Err(ParseError::BadVersion);
        }
        let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
        // What lies behind the payload is padding of the link.
        let payload = rest.get(..payload_len).ok_or(ParseError::BadLength)?;
        Ok(Self { header, payload })
    }

    /// What the header says.
    #[inline]
    #[must_use]
    pub fn repr(&self) -> Repr {
        let h = self.header;
        Repr {
            source: self.source(),
            destination: self.destination(),
            next_header: self.next_header(),
            payload_len: u16::from_be_bytes([h[4], h[5]]),
            hop_limit: self.hop_limit(),
            traffic_class: h[0] << 4 | h[1] >> 4,
            flow_label: u32::from_be_bytes([0, h[1] & 0x0f, h[2], h[3]]),
        }
    }

    /// Who sent it.
    #[inline]
    #[must_use]
    pub fn source(&self) -> Ipv6Addr {
        let (_, source) = self.header.split_last_chunk::<32>().expect("a header has 40 bytes");
        let source: &[u8; 16] = source.first_chunk().expect("32 bytes have 16");
        Ipv6Addr::from_bits(u128::from_be_bytes(*source))
    }

    /// Who shall receive it.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> Ipv6Addr {
        let destination: &[u8; 16] = self.header.last_chunk().expect("a header has 40 bytes");
        Ipv6Addr::from_bits(u128::from_be_bytes(*destination))
    }

    /// What follows the fixed header: an extension header or the payload.
    #[inline]
    #[must_use]
    pub const fn next_header(&self) -> u8 {
        self.header[6]
    }

    /// How many hops it had left.
    #[inline]
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        self.header[7]
    }

    /// The two ECN bits (RFC 3168).
    #[inline]
    #[must_use]
    pub const fn ecn(&self) -> u8 {
        self.header[1] >> 4 & 3
    }

    /// What follows the fixed header, extension headers included, without padding.
    #[inline]
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Walks the extension headers to what they stand before.
    ///
    /// # Errors
    ///
    /// Why the packet must be discarded, and whether its sender is told.
    #[inline]
    pub fn upper(&self) -> Result<Upper, ExtensionError> {
        extensions::walk(self.next_header(), self.payload)
    }
}

/// What a packet's fixed header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Repr {
    /// Who sent it.
    pub source: Ipv6Addr,
    /// Who shall receive it.
    pub destination: Ipv6Addr,
    /// What follows; see [`crate::protocol`].
    pub next_header: u8,
    /// Bytes behind the fixed header, extension headers included.
    pub payload_len: u16,
    /// How many hops it may take, or had left.
    pub hop_limit: u8,
    /// Differentiated services and, in the lowest two bits, ECN.
    pub traffic_class: u8,
    /// Which flow it belongs to (RFC 6437): 20 bits.
    pub flow_label: u32,
}

impl Repr {
    /// Reads the fixed header at the start of `bytes`, and its length in bytes.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        Ok((Packet::parse(bytes)?.repr(), HEADER_LEN))
    }

    /// The length in bytes of the header that [`Repr::emit`] writes.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the fixed header into the first 40 bytes of `bytes`. Bits of the flow label above 20
    /// are left out.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the header.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        let Self {
            source,
            destination,
            next_header,
            payload_len,
            hop_limit,
            traffic_class,
            flow_label,
        } = self;
        let header = bytes.first_chunk_mut::<HEADER_LEN>();
        let header = header.expect("the caller gives room for the header");
        let first = 6 << 28 | u32::from(*traffic_class) << 20 | flow_label & 0x000f_ffff;
        header[0..4].copy_from_slice(&first.to_be_bytes());
        header[4..6].copy_from_slice(&payload_len.to_be_bytes());
        header[6] = *next_header;
        header[7] = *hop_limit;
        header[8..24].copy_from_slice(&source.octets());
        header[24..40].copy_from_slice(&destination.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN's fixed header as Linux sent it, with 40 bytes of TCP left out.
    const CAPTURED: [u8; HEADER_LEN] = [
        0x60, 0x0f, 0x80, 0x3b, 0x00, 0x28, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b,
    ];

    fn captured() -> Vec<u8> {
        let mut bytes = CAPTURED.to_vec();
        bytes.resize(80, 0);
        bytes
    }

    #[test]
    fn a_captured_header_is_read_and_written() {
        let (repr, header_len) = Repr::parse(&captured()).expect("captured");
        let expected = Repr {
            source: "2001:db8::a".parse().expect("a literal"),
            destination: "2001:db8::b".parse().expect("a literal"),
            next_header: crate::protocol::TCP,
            payload_len: 40,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0xf_803b,
        };
        assert_eq!((repr, header_len), (expected, HEADER_LEN));
        let mut bytes = [0xaa; HEADER_LEN];
        repr.emit(&mut bytes);
        assert_eq!(bytes, CAPTURED);
    }

    #[test]
    fn the_traffic_class_lies_across_two_bytes() {
        let (mut repr, _) = Repr::parse(&captured()).expect("captured");
        repr.traffic_class = 0xb9;
        let mut bytes = captured();
        repr.emit(&mut bytes);
        assert_eq!(bytes[..2], [0x6b, 0x9f]);
        let packet = Packet::parse(&bytes).expect("our own");
        assert_eq!((packet.repr(), packet.ecn()), (repr, 1));
    }

    #[test]
    fn padding_is_cut_and_a_missing_byte_is_refused() {
        let mut bytes = captured();
        bytes.push(0xaa);
        assert_eq!(Packet::parse(&bytes).expect("padded").payload().len(), 40);
        assert_eq!(Packet::parse(&captured()[..79]).err(), Some(ParseError::BadLength));
        assert_eq!(Packet::parse(&captured()[..39]).err(), Some(ParseError::Truncated));
        bytes[0] = 0x4f;
        assert_eq!(Packet::parse(&bytes).err(), Some(ParseError::BadVersion));
    }
}
