//! A table of fixed size from 64-bit keys to 32-bit values, by linear probing.
//!
//! Keys are numbers that the switch itself gives out, so a multiplication spreads them well enough
//! and nobody outside can choose collisions. A removal moves what follows back: there are no marks
//! of what was deleted, and so no day on which they have to be cleaned up.

/// No key has this value.
const NO_KEY: u64 = u64::MAX;

/// A place that is not used, as it is kept: keys are kept inverted, so that a new table is all zeros
/// and takes memory only where keys come.
const EMPTY: u64 = !NO_KEY;

/// The odd number next to 2^64 divided by the golden ratio (Knuth, vol. 3, section 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the file's first words.
pub(crate) struct KeyIndex {
    /// Inverted.
    keys: Vec<u64>,
    values: Vec<u32>,
    mask: usize,
    shift: u32,
}

impl KeyIndex {
    /// A table for at most `keys_max` keys. It never grows: the caller's own bound holds.
    pub(crate) fn new(keys_max: u32) -> Self {
        // At most three quarters are used, so that a search ends after a few steps.
        let places = (keys_max as usize + keys_max as usize / 3 + 2).next_power_of_two();
        let shift = 64 - places.trailing_zeros();
        Self { keys: vec![EMPTY; places], values: vec![0; places], mask: places - 1, shift }
    }

    fn home(&self, key: u64) -> usize {
        usize::try_from(key.wrapping_mul(SPREAD) >> self.shift).expect("fewer bits than a usize")
    }

    fn place(&self, key: u64) -> Option<usize> {
        let mut at = self.home(key);
        while self.keys[at] != EMPTY {
            if self.keys[at] == !key {
                return Some(at);
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// The value of `key`.
    pub(crate) fn find(&self, key: u64) -> Option<u32> {
        self.place(key).map(|at| self.values[at])
    }

    /// Adds a key that is not there.
    pub(crate) fn insert(&mut self, key: u64, value: u32) {
        debug_assert!(key != NO_KEY && self.place(key).is_none(), "key {key:#x} is there already");
        let mut at = self.home(key);
        while self.keys[at] != EMPTY {
            at = (at + 1) & self.mask;
        }
        self.keys[at] = !key;
        self.values[at] = value;
    }

    /// Takes a key out; `None` if it was not there.
    pub(crate) fn remove(&mut self, key: u64) -> Option<u32> {
        let mut hole = self.place(key)?;
        let value = self.values[hole];
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            if self.keys[at] == EMPTY {
                break;
            }
            // What lies at `at` may move into the hole unless its home is behind the hole.
            let distance = at.wrapping_sub(self.home(!self.keys[at])) & self.mask;
            if distance >= (at.wrapping_sub(hole) & self.mask) {
                self.keys[hole] = self.keys[at];
                self.values[hole] = self.values[at];
                hole = at;
            }
        }
        self.keys[hole] = EMPTY;
        Some(value)
    }
}

impl std::fmt::Debug for KeyIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyIndex({} places)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base::Rng;

    use super::KeyIndex;

    #[test]
    fn it_answers_as_a_map_does() {
        let seed = 11;
        println!("seed {seed}");
        let mut rng = Rng::seeded(seed);
        let mut index = KeyIndex::new(300);
        let mut model = BTreeMap::new();
        for step in 0..200_000u32 {
            let key = rng.below(600);
            if rng.below(2) == 0 && model.len() < 300 {
                model.entry(key).or_insert_with(|| {
                    index.insert(key, step);
                    step
                });
            } else {
                assert_eq!(index.remove(key), model.remove(&key), "step {step}");
            }
            let other = rng.below(600);
            assert_eq!(index.find(other), model.get(&other).copied(), "step {step}");
        }
    }
}
