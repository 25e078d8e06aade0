//! Where a tools' file lies.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{error::WriterError, limits::TEXT_LEN_MAX};

/// The folder of all instances that root starts.
pub const SYSTEM_FOLDER: &str = "/run/abele";

/// The name of the file in its instance's folder.
pub const FILE_NAME: &str = "stats";

/// The name of the socket beside it, at which a gateway is asked to change something: one line,
/// `reload`, is answered with the exit code of who asks and with text for people.
pub const CONTROL_NAME: &str = "control";

/// The folders in which instances have theirs, in the order in which they are tried: `/run/abele`,
/// then `abele` in `$XDG_RUNTIME_DIR`, which is passed in.
#[must_use]
pub fn folders(xdg_runtime_dir: Option<&OsStr>) -> Vec<PathBuf> {
    // The specification of these folders tells to ignore what is not absolute.
    let own = xdg_runtime_dir.map(Path::new).filter(|folder| folder.is_absolute());
    [PathBuf::from(SYSTEM_FOLDER)].into_iter().chain(own.map(|own| own.join("abele"))).collect()
}

/// The tools' file of `instance` in one of the [`folders`].
///
/// # Errors
///
/// The name is no folder's, or too long.
pub fn path(folder: &Path, instance: &str) -> Result<PathBuf, WriterError> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = (1..=TEXT_LEN_MAX).contains(&instance.len())
        && !instance.starts_with('.')
        && instance.bytes().all(is_letter);
    if !is_name {
        return Err(WriterError::ConfigInstance { name: instance.to_owned(), max: TEXT_LEN_MAX });
    }
    Ok(folder.join(instance).join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_lies_under_run_or_in_the_users_own_folder() {
        let shown = |xdg: Option<&str>| {
            let folders = folders(xdg.map(OsStr::new));
            let paths = folders.iter().map(|folder| path(folder, "lab").unwrap());
            paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(None), "/run/abele/lab/stats");
        assert_eq!(shown(Some("/a")), "/run/abele/lab/stats /a/abele/lab/stats");
        assert_eq!(shown(Some("a")), "/run/abele/lab/stats", "a relative one is ignored");
    }

    #[test]
    fn instance_is_one_plain_name() {
        for wrong in ["", ".", "..", "a/b", "a b", ".a", "\u{e9}", &"x".repeat(65)] {
            assert!(path(Path::new("/run"), wrong).is_err(), "{wrong}");
        }
        assert!(path(Path::new("/run"), &"x".repeat(64)).is_ok());
    }
}
