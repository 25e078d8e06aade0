//! What the fuzzer of the whole stack has found, each as the shortest conversation that shows it.

use base::Duration;
use wire::tcp::Flags as Bits;

use super::{Flying, Pair};
use crate::{CloseReason, Conn, KeepAlive, ListenerOptions, Tuple};

/// A segment that `a` has sent, moved `ahead` in its stream and changed: it never left.
fn ahead(pair: &mut Pair, conn: Conn, distance: u32, flags: Bits, bytes: &[u8]) -> Flying {
    pair.send(true, conn, b"tick");
    let now = pair.now;
    let mut flying = pair.a.poll(now).remove(0);
    flying.repr.seq += distance;
    flying.repr.flags = flags | Bits::ACK;
    flying.bytes = bytes.to_vec();
    flying
}

/// Lets `b` alone take in a segment.
fn arrive(pair: &mut Pair, flying: &Flying) {
    let now = pair.now;
    let replies = pair.b.arrive(now, flying);
    pair.fly(false, replies);
    pair.settle();
}

#[test]
fn close_over_a_hole_in_what_was_received_resets() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let beyond = ahead(&mut pair, conn, 100, Bits::PSH, b"beyond a hole");
    arrive(&mut pair, &beyond);
    assert_eq!(pair.b.tcp.usage().nodes, 1);
    let now = pair.now;
    let (tcp, mut cx) = pair.b.cx(now);
    assert!(tcp.close(&mut cx, accepted).is_some(), "the peer is told that data is lost");
    pair.settle();
    assert_eq!(pair.b.ended, [(accepted, CloseReason::Aborted)]);
    assert_eq!(pair.b.tcp.usage(), crate::Usage::default());
}

#[test]
fn fin_over_a_hole_does_not_keep_fin_wait_2_of_a_closed_service() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let beyond = ahead(&mut pair, conn, 100, Bits::FIN, b"");
    let now = pair.now;
    let (tcp, mut cx) = pair.b.cx(now);
    assert!(tcp.close(&mut cx, accepted).is_none());
    pair.settle();
    arrive(&mut pair, &beyond);
    // What fills the hole never comes: the peer is gone.
    pair.loses = Box::new(|_, _| true);
    pair.pass(Duration::from_secs(63));
    assert_eq!(pair.b.ended, [(accepted, CloseReason::Finished)], "{}", pair.tail());
    assert_eq!(pair.b.tcp.usage(), crate::Usage::default());
}

#[test]
fn service_that_refuses_what_it_opened_hears_no_more_of_it() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let reply = tcp.refuse_open(&mut cx, conn).expect("the peer is told");
    assert!(tcp.poll_ended().is_some_and(|ended| ended.conn == conn && !ended.is_told));
    pair.fly(true, vec![super::End::fly(&reply)]);
    pair.settle();
    assert_eq!(pair.b.ended, [(accepted, CloseReason::PeerReset)]);
}

#[test]
fn peer_that_is_gone_behind_a_shut_window_is_given_up_and_one_that_answers_is_not() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    pair.b.appetite = 0;
    pair.send(true, conn, &super::pattern(100_000));
    pair.pass(Duration::from_secs(45 * 60));
    assert!(pair.a.ended.is_empty(), "its answers keep it: {}", pair.tail());
    pair.loses = Box::new(|_, _| true);
    pair.pass(Duration::from_secs(15 * 60));
    assert_eq!(pair.a.ended, [(conn, CloseReason::TimedOut)], "{}", pair.tail());
    assert_eq!(pair.a.tcp.usage(), crate::Usage::default());
}

#[test]
fn challenge_of_a_half_open_connection_promises_no_more_than_the_syn_ack() {
    let wide = crate::Config { window_len: 1 << 20, ..super::small() };
    let mut pair = Pair::with(super::small(), wide);
    pair.connect();
    let now = pair.now;
    let syn = pair.a.poll(now).remove(0);
    let syn_ack = pair.b.arrive(now, &syn).remove(0);
    let mut astray = syn.clone();
    astray.repr.seq += 1 << 30;
    astray.repr.flags = Bits::ACK;
    let challenge = pair.b.arrive(now, &astray).remove(0);
    assert_eq!((challenge.repr.flags, challenge.repr.ack), (Bits::ACK, syn_ack.repr.ack));
    let scale = syn_ack.repr.options.window_scale.expect("both sides scale");
    assert!(scale > 0 && challenge.repr.window << scale <= syn_ack.repr.window);
}

#[test]
fn silent_peer_is_probed_and_given_up_although_something_waits_behind_a_hole() {
    let mut pair = Pair::new();
    let keep_alive = Some(KeepAlive { idle_s: 10, interval_s: 5, probes_max: 3 });
    let options = ListenerOptions { keep_alive, ..ListenerOptions::default() };
    pair.b.tcp.listen(super::PORT + 1, options).unwrap();
    let remote = pair.b.address;
    let tuple = Tuple { remote, remote_port: super::PORT + 1, local_port: 0, local: 0 };
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let conn = tcp.connect(&mut cx, tuple, 0, |_| true).unwrap();
    pair.settle();
    let beyond = ahead(&mut pair, conn, 100, Bits::PSH, b"beyond a hole");
    arrive(&mut pair, &beyond);
    pair.loses = Box::new(|_, _| true);
    pair.pass(Duration::from_secs(9));
    assert_eq!(pair.b.tcp.counters().keep_alive_probes, 0);
    pair.pass(Duration::from_secs(24));
    assert_eq!(pair.b.tcp.counters().keep_alive_probes, 3, "{}", pair.tail());
    assert_eq!(pair.b.ended, [(pair.b.opened[0], CloseReason::KeepAlive)], "{}", pair.tail());
    assert_eq!(pair.b.tcp.usage(), crate::Usage::default());
}
