//! The system calls behind [`Arena`].

use std::{
    fs::{File, OpenOptions},
    mem::ManuallyDrop,
    num::NonZeroUsize,
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    sys::{
        mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap},
        resource::{RLIM_INFINITY, Resource, getrlimit},
        statfs::{HUGETLBFS_MAGIC, TMPFS_MAGIC, statfs},
    },
};

use super::ahead::Mapping;
use super::{Arena, ArenaError, PageChoice, Pages};
use crate::limits::{BASE_PAGE_LEN, HUGE_PAGE_LEN};

/// `len` bytes out of the kernel's pool of huge pages. The pool reserves them now, so no later
/// touch can fail for want of a page.
pub(super) fn huge(len: usize) -> Result<Arena, ArenaError> {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_HUGETLB | MapFlags::MAP_HUGE_2MB;
    match anonymous(len, flags) {
        Ok(base) => Ok(Arena { base, len, touched: 0, ahead: None, pages: Pages::Huge }),
        Err(source) => {
            let needed = len / HUGE_PAGE_LEN;
            Err(ArenaError::ResourceHugePages { len, needed, total: pool_total(needed), source })
        }
    }
}

/// `len` bytes that the kernel may back with huge pages of its own making.
pub(super) fn transparent(len: usize) -> Result<Arena, ArenaError> {
    partly_transparent(len, len)
}

/// `whole` bytes, the first `len` of which the kernel may back with huge pages of its own making;
/// the others are on base pages. Both are whole huge pages.
pub(super) fn partly_transparent(len: usize, whole: usize) -> Result<Arena, ArenaError> {
    let mut arena = accounted(aligned(whole)?, len)?;
    if len < whole {
        without_huge(&arena, len);
    }
    // SAFETY: the range is this arena's own mapping; the advice does not change its content.
    let advised = unsafe { madvise(arena.base.cast(), len, MmapAdvise::MADV_HUGEPAGE) };
    // A kernel without transparent pages answers EINVAL: then they are base pages, read back.
    if advised.is_ok() && first_page_is_huge(&mut arena) {
        arena.pages = Pages::Transparent;
    }
    Ok(arena)
}

/// `whole` bytes, the first `len` of which are out of the kernel's pool of huge pages, and reserved
/// there; the others are on base pages. Both are whole huge pages.
pub(super) fn partly_huge(len: usize, whole: usize) -> Result<Arena, ArenaError> {
    // Asked where it replaces nothing: a pool that is too small is common, and gives nothing up.
    drop(huge(len)?);
    let arena = aligned(whole)?;
    without_huge(&arena, 0);
    let flags = MapFlags::MAP_HUGETLB | MapFlags::MAP_HUGE_2MB;
    match replaced(arena, len, flags) {
        Ok(mut arena) => {
            arena.pages = Pages::Huge;
            Ok(arena)
        }
        Err(source) => {
            let needed = len / HUGE_PAGE_LEN;
            Err(ArenaError::ResourceHugePages { len, needed, total: pool_total(needed), source })
        }
    }
}

/// Replaces the first `len` bytes of an arena of reserved address space, all of which are unused, by
/// memory that the kernel counts as taken: whoever asks for more than there can be is told now.
fn accounted(arena: Arena, len: usize) -> Result<Arena, ArenaError> {
    replaced(arena, len, MapFlags::empty())
        .map_err(|source| ArenaError::ResourceMap { len, source })
}

/// Maps the first `len` bytes of an arena of reserved address space anew, all of which are unused.
/// Kernels take the old mapping away before they find that there is no new one. What another thread
/// maps in the meantime may lie there, so of an arena where this fails only the rest is unmapped.
fn replaced(arena: Arena, len: usize, flags: MapFlags) -> Result<Arena, Errno> {
    let length = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
    let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED | flags;
    let at = arena.base.addr();
    // SAFETY: the range is the beginning of this arena's own mapping (`len <= arena.len`, both whole
    // pages of the kind that is asked for), and nothing refers to it yet.
    let placed = unsafe { mmap_anonymous(Some(at), length, prot, flags) };
    match placed.and_then(|base| undumped(base.cast(), len)) {
        Ok(_base) => Ok(arena),
        Err(source) => {
            let arena = ManuallyDrop::new(arena);
            unmap_range(arena.base.as_ptr().wrapping_add(len), arena.len - len);
            Err(source)
        }
    }
}

/// Address space of `len` bytes, whole huge pages, that begins where a huge page may. Nothing of it
/// is counted as taken before it is touched.
fn aligned(len: usize) -> Result<Arena, ArenaError> {
    let refused = |source| ArenaError::ResourceMap { len, source };
    // One huge page more, so that an aligned start lies inside; the rest goes back.
    let whole = len.checked_add(HUGE_PAGE_LEN).ok_or(ArenaError::ConfigLen { len })?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    let start = anonymous(whole, flags).map_err(refused)?;
    let front = start.addr().get().next_multiple_of(HUGE_PAGE_LEN) - start.addr().get();
    unmap_range(start.as_ptr(), front);
    let base = start.as_ptr().wrapping_add(front);
    unmap_range(base.wrapping_add(len), HUGE_PAGE_LEN - front);
    let base = NonNull::new(base).ok_or(refused(Errno::ENOMEM))?;
    // From here on the arena owns the mapping, also when a later call fails.
    Ok(Arena { base, len, touched: 0, ahead: None, pages: Pages::Base })
}

/// Base pages from byte `start` of the arena on, also where the administrator set transparent pages
/// to `always`.
fn without_huge(arena: &Arena, start: usize) {
    let first = arena.base.as_ptr().wrapping_add(start);
    let (Some(first), Some(len)) = (NonNull::new(first), arena.len.checked_sub(start)) else {
        return;
    };
    // SAFETY: the range lies in this arena's own mapping; the advice does not change its content.
    let advised = unsafe { madvise(first.cast(), len, MmapAdvise::MADV_NOHUGEPAGE) };
    // EINVAL says that the kernel has no transparent pages at all, which is what was wanted.
    debug_assert!(matches!(advised, Ok(()) | Err(Errno::EINVAL)), "madvise: {advised:?}");
}

/// `whole` bytes, whole huge pages, that begin where a huge page may, on base pages. The first `len`
/// are counted as taken.
pub(super) fn base_aligned(len: usize, whole: usize) -> Result<Arena, ArenaError> {
    let arena = accounted(aligned(whole)?, len)?;
    without_huge(&arena, 0);
    Ok(arena)
}

/// `len` bytes of base pages.
pub(super) fn base(len: usize) -> Result<Arena, ArenaError> {
    let base = anonymous(len, MapFlags::MAP_PRIVATE)
        .map_err(|source| ArenaError::ResourceMap { len, source })?;
    let arena = Arena { base, len, touched: 0, ahead: None, pages: Pages::Base };
    without_huge(&arena, 0);
    Ok(arena)
}

/// `len` bytes of the file at `path`, shared.
pub(super) fn named(path: &Path, len: usize, choice: PageChoice) -> Result<Arena, ArenaError> {
    let failed = |operation| {
        move |source| ArenaError::ConfigFile { path: path.to_path_buf(), operation, source }
    };
    // Asked before the file is made, so that a refusal leaves none behind.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let place = if path.exists() { path } else { folder.unwrap_or(Path::new(".")) };
    let system = statfs(place).map_err(failed("examine the file system of"))?;
    let kind = system.filesystem_type();
    let (pages, len) = if kind == HUGETLBFS_MAGIC {
        let page = usize::try_from(system.block_size()).unwrap_or(HUGE_PAGE_LEN);
        (Pages::Huge, super::rounded(len, page)?)
    } else if kind != TMPFS_MAGIC {
        return Err(ArenaError::ConfigFileSystem { path: path.to_path_buf() });
    } else if choice == PageChoice::RequireHuge {
        return Err(ArenaError::ConfigNotHuge { path: path.to_path_buf() });
    } else {
        (Pages::Base, len)
    };

    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed("open")(errno(&error)))?;
    reserve(&file, path, len)?;

    let refused = |source| ArenaError::ResourceMap { len, source };
    let length = NonZeroUsize::new(len).ok_or(ArenaError::ConfigLen { len })?;
    let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: no address is asked for, so no existing mapping is replaced.
    let base = unsafe { mmap(None, length, prot, MapFlags::MAP_SHARED, file.as_fd(), 0) };
    let base = base.and_then(|base| undumped(base.cast(), len)).map_err(refused)?;
    Ok(Arena { base, len, touched: 0, ahead: None, pages })
}

/// The first `len` bytes of an open file, shared; never to be written unless `may_write`.
pub(crate) fn shared(file: &File, len: usize, may_write: bool) -> Result<Arena, Errno> {
    let len = len.checked_next_multiple_of(BASE_PAGE_LEN).ok_or(Errno::EINVAL)?;
    let length = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
    let write = if may_write { ProtFlags::PROT_WRITE } else { ProtFlags::PROT_NONE };
    let prot = ProtFlags::PROT_READ | write;
    // SAFETY: no address is asked for, so no existing mapping is replaced.
    let base = unsafe { mmap(None, length, prot, MapFlags::MAP_SHARED, file.as_fd(), 0) };
    Ok(Arena {
        base: undumped(base?.cast(), len)?,
        len,
        touched: 0,
        ahead: None,
        pages: Pages::Base,
    })
}

/// Gives the file its length and its memory, so that no later access is a bus error.
fn reserve(file: &File, path: &Path, len: usize) -> Result<(), ArenaError> {
    let failed = |operation| {
        move |source| ArenaError::ConfigFile { path: path.to_path_buf(), operation, source }
    };
    let found = file.metadata().map_err(|error| failed("examine")(errno(&error)))?.len();
    let wanted = u64::try_from(len).unwrap_or(u64::MAX);
    if found != 0 && found != wanted {
        return Err(ArenaError::ConfigFileLen { path: path.to_path_buf(), found, len });
    }
    let length = i64::try_from(len).map_err(|_too_long| ArenaError::ConfigLen { len })?;
    fallocate(file, FallocateFlags::empty(), 0, length).map_err(failed("reserve the memory of"))
}

/// Makes the kernel supply every page of `start..end`, without changing a byte.
pub(super) fn touch(arena: &mut Arena, start: usize, end: usize) -> Result<(), ArenaError> {
    let end = end.min(arena.len);
    let len = end - start;
    let first = arena.base.as_ptr().wrapping_add(start);
    // SAFETY: the range lies in this arena's own mapping (start < end <= len), and populating
    // changes no content.
    let populated = unsafe { libc::madvise(first.cast(), len, libc::MADV_POPULATE_WRITE) };
    match Errno::result(populated) {
        Ok(_) => Ok(()),
        // Kernels before 5.14 do not know the advice.
        Err(Errno::EINVAL) => {
            touch_by_hand(first, len);
            Ok(())
        }
        Err(source) => Err(ArenaError::ResourceTouch { len, source }),
    }
}

/// `len` bytes of address space, whole huge pages, where huge pages are made that are to be moved.
/// `None` where the kernel refuses.
pub(super) fn source(len: usize) -> Option<Arena> {
    let arena = aligned(len).ok()?;
    // SAFETY: the range is this arena's own mapping; the advice does not change its content.
    let advised = unsafe { madvise(arena.base.cast(), len, MmapAdvise::MADV_HUGEPAGE) };
    // A kernel without transparent pages answers EINVAL: base pages are moved then.
    debug_assert!(matches!(advised, Ok(()) | Err(Errno::EINVAL)), "madvise: {advised:?}");
    Some(arena)
}

/// Makes one huge page of a source present.
pub(super) fn touch_source(source: &Arena, page: usize) {
    // Not `madvise`, which would hold the whole address space for as long as the page is zeroed.
    touch_by_hand(source.base.as_ptr().wrapping_add(page * HUGE_PAGE_LEN), HUGE_PAGE_LEN);
}

/// Moves one huge page of a source to where page `to` of a mapping is, which nobody uses, and whose
/// memory is lost. On an error, whether the mapping still has its page.
pub(super) fn install(
    source: &Arena,
    page: usize,
    to: Mapping,
    to_page: usize,
) -> Result<(), bool> {
    let from = source.base.as_ptr().wrapping_add(page * HUGE_PAGE_LEN);
    let base = std::ptr::with_exposed_provenance_mut::<u8>(to.base.get());
    let Some(place) = NonNull::new(base.wrapping_add(to_page * HUGE_PAGE_LEN)) else {
        return Err(true);
    };
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    // SAFETY: both ranges are whole pages of mappings that outlive this call: the thread's own, to
    // which nobody has a reference, and the owner's, in a page that it neither shows nor touches
    // before it is told that this is over. The source stays mapped, and empty.
    let moved =
        unsafe { libc::mremap(from.cast(), HUGE_PAGE_LEN, HUGE_PAGE_LEN, flags, place.as_ptr()) };
    if moved == place.as_ptr().cast() {
        return Ok(());
    }
    // Kernels before 5.13 do not know all of these flags, and there may be too many mappings: both are
    // seen before the old page is taken away. Where it was taken all the same the hole is filled,
    // unless another thread's mapping is there by now.
    let length = NonZeroUsize::MIN.saturating_add(HUGE_PAGE_LEN - 1);
    let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
    // SAFETY: nothing that is mapped is replaced.
    match unsafe { mmap_anonymous(Some(place.addr()), length, prot, flags) } {
        Ok(base) if base.addr() == place.addr() => {
            let is_mapped = undumped(base.cast(), HUGE_PAGE_LEN).is_ok();
            if is_mapped {
                // SAFETY: the range was mapped here a moment ago; the advice changes no content.
                let advised =
                    unsafe { madvise(place.cast(), HUGE_PAGE_LEN, MmapAdvise::MADV_NOHUGEPAGE) };
                debug_assert!(matches!(advised, Ok(()) | Err(Errno::EINVAL)), "{advised:?}");
            }
            Err(is_mapped)
        }
        // A kernel before 4.17 puts it elsewhere where something is there.
        Ok(elsewhere) => {
            unmap_range(elsewhere.cast().as_ptr(), HUGE_PAGE_LEN);
            Err(true)
        }
        Err(errno) => Err(errno == Errno::EEXIST),
    }
}

/// Whether nothing bounds the address space of this process: a move that goes beyond a bound fails
/// when its place has been taken away.
pub(super) fn may_move() -> bool {
    [Resource::RLIMIT_AS, Resource::RLIMIT_DATA]
        .into_iter()
        .all(|resource| getrlimit(resource).is_ok_and(|(soft, _hard)| soft == RLIM_INFINITY))
}

/// Writes to every page, atomically, because a named mapping may have other writers.
fn touch_by_hand(first: *mut u8, len: usize) {
    for offset in (0..len).step_by(BASE_PAGE_LEN) {
        let address = first.wrapping_add(offset);
        // SAFETY: the word is page aligned and lies in a mapping of the caller's; nobody holds a
        // reference to it while the owner is `&mut`, and other mappings of a named file are
        // reached as words of the same size, atomically.
        let word = unsafe { AtomicU64::from_ptr(address.cast()) };
        // Not `fetch_or(0)`: compilers turn that into a mere load, which maps the zero page. A
        // failure says that another process wrote the word, so its page is there.
        let was = word.load(Ordering::Relaxed);
        let (Ok(_) | Err(_)) =
            word.compare_exchange(was, was, Ordering::Relaxed, Ordering::Relaxed);
    }
}

pub(super) fn unmap(arena: &mut Arena) {
    unmap_range(arena.base.as_ptr(), arena.len);
}

fn unmap_range(start: *mut u8, len: usize) {
    let (Some(start), true) = (NonNull::new(start), len > 0) else {
        return;
    };
    // SAFETY: callers pass whole pages of a mapping that they own and that nothing refers to.
    let unmapped = unsafe { munmap(start.cast(), len) };
    // It can fail only for a range that is not page aligned, which would be our own error.
    debug_assert!(unmapped.is_ok(), "munmap({start:p}, {len}): {unmapped:?}");
}

fn anonymous(len: usize, flags: MapFlags) -> Result<NonNull<u8>, Errno> {
    let length = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
    let prot = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: no address is asked for, so no existing mapping is replaced.
    let base = unsafe { mmap_anonymous(None, length, prot, flags) }?;
    undumped(base.cast(), len)
}

/// Keeps a new mapping out of core dumps: what peers have sent is nobody's to keep on a disk, and
/// a dump of all arenas would be as long as the machine's memory.
fn undumped(base: NonNull<u8>, len: usize) -> Result<NonNull<u8>, Errno> {
    // SAFETY: callers pass a whole mapping just made, and the advice does not change its content.
    let advised = unsafe { madvise(base.cast(), len, MmapAdvise::MADV_DONTDUMP) };
    if advised.is_err() {
        // Nobody else knows of it yet.
        unmap_range(base.as_ptr(), len);
    }
    advised.map(|()| base)
}

/// Touches one word of the first huge page and looks whether its far end came with it.
fn first_page_is_huge(arena: &mut Arena) -> bool {
    touch_by_hand(arena.base.as_ptr(), 1);
    let last = arena.base.as_ptr().wrapping_add(HUGE_PAGE_LEN - BASE_PAGE_LEN);
    let mut resident = 0_u8;
    // SAFETY: `last` is page aligned, its page lies in the mapping (which is a multiple of the
    // huge page), and one page is answered by one byte.
    let answer = unsafe { libc::mincore(last.cast(), BASE_PAGE_LEN, &raw mut resident) };
    answer == 0 && resident & 1 == 1
}

/// What `nr_hugepages` must be for `needed` more pages to be free.
fn pool_total(needed: usize) -> usize {
    let read = |name: &str| -> usize {
        let path = format!("/sys/kernel/mm/hugepages/hugepages-2048kB/{name}");
        std::fs::read_to_string(path).ok().and_then(|s| s.trim().parse().ok()).unwrap_or(0)
    };
    let spare = read("free_hugepages").saturating_sub(read("resv_hugepages"));
    read("nr_hugepages").saturating_sub(spare).saturating_add(needed)
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
