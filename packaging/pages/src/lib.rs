//! Man pages and shell completions, made of what a program says of itself.
//!
//! It is no part of any program: the tests of the programs call it, and `cargo xtask deb` runs
//! those tests with `ABELE_PAGES` set to the folder that is packaged.
//!
//! # Why it is built this way
//!
//! The naive manual is written by hand, and is wrong after the second release. Here every page comes
//! from the one place that the program itself reads: the definitions of its arguments, and the example
//! of the configuration. They are private to the binaries, so it is their tests that hand them over;
//! each time those run, the pages are made and judged, packaged or not.
//!
//! ```text
//! args of a program --test--> Pages::program       man8/NAME.8, man8/NAME-COMMAND.8 ...
//!                                                  bash/NAME, zsh/_NAME, fish/NAME.fish
//! the example ------test--> Pages::configuration   man5/NAME.toml.5
//! ```
#![forbid(unsafe_code)]

mod configuration;
mod program;
mod roff;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that names the folder to be packaged.
pub const FOLDER: &str = "ABELE_PAGES";

/// Where the pages go: the folder that [`FOLDER`] names, or one that is gone with the value.
///
/// What fails here fails a test, and so panics with its reason.
#[derive(Debug)]
pub struct Pages {
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Pages {
    /// The folder of the environment, or a temporary one.
    ///
    /// # Panics
    ///
    /// If no folder can be made.
    #[must_use]
    pub fn of_environment() -> Self {
        Self::at(std::env::var_os(FOLDER))
    }

    fn at(folder: Option<OsString>) -> Self {
        match folder {
            Some(folder) => Self { folder: folder.into(), _temporary: None },
            None => {
                let folder = tempfile::tempdir().expect("a folder for the test");
                Self { folder: folder.path().to_path_buf(), _temporary: Some(folder) }
            }
        }
    }

    /// Writes a file below the folder.
    fn write(&self, place: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.join(place);
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}
