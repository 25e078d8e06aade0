//! Bounds: of connections, of those of one address, and of half frames.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use base::Duration;

use super::served::{ALLOWED, Allowed, Served, Start, alone, back, frame, kept_with};

both_ways! {
    one_too_many_is_refused_and_its_place_is_free_again_after_another_left
    one_address_does_not_take_the_places_of_all
    partial_frames_are_bounded_together
    who_hoards_half_frames_pays_for_it_and_nobody_else
    a_half_frame_that_does_not_go_on_ends_its_connection_in_time
    one_frame_as_long_as_all_half_frames_may_be_comes_through
    what_waits_for_answers_to_leave_counts_as_half_frames_and_comes_through
    whose_frames_wait_for_answers_pays_for_them_and_nobody_else
}

fn one_too_many_is_refused_and_its_place_is_free_again_after_another_left(start: Start) {
    let served = start(Allowed { connections: 2, ..ALLOWED }, None);
    let (first, mut second) = (served.connect(), served.connect());
    for _ in 0..50 {
        let mut refused = TcpStream::connect(served.address).unwrap();
        refused.set_read_timeout(Some(StdDuration::from_secs(5))).unwrap();
        assert!(matches!(refused.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    second.write_all(&frame(0, 77)).unwrap();
    back(&mut second, &frame(0, 77));
    drop(first);
    served.until("one left", |counters| counters.closed == 1);
    let mut third = served.connect();
    third.write_all(&frame(0, 78)).unwrap();
    back(&mut third, &frame(0, 78));
    let counters = served.end();
    assert_eq!((counters.refused_full, counters.accepted), (50, 3));
}

fn one_address_does_not_take_the_places_of_all(start: Start) {
    let served = start(Allowed { connections_per_source: 3, ..ALLOWED }, None);
    let streams: Vec<_> = (0..3).map(|_| served.connect()).collect();
    let mut fourth = TcpStream::connect(served.address).unwrap();
    assert!(matches!(fourth.read(&mut [0; 8]), Ok(0) | Err(_)));
    served.until("it is counted", |counters| counters.refused_source == 1);
    drop(streams);
    served.until("they are gone", |counters| counters.closed == 3);
    served.connect();
    served.end();
}

fn partial_frames_are_bounded_together(start: Start) {
    let served = start(Allowed { partial_len: 1 << 20, ..ALLOWED }, None);
    let mut streams: Vec<_> = (0..4).map(|_| served.connect()).collect();
    for stream in &mut streams {
        // Some are closed while they write.
        stream.write_all(&frame(0, 4 << 20)[..700 << 10]).ok();
    }
    served.until("some are closed", |counters| counters.closed_partial_full >= 2);
    assert!(served.panel.ask().unwrap().partial_len <= 1 << 20);
    served.end();
}

fn who_hoards_half_frames_pays_for_it_and_nobody_else(start: Start) {
    let served = start(Allowed { partial_len: 2 << 20, connections: 16, ..ALLOWED }, None);
    let allowed_per_source = 8;
    let named = |node: usize| {
        let mut stream = served.connect();
        stream.write_all(&frame(3, 12 + node)).unwrap();
        back(&mut stream, &frame(3, 12 + node));
        stream
    };
    // Seven connections of one node fill the bound, none of them with much.
    let mut hoards: Vec<_> = (1..allowed_per_source).map(|_| named(1)).collect();
    let mut honest = named(2);
    for stream in &mut hoards {
        stream.write_all(&frame(0, 1 << 20)[..290 << 10]).unwrap();
    }
    let full = 7 * (290 << 10) - (64 << 10);
    let begun = StdInstant::now();
    while served.panel.ask().unwrap().partial_len < full {
        assert!(begun.elapsed() < StdDuration::from_secs(20));
        thread::sleep(StdDuration::from_millis(2));
    }
    // Another's frame is longer than each of them, and comes through all the same.
    // It is short enough to be less than what is left of theirs whenever somebody pays.
    let long = frame(0, 850 << 10);
    let mut writer = honest.try_clone().unwrap();
    let sender = thread::spawn(move || writer.write_all(&frame(0, 850 << 10)).unwrap());
    back(&mut honest, &long);
    sender.join().unwrap();
    let counters = served.counters();
    assert!((1..=6).contains(&counters.closed_partial_full), "{counters:?}");
    served.end();
}

fn a_half_frame_that_does_not_go_on_ends_its_connection_in_time(start: Start) {
    let partial = Duration::from_millis(200);
    let served = start(Allowed { partial, ..ALLOWED }, None);
    let (mut stuck, mut slow, mut idle) = (served.connect(), served.connect(), served.connect());
    stuck.write_all(&frame(0, 1 << 20)[..1_000]).unwrap();
    idle.write_all(&frame(0, 12)).unwrap();
    back(&mut idle, &frame(0, 12));
    // One that goes on, and takes longer than that in all.
    let long = frame(0, 2 << 20);
    for part in long.chunks(256 << 10) {
        slow.write_all(part).unwrap();
        thread::sleep(StdDuration::from_millis(90));
    }
    back(&mut slow, &long);
    assert!(matches!(stuck.read(&mut [0; 8]), Ok(0) | Err(_)));
    served.until("it is counted", |counters| counters.closed_partial_late == 1);
    idle.write_all(&frame(0, 13)).unwrap();
    back(&mut idle, &frame(0, 13));
    assert_eq!(served.panel.ask().unwrap().partial_len, 0);
    assert_eq!(served.end().closed_partial_late, 1);
}

fn one_frame_as_long_as_all_half_frames_may_be_comes_through(start: Start) {
    let (frame_len, partial_len) = (4 << 20, 4 << 20);
    let served = start(Allowed { frame_len, partial_len, ..ALLOWED }, None);
    let mut stream = served.connect();
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || writer.write_all(&frame(0, 4 << 20)).unwrap());
    back(&mut stream, &frame(0, 4 << 20));
    sender.join().unwrap();
    assert_eq!(served.end().closed_partial_full, 0);
}

#[test]
fn a_length_beyond_the_longest_ends_the_connection() {
    // A switch of another thread refuses it by its header.
    let start = alone;
    let served = start(Allowed { frame_len: 1 << 20, ..ALLOWED }, None);
    let mut stream = served.connect();
    stream.write_all(&frame(0, 2 << 20)[..100]).unwrap();
    assert!(matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_)));
    served.until("it is gone", |counters| counters.closed == 1);
    served.end();
}

#[test]
fn one_that_comes_before_the_end_of_another_was_heard_is_refused_and_nobody_else_is() {
    // The keeper has heard of fewer ends than the census, which lets in eight.
    let served = kept_with(ALLOWED, 1, None);
    let mut first = served.connect();
    for _ in 0..3 {
        let mut refused = TcpStream::connect(served.address).unwrap();
        refused.set_read_timeout(Some(StdDuration::from_secs(5))).unwrap();
        refused.write_all(&frame(0, 12)).unwrap();
        assert!(matches!(refused.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    first.write_all(&frame(0, 77)).unwrap();
    back(&mut first, &frame(0, 77));
    drop(first);
    served.until("all are gone", |counters| counters.closed == 4);
    let mut next = served.connect();
    next.write_all(&frame(0, 78)).unwrap();
    back(&mut next, &frame(0, 78));
    assert_eq!(served.end().refused_full, 3);
}

/// Waits until so many bytes of frames are half received or wait.
fn until_partial(served: &Served, is_so: impl Fn(u64) -> bool) {
    let begun = StdInstant::now();
    while !is_so(served.panel.ask().unwrap().partial_len) {
        assert!(begun.elapsed() < StdDuration::from_secs(20), "{:?}", served.counters());
        thread::sleep(StdDuration::from_millis(2));
    }
}

fn what_waits_for_answers_to_leave_counts_as_half_frames_and_comes_through(start: Start) {
    let served = start(ALLOWED, None);
    let (mut slow, mut other) = (served.connect(), served.connect());
    let (asks, long) = (frame(2, 20_000), frame(0, 3 << 20));
    slow.write_all(&asks).unwrap();
    slow.write_all(&long).unwrap();
    until_partial(&served, |len| len == 3 << 20);
    other.write_all(&frame(0, 77)).unwrap();
    back(&mut other, &frame(0, 77));
    for _ in 0..1_000 {
        back(&mut slow, &asks);
    }
    back(&mut slow, &long);
    until_partial(&served, |len| len == 0);
    slow.write_all(&frame(0, 78)).unwrap();
    back(&mut slow, &frame(0, 78));
    served.end();
}

fn whose_frames_wait_for_answers_pays_for_them_and_nobody_else(start: Start) {
    let served = start(Allowed { partial_len: 10 << 20, ..ALLOWED }, None);
    let mut honest = served.connect();
    let slow: Vec<_> = (0..4).map(|_| served.connect()).collect();
    honest.write_all(&frame(3, 12)).unwrap();
    back(&mut honest, &frame(3, 12));
    let (half, rest) = (frame(0, 2 << 20), 1 << 20);
    honest.write_all(&half[..rest]).unwrap();
    for mut stream in &slow {
        stream.write_all(&frame(2, 20_000)).unwrap();
        // The last are closed while they write.
        stream.write_all(&frame(0, 4 << 20)).ok();
    }
    served.until("some are closed", |counters| counters.closed_partial_full >= 2);
    honest.write_all(&half[rest..]).unwrap();
    back(&mut honest, &half);
    until_partial(&served, |len| len <= 8 << 20);
    drop(slow);
    served.end();
}
