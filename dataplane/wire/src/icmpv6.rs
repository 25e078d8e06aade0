//! `ICMPv6` messages (RFC 4443). Neighbour discovery has [`crate::ndp`].

use core::net::Ipv6Addr;

use crate::{ParseError, checksum, protocol};

/// Bytes of a message before its data.
pub const HEADER_LEN: usize = 8;

const DESTINATION_UNREACHABLE: u8 = 1;
const PACKET_TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
const PARAMETER_PROBLEM: u8 = 4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// Codes of [`Repr::DestinationUnreachable`].
pub mod unreachable {
    /// No route to the destination.
    pub const NO_ROUTE: u8 = 0;
    /// Forbidden by a rule.
    pub const PROHIBITED: u8 = 1;
    /// The host does not answer.
    pub const ADDRESS: u8 = 3;
    /// Nobody listens at the port.
    pub const PORT: u8 = 4;
}

/// Codes of [`Repr::ParameterProblem`].
pub mod parameter {
    /// A field of a header is wrong.
    pub const ERRONEOUS_FIELD: u8 = 0;
    /// The host does not know the header.
    pub const UNKNOWN_NEXT_HEADER: u8 = 1;
    /// The host does not know the option.
    pub const UNKNOWN_OPTION: u8 = 2;
}

/// What a message says; its data follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repr {
    /// The packet quoted in the data was not delivered.
    DestinationUnreachable {
        /// Why; see [`mod@unreachable`].
        code: u8,
    },
    /// The packet quoted in the data is too long for a link.
    PacketTooBig {
        /// Bytes that the link takes.
        mtu: u32,
    },
    /// The packet quoted in the data was too long on its way.
    TimeExceeded {
        /// 0: too many hops; 1: pieces were missing too long.
        code: u8,
    },
    /// Something in the packet quoted in the data is wrong.
    ParameterProblem {
        /// What; see [`parameter`].
        code: u8,
        /// Which byte of the packet.
        pointer: u32,
    },
    /// "Send this back." The data is the sender's.
    EchoRequest {
        /// Whose request it is.
        ident: u16,
        /// Which of the sender's requests it is.
        seq: u16,
    },
    /// The answer to an echo request, with its data.
    EchoReply {
        /// As in the request.
        ident: u16,
        /// As in the request.
        seq: u16,
    },
    /// Another message.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The four bytes behind its checksum.
        rest: [u8; 4],
    },
}

impl Repr {
    /// Reads `bytes`, a whole message from `src` to `dst`, and the length of what stands before its
    /// data.
    ///
    /// # Errors
    ///
    /// `Truncated` below 8 bytes; `BadChecksum`.
    pub fn parse(bytes: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> Result<(Self, usize), ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        if !checksum::verify(src.into(), dst.into(), protocol::ICMPV6, bytes) {
            return Err(ParseError::BadChecksum);
        }
        Ok((Self::from_header(*header), HEADER_LEN))
    }

    /// Whether this is about another packet: to such a message no error may be sent.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        match *self {
            Self::DestinationUnreachable { .. }
            | Self::PacketTooBig { .. }
            | Self::TimeExceeded { .. }
            | Self::ParameterProblem { .. } => true,
            Self::EchoRequest { .. } | Self::EchoReply { .. } => false,
            Self::Other { kind, .. } => is_error_kind(kind),
        }
    }

    /// The length in bytes of what [`Repr::emit`] writes before the data.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the message's head over the first 8 bytes of `bytes`, which is the whole message from
    /// `src` to `dst` with its data in place, and computes the checksum.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than 8 or longer than 4 GiB.
    pub fn emit(&self, bytes: &mut [u8], src: Ipv6Addr, dst: Ipv6Addr) {
        let (kind, code, rest) = self.to_parts();
        let header = bytes.first_chunk_mut::<HEADER_LEN>();
        let header = header.expect("the caller gives room for the header");
        header[0..2].copy_from_slice(&[kind, code]);
        header[4..8].copy_from_slice(&rest);
        fill_checksum(bytes, src, dst);
    }

    const fn from_header(header: [u8; HEADER_LEN]) -> Self {
        let [kind, code, _, _, a, b, c, d] = header;
        let (ident, seq) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let whole = u32::from_be_bytes([a, b, c, d]);
        match (kind, code) {
            (DESTINATION_UNREACHABLE, code) => Self::DestinationUnreachable { code },
            //= https://www.rfc-editor.org/rfc/rfc4443#section-3.2
            //# Set to 0 (zero) by the originator and ignored by the receiver.
            (PACKET_TOO_BIG, _) => Self::PacketTooBig { mtu: whole },
            (TIME_EXCEEDED, code) => Self::TimeExceeded { code },
            (PARAMETER_PROBLEM, code) => Self::ParameterProblem { code, pointer: whole },
            (ECHO_REQUEST, 0) => Self::EchoRequest { ident, seq },
            (ECHO_REPLY, 0) => Self::EchoReply { ident, seq },
            (kind, code) => Self::Other { kind, code, rest: [a, b, c, d] },
        }
    }

    const fn to_parts(self) -> (u8, u8, [u8; 4]) {
        match self {
            Self::DestinationUnreachable { code } => (DESTINATION_UNREACHABLE, code, [0; 4]),
            Self::PacketTooBig { mtu } => (PACKET_TOO_BIG, 0, mtu.to_be_bytes()),
            Self::TimeExceeded { code } => (TIME_EXCEEDED, code, [0; 4]),
            Self::ParameterProblem { code, pointer } => {
                (PARAMETER_PROBLEM, code, pointer.to_be_bytes())
            }
            Self::EchoRequest { ident, seq } => (ECHO_REQUEST, 0, pair(ident, seq)),
            Self::EchoReply { ident, seq } => (ECHO_REPLY, 0, pair(ident, seq)),
            Self::Other { kind, code, rest } => (kind, code, rest),
        }
    }
}

/// Whether messages of the type `kind` are about another packet.
//= https://www.rfc-editor.org/rfc/rfc4443#section-2.1
//# Error messages are identified as such by a zero in the high-order bit
#[must_use]
pub const fn is_error_kind(kind: u8) -> bool {
    kind < 128
}

/// Computes and writes the checksum of `message`, a whole one from `src` to `dst`.
///
/// # Panics
///
/// If `message` is shorter than 4 bytes or longer than 4 GiB.
pub fn fill_checksum(message: &mut [u8], src: Ipv6Addr, dst: Ipv6Addr) {
    let len = u32::try_from(message.len()).expect("a message is shorter than 64 KiB");
    message[2..4].fill(0);
    let pseudo = checksum::pseudo(src.into(), dst.into(), protocol::ICMPV6, len);
    let sum = checksum::fold(pseudo.combine(checksum::sum(message)));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// Two 16-bit numbers behind each other.
const fn pair(high: u16, low: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An echo request from 2001:db8::a to 2001:db8::b as Linux sent it.
    const REQUEST: [u8; 16] = [
        0x80, 0x00, 0x92, 0x4a, 0x00, 0x4d, 0x00, 0x01, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
        0x68,
    ];

    fn ends() -> (Ipv6Addr, Ipv6Addr) {
        let text = "2001:db8::";
        let prefix: Ipv6Addr = text.parse().expect("a literal");
        (Ipv6Addr::from_bits(prefix.to_bits() | 10), Ipv6Addr::from_bits(prefix.to_bits() | 11))
    }

    #[test]
    fn a_captured_request_is_read_and_its_reply_is_that_of_linux() {
        let (src, dst) = ends();
        let (repr, len) = Repr::parse(&REQUEST, src, dst).expect("captured");
        assert_eq!((repr, len), (Repr::EchoRequest { ident: 77, seq: 1 }, HEADER_LEN));
        let mut bytes = REQUEST;
        Repr::EchoReply { ident: 77, seq: 1 }.emit(&mut bytes, dst, src);
        assert_eq!(bytes[..8], [0x81, 0x00, 0x91, 0x4a, 0x00, 0x4d, 0x00, 0x01]);
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let all = [
            (Repr::DestinationUnreachable { code: unreachable::PORT }, true),
            (Repr::PacketTooBig { mtu: 1280 }, true),
            (Repr::TimeExceeded { code: 0 }, true),
            (Repr::ParameterProblem { code: parameter::UNKNOWN_OPTION, pointer: 42 }, true),
            (Repr::EchoRequest { ident: 1, seq: 0xffff }, false),
            (Repr::EchoReply { ident: 0xff00, seq: 2 }, false),
            (Repr::Other { kind: 100, code: 1, rest: [10, 0, 0, 1] }, true),
            (Repr::Other { kind: 143, code: 0, rest: [0, 0, 0, 1] }, false),
        ];
        let (src, dst) = ends();
        for (repr, is_error) in all {
            let mut bytes = [0xaa; 11];
            repr.emit(&mut bytes, src, dst);
            assert_eq!(Repr::parse(&bytes, src, dst), Ok((repr, HEADER_LEN)));
            assert_eq!(repr.is_error(), is_error, "{repr:?}");
        }
    }

    #[test]
    fn another_address_a_flipped_bit_or_a_short_message_is_refused() {
        let (src, dst) = ends();
        assert_eq!(Repr::parse(&REQUEST, src, src), Err(ParseError::BadChecksum));
        for bit in 0..REQUEST.len() * 8 {
            let mut bytes = REQUEST;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Repr::parse(&bytes, src, dst), Err(ParseError::BadChecksum), "bit {bit}");
        }
        assert_eq!(Repr::parse(&REQUEST[..7], src, dst), Err(ParseError::Truncated));
    }
}
