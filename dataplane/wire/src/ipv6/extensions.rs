//! The headers between an IPv6 packet's fixed header and its payload.
//!
//! They are a list that the sender makes, so the walk is bounded twice: by the bytes that are there
//! and by a number of headers that no honest sender reaches.

use crate::protocol;

/// How many extension headers are walked. RFC 8200 4.1 recommends an order in which there are at
/// most seven (one kind twice); RFC 8504 5.3 lets a host bound them.
pub const EXTENSIONS_MAX: usize = 8;

const PAD_1: u8 = 0;
const PAD_N: u8 = 1;
/// In an option's two highest bits: what to do with the packet if the option is not known.
const ACTION_SKIP: u8 = 0;
const ACTION_DISCARD: u8 = 1;
const ACTION_REPORT: u8 = 2;

/// Codes of ICMPv6 parameter problems (RFC 4443 3.4).
const ERRONEOUS_FIELD: u8 = 0;
const UNKNOWN_NEXT_HEADER: u8 = 1;
const UNKNOWN_OPTION: u8 = 2;

/// What the extension headers stand before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Upper {
    /// Its protocol; see [`crate::protocol`]. Also a header that this host does not know.
    pub protocol: u8,
    /// Where it begins, in bytes behind the fixed header.
    pub offset: usize,
    /// Where the byte that names it lies, in bytes from the start of the packet: what a parameter
    /// problem about an unknown protocol points at.
    pub pointer: u32,
    /// Whether the packet is a piece of a longer one, and which.
    pub fragment: Option<Fragment>,
}

/// Which piece of a packet this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment {
    /// Where the piece begins in what was cut: a multiple of 8 bytes.
    pub offset: u16,
    /// Whether pieces follow.
    pub more: bool,
    /// Which packet the pieces belong to.
    pub identification: u32,
}

/// Why a packet with extension headers is discarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExtensionError {
    /// A header ends behind the packet, or an option behind its header.
    #[error("an extension header or an option in it is longer than what is there")]
    Truncated,
    /// There are more than [`EXTENSIONS_MAX`].
    #[error("the packet has too many extension headers")]
    TooMany,
    /// An unknown option asks for the packet to be discarded in silence.
    #[error("an unknown option asks to discard the packet")]
    Discard,
    /// The packet is discarded and the sender is told, in a parameter problem.
    #[error("the sender is to be told of code {code} at byte {pointer}")]
    Report {
        /// The code of the parameter problem.
        code: u8,
        /// Which byte of the packet is wrong.
        pointer: u32,
        /// Whether the sender is told even if the packet was for many.
        even_if_multicast: bool,
    },
}

/// Walks the headers of `payload`, the first of which is `next_header`.
pub(super) fn walk(next_header: u8, payload: &[u8]) -> Result<Upper, ExtensionError> {
    // Most packets have none.
    let mut upper = Upper { protocol: next_header, offset: 0, pointer: 6, fragment: None };
    for count in 0..=EXTENSIONS_MAX {
        let rest = payload.get(upper.offset..).ok_or(ExtensionError::Truncated)?;
        let header_len = match upper.protocol {
            protocol::HOP_BY_HOP if count > 0 => {
                //= https://www.rfc-editor.org/rfc/rfc8200#section-4.1
                //# restricted to appear immediately after an IPv6 header only
                return Err(report(UNKNOWN_NEXT_HEADER, upper.pointer));
            }
            protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS => {
                let header_len = measured(rest)?;
                walk_options(&rest[..header_len], at(upper.offset))?;
                header_len
            }
            protocol::ROUTING => routing_header_len(rest, at(upper.offset))?,
            protocol::FRAGMENT => {
                let fragment = parse_fragment(rest)?;
                //= https://www.rfc-editor.org/rfc/rfc6946#section-4
                //# A host that receives an IPv6 atomic fragment MUST process such packet in isolation
                if fragment.more || fragment.offset != 0 {
                    return Ok(Upper { fragment: Some(fragment), ..upper });
                }
                FRAGMENT_HEADER_LEN
            }
            _ => return Ok(upper),
        };
        let next = *rest.first().ok_or(ExtensionError::Truncated)?;
        upper = Upper {
            protocol: next,
            offset: upper.offset + header_len,
            pointer: at(upper.offset),
            fragment: None,
        };
    }
    Err(ExtensionError::TooMany)
}

const FRAGMENT_HEADER_LEN: usize = 8;

fn parse_fragment(bytes: &[u8]) -> Result<Fragment, ExtensionError> {
    let header: &[u8; FRAGMENT_HEADER_LEN] =
        bytes.first_chunk().ok_or(ExtensionError::Truncated)?;
    let [_, _, high, low, a, b, c, d] = *header;
    Ok(Fragment {
        offset: u16::from_be_bytes([high, low & 0xf8]),
        more: low & 1 == 1,
        identification: u32::from_be_bytes([a, b, c, d]),
    })
}

/// The length of a header that counts itself in eights, without the first.
fn measured(bytes: &[u8]) -> Result<usize, ExtensionError> {
    let len = 8 + 8 * usize::from(*bytes.get(1).ok_or(ExtensionError::Truncated)?);
    if len > bytes.len() { Err(ExtensionError::Truncated) } else { Ok(len) }
}

/// The length of a routing header whose way ends here.
fn routing_header_len(bytes: &[u8], start: u32) -> Result<usize, ExtensionError> {
    let header_len = measured(bytes)?;
    let segments_left = *bytes.get(3).ok_or(ExtensionError::Truncated)?;
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.4
    //# If Segments Left is non-zero, the node must discard the packet
    //= https://www.rfc-editor.org/rfc/rfc5095#section-3
    //# MUST process that packet as a packet with an unrecognized routing type
    if segments_left == 0 { Ok(header_len) } else { Err(report(ERRONEOUS_FIELD, start + 2)) }
}

/// Walks the options of a whole hop-by-hop or destination header that begins at byte `start` of the
/// packet. This host knows none but padding.
//= https://www.rfc-editor.org/rfc/rfc8200#section-4.2
//# the action that must be taken if the processing IPv6 node does not recognize the Option Type
fn walk_options(header: &[u8], start: u32) -> Result<(), ExtensionError> {
    let mut offset = 2;
    // Every turn takes at least one of at most 2048 bytes.
    while let Some(&kind) = header.get(offset) {
        if kind == PAD_1 {
            offset += 1;
            continue;
        }
        let len = usize::from(*header.get(offset + 1).ok_or(ExtensionError::Truncated)?);
        if offset + 2 + len > header.len() {
            return Err(ExtensionError::Truncated);
        }
        let pointer = start + at_option(offset);
        match kind >> 6 {
            _ if kind == PAD_N => {}
            ACTION_SKIP => {}
            ACTION_DISCARD => return Err(ExtensionError::Discard),
            action => {
                let even_if_multicast = action == ACTION_REPORT;
                let code = UNKNOWN_OPTION;
                return Err(ExtensionError::Report { code, pointer, even_if_multicast });
            }
        }
        offset += 2 + len;
    }
    Ok(())
}

const fn report(code: u8, pointer: u32) -> ExtensionError {
    ExtensionError::Report { code, pointer, even_if_multicast: false }
}

/// Where byte `offset` behind the fixed header lies in the packet.
const fn at(offset: usize) -> u32 {
    at_option(super::HEADER_LEN + offset)
}

#[expect(clippy::cast_possible_truncation, reason = "a payload has at most 65,535 bytes")]
const fn at_option(offset: usize) -> u32 {
    offset as u32
}

#[cfg(test)]
mod tests;
