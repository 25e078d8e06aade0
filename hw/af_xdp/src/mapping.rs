//! Memory of the kernel's that this process sees: a ring's pages.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// One mapping of a socket's, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process and not to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes from `offset` of the socket, touched.
    pub(crate) fn new(socket: BorrowedFd<'_>, offset: i64, len: usize) -> Result<Self, Errno> {
        let length = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: no address is asked for, so no existing mapping is replaced.
        let base = unsafe { mmap(None, length, prot, flags, socket.as_fd(), offset) }?;
        Ok(Self { base: base.cast(), len })
    }

    /// The place of a `T`, or of `count` of them, at `offset`; `None` if they do not lie in the
    /// mapping or not aligned.
    pub(crate) fn place<T>(&self, offset: u64, count: usize) -> Option<NonNull<T>> {
        let offset = usize::try_from(offset).ok()?;
        let end = count.checked_mul(size_of::<T>())?.checked_add(offset)?;
        if end > self.len || !offset.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: `offset` is at most `len`, so the sum stays in or at the end of the mapping.
        Some(unsafe { self.base.add(offset) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, whole, and its rings are gone with their owner.
        let unmapped = unsafe { munmap(self.base.cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}
