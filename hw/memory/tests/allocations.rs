//! Nothing here allocates after it was made, and the counting allocator would notice.
// Under loom a ring lives inside a model only.
#![cfg(not(loom))]

use memory::{
    Array, FrameArena, FrameGeometry, KeyedHash, Linked, PageChoice, Reuse, Slab, counting, ring,
};

#[global_allocator]
static ALLOCATOR: counting::CountingAllocator = counting::CountingAllocator;

#[derive(Clone, Copy, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(C)]
struct Record([u32; 16]);

impl Linked for Record {
    fn link(&self) -> u32 {
        self.0[0]
    }

    fn set_link(&mut self, next: u32) {
        self.0[0] = next;
    }
}

#[test]
fn every_kind_of_allocation_is_counted_on_its_own_thread() {
    assert!(counting::is_installed());
    let before = counting::allocations();
    let mut grown = vec![1_u8];
    grown.reserve_exact(100);
    let zeroed = vec![0_u64; 10];
    assert_eq!(counting::allocations() - before, 3);
    let elsewhere = std::thread::spawn(|| drop(std::hint::black_box(vec![0_u8; 10])));
    let before = counting::allocations();
    elsewhere.join().unwrap();
    drop((grown, zeroed));
    assert_eq!(counting::allocations(), before);
}

#[test]
#[should_panic(expected = "1 allocations where none is allowed")]
fn a_forbidden_allocation_panics() {
    let forbidden = counting::forbid();
    drop(std::hint::black_box(Box::new(7)));
    drop(forbidden);
}

#[test]
fn frames_allocate_nothing_also_across_the_home_pool() {
    let geometry = FrameGeometry {
        frames: 3000,
        frame_len: 2048,
        headroom: 64,
        cores: 2,
        reserve_per_core: 10,
    };
    let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
    let (mut core, mut other) = (arena.core().unwrap(), arena.core().unwrap());
    let (mut stowed, mut crossing) = (Vec::with_capacity(3000), Vec::with_capacity(3000));
    let forbidden = counting::forbid();
    for _round in 0..3 {
        while let Some(frame) = core.allocate() {
            let shared = core.share(&frame);
            core.free(frame);
            stowed.push(core.stow(shared));
        }
        assert!(stowed.len() > 2000);
        for s in stowed.drain(..) {
            let frame = core.unstow(s);
            crossing.push(core.detach(frame).expect("one reference"));
        }
        for detached in crossing.drain(..) {
            let frame = other.attach(detached);
            other.free(frame);
            other.exchange();
        }
    }
    drop(forbidden);
}

#[test]
fn records_rings_and_hashes_allocate_nothing() {
    let mut slab = Slab::<Record>::new(100, Reuse::Fifo, PageChoice::Base).unwrap();
    let mut array = Array::<u64>::reserve(100_000, PageChoice::Base).unwrap();
    let (mut producer, mut consumer) = ring(64);
    let hash = KeyedHash::new([7; 32]);
    let mut taken = 0;
    let forbidden = counting::forbid();
    while let Some(index) = slab.allocate() {
        producer.push(index).or_else(|full| producer.push(full)).unwrap_or_default();
        taken += u64::from(slab[index].0[1]) + hash.hash(1, 2) % 2;
    }
    consumer.pop_into(64, |index| slab.free(index));
    array.grow_to(100_000).unwrap();
    drop(forbidden);
    assert!(taken <= 100 && slab.used() == 36);
}
