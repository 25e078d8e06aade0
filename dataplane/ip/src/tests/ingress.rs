//! What is delivered, and why the rest is not.

use super::*;

/// A SYN over IPv4 as Linux sent it to B.
const SYN_V4: &str = "02000000000b 02000000000a 0800
    4500003c22a24000400604060a0900010a090002
    d5f00007951923d000000000a002faf08c500000020405b40402080a9b78824d000000000103030a";
/// A SYN over IPv6 as Linux sent it to B.
const SYN_V6: &str = "02000000000b 02000000000a 86dd
    600f803b00280640 20010db800000000000000000000000a 20010db800000000000000000000000b
    8d940007fb9058bd00000000a002fd20817d0000020405a00402080ab296d96b000000000103030a";
/// A UDP datagram behind a destination header as Linux sent it to B.
const UDP_V6: &str = "02000000000b 02000000000a 86dd
    600d22c500173c40 20010db800000000000000000000000a 20010db800000000000000000000000b
    1100010400000000 cd080007000f1ae26473746f707473";

fn delivered(ip: &mut Ip, frame: &mut [u8]) -> Packet {
    let ingress = ip.handle_frame(frame, at(0));
    let Ingress::Transport(packet) = ingress else { panic!("{ingress:?}") };
    packet
}

fn dropped(frame: &[u8]) -> DropReason {
    let mut ip = host_b();
    let ingress = ip.handle_frame(&mut frame.to_vec(), at(0));
    let Ingress::Drop(reason) = ingress else { panic!("{ingress:?}") };
    assert_eq!(ip.counters().drops(reason), 1);
    assert_eq!(ip.counters().drops_all(), 1);
    reason
}

#[test]
fn captured_packets_are_delivered_as_they_are() {
    let mut ip = host_b();
    let mut frame = hex(SYN_V4);
    let packet = delivered(&mut ip, &mut frame);
    let expected = Packet {
        source: address("10.9.0.1"),
        destination: address("10.9.0.2"),
        local: LocalIndex(0),
        protocol: wire::protocol::TCP,
        offset: 34,
        len: 40,
        hop: HopIndex::NONE,
        ecn: 0,
        is_broadcast: false,
        is_multicast: false,
    };
    assert_eq!(packet, expected);
    assert_eq!(frame, hex(SYN_V4), "the bytes are untouched");

    let packet = delivered(&mut ip, &mut hex(SYN_V6));
    let (source, destination) = (address("2001:db8::a"), address("2001:db8::b"));
    let expected = Packet { source, destination, local: LocalIndex(1), offset: 54, ..expected };
    assert_eq!(packet, expected);

    let packet = delivered(&mut ip, &mut hex(UDP_V6));
    let protocol = wire::protocol::UDP;
    assert_eq!(packet, Packet { protocol, offset: 62, len: 15, ..expected });
    assert_eq!(ip.counters().delivered, 3);
}

#[test]
fn padding_of_the_link_is_no_part_of_the_packet() {
    let mut frame = packet("10.9.0.1", "10.9.0.2", 17, &[1; 8]);
    frame.resize(60, 0);
    assert_eq!(delivered(&mut host_b(), &mut frame).len, 8);
}

#[test]
fn the_hint_is_the_neighbour_that_an_answer_would_take() {
    let mut ip = host_b();
    let hop = learn(&mut ip, "10.9.0.1", MAC_A, at(0));
    assert_eq!(delivered(&mut ip, &mut hex(SYN_V4)).hop, hop);
    let gateway = delivered(&mut ip, &mut packet("8.8.8.8", "10.9.0.2", 6, &[0; 20])).hop;
    assert_eq!(ip.resolve(address("8.8.8.8"), gateway, at(0)), Resolution::Wait(gateway));
}

#[test]
fn ecn_bits_are_handed_up() {
    let mut frame = changed_v4(hex(SYN_V4), |header| header[1] = 0xb9);
    assert_eq!(delivered(&mut host_b(), &mut frame).ecn, 1);
    let mut frame = hex(SYN_V6);
    frame[15] |= 0x30;
    assert_eq!(delivered(&mut host_b(), &mut frame).ecn, 3);
}

#[test]
fn what_is_for_all_says_so() {
    for destination in ["255.255.255.255", "10.9.0.255"] {
        let mut frame = packet("10.9.0.1", destination, 17, &[0; 8]);
        frame[..6].fill(0xff);
        let packet = delivered(&mut host_b(), &mut frame);
        assert!(packet.is_broadcast && !packet.is_multicast);
        assert_eq!(packet.local, LocalIndex(0));
    }
    for destination in ["224.0.0.1", "ff02::1", "ff02::1:ff00:b"] {
        let source = if destination.contains(':') { "fe80::1" } else { "10.9.0.1" };
        let mut frame = packet(source, destination, 17, &[0; 8]);
        let packet = delivered(&mut host_b(), &mut frame);
        assert!(packet.is_multicast && !packet.is_broadcast);
    }
}

#[test]
fn frames_of_other_stations_or_protocols_are_dropped() {
    let good = hex(SYN_V4);
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    assert_eq!(dropped(&good[..13]), DropReason::EthernetTruncated);
    assert_eq!(dropped(&with(0, &MAC_OTHER.0)), DropReason::StationOther);
    assert_eq!(dropped(&with(6, &[3])), DropReason::StationMartian);
    assert_eq!(dropped(&with(12, &[0x81, 0x00])), DropReason::EtherTypeUnknown);
    assert_eq!(dropped(&with(0, &[0xff; 6])), DropReason::LinkBroadcast);
    assert_eq!(dropped(&with(12, &[0x08, 0x06])), DropReason::ArpMalformed);
}

#[test]
fn malformed_packets_are_dropped() {
    let good = hex(SYN_V4);
    assert_eq!(dropped(&good[..14]), DropReason::Ipv4Malformed);
    assert_eq!(dropped(&good[..good.len() - 1]), DropReason::Ipv4Malformed);
    let mut wrong = good;
    wrong[24] ^= 1;
    assert_eq!(dropped(&wrong), DropReason::Ipv4Checksum);
    let source_route = changed_v4(packet("10.9.0.1", "10.9.0.2", 6, &[0; 28]), |header| {
        header[0] = 0x47;
        header[20..28].copy_from_slice(&[131, 7, 4, 10, 9, 0, 2, 0]);
    });
    assert_eq!(dropped(&source_route), DropReason::Ipv4SourceRoute);

    let good = hex(SYN_V6);
    assert_eq!(dropped(&good[..good.len() - 1]), DropReason::Ipv6Malformed);
    let mut too_long = hex(UDP_V6);
    too_long[55] = 9;
    assert_eq!(dropped(&too_long), DropReason::Ipv6Extension);
}

#[test]
fn pieces_are_dropped() {
    for field in [[0x20, 0x00], [0x00, 0x01], [0x3f, 0xff]] {
        let piece = changed_v4(hex(SYN_V4), |header| header[6..8].copy_from_slice(&field));
        assert_eq!(dropped(&piece), DropReason::Ipv4Fragment);
    }
    let piece = [[6, 0, 0, 1, 0, 0, 0, 1], [0; 8], [0; 8]].concat();
    assert_eq!(dropped(&packet("fe80::1", "2001:db8::b", 44, &piece)), DropReason::Ipv6Fragment);
}

#[test]
fn martians_are_dropped() {
    for source in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "10.9.0.2",
        "10.9.0.255",
    ] {
        let frame = packet(source, "10.9.0.2", 6, &[0; 20]);
        assert_eq!(dropped(&frame), DropReason::SourceMartian, "{source}");
    }
    for source in ["::", "::1", "ff02::1", "::ffff:192.0.2.1", "2001:db8::b", "fe80::ff:fe00:b"] {
        let mut frame = packet("2001:db8::a", "2001:db8::b", 6, &[0; 20]);
        let source_bytes: Ipv6Addr = source.parse().expect("a literal");
        frame[22..38].copy_from_slice(&source_bytes.octets());
        assert_eq!(dropped(&frame), DropReason::SourceMartian, "{source}");
    }
}

#[test]
fn what_is_for_others_is_dropped() {
    for destination in ["10.9.0.3", "224.0.0.251", "0.0.0.0", "10.9.0.0"] {
        let frame = packet("10.9.0.1", destination, 6, &[0; 20]);
        assert_eq!(dropped(&frame), DropReason::DestinationOther, "{destination}");
    }
    for destination in ["2001:db8::c", "ff02::2", "ff02::1:ff00:c", "::1", "::"] {
        let frame = packet("2001:db8::a", destination, 6, &[0; 20]);
        assert_eq!(dropped(&frame), DropReason::DestinationOther, "{destination}");
    }
}

#[test]
fn a_packet_without_payload_protocol_is_taken_in() {
    let mut frame = packet("2001:db8::a", "2001:db8::b", wire::protocol::NO_NEXT_HEADER, &[]);
    assert_eq!(host_b().handle_frame(&mut frame, at(0)), Ingress::Consumed);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_its_reason() {
    let good = config(MAC_B, &["10.9.0.2/24", "2001:db8::b/64"]);
    let error = |config: Config| Ip::new(&config, [7; 32]).expect_err("bad");
    let mac = MacAddress::BROADCAST;
    assert_eq!(error(Config { mac, ..good.clone() }), ConfigError::ConfigMac(mac));
    let (mtu, mtu_min) = (1279, 1280);
    assert_eq!(error(Config { mtu, ..good.clone() }), ConfigError::ConfigMtu { mtu, mtu_min });
    let (neighbours_max, gateways) = (2, 2);
    let few = ConfigError::ConfigNeighbours { neighbours_max, gateways };
    assert_eq!(error(Config { neighbours_max, ..good.clone() }), few);
    let neighbours_max = NEIGHBOURS_MAX + 1;
    let many = ConfigError::ConfigNeighbours { neighbours_max, gateways };
    assert_eq!(error(Config { neighbours_max, ..good.clone() }), many);
    let parked_max = PARKED_MAX + 1;
    assert_eq!(error(Config { parked_max, ..good }), ConfigError::ConfigParked(parked_max));
    let v4_only = Config {
        link_local: false,
        mtu: 576,
        routes: Vec::new(),
        ..config(MAC_B, &["10.9.0.2/24"])
    };
    assert!(Ip::new(&v4_only, [7; 32]).is_ok());
}
