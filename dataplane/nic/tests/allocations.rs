//! What a core does while its packets are captured takes no memory: not to begin, not to copy, not
//! to drop, not to end.

use base::{Duration, Instant};
use memory::{FrameArena, FrameGeometry, PageChoice, counting};
use nic::{Burst, CaptureTerms, Captured, QueuePair, mem};

#[global_allocator]
static ALLOCATOR: counting::CountingAllocator = counting::CountingAllocator;

#[test]
fn a_capture_allocates_nothing_on_the_core() {
    let geometry = FrameGeometry {
        frames: 512,
        frame_len: 2048,
        headroom: 256,
        cores: 1,
        reserve_per_core: 8,
    };
    let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
    let mut core = arena.core().unwrap();
    let (near, mut far) = mem::pair(64, 1500).unwrap();
    let mut near = Captured::new(near);
    let mut burst = Burst::with_capacity(64);
    far.rx_burst(&mut core, &mut burst);
    near.rx_burst(&mut core, &mut burst);
    let filter = "not tcp port 80".parse().unwrap();
    let terms = CaptureTerms { filter, snap_len: 1_500, ..CaptureTerms::default() };
    let (tap, reader) = nic::tap(terms);
    let mut now = Instant::ZERO;

    let forbidden = counting::forbid();
    assert!(near.exchange_tap(Some(tap)).is_none());
    for _packet in 0..5_000 {
        now += Duration::from_micros(100);
        near.set_now(now);
        let mut frame = core.allocate().unwrap();
        core.set_len(&mut frame, 1_000);
        core.bytes_mut(&mut frame).fill(8);
        burst.push(frame).unwrap();
        near.tx_burst(&mut core, &mut burst);
        far.rx_burst(&mut core, &mut burst);
        far.tx_burst(&mut core, &mut burst);
        near.rx_burst(&mut core, &mut burst);
        burst.clear_into(&mut core);
    }
    let tap = near.exchange_tap(None);
    drop(forbidden);

    assert!(tap.is_some());
    assert!(reader.captured() > 0 && reader.dropped() > 0, "{reader:?}");
    assert_eq!(reader.captured() + reader.dropped(), 10_000);
}
