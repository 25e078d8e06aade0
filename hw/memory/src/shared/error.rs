//! Why a file of words was not had, and what mends it.

use std::{io, path::Path, path::PathBuf};

/// Why a file of words was not had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "fields are named in the messages")]
pub enum SharedError {
    /// There is no such file.
    #[error("there is no {}", path.display())]
    Missing { path: PathBuf },

    /// The rights are missing.
    #[error(
        "no right to {operation} {path}; see `ls -ld` of it and of its folder, or do it as its \
         owner or as root", path = path.display()
    )]
    NotPermitted { path: PathBuf, operation: &'static str },

    /// Another living process holds the place.
    #[error(
        "{path} is held by another process{}; end that one first, or take another name",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path = path.display()
    )]
    Held { path: PathBuf, pid: Option<u32> },

    /// The file is no file of words.
    #[error(
        "{path} has {len} bytes and is no file of 8 to {len_max} bytes in words of 8",
        path = path.display()
    )]
    NoWords { path: PathBuf, len: u64, len_max: usize },

    /// The kernel refused something else.
    #[error("cannot {operation} {path}: {source}", path = path.display())]
    System { path: PathBuf, operation: &'static str, source: io::Error },
}

impl SharedError {
    pub(super) fn of(path: &Path, operation: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        let kind = source.kind();
        if kind == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::NotPermitted { path, operation }
        } else {
            Self::System { path, operation, source }
        }
    }
}
