//! ICMP errors that come in: what they say, and about which of our packets.

use core::net::{Ipv4Addr, Ipv6Addr};

use wire::{Address, icmpv4, icmpv6, ipv4, ipv6};

use crate::addresses::{Addresses, LocalIndex};
use crate::counters::DropReason;
use crate::limits::{MTU_MIN_V6, QUOTED_LEN_MIN};

/// What an ICMP error says, in the words of both families.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IcmpErrorKind {
    /// No way leads to the network.
    NetworkUnreachable,
    /// The host does not answer.
    HostUnreachable,
    /// A rule forbids it.
    Prohibited,
    /// The host does not know the protocol.
    ProtocolUnreachable,
    /// Nobody listens at the port.
    PortUnreachable,
    /// The packet is too long for a link.
    TooBig {
        /// Bytes that the link takes; 0 if the router does not say. At least 1280 over IPv6.
        mtu: u32,
    },
    /// The packet took too many hops, or its pieces too long.
    TimeExceeded,
    /// Something in the header is wrong.
    ParameterProblem,
}

/// An ICMP error about a packet that one of our addresses may have sent.
///
/// Anybody can forge one: whoever believes it checks first that the quoted transport header is one
/// that is in flight (RFC 5927).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IcmpError {
    /// What it says.
    pub kind: IcmpErrorKind,
    /// Who says it.
    pub reporter: Address,
    /// Which own address had sent the packet.
    pub local: LocalIndex,
    /// To whom the packet was going.
    pub remote: Address,
    /// The packet's protocol; see [`wire::protocol`].
    pub protocol: u8,
    /// Where the quoted transport header begins, in bytes from the start of the frame.
    pub offset: usize,
    /// How many bytes of it are quoted: 8 or more.
    pub len: usize,
}

/// A quoted packet, as far as it is there.
struct Quote {
    source: Address,
    destination: Address,
    protocol: u8,
    header_len: usize,
}

/// Judges the error `repr`, whose quotation is `bytes[offset..end]`.
pub(crate) fn quoted_v4(
    repr: icmpv4::Repr,
    reporter: Address,
    bytes: &[u8],
    offset: usize,
    addresses: &Addresses,
) -> Result<IcmpError, DropReason> {
    let kind = kind_v4(repr).ok_or(DropReason::IcmpUnused)?;
    let quote = bytes.get(offset..).and_then(parse_v4).ok_or(DropReason::QuoteMalformed)?;
    judge(kind, reporter, quote, bytes.len(), offset, addresses)
}

/// As [`quoted_v4`], for IPv6.
pub(crate) fn quoted_v6(
    repr: icmpv6::Repr,
    reporter: Address,
    bytes: &[u8],
    offset: usize,
    addresses: &Addresses,
) -> Result<IcmpError, DropReason> {
    let kind = kind_v6(repr).ok_or(DropReason::IcmpUnused)?;
    let quote = bytes.get(offset..).and_then(parse_v6).ok_or(DropReason::QuoteMalformed)?;
    judge(kind, reporter, quote, bytes.len(), offset, addresses)
}

fn judge(
    kind: IcmpErrorKind,
    reporter: Address,
    quote: Quote,
    end: usize,
    offset: usize,
    addresses: &Addresses,
) -> Result<IcmpError, DropReason> {
    let Quote { source, destination, protocol, header_len } = quote;
    let offset = offset + header_len;
    let len = end.saturating_sub(offset);
    if len < QUOTED_LEN_MIN {
        return Err(DropReason::QuoteMalformed);
    }
    let local = addresses.find_unicast(source).ok_or(DropReason::QuoteOther)?;
    if !destination.is_unicast() || addresses.find(destination).is_some() {
        return Err(DropReason::QuoteOther);
    }
    Ok(IcmpError { kind, reporter, local, remote: destination, protocol, offset, len })
}

/// Reads a quoted header. Its checksum is not looked at: routers have changed the header, and not
/// all of them mend the copy that they quote. We send no pieces, so a piece is none of ours.
fn parse_v4(bytes: &[u8]) -> Option<Quote> {
    let header: &[u8; ipv4::HEADER_LEN] = bytes.first_chunk()?;
    let header_len = usize::from(header[0] & 15) * 4;
    let is_later_piece = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    if header[0] >> 4 != 4 || header_len < ipv4::HEADER_LEN || is_later_piece {
        return None;
    }
    let [.., a, b, c, d, e, f, g, h] = *header;
    Some(Quote {
        source: Ipv4Addr::new(a, b, c, d).into(),
        destination: Ipv4Addr::new(e, f, g, h).into(),
        protocol: header[9],
        header_len,
    })
}

/// Reads a quoted header. We send no extension headers, so what it names is the transport.
fn parse_v6(bytes: &[u8]) -> Option<Quote> {
    let header: &[u8; ipv6::HEADER_LEN] = bytes.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (ends, _) = header[8..].as_chunks::<16>();
    let [source, destination] = ends else {
        return None;
    };
    let (source, destination) = (Ipv6Addr::from(*source), Ipv6Addr::from(*destination));
    // An IPv4-mapped address would be taken for an IPv4 one.
    if source.to_ipv4_mapped().is_some() || destination.to_ipv4_mapped().is_some() {
        return None;
    }
    Some(Quote {
        source: source.into(),
        destination: destination.into(),
        protocol: header[6],
        header_len: ipv6::HEADER_LEN,
    })
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
//# A Destination Unreachable message that is received MUST be reported to the transport layer.
fn kind_v4(repr: icmpv4::Repr) -> Option<IcmpErrorKind> {
    match repr {
        icmpv4::Repr::FragmentationNeeded { mtu } => {
            Some(IcmpErrorKind::TooBig { mtu: u32::from(mtu) })
        }
        icmpv4::Repr::TimeExceeded { .. } => Some(IcmpErrorKind::TimeExceeded),
        icmpv4::Repr::ParameterProblem { .. } => Some(IcmpErrorKind::ParameterProblem),
        icmpv4::Repr::DestinationUnreachable { code } => match code {
            // Network, source route, network unknown, and network for this service.
            0 | 5 | 6 | 11 => Some(IcmpErrorKind::NetworkUnreachable),
            icmpv4::unreachable::PROTOCOL => Some(IcmpErrorKind::ProtocolUnreachable),
            icmpv4::unreachable::PORT => Some(IcmpErrorKind::PortUnreachable),
            9 | 10 | 13..=15 => Some(IcmpErrorKind::Prohibited),
            _ => Some(IcmpErrorKind::HostUnreachable),
        },
        icmpv4::Repr::EchoRequest { .. }
        | icmpv4::Repr::EchoReply { .. }
        | icmpv4::Repr::Other { .. } => None,
    }
}

fn kind_v6(repr: icmpv6::Repr) -> Option<IcmpErrorKind> {
    match repr {
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //# it must discard it
        icmpv6::Repr::PacketTooBig { mtu } => {
            (mtu >= u32::from(MTU_MIN_V6)).then_some(IcmpErrorKind::TooBig { mtu })
        }
        icmpv6::Repr::TimeExceeded { .. } => Some(IcmpErrorKind::TimeExceeded),
        icmpv6::Repr::ParameterProblem { code, .. } => match code {
            //= https://www.rfc-editor.org/rfc/rfc4443#section-3.4
            //# Unrecognized Next Header type encountered
            icmpv6::parameter::UNKNOWN_NEXT_HEADER => Some(IcmpErrorKind::ProtocolUnreachable),
            _ => Some(IcmpErrorKind::ParameterProblem),
        },
        icmpv6::Repr::DestinationUnreachable { code } => match code {
            icmpv6::unreachable::NO_ROUTE | 2 => Some(IcmpErrorKind::NetworkUnreachable),
            icmpv6::unreachable::PORT => Some(IcmpErrorKind::PortUnreachable),
            icmpv6::unreachable::PROHIBITED | 5 | 6 => Some(IcmpErrorKind::Prohibited),
            _ => Some(IcmpErrorKind::HostUnreachable),
        },
        icmpv6::Repr::EchoRequest { .. }
        | icmpv6::Repr::EchoReply { .. }
        | icmpv6::Repr::Other { .. } => None,
    }
}
