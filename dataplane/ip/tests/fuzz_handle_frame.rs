//! No frame makes the network layer panic or speak of bytes that are not there, and what it writes
//! itself another host accepts.
//!
//! Random bytes hardly ever have right checksums or the right station, so every input is tried as
//! it is and repaired.
#![forbid(unsafe_code)]

use base::{Duration, Instant};
use ip::{CONTROL_FRAME_LEN_MAX, Cidr, Config, HopIndex, Ingress, Ip, Resolution, RouteConfig};
use wire::{Address, MacAddress, checksum, protocol};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];

#[test]
fn fuzz_handle_frame() {
    bolero::check!().for_each(|bytes: &[u8]| {
        check(bytes);
        check(&repaired(bytes));
    });
}

fn host() -> Ip {
    let cidr = |text: &str| text.parse::<Cidr>().expect("a literal");
    let address = |text: &str| text.parse::<Address>().expect("a literal");
    let route = |destination, gateway| RouteConfig {
        destination: cidr(destination),
        gateway: Some(address(gateway)),
    };
    let config = Config {
        mac: MacAddress(MAC),
        addresses: vec![cidr("10.9.0.2/24"), cidr("10.9.0.1/24"), cidr("2001:db8::b/64")],
        routes: vec![route("0.0.0.0/0", "10.9.0.254"), route("::/0", "fe80::fe")],
        neighbours_max: 4,
        announce: false,
        ..Config::default()
    };
    Ip::new(&config, [7; 32]).expect("a good configuration")
}

fn check(frame: &[u8]) {
    let mut ip = host();
    let now = Instant::ZERO + Duration::from_secs(1);
    // A neighbour that is looked for, so that claims have something to act on.
    let neighbour = Address::from_v4_octets([10, 9, 0, 9]);
    assert!(matches!(ip.resolve(neighbour, HopIndex::NONE, now), Resolution::Wait(_)));
    let mut bytes = frame.to_vec();
    match ip.handle_frame(&mut bytes, now) {
        Ingress::Transport(packet) => {
            assert!(packet.offset + packet.len <= bytes.len());
            assert_eq!(bytes, frame, "what is handed up is untouched");
            assert!(packet.source.is_unicast());
            let resolution = ip.resolve(packet.source, packet.hop, now);
            assert!(!matches!(resolution, Resolution::Known(_)), "packets teach nothing");
            report(&mut ip, ip::Report::PortUnreachable, frame, now);
            report(&mut ip, ip::Report::ProtocolUnreachable, frame, now);
        }
        Ingress::Reply { len } => assert!(len <= bytes.len()),
        Ingress::Error(error) => {
            assert!(error.len >= 8 && error.offset + error.len <= bytes.len());
            assert_eq!(bytes, frame, "what is handed up is untouched");
        }
        Ingress::Report(problem) => report(&mut ip, problem, frame, now),
        Ingress::Consumed => {}
        Ingress::Drop(reason) => assert_eq!(ip.counters().drops(reason), 1),
    }
    let mut control = [0; CONTROL_FRAME_LEN_MAX];
    while ip.poll_transmit(&mut control, now).is_some() {}
}

fn report(ip: &mut Ip, report: ip::Report, frame: &[u8], now: Instant) {
    let mut bytes = [0; 1600];
    if let Some(len) = ip.write_icmp_error(report, frame, &mut bytes, now) {
        assert!(len <= 14 + 1280);
        assert_eq!(bytes[6..12], MAC);
        assert_eq!(bytes[..6], frame[6..12]);
    }
}

/// The frame with our station, and with right checksums of IPv4 and ICMP.
fn repaired(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let Some((header, packet)) = frame.split_first_chunk_mut::<14>() else { return frame };
    if header[0] & 1 == 0 {
        header[..6].copy_from_slice(&MAC);
    }
    match packet.first().map_or(0, |first| first >> 4) {
        4 => repair_v4(packet),
        6 => repair_v6(packet),
        _ => {}
    }
    frame
}

fn repair_v4(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 15) * 4;
    if packet.len() < header_len || header_len < 20 {
        return;
    }
    let total_len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let end = total_len.clamp(header_len, packet.len());
    let (header, message) = packet[..end].split_at_mut(header_len);
    if header[9] == protocol::ICMP && message.len() >= 8 {
        message[2..4].fill(0);
        let sum = checksum::fold(checksum::sum(message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    header[10..12].fill(0);
    let sum = checksum::fold(checksum::sum(header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn repair_v6(packet: &mut [u8]) {
    let Some((header, rest)) = packet.split_first_chunk_mut::<40>() else { return };
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let end = payload_len.min(rest.len());
    let message = &mut rest[..end];
    if header[6] == protocol::ICMPV6 && message.len() >= 8 {
        let (ends, _) = header[8..].as_chunks::<16>();
        wire::icmpv6::fill_checksum(message, ends[0].into(), ends[1].into());
    }
}
