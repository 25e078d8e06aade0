//! From an address to its entry: open addressing under a keyed hash.
//!
//! A station on the link can have any IPv6 address of a network of 2^64, so without a secret in the
//! hash it could make every look-up walk the whole table.

use memory::KeyedHash;
use wire::Address;

use super::HopIndex;

/// At most half of the slots are in use; removal moves the rest of a run up, so there are no
/// tombstones and a run never grows by use.
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<HopIndex>,
    hash: KeyedHash,
}

impl Index {
    pub(super) fn new(neighbours_max: u16, hash: KeyedHash) -> Self {
        let slots_len = (usize::from(neighbours_max) * 2).next_power_of_two().max(2);
        Self { slots: vec![HopIndex::NONE; slots_len], hash }
    }

    /// The entry with this address; `address_of` reads an entry's.
    #[inline]
    pub(super) fn find(
        &self,
        address: Address,
        address_of: impl Fn(HopIndex) -> Address,
    ) -> Option<HopIndex> {
        let mut at = self.start(address);
        // Half of the slots are empty, so the walk ends.
        loop {
            let hop = self.slots[at];
            if hop == HopIndex::NONE {
                return None;
            }
            if address_of(hop) == address {
                return Some(hop);
            }
            at = self.behind(at);
        }
    }

    /// Adds an address that is not there.
    pub(super) fn insert(&mut self, address: Address, hop: HopIndex) {
        let mut at = self.start(address);
        while self.slots[at] != HopIndex::NONE {
            at = self.behind(at);
        }
        self.slots[at] = hop;
    }

    /// Takes an address out and closes the gap.
    pub(super) fn remove(&mut self, address: Address, address_of: impl Fn(HopIndex) -> Address) {
        let mut gap = self.start(address);
        while self.slots[gap] != HopIndex::NONE && address_of(self.slots[gap]) != address {
            gap = self.behind(gap);
        }
        if self.slots[gap] == HopIndex::NONE {
            return;
        }
        let mut at = self.behind(gap);
        while self.slots[at] != HopIndex::NONE {
            let start = self.start(address_of(self.slots[at]));
            // It may move up into the gap only if its walk begins there or before.
            if self.distance(start, at) >= self.distance(gap, at) {
                self.slots[gap] = self.slots[at];
                gap = at;
            }
            at = self.behind(at);
        }
        self.slots[gap] = HopIndex::NONE;
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are used")]
    fn start(&self, address: Address) -> usize {
        self.hash.hash(address.to_bits(), 0) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use base::Rng;

    use super::*;

    #[test]
    fn the_index_agrees_with_a_list_under_random_insertion_and_removal() {
        let seed = 0x1d_e5;
        println!("seed {seed:#x}");
        let mut rng = Rng::seeded(seed);
        // Few slots, so that runs form, meet and wrap around the end.
        let mut index = Index::new(16, KeyedHash::portable([7; 32]));
        let mut list = [None; 16];
        for _ in 0..20_000 {
            let hop = u16::try_from(rng.below(16)).expect("below 16");
            let address = Address::from_bits(1 + u128::from(rng.below(40)));
            let known: [Option<Address>; 16] = list;
            let address_of = |hop: HopIndex| known[hop.as_usize()].unwrap_or_default();
            match list[usize::from(hop)] {
                Some(old) => {
                    index.remove(old, address_of);
                    list[usize::from(hop)] = None;
                }
                None if !list.contains(&Some(address)) => {
                    index.insert(address, HopIndex(hop));
                    list[usize::from(hop)] = Some(address);
                }
                None => {}
            }
            let known = list;
            let address_of = |hop: HopIndex| known[hop.as_usize()].unwrap_or_default();
            for bits in 1..=40 {
                let address = Address::from_bits(bits);
                let expected = known.iter().position(|entry| *entry == Some(address));
                let found = index.find(address, address_of).map(HopIndex::as_usize);
                assert_eq!(found, expected, "{address}");
            }
        }
    }
}
