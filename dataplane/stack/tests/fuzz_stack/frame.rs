//! Frames as other hosts send them, and the repair of those that were tampered with.

use base::Instant;
use wire::ethernet::{self, EtherType};
use wire::tcp::{Flags, Repr};
use wire::{Address, MacAddress, checksum, icmpv6, ipv4, ipv6, ndp, protocol, udp};

/// The station of the stack.
pub(crate) const OUR_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x0b]);
/// Its addresses, as `ip` numbers them.
pub(crate) const OUR_V4: Address = Address::from_v4_octets([10, 9, 0, 2]);
pub(crate) const OUR_V6: Address =
    Address::from_octets([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);

/// Other hosts: the last one is behind the first, which is a router.
pub(crate) const HOSTS: u8 = 5;
const ETHERNET_LEN: usize = ethernet::HEADER_LEN;

/// The station of a host, or of the router in front of it.
pub(crate) fn mac_of(host: u8) -> MacAddress {
    let host = if host == HOSTS - 1 { 0 } else { host };
    MacAddress([2, 0, 0, 0, 0, 0xa0 + host])
}

/// The address of a host.
pub(crate) fn address_of(host: u8, is_v6: bool) -> Address {
    let is_far = host == HOSTS - 1;
    if is_v6 {
        let net = u8::from(is_far);
        let last = 0x64 + host;
        Address::from_octets([0x20, 1, 0x0d, 0xb8, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
    } else if is_far {
        Address::from_v4_octets([192, 0, 2, 100 + host])
    } else {
        Address::from_v4_octets([10, 9, 0, 100 + host])
    }
}

/// Our address of a family.
pub(crate) fn our_address(is_v6: bool) -> Address {
    if is_v6 { OUR_V6 } else { OUR_V4 }
}

/// A packet from `host` to `destination` with `payload`, in its frame.
pub(crate) fn packet(host: u8, destination: Address, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let source = address_of(host, destination.is_v6());
    let is_nd = protocol == protocol::ICMPV6 && matches!(payload.first(), Some(133..=137));
    let hop_limit = if is_nd { ndp::HOP_LIMIT } else { 64 };
    let mut packet = ip_packet(source, destination, (protocol, hop_limit), payload);
    let destination =
        if destination.is_multicast() { MacAddress::for_multicast(destination) } else { OUR_MAC };
    let ethertype = if source.is_v4() { EtherType::IPV4 } else { EtherType::IPV6 };
    let mut frame = vec![0; ETHERNET_LEN];
    ethernet::Repr { destination, source: mac_of(host), ethertype }.emit(&mut frame);
    frame.append(&mut packet);
    frame
}

/// A packet from `source` to `destination`; `carried` is the protocol and the hop limit.
pub(crate) fn ip_packet(
    source: Address,
    destination: Address,
    carried: (u8, u8),
    payload: &[u8],
) -> Vec<u8> {
    let (protocol, hop_limit) = carried;
    let payload_len = u16::try_from(payload.len()).expect("payloads are short");
    let mut bytes = if source.is_v4() {
        let mut bytes = vec![0; ipv4::HEADER_LEN];
        let repr = ipv4::Repr {
            source: source.v4_octets().into(),
            destination: destination.v4_octets().into(),
            protocol,
            payload_len,
            hop_limit,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            fragment: ipv4::Fragment::WHOLE,
        };
        repr.emit(&mut bytes);
        bytes
    } else {
        let mut bytes = vec![0; ipv6::HEADER_LEN];
        let repr = ipv6::Repr {
            source: source.to_v6(),
            destination: destination.to_v6(),
            next_header: protocol,
            payload_len,
            hop_limit,
            traffic_class: 0,
            flow_label: 0,
        };
        repr.emit(&mut bytes);
        bytes
    };
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame of another type than IP, to us or to all.
pub(crate) fn other(host: u8, is_for_all: bool, ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
    let destination = if is_for_all { MacAddress([0xff; 6]) } else { OUR_MAC };
    let mut frame = vec![0; ETHERNET_LEN];
    ethernet::Repr { destination, source: mac_of(host), ethertype }.emit(&mut frame);
    frame.extend_from_slice(payload);
    frame
}

/// A TCP segment; `options` are laid behind the header as they are, instead of those of `repr`.
pub(crate) fn segment(repr: &Repr, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; repr.header_len()];
    repr.emit(&mut bytes);
    if !options.is_empty() {
        bytes.truncate(wire::tcp::HEADER_LEN);
        bytes.extend_from_slice(&options[..options.len().min(wire::tcp::OPTIONS_LEN_MAX)]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = u8::try_from(bytes.len() / 4).expect("at most 15 words");
        bytes[12] = words << 4;
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Milliseconds of a peer's timestamp clock.
pub(crate) fn timestamp(now: Instant) -> u32 {
    now.as_millis_wrapped().wrapping_add(0x7000_0000)
}

/// Gives a frame right checksums of IP and of what it carries; with `lengths`, right lengths too.
pub(crate) fn repair(frame: &mut [u8], lengths: bool) {
    let Some((_, packet)) = frame.split_at_mut_checked(ETHERNET_LEN) else { return };
    match packet.first().map_or(0, |first| first >> 4) {
        4 => repair_v4(packet, lengths),
        6 => repair_v6(packet, lengths),
        _ => {}
    }
}

fn repair_v4(packet: &mut [u8], lengths: bool) {
    let header_len = usize::from(packet[0] & 15) * 4;
    if packet.len() < header_len || header_len < ipv4::HEADER_LEN {
        return;
    }
    if lengths {
        let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        packet[2..4].copy_from_slice(&len.to_be_bytes());
    }
    packet[10..12].fill(0);
    let sum = checksum::fold(checksum::sum(&packet[..header_len]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let total_len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let end = total_len.clamp(header_len, packet.len());
    let octets = |at: usize| {
        Address::from_v4_octets([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
    };
    let (source, destination, protocol) = (octets(12), octets(16), packet[9]);
    repair_transport(&mut packet[header_len..end], (source, destination), protocol, lengths);
}

fn repair_v6(packet: &mut [u8], lengths: bool) {
    let Some(rest_len) = packet.len().checked_sub(ipv6::HEADER_LEN) else { return };
    if lengths {
        let len = u16::try_from(rest_len).unwrap_or(u16::MAX);
        packet[4..6].copy_from_slice(&len.to_be_bytes());
    }
    let Ok(parsed) = ipv6::Packet::parse(packet) else { return };
    let ends = (Address::from(parsed.source()), Address::from(parsed.destination()));
    let Ok(upper) = parsed.upper() else { return };
    let start = ipv6::HEADER_LEN + upper.offset;
    let end = ipv6::HEADER_LEN + parsed.payload().len();
    repair_transport(&mut packet[start..end], ends, upper.protocol, lengths);
}

fn repair_transport(bytes: &mut [u8], ends: (Address, Address), protocol: u8, lengths: bool) {
    let (source, destination) = ends;
    match protocol {
        protocol::TCP if bytes.len() >= wire::tcp::HEADER_LEN => {
            wire::tcp::set_checksum(bytes, 0);
            wire::tcp::fill_checksum(bytes, source, destination);
        }
        protocol::UDP if bytes.len() >= udp::HEADER_LEN => {
            if lengths {
                let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
                bytes[4..6].copy_from_slice(&len.to_be_bytes());
            }
            let len = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
            let covered = len.clamp(udp::HEADER_LEN, bytes.len());
            bytes[6..8].fill(0);
            udp::fill_checksum(&mut bytes[..covered], source, destination);
        }
        protocol::ICMP if bytes.len() >= 8 => {
            bytes[2..4].fill(0);
            let sum = checksum::fold(checksum::sum(bytes));
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        protocol::ICMPV6 if bytes.len() >= icmpv6::HEADER_LEN && source.is_v6() => {
            bytes[2..4].fill(0);
            icmpv6::fill_checksum(bytes, source.to_v6(), destination.to_v6());
        }
        _ => {}
    }
}

/// A TCP segment in a frame, as far as it can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) repr: Repr,
    pub(crate) payload_len: u32,
}

impl Seen {
    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.repr.flags.contains(flags)
    }

    /// Sequence numbers that it takes.
    pub(crate) fn sequence_len(&self) -> u32 {
        self.repr.sequence_len(self.payload_len)
    }
}

/// The transport of a frame: its ends, its protocol, its bytes.
pub(crate) fn transport(frame: &[u8]) -> Option<(Address, Address, u8, &[u8])> {
    let (header, _) = ethernet::Repr::parse(frame).ok()?;
    let bytes = &frame[ETHERNET_LEN..];
    match header.ethertype {
        EtherType::IPV4 => {
            let packet = ipv4::Packet::parse(bytes).ok()?;
            let ends = (packet.source().into(), packet.destination().into());
            let is_whole = !packet.is_fragment();
            is_whole.then(|| (ends.0, ends.1, packet.protocol(), packet.payload()))
        }
        EtherType::IPV6 => {
            let packet = ipv6::Packet::parse(bytes).ok()?;
            let upper = packet.upper().ok()?;
            let payload = packet.payload().get(upper.offset..)?;
            let ends = (packet.source().into(), packet.destination().into());
            upper.fragment.is_none().then_some((ends.0, ends.1, upper.protocol, payload))
        }
        _ => None,
    }
}

/// The TCP segment of a frame whose checksums are right, or held to be.
pub(crate) fn seen(frame: &[u8], is_verified: bool) -> Option<Seen> {
    let (source, destination, protocol, bytes) = transport(frame)?;
    if protocol != protocol::TCP
        || !is_verified && !checksum::verify(source, destination, protocol, bytes)
    {
        return None;
    }
    let (repr, header_len) = Repr::parse(bytes).ok()?;
    let payload_len = u32::try_from(bytes.len() - header_len).expect("frames are short");
    Some(Seen { source, destination, repr, payload_len })
}
