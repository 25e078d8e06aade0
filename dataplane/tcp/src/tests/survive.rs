//! Quiet records and full tables: what answers without an extension, and what gives way.

use base::{Duration, Instant};
use wire::tcp::{Flags as Bits, Repr};

use super::{Flying, PORT, Pair, small};
use crate::{CloseReason, Config, Conn, DropReason, KeepAlive, ListenerOptions};

/// A segment of the stream that `a` has just had acknowledged, with the options it would have.
fn last_of_a(pair: &mut Pair, conn: Conn) -> Flying {
    pair.send(true, conn, b"tick");
    let now = pair.now;
    let flying = pair.a.poll(now).remove(0);
    pair.fly(true, vec![flying.clone()]);
    pair.settle();
    pair.pass(Duration::from_secs(3));
    flying
}

#[test]
fn quiet_record_answers_probes_duplicates_and_resets_by_itself() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let sample = last_of_a(&mut pair, conn);
    assert_eq!(pair.b.tcp.usage().extensions, 0);
    let now = pair.now;
    let duplicate = pair.b.arrive(now, &sample);
    assert_eq!(duplicate.len(), 1, "a duplicate is acknowledged");
    let mut probe = Flying { bytes: Vec::new(), ..sample.clone() };
    probe.repr.seq = sample.repr.seq + 3;
    probe.repr.flags = Bits::ACK;
    let answer = pair.b.arrive(now, &probe).remove(0);
    assert_eq!(answer.repr.ack, sample.repr.seq + 4, "a keep-alive probe is answered");
    let mut update = probe.clone();
    update.repr.seq = sample.repr.seq + 4;
    update.repr.window = 77;
    assert!(pair.b.arrive(now, &update).is_empty());
    assert_eq!(pair.b.tcp.record(accepted).unwrap().snd_wnd, 77);
    assert_eq!(pair.b.tcp.usage().extensions, 0, "none of this borrows an extension");
    let mut reset = update;
    reset.repr.flags = Bits::RST;
    pair.b.arrive(now, &reset);
    pair.settle();
    assert_eq!(pair.b.ended, [(accepted, CloseReason::PeerReset)]);
}

#[test]
fn extension_goes_back_after_quiet_and_estimates_survive() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    for _ in 0..5 {
        pair.send(true, conn, b"ping");
        pair.settle();
        pair.pass(Duration::from_millis(50));
    }
    assert_eq!(pair.a.tcp.usage().extensions, 1);
    let borrowed = pair.a.tcp.counters().extensions_borrowed;
    for _ in 0..10 {
        pair.send(true, conn, b"ping");
        pair.settle();
        pair.pass(Duration::from_millis(150));
    }
    let after = pair.a.tcp.counters().extensions_borrowed;
    assert_eq!(after, borrowed, "steady traffic keeps it:\n{}", pair.tail());
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.a.tcp.usage().extensions, 0);
    assert!(pair.a.tcp.record(conn).unwrap().estimates().srtt_us > 0);
}

#[test]
fn extensions_below_the_mark_are_taken_back_from_the_longest_unused() {
    let mut pair = Pair::with(small(), Config { extensions: 4, extensions_free_min: 2, ..small() });
    let conns: Vec<(Conn, Conn)> = (0..8).map(|_| pair.open()).collect();
    pair.pass(Duration::from_secs(2));
    for &(conn, _) in &conns {
        pair.send(true, conn, b"one after the other");
        pair.settle();
        pair.pass(Duration::from_millis(60));
    }
    assert_eq!(pair.b.received.len(), 8 * 19, "nobody is starved");
    assert!(pair.b.tcp.counters().extensions_reclaimed >= 4);
    assert!(pair.b.tcp.usage().extensions <= 4);
}

#[test]
fn without_an_extension_data_is_dropped_unacknowledged_and_comes_again() {
    let mut pair = Pair::with(small(), Config { extensions: 2, extensions_free_min: 1, ..small() });
    let conns: Vec<(Conn, Conn)> = (0..4).map(|_| pair.open()).collect();
    pair.b.appetite = 0;
    for &(conn, _) in &conns {
        pair.send(true, conn, b"held");
    }
    pair.settle();
    assert!(pair.b.tcp.counters().dropped(DropReason::NoExtension) > 0);
    pair.b.appetite = usize::MAX;
    let now = pair.now;
    for &(_, accepted) in &conns {
        pair.b.drain(now, accepted);
    }
    pair.pass(Duration::from_secs(10));
    for &(_, accepted) in &conns {
        let now = pair.now;
        pair.b.drain(now, accepted);
    }
    assert_eq!(pair.b.received.len(), 16, "{}", pair.tail());
}

#[test]
fn silent_peer_is_probed_and_given_up() {
    let mut pair = Pair::new();
    let keep_alive = Some(KeepAlive { idle_s: 10, interval_s: 5, probes_max: 3 });
    let options = ListenerOptions { keep_alive, ..ListenerOptions::default() };
    pair.b.tcp.listen(PORT + 1, options).unwrap();
    let remote = pair.b.address;
    let tuple = crate::Tuple { remote, remote_port: PORT + 1, local_port: 0, local: 0 };
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.connect(&mut cx, tuple, 0, |_| true).unwrap();
    pair.pass(Duration::from_secs(60));
    let probes = pair.b.tcp.counters().keep_alive_probes;
    assert!((4..=6).contains(&probes), "{probes} probes in a minute, all answered");
    assert!(pair.b.ended.is_empty());
    pair.loses = Box::new(|_, _| true);
    pair.pass(Duration::from_secs(40));
    assert_eq!(pair.b.ended.len(), 1);
    assert_eq!(pair.b.ended[0].1, CloseReason::KeepAlive);
    assert_eq!(pair.b.tcp.counters().keep_alive_probes - probes, 3);
}

#[test]
fn challenges_are_budgeted() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    let sample = last_of_a(&mut pair, conn);
    let now = pair.now;
    let mut blind = Flying { bytes: Vec::new(), ..sample };
    blind.repr.flags = Bits::SYN;
    blind.repr.options = wire::tcp::Options {
        timestamps: blind.repr.options.timestamps,
        ..wire::tcp::Options::default()
    };
    blind.repr.seq += 4;
    let answers: usize = (0..100).map(|_| pair.b.arrive(now, &blind).len()).sum();
    assert_eq!(answers, 4);
    assert_eq!(pair.b.tcp.counters().challenge_acks, 4);
}

#[test]
fn tuple_in_time_wait_is_reopened_by_a_newer_syn_only() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let tuple = pair.b.tcp.record(accepted).unwrap().tuple();
    let now = pair.now;
    let (tcp, mut cx) = pair.b.cx(now);
    tcp.close(&mut cx, accepted);
    pair.settle();
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.close(&mut cx, conn);
    pair.settle();
    assert_eq!(pair.b.tcp.usage().time_wait, 1, "{}", pair.tail());
    let again = crate::Tuple {
        remote: pair.b.address,
        remote_port: PORT,
        local_port: tuple.remote_port,
        local: 0,
    };
    pair.pass(Duration::from_millis(5));
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let reopened = tcp.connect(&mut cx, again, 0, |_| true).expect("the opener's tuple is free");
    pair.settle();
    assert!(pair.a.opened.contains(&reopened), "{}", pair.tail());
    assert_eq!(pair.b.tcp.counters().time_wait_reopened, 1);
}

#[test]
fn stale_handles_are_refused_everywhere() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.abort(&mut cx, conn);
    pair.settle();
    let (tcp, mut cx) = pair.a.cx(now);
    assert_eq!(tcp.send(&mut cx, conn, b"x"), Err(crate::SendError::Ended));
    assert!(tcp.close(&mut cx, conn).is_none() && tcp.abort(&mut cx, conn).is_none());
    assert!(tcp.poll_segment(&mut cx, conn).is_none() && tcp.record(conn).is_none());
    assert!(pair.b.tcp.record(accepted).is_some(), "no RST was sent in this test");
}

#[test]
fn segment_of_nowhere_is_answered_by_the_right_reset() {
    let mut pair = Pair::new();
    let stray = |flags, ack| Flying {
        repr: Repr {
            src_port: 5,
            dst_port: 99,
            seq: wire::SeqNum(100),
            ack: wire::SeqNum(ack),
            flags,
            ..Repr::default()
        },
        bytes: vec![1, 2, 3],
    };
    let now = Instant::from_nanos(1);
    let to_ack = pair.b.arrive(now, &stray(Bits::ACK, 500)).remove(0).repr;
    assert_eq!((to_ack.flags, to_ack.seq.0), (Bits::RST, 500));
    let to_text = pair.b.arrive(now, &stray(Bits::PSH, 0)).remove(0).repr;
    assert_eq!((to_text.flags, to_text.ack.0), (Bits::RST | Bits::ACK, 103));
    assert!(pair.b.arrive(now, &stray(Bits::RST, 0)).is_empty(), "none answers a RST");
}

#[test]
fn data_without_frames_is_refused_and_comes_again_while_the_end_is_heard() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let mut held = Vec::new();
    while pair.b.arena.has_free(16) {
        held.push(pair.b.arena.allocate().unwrap());
    }
    pair.send(true, conn, b"data");
    pair.pass(Duration::from_millis(100));
    assert!(pair.b.received.is_empty(), "the window promised more than there is");
    assert!(pair.b.tcp.counters().dropped(DropReason::DataNoFrames) > 0);
    assert!(pair.a.tcp.record(conn).is_some() && pair.b.tcp.record(accepted).is_some());
    held.drain(..).for_each(|frame| pair.b.arena.free(frame));
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.b.received, b"data", "{}", pair.tail());
    while pair.b.arena.has_free(16) {
        held.push(pair.b.arena.allocate().unwrap());
    }
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.close(&mut cx, conn);
    pair.settle();
    assert!(pair.b.has_end, "an end without data holds nothing:\n{}", pair.tail());
    held.into_iter().for_each(|frame| pair.b.arena.free(frame));
}
