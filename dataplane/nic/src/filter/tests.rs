//! Filters over packets made by hand, and texts that are none.

use std::net::IpAddr;

use base::Rng;

use super::{Filter, FilterError};
use crate::limits::FILTER_STEPS_MAX;

const HEADS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

fn ethernet(ethertype: [u8; 2], rest: &[u8]) -> Vec<u8> {
    [&HEADS, ethertype.as_slice(), rest].concat()
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes(), [0; 2], [0; 2]].concat()
}

/// An IPv4 packet with options, so that its header is longer than most.
fn ipv4(
    protocol: u8,
    source: [u8; 4],
    destination: [u8; 4],
    fragment: u16,
    rest: &[u8],
) -> Vec<u8> {
    let mut header = vec![0x46, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0xba, 0xad];
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header.extend(source);
    header.extend(destination);
    header.extend([1, 1, 1, 0]);
    header.extend(rest);
    ethernet([8, 0], &header)
}

fn ipv6(next: u8, source: &str, destination: &str, rest: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    for address in [source, destination] {
        let IpAddr::V6(address) = address.parse().unwrap() else { panic!("{address} is not IPv6") };
        header.extend(address.octets());
    }
    header.extend(rest);
    ethernet([0x86, 0xdd], &header)
}

fn filter(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn assert_judged(packet: &[u8], meant: &[&str], not_meant: &[&str]) {
    for text in meant {
        assert!(filter(text).matches(packet), "{text:?} means it");
        assert!(!filter(&format!("not ({text})")).matches(packet), "not {text:?} does not");
    }
    for text in not_meant {
        assert!(!filter(text).matches(packet), "{text:?} does not mean it");
    }
}

const A: [u8; 4] = [10, 77, 0, 1];
const B: [u8; 4] = [10, 77, 0, 2];

#[test]
fn a_tcp_segment_over_ipv4_is_known_by_addresses_ports_and_protocol() {
    assert_judged(
        &ipv4(6, A, B, 0, &ports(4000, 80)),
        &[
            "ip",
            "tcp",
            "tcp port 80",
            "port 4000",
            "src port 4000",
            "dst port 80",
            "host 10.77.0.1",
            "src 10.77.0.1",
            "dst host 10.77.0.2",
            "net 10.77.0.0/16",
            "src net 10.77.0.0/31",
            "net 0.0.0.0/0",
            "portrange 79-81",
            "tcp dst portrange 80-80",
            "icmp or tcp",
            "!udp",
            "not(udp)",
            "tcp && port 80 || arp",
        ],
        &[
            "udp",
            "udp port 80",
            "ip6",
            "arp",
            "icmp",
            "icmp6",
            "src port 80",
            "dst 10.77.0.1",
            "host 10.77.0.3",
            "net 10.78.0.0/16",
            "portrange 81-90",
            "not tcp",
            "net ::/0",
            "tcp and port 81",
        ],
    );
}

#[test]
fn an_empty_filter_means_every_packet() {
    assert!(filter(" ").matches(&ipv4(6, A, B, 0, &[])));
    assert!(Filter::default().matches(&[]));
}

#[test]
fn ipv6_is_known_behind_its_extension_headers() {
    let plain = ipv6(17, "fd77::1", "fd77::2", &ports(53, 5353));
    let hop_by_hop = [vec![17, 0, 1, 4, 0, 0, 0, 0], ports(53, 5353)].concat();
    let behind = ipv6(0, "fd77::1", "fd77::2", &hop_by_hop);
    for packet in [plain, behind] {
        assert_judged(
            &packet,
            &["ip6", "udp", "udp port 53", "net fd77::/16", "src fd77::1", "net ::/0", "!tcp"],
            &["ip", "tcp", "icmp6", "dst fd77::1", "net 0.0.0.0/0", "net fd78::/16"],
        );
    }
    let echo = ipv6(58, "fd77::1", "fd77::2", &[128, 0, 0, 0]);
    assert_judged(&echo, &["icmp6", "ip6"], &["icmp", "port 32768", "portrange 0-65535"]);
}

#[test]
fn a_later_fragment_has_no_ports() {
    let ipv4_first = ipv4(17, A, B, 0x2000, &ports(53, 53));
    assert_judged(&ipv4_first, &["udp port 53"], &[]);
    let ipv4_later = ipv4(17, A, B, 0x2010, &ports(53, 53));
    assert_judged(&ipv4_later, &["udp", "host 10.77.0.1"], &["port 53"]);
    let piece = |field: u16| {
        let [a, b] = field.to_be_bytes();
        let rest = [vec![17, 0, a, b, 0, 0, 0, 1], ports(53, 53)].concat();
        ipv6(44, "fd77::1", "fd77::2", &rest)
    };
    assert_judged(&piece(1), &["udp port 53"], &[]);
    assert_judged(&piece(8), &["udp", "ip6"], &["port 53"]);
}

#[test]
fn arp_is_known_by_whom_it_asks_for_and_tags_are_looked_behind() {
    let arp = [[0, 1, 8, 0, 6, 4, 0, 1].as_slice(), &[2, 0, 0, 0, 0, 2], &A, &[0; 6], &B].concat();
    let tagged = [[0, 42, 0x08, 0x06].as_slice(), &arp].concat();
    let twice = [[0, 7, 0x81, 0x00].as_slice(), &tagged].concat();
    for packet in
        [ethernet([8, 6], &arp), ethernet([0x81, 0], &tagged), ethernet([0x88, 0xa8], &twice)]
    {
        assert_judged(
            &packet,
            &["arp", "arp host 10.77.0.2", "src 10.77.0.1", "arp or port 80"],
            &["ip", "tcp", "host 10.77.0.9", "dst 10.77.0.1"],
        );
    }
}

#[test]
fn and_and_or_bind_alike_from_the_left_as_in_tcpdump_and_not_binds_first() {
    let packet = ipv4(6, A, B, 0, &ports(4000, 80));
    assert_judged(
        &packet,
        &["tcp or udp and port 80", "udp and port 80 or tcp", "not udp and tcp", "not not tcp"],
        &[
            "tcp or udp and port 81",
            "not udp and udp",
            "udp and (port 80 or tcp)",
            "not tcp port 80",
        ],
    );
}

#[test]
fn what_is_no_filter_is_told_by_its_word_and_by_what_would_be_right() {
    for (text, told) in [
        ("hots 10.0.0.1", "\"hots\" begins no test; one begins with host"),
        ("10.0.0.1", "\"10.0.0.1\" stands alone; write \"host 10.0.0.1\""),
        ("tcp and 80", "\"80\" stands alone; write \"port 80\""),
        ("10.0.0.0/8", "write \"net 10.0.0.0/8\""),
        ("1-5", "write \"portrange 1-5\""),
        ("host 10.0.0.256", "\"10.0.0.256\" behind \"host\" is not an address, such as 192.0.2.1"),
        ("port http", "\"http\" behind \"port\" is not a number from 0 to 65535"),
        ("port 65536", "\"65536\" behind \"port\""),
        ("portrange 9-8", "\"9-8\" behind \"portrange\" is not two numbers"),
        ("net 10.0.0.0", "\"10.0.0.0\" behind \"net\" is not a prefix"),
        ("net 10.0.0.0/33", "\"10.0.0.0/33\" behind \"net\""),
        ("net 10.0.0.1/8", "bits behind the prefix; write \"net 10.0.0.0/8\""),
        ("net fd77::1/64", "write \"net fd77::/64\""),
        ("src", "behind \"src\" is missing host, net, port"),
        ("src tcp", "\"tcp\" behind \"src\" is not host, net"),
        ("host", "behind \"host\" is missing an address"),
        ("tcp and", "behind \"and\" is missing a test"),
        ("not", "behind \"not\" is missing a test"),
        ("and tcp", "\"and\" needs a test before it"),
        ("tcp or and udp", "\"and\" needs a test before it"),
        ("()", "\")\" needs a test before it"),
        ("tcp udp", "\"udp\" follows a whole test; write \"and\" or \"or\""),
        ("(tcp udp)", "\"udp\" follows a whole test"),
        ("(tcp", "\"(\" has no partner"),
        ("tcp)", "\")\" has no partner"),
    ] {
        let error = text.parse::<Filter>().expect_err(text).to_string();
        assert!(error.contains(told), "{text:?}: {error}");
    }
}

#[test]
fn a_filter_is_bounded_in_steps_and_in_depth() {
    let most = vec!["tcp"; FILTER_STEPS_MAX / 2].join(" or ");
    assert!(most.parse::<Filter>().is_ok());
    let long = format!("{most} or tcp");
    assert!(matches!(long.parse::<Filter>(), Err(FilterError::TooLong { .. })));
    let deep = format!("{}tcp{}", "(".repeat(1000), ")".repeat(1000));
    assert!(matches!(deep.parse::<Filter>(), Err(FilterError::TooLong { .. })));
    assert!(matches!("! ".repeat(1000).parse::<Filter>(), Err(FilterError::TooLong { .. })));
    let nested = (0..10).fold("tcp".to_owned(), |text, _| format!("(udp or {text})"));
    assert!(filter(&nested).matches(&ipv4(6, A, B, 0, &[])));
}

#[test]
fn no_bytes_and_no_text_make_it_panic() {
    let seed = 0x5eed_f117;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let mut below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
    let filter = filter("tcp port 80 or net fd77::/16 and arp or icmp6 host fd77::1");
    let whole = [
        ipv4(6, A, B, 0, &ports(4000, 80)),
        ipv6(0, "fd77::1", "fd77::2", &[44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 1, 0, 80]),
        ethernet([0x81, 0], &[0, 1, 8, 6]),
    ];
    let words =
        ["tcp", "port", "80", "(", ")", "not", "and", "or", "src", "net", "::/0", "\u{e9}!"];
    let mut meant = 0;
    for _round in 0..20_000 {
        let mut packet = whole[below(3)].clone();
        packet.truncate(below(packet.len() + 1));
        if !packet.is_empty() {
            let at = below(packet.len());
            packet[at] = u8::try_from(below(256)).unwrap();
        }
        meant += u32::from(filter.matches(&packet));
        let len = below(9);
        let text: Vec<_> = (0..len).map(|_| words[below(12)]).collect();
        let text = text.join(" ");
        if let Ok(filter) = text.parse::<Filter>() {
            meant += u32::from(filter.matches(&packet));
        }
    }
    assert!(meant > 100, "some are left whole");
}
