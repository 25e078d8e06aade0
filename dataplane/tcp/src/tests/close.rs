//! Closing: every order of FINs and RSTs, and what is left afterwards.

use base::Duration;
use wire::tcp::Flags as Bits;

use super::{Flying, Pair, pattern};
use crate::{CloseReason, Conn, State};

fn close(pair: &mut Pair, from_a: bool, conn: Conn) {
    let now = pair.now;
    let end = if from_a { &mut pair.a } else { &mut pair.b };
    let (tcp, mut cx) = end.cx(now);
    let reply = tcp.close(&mut cx, conn);
    let flying = reply.iter().map(super::End::fly).collect();
    pair.fly(from_a, flying);
}

#[test]
fn closer_rests_and_the_closed_one_is_gone_at_once() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    close(&mut pair, true, conn);
    pair.settle();
    assert!(pair.b.has_end, "the service hears of the peer's FIN");
    assert_eq!(pair.b.tcp.record(accepted).unwrap().state(), State::CloseWait);
    close(&mut pair, false, accepted);
    pair.settle();
    assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)]);
    assert_eq!(pair.b.ended, [(accepted, CloseReason::Finished)]);
    assert_eq!((pair.a.tcp.usage().time_wait, pair.b.tcp.usage().time_wait), (1, 0));
    assert_eq!(pair.a.tcp.usage().records, 0, "the record is free while the tuple rests");
    pair.assert_clean();
}

#[test]
fn both_closing_at_once_rest_both() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    close(&mut pair, true, conn);
    close(&mut pair, false, accepted);
    pair.settle();
    assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)], "{}", pair.tail());
    assert_eq!(pair.b.ended, [(accepted, CloseReason::Finished)]);
    assert_eq!((pair.a.tcp.usage().time_wait, pair.b.tcp.usage().time_wait), (1, 1));
    pair.assert_clean();
}

#[test]
fn data_queued_before_a_close_still_arrives() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let bytes = pattern(100_000);
    assert_eq!(pair.send(true, conn, &bytes), bytes.len());
    close(&mut pair, true, conn);
    pair.pass(Duration::from_secs(1));
    assert!(pair.b.received == bytes);
    assert!(pair.b.has_end);
    close(&mut pair, false, accepted);
    pair.assert_clean();
}

#[test]
fn half_close_lets_the_other_side_finish() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    tcp.close_send(&mut cx, conn);
    pair.settle();
    assert!(pair.b.has_end);
    assert_eq!(pair.a.tcp.record(conn).unwrap().state(), State::FinWait2);
    // Long enough for both to give their extensions back, FIN-WAIT-2 included.
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.a.tcp.usage().extensions, 0);
    let bytes = pattern(50_000);
    assert_eq!(pair.send(false, accepted, &bytes), bytes.len());
    pair.settle();
    assert!(pair.a.received == bytes);
    close(&mut pair, false, accepted);
    pair.settle();
    assert!(pair.a.has_end);
    assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)], "{}", pair.tail());
    pair.assert_clean();
}

#[test]
fn lost_fins_are_sent_again() {
    for lost in 1..=4 {
        let mut pair = Pair::new();
        let (conn, accepted) = pair.open();
        let mut count = 0;
        pair.loses = Box::new(move |_, _| {
            count += 1;
            count == lost
        });
        close(&mut pair, true, conn);
        pair.settle();
        close(&mut pair, false, accepted);
        pair.pass(Duration::from_secs(3));
        assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)], "{lost}:\n{}", pair.tail());
        assert_eq!(pair.b.ended, [(accepted, CloseReason::Finished)], "{lost}:\n{}", pair.tail());
        pair.assert_clean();
    }
}

#[test]
fn abort_resets_the_peer() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.send(true, conn, b"unsent and never to be");
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let reply = tcp.abort(&mut cx, conn).expect("a RST goes out");
    pair.fly(true, vec![super::End::fly(&reply)]);
    pair.settle();
    assert_eq!(pair.a.ended, [(conn, CloseReason::Aborted)]);
    assert_eq!(pair.b.ended, [(accepted, CloseReason::PeerReset)]);
    pair.assert_clean();
}

#[test]
fn data_for_a_service_that_has_closed_resets() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    close(&mut pair, false, accepted);
    pair.settle();
    pair.send(true, conn, b"nobody reads this");
    pair.settle();
    assert_eq!(pair.b.ended, [(accepted, CloseReason::DataAfterClose)], "{}", pair.tail());
    assert_eq!(pair.a.ended, [(conn, CloseReason::PeerReset)]);
    pair.assert_clean();
}

#[test]
fn close_with_unread_data_resets() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.b.appetite = 0;
    pair.send(true, conn, b"unread");
    pair.settle();
    close(&mut pair, false, accepted);
    pair.settle();
    assert_eq!(pair.a.ended, [(conn, CloseReason::PeerReset)]);
    pair.assert_clean();
}

#[test]
fn fin_wait_2_of_a_closed_service_ends_after_a_minute() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    close(&mut pair, true, conn);
    pair.settle();
    assert_eq!(pair.a.tcp.record(conn).unwrap().state(), State::FinWait2);
    pair.pass(Duration::from_secs(50));
    assert!(pair.a.ended.is_empty());
    pair.pass(Duration::from_secs(13));
    assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)]);
}

#[test]
fn fin_in_time_wait_is_acknowledged_again() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    close(&mut pair, true, conn);
    pair.settle();
    let mut fins: Vec<Flying> = Vec::new();
    close(&mut pair, false, accepted);
    let now = pair.now;
    let out = pair.b.poll(now);
    fins.extend(out.iter().filter(|f| f.repr.flags.contains(Bits::FIN)).cloned());
    pair.fly(false, out);
    pair.settle();
    assert_eq!(pair.a.tcp.usage().time_wait, 1);
    let answer = pair.a.arrive(now, &fins[0]).remove(0);
    assert_eq!((answer.repr.flags, answer.repr.ack), (Bits::ACK, fins[0].repr.seq + 1));
    let mut reset = fins[0].clone();
    reset.repr.flags = Bits::RST;
    assert!(pair.a.arrive(now, &reset).is_empty());
    assert_eq!(pair.a.tcp.usage().time_wait, 1, "RFC 1337: a RST does not end the rest");
}

/// The peer's data and FIN lie unread while everything else is over.
fn leave_unread(pair: &mut Pair, accepted: Conn) -> Vec<u8> {
    let bytes = pattern(3_000);
    pair.b.appetite = 1_000;
    assert_eq!(pair.b.opened.last(), Some(&accepted));
    bytes
}

fn finish(pair: &mut Pair, from_a: bool, conn: Conn) {
    let now = pair.now;
    let end = if from_a { &mut pair.a } else { &mut pair.b };
    let (tcp, mut cx) = end.cx(now);
    tcp.close_send(&mut cx, conn);
}

fn read_on(pair: &mut Pair, accepted: Conn) {
    pair.b.appetite = usize::MAX;
    pair.b.tcp.resume(accepted);
    pair.settle();
}

#[test]
fn unread_data_outlives_the_last_ack() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let bytes = leave_unread(&mut pair, accepted);
    pair.send(true, conn, &bytes);
    finish(&mut pair, true, conn);
    pair.settle();
    finish(&mut pair, false, accepted);
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)]);
    assert_eq!((pair.b.received.len(), pair.b.has_end), (1_000, false));
    assert_eq!(pair.b.ended, [], "{}", pair.tail());
    read_on(&mut pair, accepted);
    assert!(pair.b.received == bytes && pair.b.has_end);
    assert_eq!(pair.b.ended, [(accepted, CloseReason::Finished)]);
    assert_eq!(pair.b.tcp.usage().time_wait, 0, "the peer holds the tuple");
    pair.assert_clean();
}

#[test]
fn unread_data_outlives_a_peer_that_is_gone() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let bytes = leave_unread(&mut pair, accepted);
    finish(&mut pair, false, accepted);
    pair.settle();
    pair.send(true, conn, &bytes);
    finish(&mut pair, true, conn);
    pair.settle();
    assert_eq!(pair.a.ended, [(conn, CloseReason::Finished)]);
    let record = *pair.b.tcp.record(accepted).unwrap();
    let reset = wire::tcp::Repr {
        src_port: record.tuple().remote_port,
        dst_port: record.tuple().local_port,
        seq: record.rcv_nxt(),
        flags: Bits::RST,
        ..Default::default()
    };
    let now = pair.now;
    pair.b.arrive(now, &Flying { repr: reset, bytes: Vec::new() });
    read_on(&mut pair, accepted);
    assert!(pair.b.received == bytes && pair.b.has_end, "{}", pair.tail());
    assert_eq!(pair.b.ended, [(accepted, CloseReason::Finished)]);
    assert_eq!(pair.b.tcp.usage().time_wait, 1);
    pair.assert_clean();
}

#[test]
fn abort_into_a_shut_window_still_resets_the_peer() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.b.appetite = 0;
    pair.send(true, conn, &pattern(200_000));
    pair.pass(Duration::from_secs(5));
    assert!(pair.a.tcp.counters().window_probes > 0, "a byte beyond the window is out");
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let reply = tcp.abort(&mut cx, conn).expect("a RST goes out");
    pair.fly(true, vec![super::End::fly(&reply)]);
    pair.settle();
    assert_eq!(pair.b.ended, [(accepted, CloseReason::PeerReset)], "{}", pair.tail());
    pair.assert_clean();
}

#[test]
fn acknowledgement_does_not_carry_a_fin_that_may_not_go_yet() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    // The congestion window is full, and the FIN waits behind it.
    let bytes = pattern(14_480);
    pair.loses = Box::new(|_, segment| segment.bytes.len() > 1_000);
    pair.send(true, conn, &bytes);
    pair.settle();
    finish(&mut pair, true, conn);
    pair.settle();
    let snd_nxt = pair.a.tcp.record(conn).unwrap().snd_nxt();
    pair.send(false, accepted, &pattern(100));
    pair.settle();
    assert_eq!(pair.a.received.len(), 100);
    let had_fin = pair.log.iter().any(|line| line.contains(" a: ") && line.contains("FIN"));
    assert_eq!(pair.a.tcp.record(conn).unwrap().snd_nxt(), snd_nxt);
    assert!(!had_fin, "{}", pair.tail());
    pair.loses = Box::new(|_, _| false);
    pair.pass(Duration::from_secs(5));
    assert!(pair.b.received == bytes && pair.b.has_end);
    finish(&mut pair, false, accepted);
    pair.assert_clean();
}
