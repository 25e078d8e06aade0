//! Handles to frames: owned, stowed in a record, on the way to another core, lent to a device.

mod arena;
mod core;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use arena::{FrameArena, FrameGeometry, GeometryError};
pub use core::CoreArena;

/// One counted reference to a frame, over a range of its bytes, on the core that allocated it.
///
/// A handle that is dropped instead of freed keeps its frame for ever:
/// [`CoreArena::frames_held`] shows it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a frame that is dropped is lost; give it back with CoreArena::free"]
pub struct Frame {
    index: u32,
    offset: u16,
    len: u16,
    flags: u16,
    arena: u16,
    /// Counts belong to a core, so a handle stays on its thread.
    not_send: PhantomData<*const ()>,
}

const _: () = assert!(size_of::<Frame>() == 12);

impl Frame {
    /// Bytes in the range.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether the range is empty.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the range begins in the frame: the headroom that is left.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        usize::from(self.offset)
    }

    /// Which frame of the arena it is, for logs and devices.
    #[inline]
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Drops the first `n` bytes from the range.
    ///
    /// # Panics
    ///
    /// If the range is shorter.
    #[inline]
    pub fn trim_front(&mut self, n: usize) {
        (self.offset, self.len) = trimmed(self.offset, self.len, n);
    }

    /// Shortens the range to `len` bytes; does nothing if it is not longer.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = shorter(self.len, len);
    }

    /// Sixteen bits that travel with the handle; this crate gives them no meaning.
    #[inline]
    #[must_use]
    pub fn flags(&self) -> u16 {
        self.flags
    }

    /// Replaces the flags.
    #[inline]
    pub fn set_flags(&mut self, flags: u16) {
        self.flags = flags;
    }
}

/// A counted reference kept as plain integers inside a record.
///
/// It is `Copy`, so the count cannot watch it: whoever stores it releases it once. A copy used
/// after that, or a forged one, panics or shows another frame of the same core; it is never
/// undefined behaviour.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Stowed {
    /// Which frame of the arena.
    pub index: u32,
    /// Where the range begins in the frame.
    pub offset: u16,
    /// Bytes in the range.
    pub len: u16,
}

const _: () = assert!(size_of::<Stowed>() == 8);

impl Stowed {
    /// Drops the first `n` bytes from the range.
    ///
    /// # Panics
    ///
    /// If the range is shorter.
    #[inline]
    pub fn trim_front(&mut self, n: usize) {
        (self.offset, self.len) = trimmed(self.offset, self.len, n);
    }

    /// Takes `n` bytes in front of the range into it.
    ///
    /// # Panics
    ///
    /// If fewer lie in front of it.
    #[inline]
    pub fn extend_front(&mut self, n: usize) {
        (self.offset, self.len) = extended(self.offset, self.len, n);
    }

    /// Shortens the range to `len` bytes; does nothing if it is not longer.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = shorter(self.len, len);
    }

    /// The same reference over `len` bytes from byte `start` of the range. It is the same one
    /// count: only one of the two is to be released.
    ///
    /// # Panics
    ///
    /// If they are not in the range.
    #[inline]
    #[must_use]
    pub fn range(mut self, start: usize, len: usize) -> Self {
        self.trim_front(start);
        assert!(len <= usize::from(self.len), "range of {len} bytes from {start} of {self:?}");
        self.truncate(len);
        self
    }
}

/// A frame on its way to another core: its only reference.
///
/// Dropped instead of attached, its frame is lost.
#[derive(Debug)]
#[must_use = "a detached frame that is dropped is lost; attach it at its new core"]
pub struct DetachedFrame {
    index: u32,
    offset: u16,
    len: u16,
    flags: u16,
    arena: u16,
}

/// A frame that a device may write into: no byte of it can be reached until it is reclaimed.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lent frame that is dropped stays with the device"]
pub struct Lent {
    index: u32,
    arena: u16,
}

impl Lent {
    /// Which frame of the arena, for the device's ring.
    #[inline]
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The index, for the device's ring; [`CoreArena::lent`] turns it back.
    #[inline]
    #[must_use]
    pub fn into_index(self) -> u32 {
        self.index
    }
}

#[inline]
fn trimmed(offset: u16, len: u16, n: usize) -> (u16, u16) {
    assert!(n <= usize::from(len), "trim {n} bytes of a range of {len}");
    let n = narrow(n);
    // A forged offset may be anything, and the sum is checked when bytes are reached.
    (offset.saturating_add(n), len - n)
}

#[inline]
fn extended(offset: u16, len: u16, n: usize) -> (u16, u16) {
    assert!(
        n <= usize::from(offset) && n <= usize::from(u16::MAX - len),
        "extend a range of {len} bytes by {n}: only {offset} lie in front of it"
    );
    let n = narrow(n);
    (offset - n, len + n)
}

#[inline]
fn shorter(len: u16, max: usize) -> u16 {
    if usize::from(len) > max { narrow(max) } else { len }
}

/// A length that its caller has compared with a `u16`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "callers have compared it with a u16")]
fn narrow(n: usize) -> u16 {
    debug_assert!(n <= usize::from(u16::MAX), "{n} is no u16");
    n as u16
}
