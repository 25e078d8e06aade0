//! The budgets of SYNs, in real time: the kernel's clock is not ours to set.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use loader::{Action, Rate, Reason, Steering, SynBudget};

use crate::machine::{rehearsal, stay_on_one_cpu};
use crate::packet::*;
use crate::verdicts::assert_reason;

fn rate(per_s: u32, burst: u32) -> Option<Rate> {
    let positive = |number| NonZeroU32::new(number).expect("above 0");
    Some(Rate { per_s: positive(per_s), burst: positive(burst) })
}

fn source(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// How many of `count` SYNs of one source come in.
fn let_in(steering: &Steering, from: IpAddr, count: usize) -> usize {
    let packet = syn(from);
    let actions = (0..count).map(|_| steering.rehearse(&packet, 1).expect("a packet").action);
    actions.filter(|action| *action == Action::Redirect).count()
}

/// One token a second: a test that counts tokens takes less.
const SLOW: u32 = 1;
/// Tokens that a test spends at once.
const SMALL_BURST: u32 = 3;

#[test]
fn source_spends_its_burst_and_nothing_else_of_it_costs_anything() {
    let name = "source_spends_its_burst_and_nothing_else_of_it_costs_anything";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    let one = source("192.0.2.1");
    assert_eq!(let_in(&steering, one, 50), 50, "no budget unless asked for");
    let per_source = rate(SLOW, SMALL_BURST);
    steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
    let begun = Instant::now();
    let count = let_in(&steering, one, 50);
    assert!(begun.elapsed() < Duration::from_secs(1), "the machine stands still");
    assert_eq!(count, 3);
    assert_reason(&steering, "a SYN more", &syn(one), Reason::DropSynSource);
    // What opens nothing is free, also for whoever has no token left.
    for flags in [ACK, SYN | ACK, RST, 0, 0x01] {
        assert_reason(&steering, "no SYN", &tcp_from(one, flags), Reason::RedirectTcp);
    }
    let datagram = ethernet(0x0800, &ipv4("192.0.2.1", "10.77.0.2", UDP, &udp()));
    assert_reason(&steering, "a datagram", &datagram, Reason::RedirectUdp);
    let kernel = ethernet(0x0800, &ipv4("192.0.2.1", "10.77.0.1", TCP, &tcp(SYN)));
    assert_reason(&steering, "a SYN of the kernel's", &kernel, Reason::PassOtherAddress);
    // Its neighbour has a budget of its own; a budget taken away is no budget.
    assert_eq!(let_in(&steering, source("192.0.2.2"), 50), 3);
    steering.set_syn_budget(SynBudget::default()).expect("it may change");
    assert_eq!(let_in(&steering, one, 50), 50);
}

#[test]
fn slash_64_of_ipv6_is_one_source() {
    let Some((steering, _socket)) = rehearsal("slash_64_of_ipv6_is_one_source") else {
        return;
    };
    let per_source = rate(SLOW, SMALL_BURST);
    steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
    let sources = ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:0:3", "2001:db8::4"];
    let counts = sources.map(|text| let_in(&steering, source(text), 1));
    assert_eq!(counts, [1, 1, 1, 0]);
    assert_eq!(let_in(&steering, source("2001:db8:0:1::1"), 9), 3);
}

#[test]
fn what_may_hide_a_syn_pays_like_one() {
    let Some((steering, _socket)) = rehearsal("what_may_hide_a_syn_pays_like_one") else {
        return;
    };
    let hidden = |fragment, options: &[u8]| {
        ethernet(0x0800, &ipv4_with("192.0.2.1", "10.77.0.2", TCP, fragment, options, &tcp(SYN)))
    };
    let extended = ethernet(0x86dd, &ipv6("2001:db8::1", "fd77::2", 60, &[6; 28]));
    let strange = tcp_from(source("198.51.100.1"), SYN | RST | 0x01);
    let packets = [hidden(0x2000, &[]), hidden(1, &[]), hidden(0, &[1; 8]), extended, strange];
    for packet in packets {
        // Off and on again: nobody has a token, whoever was let in before.
        steering.set_syn_budget(SynBudget::default()).expect("it may change");
        let passes = |steering: &Steering| steering.rehearse(&packet, 1).expect("a packet").action;
        assert_eq!(passes(&steering), Action::Redirect);
        let per_source = rate(SLOW, 1);
        steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
        passes(&steering);
        assert_reason(&steering, "the second", &packet, Reason::DropSynSource);
    }
}

#[test]
fn tokens_come_back_at_the_rate_and_no_faster() {
    let Some((steering, _socket)) = rehearsal("tokens_come_back_at_the_rate_and_no_faster") else {
        return;
    };
    let one = source("192.0.2.1");
    let per_source = rate(100, 5);
    steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
    let begun = Instant::now();
    let first = let_in(&steering, one, 1);
    let spent = Instant::now();
    let mut count = first;
    while spent.elapsed() < Duration::from_millis(500) {
        count += let_in(&steering, one, 1);
    }
    // A pause of the machine loses tokens only when the bucket was full meanwhile: it holds five,
    // and fills in 50 ms. So the lower bound allows for some long pauses.
    let most = 5 + begun.elapsed().as_millis() / 10 + 1;
    let count = count as u128;
    assert!(count <= most, "{count} of {most}");
    assert!(count >= 5 + 50 / 2, "{count} in half a second, 100 a second");
}

#[test]
fn new_budget_holds_at_once_for_whoever_had_none_left() {
    let name = "new_budget_holds_at_once_for_whoever_had_none_left";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    let one = source("192.0.2.1");
    let per_source = rate(SLOW, 1_000);
    steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
    // It is now 1,000 seconds from full.
    assert_eq!(let_in(&steering, one, 1_010), 1_000);
    let per_source = rate(SLOW, 2);
    steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
    assert_eq!(let_in(&steering, one, 10), 2, "it does not wait for the old bucket to fill");
}

#[test]
fn flood_from_random_sources_is_held_while_the_known_come_in() {
    let name = "flood_from_random_sources_is_held_while_the_known_come_in";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    stay_on_one_cpu();
    let known = source("192.0.2.1");
    let budget = SynBudget { per_source: rate(10, 20), strangers: rate(1_000, 100) };
    steering.set_syn_budget(budget).expect("it may change");
    assert_eq!(let_in(&steering, known, 1), 1);
    let begun = Instant::now();
    let mut count = 0_u128;
    let mut known_count = 0;
    for n in 0..40_000_u32 {
        // Each source once: a multiplication by an odd number is a permutation.
        let random = Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b1) | 0x8000_0000);
        count += let_in(&steering, random.into(), 1) as u128;
        if n % 4_000 == 0 {
            known_count += let_in(&steering, known, 1);
        }
    }
    let most = 100 + begun.elapsed().as_millis() + 1;
    assert!(count <= most, "{count} of {most} at 1,000 a second");
    assert_eq!(known_count, 10, "a source that is known pays for itself only");
    let dropped = steering.counters().expect("counters can be read").of(Reason::DropSynStranger);
    assert_eq!(u128::from(dropped.packets), 40_000 - count);
}

#[test]
fn stranger_in_a_flood_comes_in_with_its_retransmission() {
    let name = "stranger_in_a_flood_comes_in_with_its_retransmission";
    let Some((steering, _socket)) = rehearsal(name) else {
        return;
    };
    stay_on_one_cpu();
    let budget = SynBudget { per_source: rate(SLOW, 2), strangers: rate(SLOW, 1) };
    steering.set_syn_budget(budget).expect("it may change");
    assert_eq!(let_in(&steering, source("203.0.113.1"), 1), 1, "the only token");
    let (honest, hasty) = (source("198.51.100.1"), source("198.51.100.2"));
    assert_reason(&steering, "first", &syn(honest), Reason::DropSynStranger);
    assert_reason(&steering, "twice at once", &syn(hasty), Reason::DropSynStranger);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        let count = let_in(&steering, hasty, 1);
        assert!(count == 0 || begun.elapsed() > Duration::from_millis(490), "too soon");
    }
    // The strangers' one token a second must not be what lets them in.
    let spend = |steering: &Steering| let_in(steering, source("203.0.113.250"), 1);
    std::thread::sleep(Duration::from_millis(300));
    spend(&steering);
    std::thread::sleep(Duration::from_millis(600));
    spend(&steering);
    assert_reason(&steering, "again", &syn(honest), Reason::RedirectTcp);
    // Now it is known: its own bucket has one token left.
    assert_eq!(let_in(&steering, honest, 5), 1);
}

#[test]
fn sources_beyond_the_table_lock_nobody_out() {
    let Some((steering, _socket)) = rehearsal("sources_beyond_the_table_lock_nobody_out") else {
        return;
    };
    let per_source = rate(SLOW, 2);
    steering.set_syn_budget(SynBudget { per_source, strangers: None }).expect("it may change");
    // Twice as many sources as the table holds, each with its first SYN.
    for n in 0..131_072_u32 {
        let each = Ipv4Addr::from_bits(0x0b00_0000 + n);
        assert_eq!(let_in(&steering, each.into(), 1), 1, "{each}");
    }
    assert_eq!(let_in(&steering, source("198.51.100.1"), 5), 2);
}

#[test]
fn slot_that_remembers_another_source_lets_nobody_in() {
    let Some((steering, _socket)) = rehearsal("slot_that_remembers_another_source_lets_nobody_in")
    else {
        return;
    };
    stay_on_one_cpu();
    let budget = SynBudget { per_source: None, strangers: rate(SLOW, 1) };
    steering.set_syn_budget(budget).expect("it may change");
    let begun = Instant::now();
    let mut count = 0;
    // A quarter of the slots, and after the time of a retransmission some other sources.
    for n in 0..300_000_u32 {
        if n == 270_000 {
            std::thread::sleep(Duration::from_millis(600));
        }
        let random = Ipv4Addr::from_bits(n.wrapping_mul(0x9e37_79b1) | 0x8000_0000);
        count += let_in(&steering, random.into(), 1);
    }
    let most = 2 + begun.elapsed().as_secs();
    assert!(count as u64 <= most, "{count} of {most} at one a second");
}
