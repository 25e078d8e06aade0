//! Neighbour solicitations and advertisements (RFC 4861), the two messages that a host with
//! configured addresses and routes needs. Routers, prefixes and redirects are not read.

use core::net::Ipv6Addr;

use crate::{MacAddress, ParseError, icmpv6};

/// Bytes of a message without options.
pub const HEADER_LEN: usize = 24;
/// Bytes of a link-layer address option for Ethernet.
pub const LINK_ADDRESS_LEN: usize = 8;
/// The hop limit of every message: a router would have lowered it, so it comes from this link.
pub const HOP_LIMIT: u8 = 255;

/// The type of a neighbour solicitation.
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
/// The type of a neighbour advertisement.
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// What a message says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repr {
    /// "Who has `target`?"
    Solicitation {
        /// The address that is looked for.
        target: Ipv6Addr,
        /// Where the sender is; absent while it checks that nobody else has its address.
        source_link: Option<MacAddress>,
    },
    /// "I have `target`."
    Advertisement {
        /// The address that the sender has.
        target: Ipv6Addr,
        /// Whether the sender is a router.
        is_router: bool,
        /// Whether this answers a solicitation to the receiver alone.
        is_solicited: bool,
        /// Whether `target_link` shall replace what the receiver knows.
        overrides: bool,
        /// Where the sender is; may be absent if the receiver must know.
        target_link: Option<MacAddress>,
    },
}

impl Repr {
    /// Reads `bytes`, a whole `ICMPv6` message whose checksum has been checked, and its length in
    /// bytes.
    ///
    /// # Errors
    ///
    /// `Truncated` below 24 bytes; `BadField` if it is another message, or its target or a
    /// link-layer address in it belongs to many; `BadOption` if an option's length is 0 or leads
    /// past the end.
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.1.1
    //# All included options have a length that is greater than zero.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), ParseError> {
        let (header, options) =
            bytes.split_first_chunk::<HEADER_LEN>().ok_or(ParseError::Truncated)?;
        let [kind, code, _, _, flags, ..] = *header;
        let target: &[u8; 16] = header.last_chunk().expect("a header has 24 bytes");
        let target = Ipv6Addr::from_bits(u128::from_be_bytes(*target));
        if code != 0 || target.is_multicast() {
            return Err(ParseError::BadField);
        }
        let repr = match kind {
            NEIGHBOUR_SOLICITATION => {
                let source_link = find_link_address(options, SOURCE_LINK_ADDRESS)?;
                Self::Solicitation { target, source_link }
            }
            NEIGHBOUR_ADVERTISEMENT => Self::Advertisement {
                target,
                is_router: flags & ROUTER != 0,
                is_solicited: flags & SOLICITED != 0,
                overrides: flags & OVERRIDE != 0,
                target_link: find_link_address(options, TARGET_LINK_ADDRESS)?,
            },
            _ => return Err(ParseError::BadField),
        };
        Ok((repr, bytes.len()))
    }

    /// The length in bytes of the whole message that [`Repr::emit`] writes.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        let (Self::Solicitation { source_link: link, .. }
        | Self::Advertisement { target_link: link, .. }) = self;
        HEADER_LEN + if link.is_some() { LINK_ADDRESS_LEN } else { 0 }
    }

    /// Writes the message from `src` to `dst`, with its checksum, into the first
    /// [`Repr::header_len`] bytes of `bytes`.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than that.
    pub fn emit(&self, bytes: &mut [u8], src: Ipv6Addr, dst: Ipv6Addr) {
        let message = &mut bytes[..self.header_len()];
        message.fill(0);
        let (kind, flags, target, option, link) = match *self {
            Self::Solicitation { target, source_link } => {
                (NEIGHBOUR_SOLICITATION, 0, target, SOURCE_LINK_ADDRESS, source_link)
            }
            Self::Advertisement { target, is_router, is_solicited, overrides, target_link } => {
                let flags = if is_router { ROUTER } else { 0 }
                    | if is_solicited { SOLICITED } else { 0 }
                    | if overrides { OVERRIDE } else { 0 };
                (NEIGHBOUR_ADVERTISEMENT, flags, target, TARGET_LINK_ADDRESS, target_link)
            }
        };
        message[0] = kind;
        message[4] = flags;
        message[8..24].copy_from_slice(&target.octets());
        if let Some(link) = link {
            message[24..26].copy_from_slice(&[option, 1]);
            message[26..32].copy_from_slice(&link.0);
        }
        icmpv6::fill_checksum(message, src, dst);
    }
}

/// The first link-layer address of this kind among the options, all of which are checked.
fn find_link_address(mut options: &[u8], kind: u8) -> Result<Option<MacAddress>, ParseError> {
    let mut found = None;
    // Every turn takes at least eight bytes.
    while !options.is_empty() {
        let eights = *options.get(1).ok_or(ParseError::BadOption)?;
        let (option, rest) =
            options.split_at_checked(usize::from(eights) * 8).ok_or(ParseError::BadOption)?;
        match *option {
            [] => return Err(ParseError::BadOption),
            [this, _, a, b, c, d, e, f] if this == kind && found.is_none() => {
                let mac = MacAddress([a, b, c, d, e, f]);
                if !mac.is_unicast() {
                    return Err(ParseError::BadField);
                }
                found = Some(mac);
            }
            _ => {}
        }
        options = rest;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2001:db8::a asks for 2001:db8::b, as Linux sent it.
    const SOLICITATION: [u8; 32] = [
        0x87, 0x00, 0x1c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00,
        0x00, 0x0a,
    ];
    /// The answer of Linux.
    const ADVERTISEMENT: [u8; 32] = [
        0x88, 0x00, 0x8a, 0x4d, 0x60, 0x00, 0x00, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x02, 0x01, 0x02, 0x00, 0x00, 0x00,
        0x00, 0x0b,
    ];

    fn address(text: &str) -> Ipv6Addr {
        text.parse().expect("a literal")
    }

    #[test]
    fn a_captured_question_and_its_answer_are_read_and_written() {
        let (a, b) = (address("2001:db8::a"), address("2001:db8::b"));
        let source_link = Some(MacAddress([2, 0, 0, 0, 0, 10]));
        let question = Repr::Solicitation { target: b, source_link };
        assert_eq!(Repr::parse(&SOLICITATION), Ok((question, 32)));
        let mut bytes = [0xaa; 32];
        question.emit(&mut bytes, a, address("ff02::1:ff00:b"));
        assert_eq!(bytes, SOLICITATION);

        let answer = Repr::Advertisement {
            target: b,
            is_router: false,
            is_solicited: true,
            overrides: true,
            target_link: Some(MacAddress([2, 0, 0, 0, 0, 11])),
        };
        assert_eq!(Repr::parse(&ADVERTISEMENT), Ok((answer, 32)));
        answer.emit(&mut bytes, b, a);
        assert_eq!(bytes, ADVERTISEMENT);
    }

    #[test]
    fn a_message_without_options_is_read_as_it_was_written() {
        let target = address("fe80::1");
        let repr = Repr::Advertisement {
            target,
            is_router: true,
            is_solicited: false,
            overrides: false,
            target_link: None,
        };
        let mut bytes = [0xaa; HEADER_LEN];
        repr.emit(&mut bytes, target, target);
        assert_eq!(Repr::parse(&bytes), Ok((repr, HEADER_LEN)));
        assert_eq!(Repr::parse(&bytes[..23]), Err(ParseError::Truncated));
    }

    #[test]
    fn unknown_options_are_skipped_and_malformed_ones_refused() {
        let with = |options: &[u8]| [&SOLICITATION[..HEADER_LEN], options].concat();
        let nonce_first = with(&[14, 1, 1, 2, 3, 4, 5, 6, 1, 1, 2, 0, 0, 0, 0, 9]);
        let (repr, _) = Repr::parse(&nonce_first).expect("two options");
        let source_link = Some(MacAddress([2, 0, 0, 0, 0, 9]));
        assert_eq!(repr, Repr::Solicitation { target: address("2001:db8::b"), source_link });
        for options in [&[1][..], &[1, 0, 0, 0, 0, 0, 0, 0], &[1, 2, 2, 0, 0, 0, 0, 9]] {
            assert_eq!(Repr::parse(&with(options)), Err(ParseError::BadOption), "{options:?}");
        }
    }

    #[test]
    fn what_belongs_to_many_is_refused() {
        let mut bytes = SOLICITATION;
        bytes[8] = 0xff;
        assert_eq!(Repr::parse(&bytes), Err(ParseError::BadField));
        let mut bytes = ADVERTISEMENT;
        bytes[26] = 0x33;
        assert_eq!(Repr::parse(&bytes), Err(ParseError::BadField));
        bytes[26..32].fill(0);
        assert_eq!(Repr::parse(&bytes), Err(ParseError::BadField));
    }

    #[test]
    fn another_message_or_code_is_refused() {
        for (at, value) in [(0, 133), (1, 1)] {
            let mut bytes = SOLICITATION;
            bytes[at] = value;
            assert_eq!(Repr::parse(&bytes), Err(ParseError::BadField));
        }
    }
}
