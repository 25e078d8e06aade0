//! Opening: the handshake, refusals, lost SYNs, simultaneous opens, and what a half-open costs.

use base::{Duration, Instant};
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Options, Repr};

use super::{Flying, PORT, Pair};
use crate::{CloseReason, DropReason, State};

fn syn(port: u16) -> Flying {
    let repr = Repr {
        src_port: port,
        dst_port: PORT,
        seq: SeqNum(9_000),
        flags: Bits::SYN,
        window: 1_000,
        options: Options { mss: Some(1_460), ..Options::default() },
        ..Repr::default()
    };
    Flying { repr, bytes: Vec::new() }
}

#[test]
fn handshake_opens_both_ends_and_costs_no_extension_on_the_accepting_one() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    assert_eq!(pair.a.tcp.record(conn).unwrap().state(), State::Established);
    assert_eq!(pair.b.tcp.record(accepted).unwrap().state(), State::Established);
    assert_eq!(pair.b.tcp.usage().extensions, 0);
    assert_eq!(pair.b.tcp.usage().half_open, 0);
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.a.tcp.usage().extensions, 0, "the opener is quiet after a second");
}

#[test]
fn lost_syn_and_lost_syn_ack_are_sent_again() {
    for lost in [1, 2, 3] {
        let mut pair = Pair::new();
        pair.loses = Box::new(move |n, _| n == lost);
        let conn = pair.connect();
        pair.pass(Duration::from_secs(4));
        assert_eq!(pair.a.opened, [conn], "segment {lost} lost:\n{}", pair.tail());
        // A lost third segment leaves the acceptor half-open until data or the SYN-ACK again.
        assert_eq!(pair.b.opened.len(), 1, "segment {lost} lost:\n{}", pair.tail());
    }
}

#[test]
fn unanswered_syn_is_given_up_after_its_retransmissions() {
    let mut pair = Pair::new();
    pair.loses = Box::new(|_, _| true);
    let conn = pair.connect();
    pair.pass(Duration::from_secs(200));
    assert_eq!(pair.a.ended, [(conn, CloseReason::TimedOut)]);
    pair.assert_clean();
}

#[test]
fn closed_port_refuses_and_the_opener_is_told() {
    let mut pair = Pair::new();
    let remote = pair.b.address;
    let tuple = crate::Tuple { remote, remote_port: 81, local_port: 0, local: 0 };
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let conn = tcp.connect(&mut cx, tuple, 0, |_| true).unwrap();
    pair.settle();
    assert_eq!(pair.a.ended, [(conn, CloseReason::PeerRefused)]);
    assert_eq!(pair.b.tcp.counters().dropped(DropReason::NoListener), 1);
    pair.assert_clean();
}

#[test]
fn syn_flood_fills_the_half_open_table_and_nothing_else() {
    let mut pair = Pair::new();
    pair.loses = Box::new(|_, _| true);
    let now = pair.now;
    for port in 1..=100 {
        assert_eq!(pair.b.arrive(now, &syn(port)).len(), 1, "each is answered");
    }
    let usage = pair.b.tcp.usage();
    assert_eq!((usage.half_open, usage.records, usage.extensions), (16, 0, 0));
    assert_eq!(pair.b.tcp.counters().syn_cookies_sent, 84);
    pair.assert_clean();
    assert_eq!(pair.b.tcp.counters().half_open_expired, 16);
}

/// Fills the half-open table of `b` with SYNs whose senders are not there.
fn flood(pair: &mut Pair) {
    let now = pair.now;
    for port in 1..=16 {
        pair.b.arrive(now, &syn(port));
    }
}

#[test]
fn cookie_opens_what_a_full_table_could_not_and_forgets_nothing_but_the_exact_mss() {
    let mut pair = Pair::new();
    flood(&mut pair);
    let (conn, accepted) = pair.open();
    assert_eq!(pair.b.tcp.counters().syn_cookies_accepted, 1, "{}", pair.tail());
    assert_eq!(pair.b.tcp.usage().half_open, 16);
    let scales = |tcp: &crate::Tcp, conn| {
        let record = tcp.record(conn).expect("it is open");
        (record.send_scale(), record.receive_scale())
    };
    let (sends, receives) = scales(&pair.a.tcp, conn);
    assert_eq!(scales(&pair.b.tcp, accepted), (receives, sends));
    let bytes = super::pattern(40_000);
    for (from_a, conn) in [(true, conn), (false, accepted)] {
        assert_eq!(pair.send(from_a, conn, &bytes), bytes.len());
        pair.settle();
    }
    assert_eq!((&pair.a.received, &pair.b.received), (&bytes, &bytes));
    assert_eq!(pair.b.tcp.counters().retransmits, 0, "{}", pair.tail());
}

#[test]
fn cookie_comes_back_with_the_first_data_when_the_acknowledgement_was_lost() {
    let mut pair = Pair::new();
    flood(&mut pair);
    pair.loses = Box::new(|n, _| n == 3);
    let conn = pair.connect();
    pair.settle();
    assert!(pair.b.opened.is_empty(), "the third segment is lost:\n{}", pair.tail());
    assert_eq!(pair.send(true, conn, b"hello"), 5);
    pair.settle();
    assert_eq!((pair.b.opened.len(), pair.b.received.as_slice()), (1, b"hello".as_slice()));
}

#[test]
fn data_behind_a_lost_cookie_waits_for_it_and_is_not_reset() {
    let mut pair = Pair::new();
    flood(&mut pair);
    // The acknowledgement and the first of two segments of data are lost.
    pair.loses = Box::new(|n, _| n == 3 || n == 4);
    let conn = pair.connect();
    pair.settle();
    let bytes = super::pattern(2_000);
    assert_eq!(pair.send(true, conn, &bytes), bytes.len());
    pair.settle();
    assert_eq!(pair.b.tcp.counters().dropped(DropReason::CookieUnfit), 1, "{}", pair.tail());
    pair.pass(Duration::from_secs(5));
    assert_eq!((pair.b.opened.len(), &pair.b.received), (1, &bytes), "{}", pair.tail());
    assert!(pair.a.ended.is_empty(), "{}", pair.tail());
}

#[test]
fn cookie_is_taken_although_a_second_syn_found_a_place() {
    let mut pair = Pair::new();
    flood(&mut pair);
    let now = pair.now;
    let with_cookie = pair.b.arrive(now, &syn(50)).remove(0);
    let mut reset = syn(7);
    reset.repr.seq += 1;
    reset.repr.flags = Bits::RST;
    pair.b.arrive(now, &reset);
    let second = pair.b.arrive(now, &syn(50)).remove(0);
    assert_ne!(second.repr.seq, with_cookie.repr.seq, "the second has a place");
    assert_eq!(pair.b.tcp.usage().half_open, 16);
    let mut ack = syn(50);
    ack.repr.seq += 1;
    ack.repr.flags = Bits::ACK;
    ack.repr.ack = with_cookie.repr.seq + 1;
    assert!(pair.b.arrive(now, &ack).is_empty(), "no reset");
    assert_eq!((pair.b.opened.len(), pair.b.tcp.usage().half_open), (1, 15));
}

#[test]
fn old_cookies_and_guesses_open_nothing() {
    let mut pair = Pair::new();
    pair.loses = Box::new(|_, _| true);
    flood(&mut pair);
    let with_cookie = pair.b.arrive(pair.now, &syn(50)).remove(0);
    let mut ack = syn(50);
    ack.repr.seq += 1;
    ack.repr.flags = Bits::ACK;
    ack.repr.ack = with_cookie.repr.seq + 2;
    assert!(pair.b.arrive(pair.now, &ack).is_empty());
    assert_eq!(pair.b.tcp.counters().dropped(DropReason::CookieUnfit), 1);
    pair.pass(Duration::from_secs(130));
    ack.repr.ack = with_cookie.repr.seq + 1;
    let reset = pair.b.arrive(pair.now, &ack).remove(0);
    assert_eq!(reset.repr.flags, Bits::RST, "none is out any more");
    assert!(pair.b.opened.is_empty());
}

#[test]
fn cookies_open_no_more_connections_than_there_are_records() {
    let mut pair = Pair::new();
    flood(&mut pair);
    let acks: Vec<_> = (100..200)
        .map(|port| {
            let with_cookie = pair.b.arrive(pair.now, &syn(port)).remove(0);
            let mut ack = syn(port);
            ack.repr.seq += 1;
            ack.repr.flags = Bits::ACK;
            ack.repr.ack = with_cookie.repr.seq + 1;
            ack
        })
        .collect();
    for ack in &acks {
        pair.b.arrive(pair.now, ack);
    }
    // 64 records, of which 16 are kept for what is half open.
    assert_eq!((pair.b.opened.len(), pair.b.tcp.usage().records), (48, 48));
    assert_eq!(pair.b.tcp.counters().dropped(DropReason::NoRecord), 52);
}

#[test]
fn frames_below_the_watermark_admit_no_syn() {
    let mut pair = Pair::new();
    let mut held = Vec::new();
    while pair.b.arena.has_free(16) {
        held.push(pair.b.arena.allocate().unwrap());
    }
    let now = pair.now;
    pair.b.arrive(now, &syn(5));
    assert_eq!(pair.b.tcp.counters().dropped(DropReason::SynNoFrames), 1);
    for frame in held {
        pair.b.arena.free(frame);
    }
    pair.b.arrive(now, &syn(5));
    assert_eq!(pair.b.tcp.usage().half_open, 1, "it recovers by itself");
    pair.assert_clean();
}

#[test]
fn wrong_acknowledgement_of_a_syn_ack_is_reset_and_the_promise_stays() {
    let mut pair = Pair::new();
    let now = pair.now;
    let syn_ack = pair.b.arrive(now, &syn(7)).remove(0);
    let mut ack = syn(7);
    ack.repr.seq += 1;
    ack.repr.flags = Bits::ACK;
    ack.repr.ack = syn_ack.repr.seq + 2;
    let reset = pair.b.arrive(now, &ack).remove(0);
    assert_eq!((reset.repr.flags, reset.repr.seq), (Bits::RST, ack.repr.ack));
    ack.repr.ack = syn_ack.repr.seq + 1;
    assert!(pair.b.arrive(now, &ack).is_empty());
    assert_eq!(pair.b.opened.len(), 1);
}

#[test]
fn peers_that_open_at_once_meet_in_one_connection() {
    let mut pair = Pair::new();
    let now = pair.now;
    let mut conns = Vec::new();
    for (from_a, local_port, remote_port) in [(true, 1_000, 2_000), (false, 2_000, 1_000)] {
        let end = if from_a { &mut pair.a } else { &mut pair.b };
        let remote = end.peer;
        let tuple = crate::Tuple { remote, remote_port, local_port, local: 0 };
        let (tcp, mut cx) = end.cx(now);
        conns.push(tcp.connect(&mut cx, tuple, 0, |_| true).unwrap());
    }
    pair.settle();
    assert_eq!((pair.a.opened.clone(), pair.b.opened.clone()), (vec![conns[0]], vec![conns[1]]));
    assert_eq!(pair.send(true, conns[0], b"crossed"), 7);
    pair.settle();
    assert_eq!(pair.b.received, b"crossed");
}

#[test]
fn initial_sequence_numbers_differ_by_peer_and_advance_with_time() {
    let mut pair = Pair::new();
    let first = pair.b.arrive(Instant::from_nanos(4_000_000), &syn(1)).remove(0).repr.seq;
    let second = pair.b.arrive(Instant::from_nanos(4_000_000), &syn(2)).remove(0).repr.seq;
    assert_ne!(first, second);
    let mut later = Pair::new();
    let again = later.b.arrive(Instant::from_nanos(8_000_000), &syn(1)).remove(0).repr.seq;
    assert_eq!(again.since(first), 1_000, "one every four microseconds");
}

#[test]
fn the_port_of_a_connection_is_one_that_suits_and_none_is_refused_by_name() {
    let mut pair = Pair::new();
    let now = pair.now;
    let remote = pair.a.peer;
    let tuple = crate::Tuple { remote, remote_port: 80, local_port: 0, local: 0 };
    let (tcp, mut cx) = pair.a.cx(now);
    let conn = tcp.connect(&mut cx, tuple, 0, |tuple| tuple.local_port % 61 == 7).unwrap();
    assert_eq!(tcp.record(conn).unwrap().tuple().local_port % 61, 7);
    let before = tcp.usage();
    assert_eq!(tcp.connect(&mut cx, tuple, 0, |_| false), Err(crate::ConnectError::ResourcePorts));
    let named = crate::Tuple { local_port: 50_000, ..tuple };
    assert_eq!(tcp.connect(&mut cx, named, 0, |_| false), Err(crate::ConnectError::ResourcePorts));
    assert_eq!(tcp.usage(), before);
}
