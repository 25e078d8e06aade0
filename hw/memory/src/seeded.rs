//! Random numbers for the model tests, from a seed that is printed.
#![cfg(not(loom))]

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64 (Steele, Lea and Flood, 2014): tiny, and good enough to choose test steps.
pub(crate) struct Seeded(u64);

impl Seeded {
    /// From `ABELE_SEED` if it is set, else from the clock. Prints it.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("ABELE_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock =
            || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
        let seed = given.unwrap_or_else(|| u64::try_from(clock()).expect("before year 586912"));
        println!("{test}: ABELE_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits");
        usize::try_from(self.next() % end).expect("64 bits")
    }
}
