//! Peers that take what is sent to them slowly or not at all, and what frames they may hold.

use base::Duration;

use super::{PORT, Pair, pattern, small};
use crate::{CloseReason, Config, Conn, DropReason, ListenerOptions, Tuple, UserTimeout};

const SECOND: Duration = Duration::from_secs(1);

/// The port of a listener with terms.
const STRICT: u16 = PORT + 1;

/// A connection from `a` to a listener of `b` with these terms: both ends of it.
fn open_with(pair: &mut Pair, options: ListenerOptions) -> (Conn, Conn) {
    if pair.b.tcp.listen(STRICT, options).is_err() {
        assert!(!pair.b.opened.is_empty(), "the first one opens the listener");
    }
    let tuple = Tuple { remote: pair.b.address, remote_port: STRICT, local_port: 0, local: 0 };
    let now = pair.now;
    let (tcp, mut cx) = pair.a.cx(now);
    let conn = tcp.connect(&mut cx, tuple, 0, |_| true).expect("there is room");
    pair.settle();
    (conn, *pair.b.opened.last().expect("the listener accepts"))
}

fn within(seconds: u64, acked_min: u32) -> ListenerOptions {
    let user_timeout = Some(UserTimeout { stretch: Duration::from_secs(seconds), acked_min });
    ListenerOptions { user_timeout, ..ListenerOptions::default() }
}

fn take(pair: &mut Pair, conn: Conn, bytes: usize) {
    pair.a.appetite += bytes;
    let now = pair.now;
    pair.a.drain(now, conn);
    pair.settle();
}

#[test]
fn a_shut_window_that_answers_probes_lasts_for_ever_without_a_user_timeout() {
    let mut pair = Pair::new();
    let (_, accepted) = pair.open();
    pair.a.appetite = 0;
    pair.send(false, accepted, &pattern(100_000));
    pair.pass(Duration::from_secs(3_600));
    assert!(pair.b.ended.is_empty(), "{}", pair.tail());
    assert!(pair.b.tcp.counters().window_probes > 50);
}

#[test]
fn a_shut_window_that_answers_probes_is_reset_at_the_end_of_the_stretch() {
    let mut pair = Pair::new();
    let (conn, accepted) = open_with(&mut pair, within(20, 1));
    pair.a.appetite = 0;
    pair.send(false, accepted, &pattern(100_000));
    // The first stretch brings what the window had room for, the second nothing.
    pair.pass(Duration::from_secs(39));
    assert!(pair.b.ended.is_empty(), "{}", pair.tail());
    // The wheel may be a tick late with each of them.
    pair.pass(SECOND + Duration::from_millis(5));
    assert_eq!(pair.b.ended, [(accepted, CloseReason::UserTimeout)], "{}", pair.tail());
    assert_eq!(pair.a.ended, [(conn, CloseReason::PeerReset)], "the peer is told so");
    assert_eq!(pair.b.tcp.counters().user_timeouts, 1);
    assert_eq!(pair.b.arena.frames_held(), 0);
    pair.assert_clean();
}

#[test]
fn a_peer_that_is_gone_is_given_up_at_the_end_of_the_stretch_too() {
    let mut pair = Pair::new();
    let (_, accepted) = open_with(&mut pair, within(7, 1));
    pair.loses = Box::new(|_, _| true);
    pair.send(false, accepted, b"is anybody there?");
    pair.pass(Duration::from_millis(6_990));
    assert!(pair.b.ended.is_empty());
    pair.pass(Duration::from_millis(20));
    assert_eq!(pair.b.ended, [(accepted, CloseReason::UserTimeout)], "{}", pair.tail());
}

#[test]
fn a_fin_that_nobody_acknowledges_is_bound_as_well() {
    let mut pair = Pair::new();
    let (_, accepted) = open_with(&mut pair, within(7, 1_000));
    pair.loses = Box::new(|_, _| true);
    let now = pair.now;
    let (tcp, mut cx) = pair.b.cx(now);
    tcp.close(&mut cx, accepted);
    pair.pass(Duration::from_secs(8));
    assert_eq!(pair.b.ended, [(accepted, CloseReason::UserTimeout)], "{}", pair.tail());
}

#[test]
fn a_peer_below_the_rate_is_reset_and_one_above_it_is_not() {
    for (step, is_fast_enough) in [(2_200, true), (150, false)] {
        let mut pair = Pair::new();
        let (conn, accepted) = open_with(&mut pair, within(10, 10_000));
        pair.a.appetite = 0;
        let text = pattern(250_000);
        let queued = pair.send(false, accepted, &text);
        // What the window had room for goes at once; the rest as it is read.
        for _ in 0..100 {
            take(&mut pair, conn, step);
            pair.pass(SECOND);
        }
        if is_fast_enough {
            assert!(pair.b.ended.is_empty(), "{}", pair.tail());
            take(&mut pair, conn, usize::MAX / 2);
            pair.pass(Duration::from_secs(30));
            assert_eq!(pair.a.received, text[..queued]);
        } else {
            assert_eq!(pair.b.ended, [(accepted, CloseReason::UserTimeout)], "{}", pair.tail());
        }
    }
}

#[test]
fn small_answers_at_any_distance_are_within_the_rate() {
    let mut pair = Pair::new();
    let (_, accepted) = open_with(&mut pair, within(5, 100_000));
    for number in 0_u64..200 {
        pair.send(false, accepted, b"tick");
        pair.pass(Duration::from_millis(30 + number * 17));
    }
    assert_eq!(pair.a.received.len(), 800, "all that waits was taken each time");
    assert!(pair.b.ended.is_empty(), "{}", pair.tail());
}

#[test]
fn terms_that_are_taken_back_end_nobody() {
    let mut pair = Pair::new();
    let (_, accepted) = open_with(&mut pair, within(20, 1));
    pair.a.appetite = 0;
    pair.send(false, accepted, &pattern(100_000));
    pair.pass(Duration::from_secs(30));
    let listener = pair.b.tcp.listener_of(accepted).expect("it was accepted");
    pair.b.tcp.set_listener(listener, ListenerOptions::default());
    pair.pass(Duration::from_secs(600));
    assert!(pair.b.ended.is_empty(), "{}", pair.tail());
}

#[test]
fn an_idle_connection_is_told_of_after_its_time_and_not_before() {
    let mut pair = Pair::new();
    let options = ListenerOptions { idle_s: Some(30), ..ListenerOptions::default() };
    let (conn, accepted) = open_with(&mut pair, options);
    pair.pass(Duration::from_secs(100));
    assert_eq!(pair.b.idle, [], "the service has never said that it is");
    let now = pair.now;
    pair.b.tcp.set_idle(accepted, now);
    assert_eq!(pair.b.tcp.word(accepted), Some(0));
    pair.pass(Duration::from_secs(20));
    // Data in either direction: the time begins again.
    pair.send(true, conn, b"question");
    pair.pass(Duration::from_secs(28));
    assert_eq!(pair.b.idle, [], "{}", pair.tail());
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.b.idle.first(), Some(&accepted));
    pair.b.idle.clear();
    pair.b.tcp.set_word(accepted, 7);
    pair.pass(Duration::from_secs(100));
    assert_eq!((pair.b.tcp.word(accepted), pair.b.idle.len()), (Some(7), 0));
}

#[test]
fn probes_of_a_peer_are_no_work() {
    let mut pair = Pair::new();
    let options = ListenerOptions { idle_s: Some(30), ..ListenerOptions::default() };
    let (conn, accepted) = open_with(&mut pair, options);
    let now = pair.now;
    pair.b.tcp.set_idle(accepted, now);
    pair.send(true, conn, b"x");
    let mut probe = pair.a.poll(now).remove(0);
    pair.fly(true, vec![probe.clone()]);
    pair.pass(SECOND);
    probe.bytes.clear();
    for _ in 0..40 {
        let now = pair.now;
        assert_eq!(pair.b.arrive(now, &probe).len(), 1, "it is answered");
        pair.pass(SECOND);
    }
    assert_eq!(pair.b.idle.first(), Some(&accepted), "{}", pair.tail());
}

#[test]
fn who_holds_more_frames_than_are_free_gets_no_more_and_the_others_do() {
    let config = Config { send_len_max: 1 << 24, frames_scarce: 0, ..small() };
    let mut pair = Pair::with(small(), config);
    let (_, greedy) = pair.open();
    let (_, modest) = pair.open();
    pair.a.appetite = 0;
    // Every small segment is a frame, and 2,048 less the reserve are all there are.
    let sent = pair.send(false, greedy, &pattern(6 << 20));
    assert!(sent < 3 << 19, "half of the frames at most: {sent}");
    assert!(pair.b.arena.has_free(900), "the other half is free");
    assert_eq!(pair.send(false, modest, b"small"), 5);
    assert_eq!(pair.send(false, modest, &pattern(100_000)), 100_000);
}

#[test]
fn while_frames_are_scarce_who_takes_nothing_gives_way_the_greatest_first() {
    let scarce = Config { frames_scarce: 2_000, ..small() };
    let mut pair = Pair::with(Config { records: 64, ..small() }, scarce);
    let (_, large) = pair.open();
    let (_, small_one) = pair.open();
    let (reader, read) = pair.open();
    pair.a.appetite = 0;
    pair.send(false, large, &pattern(200_000));
    pair.send(false, small_one, &pattern(150_000));
    pair.pass(Duration::from_millis(1_900));
    assert!(pair.b.ended.is_empty(), "nobody is given up so soon");
    // One of them goes on, slowly: a reader is nobody who takes nothing.
    pair.send(false, read, b"read");
    take(&mut pair, reader, 4);
    pair.pass(Duration::from_secs(3));
    assert_eq!(pair.b.ended.first(), Some(&(large, CloseReason::FramesScarce)), "{}", pair.tail());
    assert!(!pair.b.ended.iter().any(|&(conn, _)| conn == read), "{}", pair.tail());
    assert_eq!(pair.b.tcp.counters().frames_reclaimed, pair.b.ended.len() as u64);
    assert_eq!(pair.b.tcp.counters().dropped(DropReason::DataNoFrames), 0);
}

#[test]
fn while_frames_are_short_nobody_holds_more_than_is_of_use() {
    let config = Config { frames_short: 1_900, frames_scarce: 0, ..small() };
    let mut pair = Pair::with(Config { window_len: 4_096, ..small() }, config);
    pair.a.appetite = 0;
    let conns: Vec<_> = (0..12).map(|_| pair.open()).collect();
    // The first come while frames abound; then the windows, of which nothing is read, count.
    for &(_, accepted) in &conns {
        pair.send(false, accepted, &pattern(200_000));
        pair.settle();
        pair.send(false, accepted, &pattern(200_000));
    }
    let held = pair.b.arena.frames_held();
    assert!((148..148 + 180 + 11 * 8).contains(&held), "{held} frames are held");
    // Whoever reads gets all there is, a window at a time.
    let (reader, accepted) = conns[11];
    let before = pair.a.received.len();
    for _ in 0..100 {
        take(&mut pair, reader, 4_096);
        pair.send(false, accepted, &pattern(4_096));
        pair.pass(Duration::from_millis(300));
    }
    assert!(pair.a.received.len() - before > 100_000, "{}", pair.a.received.len() - before);
}
