//! One core's view of the frames: its pool, its counts, and the only way to the bytes.

mod pair;
mod stowed;

use std::{fmt, ptr::NonNull, sync::Arc};

use super::{
    DetachedFrame, Frame, FrameArena, Lent,
    arena::{Count, Shared},
    narrow,
};
use crate::{
    array::Array,
    limits::{LENT, REFERENCES_MAX},
    prefetch::prefetch_address,
};

/// One core's view of a [`FrameArena`].
///
/// The free frames of the core lie in a pool, last in, first out, so that a small hot set stays in
/// its cache. The counts are this core's own: a frame is either in one pool, or counted by one
/// core, or in a [`DetachedFrame`], or lent.
pub struct CoreArena {
    base: NonNull<u8>,
    /// A frame has `1 << frame_shift` bytes.
    frame_shift: u32,
    frame_len: u16,
    headroom: u16,
    id: u16,
    /// One for each frame of the arena.
    counts: Array<Count>,
    pool: Vec<u32>,
    reserve: usize,
    /// Frames that the pool keeps when it has more.
    kept: usize,
    /// Frames that it exchanges at once.
    batch: usize,
    held: u32,
    lent: u32,
    shared: Arc<Shared>,
}

// SAFETY: the view may move to another thread: it is the only owner of its pool and counts, and
// the bytes of the frames that it counts are reached by no other view. `base` points into the
// mapping that `shared` keeps alive. It is not `Sync`, which nothing needs.
unsafe impl Send for CoreArena {}

impl CoreArena {
    pub(super) fn new(shared: Arc<Shared>, pool: Vec<u32>, counts: Array<Count>) -> Self {
        let geometry = shared.geometry;
        Self {
            base: NonNull::new(shared.arena.as_ptr()).expect("a mapping never begins at zero"),
            frame_shift: geometry.frame_len.trailing_zeros(),
            frame_len: narrow(geometry.frame_len as usize),
            headroom: geometry.headroom,
            id: shared.id,
            counts,
            pool,
            reserve: geometry.reserve_per_core as usize,
            kept: geometry.kept(),
            batch: geometry.batch(),
            held: 0,
            lent: 0,
            shared,
        }
    }

    /// Takes a free frame: no bytes yet, the whole headroom in front. `None` when only the
    /// reserve is left.
    #[inline]
    pub fn allocate(&mut self) -> Option<Frame> {
        if self.pool.len() <= self.reserve {
            self.refill();
            if self.pool.len() <= self.reserve {
                return None;
            }
        }
        self.take()
    }

    /// Takes a free frame, of the reserve if need be: for ARP, control and close, which end what
    /// holds the others.
    #[inline]
    pub fn allocate_reserved(&mut self) -> Option<Frame> {
        if self.pool.len() <= self.reserve {
            self.refill();
        }
        self.take()
    }

    /// Drops this reference; the last one returns the frame to the pool.
    ///
    /// # Panics
    ///
    /// As every call with a handle: if it is not one of this core's.
    #[inline]
    pub fn free(&mut self, frame: Frame) {
        let count = self.check_frame(&frame);
        self.drop_reference(frame.index, count);
    }

    /// One more reference to the same bytes.
    ///
    /// # Panics
    ///
    /// If the frame has 65,534 references already.
    #[inline]
    pub fn share(&mut self, frame: &Frame) -> Frame {
        let count = self.check_frame(frame);
        self.add_reference(frame.index, count);
        let Frame { index, offset, len, flags, arena, not_send } = *frame;
        Frame { index, offset, len, flags, arena, not_send }
    }

    /// Whether this is the only reference to the frame.
    #[inline]
    #[must_use]
    pub fn is_unshared(&self, frame: &Frame) -> bool {
        self.references(frame) == 1
    }

    /// How many references the frame has on this core, stowed ones included.
    #[inline]
    #[must_use]
    pub fn references(&self, frame: &Frame) -> u16 {
        self.check_frame(frame).held()
    }

    /// The bytes of the range.
    #[inline]
    #[must_use]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        self.check_frame(frame);
        self.slice(frame.index, frame.offset, frame.len)
    }

    /// The bytes of the range, to be written.
    ///
    /// # Panics
    ///
    /// If anything else refers to the frame: it may be on its way out, or in another stream.
    #[inline]
    #[must_use]
    pub fn bytes_mut(&mut self, frame: &mut Frame) -> &mut [u8] {
        let count = self.check_frame(frame);
        let held = count.held();
        assert!(held == 1, "{frame:?} is written while it has {held} references");
        self.slice_mut(frame.index, frame.offset, frame.len)
    }

    /// Makes the range `len` bytes long, from where it begins. Bytes that it gains are what was
    /// in the frame before.
    ///
    /// # Panics
    ///
    /// If they do not fit into the frame.
    #[inline]
    pub fn set_len(&mut self, frame: &mut Frame, len: usize) {
        self.check_frame(frame);
        let room = usize::from(self.frame_len - frame.offset);
        assert!(len <= room, "set_len {len} of {frame:?}: {room} bytes are there");
        frame.len = narrow(len);
    }

    /// Bytes behind the range.
    #[inline]
    #[must_use]
    pub fn tailroom(&self, frame: &Frame) -> usize {
        self.check_frame(frame);
        usize::from(self.frame_len - frame.offset - frame.len)
    }

    /// Takes `n` bytes of headroom into the range.
    ///
    /// # Panics
    ///
    /// If less is left.
    #[inline]
    pub fn extend_front(&mut self, frame: &mut Frame, n: usize) {
        self.check_frame(frame);
        (frame.offset, frame.len) = super::extended(frame.offset, frame.len, n);
    }

    /// Asks for the first cache line of the range.
    #[inline]
    pub fn prefetch(&self, frame: &Frame) {
        prefetch_address(self.address_of(frame.index, frame.offset));
    }

    /// Takes the frame off this core, to be sent to another one. A shared frame comes back: its
    /// other references are counted here.
    ///
    /// # Errors
    ///
    /// The frame, if anything else refers to it.
    #[inline]
    pub fn detach(&mut self, frame: Frame) -> Result<DetachedFrame, Frame> {
        if !self.is_unshared(&frame) {
            return Err(frame);
        }
        self.set_count(frame.index, Count::NONE);
        self.held -= 1;
        let Frame { index, offset, len, flags, arena, not_send: _ } = frame;
        Ok(DetachedFrame { index, offset, len, flags, arena })
    }

    /// Takes a frame that another core detached.
    ///
    /// # Panics
    ///
    /// If it is of another arena.
    #[inline]
    pub fn attach(&mut self, frame: DetachedFrame) -> Frame {
        let DetachedFrame { index, offset, len, flags, arena } = frame;
        assert!(arena == self.id, "a frame of arena {arena} is attached to arena {}", self.id);
        self.set_count(index, Count::ONE);
        self.held += 1;
        Frame { index, offset, len, flags, arena, not_send: std::marker::PhantomData }
    }

    /// Gives the frame to a device that writes into it. A shared frame comes back.
    ///
    /// # Errors
    ///
    /// The frame, if anything else refers to it.
    #[inline]
    pub fn lend(&mut self, frame: Frame) -> Result<Lent, Frame> {
        if !self.is_unshared(&frame) {
            return Err(frame);
        }
        self.set_count(frame.index, Count::LENT);
        self.held -= 1;
        self.lent += 1;
        Ok(Lent { index: frame.index, arena: self.id })
    }

    /// Takes back what was lent, over the bytes that the device wrote.
    ///
    /// # Panics
    ///
    /// If it was not lent by this core, or the range is not in the frame.
    #[inline]
    pub fn reclaim(&mut self, lent: Lent, offset: u16, len: u16) -> Frame {
        let Lent { index, arena } = lent;
        let is_lent = arena == self.id
            && self.counts.get(index as usize).is_some_and(|count| *count == Count::LENT);
        if !is_lent || u32::from(offset) + u32::from(len) > u32::from(self.frame_len) {
            self.misuse(arena, index, offset, len);
        }
        self.set_count(index, Count::ONE);
        self.lent -= 1;
        self.held += 1;
        Frame { index, offset, len, flags: 0, arena, not_send: std::marker::PhantomData }
    }

    /// The lent frame that a device names by its index.
    ///
    /// # Safety
    ///
    /// The device has given frame `index` back: it neither reads nor writes it any more.
    #[inline]
    pub unsafe fn lent(&self, index: u32) -> Lent {
        Lent { index, arena: self.id }
    }

    /// Whether this is a core's view of `arena`, whose memory a device knows.
    #[inline]
    #[must_use]
    pub fn is_of(&self, arena: &FrameArena) -> bool {
        self.id == arena.id()
    }

    /// Free frames in this core's own pool, the reserve included.
    #[inline]
    #[must_use]
    pub fn frames_free(&self) -> u32 {
        count_u32(self.pool.len())
    }

    /// Free frames of the home pool, which are no core's.
    #[must_use]
    pub fn frames_home(&self) -> u32 {
        self.shared.frames_home.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// Frames of the whole arena.
    #[inline]
    #[must_use]
    pub fn frames_total(&self) -> u32 {
        self.shared.geometry.frames
    }

    /// Frames that this core counts references to.
    #[inline]
    #[must_use]
    pub fn frames_held(&self) -> u32 {
        self.held
    }

    /// Frames that this core lent to devices.
    #[inline]
    #[must_use]
    pub fn frames_lent(&self) -> u32 {
        self.lent
    }

    /// Bytes of a frame.
    #[inline]
    #[must_use]
    pub fn frame_len(&self) -> usize {
        usize::from(self.frame_len)
    }

    /// Bytes in front of a frame that was just allocated.
    #[inline]
    #[must_use]
    pub fn headroom(&self) -> usize {
        usize::from(self.headroom)
    }

    /// Evens the pool out against the home pool: at most one batch, in one direction. Call it
    /// once per turn, so that `allocate` and `free` seldom meet the edge within a burst.
    #[inline]
    pub fn exchange(&mut self) {
        if self.pool.len() < self.reserve + self.batch {
            self.refill();
        } else if self.pool.len() >= self.kept + self.batch.div_ceil(2) {
            self.spill();
        }
    }

    /// Takes a batch from the home pool, if it has one.
    #[cold]
    fn refill(&mut self) {
        if let Some(batch) = self.shared.take_home() {
            self.pool.extend_from_slice(&batch.indices[..batch.len as usize]);
        }
    }

    /// Gives the home pool the batch that has been free the longest: the hot ones stay.
    #[cold]
    fn spill(&mut self) {
        self.shared.give_home(&self.pool[..self.batch]);
        self.pool.drain(..self.batch);
    }

    #[inline]
    fn take(&mut self) -> Option<Frame> {
        let index = self.pool.pop()?;
        self.set_count(index, Count::ONE);
        self.held += 1;
        Some(Frame {
            index,
            offset: self.headroom,
            len: 0,
            flags: 0,
            arena: self.id,
            not_send: std::marker::PhantomData,
        })
    }

    /// One reference more than `count`, which is what the frame has.
    #[inline]
    fn add_reference(&mut self, index: u32, count: Count) {
        let held = count.held();
        assert!(held < REFERENCES_MAX, "frame {index} has {held} references");
        self.set_count(index, count.plus_one());
    }

    /// One reference less than `count`, which is what the frame has and not zero.
    #[inline]
    fn drop_reference(&mut self, index: u32, count: Count) {
        let left = count.minus_one();
        self.set_count(index, left);
        if left.held() > 0 {
            return;
        }
        self.held -= 1;
        self.pool.push(index);
        if self.pool.len() >= self.kept + self.batch {
            self.spill();
        }
    }

    #[inline]
    fn set_count(&mut self, index: u32, count: Count) {
        self.counts[index as usize] = count;
    }

    /// The count of a frame that the handle refers to rightly.
    #[inline]
    fn check_frame(&self, frame: &Frame) -> Count {
        if frame.arena != self.id {
            self.misuse(frame.arena, frame.index, frame.offset, frame.len);
        }
        self.check(frame.index, frame.offset, frame.len)
    }

    /// The count of frame `index`, if this core holds it and the range is in it.
    #[inline]
    fn check(&self, index: u32, offset: u16, len: u16) -> Count {
        if let Some(count) = self.counts.get(index as usize) {
            let is_held = count.held() != 0 && count.held() != LENT;
            if is_held && u32::from(offset) + u32::from(len) <= u32::from(self.frame_len) {
                return *count;
            }
        }
        self.misuse(self.id, index, offset, len)
    }

    /// Says what is wrong with a handle. Out of line, so that the checks stay small.
    #[cold]
    #[inline(never)]
    fn misuse(&self, arena: u16, index: u32, offset: u16, len: u16) -> ! {
        panic!(
            "frame {index} of arena {arena}, bytes {offset} and {len} more, used on a core of \
             arena {} with frames of {} bytes, where it has the count {:?}",
            self.id,
            self.frame_len,
            self.counts.get(index as usize)
        );
    }

    #[inline]
    fn address_of(&self, index: u32, offset: u16) -> *mut u8 {
        let start = (index as usize) << self.frame_shift;
        self.base.as_ptr().wrapping_add(start + usize::from(offset))
    }

    /// Callers have called `check` with the same arguments.
    #[inline]
    fn slice(&self, index: u32, offset: u16, len: u16) -> &[u8] {
        let first = self.address_of(index, offset);
        // SAFETY: `check` found the index among the counts, of which there is one per frame of
        // the mapping, and the range inside the frame; the mapping is initialised and outlives
        // `self`. This core counts the frame, so no other core and no device reaches its bytes,
        // and this core writes bytes only through `&mut self`.
        unsafe { std::slice::from_raw_parts(first, usize::from(len)) }
    }

    /// Callers have called `check` with the same arguments.
    #[inline]
    fn slice_mut(&mut self, index: u32, offset: u16, len: u16) -> &mut [u8] {
        let first = self.address_of(index, offset);
        // SAFETY: as in `slice`; and `&mut self` excludes every other slice of this core.
        unsafe { std::slice::from_raw_parts_mut(first, usize::from(len)) }
    }
}

impl fmt::Debug for CoreArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreArena")
            .field("id", &self.id)
            .field("frames_total", &self.frames_total())
            .field("frames_free", &self.frames_free())
            .field("frames_held", &self.held)
            .field("frames_lent", &self.lent)
            .finish_non_exhaustive()
    }
}

/// A number of frames, of which an arena has at most `u32::MAX`.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "frames are counted by a u32")]
fn count_u32(frames: usize) -> u32 {
    frames as u32
}
