//! What miri sees instead of the system calls: aligned, zeroed memory of the heap.

use std::{alloc::Layout, path::Path, ptr::NonNull};

use nix::errno::Errno;

use super::ahead::Mapping;
use super::{Arena, ArenaError, PageChoice, Pages};
use crate::limits::{BASE_PAGE_LEN, HUGE_PAGE_LEN};

pub(super) fn huge(len: usize) -> Result<Arena, ArenaError> {
    let needed = len / HUGE_PAGE_LEN;
    Err(ArenaError::ResourceHugePages { len, needed, total: needed, source: Errno::ENOMEM })
}

pub(super) fn transparent(len: usize) -> Result<Arena, ArenaError> {
    base(len)
}

pub(super) fn partly_huge(len: usize, _whole: usize) -> Result<Arena, ArenaError> {
    huge(len)
}

pub(super) fn partly_transparent(_len: usize, whole: usize) -> Result<Arena, ArenaError> {
    base(whole)
}

pub(super) fn base_aligned(_len: usize, whole: usize) -> Result<Arena, ArenaError> {
    base(whole)
}

pub(super) fn source(_len: usize) -> Option<Arena> {
    None
}

pub(super) fn may_move() -> bool {
    false
}

pub(super) fn touch_source(_source: &Arena, _page: usize) {}

pub(super) fn install(_source: &Arena, _page: usize, _to: Mapping, _at: usize) -> Result<(), bool> {
    Err(true)
}

pub(super) fn base(len: usize) -> Result<Arena, ArenaError> {
    let layout = Layout::from_size_align(len, BASE_PAGE_LEN);
    let layout = layout.map_err(|_too_long| ArenaError::ConfigLen { len })?;
    // SAFETY: callers have refused a length of zero.
    let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) });
    let base = base.ok_or(ArenaError::ResourceMap { len, source: Errno::ENOMEM })?;
    Ok(Arena { base, len, touched: 0, ahead: None, pages: Pages::Base })
}

pub(super) fn named(path: &Path, _len: usize, _choice: PageChoice) -> Result<Arena, ArenaError> {
    Err(ArenaError::ConfigFileSystem { path: path.to_path_buf() })
}

#[allow(clippy::unnecessary_wraps, reason = "the face of the real one")]
pub(super) fn touch(_arena: &mut Arena, _start: usize, _end: usize) -> Result<(), ArenaError> {
    Ok(())
}

pub(super) fn unmap(arena: &mut Arena) {
    let layout = Layout::from_size_align(arena.len, BASE_PAGE_LEN).expect("it was allocated so");
    // SAFETY: `base` allocated exactly this layout, and the arena is its only owner.
    unsafe { std::alloc::dealloc(arena.base.as_ptr(), layout) };
}
