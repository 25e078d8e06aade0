//! Echo requests of our own: who hears of them, and who does not.

use super::*;
use wire::{icmpv4, icmpv6, protocol};

const IDENT: u16 = 0x4d;

/// A request of A to `remote`, as the frame that leaves; its neighbour is known or not.
fn request(a: &mut Ip, remote: &str, seq: u16) -> Vec<u8> {
    let remote = address(remote);
    let hop = match a.resolve(remote, HopIndex::NONE, at(0)) {
        Resolution::Known(hop) | Resolution::Wait(hop) => hop,
        Resolution::Unreachable(why) => panic!("{why}"),
    };
    let local = a.source_for(remote).expect("an address of the family");
    let request = EchoRequest { remote, ident: IDENT, seq, len: 20 };
    let mut frame = vec![0; a.headers_len(remote) + ECHO_HEADER_LEN + 20];
    a.write_echo_request(&mut frame, &request, (local, hop));
    frame[..6].copy_from_slice(&MAC_B.0);
    frame
}

fn listening(remote: &str) -> Ip {
    let mut a = host_a();
    a.listen_for_echoes(IDENT, address(remote), at(100), at(0));
    a
}

#[test]
fn a_request_is_answered_by_another_host_and_heard_by_who_asked() {
    for remote in ["10.9.0.2", "2001:db8::b"] {
        let (mut a, mut b) = (listening(remote), host_b());
        let mut frame = request(&mut a, remote, 7);
        let ingress = b.handle_frame(&mut frame, at(0));
        let Ingress::Reply { len } = ingress else { panic!("{ingress:?}") };
        let mut reply = frame[..len].to_vec();
        assert_eq!(a.handle_frame(&mut reply.clone(), at(3)), Ingress::Consumed);
        let outcome = EchoOutcome::Reply { len: 20, hop_limit: 64 };
        let news = EchoNews { ident: IDENT, seq: 7, at: at(3), outcome };
        assert_eq!(a.take_echo_news(IDENT + 1), None);
        assert_eq!(a.take_echo_news(IDENT), Some(news));
        assert_eq!(a.take_echo_news(IDENT), None);
        let counters = a.counters();
        assert_eq!((counters.echo_requests, counters.echo_replies_heard), (1, 1));

        // Data that was damaged on the way is no reply.
        *reply.last_mut().unwrap() ^= 1;
        assert_eq!(a.handle_frame(&mut reply, at(3)), Ingress::Drop(DropReason::IcmpMalformed));
    }
}

#[test]
fn a_reply_that_nobody_asked_for_or_waits_for_is_dropped_and_counted() {
    let remote = "10.9.0.2";
    let mut b = host_b();
    let mut silent = host_a();
    let mut frame = request(&mut silent, remote, 1);
    let Ingress::Reply { len } = b.handle_frame(&mut frame, at(0)) else { panic!("it answers") };
    let reply = &frame[..len];
    for (mut a, now) in
        [(host_a(), at(0)), (listening("10.9.0.3"), at(0)), (listening(remote), at(101)), {
            let mut a = host_a();
            a.listen_for_echoes(IDENT + 1, address(remote), at(100), at(0));
            (a, at(0))
        }]
    {
        let ingress = a.handle_frame(&mut reply.to_vec(), now);
        assert_eq!(ingress, Ingress::Drop(DropReason::IcmpUnused));
        assert_eq!(a.counters().drops(DropReason::IcmpUnused), 1);
        assert_eq!(a.take_echo_news(IDENT), None);
    }
}

/// An error about `frame`, which A has sent, from B's station.
fn error(frame: &[u8], is_v4: bool) -> Vec<u8> {
    let quoted = &frame[14..];
    let mut message = [&[0; 8], quoted].concat();
    let (source, destination, protocol) = if is_v4 {
        icmpv4::Repr::TimeExceeded { code: 0 }.emit(&mut message);
        ("10.9.0.254", "10.9.0.1", protocol::ICMP)
    } else {
        let (source, destination) = ("2001:db8::fe", "2001:db8::a");
        let repr = icmpv6::Repr::TimeExceeded { code: 0 };
        repr.emit(&mut message, address(source).to_v6(), address(destination).to_v6());
        (source, destination, protocol::ICMPV6)
    };
    let mut error = packet(source, destination, protocol, &message);
    error[..6].copy_from_slice(&MAC_A.0);
    error[6..12].copy_from_slice(&MAC_B.0);
    error
}

#[test]
fn an_error_about_a_request_is_told_with_who_says_it_and_about_anything_else_not() {
    for (remote, reporter) in [("192.0.2.9", "10.9.0.254"), ("2001:db8:1::9", "2001:db8::fe")] {
        let mut a = listening(remote);
        let frame = request(&mut a, remote, 9);
        let mut told = error(&frame, address(remote).is_v4());
        let ingress = a.handle_frame(&mut told.clone(), at(2));
        assert!(matches!(ingress, Ingress::Error(_)), "{ingress:?}");
        let (reporter, kind) = (address(reporter), IcmpErrorKind::TimeExceeded);
        let outcome = EchoOutcome::Error { reporter, kind };
        let news = EchoNews { ident: IDENT, seq: 9, at: at(2), outcome };
        assert_eq!(a.take_echo_news(IDENT), Some(news));

        // Of another asker, and of a segment.
        let mut silent = listening("10.9.0.77");
        assert!(matches!(silent.handle_frame(&mut told, at(2)), Ingress::Error(_)));
        assert_eq!(silent.take_echo_news(IDENT), None);
        let mut segment = frame.clone();
        let (field, value) = if address(remote).is_v4() { (23, 6) } else { (20, 6) };
        segment[field] = value;
        let mut told = error(&segment, address(remote).is_v4());
        assert!(matches!(a.handle_frame(&mut told, at(2)), Ingress::Error(_)));
        assert_eq!(a.take_echo_news(IDENT), None);
    }
}

#[test]
fn a_request_whose_neighbour_does_not_answer_is_told_of() {
    for remote in ["10.9.0.2", "2001:db8::b"] {
        let mut a = listening(remote);
        let frame = request(&mut a, remote, 3);
        a.on_undelivered(&frame, EchoOutcome::NeighbourFailed, at(3));
        let news = a.take_echo_news(IDENT).expect("it was a request");
        assert_eq!((news.seq, news.outcome), (3, EchoOutcome::NeighbourFailed));
        for len in 0..frame.len().min(60) {
            a.on_undelivered(&frame[..len], EchoOutcome::NeighbourFailed, at(3));
        }
        let whole = usize::from(a.take_echo_news(IDENT).is_some());
        assert!(whole <= 1, "what is cut off is no request");
        host_a().on_undelivered(&frame, EchoOutcome::NeighbourFailed, at(3));
    }
}

#[test]
fn news_and_askers_are_bounded_and_the_longest_asker_stays() {
    let remote = "10.9.0.2";
    let mut a = listening(remote);
    let frame = request(&mut a, remote, 3);
    for _round in 0..limits::ECHO_NEWS_MAX + 5 {
        a.on_undelivered(&frame, EchoOutcome::Displaced, at(0));
    }
    assert_eq!(a.counters().echo_news_untold, 5);
    // Eight more, of whom the last takes the place of who listens least long; the first stays.
    for more in 1..=8 {
        a.listen_for_echoes(IDENT + more, address(remote), at(u64::from(more)), at(0));
    }
    let news = std::iter::from_fn(|| a.take_echo_news(IDENT)).count();
    assert_eq!(news, limits::ECHO_NEWS_MAX);
    a.on_undelivered(&frame, EchoOutcome::Displaced, at(0));
    assert!(a.take_echo_news(IDENT).is_some());
    // Its place goes with its time.
    a.on_undelivered(&frame, EchoOutcome::Displaced, at(101));
    assert_eq!(a.take_echo_news(IDENT), None);
}

#[test]
fn the_longest_request_fills_the_link() {
    let a = host_a();
    assert_eq!(a.echo_len_max(address("10.9.0.2")), 1_500 - 20 - 8);
    assert_eq!(a.echo_len_max(address("2001:db8::b")), 1_500 - 40 - 8);
}
