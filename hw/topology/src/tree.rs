//! Where the kernel's files are read from, and what a reading is: a value with its place, or why
//! there is none.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::limits::{ENTRIES_MAX, FILE_LEN_MAX};

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// There is no such file.
    #[error("it is not there")]
    Missing,
    /// No right to read it.
    #[error("no right to read it")]
    NotPermitted,
    /// What stands there is not understood; the beginning of it.
    #[error("it is not understood: {0:?}")]
    Malformed(String),
    /// Whatever else was the reason.
    #[error("{0}")]
    Failed(String),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            Self::Missing
        } else if kind == io::ErrorKind::PermissionDenied {
            Self::NotPermitted
        } else {
            Self::Failed(error.to_string())
        }
    }
}

/// What was read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<T> {
    /// The file, or the call, that it comes from.
    pub source: String,
    /// The value, or why there is none.
    pub value: Result<T, Unread>,
}

impl<T> Reading<T> {
    /// A value from `source`.
    pub fn known(source: impl Into<String>, value: T) -> Self {
        Self { source: source.into(), value: Ok(value) }
    }

    /// No value from `source`.
    pub fn unread(source: impl Into<String>, why: Unread) -> Self {
        Self { source: source.into(), value: Err(why) }
    }

    /// The value, if there is one.
    pub fn known_value(&self) -> Option<&T> {
        self.value.as_ref().ok()
    }

    /// Whether the file is not there, which is an answer of its own at many places.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.value, Err(Unread::Missing))
    }

    /// The value as `read` understands it.
    #[must_use]
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Reading<U> {
        Reading { source: self.source, value: self.value.map(read) }
    }
}

impl Reading<String> {
    /// The text as `parse` understands it; what it does not understand is malformed.
    #[must_use]
    pub fn parse<U>(self, parse: impl FnOnce(&str) -> Option<U>) -> Reading<U> {
        let value = self.value.and_then(|text| {
            parse(&text).ok_or_else(|| Unread::Malformed(text.chars().take(80).collect()))
        });
        Reading { source: self.source, value }
    }
}

/// The file system that the kernel tells of itself in; another root than `/` is for tests.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new("/")
    }
}

impl Tree {
    /// A tree below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The text of a file, without white space around it. `path` is absolute, as on the machine.
    #[must_use]
    pub fn text(&self, path: &str) -> Reading<String> {
        let read = || -> Result<String, Unread> {
            let mut bytes = Vec::new();
            fs::File::open(self.place(path))?.take(FILE_LEN_MAX).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        Reading { source: path.to_owned(), value: read() }
    }

    /// A number that a file holds.
    #[must_use]
    pub fn number(&self, path: &str) -> Reading<i64> {
        self.text(path).parse(|text| text.parse().ok())
    }

    /// The names in a folder, in order.
    #[must_use]
    pub fn names(&self, path: &str) -> Reading<Vec<String>> {
        let read = || -> Result<Vec<String>, Unread> {
            let entries = fs::read_dir(self.place(path))?.take(ENTRIES_MAX);
            let mut names: Vec<String> =
                entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
            names.sort_unstable();
            Ok(names)
        };
        Reading { source: path.to_owned(), value: read() }
    }

    /// Whether something is there.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.place(path).exists()
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, Tree, Unread};
    use crate::made_up::tree;

    #[test]
    fn a_reading_has_its_place_and_its_value_or_why_there_is_none() {
        let (_folder, tree) = tree(&[("proc/a", " 7 \n"), ("proc/b", "x")]);
        assert_eq!(tree.number("/proc/a"), Reading::known("/proc/a", 7));
        let wrong = Unread::Malformed("x".to_owned());
        assert_eq!(tree.number("/proc/b"), Reading::unread("/proc/b", wrong));
        assert!(tree.number("/proc/c").is_missing());
        assert!(tree.text("/proc/a/b").is_missing());
        assert_eq!(tree.names("/proc").value, Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert!(tree.names("/sys").is_missing());
        assert!(tree.exists("/proc/a") && !tree.exists("/proc/c"));
    }

    #[test]
    fn the_machines_own_tree_has_a_process() {
        assert!(Tree::default().text("/proc/self/status").value.is_ok());
    }
}
