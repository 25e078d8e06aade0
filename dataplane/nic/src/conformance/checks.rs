//! The checks, one function each; their names say what must hold.

use super::Rig;
use super::bed;
use crate::burst::Burst;
use crate::counters::DropReason;
use crate::flags;
use crate::queue::QueuePair;

pub(super) fn empty_calls_do_nothing<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let mut nothing = Burst::with_capacity(8);
    assert_eq!(bed::send(rig, &mut nothing), 0);
    let mut no_room = Burst::with_capacity(0);
    assert!(rig.far_send(&bed::packet(0, 60)), "an idle device takes a packet");
    rig.settle();
    assert!(bed::receive(rig, &mut no_room).is_empty());
    bed::assert_same(&bed::receive_count(rig, 1), &[bed::packet(0, 60)]);
    let counters = rig.near().0.counters();
    assert_eq!((counters.tx_packets, counters.tx_dropped()), (0, 0));
}

pub(super) fn sent_packets_arrive_whole_and_in_order<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let lengths = bed::lengths(rig);
    let expected: Vec<_> = (0..).zip(&lengths).map(|(n, &len)| bed::packet(n, len)).collect();
    let mut frames = Burst::with_capacity(expected.len());
    for bytes in &expected {
        let frame = bed::frame(rig.near().1, bytes);
        frames.push(frame).expect("it has their capacity");
    }
    let mut got = bed::send_all(rig, &mut frames);
    bed::far_receive_count(rig, &mut got, expected.len());
    bed::assert_same(&got, &expected);
    let counters = rig.near().0.counters();
    let sum: usize = lengths.iter().sum();
    assert_eq!(counters.tx_packets, expected.len() as u64);
    assert_eq!((counters.tx_bytes, counters.tx_dropped()), (sum as u64, 0));
}

pub(super) fn received_packets_are_whole_and_in_order<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let lengths = bed::lengths(rig);
    let expected: Vec<_> = (0..).zip(lengths).map(|(n, len)| bed::packet(n, len)).collect();
    let mut got = Vec::new();
    for bytes in &expected {
        if !rig.far_send(bytes) {
            got.extend(bed::receive_count(rig, 1));
            assert!(rig.far_send(bytes), "there is room again after a packet was received");
        }
    }
    got.extend(bed::receive_count(rig, expected.len() - got.len()));
    bed::assert_same(&got, &expected);
    assert_eq!(rig.near().0.counters().rx_dropped(), 0);
}

pub(super) fn a_large_burst_is_taken_in_parts<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let expected: Vec<_> = (0..128).map(|n| bed::packet(n, 60 + n as usize % 40)).collect();
    let mut frames = Burst::with_capacity(expected.len());
    for bytes in &expected {
        let frame = bed::frame(rig.near().1, bytes);
        frames.push(frame).expect("it has their capacity");
    }
    let first = bed::send(rig, &mut frames);
    assert!(first > 0, "an idle device takes some packets");
    if let Some(frame) = frames.front() {
        let bytes = rig.near().1.bytes(frame);
        assert_eq!(bytes, expected[first], "the rest stays, in order");
    }
    let mut got = bed::send_all(rig, &mut frames);
    bed::far_receive_count(rig, &mut got, expected.len());
    bed::assert_same(&got, &expected);
}

pub(super) fn shared_frames_are_sent_unchanged_and_stay<R: Rig>(rig: &mut R) {
    const TIMES: usize = 5;
    bed::ready(rig);
    let bytes = bed::packet(7, 333);
    let kept = bed::frame(rig.near().1, &bytes);
    let mut frames = Burst::with_capacity(TIMES);
    for _time in 0..TIMES {
        let reference = rig.near().1.share(&kept);
        frames.push(reference).expect("it has the capacity");
    }
    let mut got = bed::send_all(rig, &mut frames);
    bed::far_receive_count(rig, &mut got, TIMES);
    bed::assert_same(&got, &vec![bytes.clone(); TIMES]);
    let arena = rig.near().1;
    assert_eq!(arena.bytes(&kept), bytes, "a sent frame is only read");
    arena.free(kept);
}

pub(super) fn no_more_is_received_than_fits<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let mut expected: Vec<_> = (0..5).map(|n| bed::packet(n, 100)).collect();
    let waiting = expected.iter().take_while(|bytes| rig.far_send(bytes)).count();
    assert!(waiting > 0, "an idle device takes a packet");
    expected.truncate(waiting);
    rig.settle();
    let mut got = Vec::new();
    let mut out = Burst::with_capacity(2);
    let mut calls = 0;
    while got.len() < expected.len() && calls < 100 {
        // `receive` checks that no more frames come than fit.
        let came = bed::receive(rig, &mut out);
        if came.is_empty() {
            rig.settle();
        }
        got.extend(came);
        calls += 1;
    }
    bed::assert_same(&got, &expected);
}

pub(super) fn gathered_packets_arrive_as_one<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let segments_max = usize::from(rig.near().0.capabilities().segments_max);
    let mut frames = Burst::with_capacity(4 * segments_max);
    let mut expected = Vec::new();
    for (number, segments) in (0..).zip([1, segments_max.min(2), segments_max, 1]) {
        let bytes = bed::packet(number, 60 * segments);
        for (place, piece) in bytes.chunks(60).enumerate() {
            let mut frame = bed::frame(rig.near().1, piece);
            frame.set_flags(if place + 1 < segments { flags::CONTINUES } else { 0 });
            frames.push(frame).expect("it has the capacity");
        }
        expected.push(bytes);
    }
    let mut got = bed::send_all(rig, &mut frames);
    bed::far_receive_count(rig, &mut got, expected.len());
    bed::assert_same(&got, &expected);
}

pub(super) fn impossible_packets_are_dropped_by_name<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    let longest = rig.near().0.capabilities().packet_len_max();
    let mut frames = Burst::with_capacity(3);
    for (number, len) in [(0, longest + 1), (1, 13), (2, longest)] {
        let frame = bed::frame(rig.near().1, &bed::packet(number, len));
        frames.push(frame).expect("it has the capacity");
    }
    let mut got = bed::send_all(rig, &mut frames);
    bed::far_receive_count(rig, &mut got, 1);
    bed::assert_same(&got, &[bed::packet(2, longest)]);
    let counters = rig.near().0.counters();
    assert_eq!(counters.dropped(DropReason::TxTooLong), 1);
    assert_eq!(counters.dropped(DropReason::TxTooShort), 1);
    assert_eq!(counters.tx_dropped(), 2);
}

pub(super) fn received_frames_belong_to_the_caller<R: Rig>(rig: &mut R) {
    bed::ready(rig);
    assert!(rig.far_send(&bed::packet(0, 200)), "an idle device takes a packet");
    let mut out = Burst::with_capacity(32);
    for _try in 0..50 {
        rig.settle();
        let (queue, arena) = rig.near();
        queue.rx_burst(arena, &mut out);
        let mut has_come = false;
        while let Some(mut frame) = out.pop_front() {
            assert!(arena.is_unshared(&frame));
            assert!(!flags::continues(&frame), "200 bytes fit into one frame");
            has_come |= arena.bytes(&frame).get(12..14) == Some(&super::ETHERTYPE);
            // What is written now is in no one else's sight.
            arena.bytes_mut(&mut frame).fill(0xff);
            assert!(frame.offset() >= arena.headroom().min(64), "headers need headroom");
            arena.free(frame);
        }
        // Frames of others, which came in the same burst, have gone back by now.
        if has_come {
            return;
        }
    }
    panic!("the packet never came");
}

pub(super) fn an_exhausted_arena_delays_and_recovers<R: Rig>(rig: &mut R) {
    const PACKETS: usize = 24;
    bed::ready(rig);
    let arena = rig.near().1;
    let mut hoard = Vec::new();
    while let Some(frame) = arena.allocate_reserved() {
        hoard.push(frame);
    }
    let expected: Vec<_> = (0..).map(|n| bed::packet(n, 80)).take(PACKETS).collect();
    let mut accepted = Vec::new();
    for bytes in &expected[..PACKETS / 2] {
        if rig.far_send(bytes) {
            accepted.push(bytes.clone());
        }
    }
    rig.settle();
    // Frames that the device already has may come; a moment later there are none.
    let mut got = bed::receive_while_any(rig);
    let arena = rig.near().1;
    for frame in hoard {
        arena.free(frame);
    }
    let is_lossy = rig.drops_when_starved();
    if !is_lossy {
        got.extend(bed::receive_count(rig, accepted.len() - got.len()));
        bed::assert_same(&got, &accepted);
    }
    rig.settle();
    bed::receive_while_any(rig);
    (got, accepted) = (Vec::new(), Vec::new());
    bed::ready(rig);
    for bytes in &expected[PACKETS / 2..] {
        if !rig.far_send(bytes) {
            got.extend(bed::receive_count(rig, 1));
            assert!(rig.far_send(bytes), "it recovers once there are frames again");
        }
        accepted.push(bytes.clone());
    }
    got.extend(bed::receive_count(rig, accepted.len() - got.len()));
    bed::assert_same(&got, &accepted);
}

pub(super) fn both_directions_run_at_once<R: Rig>(rig: &mut R) {
    const ROUNDS: u32 = 300;
    bed::ready(rig);
    let mut frames = Burst::with_capacity(1);
    for number in 0..ROUNDS {
        let bytes = bed::packet(number, 60 + number as usize % 900);
        let frame = bed::frame(rig.near().1, &bytes);
        frames.push(frame).expect("it is empty");
        let mut there = bed::send_all(rig, &mut frames);
        bed::far_receive_count(rig, &mut there, 1);
        bed::assert_same(&there, std::slice::from_ref(&bytes));
        assert!(rig.far_send(&there[0]), "an idle device takes a packet");
        bed::assert_same(&bed::receive_count(rig, 1), &[bytes]);
    }
}
