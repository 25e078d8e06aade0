//! Where the words lie: a file under another name until it is published, in memory if possible.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{
    fcntl::{FallocateFlags, FcntlArg, fallocate, fcntl},
    sys::statfs::{TMPFS_MAGIC, statfs},
};

use super::lock::whole_file;
use super::{Access, SharedError};
use crate::arena::Arena;

/// The folder of memory that every Linux has.
pub(super) const MEMORY: &str = "/dev/shm";

/// How the names of files in [`MEMORY`] begin, so that a successor knows what it may remove.
pub(super) const PREFIX: &str = "abele.";

/// A file of words that is being made or has been published.
#[derive(Debug)]
pub(super) struct Staged {
    /// Where readers find it.
    path: PathBuf,
    /// What will be renamed to it: the file, or the link.
    staged: PathBuf,
    /// The file, where that is another one.
    target: Option<PathBuf>,
    is_on_disk: bool,
    file: File,
}

impl Staged {
    pub(super) fn make(path: &Path, len: usize) -> Result<Self, SharedError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let staged = path.with_extension(format!("{}.new", std::process::id()));
        // What a process of the same number left, which died before it published.
        fs::remove_file(&staged).ok();

        let in_memory = is_memory(folder);
        let target = (!in_memory && is_memory(Path::new(MEMORY))).then(name_in_memory);
        let is_on_disk = !in_memory && target.is_none();
        let file = create(target.as_deref().unwrap_or(&staged), len)?;
        let made = Self { path: path.to_path_buf(), staged, target, is_on_disk, file };
        if let Some(target) = &made.target
            && let Err(source) = symlink(target, &made.staged)
        {
            made.remove(false);
            return Err(SharedError::of(&made.staged, "link", source));
        }
        Ok(made)
    }

    pub(super) fn map(&self, len: usize) -> Result<Arena, SharedError> {
        let mut arena = super::map(&self.file, &self.path, len, Access::Write)
            .inspect_err(|_error| self.remove(false))?;
        arena.touch_all().map_err(|error| {
            self.remove(false);
            SharedError::of(&self.path, "touch the memory of", io::Error::other(error))
        })?;
        Ok(arena)
    }

    pub(super) fn publish(&self) -> Result<(), SharedError> {
        let old = stale_target(&self.path);
        fs::rename(&self.staged, &self.path)
            .map_err(|source| SharedError::of(&self.path, "publish", source))?;
        if let Some(old) = old {
            // Whoever maps it keeps it; if it cannot be removed, it is only litter.
            fs::remove_file(old).ok();
        }
        Ok(())
    }

    pub(super) fn remove(&self, was_published: bool) {
        let name = if was_published { &self.path } else { &self.staged };
        // Gone already is as good.
        fs::remove_file(name).ok();
        if let Some(target) = &self.target {
            fs::remove_file(target).ok();
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.is_on_disk
    }
}

fn is_memory(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC)
}

/// A name that nobody has. Everybody may write to the folder: `create` refuses one that is taken.
fn name_in_memory() -> PathBuf {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Path::new(MEMORY).join(format!("{PREFIX}{}.{nanos:x}", std::process::id()))
}

/// The file that a dead writer's link leads to.
fn stale_target(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    let is_ours = target.parent() == Some(Path::new(MEMORY))
        && target.file_name()?.to_str()?.starts_with(PREFIX);
    is_ours.then_some(target)
}

/// A new file with its length and its memory, so that no later access is a bus error.
fn create(path: &Path, len: usize) -> Result<File, SharedError> {
    let failed = |operation| move |source| SharedError::of(path, operation, source);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o640);
    let file = options.custom_flags(libc::O_NOFOLLOW).open(path).map_err(failed("make"))?;
    // While the writer lives nobody takes the words for an orphan's; where there are no locks, its
    // process number says that it lives.
    fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())).ok();
    let reserve = || {
        // The process's umask may have taken the group's right to read away.
        file.set_permissions(Permissions::from_mode(0o640))?;
        let length = i64::try_from(len).map_err(|_too_long| io::ErrorKind::InvalidInput)?;
        fallocate(&file, FallocateFlags::empty(), 0, length).map_err(io::Error::from)
    };
    if let Err(source) = reserve() {
        fs::remove_file(path).ok();
        return Err(failed("reserve the memory of")(source));
    }
    Ok(file)
}
