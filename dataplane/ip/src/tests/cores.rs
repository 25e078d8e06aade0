//! Two cores of one host: what one hears of a neighbour, both know.

use memory::Stowed;

use super::*;

const NEIGHBOURS: [&str; 2] = ["10.9.0.77", "2001:db8::77"];

/// `frame` arrives at one core; the other is told what it taught, if it did.
fn hear(receiver: &mut Ip, other: &mut Ip, mut frame: Vec<u8>, now: Instant) -> bool {
    receiver.handle_frame(&mut frame, now);
    let heard = receiver.take_heard();
    if let Some(heard) = heard {
        other.learn(heard, now);
    }
    assert_eq!((receiver.take_heard(), other.take_heard()), (None, None), "nothing is told twice");
    heard.is_some()
}

fn resolve(ip: &mut Ip, remote: &str, now: Instant) -> Resolution {
    ip.resolve(address(remote), HopIndex::NONE, now)
}

#[test]
fn the_answer_that_another_core_receives_releases_what_waits_here() {
    for neighbour in NEIGHBOURS {
        let (mut asker, mut receiver) = (host_b(), host_b());
        let Resolution::Wait(hop) = resolve(&mut asker, neighbour, at(0)) else { panic!("known") };
        let parked = Stowed { index: 3, offset: 64, len: 100 };
        assert_eq!(asker.park(hop, parked), None);
        assert_eq!(control_frames(&mut asker, at(0)).len(), 1);
        assert!(hear(&mut receiver, &mut asker, answer(neighbour, MAC_A), at(0)));
        assert_eq!(asker.poll_released(), Some((hop, Released::Send(parked))));
        assert_eq!(resolve(&mut asker, neighbour, at(0)), Resolution::Known(hop));
        // Nobody waited at the core that received it: it has made no entry, and asks for itself.
        assert_eq!(receiver.counters().neighbour_claims_ignored, 1);
        assert!(matches!(resolve(&mut receiver, neighbour, at(0)), Resolution::Wait(_)));
    }
}

#[test]
fn who_asks_one_core_is_known_to_all() {
    let (mut receiver, mut other) = (host_b(), host_b());
    let question =
        arp_frame(arp::Operation::Request, MAC_A, "10.9.0.1", MacAddress::ZERO, "10.9.0.2");
    assert!(hear(&mut receiver, &mut other, question, at(0)));
    for ip in [&mut receiver, &mut other] {
        assert!(matches!(resolve(ip, "10.9.0.1", at(0)), Resolution::Known(_)));
    }
    assert_eq!((receiver.counters().neighbour_replies, other.counters().neighbour_replies), (1, 0));
}

#[test]
fn a_neighbour_that_announces_its_new_address_to_one_core_is_moved_on_all() {
    let (mut receiver, mut other) = (host_b(), host_b());
    let hop = learn(&mut other, "10.9.0.77", MAC_A, at(0));
    other.take_heard();
    let announcement =
        arp_frame(arp::Operation::Request, MAC_OTHER, "10.9.0.77", MacAddress::ZERO, "10.9.0.77");
    assert!(hear(&mut receiver, &mut other, announcement, at(1)));
    let mut bytes = [0; 14];
    other.set_destination(&mut bytes, hop);
    assert_eq!(station(&bytes), MAC_OTHER);
}

#[test]
fn an_address_that_somebody_claims_is_defended_by_one_core_only() {
    let (mut first, mut second) = (host_b(), host_b());
    let nobody = MacAddress::ZERO;
    let claim = || arp_frame(arp::Operation::Request, MAC_OTHER, "10.9.0.2", nobody, "10.9.0.1");
    assert!(hear(&mut first, &mut second, claim(), at(20)));
    assert_eq!(control_frames(&mut first, at(20)).len(), 1);
    // The next claim arrives at the other core, which knows of the defence.
    assert!(!hear(&mut second, &mut first, claim(), at(21)));
    assert!(control_frames(&mut second, at(21)).is_empty());
}

#[test]
fn what_is_for_a_transport_or_is_refused_teaches_nothing() {
    let (mut receiver, mut other) = (host_b(), host_b());
    let segment = packet("10.9.0.1", "10.9.0.2", wire::protocol::TCP, &[0; 20]);
    assert!(!hear(&mut receiver, &mut other, segment, at(0)));
    let from_elsewhere = arp_frame(arp::Operation::Reply, MAC_A, "192.0.2.1", MAC_B, "10.9.0.2");
    assert!(!hear(&mut receiver, &mut other, from_elsewhere, at(0)));
}
