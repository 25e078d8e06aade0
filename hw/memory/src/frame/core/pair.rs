//! Two frames at once: one read, the other written.

use std::sync::atomic::Ordering;

use super::{super::Stowed, CoreArena, Frame};

impl CoreArena {
    /// The bytes of `source`, and those of `target` to be written.
    ///
    /// # Panics
    ///
    /// If both are ranges of one frame, or anything else refers to `target`'s.
    #[inline]
    #[must_use]
    pub fn bytes_pair(&mut self, source: &Frame, target: &mut Frame) -> (&[u8], &mut [u8]) {
        self.check_frame(source);
        let (index, offset, len) = (source.index, source.offset, source.len);
        self.pair(Stowed { index, offset, len }, target)
    }

    /// As [`Self::bytes_pair`], with a stowed source.
    ///
    /// # Panics
    ///
    /// As there.
    #[inline]
    #[must_use]
    pub fn stowed_bytes_pair(&mut self, source: Stowed, target: &mut Frame) -> (&[u8], &mut [u8]) {
        self.check_stowed(source);
        self.pair(source, target)
    }

    /// Callers have checked `source`.
    #[inline]
    fn pair(&mut self, source: Stowed, target: &mut Frame) -> (&[u8], &mut [u8]) {
        let held = self.check_frame(target).held();
        assert!(
            held == 1 && target.index != source.index,
            "{target:?} is written while it has {held} references, from frame {}",
            source.index
        );
        let first = self.address_of(source.index, source.offset);
        // SAFETY: as in `slice`; the frame is another one than `target`'s, so the two slices do
        // not overlap, and `&mut self` lives as long as both.
        let read = unsafe { std::slice::from_raw_parts(first, usize::from(source.len)) };
        let first = self.address_of(target.index, target.offset);
        // SAFETY: as in `slice_mut`; see above for why it does not overlap with `read`.
        let write = unsafe { std::slice::from_raw_parts_mut(first, usize::from(target.len)) };
        (read, write)
    }

    /// Whether at least `frames` frames are free, here or in the home pool.
    #[inline]
    #[must_use]
    pub fn has_free(&self, frames: u32) -> bool {
        let own = self.frames_free();
        own >= frames
            || own.saturating_add(self.shared.frames_home.load(Ordering::Relaxed)) >= frames
    }
}

#[cfg(test)]
mod tests {
    use crate::{FrameArena, FrameGeometry, PageChoice};

    fn geometry() -> FrameGeometry {
        FrameGeometry { frames: 64, frame_len: 2_048, headroom: 128, cores: 1, reserve_per_core: 4 }
    }

    #[test]
    fn one_frame_is_copied_into_another() {
        let mut core = FrameArena::new(geometry(), PageChoice::Base).unwrap().core().unwrap();
        let (mut source, mut target) = (core.allocate().unwrap(), core.allocate().unwrap());
        core.set_len(&mut source, 3);
        core.bytes_mut(&mut source).copy_from_slice(b"abc");
        core.set_len(&mut target, 3);
        let (read, write) = core.bytes_pair(&source, &mut target);
        write.copy_from_slice(read);
        assert_eq!(core.bytes(&target), b"abc");
        let stowed = core.stow(source);
        let (read, write) = core.stowed_bytes_pair(stowed, &mut target);
        write[0] = read[2];
        assert_eq!(core.bytes(&target), b"cbc");
        core.release(stowed);
        core.free(target);
        assert_eq!(core.frames_held(), 0);
    }

    #[test]
    #[should_panic(expected = "is written while it has 2 references")]
    fn a_shared_target_is_refused() {
        let mut core = FrameArena::new(geometry(), PageChoice::Base).unwrap().core().unwrap();
        let (source, mut target) = (core.allocate().unwrap(), core.allocate().unwrap());
        let other = core.share(&target);
        let pair = core.bytes_pair(&source, &mut target);
        assert!(pair.0.is_empty(), "{other:?} forbids this");
    }

    #[test]
    fn free_frames_count_the_home_pool() {
        let core = FrameArena::new(geometry(), PageChoice::Base).unwrap().core().unwrap();
        assert!(core.has_free(64) && !core.has_free(65));
    }
}
