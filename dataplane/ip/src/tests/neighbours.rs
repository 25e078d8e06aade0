//! Address resolution, unreachability, announcements, and what is not believed.

use std::collections::BTreeSet;

use memory::Stowed;

use super::*;

/// A neighbour of each family, by which each rule is tried.
const NEIGHBOURS: [&str; 2] = ["10.9.0.77", "2001:db8::77"];

fn resolve(ip: &mut Ip, remote: &str, now: Instant) -> Resolution {
    ip.resolve(address(remote), HopIndex::NONE, now)
}

fn is_known(ip: &mut Ip, remote: &str, now: Instant) -> bool {
    matches!(resolve(ip, remote, now), Resolution::Known(_))
}

/// Where frames for `hop` would go.
fn mac_of(ip: &Ip, hop: HopIndex) -> MacAddress {
    let mut bytes = [0xaa; 14];
    ip.set_destination(&mut bytes, hop);
    station(&bytes)
}

fn stowed(index: u32) -> Stowed {
    Stowed { index, offset: 64, len: 100 }
}

fn released(ip: &mut Ip) -> Vec<(HopIndex, Released)> {
    core::iter::from_fn(|| ip.poll_released()).collect()
}

#[test]
fn an_absent_neighbour_is_asked_three_times_then_fails_then_may_be_asked_again() {
    for neighbour in NEIGHBOURS {
        let mut ip = host_b();
        let hop = hop(resolve(&mut ip, neighbour, at(10)));
        for second in 0..3 {
            let frames = control_frames(&mut ip, at(10 + second));
            assert_eq!(frames.len(), 1, "second {second}");
            assert!(station(&frames[0]).is_multicast());
            assert_eq!(resolve(&mut ip, neighbour, at(10 + second)), Resolution::Wait(hop));
            assert_eq!(ip.next_deadline(), Some(at(11 + second)));
            assert!(control_frames(&mut ip, at(10 + second)).is_empty());
        }
        assert!(control_frames(&mut ip, at(13)).is_empty());
        assert_eq!(ip.next_deadline(), None);
        let failed = Resolution::Unreachable(Unreachable::NeighbourFailed);
        assert_eq!(resolve(&mut ip, neighbour, at(13)), failed);
        assert!(control_frames(&mut ip, at(13)).is_empty(), "the network rests for a second");
        assert_eq!(ip.counters().neighbours_failed, 1);

        assert_eq!(resolve(&mut ip, neighbour, at(14)), Resolution::Wait(hop));
        assert_eq!(control_frames(&mut ip, at(14)).len(), 1);
        assert_eq!(ip.handle_frame(&mut answer(neighbour, MAC_A), at(14)), Ingress::Consumed);
        assert_eq!(resolve(&mut ip, neighbour, at(14)), Resolution::Known(hop));
        assert_eq!(mac_of(&ip, hop), MAC_A);
    }
}

#[test]
fn the_questions_are_those_that_linux_answers() {
    let mut ip = host_b();
    resolve(&mut ip, "10.9.0.1", at(0));
    let mut request = control_frames(&mut ip, at(0)).remove(0);
    let Ingress::Reply { len } = host_a().handle_frame(&mut request, at(0)) else {
        panic!("not answered: {request:02x?}");
    };
    // The answer of Linux to the same question, as it was captured.
    let captured = "02000000000b 02000000000a 0806 0001 0800 06 04 0002
        02000000000a 0a090001 02000000000b 0a090002";
    assert_eq!(request[..len], hex(captured));

    resolve(&mut ip, "2001:db8::a", at(0));
    let mut request = control_frames(&mut ip, at(0)).remove(0);
    assert_eq!(station(&request).to_string(), "33:33:ff:00:00:0a");
    let Ingress::Reply { len } = host_a().handle_frame(&mut request, at(0)) else {
        panic!("not answered: {request:02x?}");
    };
    assert_eq!(ip.handle_frame(&mut request[..len], at(0)), Ingress::Consumed);
    assert!(is_known(&mut ip, "2001:db8::a", at(0)));
}

#[test]
fn a_silent_neighbour_is_probed_where_it_was_and_then_looked_for_anew() {
    for neighbour in NEIGHBOURS {
        let mut ip = host_b();
        let hop = learn(&mut ip, neighbour, MAC_A, at(0));
        assert_eq!(ip.next_deadline(), None, "reachability ends without a timer");
        // Stale by now, whatever was drawn: used, it waits five seconds for confirmation.
        assert!(is_known(&mut ip, neighbour, at(60)));
        assert_eq!(ip.next_deadline(), Some(at(65)));
        assert!(control_frames(&mut ip, at(64)).is_empty());
        for second in 65..68 {
            let frames = control_frames(&mut ip, at(second));
            assert_eq!(frames.len(), 1, "second {second}");
            assert_eq!(station(&frames[0]), MAC_A, "a probe goes to one");
            assert_eq!(resolve(&mut ip, neighbour, at(second)), Resolution::Known(hop));
        }
        assert!(control_frames(&mut ip, at(68)).is_empty());
        assert_eq!(resolve(&mut ip, neighbour, at(68)), Resolution::Wait(hop));
        assert!(station(&control_frames(&mut ip, at(68))[0]).is_multicast());
    }
}

#[test]
fn a_probe_that_is_answered_makes_the_neighbour_reachable() {
    for neighbour in NEIGHBOURS {
        let mut ip = host_b();
        learn(&mut ip, neighbour, MAC_A, at(0));
        assert!(is_known(&mut ip, neighbour, at(60)));
        assert_eq!(control_frames(&mut ip, at(65)).len(), 1);
        assert_eq!(ip.handle_frame(&mut answer(neighbour, MAC_A), at(65)), Ingress::Consumed);
        assert_eq!(ip.next_deadline(), None);
        assert!(is_known(&mut ip, neighbour, at(66)));
        assert_eq!(ip.next_deadline(), None, "still reachable");
    }
}

#[test]
fn what_the_upper_layer_confirms_is_not_probed() {
    for neighbour in NEIGHBOURS {
        let mut ip = host_b();
        let hop = learn(&mut ip, neighbour, MAC_A, at(0));
        for second in 1..200 {
            assert!(is_known(&mut ip, neighbour, at(second)));
            ip.confirm(hop, at(second));
            assert!(control_frames(&mut ip, at(second)).is_empty());
        }
        // In the states Delay and Probe too.
        assert!(is_known(&mut ip, neighbour, at(300)));
        ip.confirm(hop, at(301));
        assert_eq!(ip.next_deadline(), None);
        assert!(is_known(&mut ip, neighbour, at(400)));
        assert_eq!(control_frames(&mut ip, at(405)).len(), 1);
        ip.confirm(hop, at(406));
        assert_eq!(ip.next_deadline(), None);
    }
}

#[test]
fn confirming_what_is_not_known_does_nothing() {
    let mut ip = host_b();
    let hop = hop(resolve(&mut ip, "10.9.0.77", at(0)));
    ip.confirm(hop, at(0));
    ip.confirm(HopIndex::NONE, at(0));
    assert_eq!(resolve(&mut ip, "10.9.0.77", at(0)), Resolution::Wait(hop));
}

#[test]
fn an_answer_that_nobody_waits_for_makes_no_entry() {
    for neighbour in NEIGHBOURS {
        let mut ip = host_b();
        ip.handle_frame(&mut answer(neighbour, MAC_OTHER), at(0));
        assert_eq!(ip.counters().neighbour_claims_ignored, 1);
        assert!(matches!(resolve(&mut ip, neighbour, at(0)), Resolution::Wait(_)));
        // Nor does an answer that comes after the neighbour has failed.
        for second in 0..4 {
            control_frames(&mut ip, at(second));
        }
        ip.handle_frame(&mut answer(neighbour, MAC_OTHER), at(3));
        let failed = Resolution::Unreachable(Unreachable::NeighbourFailed);
        assert_eq!(resolve(&mut ip, neighbour, at(3)), failed);
    }
}

#[test]
fn a_claim_to_all_completes_a_search_but_proves_no_reachability() {
    let claims = [
        arp_frame(
            arp::Operation::Reply,
            MAC_A,
            NEIGHBOURS[0],
            MacAddress::BROADCAST,
            NEIGHBOURS[0],
        ),
        advertisement(NEIGHBOURS[1], Some(MAC_A), "ff02::1", false, true),
    ];
    for (neighbour, mut claim) in NEIGHBOURS.into_iter().zip(claims) {
        let mut ip = host_b();
        resolve(&mut ip, neighbour, at(0));
        assert_eq!(ip.handle_frame(&mut claim, at(0)), Ingress::Consumed);
        assert!(is_known(&mut ip, neighbour, at(0)));
        assert!(ip.next_deadline().is_some(), "it is stale, so its use starts the delay");
    }
}

#[test]
fn an_advertisement_without_override_replaces_nothing_but_sows_doubt() {
    let (mut ip, neighbour) = (host_b(), NEIGHBOURS[1]);
    let hop = learn(&mut ip, neighbour, MAC_A, at(0));
    let mut claim = advertisement(neighbour, Some(MAC_OTHER), "2001:db8::b", true, false);
    ip.handle_frame(&mut claim, at(1));
    assert_eq!(mac_of(&ip, hop), MAC_A);
    assert_eq!(ip.counters().neighbour_claims_ignored, 1);
    assert!(is_known(&mut ip, neighbour, at(1)));
    assert_eq!(ip.next_deadline(), Some(at(6)), "stale, then used");

    let mut claim = advertisement(neighbour, Some(MAC_OTHER), "2001:db8::b", true, true);
    ip.handle_frame(&mut claim, at(2));
    assert_eq!(mac_of(&ip, hop), MAC_OTHER);
    assert_eq!(ip.counters().neighbours_changed, 1);
    assert_eq!(ip.next_deadline(), None, "reachable again");
}

#[test]
fn an_advertisement_may_leave_out_where_a_known_neighbour_is() {
    let (mut ip, neighbour) = (host_b(), NEIGHBOURS[1]);
    resolve(&mut ip, neighbour, at(0));
    let mut claim = advertisement(neighbour, None, "2001:db8::b", true, true);
    ip.handle_frame(&mut claim.clone(), at(0));
    assert!(!is_known(&mut ip, neighbour, at(0)), "it has not said where");
    ip.handle_frame(&mut answer(neighbour, MAC_A), at(0));
    assert!(is_known(&mut ip, neighbour, at(60)));
    ip.handle_frame(&mut claim, at(61));
    assert_eq!(ip.next_deadline(), None, "confirmed");
}

#[test]
fn neighbour_messages_from_beyond_the_link_or_against_the_rules_are_dropped() {
    let mut far = answer(NEIGHBOURS[1], MAC_OTHER);
    far[14 + 7] = 254;
    let solicited_to_all = advertisement(NEIGHBOURS[1], Some(MAC_A), "ff02::1", true, true);
    let probe_with_link = solicitation("::", Some(MAC_A), "ff02::1:ff00:b", "2001:db8::b");
    let probe_to_one = solicitation("::", None, "2001:db8::b", "2001:db8::b");
    let probe_to_all = solicitation("::", None, "ff02::1", "2001:db8::b");
    for mut frame in [far, solicited_to_all, probe_with_link, probe_to_one, probe_to_all] {
        let mut ip = host_b();
        resolve(&mut ip, NEIGHBOURS[1], at(0));
        let ingress = ip.handle_frame(&mut frame, at(0));
        assert_eq!(ingress, Ingress::Drop(DropReason::NdMalformed));
        assert!(!is_known(&mut ip, NEIGHBOURS[1], at(0)));
    }
}

#[test]
fn who_asks_us_is_answered_and_known() {
    let questions = [
        arp_frame(arp::Operation::Request, MAC_A, NEIGHBOURS[0], MacAddress::ZERO, "10.9.0.2"),
        solicitation(NEIGHBOURS[1], Some(MAC_A), "ff02::1:ff00:b", "2001:db8::b"),
    ];
    for (neighbour, mut question) in NEIGHBOURS.into_iter().zip(questions) {
        let mut ip = host_b();
        let Ingress::Reply { .. } = ip.handle_frame(&mut question, at(0)) else {
            panic!("not answered");
        };
        assert_eq!(station(&question), MAC_A);
        assert!(is_known(&mut ip, neighbour, at(0)));
        assert!(control_frames(&mut ip, at(0)).is_empty());
        assert_eq!(ip.next_deadline(), Some(at(5)), "stale, then used");
    }
}

#[test]
fn a_question_to_others_moves_an_entry_but_makes_none() {
    let asks =
        |mac| arp_frame(arp::Operation::Request, mac, "10.9.0.77", MacAddress::ZERO, "10.9.0.88");
    let mut ip = host_b();
    assert_eq!(ip.handle_frame(&mut asks(MAC_A), at(0)), Ingress::Consumed);
    assert!(!is_known(&mut ip, "10.9.0.77", at(0)));

    let mut ip = host_b();
    let hop = learn(&mut ip, "10.9.0.77", MAC_A, at(0));
    assert_eq!(ip.handle_frame(&mut asks(MAC_OTHER), at(1)), Ingress::Consumed);
    assert_eq!(mac_of(&ip, hop), MAC_OTHER, "RFC 826 merges whatever it hears");
}

#[test]
fn nothing_is_learnt_from_a_sender_that_is_not_on_the_link() {
    let mut ip = host_b();
    for sender in ["192.0.2.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1"] {
        let mut question =
            arp_frame(arp::Operation::Request, MAC_A, sender, MacAddress::ZERO, "10.9.0.2");
        assert!(matches!(ip.handle_frame(&mut question, at(0)), Ingress::Reply { .. }));
    }
    let mut question = solicitation("2600::1", Some(MAC_A), "ff02::1:ff00:b", "2001:db8::b");
    assert!(matches!(ip.handle_frame(&mut question, at(0)), Ingress::Reply { .. }));
    // All ten entries are still there for others: two gateways and, unknown, half of the table.
    for host in 0..5 {
        assert!(matches!(
            resolve(&mut ip, &format!("10.9.0.{}", 10 + host), at(0)),
            Resolution::Wait(_)
        ));
    }
    assert_eq!(ip.counters().neighbours_evicted, 0);
}

#[test]
fn packets_teach_nothing() {
    let mut ip = host_b();
    let mut frame = packet("10.9.0.77", "10.9.0.2", 6, &[0; 20]);
    let Ingress::Transport(packet) = ip.handle_frame(&mut frame, at(0)) else {
        panic!("not delivered");
    };
    assert_eq!(packet.hop, HopIndex::NONE);
    assert!(!is_known(&mut ip, "10.9.0.77", at(0)));
}

#[test]
fn a_station_that_claims_our_address_is_not_believed_and_answered_once_in_ten_seconds() {
    let claim_v4 =
        arp_frame(arp::Operation::Reply, MAC_OTHER, "10.9.0.2", MacAddress::BROADCAST, "10.9.0.2");
    let mut claim_v6 = advertisement("2001:db8::b", Some(MAC_OTHER), "ff02::1", false, true);
    // An advertisement from our own address has a martian source; one from another does not.
    let claim_v6_other = {
        let repr = ndp::Repr::Advertisement {
            target: "2001:db8::b".parse().expect("a literal"),
            is_router: false,
            is_solicited: false,
            overrides: true,
            target_link: Some(MAC_OTHER),
        };
        nd_frame(repr, "fe80::99", "ff02::1")
    };
    let mut ip = host_b();
    let martian = ip.handle_frame(&mut claim_v6, at(0));
    assert_eq!(martian, Ingress::Drop(DropReason::SourceMartian));
    for claim in [claim_v4, claim_v6_other] {
        let mut ip = host_b();
        let mut defences = 0;
        for second in 0..25 {
            let ingress = ip.handle_frame(&mut claim.clone(), at(second));
            assert_eq!(ingress, Ingress::Drop(DropReason::AddressConflict));
            for frame in control_frames(&mut ip, at(second)) {
                assert!(station(&frame).is_multicast());
                defences += 1;
            }
        }
        assert_eq!(defences, 3, "at 0, 10 and 20 seconds");
    }
}

#[test]
fn who_checks_whether_our_address_is_free_is_told() {
    let mut ip = host_b();
    let mut probe =
        arp_frame(arp::Operation::Request, MAC_OTHER, "0.0.0.0", MacAddress::ZERO, "10.9.0.2");
    assert!(matches!(ip.handle_frame(&mut probe, at(0)), Ingress::Reply { .. }));
    assert_eq!(station(&probe), MAC_OTHER);

    // The probe of Linux, with its nonce, as it was captured; B has that address here.
    let captured = "3333ff00000b 02000000000b 86dd 6000000000203aff
        00000000000000000000000000000000 ff0200000000000000000001ff00000b
        87003e9100000000 fe80000000000000000000fffe00000b 0e01ae36618a20b6";
    let mut probe = hex(captured);
    probe[6..12].copy_from_slice(&MAC_OTHER.0);
    let Ingress::Reply { len } = ip.handle_frame(&mut probe, at(0)) else {
        panic!("not answered");
    };
    assert_eq!(station(&probe).to_string(), "33:33:00:00:00:01");
    let (message, _) = ndp::Repr::parse(&probe[54..len]).expect("our own");
    let ndp::Repr::Advertisement { is_solicited, overrides, .. } = message else {
        panic!("{message:?}");
    };
    assert!(!is_solicited && overrides);
}

#[test]
fn a_full_table_forgets_the_stale_neighbour_that_was_used_longest_ago() {
    let mut ip = host_b();
    // Eight beside the gateways, each used at its own time.
    let hops: Vec<HopIndex> = (0..8)
        .map(|host| learn(&mut ip, &format!("10.9.0.{}", 10 + host), MAC_A, at(host)))
        .collect();
    // The first two are used again, late enough to be stale and then confirmed; the third is the
    // one that waited longest.
    for (host, hop) in hops.iter().enumerate().take(2) {
        assert!(is_known(&mut ip, &format!("10.9.0.{}", 10 + host), at(100)));
        ip.confirm(*hop, at(100));
    }
    let newcomer = hop(resolve(&mut ip, "10.9.0.99", at(101)));
    assert_eq!(newcomer, hops[2]);
    assert_eq!(ip.counters().neighbours_evicted, 1);
    // A connection that still holds the old index is not led astray.
    let evicted = ip.resolve(address("10.9.0.12"), hops[2], at(101));
    assert_eq!(evicted, Resolution::Wait(hops[3]), "the next longest has gone for it");
}

#[test]
fn a_table_of_reachable_neighbours_has_no_room() {
    let mut ip = host_b();
    for host in 0..8 {
        learn(&mut ip, &format!("10.9.0.{}", 10 + host), MAC_A, at(0));
    }
    let full = Resolution::Unreachable(Unreachable::NeighboursFull);
    assert_eq!(resolve(&mut ip, "10.9.0.99", at(1)), full);
    assert_eq!(ip.counters().neighbours_refused, 1);
    assert!(matches!(resolve(&mut ip, "10.9.0.99", at(60)), Resolution::Wait(_)));
}

#[test]
fn a_scan_of_absent_hosts_does_not_push_out_those_that_are_there() {
    let mut ip = host_b();
    for host in 0..3 {
        learn(&mut ip, &format!("10.9.0.{}", 10 + host), MAC_A, at(0));
    }
    for host in 100..200 {
        resolve(&mut ip, &format!("10.9.0.{host}"), at(60));
    }
    for host in 0..3 {
        assert!(is_known(&mut ip, &format!("10.9.0.{}", 10 + host), at(60)));
    }
    assert_eq!(ip.counters().neighbours_evicted, 0);
    // Those that did not answer make room for the next.
    for second in 60..64 {
        control_frames(&mut ip, at(second));
    }
    assert!(matches!(resolve(&mut ip, "10.9.0.250", at(64)), Resolution::Wait(_)));
}

#[test]
fn a_gateway_is_never_forgotten_and_leads_to_all_behind_it() {
    let mut ip = host_b();
    let gateway = hop(resolve(&mut ip, "8.8.8.8", at(0)));
    assert_eq!(resolve(&mut ip, "10.9.0.254", at(0)), Resolution::Wait(gateway));
    control_frames(&mut ip, at(0));
    ip.handle_frame(&mut answer("10.9.0.254", MAC_OTHER), at(0));
    for host in 0..8 {
        learn(&mut ip, &format!("10.9.0.{}", 10 + host), MAC_A, at(1));
    }
    for host in 100..120 {
        resolve(&mut ip, &format!("10.9.0.{host}"), at(100));
    }
    let known = ip.resolve(address("9.9.9.9"), gateway, at(100));
    assert_eq!(known, Resolution::Known(gateway));
    assert_eq!(mac_of(&ip, gateway), MAC_OTHER);

    let mut frame = packet("8.8.8.8", "10.9.0.2", 6, &[0; 20]);
    let Ingress::Transport(packet) = ip.handle_frame(&mut frame, at(100)) else {
        panic!("not delivered");
    };
    assert_eq!(packet.hop, gateway);
}

#[test]
fn a_gateway_that_failed_is_asked_again() {
    let mut ip = host_b();
    let gateway = hop(resolve(&mut ip, "2600::1", at(0)));
    for second in 0..4 {
        control_frames(&mut ip, at(second));
    }
    let failed = Resolution::Unreachable(Unreachable::NeighbourFailed);
    assert_eq!(ip.resolve(address("2600::1"), gateway, at(3)), failed);
    assert_eq!(ip.resolve(address("2600::1"), gateway, at(5)), Resolution::Wait(gateway));
    assert_eq!(control_frames(&mut ip, at(5)).len(), 1);
    ip.handle_frame(
        &mut advertisement("fe80::fe", Some(MAC_A), "fe80::ff:fe00:b", true, true),
        at(5),
    );
    assert_eq!(ip.resolve(address("2600::1"), gateway, at(5)), Resolution::Known(gateway));
}

#[test]
fn what_is_not_another_host_has_no_way() {
    let mut ip = host_b();
    let not_a_host = Resolution::Unreachable(Unreachable::NotAHost);
    for remote in ["10.9.0.2", "10.9.0.255", "255.255.255.255", "224.0.0.1", "127.0.0.1", "::1"] {
        assert_eq!(resolve(&mut ip, remote, at(0)), not_a_host, "{remote}");
    }
    let config = Config { routes: Vec::new(), ..config(MAC_B, &["10.9.0.2/24"]) };
    let no_route = Resolution::Unreachable(Unreachable::NoRoute);
    assert_eq!(resolve(&mut made(&config), "8.8.8.8", at(0)), no_route);
}

#[test]
fn parked_frames_leave_in_order_when_the_neighbour_answers() {
    for neighbour in NEIGHBOURS {
        let mut ip = host_b();
        let hop = hop(resolve(&mut ip, neighbour, at(0)));
        assert_eq!(ip.park(hop, stowed(1)), None);
        assert_eq!(ip.park(hop, stowed(2)), None);
        assert_eq!(released(&mut ip), []);
        ip.handle_frame(&mut answer(neighbour, MAC_A), at(0));
        let send = |index| (hop, Released::Send(stowed(index)));
        assert_eq!(released(&mut ip), [send(1), send(2)]);
        assert_eq!(released(&mut ip), []);
    }
}

#[test]
fn parked_frames_come_back_when_the_neighbour_fails() {
    let mut ip = host_b();
    let hop = hop(resolve(&mut ip, "10.9.0.77", at(0)));
    assert_eq!(ip.park(hop, stowed(1)), None);
    for second in 0..4 {
        assert_eq!(released(&mut ip), []);
        control_frames(&mut ip, at(second));
    }
    assert_eq!(released(&mut ip), [(hop, Released::Failed(stowed(1)))]);
}

#[test]
fn three_frames_wait_for_a_neighbour_and_the_oldest_goes() {
    let mut ip = host_b();
    let hop = hop(resolve(&mut ip, "10.9.0.77", at(0)));
    for index in 0..3 {
        assert_eq!(ip.park(hop, stowed(index)), None);
    }
    assert_eq!(ip.park(hop, stowed(3)), Some(stowed(0)));
    assert_eq!(ip.counters().parked_dropped, 1);
    ip.handle_frame(&mut answer("10.9.0.77", MAC_A), at(0));
    let left: Vec<Released> = released(&mut ip).into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(left, [1, 2, 3].map(|index| Released::Send(stowed(index))));
}

#[test]
fn eight_frames_wait_in_all_and_a_ninth_is_refused() {
    let mut ip = host_b();
    let mut refused = 0;
    for host in 0..4 {
        let hop = hop(resolve(&mut ip, &format!("10.9.0.{}", 10 + host), at(0)));
        for index in 0..3 {
            refused += u32::from(ip.park(hop, stowed(index)) == Some(stowed(index)));
        }
    }
    assert_eq!(refused, 4, "twelve came, eight have room");
}

#[test]
fn a_frame_for_a_neighbour_that_is_not_looked_for_is_refused() {
    let mut ip = host_b();
    let hop = learn(&mut ip, "10.9.0.77", MAC_A, at(0));
    assert_eq!(ip.park(hop, stowed(1)), Some(stowed(1)));
    assert_eq!(ip.park(HopIndex::NONE, stowed(1)), Some(stowed(1)));
}

#[test]
fn own_addresses_are_announced_twice_at_start() {
    let config = Config { announce: true, ..config(MAC_B, &["10.9.0.2/24", "2001:db8::b/64"]) };
    let mut ip = made(&config);
    assert_eq!(ip.next_deadline(), Some(Instant::ZERO));
    for round in 0..2 {
        let now = at(1000 + 2 * round);
        let frames = control_frames(&mut ip, now);
        let stations: Vec<String> = frames.iter().map(|frame| station(frame).to_string()).collect();
        let all_nodes = "33:33:00:00:00:01";
        assert_eq!(stations, ["ff:ff:ff:ff:ff:ff", all_nodes, all_nodes]);
        for frame in frames {
            // Another host with the same addresses sees the conflict.
            let ingress = host_a().handle_frame(&mut frame.clone(), now);
            assert_eq!(ingress, Ingress::Consumed);
        }
    }
    assert_eq!(ip.next_deadline(), None);
    assert!(control_frames(&mut ip, at(2000)).is_empty());
    assert_eq!(ip.counters().announcements, 6);
}

#[test]
fn no_parked_frame_is_lost_or_comes_back_twice() {
    for seed in 0..50 {
        println!("seed {seed}");
        let mut rng = Rng::seeded(seed);
        let mut ip = host_b();
        let mut now = at(0);
        let mut inside = BTreeSet::new();
        for index in 0..2000 {
            let neighbour = format!("10.9.0.{}", 10 + rng.below(14));
            match rng.below(8) {
                0..4 => park_one(&mut ip, &neighbour, now, index, &mut inside),
                4 => {
                    ip.handle_frame(&mut answer(&neighbour, MAC_A), now);
                }
                5 => {
                    control_frames(&mut ip, now);
                }
                6 => now += Duration::from_millis(rng.below(9000)),
                _ => take_back(ip.poll_released(), &mut inside),
            }
            assert!(inside.len() <= 8, "the bound in all");
        }
        // Time alone brings every frame back.
        for _ in 0..10 {
            now += Duration::from_secs(1);
            control_frames(&mut ip, now);
            for frame in released(&mut ip) {
                take_back(Some(frame), &mut inside);
            }
        }
        assert!(inside.is_empty(), "seed {seed}: {inside:?}");
    }
}

/// Parks a new frame if its neighbour has to be waited for, and notes which are inside.
fn park_one(ip: &mut Ip, neighbour: &str, now: Instant, index: u32, inside: &mut BTreeSet<u32>) {
    let Resolution::Wait(hop) = resolve(ip, neighbour, now) else { return };
    assert!(inside.insert(index));
    if let Some(back) = ip.park(hop, stowed(index)) {
        assert!(inside.remove(&back.index), "{back:?}");
    }
}

fn take_back(frame: Option<(HopIndex, Released)>, inside: &mut BTreeSet<u32>) {
    if let Some((_, Released::Send(frame) | Released::Failed(frame))) = frame {
        assert!(inside.remove(&frame.index), "{frame:?}");
    }
}
