//! Every entry lies where it is looked for, every stray is counted, and the fill is borne.

use base::Rng;
use memory::PageChoice;

use super::{
    COUNTS_MASK, DISTANCE_MAX, EMPTY, ENTRIES, Index, MOVED_MAX, NoRoom, PROBES, REACH_SPILL,
    STRAYS_SATURATED, class_shift, distance, print_of, probe_bits,
};
use crate::limits::{FILL_PERCENT, MOVES_PER_NAME, SPILL_MAX};

impl Index {
    /// Panics unless every entry is found from its home, and every home knows of its strays.
    pub(in crate::table) fn check(&self, hash_of: &impl Fn(u32) -> u64) {
        let mut counts = vec![[0_u32; 8]; self.buckets.len()];
        let mut reaches = vec![0; self.buckets.len()];
        let mut len = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            for slot in (0..ENTRIES).filter(|&slot| bucket.tags[slot] != EMPTY) {
                let hash = hash_of(bucket.values[slot]);
                let home = self.home(hash);
                let probe = (0..PROBES).find(|&probe| home + distance(probe) == at);
                let probe = probe.unwrap_or_else(|| panic!("{hash:#x} of {home} lies in {at}"));
                reaches[home] = reaches[home].max(probe);
                let tag = print_of(hash) | probe_bits(probe);
                assert_eq!(bucket.tags[slot], tag, "{hash:#x} at probe {probe}");
                counts[home][(class_shift(tag) / 3) as usize] += u32::from(probe > 0);
                len += 1;
            }
        }
        for &(hash, value) in &self.spill {
            assert_eq!(hash, hash_of(value));
            let home = self.home(hash);
            counts[home][(class_shift(print_of(hash)) / 3) as usize] += 1;
            reaches[home] = REACH_SPILL;
        }
        assert_eq!(len + self.spill.len(), self.len);
        for (at, bucket) in self.buckets.iter().enumerate() {
            for (class, &count) in counts[at].iter().enumerate() {
                let known = (bucket.strays.0 >> (3 * class)) & STRAYS_SATURATED;
                let is_right = known == count || (known == STRAYS_SATURATED && count < 7);
                assert!(is_right || count > 7, "bucket {at}, class {class}: {known} for {count}");
            }
            assert!(bucket.strays.reach() >= reaches[at], "bucket {at}: {:?}", bucket.strays);
        }
    }

    /// Buckets looked into for each name that is not there, and for each that is.
    fn lines(&self, hashes: &[u64]) -> (f64, f64) {
        let (mut miss, mut hit) = (0, 0);
        for (home, bucket) in self.buckets[..self.count].iter().enumerate() {
            for class in 0..8 {
                let is_empty = (bucket.strays.0 >> (3 * class)) & STRAYS_SATURATED == 0;
                miss += if is_empty { 1 } else { 1 + bucket.strays.reach().min(PROBES - 1) };
            }
            assert_eq!(bucket.strays.0 & COUNTS_MASK == 0, bucket.strays.0 == 0, "bucket {home}");
        }
        for (value, &hash) in (0_u32..).zip(hashes) {
            let place = self.find(hash, |other| other == value).unwrap();
            let far = place.bucket - self.home(hash);
            hit += 1 + (0..PROBES).find(|&probe| distance(probe) == far).unwrap();
        }
        let ratio = |of: usize, among: usize| of as f64 / among as f64;
        (ratio(miss, 8 * self.count), ratio(hit, hashes.len()))
    }
}

fn hash_of(value: u32) -> u64 {
    let mut z = u64::from(value).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    z = (z ^ (z >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 29)
}

#[test]
fn planned_fill_is_borne_with_nearly_one_line_a_look_also_after_churn() {
    let seed = 0x1d4;
    println!("seed {seed}");
    let mut rng = Rng::seeded(seed);
    let planned = 400_000;
    let mut index = Index::new(planned, planned, PageChoice::Base).unwrap();
    let mut hashes: Vec<u64> = (0..planned).map(|_| rng.next_u64()).collect();
    for (value, &hash) in (0..).zip(&hashes) {
        index.insert(hash, value).unwrap();
    }
    let (miss, hit) = index.lines(&hashes);
    println!("filled: {miss:.3} lines a miss, {hit:.3} a hit");
    assert!(miss < 1.22 && hit < 1.18, "{miss} a miss, {hit} a hit");
    for _ in 0..2 * planned {
        let value = u32::try_from(rng.below(u64::from(planned))).unwrap();
        let hash = &mut hashes[value as usize];
        let place = index.find(*hash, |other| other == value).unwrap();
        index.remove(*hash, place);
        *hash = rng.next_u64();
        index.insert(*hash, value).unwrap();
    }
    let (miss, hit) = index.lines(&hashes);
    println!("after churn: {miss:.3} lines a miss, {hit:.3} a hit");
    assert!(miss < 1.4 && hit < 1.28, "{miss} a miss, {hit} a hit");
    assert_eq!(index.spilled(), 0);
    index.check(&|value| hashes[value as usize]);
}

#[test]
fn index_grows_by_bounded_moves_and_stays_filled() {
    let mut index = Index::new(1_000, 200_000, PageChoice::Base).unwrap();
    let mut fill_min = f64::MAX;
    for value in 0..200_000 {
        let before = index.moves();
        index.grow(1, &|_| (), &hash_of);
        assert!(index.moves() - before <= MOVES_PER_NAME as u64);
        index.insert(hash_of(value), value).unwrap();
        if value > 1_000 {
            // Without the room for strays of the last buckets, which is the same at any size.
            let buckets = index.buckets.len() - DISTANCE_MAX;
            fill_min = fill_min.min(index.len() as f64 / (buckets * ENTRIES) as f64);
        }
        if value.is_multiple_of(20_011) {
            index.check(&hash_of);
        }
    }
    index.check(&hash_of);
    assert_eq!(index.count, index.count_max);
    let planned = FILL_PERCENT as f64 / 100.0;
    assert!(fill_min > 0.79 * planned, "{fill_min} of {planned}");
}

#[test]
fn entries_of_one_hash_fill_their_window_and_the_spill_and_survive_growth() {
    let one = |_| 42 << 40;
    let mut index = Index::new(100, 20_000, PageChoice::Base).unwrap();
    let room = u32::try_from(ENTRIES * PROBES + SPILL_MAX - MOVED_MAX).unwrap();
    let mut inserted = 0;
    loop {
        index.grow(1, &|_| (), &one);
        match index.insert(42 << 40, inserted) {
            Ok(()) => inserted += 1,
            Err(NoRoom) => break,
        }
    }
    assert!(inserted >= room, "{inserted} of {room}");
    assert!(index.spilled() > 1_000, "{} spilled", index.spilled());
    index.check(&one);
    for value in 0..inserted {
        let place = index.find(42 << 40, |other| other == value).unwrap();
        index.remove(42 << 40, place);
    }
    assert_eq!((index.len(), index.spilled()), (0, 0));
    index.check(&one);
}

#[test]
fn index_says_that_it_is_full_and_not_before_its_plan() {
    let mut index = Index::new(50_000, 50_000, PageChoice::Base).unwrap();
    let mut inserted = 0;
    while index.insert(hash_of(inserted), inserted).is_ok() {
        inserted += 1;
    }
    assert!(inserted >= 50_000, "only {inserted} of 50,000 fitted");
    index.check(&hash_of);
}
