//! A ring in ordinary memory, with a side for the test to play the kernel.

use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{Consumer, Entry, Memory, Parts, Producer};
use crate::sync::{AtomicU32, UnsafeCell};

/// The words and entries that the two sides share.
pub(crate) struct HeapRing<T> {
    pub(crate) producer: AtomicU32,
    pub(crate) consumer: AtomicU32,
    pub(crate) flags: AtomicU32,
    entries: Box<[UnsafeCell<T>]>,
}

// SAFETY: a cell is written by the producer before it publishes it and read by the consumer before
// it gives it back; this is what the tests are there to show.
unsafe impl<T: Entry> Send for HeapRing<T> {}
// SAFETY: as above.
unsafe impl<T: Entry> Sync for HeapRing<T> {}

impl<T: Entry + 'static> HeapRing<T> {
    /// An empty ring whose indices stand at `start`.
    pub(crate) fn new(size: u32, start: u32) -> Arc<Self> {
        // SAFETY: every pattern of bits is a value of an `Entry`.
        let zero = || unsafe { MaybeUninit::<T>::zeroed().assume_init() };
        let entries = (0..size).map(|_place| UnsafeCell::new(zero())).collect();
        Arc::new(Self {
            producer: AtomicU32::new(start),
            consumer: AtomicU32::new(start),
            flags: AtomicU32::new(0),
            entries,
        })
    }

    fn parts(self: &Arc<Self>) -> Parts<T> {
        let entries = NonNull::from(self.entries.as_ref()).cast();
        Parts {
            producer: NonNull::from(&self.producer),
            consumer: NonNull::from(&self.consumer),
            flags: NonNull::from(&self.flags),
            entries,
            size: u32::try_from(self.entries.len()).expect("tests have small rings"),
            memory: Memory::Heap { _shared: Arc::<Self>::clone(self) },
        }
    }

    /// The side that writes. A test makes one.
    pub(crate) fn producer_side(self: &Arc<Self>) -> Producer<T> {
        // SAFETY: the parts lie in the ring, which `memory` keeps, and the test makes one side.
        unsafe { Producer::new(self.parts()) }
    }

    /// The side that reads. A test makes one.
    pub(crate) fn consumer_side(self: &Arc<Self>) -> Consumer<T> {
        // SAFETY: as above.
        unsafe { Consumer::new(self.parts()) }
    }
}
