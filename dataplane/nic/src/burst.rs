//! A bounded list of frames in order: what goes in and out of a queue pair at once.

use std::collections::VecDeque;
use std::collections::vec_deque;

use memory::{CoreArena, Frame};

use crate::flags;

/// A bounded list of frames in order. It allocates once, when it is made.
///
/// A packet may be several frames: every frame but its last has [`flags::CONTINUES`] set. Frames
/// leave at the front by a cursor; nothing is ever shifted.
#[derive(Debug)]
pub struct Burst {
    frames: VecDeque<Frame>,
    capacity: usize,
}

impl Burst {
    /// An empty burst with room for `frames` frames.
    #[must_use]
    pub fn with_capacity(frames: usize) -> Self {
        Self { frames: VecDeque::with_capacity(frames), capacity: frames }
    }

    /// Appends a frame, or gives it back if the burst is full.
    ///
    /// # Errors
    /// The frame itself, when there is no room.
    #[inline]
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        if self.frames.len() == self.capacity {
            return Err(frame);
        }
        self.frames.push_back(frame);
        Ok(())
    }

    /// Puts a frame that was just taken back in front.
    ///
    /// # Panics
    /// If the burst is full, which it cannot be if the frame was taken from it.
    #[inline]
    pub(crate) fn put_back(&mut self, frame: Frame) {
        assert!(self.free() > 0, "put back into a full burst");
        self.frames.push_front(frame);
    }

    /// Takes the first frame.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    /// Takes the last frame.
    #[inline]
    pub(crate) fn pop_back(&mut self) -> Option<Frame> {
        self.frames.pop_back()
    }

    /// The first frame, which stays.
    #[must_use]
    #[inline]
    pub fn front(&self) -> Option<&Frame> {
        self.frames.front()
    }

    /// Frames in the burst.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no frame in the burst.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Frames that still fit.
    #[must_use]
    #[inline]
    pub fn free(&self) -> usize {
        self.capacity - self.frames.len()
    }

    /// Frames that fit when it is empty.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The frames in order.
    pub fn iter(&self) -> vec_deque::Iter<'_, Frame> {
        self.frames.iter()
    }

    /// The frames in order, to be changed in place.
    pub fn iter_mut(&mut self) -> vec_deque::IterMut<'_, Frame> {
        self.frames.iter_mut()
    }

    /// Takes every frame out, in order. Frames that the caller does not take from the iterator
    /// are dropped with it and so lost to their arena: take them all, or use [`Self::clear_into`].
    pub fn drain(&mut self) -> vec_deque::Drain<'_, Frame> {
        self.frames.drain(..)
    }

    /// Frees every frame into `arena`.
    pub fn clear_into(&mut self, arena: &mut CoreArena) {
        while let Some(frame) = self.frames.pop_front() {
            arena.free(frame);
        }
    }

    /// Frees the first `count` frames into `arena`: a packet that goes nowhere.
    ///
    /// # Panics
    /// If the burst has fewer.
    pub fn free_front(&mut self, count: usize, arena: &mut CoreArena) {
        assert!(count <= self.len(), "{count} frames of a burst of {}", self.len());
        for frame in self.frames.drain(..count) {
            arena.free(frame);
        }
    }

    /// The packet at the front as (frames, bytes), or `None` if the burst is empty.
    ///
    /// # Panics
    /// If the burst ends inside a packet: its last frame has [`flags::CONTINUES`] set.
    #[must_use]
    #[inline]
    pub fn front_packet(&self) -> Option<(usize, usize)> {
        let mut bytes = 0;
        for (place, frame) in self.frames.iter().enumerate() {
            bytes += frame.len();
            if frame.flags() & flags::CONTINUES == 0 {
                return Some((place + 1, bytes));
            }
        }
        assert!(
            self.frames.is_empty(),
            "a burst of {} frames ends inside a packet",
            self.frames.len()
        );
        None
    }
}

impl<'a> IntoIterator for &'a Burst {
    type Item = &'a Frame;
    type IntoIter = vec_deque::Iter<'a, Frame>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};

    use super::Burst;
    use crate::flags;

    fn core_arena() -> CoreArena {
        let geometry = FrameGeometry {
            frames: 16,
            frame_len: 2048,
            headroom: 256,
            cores: 1,
            reserve_per_core: 0,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
        arena.core().unwrap()
    }

    fn push(burst: &mut Burst, core: &mut CoreArena, len: usize, flags: u16) -> bool {
        let mut frame = core.allocate().unwrap();
        core.set_len(&mut frame, len);
        frame.set_flags(flags);
        let outcome = burst.push(frame);
        let is_in = outcome.is_ok();
        if let Err(refused) = outcome {
            core.free(refused);
        }
        is_in
    }

    #[test]
    fn a_full_burst_gives_the_frame_back_and_order_survives_the_wrap() {
        let mut core = core_arena();
        let mut burst = Burst::with_capacity(3);
        for len in 1..=10 {
            assert!(push(&mut burst, &mut core, len, 0));
            assert!(push(&mut burst, &mut core, len + 100, 0));
            assert!(push(&mut burst, &mut core, len + 200, 0));
            assert!(!push(&mut burst, &mut core, 999, 0), "it has room for three");
            let first = burst.pop_front().unwrap();
            assert_eq!(first.len(), len);
            core.free(first);
            assert_eq!((burst.len(), burst.free(), burst.capacity()), (2, 1, 3));
            let lens: Vec<_> = burst.iter().map(memory::Frame::len).collect();
            assert_eq!(lens, [len + 100, len + 200]);
            burst.clear_into(&mut core);
        }
        assert_eq!(core.frames_held(), 0);
    }

    #[test]
    fn the_first_packet_is_counted_with_all_its_frames() {
        let mut core = core_arena();
        let mut burst = Burst::with_capacity(4);
        assert_eq!(burst.front_packet(), None);
        push(&mut burst, &mut core, 10, flags::CONTINUES);
        push(&mut burst, &mut core, 20, flags::CONTINUES);
        push(&mut burst, &mut core, 30, 0);
        push(&mut burst, &mut core, 40, 0);
        assert_eq!(burst.front_packet(), Some((3, 60)));
        burst.free_front(3, &mut core);
        assert_eq!(burst.front_packet(), Some((1, 40)));
    }

    #[test]
    #[should_panic(expected = "ends inside a packet")]
    fn a_burst_that_ends_inside_a_packet_is_refused_loudly() {
        let mut core = core_arena();
        let mut burst = Burst::with_capacity(4);
        push(&mut burst, &mut core, 10, flags::CONTINUES);
        assert_eq!(burst.front_packet(), None);
    }
}
