//! The files of the project, as git knows them: tracked, and new ones that are not ignored.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::lexer::{self, Layers};
use crate::error::Error;

/// What a file is, by its name and first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.rs`.
    Rust,
    /// `.sh`, or a first line that names a shell.
    Shell,
    /// `.c` and `.h`.
    C,
    /// `.md`.
    Markdown,
    /// Any other text.
    Other,
}

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Path below the root, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Whether its owner may execute it.
    pub(crate) is_executable: bool,
}

impl File {
    /// A file that is not on a disk.
    pub(crate) fn new(path: &str, text: &str, is_executable: bool) -> Self {
        let kind = kind_of(path, text);
        Self { path: path.to_owned(), text: text.to_owned(), kind, is_executable }
    }

    /// Code and comments of a Rust file apart.
    pub(crate) fn layers(&self) -> Layers {
        lexer::split(&self.text)
    }
}

fn kind_of(path: &str, text: &str) -> Kind {
    let extension = Path::new(path).extension().and_then(|e| e.to_str());
    match extension {
        Some("rs") => Kind::Rust,
        Some("sh") => Kind::Shell,
        Some("c" | "h") => Kind::C,
        Some("md") => Kind::Markdown,
        _ if text.starts_with("#!") && text.lines().next().is_some_and(|l| l.ends_with("sh")) => {
            Kind::Shell
        }
        _ => Kind::Other,
    }
}

/// Reads every text file below `root` that git does not ignore.
///
/// Inputs of fuzzers and expected outputs are data, not text, and are left out: their bytes are
/// what a program made.
pub(crate) fn read(root: &Path) -> Result<Vec<File>, Error> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .map_err(|source| Error::Missing {
            program: "git".to_owned(),
            source,
            mend: "apt-get install git",
        })?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Answer { program: "git ls-files".to_owned(), message });
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut files = Vec::new();
    for path in names.split('\0').filter(|path| !path.is_empty() && !is_data(path)) {
        // A file that is deleted but still in the index, and one that is no text, have no lines.
        if let Ok(text) = fs::read_to_string(root.join(path)) {
            files.push(File::new(path, &text, is_executable(&root.join(path))));
        }
    }
    Ok(files)
}

fn is_data(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "corpus" | "crashes" | "__fuzz__"))
        || Path::new(path).extension().is_some_and(|e| e == "snap" || e == "lock")
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o100 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_script_without_extension_is_known_by_its_first_line() {
        assert_eq!(kind_of("scripts/run", "#!/usr/bin/env bash\n"), Kind::Shell);
        assert_eq!(kind_of("scripts/run", "#!/usr/bin/env python3\n"), Kind::Other);
        assert_eq!(kind_of("a/b.rs", "//! X.\n"), Kind::Rust);
    }

    #[test]
    fn fuzzer_input_is_data() {
        assert!(is_data("dataplane/wire/src/__fuzz__/x/corpus/a"));
        assert!(!is_data("dataplane/wire/src/corpus.rs"));
    }
}
