//! A hash of numbers that were counted: of grants, and of calls.
//!
//! Nobody chooses them, so they need no key; and they come in order, which the hash keeps within
//! 64 of them. So a thousand grants are written to a table line by line, and not to a thousand
//! places of a table that no cache holds.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by such numbers.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<Numbers>>;

/// The hash of one number.
#[derive(Debug, Default)]
pub(crate) struct Numbers(u64);

/// 2^64 over the golden ratio (Knuth, volume 3, section 6.4), odd.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Numbers {
    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The table takes its place from the low bits and what it compares first from the upper 7.
        let block = (number >> 6).wrapping_mul(SPREAD).rotate_left(26);
        self.0 = block.wrapping_add(number & 63) ^ (number << 57);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher as _, BuildHasherDefault};

    use super::Numbers;

    #[test]
    fn counts_of_all_shards_are_spread() {
        let build = BuildHasherDefault::<Numbers>::default();
        let numbers =
            (0..16_u64).flat_map(|shard| (1..=4_096).map(move |count| shard << 56 | count));
        let places: HashSet<u64> =
            numbers.map(|number| build.hash_one(number) & 0xf_ffff).collect();
        // By chance alone 65,536 of 1,048,576 places are taken by 63,500; blocks vary more.
        assert!(places.len() > 60_000, "{}", places.len());
    }

    #[test]
    fn neighbours_differ_in_the_bits_that_a_table_compares_first() {
        let build = BuildHasherDefault::<Numbers>::default();
        let tags: HashSet<u64> =
            (0..64_u64).map(|n| build.hash_one(1_000 * 64 + n) >> 57).collect();
        assert_eq!(tags.len(), 64);
    }
}
