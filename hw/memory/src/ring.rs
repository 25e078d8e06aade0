//! A bounded ring for one producer and one consumer.
//!
//! Each side keeps its own cursor and a copy of the other's, and looks at the shared one only when
//! the copy says full or empty: in a busy ring a line moves between the cores once per batch, not
//! once per item. The cursors run freely and are masked when used, so a full and an empty ring
//! differ and every slot serves.
//!
//! ```text
//!   slots   [ . . x x x x x . ]      x: written, not yet taken
//!                 ^head     ^tail
//!           written by the    written by the
//!           consumer only     producer only
//! ```

use std::{fmt, mem::MaybeUninit};

use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell};

#[cfg(test)]
mod loom_tests;
#[cfg(test)]
mod tests;

/// A line of its own; two, because processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

struct Shared<T> {
    /// Items taken, ever. Written by the consumer.
    head: Padded<AtomicUsize>,
    /// Items pushed, ever. Written by the producer.
    tail: Padded<AtomicUsize>,
    /// Set once by the side that goes.
    producer_gone: AtomicBool,
    consumer_gone: AtomicBool,
    mask: usize,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is written by the producer before it publishes `tail`, and read by the consumer
// after it has seen that and before it publishes `head`; so an item is with one thread at a time,
// and only `T: Send` moves between them. No `&T` is ever shared.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The end that pushes.
pub struct Producer<T: Send> {
    shared: Arc<Shared<T>>,
    tail: usize,
    /// What `head` was when it was last looked at.
    head_seen: usize,
}

/// The end that pops.
pub struct Consumer<T: Send> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// What `tail` was when it was last looked at.
    tail_seen: usize,
}

/// A ring of `capacity` items, all memory taken now.
///
/// # Panics
///
/// If `capacity` is no power of two.
#[must_use]
pub fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two(), "a ring of {capacity} items; use a power of two");
    let slots = (0..capacity).map(|_slot| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let shared = Arc::new(Shared {
        head: Padded(AtomicUsize::new(0)),
        tail: Padded(AtomicUsize::new(0)),
        producer_gone: AtomicBool::new(false),
        consumer_gone: AtomicBool::new(false),
        mask: capacity - 1,
        slots,
    });
    let producer = Producer { shared: Arc::clone(&shared), tail: 0, head_seen: 0 };
    (producer, Consumer { shared, head: 0, tail_seen: 0 })
}

impl<T: Send> Producer<T> {
    /// Puts one item in.
    ///
    /// # Errors
    ///
    /// The item, if the ring is full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.room(1) == 0 {
            return Err(item);
        }
        self.write(item);
        self.publish();
        Ok(())
    }

    /// Puts in as many items of `items` as fit, and shows them to the consumer all at once. Takes
    /// no item that does not fit. Returns how many it was.
    #[inline]
    pub fn push_from(&mut self, items: &mut impl Iterator<Item = T>) -> usize {
        let room = self.room(self.capacity());
        let begin = self.tail;
        // The guard publishes also when the iterator panics, so that nothing written is lost.
        let guard = PublishTail(self);
        for item in items.take(room) {
            guard.0.write(item);
        }
        guard.0.tail.wrapping_sub(begin)
    }

    /// Items that fit now.
    #[inline]
    pub fn free(&mut self) -> usize {
        self.room(self.capacity())
    }

    /// Items that fit in all.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.mask + 1
    }

    /// Whether the consumer is gone, and with it whatever is pushed.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.consumer_gone.load(Ordering::Acquire)
    }

    /// Items that fit; looks at the consumer's cursor only if the copy promises fewer than
    /// `wanted`.
    #[inline]
    fn room(&mut self, wanted: usize) -> usize {
        let room = self.capacity() - self.tail.wrapping_sub(self.head_seen);
        if room >= wanted {
            return room;
        }
        // Acquire: what the consumer read out of the slots, it read before they are written anew.
        self.head_seen = self.shared.head.0.load(Ordering::Acquire);
        self.capacity() - self.tail.wrapping_sub(self.head_seen)
    }

    /// Writes into the slot at `tail`; callers have seen that there is room.
    #[inline]
    fn write(&mut self, item: T) {
        self.shared.slots[self.tail & self.shared.mask].with_mut(|slot| {
            // SAFETY: the slot lies in [head + capacity > tail, ..): the consumer has left it and
            // does not come back before `tail` is published. What it held was moved out.
            unsafe { slot.write(MaybeUninit::new(item)) }
        });
        self.tail = self.tail.wrapping_add(1);
    }

    #[inline]
    fn publish(&mut self) {
        // Release: the slots are written before they are seen.
        self.shared.tail.0.store(self.tail, Ordering::Release);
    }
}

impl<T: Send> Consumer<T> {
    /// Takes the oldest item.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.ready(1) == 0 {
            return None;
        }
        let item = self.read();
        self.publish();
        Some(item)
    }

    /// Takes up to `max` items, oldest first, and frees their slots all at once. Returns how many
    /// it was.
    #[inline]
    pub fn pop_into(&mut self, max: usize, mut take: impl FnMut(T)) -> usize {
        let count = self.ready(max).min(max);
        // The guard publishes also when `take` panics: what was read is not read again.
        let guard = PublishHead(self);
        for _item in 0..count {
            let item = guard.0.read();
            take(item);
        }
        count
    }

    /// Items that wait now.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.tail.0.load(Ordering::Acquire).wrapping_sub(self.head)
    }

    /// Whether none waits now.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that fit in all.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.mask + 1
    }

    /// Whether the producer is gone: what waits now is all there will be.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.shared.producer_gone.load(Ordering::Acquire)
    }

    /// Items that wait; looks at the producer's cursor only if the copy promises fewer than
    /// `wanted`.
    #[inline]
    fn ready(&mut self, wanted: usize) -> usize {
        let ready = self.tail_seen.wrapping_sub(self.head);
        if ready >= wanted {
            return ready;
        }
        // Acquire: the slots are read after they were written.
        self.tail_seen = self.shared.tail.0.load(Ordering::Acquire);
        self.tail_seen.wrapping_sub(self.head)
    }

    /// Moves the item at `head` out; callers have seen that there is one.
    #[inline]
    fn read(&mut self) -> T {
        let item = self.shared.slots[self.head & self.shared.mask].with(|slot| {
            // SAFETY: the slot lies in [head, tail): the producer wrote it before it published
            // `tail` and does not come back before `head` is published. `head` moves on below,
            // so it is moved out once.
            unsafe { slot.read() }
        });
        self.head = self.head.wrapping_add(1);
        // SAFETY: a slot in [head, tail) was written with an item.
        unsafe { item.assume_init() }
    }

    #[inline]
    fn publish(&mut self) {
        // Release: the slots are read before they are written anew.
        self.shared.head.0.store(self.head, Ordering::Release);
    }
}

/// Publishes what was written when it goes out of scope.
struct PublishTail<'a, T: Send>(&'a mut Producer<T>);

impl<T: Send> Drop for PublishTail<'_, T> {
    fn drop(&mut self) {
        self.0.publish();
    }
}

/// Publishes what was read when it goes out of scope.
struct PublishHead<'a, T: Send>(&'a mut Consumer<T>);

impl<T: Send> Drop for PublishHead<'_, T> {
    fn drop(&mut self) {
        self.0.publish();
    }
}

impl<T: Send> Drop for Producer<T> {
    fn drop(&mut self) {
        self.shared.producer_gone.store(true, Ordering::Release);
    }
}

impl<T: Send> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.consumer_gone.store(true, Ordering::Release);
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both ends are gone, and the last one to go has seen the other's last writes.
        let head = self.head.0.load(Ordering::Acquire);
        let tail = self.tail.0.load(Ordering::Acquire);
        for at in 0..tail.wrapping_sub(head) {
            self.slots[head.wrapping_add(at) & self.mask].with_mut(|slot| {
                // SAFETY: `&mut self`: nobody else reaches the slot.
                let item = unsafe { &mut *slot };
                // SAFETY: a slot in [head, tail) holds an item, and it is dropped once, here.
                unsafe { item.assume_init_drop() };
            });
        }
    }
}

impl<T: Send> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl<T: Send> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
