//! Tests of the walk in virtual time.

use base::Duration;

use super::*;
use crate::{
    layout::{channel_at, joined},
    limits::ROWS,
    row::{ROW_WORDS, State},
    rows::{Found, Inbox},
};

const SHAPE: Shape = Shape { rows_at: channel_at::ROWS, stride: ROW_WORDS, count: ROWS };

/// A core with so many records of which each third is free.
struct Bed {
    request: Vec<AtomicU64>,
    channel: Vec<AtomicU64>,
    walker: Walker,
    records: u64,
    looked: u64,
    now: Instant,
}

fn zeros(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_word| AtomicU64::new(0)).collect()
}

impl Bed {
    fn new(records: u64) -> Self {
        Self {
            request: zeros(32),
            channel: zeros(channel_at::ROWS + ROWS * ROW_WORDS),
            walker: Walker::new(SHAPE),
            records,
            looked: 0,
            now: Instant::from_nanos(5_000_000_000),
        }
    }

    fn ask(&self, id: u32, filter: &Filter) {
        for (index, word) in filter.to_words().into_iter().enumerate() {
            self.request[request_at::FILTER + index].store(word, Ordering::Relaxed);
        }
        self.request[request_at::REQUEST].store(u64::from(id), Ordering::Release);
    }

    fn poll(&mut self, after: Duration) -> bool {
        self.now += after;
        let (looked, records) = (&mut self.looked, self.records);
        self.walker.poll(&self.request, &self.channel, self.now, |cursor| {
            *looked += 1;
            match cursor {
                end if end == records => Look::End,
                free if free % 3 == 2 => Look::Free(free + 1),
                index => {
                    let port = u16::try_from(index % 60_000).unwrap();
                    Look::Row(index + 1, Row::new(State::Established, [7; 16], port))
                }
            }
        })
    }
}

#[test]
fn core_that_nobody_asks_looks_at_nothing_and_needs_no_waking() {
    let mut bed = Bed::new(100);
    for _ in 0..100 {
        assert!(!bed.poll(Duration::from_millis(1)));
    }
    assert_eq!((bed.looked, bed.walker.deadline()), (0, None));
}

#[test]
fn every_record_is_listed_once_at_the_cores_share_of_the_time() {
    let mut bed = Bed::new(150_000);
    bed.ask(9, &Filter::default());
    let mut inbox = Inbox::new(SHAPE, 9);
    let (began_at, mut listed, mut rows) = (bed.now, 0_u64, Vec::new());
    let mut turns_walked = 0_u64;
    loop {
        let walked = bed.poll(Duration::from_micros(10));
        turns_walked += u64::from(walked);
        rows.clear();
        let found = inbox.drain::<ROW_WORDS>(&bed.channel, &mut rows);
        for row in rows.iter().map(Row::from_words) {
            // Of three records the third is free.
            let index = listed / 2 * 3 + listed % 2;
            assert_eq!(u64::from(row.remote_port), index % 60_000);
            listed += 1;
        }
        match found {
            Found::Walking => {}
            Found::Done(ending) => {
                assert_eq!(ending, Ending::Complete);
                break;
            }
            Found::Waiting | Found::TakenOver | Found::Damaged => panic!("{found:?}"),
        }
    }
    let elapsed = bed.now.saturating_since(began_at).as_nanos();
    let spent = listed * ROW_NANOS + (bed.looked - listed) * LOOK_NANOS;
    println!("{listed} rows in {} ms, {turns_walked} turns", elapsed / 1_000_000);
    assert_eq!((listed, bed.looked), (100_000, 150_001));
    assert!(elapsed < 3_000_000_000, "100,000 connections take {elapsed} ns");
    assert!(spent * 50 < elapsed, "{spent} of {elapsed} ns are more than one in fifty");
    assert!(listed / turns_walked <= 17, "{turns_walked} turns: a step stays small");
    assert_eq!(bed.walker.deadline(), None);
}

#[test]
fn walk_through_records_that_are_not_wanted_is_faster() {
    let mut bed = Bed::new(30_000);
    bed.ask(1, &Filter { local_port: Some(443), ..Filter::default() });
    let began_at = bed.now;
    while bed.looked <= 30_000 {
        bed.poll(Duration::from_micros(10));
    }
    let elapsed = bed.now.saturating_since(began_at).as_nanos();
    assert!(elapsed <= 30_001 * LOOK_NANOS * (WALK_SHARE + 1), "{elapsed}");
    let mut rows = Vec::new();
    let found = Inbox::new(SHAPE, 1).drain::<ROW_WORDS>(&bed.channel, &mut rows);
    assert_eq!((found, rows.len()), (Found::Done(Ending::Complete), 0));
}

#[test]
fn core_gives_up_a_tool_that_reads_nothing() {
    let mut bed = Bed::new(1 << 20);
    bed.ask(1, &Filter::default());
    let mut inbox = Inbox::new(SHAPE, 1);
    for _ in 0..500 {
        bed.poll(Duration::from_millis(1));
    }
    let full = bed.looked;
    assert!(bed.poll(Duration::from_millis(1)), "it looks for room");
    assert_eq!(bed.looked, full, "and at no record");
    assert!(bed.walker.deadline().is_some());
    for _ in 0..2_500 {
        bed.poll(Duration::from_millis(1));
    }
    assert!(!bed.poll(Duration::from_millis(1)));
    assert_eq!(bed.walker.deadline(), None);
    let mut rows = Vec::new();
    let found = inbox.drain::<ROW_WORDS>(&bed.channel, &mut rows);
    assert_eq!((found, rows.len()), (Found::Done(Ending::GivenUp), ROWS));
}

#[test]
fn request_that_is_taken_back_ends_the_walk() {
    let mut bed = Bed::new(1 << 20);
    bed.ask(1, &Filter::default());
    assert!(bed.poll(Duration::from_millis(1)));
    bed.ask(0, &Filter::default());
    let looked = bed.looked;
    assert!(!bed.poll(Duration::from_millis(1)));
    assert_eq!((bed.looked, bed.walker.deadline()), (looked, None));
}

#[test]
fn later_listing_begins_anew_and_the_earlier_tool_is_told() {
    let mut bed = Bed::new(1 << 20);
    let (mut first, mut second) = (Inbox::new(SHAPE, 1), Inbox::new(SHAPE, 2));
    let mut rows = Vec::new();
    bed.ask(1, &Filter::default());
    bed.poll(Duration::from_millis(10));
    assert_eq!(first.drain::<ROW_WORDS>(&bed.channel, &mut rows), Found::Walking);
    assert!(!rows.is_empty());
    bed.ask(2, &Filter::default());
    rows.clear();
    assert_eq!(second.drain::<ROW_WORDS>(&bed.channel, &mut rows), Found::Waiting);
    bed.poll(Duration::from_millis(10));
    assert_eq!(first.drain::<ROW_WORDS>(&bed.channel, &mut rows), Found::TakenOver);
    assert!(rows.is_empty());
    assert_eq!(second.drain::<ROW_WORDS>(&bed.channel, &mut rows), Found::Walking);
    assert_eq!(Row::from_words(&rows[0]).remote_port, 0, "from the first record on");
}

#[test]
fn cursor_that_makes_no_sense_is_not_believed() {
    let mut bed = Bed::new(1 << 20);
    bed.ask(5, &Filter::default());
    let rows = u32::try_from(ROWS).unwrap();
    for absurd in [joined(4, 1), joined(5, rows + 1), joined(5, u32::MAX), u64::MAX] {
        bed.channel[channel_at::TAIL].store(absurd, Ordering::Relaxed);
        for _ in 0..300 {
            bed.poll(Duration::from_millis(1));
        }
        let [_, written] =
            crate::layout::halves(bed.channel[channel_at::HEAD].load(Ordering::Relaxed));
        assert_eq!(written, rows, "the ring is full and stays so after {absurd:#x}");
    }
}
