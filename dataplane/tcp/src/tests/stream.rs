//! Streams: whole, in order, once, under loss; windows, probes and back-pressure.

use base::{Duration, Rng};

use super::{Pair, pattern, small};
use crate::{Config, Conn};

/// Sends `bytes` from `a` as room allows, until `b` has them all.
fn pump(pair: &mut Pair, conn: Conn, bytes: &[u8]) {
    let mut sent = 0;
    for _ in 0..200_000 {
        if sent < bytes.len() {
            sent += pair.send(true, conn, &bytes[sent..]);
        }
        pair.settle();
        if pair.b.received.len() >= bytes.len() {
            break;
        }
        pair.pass(Duration::from_millis(1));
    }
    assert_eq!(pair.b.received.len(), bytes.len(), "the stream stalls:\n{}", pair.tail());
    assert!(pair.b.received == bytes, "the stream is damaged");
}

#[test]
fn bytes_arrive_whole_and_in_order() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    let bytes = pattern(2_000_000);
    pump(&mut pair, conn, &bytes);
    assert_eq!(pair.a.tcp.counters().retransmits, 0);
}

#[test]
fn small_writes_share_segments_and_a_burst_is_answered_once() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    let before = pair.sent;
    for _ in 0..100 {
        assert_eq!(pair.send(true, conn, b"0123456789"), 10);
    }
    pair.settle();
    assert_eq!(pair.b.received.len(), 1_000);
    assert_eq!(pair.sent - before, 2, "one segment and one acknowledgement:\n{}", pair.tail());
}

#[test]
fn stream_survives_loss_of_every_kind() {
    let (mut retransmits, mut timeouts, mut fast) = (0, 0, 0);
    for seed in 0..12 {
        println!("seed {seed}");
        let mut pair = Pair::new();
        let mut rng = Rng::seeded(seed);
        let (conn, _) = pair.open();
        let ppm = [10_000, 50_000, 200_000][usize::try_from(seed % 3).unwrap()];
        pair.loses = Box::new(move |_, _| rng.chance_ppm(ppm));
        pump(&mut pair, conn, &pattern(300_000));
        let counters = pair.a.tcp.counters();
        retransmits += counters.retransmits;
        timeouts += counters.timeouts;
        fast += counters.fast_retransmits;
    }
    assert!(retransmits > 100 && timeouts > 10 && fast > 10, "{retransmits} {timeouts} {fast}");
}

#[test]
fn one_loss_in_a_window_is_mended_without_a_timeout() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    let mut seen = 0;
    pair.loses = Box::new(move |_, segment| {
        seen += usize::from(!segment.bytes.is_empty());
        seen == 5 && !segment.bytes.is_empty()
    });
    pump(&mut pair, conn, &pattern(100_000));
    let counters = pair.a.tcp.counters();
    assert_eq!((counters.fast_retransmits, counters.timeouts), (1, 0), "{}", pair.tail());
    assert!(pair.b.tcp.counters().out_of_order > 0);
}

#[test]
fn reader_that_stops_closes_the_window_and_is_probed_until_it_reads_again() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.b.appetite = 1_000;
    let bytes = pattern(200_000);
    let mut sent = pair.send(true, conn, &bytes);
    pair.pass(Duration::from_secs(5));
    assert_eq!(pair.b.received.len(), 1_000);
    assert!(pair.a.tcp.counters().window_probes >= 2, "{}", pair.tail());
    pair.b.appetite = usize::MAX;
    let now = pair.now;
    pair.b.drain(now, accepted);
    for _ in 0..1_000 {
        sent += pair.send(true, conn, &bytes[sent..]);
        pair.pass(Duration::from_millis(10));
    }
    assert!(pair.b.received == bytes, "{} of 200000", pair.b.received.len());
}

#[test]
fn lost_window_update_is_made_good_by_a_probe() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.b.appetite = 0;
    let bytes = pattern(100_000);
    let sent = pair.send(true, conn, &bytes);
    pair.pass(Duration::from_secs(2));
    pair.b.appetite = usize::MAX;
    pair.loses = Box::new(|_, _| true);
    let now = pair.now;
    pair.b.drain(now, accepted);
    pair.settle();
    pair.loses = Box::new(|_, _| false);
    pair.pass(Duration::from_secs(20));
    assert_eq!(pair.b.received.len(), sent, "{}", pair.tail());
}

#[test]
fn writer_without_room_is_told_when_there_is_some() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    let bytes = pattern(400_000);
    let taken = pair.send(true, conn, &bytes);
    assert_eq!(taken, 256 * 1_024);
    pair.pass(Duration::from_secs(1));
    assert!(pair.a.writable > 0);
}

#[test]
fn every_segment_is_acknowledged_or_every_second_at_most_forty_milliseconds_late() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    // Past the quick acknowledgements of the start.
    for _ in 0..40 {
        pair.send(true, conn, b"x");
        pair.settle();
    }
    pair.pass(Duration::from_millis(50));
    let before = pair.now;
    pair.send(true, conn, b"y");
    pair.settle();
    let in_flight = |pair: &Pair| pair.a.tcp.usage().nodes;
    assert_eq!(in_flight(&pair), 1, "the acknowledgement waits for company");
    pair.pass(Duration::from_millis(45));
    assert_eq!(in_flight(&pair), 0, "but not for long: {before} to {}", pair.now);
    // Data going back carries it at once.
    pair.send(true, conn, b"z");
    pair.settle();
    pair.send(false, accepted, b"answer");
    pair.settle();
    assert_eq!(in_flight(&pair), 0);
}

#[test]
fn sequence_numbers_wrap_in_the_middle_of_a_stream() {
    // The clock of RFC 6528 moves a number every 4 us: find a time that puts the start near 2^32.
    let mut probe = Pair::new();
    let conn = probe.connect();
    let iss = probe.a.tcp.record(conn).unwrap().snd_nxt;
    let mut pair = Pair::new();
    let ahead = 0u32.wrapping_sub(iss).wrapping_sub(50_000);
    pair.now += Duration::from_micros(u64::from(ahead) * 4);
    let (conn, _) = pair.open();
    let start = pair.a.tcp.record(conn).unwrap().snd_nxt;
    assert!(start > u32::MAX - 60_000, "the stream begins at {start}");
    pump(&mut pair, conn, &pattern(200_000));
}

#[test]
fn window_scale_lets_more_than_64_kib_fly() {
    let big = Config { window_len: 512 * 1_024, send_len_max: 512 * 1_024, ..small() };
    let mut pair = Pair::with(big.clone(), big);
    let (conn, _) = pair.open();
    pump(&mut pair, conn, &pattern(1_000_000));
    let widest = pair.log.iter().filter(|line| line.contains(" b:")).count();
    assert!(widest > 0);
    assert_eq!(pair.b.tcp.record(pair.b.opened[0]).unwrap().receive_scale(), 4);
}

#[test]
fn shut_window_lets_acknowledgements_pass_in_the_other_direction() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.b.appetite = 0;
    pair.send(true, conn, &pattern(100_000));
    pair.pass(Duration::from_secs(3));
    assert!(pair.a.tcp.counters().window_probes >= 2, "{}", pair.tail());
    let bytes = pattern(5_000);
    for _ in 0..20 {
        pair.send(false, accepted, &bytes);
        pair.pass(Duration::from_millis(700));
    }
    assert_eq!(pair.a.received.len(), 20 * bytes.len());
    let counters = pair.b.tcp.counters();
    assert_eq!((counters.timeouts, counters.retransmits), (0, 0), "{}", pair.tail());
}

#[test]
fn answers_to_probes_are_no_sign_of_loss() {
    let mut pair = Pair::new();
    let (conn, _) = pair.open();
    pair.b.appetite = 0;
    pair.send(true, conn, &pattern(100_000));
    pair.pass(Duration::from_secs(60));
    let counters = pair.a.tcp.counters();
    assert!(counters.window_probes >= 5, "{} probes", counters.window_probes);
    assert!(counters.window_probes <= 10, "{} probes in a minute", counters.window_probes);
    assert_eq!(counters.fast_retransmits, 0, "{}", pair.tail());
}

#[test]
fn window_that_shuts_over_data_in_flight_is_probed_after_the_timeout() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    let now = pair.now;
    let (tcp, cx) = pair.b.cx(now);
    let mut shut = tcp.acknowledgement(&cx, accepted.index);
    shut.window = 0;
    pair.loses = Box::new(|_, segment| !segment.bytes.is_empty());
    let bytes = pattern(20_000);
    assert_eq!(pair.send(true, conn, &bytes), bytes.len());
    pair.settle();
    pair.a.arrive(now, &super::Flying { repr: shut, bytes: Vec::new() });
    pair.pass(Duration::from_secs(5));
    assert!(pair.a.tcp.counters().window_probes >= 2, "{}", pair.tail());
    pair.loses = Box::new(|_, _| false);
    pair.pass(Duration::from_secs(20));
    assert!(pair.b.received == bytes, "{}", pair.tail());
}

#[test]
fn window_of_a_segment_sent_again_counts_where_it_acknowledges_more() {
    let mut pair = Pair::new();
    let (conn, accepted) = pair.open();
    pair.send(true, conn, &pattern(1_000));
    pair.settle();
    let now = pair.now;
    let (tcp, cx) = pair.b.cx(now);
    let newer = tcp.acknowledgement(&cx, accepted.index);
    pair.loses = Box::new(|_, segment| !segment.bytes.is_empty());
    pair.send(true, conn, &pattern(1_400));
    pair.settle();
    // An acknowledgement that a later segment of the peer carried, and then a segment from before
    // it, sent again, that acknowledges more of ours and names a small window.
    let mut later = newer;
    later.seq += 500;
    pair.a.arrive(now, &super::Flying { repr: later, bytes: Vec::new() });
    let mut again = newer;
    again.ack += 1_400;
    again.window = 700;
    pair.a.arrive(now, &super::Flying { repr: again, bytes: Vec::new() });
    let at = pair.a.tcp.extension_of(conn.index).expect("it is busy");
    let scale = pair.a.tcp.record(conn).unwrap().send_scale();
    assert_eq!(pair.a.tcp.extensions[at].snd_wnd, 700 << scale);
}
