//! ICMP: echo replies over the request, errors that come in, errors that go out.

mod quote;
mod report;

use core::net::{Ipv4Addr, Ipv6Addr};

use wire::{ethernet, icmpv4, icmpv6, ipv4, ipv6, protocol};

use crate::limits::HOP_LIMIT;
pub use quote::{IcmpError, IcmpErrorKind};
pub(crate) use quote::{quoted_v4, quoted_v6};
pub use report::Report;
pub(crate) use report::write_report;

/// Where the IP header of a frame begins.
pub(crate) const IP_OFFSET: usize = ethernet::HEADER_LEN;

/// The ends of an IPv4 packet that goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndsV4 {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
}

/// The ends of an IPv6 packet that goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndsV6 {
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
}

/// Writes `repr` and the IPv4 header before the message that begins behind a header without
/// options and whose data, of which the message has `message_len` bytes with its head, is in place.
/// Gives the length of the frame.
pub(crate) fn write_v4(
    bytes: &mut [u8],
    ends: EndsV4,
    traffic_class: u8,
    repr: icmpv4::Repr,
    message_len: usize,
) -> usize {
    let message_at = IP_OFFSET + ipv4::HEADER_LEN;
    let end = message_at + message_len;
    repr.emit(&mut bytes[message_at..end]);
    let header = ipv4::Repr {
        source: ends.source,
        destination: ends.destination,
        protocol: protocol::ICMP,
        payload_len: u16::try_from(message_len).expect("a message is not longer than a packet"),
        hop_limit: HOP_LIMIT,
        traffic_class,
        identification: 0,
        dont_fragment: true,
        fragment: ipv4::Fragment::WHOLE,
    };
    header.emit(&mut bytes[IP_OFFSET..message_at]);
    end
}

/// As [`write_v4`], for IPv6.
pub(crate) fn write_v6(
    bytes: &mut [u8],
    ends: EndsV6,
    repr: icmpv6::Repr,
    message_len: usize,
) -> usize {
    let message_at = IP_OFFSET + ipv6::HEADER_LEN;
    let end = message_at + message_len;
    repr.emit(&mut bytes[message_at..end], ends.source, ends.destination);
    emit_v6_header(bytes, ends, message_len, HOP_LIMIT);
    end
}

/// Writes the header before `message_len` bytes of `ICMPv6`.
pub(crate) fn emit_v6_header(bytes: &mut [u8], ends: EndsV6, message_len: usize, hop_limit: u8) {
    let header = ipv6::Repr {
        source: ends.source,
        destination: ends.destination,
        next_header: protocol::ICMPV6,
        payload_len: u16::try_from(message_len).expect("a message is not longer than a packet"),
        hop_limit,
        traffic_class: 0,
        flow_label: 0,
    };
    header.emit(&mut bytes[IP_OFFSET..IP_OFFSET + ipv6::HEADER_LEN]);
}

/// The Ethernet header of a frame that answers the one in `bytes`: back to the station it came
/// from, which is this link's way to its sender, so nothing needs to be looked up or learnt.
pub(crate) fn turn_station(bytes: &mut [u8], own: wire::MacAddress) {
    let (station, rest) = bytes.split_at_mut(6);
    station.copy_from_slice(&rest[..6]);
    rest[..6].copy_from_slice(&own.0);
}
