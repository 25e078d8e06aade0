//! The flow index against a map.

use std::collections::BTreeMap;

use base::Rng;
use memory::PageChoice;

use super::{DISPLACEMENT_MAX, ENTRIES, FlowIndex, MOVED_MAX, SPILL_MAX};

/// A hash per value, as a record's addresses would give it.
fn hash_of(value: u32) -> u64 {
    let mut z = u64::from(value).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    z = (z ^ (z >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 29)
}

/// Every stray is counted at its home, and every entry lies where it is looked for.
fn check(index: &FlowIndex) {
    let count = index.buckets.len();
    let mut strays = vec![0u8; count];
    let mut len = 0;
    for (at, bucket) in index.buckets.iter().enumerate() {
        for slot in (0..ENTRIES).filter(|&slot| bucket.tags[slot] != 0) {
            let home = index.home(hash_of(bucket.values[slot]));
            let distance = bucket.distance(slot);
            assert_eq!(home + distance, at, "value {}", bucket.values[slot]);
            strays[home] += u8::from(distance > 0);
            len += 1;
        }
    }
    assert_eq!(len + index.spill.len(), index.len());
    for (at, &expected) in strays.iter().enumerate() {
        assert_eq!(index.buckets[at].strays, expected, "strays of bucket {at}");
    }
}

#[test]
fn index_agrees_with_a_map_while_it_grows_and_churns() {
    let seed = 0x1d3;
    println!("seed {seed}");
    let mut rng = Rng::seeded(seed);
    let mut index = FlowIndex::new(20_000, PageChoice::Base).unwrap();
    let mut model = BTreeMap::new();
    let mut live: Vec<u32> = Vec::new();
    for step in 0..120_000u32 {
        let grow_bias = if step < 40_000 { 8 } else { 5 };
        if rng.below(10) < grow_bias && live.len() < 20_000 {
            index.insert(hash_of(step), step, &hash_of).unwrap();
            model.insert(step, ());
            live.push(step);
        } else if !live.is_empty() {
            let at = usize::try_from(rng.below(live.len() as u64)).unwrap();
            let value = live.swap_remove(at);
            index.remove(hash_of(value), value);
            model.remove(&value);
        }
        let probe = u32::try_from(rng.below(u64::from(step) + 2)).unwrap();
        let found = index.find(hash_of(probe), |value| value == probe);
        assert_eq!(found.is_some(), model.contains_key(&probe), "value {probe} at step {step}");
        if step % 5_000 == 0 {
            check(&index);
        }
    }
    check(&index);
    assert!(index.count > 1_000, "the index has grown to {} buckets", index.count);
}

#[test]
fn index_holds_what_it_was_made_for_and_says_when_it_is_full() {
    let mut index = FlowIndex::new(50_000, PageChoice::Base).unwrap();
    let mut inserted = 0;
    while index.insert(hash_of(inserted), inserted, &hash_of).is_ok() {
        inserted += 1;
    }
    assert!(inserted >= 50_000, "only {inserted} of 50,000 fitted");
    check(&index);
    for value in 0..inserted {
        assert_eq!(index.find(hash_of(value), |other| other == value), Some(value));
        index.remove(hash_of(value), value);
    }
    assert_eq!(index.len(), 0);
    check(&index);
}

#[test]
fn flows_of_one_hash_are_told_apart_until_their_window_is_full() {
    let mut index = FlowIndex::new(10_000, PageChoice::Base).unwrap();
    let window = ENTRIES * (DISPLACEMENT_MAX + 1);
    let room = u32::try_from(window + SPILL_MAX - MOVED_MAX).unwrap();
    for value in 0..room {
        index.insert(42 << 20, value, &|_| 42 << 20).unwrap();
    }
    assert_eq!(index.insert(42 << 20, room, &|_| 42 << 20), Err(super::Full));
    assert!(index.spill.len() > 200, "{} spilled", index.spill.len());
    assert_eq!(index.find(42 << 20, |value| value == room - 1), Some(room - 1));
    index.replace(42 << 20, 7, 7_000);
    assert_eq!(index.find(42 << 20, |value| value == 7_000), Some(7_000));
    assert_eq!(index.find(42 << 20, |value| value == 7), None);
}
