//! What a reader gets, what it does not, and that the packets go their way in either case.

use std::thread;

use base::{Duration, Instant};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};

use super::{CaptureReader, CaptureTerms, Captured, Directions, tap};
use crate::limits::{CAPTURE_BLOCK_LEN, CAPTURE_BLOCKS, CAPTURE_HOLD, SNAP_LEN_MAX};
use crate::mem::{self, MemQueue};
use crate::pcap::{RECORD_HEADER_LEN, Reader, file_header_cut};
use crate::{Burst, QueuePair, flags};

/// 2026-01-01, as the time of day at which the core's clock was zero.
const OFFSET: Duration = Duration::from_secs(1_767_225_600);

fn core_arena() -> CoreArena {
    let geometry = FrameGeometry {
        frames: 1024,
        frame_len: 2048,
        headroom: 256,
        cores: 1,
        reserve_per_core: 8,
    };
    let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
    arena.core().unwrap()
}

/// A packet of `pieces` frames of `len` bytes each, all of value `fill`.
fn push(core: &mut CoreArena, burst: &mut Burst, fill: u8, len: usize, pieces: usize) {
    for place in 0..pieces {
        let mut frame = core.allocate().unwrap();
        core.set_len(&mut frame, len);
        core.bytes_mut(&mut frame).fill(fill);
        frame.set_flags(if place + 1 < pieces { flags::CONTINUES } else { 0 });
        burst.push(frame).unwrap();
    }
}

struct Bed {
    core: CoreArena,
    near: Captured<MemQueue>,
    far: MemQueue,
    burst: Burst,
}

impl Bed {
    fn new() -> Self {
        let mut core = core_arena();
        let (near, mut far) = mem::pair(64, 1500).unwrap();
        let mut near = Captured::new(near);
        let mut none = Burst::with_capacity(0);
        far.rx_burst(&mut core, &mut none);
        near.rx_burst(&mut core, &mut none);
        Self { core, near, far, burst: Burst::with_capacity(100) }
    }

    fn tapped(terms: CaptureTerms) -> (Self, CaptureReader) {
        let mut bed = Self::new();
        let (tap, reader) = tap(terms);
        assert!(bed.near.exchange_tap(Some(tap)).is_none());
        (bed, reader)
    }

    fn send(&mut self, fill: u8, len: usize, pieces: usize) {
        push(&mut self.core, &mut self.burst, fill, len, pieces);
        self.near.tx_burst(&mut self.core, &mut self.burst);
        assert!(self.burst.is_empty(), "the pair has room");
        self.drain_far();
    }

    fn drain_far(&mut self) {
        while self.far.rx_burst(&mut self.core, &mut self.burst) > 0 {
            self.burst.clear_into(&mut self.core);
        }
    }

    fn receive(&mut self, fill: u8, len: usize, pieces: usize) {
        push(&mut self.core, &mut self.burst, fill, len, pieces);
        assert_eq!(self.far.tx_burst(&mut self.core, &mut self.burst), pieces);
        assert!(self.near.rx_burst(&mut self.core, &mut self.burst) > 0, "it comes in one piece");
        self.burst.clear_into(&mut self.core);
    }

    /// No frame is missing at the end.
    fn dismantle(mut self) {
        let inner = self.near.into_inner();
        inner.drain(&mut self.core);
        self.far.drain(&mut self.core);
        assert_eq!(self.core.frames_held(), 0);
    }
}

fn whole() -> CaptureTerms {
    CaptureTerms { snap_len: SNAP_LEN_MAX, clock_offset: OFFSET, ..CaptureTerms::default() }
}

/// What waits, as (nanoseconds of the core, bytes on the wire, bytes kept, first byte, last byte).
fn taken(reader: &mut CaptureReader) -> Vec<(u64, u32, usize, u8, u8)> {
    let mut file = file_header_cut(65_535).to_vec();
    while let Some(block) = reader.take() {
        file.extend_from_slice(&block);
        reader.give_back(block);
    }
    let records = Reader::new(&file).unwrap().map(Result::unwrap);
    let seen = |record: crate::pcap::Record<'_>| {
        let (first, last) = (record.bytes[0], record.bytes[record.bytes.len() - 1]);
        let at = record.at.as_nanos() - OFFSET.as_nanos();
        (at, record.wire_len, record.bytes.len(), first, last)
    };
    records.map(seen).collect()
}

#[test]
fn both_directions_are_seen_whole_in_order_with_the_time_of_day() {
    let (mut bed, mut reader) = Bed::tapped(whole());
    for (turn, fill) in (1..=3).enumerate() {
        bed.near.set_now(Instant::from_nanos(turn as u64 * 7));
        bed.send(fill, 40, usize::from(fill));
        bed.receive(fill + 100, 60, 1);
    }
    assert_eq!(taken(&mut reader), [], "it is handed over a millisecond later");
    assert_eq!(bed.near.next_deadline(), Some(Instant::ZERO + CAPTURE_HOLD));
    bed.near.set_now(Instant::ZERO + CAPTURE_HOLD);
    assert_eq!(
        taken(&mut reader),
        [
            (0, 40, 40, 1, 1),
            (0, 60, 60, 101, 101),
            (7, 80, 80, 2, 2),
            (7, 60, 60, 102, 102),
            (14, 120, 120, 3, 3),
            (14, 60, 60, 103, 103),
        ]
    );
    assert_eq!((reader.captured(), reader.dropped()), (6, 0));
    assert_eq!(bed.near.next_deadline(), None);
    bed.dismantle();
}

#[test]
fn a_packet_is_seen_when_it_has_left_and_not_each_time_it_is_offered() {
    let (mut bed, mut reader) = Bed::tapped(whole());
    for fill in 0..80 {
        push(&mut bed.core, &mut bed.burst, fill, 50, 1);
    }
    let sent = bed.near.tx_burst(&mut bed.core, &mut bed.burst);
    assert!(sent < 80, "the pair has 64 places");
    assert_eq!(reader.captured(), sent as u64);
    assert_eq!(bed.near.tx_burst(&mut bed.core, &mut bed.burst), 0);
    assert_eq!(reader.captured(), sent as u64);
    let mut rest = Burst::with_capacity(100);
    core::mem::swap(&mut rest, &mut bed.burst);
    bed.drain_far();
    while bed.near.tx_burst(&mut bed.core, &mut rest) > 0 {
        bed.drain_far();
    }
    bed.near.exchange_tap(None);
    let fills: Vec<_> = taken(&mut reader).iter().map(|packet| packet.3).collect();
    assert_eq!(fills, (0..80).collect::<Vec<_>>());
    bed.dismantle();
}

#[test]
fn directions_filter_and_length_are_kept_to() {
    let terms = CaptureTerms { directions: Directions::Received, snap_len: 14, ..whole() };
    let (mut bed, mut reader) = Bed::tapped(terms);
    bed.send(1, 40, 2);
    bed.receive(2, 60, 2);
    bed.near.exchange_tap(None);
    assert_eq!(taken(&mut reader), [(0, 120, 14, 2, 2)]);

    let terms = CaptureTerms { directions: Directions::Sent, snap_len: 50, ..whole() };
    let (tap, mut reader) = tap(terms);
    bed.near.exchange_tap(Some(tap));
    bed.send(1, 40, 2);
    bed.receive(2, 60, 2);
    bed.near.exchange_tap(None);
    assert_eq!(taken(&mut reader), [(0, 80, 50, 1, 1)]);

    let terms = CaptureTerms { filter: "arp".parse().unwrap(), ..whole() };
    let (tap, mut reader) = super::tap(terms);
    bed.near.exchange_tap(Some(tap));
    bed.send(1, 40, 1);
    bed.receive(8, 60, 1);
    bed.near.exchange_tap(None);
    assert_eq!((taken(&mut reader), reader.dropped()), (vec![], 0));
    bed.dismantle();
}

#[test]
fn without_a_reader_that_takes_the_copies_are_dropped_and_counted_and_packets_go_on() {
    let (mut bed, mut reader) = Bed::tapped(whole());
    let per_block = (CAPTURE_BLOCK_LEN / (RECORD_HEADER_LEN + 1_500)) as u64;
    let room = per_block * CAPTURE_BLOCKS as u64;
    for _packet in 0..room + 10 {
        bed.send(1, 1_500, 1);
    }
    assert_eq!((reader.captured(), reader.dropped()), (room, 10));
    assert_eq!(bed.near.counters().tx_packets, room + 10);
    assert_eq!(taken(&mut reader).len() as u64, room);
    bed.send(2, 1_500, 1);
    assert_eq!((reader.captured(), reader.dropped()), (room + 1, 10));
    bed.near.exchange_tap(None);
    assert_eq!(taken(&mut reader), [(0, 1_500, 1_500, 2, 2)]);
    bed.dismantle();
}

#[test]
fn a_reader_that_wants_no_more_ends_it_and_one_that_is_gone_disturbs_nobody() {
    let (mut bed, reader) = Bed::tapped(whole());
    bed.send(1, 60, 1);
    reader.end();
    bed.send(1, 60, 1);
    assert_eq!((reader.captured(), reader.dropped()), (1, 0));
    drop(reader);
    for _packet in 0..10_000 {
        bed.send(1, 1_500, 1);
    }
    bed.near.exchange_tap(None).expect("it is still there");
    bed.dismantle();
}

#[test]
fn what_a_core_has_seen_when_it_ends_is_not_lost() {
    let (mut bed, mut reader) = Bed::tapped(whole());
    bed.send(1, 60, 1);
    bed.dismantle();
    assert_eq!(taken(&mut reader), [(0, 60, 60, 1, 1)]);
}

#[test]
fn what_one_thread_copies_another_one_reads_and_nothing_is_lost_between() {
    let (tap, mut reader) = tap(whole());
    let (packets, seen) = thread::scope(|scope| {
        let core = scope.spawn(move || {
            let mut bed = Bed::new();
            bed.near.exchange_tap(Some(tap));
            for turn in 0..20_000_u64 {
                bed.near.set_now(Instant::from_nanos(turn * 100_000));
                bed.send(turn.to_le_bytes()[0], 200, 1);
            }
            let tap = bed.near.exchange_tap(None);
            bed.dismantle();
            drop(tap);
            20_000
        });
        let mut seen = Vec::new();
        while !core.is_finished() {
            seen.extend(taken(&mut reader));
        }
        seen.extend(taken(&mut reader));
        (core.join().unwrap(), seen)
    });
    assert_eq!(seen.len() as u64 + reader.dropped(), packets);
    assert_eq!(reader.captured(), seen.len() as u64);
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order");
    for (at, ..) in &seen {
        assert_eq!(at % 100_000, 0);
    }
}
