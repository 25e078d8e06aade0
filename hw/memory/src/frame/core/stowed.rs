//! References kept as integers in records: in and out, and what can be done with them there.

use std::marker::PhantomData;

use super::{super::Stowed, CoreArena, Count, Frame, count_u32};
use crate::prefetch::prefetch_address;

impl CoreArena {
    /// Turns the handle into integers for a record. The reference goes on; the flags do not.
    #[inline]
    pub fn stow(&mut self, frame: Frame) -> Stowed {
        let count = self.check_frame(&frame);
        self.set_count(frame.index, count.stow());
        Stowed { index: frame.index, offset: frame.offset, len: frame.len }
    }

    /// Turns the integers back into a handle; the record forgets them.
    ///
    /// # Panics
    ///
    /// As every call with integers: if the frame has no stowed reference on this core, or the
    /// range is not in the frame.
    #[inline]
    pub fn unstow(&mut self, s: Stowed) -> Frame {
        let count = self.check_stowed(s);
        self.set_count(s.index, count.unstow());
        self.handle(s)
    }

    /// Drops the reference; the record forgets the integers.
    #[inline]
    pub fn release(&mut self, s: Stowed) {
        let count = self.check_stowed(s);
        self.drop_reference(s.index, count.unstow());
    }

    /// The bytes of the range.
    #[inline]
    #[must_use]
    pub fn stowed_bytes(&self, s: Stowed) -> &[u8] {
        self.check_stowed(s);
        self.slice(s.index, s.offset, s.len)
    }

    /// The bytes of the range, to be written; `None` if anything else refers to the frame.
    #[inline]
    #[must_use]
    pub fn stowed_bytes_mut(&mut self, s: Stowed) -> Option<&mut [u8]> {
        if !self.stowed_is_unshared(s) {
            return None;
        }
        Some(self.slice_mut(s.index, s.offset, s.len))
    }

    /// Whether this is the only reference to the frame.
    #[inline]
    #[must_use]
    pub fn stowed_is_unshared(&self, s: Stowed) -> bool {
        self.check_stowed(s).held() == 1
    }

    /// Bytes behind the range.
    #[inline]
    #[must_use]
    pub fn stowed_tailroom(&self, s: Stowed) -> usize {
        self.check_stowed(s);
        usize::from(self.frame_len - s.offset - s.len)
    }

    /// One more reference, as a handle over the same range.
    #[inline]
    pub fn share_stowed(&mut self, s: Stowed) -> Frame {
        let count = self.check_stowed(s);
        self.add_reference(s.index, count);
        self.handle(s)
    }

    /// Asks for the first cache line of the range, whatever the integers say.
    #[inline]
    pub fn prefetch_stowed(&self, s: Stowed) {
        prefetch_address(self.address_of(s.index, s.offset));
    }

    /// Frames that have a stowed reference on this core, by looking at every count: for tests
    /// and tools.
    #[must_use]
    pub fn frames_stowed(&self) -> u32 {
        count_u32(self.counts.iter().filter(|count| count.stowed() > 0).count())
    }

    /// The count of a frame with a stowed reference on this core, if the range is in it.
    #[inline]
    pub(super) fn check_stowed(&self, s: Stowed) -> Count {
        let count = self.check(s.index, s.offset, s.len);
        if count.stowed() == 0 {
            self.misuse(self.id, s.index, s.offset, s.len);
        }
        count
    }

    #[inline]
    fn handle(&self, s: Stowed) -> Frame {
        let Stowed { index, offset, len } = s;
        Frame { index, offset, len, flags: 0, arena: self.id, not_send: PhantomData }
    }
}
