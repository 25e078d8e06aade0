//! A file of words that one process writes and others read while it runs.
//!
//! The naive design writes the figures into a file, or answers for them on a socket. Then the
//! reader gets half a line, or nothing at all exactly when the process is in trouble. A mapped
//! file is read without asking anybody, also after its writer has died.
//!
//! ```text
//! folder/stats.lock   locked while the writer lives; the kernel unlocks it when it dies
//! folder/stats        the words: a file, or a link to one in memory
//! ```
//!
//! A new writer fills a new file and renames it over the old one, so that nobody ever sees half a
//! layout, and whoever still maps the old file keeps it whole.
//!
//! The words lie in memory even where the folder does not: the kernel write-protects the pages of
//! a disk's file each time it writes them back, and the next store then waits for the disk. On
//! such a folder the file goes to `/dev/shm` and the folder gets a link to it.

mod error;
mod lock;
mod orphans;
mod place;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

pub use error::SharedError;
pub use orphans::remove_orphans;

use self::{lock::Lock, place::Staged};
use crate::arena::{Arena, map_shared};

/// A file of words and the right to write it, until it is dropped.
#[derive(Debug)]
pub struct SharedFile {
    arena: Arena,
    /// Words of the file; the mapping is rounded up to whole pages.
    len: usize,
    staged: Staged,
    is_published: AtomicBool,
    is_removed: AtomicBool,
    // The last field: what is removed is removed under the lock.
    lock: Lock,
}

impl SharedFile {
    /// Takes the place `path` and makes `len` zeroed words for it, in memory that is there
    /// already. Folders that are missing are made (mode 0750; the file gets 0640). Nobody
    /// sees the words before [`SharedFile::publish`].
    ///
    /// # Errors
    ///
    /// Another living process holds the place, the folder or the file cannot be made, or there is
    /// no memory.
    pub fn create(path: &Path, len: usize) -> Result<Self, SharedError> {
        let lock = Lock::take(path)?;
        let bytes = len.saturating_mul(size_of::<u64>());
        let made = Staged::make(path, bytes)
            .and_then(|staged| staged.map(bytes).map(|arena| (arena, staged)))
            .inspect_err(|_error| lock.remove());
        let (arena, staged) = made?;
        let (is_published, is_removed) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { arena, len, staged, is_published, is_removed, lock })
    }

    /// Shows the words to readers, in place of what a dead writer left there.
    ///
    /// # Errors
    ///
    /// The kernel refuses to rename the file.
    pub fn publish(&self) -> Result<(), SharedError> {
        self.staged.publish()?;
        self.is_published.store(true, Ordering::Release);
        Ok(())
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        &self.arena.words()[..self.len]
    }

    /// Where readers find the words.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Whether the words lie on a disk, since this machine has no memory file system at
    /// `/dev/shm`: then a store may wait for the disk.
    #[must_use]
    pub fn is_on_disk(&self) -> bool {
        self.staged.is_on_disk()
    }

    /// Takes the file away, and its folder if that is empty. Whoever maps it keeps what was
    /// written. The place stays taken until the value is dropped. Happens once; dropping the value
    /// does it too.
    pub fn remove(&self) {
        // The second time the names may be a successor's.
        if !self.is_removed.swap(true, Ordering::AcqRel) {
            self.staged.remove(self.is_published.load(Ordering::Acquire));
            self.lock.remove();
        }
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A file of words as a reader maps it. It is never written through this.
pub struct SharedView {
    arena: Arena,
    /// Words of the file; the mapping is rounded up to whole pages.
    len: usize,
    path: PathBuf,
    identity: (u64, u64),
}

impl SharedView {
    /// Maps the file at `path`, which has at most `len_max` bytes.
    ///
    /// Only its owner can shorten the file afterwards; a reader that then reads beyond its end is
    /// ended by the kernel (SIGBUS).
    ///
    /// # Errors
    ///
    /// There is no such file, it cannot be read, or it is empty, too long or no file of words.
    pub fn open(path: &Path, len_max: usize) -> Result<Self, SharedError> {
        let (arena, len, identity) = map_existing(path, len_max, Access::Read)?;
        Ok(Self { arena, len, path: path.to_path_buf(), identity })
    }

    /// How many words there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an empty file is refused")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads one word, relaxed. Order it against other loads with fences: memory that is mapped
    /// for reading allows no other atomic operation.
    ///
    /// # Panics
    ///
    /// If `index` is no word of the file.
    #[inline]
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        assert!(index < self.len, "word {index} of {}", self.len);
        self.arena.words()[index].load(Ordering::Relaxed)
    }

    /// Whether the path still leads to this file: a new writer puts another one there, one that
    /// ends well takes it away.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let found = std::fs::metadata(&self.path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Whether a living process holds the place. A writer that dies, however it dies, holds it no
    /// longer.
    ///
    /// # Errors
    ///
    /// The lock cannot be looked at.
    pub fn is_held(&self) -> Result<bool, SharedError> {
        lock::is_held(&self.path)
    }
}

impl fmt::Debug for SharedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedView").field("path", &self.path).field("words", &self.len).finish()
    }
}

/// A file of words as somebody maps it who does not own it, but may write into the parts that the
/// layout gives to readers.
#[derive(Debug)]
pub struct SharedGuest {
    arena: Arena,
    len: usize,
}

impl SharedGuest {
    /// Maps the file at `path`, which has at most `len_max` bytes.
    ///
    /// # Errors
    ///
    /// As [`SharedView::open`], and it cannot be written.
    pub fn open(path: &Path, len_max: usize) -> Result<Self, SharedError> {
        let (arena, len, _identity) = map_existing(path, len_max, Access::Write)?;
        Ok(Self { arena, len })
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        &self.arena.words()[..self.len]
    }
}

/// What a mapping is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

fn map_existing(
    path: &Path,
    len_max: usize,
    access: Access,
) -> Result<(Arena, usize, (u64, u64)), SharedError> {
    let operation = match access {
        Access::Read => "read",
        Access::Write => "write",
    };
    // A pipe of that name must not block the reader for ever.
    let file = OpenOptions::new()
        .read(true)
        .write(access == Access::Write)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|source| SharedError::of(path, operation, source))?;
    let found = file.metadata().map_err(|source| SharedError::of(path, "examine", source))?;
    let len = usize::try_from(found.len()).unwrap_or(usize::MAX);
    if !found.is_file() || len == 0 || len > len_max || !len.is_multiple_of(size_of::<u64>()) {
        return Err(SharedError::NoWords { path: path.to_path_buf(), len: found.len(), len_max });
    }
    let arena = map(&file, path, len, access)?;
    Ok((arena, len / size_of::<u64>(), (found.dev(), found.ino())))
}

fn map(file: &File, path: &Path, len: usize, access: Access) -> Result<Arena, SharedError> {
    map_shared(file, len, access == Access::Write)
        .map_err(|errno| SharedError::of(path, "map", io::Error::from(errno)))
}
