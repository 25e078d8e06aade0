//! UDP datagrams (RFC 768).

use crate::{Address, ParseError, checksum, protocol};

/// Bytes of a header.
pub const HEADER_LEN: usize = 8;

/// A datagram whose length has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    bytes: &'a [u8],
    repr: Repr,
}

impl<'a> Datagram<'a> {
    /// Checks the datagram at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// `Truncated` below 8 bytes; `BadLength` if the length field is below 8 or above what is
    /// there.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        let len = u16::from_be_bytes([header[4], header[5]]);
        let bytes = bytes.get(..usize::from(len)).ok_or(ParseError::BadLength)?;
        let payload_len = len.checked_sub(8).ok_or(ParseError::BadLength)?;
        let src_port = u16::from_be_bytes([header[0], header[1]]);
        let dst_port = u16::from_be_bytes([header[2], header[3]]);
        Ok(Self { bytes, repr: Repr { src_port, dst_port, payload_len } })
    }

    /// What the header says.
    #[inline]
    #[must_use]
    pub const fn repr(&self) -> Repr {
        self.repr
    }

    /// What follows the header, as far as the length field reaches.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Whether the checksum is right, or the sender made none, which is only allowed over IPv4.
    //= https://www.rfc-editor.org/rfc/rfc768#section-fields
    //# An all zero transmitted checksum value means that the transmitter generated no checksum
    //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
    //# IPv6 receivers must discard UDP packets containing a zero checksum
    #[inline]
    #[must_use]
    pub fn has_valid_checksum(&self, src: Address, dst: Address) -> bool {
        let is_absent = matches!(self.bytes, [_, _, _, _, _, _, 0, 0, ..]);
        if is_absent { dst.is_v4() } else { checksum::verify(src, dst, protocol::UDP, self.bytes) }
    }
}

/// What a datagram's header says, without its checksum.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Repr {
    /// The sender's UDP port; 0 if no answer is wanted.
    pub src_port: u16,
    /// The receiver's UDP port.
    pub dst_port: u16,
    /// Bytes behind the header.
    pub payload_len: u16,
}

impl Repr {
    /// Reads the header at the start of `bytes`, and its length in bytes.
    ///
    /// # Errors
    ///
    /// As [`Datagram::parse`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        Ok((Datagram::parse(bytes)?.repr(), HEADER_LEN))
    }

    /// The length in bytes of the header that [`Repr::emit`] writes.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the header into the first 8 bytes of `bytes`, with a checksum of zero;
    /// [`fill_checksum`] fills it in once the payload is there.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the header, or `payload_len` above 65,527.
    #[inline]
    pub fn emit(&self, bytes: &mut [u8]) {
        let Self { src_port, dst_port, payload_len } = self;
        let header = bytes.first_chunk_mut::<HEADER_LEN>();
        let header = header.expect("the caller gives room for the header");
        header[0..2].copy_from_slice(&src_port.to_be_bytes());
        header[2..4].copy_from_slice(&dst_port.to_be_bytes());
        header[4..6].copy_from_slice(&(payload_len + 8).to_be_bytes());
        header[6..8].fill(0);
    }
}

/// Computes and writes the checksum of `datagram`, a whole one from `src` to `dst`, whose checksum
/// field is zero.
///
/// # Panics
///
/// If `datagram` is shorter than a header or longer than 4 GiB.
#[inline]
pub fn fill_checksum(datagram: &mut [u8], src: Address, dst: Address) {
    let len = u32::try_from(datagram.len()).expect("a datagram is shorter than 64 KiB");
    let pseudo = checksum::pseudo(src, dst, protocol::UDP, len);
    //= https://www.rfc-editor.org/rfc/rfc768#section-fields
    //# If the computed checksum is zero, it is transmitted as all ones
    let sum = match checksum::fold(pseudo.combine(checksum::sum(datagram))) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "hello" from 10.9.0.1 to the echo port of 10.9.0.2, as Linux sent it.
    const CAPTURED: [u8; 13] =
        [0xe4, 0xa6, 0x00, 0x07, 0x00, 0x0d, 0xc3, 0x3f, 0x68, 0x65, 0x6c, 0x6c, 0x6f];

    fn ends() -> (Address, Address) {
        (Address::from_v4_octets([10, 9, 0, 1]), Address::from_v4_octets([10, 9, 0, 2]))
    }

    #[test]
    fn a_captured_datagram_is_read_and_written() {
        let (src, dst) = ends();
        let datagram = Datagram::parse(&CAPTURED).expect("captured");
        assert_eq!(datagram.repr(), Repr { src_port: 58_534, dst_port: 7, payload_len: 5 });
        assert_eq!(datagram.payload(), b"hello");
        assert!(datagram.has_valid_checksum(src, dst));

        let mut bytes = CAPTURED;
        bytes[..HEADER_LEN].fill(0xaa);
        datagram.repr().emit(&mut bytes);
        fill_checksum(&mut bytes, src, dst);
        assert_eq!(bytes, CAPTURED);
    }

    #[test]
    fn a_length_below_the_header_or_past_the_end_is_refused() {
        for (len, error) in [(7, ParseError::BadLength), (14, ParseError::BadLength)] {
            let mut bytes = CAPTURED;
            bytes[5] = len;
            assert_eq!(Datagram::parse(&bytes).err(), Some(error));
        }
        assert_eq!(Datagram::parse(&CAPTURED[..7]).err(), Some(ParseError::Truncated));
        let mut shorter = CAPTURED;
        shorter[5] = 9;
        assert_eq!(Datagram::parse(&shorter).expect("shorter").payload(), b"h");
    }

    #[test]
    fn a_checksum_may_be_absent_over_ipv4_only() {
        let mut bytes = CAPTURED;
        bytes[6..8].fill(0);
        let datagram = Datagram::parse(&bytes).expect("without a checksum");
        let (src, dst) = ends();
        assert!(datagram.has_valid_checksum(src, dst));
        let v6 = Address::from_bits(1 << 125);
        assert!(!datagram.has_valid_checksum(v6, v6));
    }

    #[test]
    fn a_checksum_that_is_zero_is_sent_as_all_ones() {
        let (src, dst) = ends();
        let mut bytes = [0; 10];
        Repr { src_port: 1, dst_port: 2, payload_len: 2 }.emit(&mut bytes);
        fill_checksum(&mut bytes, src, dst);
        let field = [bytes[6], bytes[7]];
        // A payload that takes the whole sum makes the next checksum zero.
        bytes[6..8].fill(0);
        bytes[8..10].copy_from_slice(&field);
        fill_checksum(&mut bytes, src, dst);
        assert_eq!(bytes[6..8], [0xff, 0xff]);
        assert!(Datagram::parse(&bytes).expect("our own").has_valid_checksum(src, dst));
    }
}
