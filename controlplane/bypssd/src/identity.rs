//! Which cluster and which epoch a switch that starts belongs to.
//!
//! The naive switch counts its starts in a file, and a lost file begins at one again: tokens of a
//! past that everybody remembers come back. Here the epoch is the time of day in milliseconds, which
//! goes on without a file; with `state_dir` it is also above the last one that was begun, so that a
//! clock which was set back does not matter. What clients have heard of is believed too, within a
//! day of the time of day. See ADR 13.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use crate::error::{Error, error_text};

/// The file with the highest epoch that was begun, in the folder of state.
const FILE: &str = "epoch";

/// The incarnation of a cluster that was never started anew: it follows from the name, so that a
/// switch that starts again is the same cluster to its clients.
pub(crate) fn incarnation_of(name: &str) -> [u8; 16] {
    let digest = Sha256::new().chain_update(b"bypss cluster 1\0").chain_update(name).finalize();
    let mut incarnation = [0; 16];
    incarnation.copy_from_slice(&digest[..16]);
    incarnation
}

/// 32 hexadecimal digits; zeros are what clients write for any cluster.
pub(crate) fn parse_incarnation(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u128::from_str_radix(text, 16).ok())?.filter(|n| *n != 0)?;
    Some(number.to_be_bytes())
}

/// The digits of one.
pub(crate) fn show_incarnation(incarnation: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*incarnation))
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    // A clock that stands before 1970 was never set, and says nothing.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Takes a folder of state for this process alone, as long as the value lives: two switches that
/// remember in one place are meant to be one, and would both grant.
pub(crate) fn take(folder: &Path) -> Result<File, Error> {
    let state = |wrong: String, right| Error::State { file: folder.to_owned(), wrong, right };
    let opened = File::open(folder).map_err(|error| {
        let wrong = format!("cannot be opened: {}", error_text(&error));
        state(wrong, "let bypssd's user read and write there")
    })?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(state(
            "another bypssd has it".to_owned(),
            "end that one first, or name another folder as state_dir",
        )),
        Err(TryLockError::Error(error)) => {
            let wrong = format!("cannot be locked: {}", error_text(&error));
            Err(state(wrong, "name a folder of a local file system as state_dir"))
        }
    }
}

/// Begins an epoch: above every one that `folder` remembers, and at least `least`, the time of day.
/// It is on the disk before anybody hears of it.
pub(crate) fn begin(folder: Option<&Path>, least: u64) -> Result<u64, Error> {
    let Some(folder) = folder else { return Ok(least) };
    let file = folder.join(FILE);
    let last = read(&file)?;
    let epoch = match last.map(|last| last.checked_add(1)) {
        None => least,
        Some(Some(next)) => least.max(next),
        Some(None) => {
            let wrong = "it is the last number that there is".to_owned();
            return Err(Error::State { file, wrong, right: "write the last epoch that was begun" });
        }
    };
    write(folder, &file, epoch).map_err(|error| Error::State {
        file: file.clone(),
        wrong: format!("cannot be written: {}", error_text(&error)),
        right: remedy(&error),
    })?;
    Ok(epoch)
}

/// What to do about a folder of state that takes no epoch. To go on without one is no remedy: it is
/// there for a clock that was set back.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, which may grow")]
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => "free space on its file system",
        io::ErrorKind::QuotaExceeded => "free space, or let bypssd's user have more",
        io::ErrorKind::ReadOnlyFilesystem => {
            "mount its file system for writing, or name another folder as state_dir"
        }
        _ => "let bypssd's user write there",
    }
}

fn read(file: &Path) -> Result<Option<u64>, Error> {
    let state = |wrong: String, right| Error::State { file: file.to_owned(), wrong, right };
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let wrong = format!("cannot be read: {}", error_text(&error));
            return Err(state(wrong, "let bypssd's user read it"));
        }
    };
    let epoch = text.trim_end().parse::<u64>();
    epoch.map(Some).map_err(|_error| {
        let wrong = "it is not one number".to_owned();
        state(wrong, "remove it if the time of day was never set back; else write the last epoch")
    })
}

/// Whole or not at all: beside it, to the disk, and then in its place.
fn write(folder: &Path, file: &Path, epoch: u64) -> io::Result<()> {
    let beside = folder.join("epoch.new");
    let written = File::create(&beside).and_then(|mut new| {
        writeln!(new, "{epoch}")?;
        new.sync_all()?;
        fs::rename(&beside, file)
    });
    if let Err(error) = written {
        // A part of an epoch is of no use to anybody; why it is one is what is told.
        fs::remove_file(&beside).ok();
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::errno::Errno;

    use super::*;

    #[test]
    fn an_incarnation_follows_from_the_name_and_is_read_as_it_is_shown() {
        let incarnation = incarnation_of("bypss");
        assert_eq!(incarnation, incarnation_of("bypss"));
        assert_ne!(incarnation, incarnation_of("other"));
        assert_eq!(parse_incarnation(&show_incarnation(&incarnation)), Some(incarnation));
        for wrong in ["", "0", "+1234567890123456789012345678901", &"0".repeat(32), &"g".repeat(32)]
        {
            assert_eq!(parse_incarnation(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn epochs_rise_with_the_file_also_when_the_time_of_day_was_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = Some(folder.path());
        assert_eq!(begin(path, 1_000).unwrap(), 1_000);
        assert_eq!(begin(path, 1_000).unwrap(), 1_001);
        assert_eq!(begin(path, 5).unwrap(), 1_002);
        assert_eq!(begin(path, 9_000).unwrap(), 9_000);
        assert_eq!(begin(None, 5).unwrap(), 5);
        assert!(!folder.path().join("epoch.new").exists());
    }

    #[test]
    fn an_epoch_that_is_not_written_leaves_nothing_behind_and_says_what_would_help() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("epoch");
        fs::create_dir_all(file.join("in the way")).unwrap();
        write(folder.path(), &file, 7).unwrap_err();
        assert!(!folder.path().join("epoch.new").exists());
        for (number, right) in [
            (Errno::ENOSPC, "free space on its file system"),
            (
                Errno::EROFS,
                "mount its file system for writing, or name another folder as state_dir",
            ),
            (Errno::EACCES, "let bypssd's user write there"),
        ] {
            assert_eq!(remedy(&number.into()), right);
        }
    }

    #[test]
    fn a_folder_is_taken_by_one_at_a_time_and_is_free_again_when_that_one_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let taken = take(folder.path()).unwrap();
        let error = take(folder.path()).unwrap_err();
        assert_eq!(error.code(), 3);
        assert!(error.to_string().contains("another bypssd has it; end that one"), "{error}");
        drop(taken);
        take(folder.path()).unwrap();
        assert!(take(&folder.path().join("gone")).unwrap_err().to_string().contains("opened"));
    }

    #[test]
    fn the_last_epoch_that_there_is_is_not_begun_twice() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("epoch"), u64::MAX.to_string()).unwrap();
        let error = begin(Some(folder.path()), 7).unwrap_err().to_string();
        assert!(error.contains("the last number that there is"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_epoch_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("epoch"), "seven\n").unwrap();
        let error = begin(Some(folder.path()), 7).unwrap_err();
        assert_eq!(
            (error.code(), fs::read(folder.path().join("epoch")).unwrap()),
            (3, b"seven\n".to_vec())
        );
        let gone = folder.path().join("gone");
        assert!(begin(Some(&gone), 7).unwrap_err().to_string().contains("cannot be written"));
    }
}
