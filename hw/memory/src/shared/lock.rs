//! Who holds a place: a lock that the kernel takes back when its process dies.
//!
//! It is a lock on an *open file description*: unlike `flock` it can be asked for without being
//! taken, so that a reader who looks never refuses a writer who starts.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::fcntl::{FcntlArg, fcntl};

use super::SharedError;
use crate::limits::LOCK_TRIES;

/// The lock, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// Open, and thereby locked.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock beside `place`, and makes the folder if it is missing.
    pub(super) fn take(place: &Path) -> Result<Self, SharedError> {
        let path = beside(place);
        let failed =
            |operation: &'static str| move |error| SharedError::of(place, operation, error);
        // Whoever ends takes the lock's file and the folder away: then the one that was locked
        // here is nobody's, and it begins anew.
        for _ in 0..LOCK_TRIES {
            if let Some(folder) = path.parent() {
                let mut builder = DirBuilder::new();
                let made = builder.recursive(true).mode(0o750).create(folder);
                made.map_err(|source| SharedError::of(folder, "make the folder", source))?;
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o640);
            let mut file = match options.custom_flags(libc::O_NOFOLLOW).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(SharedError::of(&path, "write", error)),
            };
            if let Err(errno) = fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
                let is_held = matches!(errno, nix::Error::EAGAIN | nix::Error::EACCES);
                return Err(if is_held {
                    SharedError::Held { path: place.to_path_buf(), pid: pid_in(&mut file) }
                } else {
                    failed("lock")(errno.into())
                });
            }
            if is_same(&file, &path) {
                write_pid(&mut file).map_err(failed("lock"))?;
                return Ok(Self { _file: file, path });
            }
        }
        Err(failed("lock")(io::Error::other("other processes come and go too fast")))
    }

    /// Takes the lock's file away, and the folder if nothing else is in it.
    pub(super) fn remove(&self) {
        // Done before, or by somebody else: either way it is gone.
        fs::remove_file(&self.path).ok();
        if let Some(folder) = self.path.parent() {
            // A folder with anything in it stays.
            fs::remove_dir(folder).ok();
        }
    }
}

/// Whether a living process holds `place`.
pub(super) fn is_held(place: &Path) -> Result<bool, SharedError> {
    let path = beside(place);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(SharedError::of(&path, "read", error)),
    };
    let mut asked = whole_file();
    fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked))
        .map_err(|errno| SharedError::of(&path, "examine the lock of", errno.into()))?;
    Ok(i32::from(asked.l_type) != libc::F_UNLCK)
}

/// A lock for writing over the whole file, whatever its length.
#[expect(clippy::cast_possible_truncation, reason = "libc's constants are wider than its fields")]
pub(super) fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

fn beside(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    place.with_file_name(name)
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
