//! One mapping: anonymous, or a named file on hugetlbfs or tmpfs.

mod ahead;
mod error;
#[cfg_attr(miri, path = "arena/heap.rs")]
mod map;
#[cfg(test)]
mod tests;

use std::{fmt, num::NonZeroUsize, path::Path, ptr::NonNull, sync::atomic::AtomicU64};

use nix::errno::Errno;

use self::ahead::{Ahead, Broken, Mapping};

pub use error::ArenaError;
#[cfg(not(miri))]
pub(crate) use map::shared as map_shared;

use crate::limits::{BASE_PAGE_LEN, HUGE_PAGE_LEN};

/// The pages that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageChoice {
    /// Huge pages of the pool, else transparent ones, else base pages. A mapping under 2 MiB
    /// takes base pages.
    Best,
    /// Huge pages of the pool, whatever the length, or an error.
    RequireHuge,
    /// Base pages.
    Base,
}

/// The pages that were got, read back from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// 2 MiB pages of the kernel's pool (hugetlbfs).
    Huge,
    /// 2 MiB pages that the kernel made of free memory. Read back on the first of them: later
    /// ones may be missing where memory is fragmented.
    Transparent,
    /// Pages of the machine's base size.
    Base,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Huge => "huge pages (hugetlb, 2 MiB)",
            Self::Transparent => "transparent huge pages (2 MiB)",
            Self::Base => "base pages",
        })
    }
}

/// One mapping, zeroed when anonymous, page aligned, left out of core dumps, unmapped on drop.
///
/// It hands out no `&[u8]`: a named mapping is shared with other processes, which may write at
/// any time. [`Arena::words`] reads and writes it as atomics; [`Array`](crate::Array),
/// [`Slab`](crate::Slab) and [`FrameArena`](crate::FrameArena) own anonymous arenas of their own.
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    /// Bytes mapped: what was asked for, rounded up to whole pages.
    len: usize,
    touched: usize,
    /// Who touches what comes next, if somebody does.
    ahead: Option<Ahead>,
    pages: Pages,
}

// SAFETY: the mapping belongs to the process, not to a thread, and the arena is its only owner.
unsafe impl Send for Arena {}
// SAFETY: through `&Arena` memory is reached only as atomics.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps `len` bytes of zeroed memory that no file stands behind.
    ///
    /// The memory is reserved, not touched: see [`Arena::touch_all`].
    ///
    /// # Errors
    ///
    /// The length is zero or absurd, the kernel has not the memory, or it has not the huge pages
    /// that were required.
    pub fn anonymous(len: usize, choice: PageChoice) -> Result<Self, ArenaError> {
        let huge_len = rounded(len, HUGE_PAGE_LEN)?;
        let base_len = rounded(len, BASE_PAGE_LEN)?;
        match choice {
            PageChoice::RequireHuge => map::huge(huge_len),
            PageChoice::Best if len >= HUGE_PAGE_LEN => {
                map::huge(huge_len).or_else(|_no_pool| map::transparent(huge_len))
            }
            PageChoice::Best | PageChoice::Base => map::base(base_len),
        }
    }

    /// Maps `len_max` bytes of zeroed memory of which the first `len` are on the pages of `choice`.
    /// Of those beyond `len` only address space is taken, however much there is. Unless base pages
    /// were chosen, a thread makes them present before they are needed, on huge pages where it can,
    /// once there are some megabytes; what is touched before it has come is on base pages. The thread
    /// begins here, and sleeps until it is asked.
    pub(crate) fn growable(
        len: usize,
        len_max: usize,
        choice: PageChoice,
    ) -> Result<Self, ArenaError> {
        let huge_len = rounded(len.max(1), HUGE_PAGE_LEN)?;
        let base_len = rounded(len.max(1), BASE_PAGE_LEN)?;
        let whole = rounded(len_max, HUGE_PAGE_LEN)?;
        let mut arena = match choice {
            PageChoice::RequireHuge => map::partly_huge(huge_len, whole)?,
            PageChoice::Best if len >= HUGE_PAGE_LEN => map::partly_huge(huge_len, whole)
                .or_else(|_no_pool| map::partly_transparent(huge_len, whole))?,
            PageChoice::Best => map::base_aligned(base_len, whole)?,
            PageChoice::Base => return map::base_aligned(base_len, whole),
        };
        let base = NonZeroUsize::new(arena.base.as_ptr().expose_provenance());
        let mapping = base.map(|base| Mapping { base, len: arena.len });
        // Miri's memory is all present.
        arena.ahead = mapping.filter(|_mapping| cfg!(not(miri))).map(Ahead::new);
        Ok(arena)
    }

    /// Maps `len` bytes of the file at `path`, which lies on hugetlbfs or tmpfs, shared with every
    /// process that maps it. The file is made if it is missing; its memory is reserved at once.
    ///
    /// The file system decides the pages; [`PageChoice::RequireHuge`] refuses tmpfs.
    ///
    /// # Errors
    ///
    /// The file cannot be opened or given its length, it has another length already, it lies on
    /// another file system, or the memory is not there.
    pub fn named(path: &Path, len: usize, choice: PageChoice) -> Result<Self, ArenaError> {
        map::named(path, rounded(len, BASE_PAGE_LEN)?, choice)
    }

    /// Bytes mapped: what was asked for, rounded up to whole pages.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an arena is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The pages that were got.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// The first byte, for devices and for the owners in this crate. Dereferencing it is theirs
    /// to justify.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Touches every page, so that no later access waits for the kernel.
    ///
    /// # Errors
    ///
    /// The kernel cannot supply a page.
    pub fn touch_all(&mut self) -> Result<(), ArenaError> {
        self.touch_to(self.len)
    }

    /// Touches the pages of the first `len` bytes that are not touched yet. The cost is that of
    /// the pages in between: call it in steps as large as the caller may wait.
    ///
    /// # Errors
    ///
    /// The kernel cannot supply a page.
    ///
    /// # Panics
    ///
    /// If `len` is more than is mapped.
    pub fn touch_to(&mut self, len: usize) -> Result<(), ArenaError> {
        assert!(len <= self.len, "touch_to {len} of {} bytes", self.len);
        let end = len.next_multiple_of(BASE_PAGE_LEN);
        if end > self.touched {
            let own = match &mut self.ahead {
                Some(ahead) => ahead.take(self.touched, end).map_err(|Broken| {
                    ArenaError::ResourceTouch { len: end - self.touched, source: Errno::ENOMEM }
                })?,
                None => [self.touched..end, end..end],
            };
            for part in own.into_iter().filter(|part| !part.is_empty()) {
                map::touch(self, part.start, part.end)?;
            }
            self.touched = end;
        }
        Ok(())
    }

    /// Asks for the first `len` bytes, or as many as there are, to be made present by another thread.
    /// Whether they are. `None`: what comes next is this one's to touch.
    pub(crate) fn ask_ahead(&mut self, len: usize) -> Option<bool> {
        let len = len.min(self.len);
        self.ahead.as_mut()?.ask(self.touched, len)
    }

    /// The whole mapping as 64-bit atomics, which is sound whoever else maps the file.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        let count = self.len / size_of::<AtomicU64>();
        let first = self.base.as_ptr().cast::<AtomicU64>().cast_const();
        // SAFETY: the mapping is page aligned, `len` bytes long, initialised (zeroed, or a file),
        // and lives as long as `self`. Every access through an Arena is atomic.
        unsafe { std::slice::from_raw_parts(first, count) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.end();
        }
        map::unmap(self);
    }
}

/// Bytes of memory that [`PageChoice::Best`] takes for `len` bytes where the machine has huge pages.
#[must_use]
pub fn len_on_pages(len: u64) -> u64 {
    let page = if len < HUGE_PAGE_LEN as u64 { BASE_PAGE_LEN } else { HUGE_PAGE_LEN };
    len.next_multiple_of(page as u64)
}

/// `len` rounded up to whole pages of `page` bytes.
fn rounded(len: usize, page: usize) -> Result<usize, ArenaError> {
    match len.checked_next_multiple_of(page) {
        Some(whole) if len > 0 && isize::try_from(whole).is_ok() => Ok(whole),
        Some(_) | None => Err(ArenaError::ConfigLen { len }),
    }
}
