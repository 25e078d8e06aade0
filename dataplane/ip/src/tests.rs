//! Scenarios on virtual time, against frames that Linux sent and frames made here.

mod cores;
mod echo;
mod icmp;
mod ingress;
mod neighbours;
mod pair;
mod seen;

use core::net::Ipv6Addr;

use base::{Duration, Instant};
use wire::ethernet::{self, EtherType};
use wire::{Address, MacAddress, arp, ipv4, ipv6, ndp};

use crate::*;

/// Two stations on one link, as in the captures.
const MAC_A: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x0a]);
const MAC_B: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x0b]);
const MAC_OTHER: MacAddress = MacAddress([2, 0, 0, 0, 0, 0x99]);

fn address(text: &str) -> Address {
    text.parse().expect("a literal")
}

fn cidr(text: &str) -> Cidr {
    text.parse().expect("a literal")
}

/// `seconds` after the zero of virtual time.
fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn config(mac: MacAddress, own: &[&str]) -> Config {
    let route = |destination, gateway| RouteConfig {
        destination: cidr(destination),
        gateway: Some(address(gateway)),
    };
    Config {
        mac,
        addresses: own.iter().map(|text| cidr(text)).collect(),
        routes: vec![route("0.0.0.0/0", "10.9.0.254"), route("::/0", "fe80::fe")],
        neighbours_max: 10,
        parked_max: 8,
        announce: false,
        ..Config::default()
    }
}

fn made(config: &Config) -> Ip {
    Ip::new(config, [7; 32]).expect("a good configuration")
}

/// 10.9.0.1, 2001:db8::a and fe80::ff:fe00:a.
fn host_a() -> Ip {
    made(&config(MAC_A, &["10.9.0.1/24", "2001:db8::a/64"]))
}

/// 10.9.0.2, 2001:db8::b and fe80::ff:fe00:b.
fn host_b() -> Ip {
    made(&config(MAC_B, &["10.9.0.2/24", "2001:db8::b/64"]))
}

/// Bytes of a capture.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| core::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

fn ethernet_frame(from: MacAddress, to: MacAddress, ethertype: EtherType, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; ethernet::HEADER_LEN];
    ethernet::Repr { destination: to, source: from, ethertype }.emit(&mut bytes);
    bytes.extend_from_slice(rest);
    bytes
}

/// An IPv4 or IPv6 packet from A's station to B's.
fn packet(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = (address(source), address(destination));
    let payload_len = u16::try_from(payload.len()).expect("short");
    let (mut bytes, ethertype) = if destination.is_v4() {
        let mut header = vec![0; ipv4::HEADER_LEN];
        let repr = ipv4::Repr {
            source: source.v4_octets().into(),
            destination: destination.v4_octets().into(),
            protocol,
            payload_len,
            hop_limit: 64,
            traffic_class: 0,
            identification: 1,
            dont_fragment: true,
            fragment: ipv4::Fragment::WHOLE,
        };
        repr.emit(&mut header);
        (header, EtherType::IPV4)
    } else {
        let mut header = vec![0; ipv6::HEADER_LEN];
        let repr = ipv6::Repr {
            source: source.to_v6(),
            destination: destination.to_v6(),
            next_header: protocol,
            payload_len,
            hop_limit: 255,
            traffic_class: 0,
            flow_label: 0,
        };
        repr.emit(&mut header);
        (header, EtherType::IPV6)
    };
    bytes.extend_from_slice(payload);
    let to = if destination.is_multicast() {
        MacAddress::for_multicast(destination)
    } else if destination == Address::BROADCAST {
        MacAddress::BROADCAST
    } else {
        MAC_B
    };
    ethernet_frame(MAC_A, to, ethertype, &bytes)
}

/// Changes the IPv4 header of a frame and mends its checksum.
fn changed_v4(mut frame: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut frame[14..]);
    frame[24..26].fill(0);
    let header_len = usize::from(frame[14] & 15) * 4;
    let sum = wire::checksum::fold(wire::checksum::sum(&frame[14..14 + header_len]));
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// An ARP packet from the station `from`, to all if it asks and to `to` if it answers.
fn arp_frame(
    operation: arp::Operation,
    from: MacAddress,
    sender: &str,
    to: MacAddress,
    target: &str,
) -> Vec<u8> {
    let repr = arp::Repr {
        operation,
        sender_mac: from,
        sender_ip: sender.parse().expect("a literal"),
        target_mac: to,
        target_ip: target.parse().expect("a literal"),
    };
    let mut bytes = vec![0; arp::PACKET_LEN];
    repr.emit(&mut bytes);
    let to = match operation {
        arp::Operation::Request => MacAddress::BROADCAST,
        arp::Operation::Reply => to,
    };
    ethernet_frame(from, to, EtherType::ARP, &bytes)
}

/// A neighbour message from A's station.
fn nd_frame(repr: ndp::Repr, source: &str, destination: &str) -> Vec<u8> {
    let ends: [Ipv6Addr; 2] = [source, destination].map(|text| text.parse().expect("a literal"));
    let mut message = vec![0; repr.header_len()];
    repr.emit(&mut message, ends[0], ends[1]);
    packet(source, destination, wire::protocol::ICMPV6, &message)
}

/// A neighbour's answer to B, in the family of `neighbour`.
fn answer(neighbour: &str, mac: MacAddress) -> Vec<u8> {
    if address(neighbour).is_v4() {
        return arp_frame(arp::Operation::Reply, mac, neighbour, MAC_B, "10.9.0.2");
    }
    advertisement(neighbour, Some(mac), "2001:db8::b", true, true)
}

fn advertisement(
    target: &str,
    target_link: Option<MacAddress>,
    destination: &str,
    is_solicited: bool,
    overrides: bool,
) -> Vec<u8> {
    let repr = ndp::Repr::Advertisement {
        target: target.parse().expect("a literal"),
        is_router: false,
        is_solicited,
        overrides,
        target_link,
    };
    nd_frame(repr, target, destination)
}

fn solicitation(
    source: &str,
    source_link: Option<MacAddress>,
    destination: &str,
    target: &str,
) -> Vec<u8> {
    let target = target.parse().expect("a literal");
    nd_frame(ndp::Repr::Solicitation { target, source_link }, source, destination)
}

/// All control frames that are due.
fn control_frames(ip: &mut Ip, now: Instant) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut bytes = [0xaa; CONTROL_FRAME_LEN_MAX];
    while let Some(len) = ip.poll_transmit(&mut bytes, now) {
        frames.push(bytes[..len].to_vec());
    }
    frames
}

/// Where a frame goes.
fn station(frame: &[u8]) -> MacAddress {
    ethernet::Repr::parse(frame).expect("a frame").0.destination
}

fn hop(resolution: Resolution) -> HopIndex {
    match resolution {
        Resolution::Known(hop) | Resolution::Wait(hop) => hop,
        Resolution::Unreachable(reason) => panic!("unreachable: {reason}"),
    }
}

/// Makes `neighbour` known to B at `now`.
fn learn(ip: &mut Ip, neighbour: &str, mac: MacAddress, now: Instant) -> HopIndex {
    let resolution = ip.resolve(address(neighbour), HopIndex::NONE, now);
    assert!(matches!(resolution, Resolution::Wait(_)), "{resolution:?}");
    assert_eq!(control_frames(ip, now).len(), 1);
    assert_eq!(ip.handle_frame(&mut answer(neighbour, mac), now), Ingress::Consumed);
    let resolution = ip.resolve(address(neighbour), HopIndex::NONE, now);
    assert!(matches!(resolution, Resolution::Known(_)), "{resolution:?}");
    hop(resolution)
}
