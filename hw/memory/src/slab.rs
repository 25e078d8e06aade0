//! Records with a free list that is threaded through the records themselves.

use std::{
    fmt,
    ops::{Index, IndexMut},
};

#[cfg(test)]
mod tests;

use crate::{
    arena::{ArenaError, PageChoice, Pages},
    array::{Array, Plain},
};

/// A record that can lend four of its bytes to the free list while it is free.
pub trait Linked {
    /// The bytes as they are.
    fn link(&self) -> u32;
    /// Overwrites the bytes. Nothing else of the record may change: a generation in it survives.
    fn set_link(&mut self, next: u32);
}

/// The link of the last record of a list; never an index.
pub const LINK_NONE: u32 = u32::MAX;

/// Which free record is given out next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// The one that has been free the longest, so that a stale index stays harmless for long.
    Fifo,
    /// The one freed last, which is still in the cache.
    Lifo,
}

/// A fixed number of records, given out and taken back by index.
///
/// No list is built at start: records that were never used are given out in order (`Fifo`: first
/// of all, `Lifo`: when no other is free).
pub struct Slab<T: Plain + Linked> {
    records: Array<T>,
    reuse: Reuse,
    /// The record that is given out next, or `LINK_NONE`.
    head: u32,
    /// The record freed last, where `Fifo` appends. Means nothing while the list is empty.
    tail: u32,
    /// Records from here on were never used and are in no list.
    fresh: u32,
    used: u32,
    capacity: u32,
    #[cfg(debug_assertions)]
    live: Vec<bool>,
}

impl<T: Plain + Linked> Slab<T> {
    /// A slab of `capacity` zeroed records, all free, every page touched.
    ///
    /// # Errors
    ///
    /// The memory is not there: see [`ArenaError`].
    ///
    /// # Panics
    ///
    /// If `capacity` is `u32::MAX`, which is the end of a list.
    pub fn new(capacity: u32, reuse: Reuse, choice: PageChoice) -> Result<Self, ArenaError> {
        assert!(capacity < LINK_NONE, "a slab has at most {} records", LINK_NONE - 1);
        Ok(Self {
            records: Array::new(capacity as usize, choice)?,
            reuse,
            head: LINK_NONE,
            tail: LINK_NONE,
            fresh: 0,
            used: 0,
            capacity,
            #[cfg(debug_assertions)]
            live: vec![false; capacity as usize],
        })
    }

    /// Takes a free record. Its content is what its last user left (zero at first), except for
    /// the link: the caller initialises it. `None` when all are in use.
    #[inline]
    pub fn allocate(&mut self) -> Option<u32> {
        let fresh_first = match self.reuse {
            Reuse::Fifo => true,
            Reuse::Lifo => self.head == LINK_NONE,
        };
        let index = if fresh_first && self.fresh < self.capacity {
            self.fresh += 1;
            self.fresh - 1
        } else {
            self.unlink_head()?
        };
        self.used += 1;
        self.mark_live(index);
        Some(index)
    }

    /// Gives record `index` back.
    ///
    /// # Panics
    ///
    /// If `index` is out of range or no record is in use; in debug builds, if it is free already.
    #[inline]
    pub fn free(&mut self, index: u32) {
        assert!(
            index < self.fresh && self.used > 0,
            "free of record {index}: {} were ever used, {} are",
            self.fresh,
            self.used
        );
        self.mark_free(index);
        self.used -= 1;
        if self.head == LINK_NONE {
            self.records[index as usize].set_link(LINK_NONE);
            self.head = index;
            self.tail = index;
            return;
        }
        match self.reuse {
            Reuse::Lifo => {
                self.records[index as usize].set_link(self.head);
                self.head = index;
            }
            Reuse::Fifo => {
                self.records[index as usize].set_link(LINK_NONE);
                self.records[self.tail as usize].set_link(index);
                self.tail = index;
            }
        }
    }

    /// Record `index`, or `None` out of range. A free record is shown too, so that a handle which
    /// may be stale can be compared with the generation in it.
    #[inline]
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.records.get(index as usize)
    }

    /// Asks for the first cache line of record `index`, whatever the index.
    #[inline(always)]
    pub fn prefetch(&self, index: u32) {
        self.records.prefetch(index as usize);
    }

    /// Records in use.
    #[inline]
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Records that were ever in use: those from here on have never been touched by a user.
    #[inline]
    #[must_use]
    pub fn high_water(&self) -> u32 {
        self.fresh
    }

    /// Records in all.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The pages that were got.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.records.pages()
    }

    #[inline]
    fn unlink_head(&mut self) -> Option<u32> {
        if self.head == LINK_NONE {
            return None;
        }
        let index = self.head;
        self.head = self.records[index as usize].link();
        // The next one is cold if it has been free for long: it is asked for one call ahead.
        self.prefetch(self.head);
        Some(index)
    }

    #[cfg(debug_assertions)]
    fn mark_live(&mut self, index: u32) {
        let was = std::mem::replace(&mut self.live[index as usize], true);
        assert!(!was, "record {index} is in use and in the free list: its link was overwritten");
    }

    #[cfg(debug_assertions)]
    fn mark_free(&mut self, index: u32) {
        let was = std::mem::replace(&mut self.live[index as usize], false);
        assert!(was, "double free of record {index}");
    }

    #[cfg(debug_assertions)]
    fn assert_live(&self, index: u32) {
        assert!(self.live.get(index as usize) != Some(&false), "access to free record {index}");
    }

    #[cfg(not(debug_assertions))]
    #[inline(always)]
    fn mark_live(&mut self, _index: u32) {}

    #[cfg(not(debug_assertions))]
    #[inline(always)]
    fn mark_free(&mut self, _index: u32) {}

    #[cfg(not(debug_assertions))]
    #[inline(always)]
    fn assert_live(&self, _index: u32) {}
}

impl<T: Plain + Linked> Index<u32> for Slab<T> {
    type Output = T;

    /// # Panics
    ///
    /// If `index` is out of range; in debug builds also if the record is free.
    #[inline]
    fn index(&self, index: u32) -> &T {
        self.assert_live(index);
        &self.records[index as usize]
    }
}

impl<T: Plain + Linked> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.assert_live(index);
        &mut self.records[index as usize]
    }
}

impl<T: Plain + Linked> fmt::Debug for Slab<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab")
            .field("used", &self.used)
            .field("capacity", &self.capacity)
            .field("reuse", &self.reuse)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}
