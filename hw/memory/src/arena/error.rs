//! Why a mapping was refused, and what mends it.

use std::path::PathBuf;

use nix::errno::Errno;

use crate::frame::GeometryError;

/// Why memory was not had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum ArenaError {
    /// Zero bytes, or more than an address space holds.
    #[error("a mapping of {len} bytes is impossible; ask for 1 to 2^63 - 1 bytes")]
    ConfigLen { len: usize },

    /// The pool has not enough huge pages left.
    #[error(
        "{len} bytes need {needed} free huge pages of 2 MiB, and the kernel's pool has not as many \
         ({source}); mend it with: echo {total} > /proc/sys/vm/nr_hugepages"
    )]
    ResourceHugePages { len: usize, needed: usize, total: usize, source: Errno },

    /// The kernel refused the mapping.
    #[error(
        "cannot map {len} bytes ({source}); see `free -m`, `ulimit -v` and, for ENOMEM, \
         /proc/sys/vm/max_map_count and overcommit_memory"
    )]
    ResourceMap { len: usize, source: Errno },

    /// A page could not be supplied.
    #[error(
        "cannot touch {len} bytes of the mapping ({source}); the machine or the cgroup is short of \
         memory: see `free -m` and memory.max, or plan fewer records and frames"
    )]
    ResourceTouch { len: usize, source: Errno },

    /// The file of a named mapping cannot be had.
    #[error(
        "cannot {operation} {path} ({source}); see `ls -l` and `df` of its folder",
        path = path.display()
    )]
    ConfigFile { path: PathBuf, operation: &'static str, source: Errno },

    /// The file lies where memory must not.
    #[error(
        "{path} lies on neither hugetlbfs nor tmpfs; name a file in /dev/shm, or mount huge pages \
         with: mount -t hugetlbfs none /dev/hugepages", path = path.display()
    )]
    ConfigFileSystem { path: PathBuf },

    /// Huge pages were required of a tmpfs.
    #[error(
        "{path} lies on tmpfs, but huge pages are required; name a file in /dev/hugepages, \
         which is mounted with: mount -t hugetlbfs none /dev/hugepages", path = path.display()
    )]
    ConfigNotHuge { path: PathBuf },

    /// The file belongs to another plan.
    #[error(
        "{path} has {found} bytes, not {len}; if nothing uses it, mend it with: rm {path}",
        path = path.display()
    )]
    ConfigFileLen { path: PathBuf, found: u64, len: usize },

    /// The frames cannot be laid out as asked.
    #[error(transparent)]
    ConfigGeometry(#[from] GeometryError),

    /// Too many arenas of frames were made in the life of this process.
    #[error("this process has made {made} frame arenas already, and ids are never used twice")]
    ResourceArenaIds { made: u32 },
}
