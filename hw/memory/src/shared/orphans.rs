//! Words in memory whose folder is gone, and with it the link by which they are found.
//!
//! Such a file is nobody's if nobody holds its lock, which the kernel takes back from the dead and
//! which does not depend on who sees whose process numbers; if the process that its name tells of is
//! gone, since a writer that begins has no lock yet; and if no known link leads there, since a dead
//! gateway's last figures are kept until they are cleaned by name.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    sys::signal::kill,
    unistd::Pid,
};

use super::lock::whole_file;
use super::place::{MEMORY, PREFIX};
use crate::limits::ORPHANS_MAX;

/// Removes words in memory that nobody holds and to which none of `links` leads; which they were.
/// What this process has no right to is left.
#[must_use]
pub fn remove_orphans(links: &[PathBuf]) -> Vec<PathBuf> {
    remove_in(Path::new(MEMORY), links)
}

pub(super) fn remove_in(memory: &Path, links: &[PathBuf]) -> Vec<PathBuf> {
    let kept: Vec<PathBuf> = links.iter().filter_map(|link| fs::read_link(link).ok()).collect();
    let entries = fs::read_dir(memory).into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| writer(path).is_some_and(is_gone) && !kept.contains(path));
    paths.sort();
    paths.truncate(ORPHANS_MAX);
    paths.retain(|path| remove(path));
    paths
}

/// The process that has made a file of that name, if it is such a name.
fn writer(path: &Path) -> Option<Pid> {
    let (pid, nanos) = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split_once('.')?;
    u128::from_str_radix(nanos, 16).ok()?;
    pid.parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw)
}

fn is_gone(pid: Pid) -> bool {
    kill(pid, None) == Err(Errno::ESRCH)
}

/// Takes the file's lock, so that nobody holds it, and removes it.
fn remove(path: &Path) -> bool {
    let mut options = OpenOptions::new();
    // A pipe of that name must not block, and a link must not lead elsewhere.
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let Ok(file) = options.open(path) else { return false };
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    is_file
        && fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())).is_ok()
        && fs::remove_file(path).is_ok()
}
