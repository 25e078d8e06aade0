//! Every bound of this crate, with its derivation.

/// Bytes of a base page. 64-bit Linux also knows 16 KiB and 64 KiB pages; touching every 4 KiB
/// touches those as well, and every length is rounded up to [`HUGE_PAGE_LEN`] or to what the
/// kernel rounds by itself.
pub(crate) const BASE_PAGE_LEN: usize = 4096;

/// Bytes of a huge page: the size that x86-64 and 4 KiB-page arm64 have in common.
pub(crate) const HUGE_PAGE_LEN: usize = 2 << 20;

/// Bytes of an arena that grows below which nobody goes ahead: a huge page would be up to two
/// megabytes more than was asked for, and of small arenas there may be hundreds. One that cannot
/// become so large has no thread either.
pub(crate) const AHEAD_MIN: usize = 4 * HUGE_PAGE_LEN;

/// How often in a process the owner of a mapping may take a huge page that a thread is making. Each
/// time leaves two more mappings with the kernel, which allows a process some 65,000. Threads that
/// lose a race beyond it end, and what comes is on base pages.
pub(crate) const RACES_LOST_MAX: usize = 1 << 14;

/// Indices in one batch of the home pool, at most: small arenas use smaller batches. 64 is one
/// receive burst, so a core exchanges about once per burst, and a batch is four cache lines.
pub(crate) const BATCH: usize = 64;

/// Free frames a core keeps above its reserve, at most, before it gives any back: eight bursts, so
/// that rings of ordinary size breathe without an exchange.
pub(crate) const POOL_KEPT: usize = 8 * BATCH;

/// References one frame may have on its core. One less than [`LENT`].
pub(crate) const REFERENCES_MAX: u16 = u16::MAX - 1;

/// The count of a frame whose bytes belong to a device.
pub(crate) const LENT: u16 = u16::MAX;

/// Arenas of frames in one process: their ids fill a `u16` and are never used twice.
pub(crate) const FRAME_ARENAS_MAX: u32 = 1 << 16;

/// How often a process begins anew when the lock's file of a shared file vanishes under it. Each
/// time another process must have ended in between; three in a row is chance enough.
pub(crate) const LOCK_TRIES: usize = 8;

const _: () = assert!(HUGE_PAGE_LEN.is_multiple_of(BASE_PAGE_LEN));
const _: () = assert!(LENT > REFERENCES_MAX);

/// Files in memory that are removed at once, where nobody knows their folder any more: so many
/// gateways may have been killed between two times that somebody cleans.
pub(crate) const ORPHANS_MAX: usize = 1 << 12;
