//! What is told of, what is spared, and what is kept while a request is under way.

use base::{Duration, Instant};
use memory::{Consumer, PageChoice, ring};

use super::{
    AccessLog, AccessRecord, AccessSizes, AccessTerms, Cause, Ending, Kept, Place, Scene, Told,
};
use crate::counters::Refusal;
use crate::limits::ACCESS_LINE_LEN_MAX;

fn log(sample: u32, is_every_error: bool) -> (Box<AccessLog>, Consumer<AccessRecord>) {
    let (out, records) = ring(4);
    let sizes = AccessSizes { sessions_max: 2, connections_max: 8, pages: PageChoice::Base };
    (AccessLog::new(AccessTerms { sample, is_every_error }, sizes, out).unwrap(), records)
}

const SCENE: Scene =
    Scene { now: Instant::from_nanos(5_000), conn: 3, peer: None, local_port: Some(80) };

fn whole(log: &mut AccessLog) -> Kept {
    log.begin(b"GET / HTTP/1.1\r\n", Instant::ZERO);
    log.answered(None, SCENE, Told::default(), Place::Kept)
}

fn reset(log: &mut AccessLog) -> Kept {
    log.ended(None, SCENE, Told::default(), (Ending::new(Cause::Reset, Place::Idle), None))
}

#[test]
fn one_in_so_many_is_told_and_every_error_is() {
    let (mut log_of_three, mut records) = log(3, true);
    for round in 0..7 {
        let kept = whole(&mut log_of_three);
        assert_eq!(kept == Kept::Given, round % 3 == 0, "{round}");
    }
    assert_eq!(reset(&mut log_of_three), Kept::Given);
    let numbers: Vec<u32> =
        std::iter::from_fn(|| records.pop()).map(|record| record.requests).collect();
    assert_eq!(numbers, [1, 4, 7, 7], "those that are spared are counted");
    let (mut log_of_all, _records) = log(3, false);
    let kept: Vec<_> = (0..4).map(|_| reset(&mut log_of_all)).collect();
    assert_eq!(kept, [Kept::Given, Kept::Passed, Kept::Passed, Kept::Given]);
}

#[test]
fn a_full_ring_loses_what_is_new() {
    let (mut log, mut records) = log(1, true);
    let kept: Vec<_> = (0..5).map(|_| whole(&mut log)).collect();
    assert_eq!(kept, [Kept::Given, Kept::Given, Kept::Given, Kept::Given, Kept::Lost]);
    assert!(records.pop().is_some());
    assert_eq!(whole(&mut log), Kept::Given);
}

#[test]
fn what_was_noted_goes_on_with_another_log() {
    let (mut old, _none) = log(1, true);
    old.begin(&[b'a'; 2 * ACCESS_LINE_LEN_MAX], Instant::from_nanos(1_000));
    old.refuse(None, Refusal::ChunkMalformed, SCENE.now);
    old.hold(1);
    whole(&mut old);
    let (mut new, mut records) = log(1, true);
    new.take_notes(&mut old);
    new.answered(Some(1), SCENE, Told::default(), Place::Closed);
    let record = records.pop().unwrap();
    assert_eq!(record.line.bytes(), [b'a'; ACCESS_LINE_LEN_MAX]);
    assert!(record.line.is_cut());
    assert_eq!((record.took, record.requests), (Duration::from_nanos(4_000), 2));
    assert_eq!((record.ending.code(), record.refusal), (['G', 'B'], Some(Refusal::ChunkMalformed)));
}

#[test]
fn a_line_is_that_of_the_request_and_no_more() {
    for (head, line, is_cut) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1", false),
        ("GET /\nHost: a\n\n", "GET /", false),
        ("GET /a", "GET /a", false),
        ("", "", false),
    ] {
        let (mut log, mut records) = log(1, true);
        log.begin(head.as_bytes(), Instant::ZERO);
        log.answered(None, SCENE, Told::default(), Place::Kept);
        let record = records.pop().unwrap();
        assert_eq!((record.line.bytes(), record.line.is_cut()), (line.as_bytes(), is_cut));
    }
}
