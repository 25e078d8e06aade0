//! The frames of all cores: one mapping, the home pool, and each core's part to be handed out.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::core::CoreArena;
use crate::{
    arena::{Arena, ArenaError, PageChoice, Pages},
    array::Array,
    limits::{BATCH, FRAME_ARENAS_MAX, LENT, POOL_KEPT},
};

/// How frames are laid out and shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameGeometry {
    /// Frames in all.
    pub frames: u32,
    /// Bytes of a frame: 2048 or 4096.
    pub frame_len: u32,
    /// Bytes left free in front of what is written first, for the longest header stack.
    pub headroom: u16,
    /// Cores that get a view of the arena.
    pub cores: u16,
    /// Frames that each core keeps for ARP, control and close.
    pub reserve_per_core: u32,
}

/// Why a geometry is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum GeometryError {
    /// Devices know two lengths.
    #[error("frames of {frame_len} bytes; a frame is 2048 or 4096 bytes")]
    ConfigFrameLen { frame_len: u32 },
    /// Nothing could be received.
    #[error("a headroom of {headroom} bytes leaves nothing of a frame of {frame_len}; use 256")]
    ConfigHeadroom { headroom: u16, frame_len: u32 },
    /// Nobody could use the arena.
    #[error("an arena for 0 cores; use 1 or more")]
    ConfigCores,
    /// The reserves would be all there is.
    #[error(
        "{frames} frames for {cores} cores with a reserve of {reserve_per_core} each; use at least \
         {least} frames"
    )]
    ConfigFrames { frames: u32, cores: u16, reserve_per_core: u32, least: u64 },
}

impl FrameGeometry {
    /// Says what is wrong with it, if anything.
    ///
    /// # Errors
    ///
    /// See [`GeometryError`].
    pub fn check(&self) -> Result<(), GeometryError> {
        let Self { frames, frame_len, headroom, cores, reserve_per_core } = *self;
        if frame_len != 2048 && frame_len != 4096 {
            return Err(GeometryError::ConfigFrameLen { frame_len });
        }
        if u32::from(headroom) >= frame_len {
            return Err(GeometryError::ConfigHeadroom { headroom, frame_len });
        }
        if cores == 0 {
            return Err(GeometryError::ConfigCores);
        }
        // Each core's own share must hold its reserve and one frame to work with.
        let least = u64::from(cores) * (u64::from(reserve_per_core) + 1);
        if u64::from(frames) < least {
            return Err(GeometryError::ConfigFrames { frames, cores, reserve_per_core, least });
        }
        Ok(())
    }

    /// Frames that each core begins with, and keeps when it has more.
    pub(super) fn kept(&self) -> usize {
        let share = self.frames as usize / usize::from(self.cores);
        share.min(self.reserve_per_core as usize + POOL_KEPT)
    }

    /// Frames that move between a core and the home pool at once.
    ///
    /// A core's pool holds fewer than `kept + batch` frames. Where frames flow one way only, from
    /// a core that receives to one that owns, every core but the sender fills its pool to that; in
    /// a small arena the batch is smaller, so that the sender is still left more than its reserve:
    /// share - (cores - 1) * (batch - 1) >= reserve + (share - reserve) / 2.
    pub(super) fn batch(&self) -> usize {
        let share = self.frames as usize / usize::from(self.cores);
        let spare = share.saturating_sub(self.reserve_per_core as usize);
        (spare / (2 * usize::from(self.cores))).clamp(1, BATCH)
    }
}

/// References to one frame on one core: all of them in the low half, those of them that are kept
/// as integers in the high half.
///
/// One word, because two halves written apart and read together stall the processor's store
/// forwarding for a dozen cycles.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub(super) struct Count(u32);

impl Count {
    /// No reference.
    pub(super) const NONE: Self = Self(0);
    /// One handle.
    pub(super) const ONE: Self = Self(1);
    /// No reference: a device has the frame.
    pub(super) const LENT: Self = Self(LENT as u32);

    const ONE_STOWED: u32 = 1 << 16;

    /// References in all, or `LENT`.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    pub(super) fn held(self) -> u16 {
        self.0 as u16
    }

    /// Stowed references.
    #[inline(always)]
    pub(super) fn stowed(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// With one more reference; callers have seen that there are fewer than `REFERENCES_MAX`.
    #[inline(always)]
    pub(super) fn plus_one(self) -> Self {
        Self(self.0 + 1)
    }

    /// With one reference less; callers have seen that there is one.
    #[inline(always)]
    pub(super) fn minus_one(self) -> Self {
        Self(self.0 - 1)
    }

    /// With a handle turned into integers; there are at most as many of these as references.
    #[inline(always)]
    pub(super) fn stow(self) -> Self {
        Self(self.0 + Self::ONE_STOWED)
    }

    /// With integers turned into a handle; callers have seen that there are some.
    #[inline(always)]
    pub(super) fn unstow(self) -> Self {
        Self(self.0 - Self::ONE_STOWED)
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Count").field("held", &self.held()).field("stowed", &self.stowed()).finish()
    }
}

/// Free indices on their way between a core and the home pool.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    pub(super) len: u32,
    pub(super) indices: [u32; BATCH],
}

/// What one core owns, waiting to be handed out.
struct Part {
    pool: Vec<u32>,
    counts: Array<Count>,
}

/// What all views share. Nothing here is written per packet.
pub(super) struct Shared {
    pub(super) arena: Arena,
    pub(super) geometry: FrameGeometry,
    pub(super) id: u16,
    home: ArrayQueue<Batch>,
    pub(super) frames_home: AtomicU32,
    /// In reverse order. Locked at start only.
    parts: Mutex<Vec<Part>>,
}

/// One arena of frames. Clones are the same arena.
#[derive(Clone)]
pub struct FrameArena {
    shared: Arc<Shared>,
}

impl FrameArena {
    /// Maps and touches the frames and every core's counts.
    ///
    /// # Errors
    ///
    /// The geometry is refused, or the memory is not there: see [`ArenaError`].
    pub fn new(geometry: FrameGeometry, choice: PageChoice) -> Result<Self, ArenaError> {
        geometry.check()?;
        let FrameGeometry { frames, frame_len, cores, reserve_per_core, .. } = geometry;
        let id = next_id()?;
        let mut arena = Arena::anonymous(frames as usize * frame_len as usize, choice)?;
        arena.touch_all()?;

        let (kept, batch) = (geometry.kept(), geometry.batch());
        // A pool is filled by a batch while it is below its reserve and a batch, and emptied by one
        // as soon as it is a batch above what it keeps.
        let pool_max = kept.max(reserve_per_core as usize + batch) + batch;
        let mut indices = 0..frames;
        let mut parts = Vec::with_capacity(usize::from(cores));
        for _core in 0..cores {
            let mut pool = Vec::with_capacity(pool_max);
            pool.extend(indices.by_ref().take(kept));
            // Last in, first out: the lowest index leaves first.
            pool.reverse();
            parts.push(Part { pool, counts: Array::new(frames as usize, choice)? });
        }
        parts.reverse();

        // Only the last batch made here is a short one, and cores give back full ones.
        let home = ArrayQueue::new(frames as usize / batch + 1);
        let frames_home = AtomicU32::new(0);
        let shared = Shared { arena, geometry, id, home, frames_home, parts: Mutex::new(parts) };
        let rest: Vec<u32> = indices.collect();
        for chunk in rest.chunks(batch) {
            shared.give_home(chunk);
        }
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The view of the next core; each is handed out once, `None` when all are.
    #[must_use]
    pub fn core(&self) -> Option<CoreArena> {
        let mut parts = self.shared.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Part { pool, counts } = parts.pop()?;
        Some(CoreArena::new(Arc::clone(&self.shared), pool, counts))
    }

    /// What it was made from.
    #[must_use]
    pub fn geometry(&self) -> FrameGeometry {
        self.shared.geometry
    }

    /// Which arena of the process it is.
    pub(super) fn id(&self) -> u16 {
        self.shared.id
    }

    /// The pages that were got.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.shared.arena.pages()
    }

    /// Frames in the home pool, as of about now.
    #[must_use]
    pub fn frames_home(&self) -> u32 {
        self.shared.frames_home.load(Ordering::Relaxed)
    }

    /// The first byte of frame 0, for a device to be told. Dereferencing it is the caller's to
    /// justify: only bytes of lent frames are the device's.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.shared.arena.as_ptr()
    }

    /// Bytes of the mapping, which is whole pages.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an arena is never empty")]
    pub fn len(&self) -> usize {
        self.shared.arena.len()
    }
}

impl fmt::Debug for FrameArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameArena")
            .field("id", &self.shared.id)
            .field("geometry", &self.shared.geometry)
            .field("pages", &self.pages())
            .field("frames_home", &self.frames_home())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Takes up to [`BATCH`] free indices into the home pool.
    pub(super) fn give_home(&self, indices: &[u32]) {
        let mut batch = Batch { len: 0, indices: [0; BATCH] };
        for (slot, index) in batch.indices.iter_mut().zip(indices) {
            *slot = *index;
            batch.len += 1;
        }
        // Counted first, so that the figure never falls below zero.
        self.frames_home.fetch_add(batch.len, Ordering::Relaxed);
        let given = self.home.push(batch);
        assert!(given.is_ok(), "the home pool has room for every frame of the arena");
    }

    /// Hands out one batch of the home pool, if it has any.
    pub(super) fn take_home(&self) -> Option<Batch> {
        let batch = self.home.pop()?;
        self.frames_home.fetch_sub(batch.len, Ordering::Relaxed);
        Some(batch)
    }
}

/// An id that no other arena of this process ever had.
fn next_id() -> Result<u16, ArenaError> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let one_more = |made| (made < FRAME_ARENAS_MAX).then_some(made + 1);
    MADE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .ok()
        .and_then(|made| u16::try_from(made).ok())
        .ok_or(ArenaError::ResourceArenaIds { made: FRAME_ARENAS_MAX })
}
