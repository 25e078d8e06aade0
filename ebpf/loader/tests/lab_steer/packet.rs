//! Packets, byte by byte: no checksum is right, because the program reads none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::machine::MAC;

pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const RST: u8 = 0x04;

pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
pub(crate) const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 9];

pub(crate) const ETHERNET: usize = 14;
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

pub(crate) fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

pub(crate) fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// A frame to the gateway's station.
pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    ethernet_to(MAC, ethertype, payload)
}

pub(crate) fn ethernet_to(to: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to, SENDER].concat();
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An ARP packet of any operation.
pub(crate) fn arp(operation: u8, sender: &str, target: &str) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
    packet.extend(SENDER);
    packet.extend(v4(sender).octets());
    packet.extend([0; 6]);
    packet.extend(v4(target).octets());
    packet
}

/// An IPv4 packet without options.
pub(crate) fn ipv4(from: &str, to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(from, to, protocol, 0, &[], payload)
}

/// `fragment` is the field of flags and offset; options are whole words.
pub(crate) fn ipv4_with(
    from: &str,
    to: &str,
    protocol: u8,
    fragment: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header_len = 20 + options.len();
    let words = u8::try_from(header_len / 4).expect("at most 15");
    let len = u16::try_from(header_len + payload.len()).expect("a short packet");
    let mut packet = vec![0x40 | words, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(v4(from).octets());
    packet.extend(v4(to).octets());
    packet.extend(options);
    packet.extend(payload);
    packet
}

pub(crate) fn ipv6(from: &str, to: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_with(from, to, next, 64, payload)
}

pub(crate) fn ipv6_with(from: &str, to: &str, next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a short packet");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([next, hops]);
    packet.extend(v6(from).octets());
    packet.extend(v6(to).octets());
    packet.extend(payload);
    packet
}

/// A TCP header without options.
pub(crate) fn tcp(flags: u8) -> Vec<u8> {
    let mut header = vec![0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags];
    header.extend([0xff, 0xff, 0, 0, 0, 0]);
    header
}

pub(crate) fn udp() -> Vec<u8> {
    vec![0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]
}

/// An ICMP or ICMPv6 header with four bytes behind it.
pub(crate) fn icmp(kind: u8) -> Vec<u8> {
    vec![kind, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4]
}

/// A neighbour solicitation (135) or advertisement (136).
pub(crate) fn neighbour(kind: u8, target: &str) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    message.extend(v6(target).octets());
    message.extend([1, 1, 2, 0, 0, 0, 0, 9]);
    message
}

/// A whole frame with a SYN to the gateway.
pub(crate) fn syn(from: IpAddr) -> Vec<u8> {
    tcp_from(from, SYN)
}

/// A whole frame of TCP to the gateway.
pub(crate) fn tcp_from(from: IpAddr, flags: u8) -> Vec<u8> {
    match from {
        IpAddr::V4(from) => {
            ethernet(0x0800, &ipv4(&from.to_string(), "10.77.0.2", TCP, &tcp(flags)))
        }
        IpAddr::V6(from) => ethernet(0x86dd, &ipv6(&from.to_string(), "fd77::2", TCP, &tcp(flags))),
    }
}
