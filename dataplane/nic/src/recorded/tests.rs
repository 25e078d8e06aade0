//! What is written, what is not, and what a replay makes of it.

use std::io;

use base::{Duration, Instant};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};

use super::{RecordLimits, Recorded};
use crate::mem::{self, MemQueue};
use crate::pcap::{FILE_HEADER_LEN, RECORD_HEADER_LEN, Reader};
use crate::{Burst, DropReason, Pace, QueuePair, Replay, flags};

const UNBOUNDED: RecordLimits = RecordLimits { packets_max: u64::MAX, bytes_max: u64::MAX };

/// Takes so many bytes and then fails, as a full disk does.
struct FullDisk {
    room: usize,
}

impl io::Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn core_arena() -> CoreArena {
    let geometry = FrameGeometry {
        frames: 512,
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

fn joined<W: io::Write>(
    core: &mut CoreArena,
    writer: W,
    limits: RecordLimits,
) -> (Recorded<MemQueue, W>, MemQueue) {
    let (near, mut far) = mem::pair(64, 1500).unwrap();
    let mut near = Recorded::new(near, writer, limits);
    let mut none = Burst::with_capacity(0);
    far.rx_burst(core, &mut none);
    near.rx_burst(core, &mut none);
    (near, far)
}

#[test]
fn both_directions_are_written_in_order_with_their_times() {
    let mut core = core_arena();
    let (mut near, mut far) = joined(&mut core, Vec::new(), UNBOUNDED);
    let mut burst = Burst::with_capacity(100);
    for fill in 1..=3 {
        near.set_now(Instant::from_nanos(u64::from(fill) * 1_000_000_007));
        push(&mut core, &mut burst, fill, 40, usize::from(fill));
        assert_eq!(near.tx_burst(&mut core, &mut burst), usize::from(fill));
        push(&mut core, &mut burst, fill + 100, 60, 1);
        far.tx_burst(&mut core, &mut burst);
        let mut out = Burst::with_capacity(4);
        near.rx_burst(&mut core, &mut out);
        assert_eq!(out.len(), 1);
        out.clear_into(&mut core);
    }
    assert_eq!(near.recorded().packets, 6);
    let (_near, file) = near.into_parts();
    let read: Vec<_> = Reader::new(&file).unwrap().map(Result::unwrap).collect();
    for (place, record) in read.iter().enumerate() {
        let round = u8::try_from(place / 2 + 1).unwrap();
        assert_eq!(record.at.as_nanos(), u64::from(round) * 1_000_000_007);
        let (fill, len) =
            if place % 2 == 0 { (round, 40 * usize::from(round)) } else { (round + 100, 60) };
        assert_eq!(record.bytes, vec![fill; len]);
        assert_eq!(record.wire_len as usize, len);
    }
}

#[test]
fn a_packet_that_stays_with_the_caller_is_not_written_yet() {
    let mut core = core_arena();
    let (near, mut far) = mem::pair(4, 1500).unwrap();
    let mut near = Recorded::new(near, Vec::new(), UNBOUNDED);
    far.rx_burst(&mut core, &mut Burst::with_capacity(0));
    let mut burst = Burst::with_capacity(80);
    for fill in 0..80 {
        push(&mut core, &mut burst, fill, 60, 1);
    }
    assert_eq!(near.tx_burst(&mut core, &mut burst), 4);
    assert_eq!(near.recorded().packets, 4);
    let next = core.bytes(burst.front().unwrap());
    assert_eq!((burst.len(), next), (76, &[4; 60][..]), "the rest stays, in order");
    let rest: Vec<u8> = burst.iter().map(|frame| core.bytes(frame)[0]).collect();
    assert_eq!(rest, (4..80).collect::<Vec<_>>());
    burst.clear_into(&mut core);
}

#[test]
fn the_limits_end_the_recording_and_not_the_traffic() {
    let record_len = (RECORD_HEADER_LEN + 60) as u64;
    let by_bytes =
        RecordLimits { bytes_max: FILE_HEADER_LEN as u64 + 2 * record_len + 1, ..UNBOUNDED };
    let by_packets = RecordLimits { packets_max: 2, ..UNBOUNDED };
    for limits in [by_bytes, by_packets] {
        let mut core = core_arena();
        let (mut near, _far) = joined(&mut core, Vec::new(), limits);
        let mut burst = Burst::with_capacity(5);
        for fill in 0..5 {
            push(&mut core, &mut burst, fill, 60, 1);
        }
        assert_eq!(near.tx_burst(&mut core, &mut burst), 5);
        push(&mut core, &mut burst, 9, 60, 1);
        assert_eq!(near.tx_burst(&mut core, &mut burst), 1);
        let counters = *near.recorded();
        assert_eq!((counters.packets, counters.packets_unrecorded), (2, 4));
        let (_near, file) = near.into_parts();
        assert_eq!(file.len() as u64, counters.bytes);
        assert_eq!(Reader::new(&file).unwrap().count(), 2);
    }
}

#[test]
fn an_error_of_the_writer_ends_the_recording_and_not_the_traffic() {
    let mut core = core_arena();
    let disk = FullDisk { room: 24 + 16 + 60 };
    let (mut near, mut far) = joined(&mut core, disk, UNBOUNDED);
    let mut burst = Burst::with_capacity(5);
    for fill in 0..5 {
        push(&mut core, &mut burst, fill, 60, 1);
    }
    assert_eq!(near.tx_burst(&mut core, &mut burst), 5);
    let counters = near.recorded();
    assert_eq!((counters.packets, counters.packets_unrecorded), (1, 4));
    assert_eq!(counters.write_errors, 1, "it is not tried again");
    let mut out = Burst::with_capacity(8);
    assert_eq!(far.rx_burst(&mut core, &mut out), 5);
    out.clear_into(&mut core);
    assert_eq!(core.frames_held(), 0);
}

#[test]
fn what_was_recorded_is_replayed_at_its_pace() {
    let mut core = core_arena();
    let (mut near, _far) = joined(&mut core, Vec::new(), UNBOUNDED);
    let mut burst = Burst::with_capacity(4);
    for fill in 0..4 {
        near.set_now(Instant::from_nanos(5_000_000_000 + u64::from(fill) * 1_000));
        push(&mut core, &mut burst, fill, 60, 1);
        near.tx_burst(&mut core, &mut burst);
    }
    let (_near, file) = near.into_parts();

    let mut replay = Replay::new(&file, 1500, Pace::AsRecorded).unwrap();
    let mut out = Burst::with_capacity(8);
    let start = Instant::from_nanos(77);
    for fill in 0..4_u8 {
        let due = start + Duration::from_micros(u64::from(fill));
        replay.set_now(due);
        assert_eq!(replay.rx_burst(&mut core, &mut out), 1);
        assert_eq!(core.bytes(out.front().unwrap()), [fill; 60]);
        out.clear_into(&mut core);
        let next = (fill < 3).then(|| due + Duration::from_micros(1));
        assert_eq!(replay.next_deadline(), next);
    }
    assert!(replay.is_over());

    let mut replay = Replay::new(&file, 1500, Pace::AtOnce).unwrap();
    let mut two = Burst::with_capacity(2);
    assert_eq!(replay.rx_burst(&mut core, &mut two), 2);
    assert_eq!(replay.rx_burst(&mut core, &mut out), 2);
    assert_eq!(replay.tx_burst(&mut core, &mut out), 2);
    assert_eq!((replay.counters().rx_packets, replay.counters().tx_packets), (4, 2));
    two.clear_into(&mut core);
    assert_eq!(core.frames_held(), 0);
}

#[test]
fn a_replay_drops_what_was_cut_and_ends_where_the_capture_breaks_off() {
    let mut core = core_arena();
    let (mut near, _far) = joined(&mut core, Vec::new(), UNBOUNDED);
    let mut burst = Burst::with_capacity(3);
    for fill in 0..3 {
        push(&mut core, &mut burst, fill, 60, 1);
    }
    near.tx_burst(&mut core, &mut burst);
    let (_near, mut file) = near.into_parts();
    // The first packet says that it was longer on the wire; the last one is cut off.
    file[FILE_HEADER_LEN + 12] = 61;
    file.truncate(file.len() - 1);
    let mut replay = Replay::new(&file, 1500, Pace::AtOnce).unwrap();
    let mut out = Burst::with_capacity(8);
    assert_eq!(replay.rx_burst(&mut core, &mut out), 1);
    assert_eq!(core.bytes(out.front().unwrap()), [1; 60]);
    assert_eq!(replay.counters().dropped(DropReason::RxTooLong), 1);
    assert!(replay.is_over() && replay.error().is_some());
    out.clear_into(&mut core);
}
