//! ICMP errors that go out: about which packets, and what they quote.

use wire::ethernet::EtherType;
use wire::{Address, MacAddress, ethernet, icmpv4, icmpv6, ipv4, ipv6, protocol};

use super::{EndsV4, EndsV6, IP_OFFSET, write_v4, write_v6};
use crate::addresses::{Addresses, Kind};
use crate::limits::{ERROR_V4_LEN_MAX, MTU_MIN_V6};

/// Precedence "internetwork control", which an error has.
//= https://www.rfc-editor.org/rfc/rfc1812#section-4.3.2.5
//# ICMP error messages
const INTERNETWORK_CONTROL: u8 = 0xc0;

/// What a sender is to be told about its packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Report {
    /// Nobody listens at the port.
    PortUnreachable,
    /// This host does not know the protocol.
    ProtocolUnreachable,
    /// An IPv6 header cannot be processed.
    ParameterProblem {
        /// What is wrong; see [`icmpv6::parameter`].
        code: u8,
        /// Which byte of the packet.
        pointer: u32,
        /// Whether the sender is told even if the packet was for many.
        even_if_multicast: bool,
    },
}

/// An error that may be sent: to whom, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) peer: Address,
    own: Address,
    station: MacAddress,
    report: ReportRepr,
}

#[derive(Clone, Copy, Debug)]
enum ReportRepr {
    V4(icmpv4::Repr),
    V6(icmpv6::Repr),
}

/// Writes the error about `frame`, a received one, into `bytes`, unless `is_allowed` refuses its
/// peer. Gives the length of the frame that was written.
///
/// `Err` says that no error may be sent about such a packet.
pub(crate) fn write_report(
    report: Report,
    frame: &[u8],
    bytes: &mut [u8],
    addresses: &Addresses,
    own_mac: MacAddress,
    is_allowed: impl FnOnce(Address) -> bool,
) -> Result<Option<usize>, Forbidden> {
    let verdict = judge(report, frame, addresses)?;
    if !is_allowed(verdict.peer) {
        return Ok(None);
    }
    Ok(Some(verdict.write(frame, bytes, own_mac)))
}

/// No error may be sent about this packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Forbidden;

/// Whether, and as what, `report` may be sent about `frame`.
fn judge(report: Report, frame: &[u8], addresses: &Addresses) -> Result<Verdict, Forbidden> {
    let (ethernet, at) = ethernet::Repr::parse(frame).or(Err(Forbidden))?;
    let packet = &frame[at..];
    let (verdict, is_error) = match ethernet.ethertype {
        EtherType::IPV4 => judge_v4(report, packet, ethernet.source)?,
        EtherType::IPV6 => judge_v6(report, packet, ethernet.source)?,
        _ => return Err(Forbidden),
    };
    let even_if_multicast = match report {
        Report::ParameterProblem { even_if_multicast, .. } => even_if_multicast,
        Report::PortUnreachable | Report::ProtocolUnreachable => false,
    };
    let is_for_many = ethernet.destination.is_multicast() || !verdict.own.is_unicast();
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
    //# a datagram whose source address does not define a single host
    let is_from_one = verdict.peer.is_unicast() && addresses.find(verdict.peer).is_none();
    if is_error || !is_from_one || (is_for_many && !even_if_multicast) {
        return Err(Forbidden);
    }
    let own = match addresses.find(verdict.own) {
        Some((_, Kind::Unicast)) => verdict.own,
        // The group cannot speak, so one of its members does.
        Some((local, Kind::Multicast)) if even_if_multicast => {
            addresses.at(addresses.source_for(verdict.peer, verdict.peer).unwrap_or(local))
        }
        Some((_, Kind::Multicast | Kind::Broadcast)) | None => return Err(Forbidden),
    };
    Ok(Verdict { own, ..verdict })
}

/// The verdict as far as IPv4 knows it, and whether the packet is an error itself.
fn judge_v4(
    report: Report,
    packet: &[u8],
    station: MacAddress,
) -> Result<(Verdict, bool), Forbidden> {
    let packet = ipv4::Packet::parse(packet).or(Err(Forbidden))?;
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
    //# a non-initial fragment
    if packet.is_later_fragment() {
        return Err(Forbidden);
    }
    let code = match report {
        Report::PortUnreachable => icmpv4::unreachable::PORT,
        Report::ProtocolUnreachable => icmpv4::unreachable::PROTOCOL,
        Report::ParameterProblem { .. } => return Err(Forbidden),
    };
    let kind = packet.payload().first().copied();
    let is_error = packet.protocol() == protocol::ICMP && kind.is_none_or(icmpv4::is_error_kind);
    let verdict = Verdict {
        peer: packet.source().into(),
        own: packet.destination().into(),
        station,
        report: ReportRepr::V4(icmpv4::Repr::DestinationUnreachable { code }),
    };
    Ok((verdict, is_error))
}

/// The verdict as far as IPv6 knows it, and whether the packet is an error itself.
fn judge_v6(
    report: Report,
    packet: &[u8],
    station: MacAddress,
) -> Result<(Verdict, bool), Forbidden> {
    let packet = ipv6::Packet::parse(packet).or(Err(Forbidden))?;
    let upper = packet.upper();
    let is_later_piece =
        upper.is_ok_and(|upper| upper.fragment.is_some_and(|fragment| fragment.offset != 0));
    if is_later_piece {
        return Err(Forbidden);
    }
    let repr = match (report, upper) {
        (Report::PortUnreachable, _) => {
            icmpv6::Repr::DestinationUnreachable { code: icmpv6::unreachable::PORT }
        }
        (Report::ParameterProblem { code, pointer, .. }, _) => {
            icmpv6::Repr::ParameterProblem { code, pointer }
        }
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4
        //# an ICMP Code value of 1
        (Report::ProtocolUnreachable, Ok(upper)) => icmpv6::Repr::ParameterProblem {
            code: icmpv6::parameter::UNKNOWN_NEXT_HEADER,
            pointer: upper.pointer,
        },
        (Report::ProtocolUnreachable, Err(_)) => return Err(Forbidden),
    };
    //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
    //# An ICMPv6 error message MUST NOT be originated as a result of receiving
    let is_error = upper.is_ok_and(|upper| {
        let kind = packet.payload().get(upper.offset).copied();
        upper.protocol == protocol::ICMPV6 && kind.is_none_or(icmpv6::is_error_kind)
    });
    let (peer, own) = (packet.source(), packet.destination());
    let verdict =
        Verdict { peer: peer.into(), own: own.into(), station, report: ReportRepr::V6(repr) };
    let is_mapped = peer.to_ipv4_mapped().is_some() || own.to_ipv4_mapped().is_some();
    if is_mapped { Err(Forbidden) } else { Ok((verdict, is_error)) }
}

impl Verdict {
    /// Writes the frame, quoting as much of the packet in `frame` as an error may and `bytes` takes.
    ///
    /// # Panics
    ///
    /// If `bytes` has no room for the headers.
    fn write(&self, frame: &[u8], bytes: &mut [u8], own_mac: MacAddress) -> usize {
        let packet = &frame[IP_OFFSET..];
        let ethertype = match self.report {
            ReportRepr::V4(_) => EtherType::IPV4,
            ReportRepr::V6(_) => EtherType::IPV6,
        };
        ethernet::Repr { destination: self.station, source: own_mac, ethertype }.emit(bytes);
        match self.report {
            ReportRepr::V4(repr) => {
                let total_len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
                let quoted = &packet[..total_len.min(packet.len())];
                let message_at = IP_OFFSET + ipv4::HEADER_LEN;
                let room = ERROR_V4_LEN_MAX - ipv4::HEADER_LEN - icmpv4::HEADER_LEN;
                let len = quote(quoted, &mut bytes[message_at + icmpv4::HEADER_LEN..], room);
                let ends = EndsV4 { source: v4(self.own), destination: v4(self.peer) };
                write_v4(bytes, ends, INTERNETWORK_CONTROL, repr, icmpv4::HEADER_LEN + len)
            }
            ReportRepr::V6(repr) => {
                let payload_len = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
                let quoted = &packet[..(ipv6::HEADER_LEN + payload_len).min(packet.len())];
                let message_at = IP_OFFSET + ipv6::HEADER_LEN;
                //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
                //# As much of invoking packet as possible without the ICMPv6 packet
                let room = usize::from(MTU_MIN_V6) - ipv6::HEADER_LEN - icmpv6::HEADER_LEN;
                let len = quote(quoted, &mut bytes[message_at + icmpv6::HEADER_LEN..], room);
                let ends = EndsV6 { source: self.own.to_v6(), destination: self.peer.to_v6() };
                write_v6(bytes, ends, repr, icmpv6::HEADER_LEN + len)
            }
        }
    }
}

/// Copies as much of `packet` as there is room for; gives how much that was.
fn quote(packet: &[u8], bytes: &mut [u8], room: usize) -> usize {
    let len = packet.len().min(bytes.len()).min(room);
    bytes[..len].copy_from_slice(&packet[..len]);
    len
}

/// An address that a verdict of IPv4 holds.
fn v4(address: Address) -> core::net::Ipv4Addr {
    core::net::Ipv4Addr::from(address.v4_octets())
}
