//! Echo, errors that come in, errors that go out.

use super::*;
use wire::{icmpv4, icmpv6, protocol};

/// Echo requests as Linux sent them to B, and what it answered.
const ECHO_V4: [&str; 2] = [
    "02000000000b 02000000000a 0800 450000241fb44000400107110a0900010a090002
        0800661c004d00016162636465666768",
    "02000000000a 02000000000b 0800 450000245a88000040010c3d0a0900020a090001
        00006e1c004d00016162636465666768",
];
const ECHO_V6: [&str; 2] = [
    "02000000000b 02000000000a 86dd 6001f88d00103a40
        20010db800000000000000000000000a 20010db800000000000000000000000b
        8000924a004d00016162636465666768",
    "02000000000a 02000000000b 86dd 6005178700103a40
        20010db800000000000000000000000b 20010db800000000000000000000000a
        8100914a004d00016162636465666768",
];
/// "Port unreachable" about a datagram of A, as Linux sent it to A.
const PORT_UNREACHABLE_V4: &str = "02000000000a 02000000000b 0800
    45c0003e5a7a000040010b710a0900020a090001 0303113100000000
    45000022c3364000401163800a0900010a090002 e4a60009000ed1b56e6f626f6479";

fn reply(ip: &mut Ip, frame: &mut [u8]) -> Vec<u8> {
    let ingress = ip.handle_frame(frame, at(0));
    let Ingress::Reply { len } = ingress else { panic!("{ingress:?}") };
    frame[..len].to_vec()
}

fn echo_request_v4() -> Vec<u8> {
    let mut message = b"\0\0\0\0\0\0\0\0ping".to_vec();
    icmpv4::Repr::EchoRequest { ident: 1, seq: 2 }.emit(&mut message);
    message
}

fn echo_request_v6(source: &str, destination: &str) -> Vec<u8> {
    let [source_v6, destination_v6] = [source, destination].map(|text| address(text).to_v6());
    let mut message = b"\0\0\0\0\0\0\0\0ping".to_vec();
    icmpv6::Repr::EchoRequest { ident: 1, seq: 2 }.emit(&mut message, source_v6, destination_v6);
    packet(source, destination, protocol::ICMPV6, &message)
}

/// An ICMP error from A's station to B that quotes `quoted`.
fn error_v4(repr: icmpv4::Repr, quoted: &[u8]) -> Vec<u8> {
    let mut message = [&[0; 8], quoted].concat();
    repr.emit(&mut message);
    packet("10.9.0.1", "10.9.0.2", protocol::ICMP, &message)
}

fn error_v6(repr: icmpv6::Repr, quoted: &[u8]) -> Vec<u8> {
    let mut message = [&[0; 8], quoted].concat();
    let (source, destination) = ("2001:db8::a", "2001:db8::b");
    repr.emit(&mut message, address(source).to_v6(), address(destination).to_v6());
    packet(source, destination, protocol::ICMPV6, &message)
}

fn quoted(source: &str, destination: &str) -> Vec<u8> {
    packet(source, destination, protocol::TCP, &[1, 2, 3, 4, 5, 6, 7, 8, 9])[14..].to_vec()
}

/// The error that B writes about `frame`, if it may.
fn reported(ip: &mut Ip, report: Report, frame: &[u8], now: Instant) -> Option<Vec<u8>> {
    let mut bytes = vec![0xaa; 1500];
    let len = ip.write_icmp_error(report, frame, &mut bytes, now)?;
    bytes.truncate(len);
    Some(bytes)
}

#[test]
fn echo_requests_are_answered_as_linux_answers_them() {
    let [request, answer] = ECHO_V4;
    let ours = reply(&mut host_b(), &mut hex(request));
    // Linux counts its packets; ours have no number and may not be cut.
    let linux = changed_v4(hex(answer), |header| header[4..8].copy_from_slice(&[0, 0, 0x40, 0]));
    assert_eq!(ours, linux);

    let [request, answer] = ECHO_V6;
    let ours = reply(&mut host_b(), &mut hex(request));
    let mut linux = hex(answer);
    linux[15..18].fill(0);
    assert_eq!(ours, linux, "but for the flow label");
}

#[test]
fn padding_and_options_of_a_request_are_left_out_of_the_reply() {
    let message = [&[148, 4, 0, 0], &echo_request_v4()[..]].concat();
    let mut request = changed_v4(packet("10.9.0.1", "10.9.0.2", 1, &message), |header| {
        header[0] = 0x46;
        header[1] = 0xbb;
    });
    request.resize(60, 0xaa);
    let reply = reply(&mut host_b(), &mut request);
    let (header, header_len) = ipv4::Repr::parse(&reply[14..]).expect("our own");
    assert_eq!((reply.len(), header_len), (34 + 12, 20));
    assert_eq!(header.traffic_class, 0xb8, "the service is kept, congestion marks are not");
    let (repr, _) = icmpv4::Repr::parse(&reply[34..]).expect("our own");
    assert_eq!(repr, icmpv4::Repr::EchoReply { ident: 1, seq: 2 });
    assert_eq!(reply[42..], *b"ping");
}

#[test]
fn an_echo_request_for_all_is_dropped_over_ipv4_and_answered_by_one_over_ipv6() {
    for destination in ["10.9.0.255", "255.255.255.255", "224.0.0.1"] {
        let mut frame = packet("10.9.0.1", destination, protocol::ICMP, &echo_request_v4());
        let ingress = host_b().handle_frame(&mut frame, at(0));
        assert_eq!(ingress, Ingress::Drop(DropReason::EchoBroadcast));
    }
    for (source, own) in [("2001:db8::a", "2001:db8::b"), ("fe80::a", "fe80::ff:fe00:b")] {
        let reply = reply(&mut host_b(), &mut echo_request_v6(source, "ff02::1"));
        let (header, _) = ipv6::Repr::parse(&reply[14..]).expect("our own");
        assert_eq!(Address::from(header.source), address(own));
        let checked = icmpv6::Repr::parse(&reply[54..], header.source, header.destination);
        let expected = icmpv6::Repr::EchoReply { ident: 1, seq: 2 };
        assert_eq!(checked.expect("our own").0, expected);
    }
}

#[test]
fn a_message_with_a_wrong_checksum_is_dropped() {
    for text in [ECHO_V4[0], ECHO_V6[0]] {
        let mut frame = hex(text);
        let last = frame.len() - 1;
        frame[last] ^= 1;
        let ingress = host_b().handle_frame(&mut frame, at(0));
        assert_eq!(ingress, Ingress::Drop(DropReason::IcmpMalformed));
    }
}

#[test]
fn messages_without_a_use_are_dropped() {
    let mut message = vec![0; 8];
    icmpv4::Repr::EchoReply { ident: 1, seq: 1 }.emit(&mut message);
    let mut frame = packet("10.9.0.1", "10.9.0.2", protocol::ICMP, &message);
    let ingress = host_b().handle_frame(&mut frame, at(0));
    assert_eq!(ingress, Ingress::Drop(DropReason::IcmpUnused));
    // A redirect would move our traffic.
    let redirect = icmpv4::Repr::Other { kind: 5, code: 1, rest: [10, 9, 0, 99] };
    let mut frame = error_v4(redirect, &quoted("10.9.0.2", "8.8.8.8"));
    let ingress = host_b().handle_frame(&mut frame, at(0));
    assert_eq!(ingress, Ingress::Drop(DropReason::IcmpUnused));
}

#[test]
fn a_captured_error_is_handed_up_with_the_quoted_transport() {
    let mut frame = hex(PORT_UNREACHABLE_V4);
    let Ingress::Error(error) = host_a().handle_frame(&mut frame, at(0)) else {
        panic!("not handed up");
    };
    let expected = IcmpError {
        kind: IcmpErrorKind::PortUnreachable,
        reporter: address("10.9.0.2"),
        local: LocalIndex(0),
        remote: address("10.9.0.2"),
        protocol: protocol::UDP,
        offset: 62,
        len: 14,
    };
    assert_eq!(error, expected);
    let (udp, _) = wire::udp::Repr::parse(&frame[62..]).expect("captured");
    assert_eq!((udp.src_port, udp.dst_port), (0xe4a6, 9));
}

#[test]
fn errors_of_both_families_have_one_meaning() {
    use IcmpErrorKind as Kind;
    let kind = |mut frame: Vec<u8>| {
        let ingress = host_b().handle_frame(&mut frame, at(0));
        let Ingress::Error(error) = ingress else { panic!("{ingress:?}") };
        assert_eq!(&frame[error.offset..][..error.len], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        error.kind
    };
    let v4 = |repr| kind(error_v4(repr, &quoted("10.9.0.2", "8.8.8.8")));
    let unreachable = |code| v4(icmpv4::Repr::DestinationUnreachable { code });
    assert_eq!(unreachable(0), Kind::NetworkUnreachable);
    assert_eq!(unreachable(1), Kind::HostUnreachable);
    assert_eq!(unreachable(2), Kind::ProtocolUnreachable);
    assert_eq!(unreachable(3), Kind::PortUnreachable);
    assert_eq!(unreachable(13), Kind::Prohibited);
    assert_eq!(v4(icmpv4::Repr::FragmentationNeeded { mtu: 1400 }), Kind::TooBig { mtu: 1400 });
    assert_eq!(v4(icmpv4::Repr::TimeExceeded { code: 0 }), Kind::TimeExceeded);
    let problem = icmpv4::Repr::ParameterProblem { code: 0, pointer: 1 };
    assert_eq!(v4(problem), Kind::ParameterProblem);

    let v6 = |repr| kind(error_v6(repr, &quoted("2001:db8::b", "2600::1")));
    let unreachable = |code| v6(icmpv6::Repr::DestinationUnreachable { code });
    assert_eq!(unreachable(0), Kind::NetworkUnreachable);
    assert_eq!(unreachable(1), Kind::Prohibited);
    assert_eq!(unreachable(3), Kind::HostUnreachable);
    assert_eq!(unreachable(4), Kind::PortUnreachable);
    assert_eq!(v6(icmpv6::Repr::PacketTooBig { mtu: 1280 }), Kind::TooBig { mtu: 1280 });
    assert_eq!(v6(icmpv6::Repr::TimeExceeded { code: 0 }), Kind::TimeExceeded);
    let problem = |code| v6(icmpv6::Repr::ParameterProblem { code, pointer: 40 });
    assert_eq!(problem(0), Kind::ParameterProblem);
    assert_eq!(problem(1), Kind::ProtocolUnreachable);
}

#[test]
fn an_error_about_what_we_cannot_have_sent_is_dropped() {
    let v4 = |quoted: &[u8]| {
        let repr = icmpv4::Repr::DestinationUnreachable { code: 1 };
        host_b().handle_frame(&mut error_v4(repr, quoted), at(0))
    };
    let v6 = |mtu, quoted: &[u8]| {
        host_b().handle_frame(&mut error_v6(icmpv6::Repr::PacketTooBig { mtu }, quoted), at(0))
    };
    let (other, malformed) = (DropReason::QuoteOther, DropReason::QuoteMalformed);
    assert_eq!(v4(&quoted("10.9.0.3", "8.8.8.8")), Ingress::Drop(other));
    assert_eq!(v4(&quoted("10.9.0.2", "224.0.0.1")), Ingress::Drop(other));
    assert_eq!(v4(&quoted("10.9.0.2", "10.9.0.2")), Ingress::Drop(other));
    assert_eq!(v4(&quoted("10.9.0.2", "8.8.8.8")[..27]), Ingress::Drop(malformed));
    assert_eq!(v4(&[]), Ingress::Drop(malformed));
    let mut piece = quoted("10.9.0.2", "8.8.8.8");
    piece[7] = 1;
    assert_eq!(v4(&piece), Ingress::Drop(malformed));
    assert_eq!(v4(&quoted("2001:db8::b", "2600::1")), Ingress::Drop(malformed));

    assert_eq!(v6(1400, &quoted("2001:db8::c", "2600::1")), Ingress::Drop(other));
    assert_eq!(v6(1400, &quoted("2001:db8::b", "2600::1")[..47]), Ingress::Drop(malformed));
    let unused = DropReason::IcmpUnused;
    assert_eq!(v6(1279, &quoted("2001:db8::b", "2600::1")), Ingress::Drop(unused));
}

#[test]
fn an_unreachable_port_is_reported_as_linux_reports_it() {
    let datagram = &hex(PORT_UNREACHABLE_V4)[42..];
    let frame = ethernet_frame(MAC_A, MAC_B, EtherType::IPV4, datagram);
    let mut ip = host_b();
    let mut ours = reported(&mut ip, Report::PortUnreachable, &frame, at(0)).expect("allowed");
    let linux = changed_v4(hex(PORT_UNREACHABLE_V4), |header| {
        header[4..8].copy_from_slice(&[0, 0, 0x40, 0]);
    });
    assert_eq!(ours, linux);
    assert!(matches!(host_a().handle_frame(&mut ours, at(0)), Ingress::Error(_)));
    assert_eq!(ip.counters().errors_sent, 1);
}

#[test]
fn an_unknown_protocol_is_reported_in_the_words_of_the_family() {
    let mut ip = host_b();
    let frame = packet("10.9.0.1", "10.9.0.2", 253, b"unknownproto");
    let ours = reported(&mut ip, Report::ProtocolUnreachable, &frame, at(0)).expect("allowed");
    let (repr, _) = icmpv4::Repr::parse(&ours[34..]).expect("our own");
    assert_eq!(repr, icmpv4::Repr::DestinationUnreachable { code: 2 });

    let frame = packet("2001:db8::a", "2001:db8::b", 253, b"unknownproto");
    let mut ours = reported(&mut ip, Report::ProtocolUnreachable, &frame, at(0)).expect("allowed");
    let ends = (address("2001:db8::b").to_v6(), address("2001:db8::a").to_v6());
    let (repr, _) = icmpv6::Repr::parse(&ours[54..], ends.0, ends.1).expect("our own");
    assert_eq!(repr, icmpv6::Repr::ParameterProblem { code: 1, pointer: 6 });
    let Ingress::Error(error) = host_a().handle_frame(&mut ours, at(0)) else {
        panic!("not understood");
    };
    assert_eq!(error.kind, IcmpErrorKind::ProtocolUnreachable);
}

#[test]
fn an_unknown_option_is_reported_even_to_a_group_if_it_asks_for_that() {
    let options = |kind| [[17, 0, kind, 4, 0, 0, 0, 0], [0; 8]].concat();
    let outcome = |kind, destination| {
        let mut ip = host_b();
        let frame = packet("2001:db8::a", destination, 60, &options(kind));
        let Ingress::Report(report) = ip.handle_frame(&mut frame.clone(), at(0)) else {
            panic!("not reported");
        };
        let ours = reported(&mut ip, report, &frame, at(0))?;
        let (header, _) = ipv6::Repr::parse(&ours[14..]).expect("our own");
        assert_eq!(header.source, address("2001:db8::b").to_v6());
        let (repr, _) =
            icmpv6::Repr::parse(&ours[54..], header.source, header.destination).expect("our own");
        Some(repr)
    };
    let expected = Some(icmpv6::Repr::ParameterProblem { code: 2, pointer: 42 });
    assert_eq!(outcome(0x85, "2001:db8::b"), expected);
    assert_eq!(outcome(0xc5, "2001:db8::b"), expected);
    assert_eq!(outcome(0x85, "ff02::1"), expected);
    assert_eq!(outcome(0xc5, "ff02::1"), None);
}

#[test]
fn an_error_quotes_as_much_as_it_may() {
    let mut ip = host_b();
    let report = Report::PortUnreachable;
    let frame = packet("10.9.0.1", "10.9.0.2", 17, &[7; 1400]);
    assert_eq!(reported(&mut ip, report, &frame, at(0)).expect("allowed").len(), 14 + 576);
    let frame = packet("2001:db8::a", "2001:db8::b", 17, &[7; 1400]);
    assert_eq!(reported(&mut ip, report, &frame, at(0)).expect("allowed").len(), 14 + 1280);
    let mut padded = packet("10.9.0.1", "10.9.0.2", 17, &[7; 8]);
    padded.resize(60, 0);
    assert_eq!(reported(&mut ip, report, &padded, at(0)).expect("allowed").len(), 42 + 28);
}

#[test]
fn no_error_is_sent_about_an_error_a_group_a_piece_or_nobody() {
    let error = error_v4(icmpv4::Repr::TimeExceeded { code: 0 }, &quoted("10.9.0.2", "8.8.8.8"));
    let error_6 =
        error_v6(icmpv6::Repr::TimeExceeded { code: 0 }, &quoted("2001:db8::b", "2600::1"));
    let good = packet("10.9.0.1", "10.9.0.2", 17, &[0; 8]);
    let mut to_all_stations = good.clone();
    to_all_stations[..6].fill(0xff);
    let forbidden = [
        error,
        error_6,
        to_all_stations,
        packet("10.9.0.1", "10.9.0.255", 17, &[0; 8]),
        packet("10.9.0.1", "224.0.0.1", 17, &[0; 8]),
        packet("fe80::1", "ff02::1", 17, &[0; 8]),
        packet("0.0.0.0", "10.9.0.2", 17, &[0; 8]),
        packet("127.0.0.1", "10.9.0.2", 17, &[0; 8]),
        packet("224.0.0.1", "10.9.0.2", 17, &[0; 8]),
        packet("10.9.0.2", "10.9.0.2", 17, &[0; 8]),
        packet("::", "2001:db8::b", 17, &[0; 8]),
        packet("10.9.0.1", "10.9.0.9", 17, &[0; 8]),
        changed_v4(good.clone(), |header| header[7] = 1),
        packet("fe80::1", "2001:db8::b", 44, &[17, 0, 0, 8, 0, 0, 0, 1]),
        arp_frame(arp::Operation::Request, MAC_A, "10.9.0.1", MacAddress::ZERO, "10.9.0.2"),
        good[..20].to_vec(),
    ];
    let mut ip = host_b();
    for (index, frame) in forbidden.iter().enumerate() {
        let written = reported(&mut ip, Report::PortUnreachable, frame, at(0));
        assert_eq!(written, None, "frame {index}: {frame:02x?}");
    }
    assert_eq!(ip.counters().errors_forbidden, 16);
    assert!(reported(&mut ip, Report::PortUnreachable, &good, at(0)).is_some());
}

#[test]
fn a_peer_gets_a_burst_of_ten_errors_and_then_ten_a_second() {
    for (source, destination) in [("10.9.0.1", "10.9.0.2"), ("2001:db8::a", "2001:db8::b")] {
        let mut ip = host_b();
        let frame = packet(source, destination, 17, &[0; 8]);
        let mut sent = |now| {
            let tries = 0..100;
            tries
                .filter(|_| reported(&mut ip, Report::PortUnreachable, &frame, now).is_some())
                .count()
        };
        assert_eq!(sent(at(1)), 10);
        assert_eq!(sent(at(1)), 0);
        assert_eq!(sent(at(2)), 10);
        assert_eq!(ip.counters().errors_sent, 20);
        assert_eq!(ip.counters().errors_limited, 280);
    }
}
