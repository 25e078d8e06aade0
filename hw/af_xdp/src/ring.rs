//! A ring that this process shares with the kernel: one side writes entries, the other reads them.
//!
//! The kernel's memory holds two indices, a word of flags and the entries. The indices run freely
//! through all of `u32` and are masked when used, so that a full and an empty ring differ. Each
//! side keeps its own index and a copy of the other's, and looks at the shared one only when the
//! copy promises too little: a line moves between the processors once per batch.
//!
//! ```text
//!   entries  [ . . x x x x x s s ]      x: published, not yet taken    s: staged
//!                  ^consumer ^producer
//! ```
//!
//! The kernel is trusted to keep its hands off what is not its own, and for nothing else: an index
//! from it that no ring can have ends the process by name, and what its entries say is checked by
//! whoever reads them.

#[cfg(test)]
pub(crate) mod heap;
#[cfg(test)]
mod loom_tests;
#[cfg(test)]
mod tests;

use std::{fmt, ptr::NonNull};

use crate::mapping::Mapping;
use crate::sync::{AtomicU32, Ordering, UnsafeCell};

/// What may lie in a ring.
///
/// # Safety
/// Every pattern of bits is a value: the kernel writes it.
pub(crate) unsafe trait Entry: Copy {}

// SAFETY: an integer.
unsafe impl Entry for u64 {}
// SAFETY: a `repr(C)` struct of integers without padding (its size is asserted in `uapi`).
unsafe impl Entry for libc::xdp_desc {}

/// Who keeps the memory of a ring.
pub(crate) enum Memory {
    /// The kernel's pages.
    Kernel { _mapping: Mapping },
    /// A test's allocation.
    #[cfg(test)]
    Heap { _shared: std::sync::Arc<dyn std::any::Any + Send + Sync> },
}

/// Where the parts of a ring lie.
pub(crate) struct Parts<T> {
    pub(crate) producer: NonNull<AtomicU32>,
    pub(crate) consumer: NonNull<AtomicU32>,
    pub(crate) flags: NonNull<AtomicU32>,
    pub(crate) entries: NonNull<UnsafeCell<T>>,
    pub(crate) size: u32,
    #[expect(dead_code, reason = "it is kept for as long as the other parts point into it")]
    pub(crate) memory: Memory,
}

// SAFETY: the memory belongs to the process and not to a thread, entries are integers, and each
// side of a ring has one owner.
unsafe impl<T: Entry> Send for Parts<T> {}

impl<T: Entry> Parts<T> {
    fn producer(&self) -> &AtomicU32 {
        // SAFETY: whoever made the parts says that the word lies in `memory`, aligned and
        // initialised, and `memory` lives as long as `self`. All access is atomic.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.flags.as_ref() }
    }

    #[inline]
    fn entry(&self, index: u32) -> &UnsafeCell<T> {
        let place = index & (self.size - 1);
        // SAFETY: `place` is below `size`, and `size` entries lie there: see `producer`.
        let entry = unsafe { self.entries.add(place as usize) };
        // SAFETY: as in `producer`; a shared cell may be written by others.
        unsafe { entry.as_ref() }
    }

    /// How far `ahead` is before `behind`, which in a ring is its size at most.
    #[inline]
    fn distance(&self, ahead: u32, behind: u32) -> u32 {
        let distance = ahead.wrapping_sub(behind);
        assert!(
            distance <= self.size,
            "the kernel broke a ring of {}: producer {ahead}, consumer {behind}",
            self.size
        );
        distance
    }
}

impl<T> fmt::Debug for Parts<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The side that writes: of the rings `fill` and `tx`.
#[derive(Debug)]
pub(crate) struct Producer<T: Entry> {
    parts: Parts<T>,
    /// Entries written, ever.
    staged: u32,
    /// Entries that the consumer was shown, ever.
    published: u32,
    /// What the consumer's index was when it was last looked at.
    consumer_seen: u32,
}

impl<T: Entry> Producer<T> {
    /// # Safety
    /// The parts lie in their memory, aligned and initialised, entries as many as `size` (a power
    /// of two); nobody else writes the producer's index, and nobody but this side writes entries
    /// that the consumer gave back.
    pub(crate) unsafe fn new(parts: Parts<T>) -> Self {
        assert!(parts.size.is_power_of_two(), "a ring of {}", parts.size);
        let staged = parts.producer().load(Ordering::Relaxed);
        let consumer_seen = parts.consumer().load(Ordering::Acquire);
        parts.distance(staged, consumer_seen);
        Self { parts, staged, published: staged, consumer_seen }
    }

    /// Entries that can be staged; looks at the consumer's index only if the copy promises fewer
    /// than `wanted`.
    #[inline]
    pub(crate) fn free(&mut self, wanted: u32) -> u32 {
        let free = self.parts.size - self.parts.distance(self.staged, self.consumer_seen);
        if free >= wanted {
            return free;
        }
        // Acquire: the consumer read its entries before they are written anew.
        self.consumer_seen = self.parts.consumer().load(Ordering::Acquire);
        self.parts.size - self.parts.distance(self.staged, self.consumer_seen)
    }

    /// Writes one entry, which the consumer does not see yet.
    ///
    /// # Panics
    /// If `free` did not promise room.
    #[inline]
    pub(crate) fn stage(&mut self, entry: T) {
        let used = self.staged.wrapping_sub(self.consumer_seen);
        assert!(used < self.parts.size, "an entry is staged into a full ring");
        self.parts.entry(self.staged).with_mut(|place| {
            // SAFETY: the place is outside [consumer, producer), so it is this side's alone: the
            // consumer has left it and comes back only once the producer's index is published.
            unsafe { place.write(entry) }
        });
        self.staged = self.staged.wrapping_add(1);
    }

    /// Shows the consumer what was staged.
    #[inline]
    pub(crate) fn publish(&mut self) {
        if self.published == self.staged {
            return;
        }
        self.published = self.staged;
        // Release: the entries are written before they are seen.
        self.parts.producer().store(self.staged, Ordering::Release);
    }

    /// Entries published that the consumer has not taken yet.
    #[inline]
    pub(crate) fn waiting(&mut self) -> u32 {
        self.consumer_seen = self.parts.consumer().load(Ordering::Acquire);
        self.parts.distance(self.published, self.consumer_seen)
    }

    /// Whether the kernel sleeps until a system call wakes it.
    #[inline]
    pub(crate) fn needs_wakeup(&self) -> bool {
        self.parts.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    /// Entries in all.
    pub(crate) fn size(&self) -> u32 {
        self.parts.size
    }
}

/// The side that reads: of the rings `rx` and `completion`.
#[derive(Debug)]
pub(crate) struct Consumer<T: Entry> {
    parts: Parts<T>,
    /// Entries read, ever.
    taken: u32,
    /// Entries given back to the producer, ever.
    released: u32,
    /// What the producer's index was when it was last looked at.
    producer_seen: u32,
}

impl<T: Entry> Consumer<T> {
    /// # Safety
    /// As for [`Producer::new`], the other way round.
    pub(crate) unsafe fn new(parts: Parts<T>) -> Self {
        assert!(parts.size.is_power_of_two(), "a ring of {}", parts.size);
        let taken = parts.consumer().load(Ordering::Relaxed);
        let producer_seen = parts.producer().load(Ordering::Acquire);
        parts.distance(producer_seen, taken);
        Self { parts, taken, released: taken, producer_seen }
    }

    /// Entries that can be read; looks at the producer's index only if the copy promises fewer
    /// than `wanted`.
    #[inline]
    pub(crate) fn ready(&mut self, wanted: u32) -> u32 {
        let ready = self.producer_seen.wrapping_sub(self.taken);
        if ready >= wanted {
            return ready;
        }
        // Acquire: the entries are read after they were written.
        self.producer_seen = self.parts.producer().load(Ordering::Acquire);
        self.parts.distance(self.producer_seen, self.released);
        self.producer_seen.wrapping_sub(self.taken)
    }

    /// The entry `ahead` of the next one, which stays.
    ///
    /// # Panics
    /// If `ready` did not promise it.
    #[inline]
    pub(crate) fn peek(&self, ahead: u32) -> T {
        let ready = self.producer_seen.wrapping_sub(self.taken);
        assert!(ahead < ready, "entry {ahead} is read of a ring with {ready}");
        self.parts.entry(self.taken.wrapping_add(ahead)).with(|place| {
            // SAFETY: the place is in [consumer, producer): it was written before the producer's
            // index was published, and is not written again before `release`. Every pattern of
            // bits is a value.
            unsafe { place.read() }
        })
    }

    /// Takes the next entry.
    ///
    /// # Panics
    /// If `ready` did not promise it.
    #[inline]
    pub(crate) fn take(&mut self) -> T {
        let entry = self.peek(0);
        self.taken = self.taken.wrapping_add(1);
        entry
    }

    /// Gives the places of all taken entries back to the producer.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.released == self.taken {
            return;
        }
        self.released = self.taken;
        // Release: the entries are read before they are written anew.
        self.parts.consumer().store(self.taken, Ordering::Release);
    }

    /// Entries in all.
    pub(crate) fn size(&self) -> u32 {
        self.parts.size
    }
}
