//! Where words are read from: a mapped file, or a copy of one.

#[cfg(not(loom))]
use memory::SharedView;

use crate::sync::{AtomicU64, Ordering};

/// Words that can be read one by one. A load is relaxed: readers order loads with fences.
pub trait Source {
    /// How many words there are.
    fn count(&self) -> usize;

    /// Reads one word.
    ///
    /// # Panics
    ///
    /// If there is none of that index.
    fn load(&self, index: usize) -> u64;
}

#[cfg(not(loom))]
impl Source for SharedView {
    fn count(&self) -> usize {
        self.len()
    }

    fn load(&self, index: usize) -> u64 {
        Self::load(self, index)
    }
}

impl Source for &[AtomicU64] {
    fn count(&self) -> usize {
        self.len()
    }

    fn load(&self, index: usize) -> u64 {
        self[index].load(Ordering::Relaxed)
    }
}

impl Source for Vec<u64> {
    fn count(&self) -> usize {
        self.len()
    }

    fn load(&self, index: usize) -> u64 {
        self[index]
    }
}
