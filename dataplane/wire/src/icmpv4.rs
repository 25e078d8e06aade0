//! ICMP messages (RFC 792).

use crate::{ParseError, checksum};

/// Bytes of a message before its data.
pub const HEADER_LEN: usize = 8;

const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;
const FRAGMENTATION_NEEDED: u8 = 4;

/// Codes of [`Repr::DestinationUnreachable`].
pub mod unreachable {
    /// No route to the network.
    pub const NETWORK: u8 = 0;
    /// The host does not answer.
    pub const HOST: u8 = 1;
    /// The host does not know the protocol.
    pub const PROTOCOL: u8 = 2;
    /// Nobody listens at the port.
    pub const PORT: u8 = 3;
}

/// What a message says; its data follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repr {
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
    /// The packet quoted in the data was not delivered.
    DestinationUnreachable {
        /// Why; see [`mod@unreachable`]. Never 4, which is `FragmentationNeeded`.
        code: u8,
    },
    /// The packet quoted in the data is too long for a link and must not be cut.
    FragmentationNeeded {
        /// Bytes that the link takes (RFC 1191); 0 from a router that does not say.
        mtu: u16,
    },
    /// The packet quoted in the data was too long on its way.
    TimeExceeded {
        /// 0: too many hops; 1: pieces were missing too long.
        code: u8,
    },
    /// Something in the header of the packet quoted in the data is wrong.
    ParameterProblem {
        /// 0: the pointer tells where.
        code: u8,
        /// Which byte of the packet is wrong.
        pointer: u8,
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
    /// Reads `bytes`, a whole message, and the length of what stands before its data.
    ///
    /// # Errors
    ///
    /// `Truncated` below 8 bytes; `BadChecksum`.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        if !checksum::sum(bytes).is_valid() {
            return Err(ParseError::BadChecksum);
        }
        Ok((Self::from_header(*header), HEADER_LEN))
    }

    /// Whether this is about another packet: to such a message no error may be sent.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
    //# An ICMP error message MUST NOT be sent as the result of receiving: an ICMP error message
    #[must_use]
    pub const fn is_error(&self) -> bool {
        match *self {
            Self::EchoRequest { .. } | Self::EchoReply { .. } => false,
            Self::DestinationUnreachable { .. }
            | Self::FragmentationNeeded { .. }
            | Self::TimeExceeded { .. }
            | Self::ParameterProblem { .. } => true,
            Self::Other { kind, .. } => is_error_kind(kind),
        }
    }

    /// The length in bytes of what [`Repr::emit`] writes before the data.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        HEADER_LEN
    }

    /// Writes the message's head over the first 8 bytes of `bytes`, which is the whole message with
    /// its data in place, and computes the checksum.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than 8.
    pub fn emit(&self, bytes: &mut [u8]) {
        let (kind, code, rest) = self.to_parts();
        let header = bytes.first_chunk_mut::<HEADER_LEN>();
        let header = header.expect("the caller gives room for the header");
        header[0..4].copy_from_slice(&[kind, code, 0, 0]);
        header[4..8].copy_from_slice(&rest);
        let sum = checksum::fold(checksum::sum(bytes));
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }

    const fn from_header(header: [u8; HEADER_LEN]) -> Self {
        let [kind, code, _, _, a, b, c, d] = header;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        match (kind, code) {
            (ECHO_REQUEST, 0) => Self::EchoRequest { ident: high, seq: low },
            (ECHO_REPLY, 0) => Self::EchoReply { ident: high, seq: low },
            (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED) => {
                Self::FragmentationNeeded { mtu: low }
            }
            (DESTINATION_UNREACHABLE, code) => Self::DestinationUnreachable { code },
            (TIME_EXCEEDED, code) => Self::TimeExceeded { code },
            (PARAMETER_PROBLEM, code) => Self::ParameterProblem { code, pointer: a },
            (kind, code) => Self::Other { kind, code, rest: [a, b, c, d] },
        }
    }

    const fn to_parts(self) -> (u8, u8, [u8; 4]) {
        match self {
            Self::EchoRequest { ident, seq } => (ECHO_REQUEST, 0, pair(ident, seq)),
            Self::EchoReply { ident, seq } => (ECHO_REPLY, 0, pair(ident, seq)),
            Self::DestinationUnreachable { code } => (DESTINATION_UNREACHABLE, code, [0; 4]),
            Self::FragmentationNeeded { mtu } => {
                (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, pair(0, mtu))
            }
            Self::TimeExceeded { code } => (TIME_EXCEEDED, code, [0; 4]),
            Self::ParameterProblem { code, pointer } => {
                (PARAMETER_PROBLEM, code, [pointer, 0, 0, 0])
            }
            Self::Other { kind, code, rest } => (kind, code, rest),
        }
    }
}

/// Whether messages of the type `kind` are about another packet.
#[must_use]
pub const fn is_error_kind(kind: u8) -> bool {
    // 4 is source quench (RFC 6633 forbids to act on it), 5 redirect.
    matches!(kind, DESTINATION_UNREACHABLE | 4 | 5 | TIME_EXCEEDED | PARAMETER_PROBLEM)
}

/// Two 16-bit numbers behind each other.
const fn pair(high: u16, low: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An echo request as Linux sent it: identifier 77, number 1, "abcdefgh".
    const REQUEST: [u8; 16] = [
        0x08, 0x00, 0x66, 0x1c, 0x00, 0x4d, 0x00, 0x01, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67,
        0x68,
    ];

    #[test]
    fn a_captured_request_is_read_and_its_reply_is_that_of_linux() {
        let (repr, len) = Repr::parse(&REQUEST).expect("captured");
        assert_eq!((repr, len), (Repr::EchoRequest { ident: 77, seq: 1 }, HEADER_LEN));
        assert!(!repr.is_error());
        let mut bytes = REQUEST;
        Repr::EchoReply { ident: 77, seq: 1 }.emit(&mut bytes);
        assert_eq!(bytes[..8], [0x00, 0x00, 0x6e, 0x1c, 0x00, 0x4d, 0x00, 0x01]);
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let all = [
            (Repr::EchoRequest { ident: 1, seq: 0xffff }, false),
            (Repr::EchoReply { ident: 0xff00, seq: 2 }, false),
            (Repr::DestinationUnreachable { code: unreachable::PORT }, true),
            (Repr::FragmentationNeeded { mtu: 1400 }, true),
            (Repr::TimeExceeded { code: 1 }, true),
            (Repr::ParameterProblem { code: 0, pointer: 20 }, true),
            (Repr::Other { kind: 5, code: 1, rest: [10, 0, 0, 1] }, true),
            (Repr::Other { kind: 13, code: 0, rest: [1, 2, 3, 4] }, false),
        ];
        for (repr, is_error) in all {
            let mut bytes = [0xaa; 11];
            repr.emit(&mut bytes);
            assert_eq!(Repr::parse(&bytes), Ok((repr, HEADER_LEN)));
            assert_eq!(repr.is_error(), is_error, "{repr:?}");
        }
    }

    #[test]
    fn a_flipped_bit_or_a_short_message_is_refused() {
        for bit in 0..REQUEST.len() * 8 {
            let mut bytes = REQUEST;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Repr::parse(&bytes), Err(ParseError::BadChecksum), "bit {bit}");
        }
        assert_eq!(Repr::parse(&REQUEST[..7]), Err(ParseError::Truncated));
    }
}
