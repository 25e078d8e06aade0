//! In the steady state no request allocates: registering, releasing, querying, sending.
#![forbid(unsafe_code)]

#[path = "steady/load.rs"]
mod load;

use load::Load;
use memory::counting::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn batches_of_a_thousand_allocate_nothing_once_they_have_been_seen() {
    for shards in [1, 4] {
        allocate_nothing(shards);
    }
}

fn allocate_nothing(shards: u8) {
    let mut load = Load::new(1_000, 64, shards);
    (0..3).for_each(|_| load.round());
    let before = counting::allocations();
    (0..20).for_each(|_| load.round());
    assert_eq!(counting::allocations(), before, "a switch of {shards} shards has allocated");
    let counters = load.switch.counters();
    assert_eq!(counters.ports_granted, 23_000);
    assert_eq!(counters.ports_released, 23_000);
    assert_eq!(counters.messages_delivered, 23_000);
}
