//! What becomes of each kind of packet, and which counter says so.

use std::os::fd::AsFd as _;

use loader::{Action, LoadError, Mode, Reason, Steering, Tally, Verdict};

use crate::machine::{MAC, rehearsal};
use crate::packet::*;

/// One packet and what is right for it.
type Row = (&'static str, Vec<u8>, Reason);

const PEER: &str = "10.77.0.9";
const PEER6: &str = "fd77::9";
/// The solicited-node group of `fd77::2`, and of every other address that ends in `00:0002`.
const GROUP: &str = "ff02::1:ff00:2";
const GROUP_MAC: [u8; 6] = [0x33, 0x33, 0xff, 0, 0, 2];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 77];

fn ip4(to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(PEER, to, protocol, payload))
}

fn ip6(to: &str, next: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x86dd, &ipv6(PEER6, to, next, payload))
}

/// Neighbour discovery with the hop limit that no router leaves.
fn discovery(mac: [u8; 6], to: &str, message: &[u8]) -> Vec<u8> {
    ethernet_to(mac, 0x86dd, &ipv6_with(PEER6, to, ICMPV6, 255, message))
}

fn arp_to(mac: [u8; 6], operation: u8, sender: &str, target: &str) -> Vec<u8> {
    ethernet_to(mac, 0x0806, &arp(operation, sender, target))
}

fn changed(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

fn ethernet_rows() -> Vec<Row> {
    let inner = ipv4(PEER, "10.77.0.2", TCP, &tcp(ACK));
    let tagged = [vec![0, 7, 8, 0], inner.clone()].concat();
    vec![
        ("VLAN 802.1Q", ethernet(0x8100, &tagged), Reason::PassVlan),
        ("VLAN 802.1ad", ethernet(0x88a8, &tagged), Reason::PassVlan),
        ("LLDP", ethernet(0x88cc, &[0; 46]), Reason::PassOtherType),
        ("802.3 length", ethernet(46, &[0; 46]), Reason::PassOtherType),
        ("header alone", ethernet(0x1234, &[]), Reason::PassOtherType),
        ("another station", ethernet_to(OTHER_MAC, 0x0800, &inner), Reason::PassOtherStation),
        (
            "another station's last bit",
            ethernet_to([2, 0, 0, 0, 0, 3], 0x0800, &inner),
            Reason::PassOtherStation,
        ),
        ("ours by broadcast", ethernet_to(BROADCAST, 0x0800, &inner), Reason::RedirectTcp),
    ]
}

fn arp_rows() -> Vec<Row> {
    let request = arp_to(BROADCAST, 1, PEER, "10.77.0.2");
    vec![
        ("ARP request for us", request.clone(), Reason::RedirectArp),
        (
            "ARP request for our second",
            arp_to(BROADCAST, 1, PEER, "10.77.0.3"),
            Reason::RedirectArp,
        ),
        ("ARP request to our station", arp_to(MAC, 1, PEER, "10.77.0.2"), Reason::RedirectArp),
        ("ARP reply to us", arp_to(MAC, 2, PEER, "10.77.0.2"), Reason::RedirectArp),
        ("ARP probe of us", arp_to(BROADCAST, 1, "0.0.0.0", "10.77.0.2"), Reason::RedirectArp),
        ("ARP claim of ours", arp_to(BROADCAST, 1, "10.77.0.2", "10.77.0.2"), Reason::RedirectArp),
        ("ARP answer to our probe", arp_to(MAC, 2, "10.77.0.2", "0.0.0.0"), Reason::RedirectArp),
        ("ARP for the kernel", arp_to(BROADCAST, 1, PEER, "10.77.0.1"), Reason::PassOtherAddress),
        ("ARP to the kernel", arp_to(MAC, 2, PEER, "10.77.0.1"), Reason::PassOtherAddress),
        ("ARP of others", arp_to(BROADCAST, 1, PEER, "10.77.0.8"), Reason::PassOtherAddress),
        ("ARP announced", arp_to(BROADCAST, 1, PEER, PEER), Reason::PassOtherAddress),
        ("ARP over another link", changed(request.clone(), 15, 6), Reason::PassMalformed),
        ("ARP for another protocol", changed(request.clone(), 16, 0x86), Reason::PassMalformed),
        ("ARP, long hardware", changed(request.clone(), 18, 8), Reason::PassMalformed),
        ("ARP, long protocol", changed(request, 19, 16), Reason::PassMalformed),
    ]
}

fn ipv4_rows() -> Vec<Row> {
    let ours = "10.77.0.2";
    let options = [1; 40];
    let with = |protocol, fragment, options: &[u8], payload: &[u8]| {
        ethernet(0x0800, &ipv4_with(PEER, ours, protocol, fragment, options, payload))
    };
    let udp4 = ip4(ours, UDP, &udp());
    vec![
        ("SYN for us", ip4(ours, TCP, &tcp(SYN)), Reason::RedirectTcp),
        ("ACK for us", ip4(ours, TCP, &tcp(ACK)), Reason::RedirectTcp),
        ("RST for us", ip4(ours, TCP, &tcp(RST)), Reason::RedirectTcp),
        ("TCP for our second", ip4("10.77.0.3", TCP, &tcp(ACK)), Reason::RedirectTcp),
        ("UDP for us", udp4.clone(), Reason::RedirectUdp),
        ("ping for us", ip4(ours, ICMP, &icmp(8)), Reason::RedirectIcmp),
        ("ICMP error for us", ip4(ours, ICMP, &icmp(3)), Reason::RedirectIcmp),
        ("SCTP for us", ip4(ours, 132, &[0; 12]), Reason::RedirectOther),
        ("GRE for us", ip4(ours, 47, &[0; 4]), Reason::RedirectOther),
        ("TCP, full options", with(TCP, 0, &options, &tcp(SYN)), Reason::RedirectTcp),
        ("UDP, one option", with(UDP, 0, &options[..4], &udp()), Reason::RedirectUdp),
        ("first fragment, UDP", with(UDP, 0x2000, &[], &udp()), Reason::RedirectFragment),
        ("last fragment, UDP", with(UDP, 1, &[], &[7; 8]), Reason::RedirectFragment),
        ("middle fragment, ICMP", with(ICMP, 0x2001, &[], &[7; 8]), Reason::RedirectFragment),
        ("fragment, TCP", with(TCP, 0x2000, &[], &tcp(SYN)), Reason::RedirectFragment),
        ("do not fragment", with(TCP, 0x4000, &[], &tcp(ACK)), Reason::RedirectTcp),
        ("TCP for the kernel", ip4("10.77.0.1", TCP, &tcp(SYN)), Reason::PassOtherAddress),
        ("UDP for the kernel", ip4("10.77.0.1", UDP, &udp()), Reason::PassOtherAddress),
        ("ping for the kernel", ip4("10.77.0.1", ICMP, &icmp(8)), Reason::PassOtherAddress),
        ("limited broadcast", ip4("255.255.255.255", UDP, &udp()), Reason::PassOtherAddress),
        ("subnet's broadcast", ip4("10.77.0.255", UDP, &udp()), Reason::PassOtherAddress),
        ("group", ip4("224.0.0.251", UDP, &udp()), Reason::PassOtherAddress),
        ("version 5", changed(udp4.clone(), ETHERNET, 0x55), Reason::PassMalformed),
        ("header of 16 bytes", changed(udp4.clone(), ETHERNET, 0x44), Reason::PassMalformed),
        ("header behind the end", changed(udp4, ETHERNET, 0x4f), Reason::RedirectUdp),
    ]
}

fn ipv6_rows() -> Vec<Row> {
    let ours = "fd77::2";
    let router = [134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let wrong_hops = ethernet_to(
        GROUP_MAC,
        0x86dd,
        &ipv6_with(PEER6, GROUP, ICMPV6, 254, &neighbour(135, ours)),
    );
    vec![
        ("SYN for us, v6", ip6(ours, TCP, &tcp(SYN)), Reason::RedirectTcp),
        ("ACK for us, v6", ip6(ours, TCP, &tcp(ACK)), Reason::RedirectTcp),
        ("TCP for our link-local", ip6("fe80::2", TCP, &tcp(ACK)), Reason::RedirectTcp),
        ("UDP for us, v6", ip6(ours, UDP, &udp()), Reason::RedirectUdp),
        ("ping for us, v6", ip6(ours, ICMPV6, &icmp(128)), Reason::RedirectIcmp),
        ("too big for us", ip6(ours, ICMPV6, &icmp(2)), Reason::RedirectIcmp),
        ("ICMP of v4 in v6", ip6(ours, ICMP, &icmp(8)), Reason::RedirectOther),
        ("SCTP for us, v6", ip6(ours, 132, &[0; 12]), Reason::RedirectOther),
        ("no next header", ip6(ours, 59, &[]), Reason::RedirectOther),
        ("hop-by-hop", ip6(ours, 0, &[6; 8]), Reason::RedirectFragment),
        ("routing", ip6(ours, 43, &[6; 8]), Reason::RedirectFragment),
        ("fragment, v6", ip6(ours, 44, &[6; 16]), Reason::RedirectFragment),
        ("destination options", ip6(ours, 60, &[6; 8]), Reason::RedirectFragment),
        ("TCP for the kernel, v6", ip6("fd77::1", TCP, &tcp(SYN)), Reason::PassOtherAddress),
        ("version 4 in v6", changed(ip6(ours, UDP, &udp()), 14, 0x40), Reason::PassMalformed),
        ("solicited for us", discovery(GROUP_MAC, GROUP, &neighbour(135, ours)), NEIGHBOUR),
        (
            "solicited, our link-local",
            discovery(GROUP_MAC, GROUP, &neighbour(135, "fe80::2")),
            NEIGHBOUR,
        ),
        (
            "solicited, group's other",
            discovery(GROUP_MAC, GROUP, &neighbour(135, "fd78::2")),
            OTHERS,
        ),
        ("solicited to us", discovery(MAC, ours, &neighbour(135, ours)), NEIGHBOUR),
        ("advertised to us", discovery(MAC, ours, &neighbour(136, PEER6)), NEIGHBOUR),
        (
            "our address advertised",
            discovery(ALL_NODES_MAC, "ff02::1", &neighbour(136, ours)),
            NEIGHBOUR,
        ),
        ("others advertised", discovery(ALL_NODES_MAC, "ff02::1", &neighbour(136, PEER6)), OTHERS),
        ("advertised to the kernel", discovery(MAC, "fd77::1", &neighbour(136, PEER6)), OTHERS),
        ("router to all", discovery(ALL_NODES_MAC, "ff02::1", &router), OTHERS),
        ("router to us", discovery(MAC, ours, &router), NEIGHBOUR),
        ("ping from the link", discovery(MAC, ours, &icmp(128)), Reason::RedirectIcmp),
        ("done, below discovery", discovery(MAC, ours, &icmp(132)), Reason::RedirectIcmp),
        ("above discovery", discovery(MAC, ours, &icmp(138)), Reason::RedirectIcmp),
        ("redirect to all", discovery(ALL_NODES_MAC, "ff02::1", &neighbour(137, ours)), OTHERS),
        ("solicited from afar", wrong_hops, OTHERS),
        ("ping of all nodes", discovery(ALL_NODES_MAC, "ff02::1", &icmp(128)), OTHERS),
        ("mDNS", ip6("ff02::fb", UDP, &udp()), OTHERS),
    ]
}

const NEIGHBOUR: Reason = Reason::RedirectNeighbour;
const OTHERS: Reason = Reason::PassOtherAddress;

fn rows() -> Vec<Row> {
    [ethernet_rows(), arp_rows(), ipv4_rows(), ipv6_rows()].concat()
}

fn action_of(verdict: Verdict) -> Action {
    match verdict {
        Verdict::Pass => Action::Pass,
        Verdict::Redirect => Action::Redirect,
        Verdict::Drop => Action::Drop,
    }
}

/// Rehearses a packet; exactly one counter must move, by the packet's bytes.
#[track_caller]
pub(crate) fn assert_reason(steering: &Steering, name: &str, packet: &[u8], reason: Reason) {
    let before = steering.counters().expect("counters can be read");
    let rehearsal = steering.rehearse(packet, 1).expect("a packet can be rehearsed");
    let after = steering.counters().expect("counters can be read");
    for ((each, before), (_, after)) in before.iter().zip(after.iter()) {
        let moved =
            Tally { packets: after.packets - before.packets, bytes: after.bytes - before.bytes };
        let expected = if each == reason {
            Tally { packets: 1, bytes: packet.len() as u64 }
        } else {
            Tally::default()
        };
        assert_eq!(moved, expected, "{name}: {each:?}; expected {reason:?}");
    }
    assert_eq!(rehearsal.action, action_of(reason.verdict()), "{name}: {reason:?}");
}

#[test]
fn each_packet_has_its_verdict_and_its_counter() {
    let Some((steering, _socket)) = rehearsal("each_packet_has_its_verdict_and_its_counter") else {
        return;
    };
    let rows = rows();
    assert!(rows.len() > 70, "{}", rows.len());
    for (name, packet, reason) in rows {
        assert_reason(&steering, name, &packet, reason);
    }
}

#[test]
fn without_a_socket_what_is_ours_is_dropped_and_all_else_passes() {
    let name = "without_a_socket_what_is_ours_is_dropped_and_all_else_passes";
    let Some((steering, socket)) = rehearsal(name) else {
        return;
    };
    steering.clear_socket(0).expect("there are four queues");
    let without = |reason: Reason| match reason.verdict() {
        Verdict::Redirect => Reason::DropNoSocket,
        Verdict::Pass | Verdict::Drop => reason,
    };
    for (name, packet, reason) in rows() {
        assert_reason(&steering, name, &packet, without(reason));
    }
    // The socket of another queue does not count; that of this one does, until it is closed.
    let (name, packet, reason) = ipv4_rows().remove(0);
    let descriptor = socket.as_fd();
    steering.set_socket(1, descriptor).expect("there are four queues");
    assert_reason(&steering, name, &packet, Reason::DropNoSocket);
    steering.set_socket(0, descriptor).expect("there are four queues");
    assert_reason(&steering, name, &packet, reason);
    assert!(steering.set_socket(4, descriptor).is_err(), "there are queues 0 to 3");
    drop(socket);
    assert_reason(&steering, name, &packet, Reason::DropNoSocket);
}

#[test]
fn where_everything_is_taken_no_packet_passes_whoever_it_is_for() {
    let test = "where_everything_is_taken_no_packet_passes_whoever_it_is_for";
    // What may be loaded for addresses says whether this machine can.
    let Some((_steering, socket)) = rehearsal(test) else {
        return;
    };
    let steering = loader::load_to_take_all("lo", Mode::Auto, 1).expect("it can be loaded");
    let without_socket = steering.rehearse(&rows()[0].1, 1).expect("a packet can be rehearsed");
    assert_eq!(without_socket.action, Action::Drop);
    steering.set_socket(0, socket.as_fd()).expect("it is an AF_XDP socket");
    for (name, packet, _reason) in rows() {
        assert_reason(&steering, name, &packet, Reason::RedirectAll);
    }
    let refused = loader::load_to_take_all("lo", Mode::Auto, 0);
    assert!(matches!(refused, Err(LoadError::ConfigQueues { .. })));
}

/// What is right for the first `len` bytes of a packet that is right for `reason` as a whole.
fn cut(packet: &[u8], len: usize, reason: Reason) -> Reason {
    let is_group = packet[38] == 0xff;
    match (u16::from_be_bytes([packet[12], packet[13]]), reason) {
        (_, Reason::PassVlan | Reason::PassOtherType | Reason::PassOtherStation) => reason,
        (0x0806, _) if len < 42 => Reason::PassShort,
        (0x0800, _) if len < 34 => Reason::PassShort,
        (0x86dd, _) if len < 54 => Reason::PassShort,
        (0x86dd, Reason::RedirectNeighbour) if is_group && len < 78 => Reason::PassOtherAddress,
        (0x86dd, Reason::RedirectNeighbour) if !is_group && len < 55 => Reason::RedirectIcmp,
        _ => reason,
    }
}

#[test]
fn packet_that_is_cut_off_anywhere_is_whole_enough_or_passes() {
    let name = "packet_that_is_cut_off_anywhere_is_whole_enough_or_passes";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    for (name, packet, reason) in rows() {
        let mut padded = packet.clone();
        padded.resize(packet.len().max(60), 0);
        for len in ETHERNET..=packet.len() {
            let name = format!("{name}, {len} bytes of {}", packet.len());
            assert_reason(&steering, &name, &packet[..len], cut(&padded, len, reason));
        }
    }
}

#[test]
fn frame_of_several_buffers_is_steered_and_counted_whole() {
    let Some((steering, _socket)) =
        rehearsal("frame_of_several_buffers_is_steered_and_counted_whole")
    else {
        return;
    };
    let mut payload = tcp(ACK);
    payload.resize(9_000, 7);
    let frame = ip4("10.77.0.2", TCP, &payload);
    assert_reason(&steering, "jumbo", &frame, Reason::RedirectTcp);
    let frame = ip4("10.77.0.1", TCP, &payload);
    assert_reason(&steering, "jumbo of the kernel", &frame, Reason::PassOtherAddress);
}

#[test]
fn random_bytes_never_reach_anything_but_a_verdict() {
    let Some((steering, _socket)) = rehearsal("random_bytes_never_reach_anything_but_a_verdict")
    else {
        return;
    };
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut state = seed;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits")
    };
    let rows = rows();
    let before = steering.counters().expect("counters can be read");
    for _ in 0..5_000 {
        let mut packet = rows[next() % rows.len()].1.clone();
        for _ in 0..=next() % 4 {
            let at = next() % packet.len();
            packet[at] = u8::try_from(next() & 0xff).expect("a byte");
        }
        packet.truncate(ETHERNET.max(next() % (packet.len() + 1)));
        let action = steering.rehearse(&packet, 1).expect("a packet can be rehearsed").action;
        assert!(!matches!(action, Action::Other(_)), "{action:?} for {packet:02x?}");
    }
    let after = steering.counters().expect("counters can be read");
    let total = |counters: &loader::Counters| counters.iter().map(|(_, tally)| tally.packets).sum();
    let (before, after): (u64, u64) = (total(&before), total(&after));
    assert_eq!(after - before, 5_000, "each packet is counted once");
}
