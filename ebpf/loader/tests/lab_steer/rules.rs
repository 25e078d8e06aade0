//! The access lists: the longest prefix decides, for the gateway's packets only.

use loader::{LoadError, Prefix, Reason, Rule, Steering};

use crate::machine::rehearsal;
use crate::packet::*;
use crate::verdicts::assert_reason;

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

#[track_caller]
fn assert_from(steering: &Steering, source: &str, reason: Reason) {
    let packet = tcp_from(source.parse().expect("an address"), ACK);
    assert_reason(steering, source, &packet, reason);
}

#[test]
fn longest_prefix_decides_in_both_families_and_both_ways() {
    let name = "longest_prefix_decides_in_both_families_and_both_ways";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    let (denied, allowed) = (Reason::DropDenied, Reason::RedirectTcp);
    let set = |text, rule| steering.set_rule(prefix(text), rule).expect("there is room");
    for source in ["192.0.2.1", "198.51.100.9", "2001:db8::1"] {
        assert_from(&steering, source, allowed);
    }
    // An allowed range inside a denied one, and a denied address inside that.
    set("192.0.2.0/24", Rule::Deny);
    set("192.0.2.128/25", Rule::Allow);
    set("192.0.2.200", Rule::Deny);
    set("2001:db8::/32", Rule::Deny);
    set("2001:db8:1::/48", Rule::Allow);
    set("2001:db8:1::bad", Rule::Deny);
    let expected = [
        ("192.0.1.255", allowed),
        ("192.0.2.0", denied),
        ("192.0.2.127", denied),
        ("192.0.2.128", allowed),
        ("192.0.2.200", denied),
        ("192.0.2.201", allowed),
        ("192.0.3.0", allowed),
        ("2001:db7:ffff::1", allowed),
        ("2001:db8::1", denied),
        ("2001:db8:1::1", allowed),
        ("2001:db8:1::bad", denied),
        ("2001:db8:2::1", denied),
        ("2001:db9::1", allowed),
    ];
    for (source, reason) in expected {
        assert_from(&steering, source, reason);
    }
    // Changed at run time: what is removed or turned round holds from the next packet on.
    assert_eq!(steering.remove_rule(prefix("192.0.2.200")), Ok(true));
    assert_eq!(steering.remove_rule(prefix("192.0.2.200")), Ok(false));
    assert_from(&steering, "192.0.2.200", allowed);
    set("192.0.2.128/25", Rule::Deny);
    assert_from(&steering, "192.0.2.200", denied);
    // Nobody but one network.
    set("0.0.0.0/0", Rule::Deny);
    set("198.51.100.0/24", Rule::Allow);
    assert_from(&steering, "203.0.113.1", denied);
    assert_from(&steering, "198.51.100.9", allowed);
    assert_from(&steering, "2001:db9::1", allowed);
    set("::/0", Rule::Deny);
    assert_from(&steering, "2001:db9::1", denied);
}

#[test]
fn list_is_read_back_in_order() {
    let Some((steering, _socket)) = rehearsal("list_is_read_back_in_order") else {
        return;
    };
    assert_eq!(steering.rules(), Ok(vec![]));
    let texts = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "::/0", "fd77::/64", "fd77::1/128"];
    for text in texts.iter().rev() {
        steering.set_rule(prefix(text), Rule::Deny).expect("there is room");
    }
    steering.set_rule(prefix("10.0.0.0/24"), Rule::Allow).expect("twice is once");
    let rules = steering.rules().expect("it can be read");
    let read: Vec<_> = rules.iter().map(|(prefix, _)| prefix.to_string()).collect();
    assert_eq!(read, texts);
    let allowed: Vec<_> = rules.iter().filter(|(_, rule)| *rule == Rule::Allow).collect();
    assert_eq!(allowed, [&(prefix("10.0.0.0/24"), Rule::Allow)]);
}

#[test]
fn denied_source_loses_no_kernel_service_and_no_neighbour_discovery() {
    let name = "denied_source_loses_no_kernel_service_and_no_neighbour_discovery";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    for all in ["0.0.0.0/0", "::/0"] {
        steering.set_rule(prefix(all), Rule::Deny).expect("there is room");
    }
    let kernel = ethernet(0x0800, &ipv4("10.77.0.9", "10.77.0.1", TCP, &tcp(SYN)));
    assert_reason(&steering, "ssh", &kernel, Reason::PassOtherAddress);
    let request = ethernet_to(BROADCAST, 0x0806, &arp(1, "10.77.0.9", "10.77.0.2"));
    assert_reason(&steering, "ARP", &request, Reason::RedirectArp);
    let solicited = ipv6_with("fd77::9", "fd77::2", ICMPV6, 255, &neighbour(135, "fd77::2"));
    let solicited = ethernet(0x86dd, &solicited);
    assert_reason(&steering, "ND", &solicited, Reason::RedirectNeighbour);
    // Every protocol of IP is denied, fragments too.
    for (protocol, payload) in [(TCP, tcp(SYN)), (UDP, udp()), (ICMP, icmp(8)), (132, vec![0; 4])] {
        let packet = ethernet(0x0800, &ipv4("10.77.0.9", "10.77.0.2", protocol, &payload));
        assert_reason(&steering, "denied", &packet, Reason::DropDenied);
    }
    let fragment = ipv4_with("10.77.0.9", "10.77.0.2", UDP, 1, &[], &[0; 8]);
    assert_reason(&steering, "fragment", &ethernet(0x0800, &fragment), Reason::DropDenied);
    let ping = ethernet(0x86dd, &ipv6("fd77::9", "fd77::2", ICMPV6, &icmp(128)));
    assert_reason(&steering, "ping, v6", &ping, Reason::DropDenied);
}

#[test]
fn full_list_says_so_and_takes_rules_again_when_some_are_gone() {
    let name = "full_list_says_so_and_takes_rules_again_when_some_are_gone";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    let most = 65_536_u32;
    let nth = |n: u32| Prefix::new((0x0a00_0000 + n).to_be_bytes().into(), 32).expect("an address");
    for n in 0..most {
        steering.set_rule(nth(n), Rule::Deny).expect("there is room");
    }
    let refused = steering.set_rule(nth(most), Rule::Deny);
    assert_eq!(refused, Err(LoadError::ResourceRulesFull { most }));
    assert_eq!(steering.rules().map(|rules| rules.len()), Ok(65_536));
    assert_eq!(steering.remove_rule(nth(7)), Ok(true));
    assert_eq!(steering.set_rule(nth(most), Rule::Deny), Ok(()));
    assert_from(&steering, "10.1.0.0", Reason::DropDenied);
    assert_from(&steering, "10.0.0.7", Reason::RedirectTcp);
}
