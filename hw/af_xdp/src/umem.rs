//! How the frames of an arena lie in what the kernel calls UMEM.
//!
//! A chunk is a frame; the kernel's addresses are offsets into the arena. Each queue's socket
//! registers the whole arena by itself, although the kernel can share one registration between
//! sockets (`XDP_SHARED_UMEM`). Sharing saves 16 bytes of the kernel's memory a page and queue (a
//! page's pointer and its entry in a second mapping), beside some 120 bytes a *frame* that the
//! kernel keeps for each queue either way. For that little the sockets would have to be bound in
//! an order, and every one would inherit the first one's mode and flags instead of being asked for
//! its own. What it costs besides: locked memory is counted once for each queue.
//!
//! ```text
//!   frame   [ 256: the kernel's headroom | the rest of the arena's headroom | packet ...      ]
//!           0                           256                            max(256, headroom)
//! ```

use memory::FrameArena;

use crate::limits::KERNEL_HEADROOM;

/// Places of frames, and the arena that keeps them mapped.
#[derive(Clone, Debug)]
pub(crate) struct Umem {
    arena: FrameArena,
    frames: u32,
    frame_len: u32,
    shift: u32,
    /// What the kernel is told to leave free beyond its own headroom.
    headroom: u32,
}

impl Umem {
    pub(crate) fn new(arena: &FrameArena) -> Self {
        let geometry = arena.geometry();
        Self {
            frames: geometry.frames,
            frame_len: geometry.frame_len,
            shift: geometry.frame_len.trailing_zeros(),
            headroom: u32::from(geometry.headroom.saturating_sub(KERNEL_HEADROOM)),
            arena: arena.clone(),
        }
    }

    pub(crate) fn arena(&self) -> &FrameArena {
        &self.arena
    }

    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes registered.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.frames) << self.shift
    }

    /// Bytes of a received packet that one frame takes; zero if the headroom leaves none.
    pub(crate) fn room(&self) -> u32 {
        self.frame_len.saturating_sub(u32::from(KERNEL_HEADROOM) + self.headroom)
    }

    /// What the kernel is told.
    pub(crate) fn registration(&self) -> libc::xdp_umem_reg {
        libc::xdp_umem_reg {
            addr: self.arena.as_ptr().addr() as u64,
            len: self.len(),
            chunk_size: self.frame_len,
            headroom: self.headroom,
            flags: 0,
            tx_metadata_len: 0,
        }
    }

    /// The kernel's address of a byte of a frame.
    #[inline]
    pub(crate) fn address(&self, index: u32, offset: usize) -> u64 {
        (u64::from(index) << self.shift) + offset as u64
    }

    /// The frame and the byte in it that the kernel's address names. An address beyond the arena
    /// gives a frame that the arena does not have.
    #[inline]
    pub(crate) fn place(&self, address: u64) -> (u32, u32) {
        let index = u32::try_from(address >> self.shift).unwrap_or(u32::MAX);
        let offset = address & u64::from(self.frame_len - 1);
        (index, u32::try_from(offset).unwrap_or(u32::MAX))
    }

    /// Offset and length of what the kernel wrote, if it lies in a frame.
    #[inline]
    pub(crate) fn range(&self, offset: u32, len: u32) -> Option<(u16, u16)> {
        let end = offset.checked_add(len)?;
        if end > self.frame_len {
            return None;
        }
        Some((u16::try_from(offset).ok()?, u16::try_from(len).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use memory::{FrameArena, FrameGeometry, PageChoice};

    use super::Umem;

    fn umem(frame_len: u32, headroom: u16) -> Umem {
        let geometry =
            FrameGeometry { frames: 16, frame_len, headroom, cores: 1, reserve_per_core: 0 };
        Umem::new(&FrameArena::new(geometry, PageChoice::Base).unwrap())
    }

    #[test]
    fn a_received_frame_has_the_headroom_of_the_arena() {
        for (headroom, told, room) in
            [(0, 0, 1792), (128, 0, 1792), (256, 0, 1792), (300, 44, 1748)]
        {
            let umem = umem(2048, headroom);
            let registration = umem.registration();
            assert_eq!((registration.headroom, umem.room()), (told, room));
            assert_eq!((registration.len, registration.chunk_size), (16 * 2048, 2048));
        }
        assert_eq!(umem(4096, 0).room(), 3840);
        assert_eq!(umem(2048, 2047).room(), 1, "the kernel will refuse it or not; no wrap here");
    }

    #[test]
    fn addresses_and_places_are_each_others_inverse() {
        let umem = umem(4096, 256);
        for (index, offset) in [(0, 0), (0, 4095), (3, 256), (15, 14)] {
            let address = umem.address(index, offset as usize);
            assert_eq!(umem.place(address), (index, offset));
        }
        assert_eq!(umem.place(u64::MAX).0, u32::MAX, "no arena has that frame");
        assert_eq!(umem.place(16 * 4096).0, umem.frames(), "just beyond");
    }

    #[test]
    fn a_range_that_leaves_the_frame_is_none() {
        let umem = umem(2048, 256);
        assert_eq!(umem.range(256, 1792), Some((256, 1792)));
        assert_eq!(umem.range(256, 1793), None);
        assert_eq!(umem.range(2047, u32::MAX), None);
    }
}
