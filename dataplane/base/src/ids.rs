//! Identities that two functions could confuse, each a type of its own.

/// A worker core of the appliance, counted from 0 (not the machine's CPU number).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreId(pub u16);

/// A receive and transmit queue of a NIC, as the driver counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u16);

/// Some of the cores, as one word of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreSet(u64);

impl CoreSet {
    /// Cores that there can be.
    pub const CORES_MAX: u16 = 64;

    /// Takes `core` in.
    ///
    /// # Panics
    /// If its number is not below [`Self::CORES_MAX`].
    #[inline]
    pub fn insert(&mut self, core: CoreId) {
        assert!(core.0 < Self::CORES_MAX, "core {} of {}", core.0, Self::CORES_MAX);
        self.0 |= 1 << core.0;
    }

    /// Whether it holds none.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The cores, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = CoreId> {
        (0..Self::CORES_MAX).filter(move |core| self.0 >> core & 1 == 1).map(CoreId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_each_core_once_and_in_order() {
        let mut cores = CoreSet::default();
        assert!(cores.is_empty());
        for core in [63, 0, 7, 0] {
            cores.insert(CoreId(core));
        }
        assert!(!cores.is_empty());
        assert!(cores.iter().eq([0, 7, 63].map(CoreId)));
    }

    #[test]
    #[should_panic(expected = "core 64 of 64")]
    fn a_core_beyond_the_word_is_refused() {
        CoreSet::default().insert(CoreId(64));
    }
}
