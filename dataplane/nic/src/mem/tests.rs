//! The pair alone: backpressure, drops by name, threads, and every frame back at the end.

use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};

use super::{MemError, MemQueue, pair};
use crate::{Burst, DropReason, QueuePair, flags};

const DEPTH: usize = 8;

fn arena_of(cores: u16, frames: u32) -> FrameArena {
    let geometry =
        FrameGeometry { frames, frame_len: 2048, headroom: 256, cores, reserve_per_core: 4 };
    FrameArena::new(geometry, PageChoice::Base).expect("a small arena can be mapped")
}

fn packet(arena: &mut CoreArena, len: usize, fill: u8) -> memory::Frame {
    let mut frame = arena.allocate().expect("the test's arena has frames");
    arena.set_len(&mut frame, len);
    arena.bytes_mut(&mut frame).fill(fill);
    frame
}

fn joined(frames: u32) -> (FrameArena, CoreArena, MemQueue, MemQueue) {
    let arena = arena_of(1, frames);
    let core = arena.core().expect("one core");
    let (a, b) = pair(DEPTH, 1500).unwrap();
    (arena, core, a, b)
}

#[test]
fn a_depth_or_mtu_that_cannot_work_is_refused() {
    assert_eq!(pair(3, 1500).unwrap_err(), MemError::ConfigDepth { depth: 3 });
    assert_eq!(pair(0, 1500).unwrap_err(), MemError::ConfigDepth { depth: 0 });
    assert_eq!(pair(8, 1279).unwrap_err(), MemError::ConfigMtu { mtu: 1279 });
    let said = pair(3, 1500).unwrap_err().to_string();
    assert!(said.contains("power of two"), "{said}");
}

#[test]
fn nothing_is_sent_before_the_peer_has_posted() {
    let (_all, mut core, mut a, mut b) = joined(64);
    let mut burst = Burst::with_capacity(4);
    burst.push(packet(&mut core, 60, 1)).unwrap();
    assert_eq!(a.tx_burst(&mut core, &mut burst), 0);
    assert_eq!((burst.len(), a.counters().tx_backpressure), (1, 1));

    let mut out = Burst::with_capacity(4);
    assert_eq!(b.rx_burst(&mut core, &mut out), 0);
    assert_eq!(a.tx_burst(&mut core, &mut burst), 1);
    assert_eq!(b.rx_burst(&mut core, &mut out), 1);
    assert_eq!(core.bytes(out.front().unwrap()), [1; 60]);
    out.clear_into(&mut core);
    let drained = a.drain(&mut core) + b.drain(&mut core);
    // b's ring was filled anew, and a had fetched the first filling and used one of it.
    assert_eq!(drained, DEPTH + DEPTH - 1);
    assert_eq!((core.frames_held(), core.frames_free()), (0, 64));
}

#[test]
fn packets_that_no_peer_could_take_are_dropped_by_name() {
    let (_all, mut core, mut a, mut b) = joined(128);
    let mut out = Burst::with_capacity(4);
    b.rx_burst(&mut core, &mut out);
    let mut burst = Burst::with_capacity(40);
    burst.push(packet(&mut core, 1515, 1)).unwrap();
    burst.push(packet(&mut core, 13, 2)).unwrap();
    for place in 0..17 {
        let mut piece = packet(&mut core, 20, 3);
        piece.set_flags(if place < 16 { flags::CONTINUES } else { 0 });
        burst.push(piece).unwrap();
    }
    burst.push(packet(&mut core, 1514, 4)).unwrap();
    assert_eq!(a.tx_burst(&mut core, &mut burst), 20);
    for reason in [DropReason::TxTooLong, DropReason::TxTooShort, DropReason::TxTooManySegments] {
        assert_eq!(a.counters().dropped(reason), 1, "{}", reason.name());
    }
    assert_eq!((a.counters().tx_packets, a.counters().tx_bytes), (1, 1514));
    assert_eq!(b.rx_burst(&mut core, &mut out), 1);
    assert_eq!(core.bytes(out.front().unwrap()), [4; 1514]);
    out.clear_into(&mut core);
    assert_eq!(core.frames_held(), 0);
}

#[test]
fn draining_both_ends_returns_every_frame_wherever_it_was() {
    let (_all, mut core, mut a, mut b) = joined(128);
    let mut out = Burst::with_capacity(2);
    a.rx_burst(&mut core, &mut out);
    b.rx_burst(&mut core, &mut out);
    let mut burst = Burst::with_capacity(8);
    for fill in 0..5 {
        burst.push(packet(&mut core, 100, fill)).unwrap();
    }
    a.tx_burst(&mut core, &mut burst);
    b.rx_burst(&mut core, &mut out);
    out.clear_into(&mut core);
    // Now frames lie in all four rings and in a's stock.
    assert!(core.frames_free() < 128);
    a.drain(&mut core);
    assert!(b.is_peer_gone());
    b.drain(&mut core);
    assert_eq!(core.frames_free(), 128);
}

#[test]
#[should_panic(expected = "attached to arena")]
fn ends_of_two_arenas_are_refused_loudly() {
    let (_all, mut core, mut a, mut b) = joined(64);
    let other = arena_of(1, 64);
    let mut stranger = other.core().expect("one core");
    b.rx_burst(&mut core, &mut Burst::with_capacity(1));
    let mut burst = Burst::with_capacity(1);
    burst.push(packet(&mut stranger, 60, 0)).unwrap();
    a.tx_burst(&mut stranger, &mut burst);
}

#[test]
fn two_threads_exchange_a_stream_whole_and_in_order() {
    const PACKETS: u32 = 20_000;
    let arena = arena_of(2, 2048);
    let (mut near, mut far) = (arena.core().unwrap(), arena.core().unwrap());
    let (mut a, mut b) = pair(64, 1500).unwrap();
    let sender = std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let mut burst = Burst::with_capacity(32);
            let mut next = 0;
            while next < PACKETS || !burst.is_empty() {
                while next < PACKETS && burst.free() > 0 {
                    let mut frame = packet(&mut near, 60, 0);
                    near.bytes_mut(&mut frame)[20..24].copy_from_slice(&next.to_be_bytes());
                    burst.push(frame).unwrap();
                    next += 1;
                }
                if a.tx_burst(&mut near, &mut burst) == 0 {
                    std::thread::yield_now();
                }
            }
            (a, near)
        });
        let mut out = Burst::with_capacity(32);
        let mut expected = 0_u32;
        while expected < PACKETS {
            if b.rx_burst(&mut far, &mut out) == 0 {
                std::thread::yield_now();
            }
            while let Some(frame) = out.pop_front() {
                assert_eq!(far.bytes(&frame)[20..24], expected.to_be_bytes());
                far.free(frame);
                expected += 1;
            }
        }
        sending.join().unwrap()
    });
    let (a, mut near) = sender;
    assert_eq!(a.counters().tx_packets, u64::from(PACKETS));
    assert_eq!(b.counters().rx_packets, u64::from(PACKETS));
    a.drain(&mut near);
    b.drain(&mut far);
    assert_eq!((near.frames_held(), far.frames_held()), (0, 0));
}
