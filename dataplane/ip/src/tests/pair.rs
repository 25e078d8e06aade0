//! Two hosts on one wire.

use super::*;

/// Carries control frames and replies between both until nobody has anything to say.
fn settle(a: &mut Ip, b: &mut Ip, now: Instant) {
    for _ in 0..10 {
        let mut is_quiet = true;
        for is_turned in [false, true] {
            let (from, to) = if is_turned { (&mut *b, &mut *a) } else { (&mut *a, &mut *b) };
            for mut frame in control_frames(from, now) {
                is_quiet = false;
                if let Ingress::Reply { len } = to.handle_frame(&mut frame, now) {
                    assert_eq!(from.handle_frame(&mut frame[..len], now), Ingress::Consumed);
                }
            }
        }
        if is_quiet {
            return;
        }
    }
    panic!("they never fall silent");
}

/// Sends a payload from one to the other and gives what arrives.
fn carry(from: &mut Ip, to: &mut Ip, remote: Address, now: Instant) -> (Vec<u8>, Packet) {
    let headers_len = from.headers_len(remote);
    let mut frame = vec![0; headers_len];
    frame.extend_from_slice(b"some transport bytes");
    let Resolution::Known(hop) = from.resolve(remote, HopIndex::NONE, now) else {
        panic!("{remote} is not known");
    };
    let local = from.source_for(remote).expect("an address of the family");
    let envelope =
        Envelope { local, remote, hop, protocol: wire::protocol::TCP, transport_len: 20, ecn: 2 };
    from.encapsulate(&mut frame, &envelope);
    let ingress = to.handle_frame(&mut frame, now);
    let Ingress::Transport(packet) = ingress else { panic!("{ingress:?}") };
    (frame, packet)
}

#[test]
fn what_one_host_encapsulates_the_other_delivers() {
    let (mut a, mut b) = (host_a(), host_b());
    for remote in ["10.9.0.2", "2001:db8::b", "fe80::ff:fe00:b"] {
        let remote = address(remote);
        assert!(matches!(a.resolve(remote, HopIndex::NONE, at(0)), Resolution::Wait(_)));
        settle(&mut a, &mut b, at(0));
        let (frame, packet) = carry(&mut a, &mut b, remote, at(0));
        assert_eq!(packet.destination, remote);
        assert_eq!(b.local_address(packet.local), remote);
        assert_eq!(a.local_index(packet.source), a.source_for(remote));
        assert_eq!((packet.ecn, packet.len), (2, 20));
        assert_eq!(frame[packet.offset..], *b"some transport bytes");
        // B has learnt from the question, so its answer needs none.
        let answer_hop = b.resolve(packet.source, packet.hop, at(0));
        assert_eq!(answer_hop, Resolution::Known(packet.hop));
    }
}

#[test]
fn a_frame_that_was_parked_is_sent_to_the_station_that_answered() {
    let (mut a, mut b) = (host_a(), host_b());
    let remote = address("10.9.0.2");
    let Resolution::Wait(hop) = a.resolve(remote, HopIndex::NONE, at(0)) else {
        panic!("known before it was asked");
    };
    let mut frame = vec![0; 34 + 20];
    let (local, protocol) = (LocalIndex(0), wire::protocol::TCP);
    let envelope = Envelope { local, remote, hop, protocol, transport_len: 20, ecn: 0 };
    a.encapsulate(&mut frame, &envelope);
    assert_eq!(station(&frame), MacAddress::ZERO);
    settle(&mut a, &mut b, at(0));
    a.set_destination(&mut frame, hop);
    assert_eq!(station(&frame), MAC_B);
    assert!(matches!(b.handle_frame(&mut frame, at(0)), Ingress::Transport(_)));
}

#[test]
fn two_hosts_that_talk_for_an_hour_ask_each_other_now_and_then_only() {
    let (mut a, mut b) = (host_a(), host_b());
    a.resolve(address("2001:db8::b"), HopIndex::NONE, at(0));
    settle(&mut a, &mut b, at(0));
    for second in 0..3600 {
        let (_, packet) = carry(&mut a, &mut b, address("2001:db8::b"), at(second));
        b.resolve(packet.source, packet.hop, at(second));
        settle(&mut a, &mut b, at(second));
    }
    // Every 15 to 45 s of reachability, 5 s of delay, one probe; without confirmation from above.
    let asked = a.counters().solicitations;
    assert!((70..=185).contains(&asked), "{asked}");
    assert_eq!(a.counters().neighbours_failed + b.counters().neighbours_failed, 0);
}
