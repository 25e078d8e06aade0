//! An allocator that counts per thread, so that a test can show that a path allocates nothing.
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: memory::counting::CountingAllocator = memory::counting::CountingAllocator;
//!
//! let mut seen = Vec::with_capacity(8);
//! let forbidden = memory::counting::forbid();
//! seen.push(1); // fits: no allocation
//! drop(forbidden); // panics if there was one
//! ```

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    marker::PhantomData,
};

thread_local! {
    // Constant and without a destructor, so that touching it allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts the calling thread's allocations.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountingAllocator;

// SAFETY: every call goes to `System` with the caller's own arguments, and counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is that of `System`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is that of `System`, and the block came from it.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is that of `System`, and the block came from it.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// How often this thread has asked for memory: `alloc`, `alloc_zeroed` and `realloc`.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Whether the process runs on [`CountingAllocator`]: a count that stays zero proves nothing.
#[must_use]
pub fn is_installed() -> bool {
    let before = allocations();
    drop(black_box(Box::new(0_u8)));
    allocations() != before
}

/// Forbids allocations on this thread until the guard is dropped, which panics if there was one.
///
/// # Panics
///
/// If the process does not run on [`CountingAllocator`].
pub fn forbid() -> Forbidden {
    assert!(
        is_installed(),
        "nothing is counted; put `#[global_allocator] static A: CountingAllocator = \
         CountingAllocator;` into the test"
    );
    Forbidden { before: allocations(), this_thread: PhantomData }
}

/// The guard of [`forbid`].
#[derive(Debug)]
#[must_use = "allocations are forbidden while the guard lives"]
pub struct Forbidden {
    before: u64,
    /// The count is that of one thread.
    this_thread: PhantomData<*const ()>,
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        // A panic that is under way has allocated its message.
        if !std::thread::panicking() {
            let made = allocations() - self.before;
            assert!(made == 0, "{made} allocations where none is allowed");
        }
    }
}

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get().wrapping_add(1)));
}
