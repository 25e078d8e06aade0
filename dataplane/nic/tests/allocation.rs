//! No packet path of this crate allocates.

use std::io::sink;

use base::{Duration, Instant};
use memory::counting::{CountingAllocator, forbid};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::{Burst, Impaired, Impairments, QueuePair, RecordLimits, Recorded, flags, mem};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: u64 = 200;

/// Bursts of 32 packets, each of two frames, through `near` to the far end.
fn traffic(near: impl FnOnce(mem::MemQueue) -> Box<dyn QueuePair>) -> u64 {
    let geometry = FrameGeometry {
        frames: 4096,
        frame_len: 2048,
        headroom: 256,
        cores: 1,
        reserve_per_core: 8,
    };
    let arena = FrameArena::new(geometry, PageChoice::Base).expect("a small arena");
    let mut core: CoreArena = arena.core().expect("one core");
    let (end, mut far) = mem::pair(256, 1500).expect("a good depth");
    let mut near = near(end);
    let mut frames = Burst::with_capacity(64);
    let mut out = Burst::with_capacity(64);

    let forbidden = forbid();
    far.rx_burst(&mut core, &mut out);
    for round in 0..ROUNDS {
        near.set_now(Instant::from_nanos(round * 50_000));
        while frames.free() >= 2 {
            for piece_flags in [flags::CONTINUES, 0] {
                let mut frame = core.allocate().expect("frames are free");
                core.set_len(&mut frame, 60);
                frame.set_flags(piece_flags);
                frames.push(frame).expect("there is room for two");
            }
        }
        near.tx_burst(&mut core, &mut frames);
        near.rx_burst(&mut core, &mut out);
        far.rx_burst(&mut core, &mut out);
        out.clear_into(&mut core);
    }
    drop(forbidden);
    far.counters().rx_packets
}

#[test]
fn mem_allocates_nothing() {
    assert_eq!(traffic(|end| Box::new(end)), 32 * ROUNDS);
}

#[test]
fn impaired_allocates_nothing() {
    let config = Impairments {
        seed: 9,
        loss_ppm: 10_000,
        duplicate_ppm: 10_000,
        corrupt_ppm: 10_000,
        reorder_ppm: 10_000,
        delay: Duration::from_micros(100),
        jitter: Duration::from_micros(100),
        ..Impairments::default()
    };
    let impaired = |end| Impaired::new(end, config).expect("they make sense");
    let came = traffic(|end| Box::new(impaired(end)));
    assert!(came > 30 * (ROUNDS - 10), "{came}");
}

#[test]
fn recorded_allocates_nothing() {
    let limits = RecordLimits { packets_max: u64::MAX, bytes_max: u64::MAX };
    let came = traffic(|end| Box::new(Recorded::new(end, sink(), limits)));
    assert_eq!(came, 32 * ROUNDS);
}
