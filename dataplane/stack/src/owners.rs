//! Which core owns a flow: the hash of its addresses and ports, and a table from hash to core.

use base::{CoreId, CoreSet};
use wire::{Address, Toeplitz, toeplitz};

use crate::limits::OWNERS_LEN;

/// The rule by which the cores of one device share its flows; all of them have the same.
///
/// It is the rule of a NIC (receive-side scaling): where the device follows it too, by the same key
/// and table, every frame arrives at its owner, and where it does not, the frame is handed over.
#[derive(Clone, Debug)]
pub struct Owners {
    hash: Toeplitz,
    /// A power of two of them; the low bits of the hash choose.
    table: Box<[CoreId]>,
    cores: u16,
}

impl Owners {
    /// The rule of a device that has `key`, and this table of queues, each with its core.
    ///
    /// # Panics
    ///
    /// If the length of the table is no power of two, or it names a core beyond
    /// [`CoreSet::CORES_MAX`].
    #[must_use]
    pub fn new(key: &[u8; toeplitz::KEY_LEN], table: Box<[CoreId]>) -> Self {
        let len = table.len();
        assert!(len.is_power_of_two(), "a table of {len} entries; use a power of two");
        let cores = 1 + table.iter().map(|core| core.0).max().unwrap_or(0);
        assert!(cores <= CoreSet::CORES_MAX, "{cores} cores; use at most {}", CoreSet::CORES_MAX);
        Self { hash: Toeplitz::new(key), table, cores }
    }

    /// A rule for a device without one: the flows in equal shares. The key is a secret, or whoever
    /// chooses his ports well would load one core alone.
    ///
    /// # Panics
    ///
    /// If `cores` is zero or above [`CoreSet::CORES_MAX`].
    #[must_use]
    pub fn evenly(key: &[u8; toeplitz::KEY_LEN], cores: u16) -> Self {
        assert!(cores > 0, "flows of no core");
        let table = (0..cores).cycle().map(CoreId).take(OWNERS_LEN);
        Self::new(key, table.collect())
    }

    /// Cores that share the flows.
    #[must_use]
    pub fn cores(&self) -> u16 {
        self.cores
    }

    /// The core that owns the flow of a received packet, by its source and destination.
    #[inline]
    #[must_use]
    pub fn owner(&self, source: (Address, u16), destination: (Address, u16)) -> CoreId {
        let hash = self.hash.hash(source, destination) as usize;
        self.table[hash & (self.table.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_seven_bits_of_the_hash_choose_in_a_table_of_128() {
        let key = core::array::from_fn(|at| u8::try_from(at * 37 % 251).unwrap());
        let owners = Owners::evenly(&key, 3);
        let hash = Toeplitz::new(&key);
        let to = ("192.0.2.1".parse().unwrap(), 80);
        let mut flows = [0; 3];
        for port in 1_024..4_096 {
            let from = ("198.51.100.7".parse().unwrap(), port);
            let owner = owners.owner(from, to);
            assert_eq!(u32::from(owner.0), hash.hash(from, to) % 128 % 3);
            flows[usize::from(owner.0)] += 1;
        }
        assert!(flows.iter().all(|count| (900..1_150).contains(count)), "{flows:?}");
        assert_eq!(owners.cores(), 3);
    }

    #[test]
    #[should_panic(expected = "use a power of two")]
    fn a_table_that_no_mask_chooses_from_is_refused() {
        drop(Owners::new(&[1; toeplitz::KEY_LEN], Box::new([CoreId(0); 3])));
    }
}
