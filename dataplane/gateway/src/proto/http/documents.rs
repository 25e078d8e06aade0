//! The documents that are served: read by the caller at the start, in memory from then on.

use std::sync::Arc;

use thiserror::Error;

use super::path::INDEX;
use super::stored::Stored;
use crate::limits::{CONTENT_TYPE_LEN_MAX, DOCUMENTS_MAX, PATH_LEN_MAX};

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its path as it is after decoding: `/index.html`. A path that ends in `/` is asked for by
    /// clients as the `index.html` below it.
    pub path: String,
    /// The value of its Content-Type: `text/html; charset=utf-8`.
    pub content_type: String,
    /// Its bytes.
    pub body: Vec<u8>,
    /// When it was last changed, in seconds since 1970 (UTC), if that is known; not in the future.
    pub modified: Option<u64>,
}

/// What is wrong with a set of documents.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DocumentsError {
    /// A path that no request can name.
    #[error(
        "the path {path:?} cannot be asked for: it must begin with `/`, not end with it, have at \
         most {PATH_LEN_MAX} bytes and no `.`, `..` or zero byte"
    )]
    ConfigPath {
        /// The path.
        path: String,
    },
    /// Two documents of one path.
    #[error("two documents have the path {path:?}")]
    ConfigPathTwice {
        /// The path.
        path: String,
    },
    /// A content type that cannot stand in a header field.
    #[error(
        "the content type {content_type:?} of {path:?} must be 1 to {CONTENT_TYPE_LEN_MAX} visible \
         ASCII characters or spaces"
    )]
    ConfigContentType {
        /// The document.
        path: String,
        /// Its content type.
        content_type: String,
    },
    /// Too many.
    #[error("{count} documents are too many; {DOCUMENTS_MAX} is the most")]
    ConfigCount {
        /// How many there are.
        count: usize,
    },
}

/// A set of documents, found by path. A clone shares them: every core may have one.
#[derive(Clone, Debug)]
pub struct Documents {
    /// By path, ascending.
    sorted: Arc<[Stored]>,
}

impl Documents {
    /// Makes the table of these documents.
    ///
    /// # Errors
    /// A path that no request can name, or that is there twice; a malformed content type.
    pub fn new(mut documents: Vec<Document>) -> Result<Self, DocumentsError> {
        if documents.len() > DOCUMENTS_MAX {
            return Err(DocumentsError::ConfigCount { count: documents.len() });
        }
        for Document { path, content_type, body: _, modified: _ } in &documents {
            if !is_nameable(path) {
                return Err(DocumentsError::ConfigPath { path: path.clone() });
            }
            if !is_field_value(content_type) {
                let (path, content_type) = (path.clone(), content_type.clone());
                return Err(DocumentsError::ConfigContentType { path, content_type });
            }
        }
        documents.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        if let Some(pair) = documents.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(DocumentsError::ConfigPathTwice { path: pair[0].path.clone() });
        }
        Ok(Self { sorted: documents.into_iter().map(Stored::new).collect() })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none: every path is answered with 404.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The number of the document with this path.
    pub(crate) fn find(&self, path: &[u8]) -> Option<u32> {
        let at = self.sorted.binary_search_by(|stored| stored.path.as_bytes().cmp(path)).ok()?;
        Some(u32::try_from(at).expect("at most DOCUMENTS_MAX"))
    }

    /// The number of the index of the folder with this path, which has no `/` at its end.
    pub(crate) fn find_index(&self, folder: &[u8]) -> Option<u32> {
        let wanted = || folder.iter().chain(b"/").chain(INDEX);
        let at = self.sorted.binary_search_by(|stored| stored.path.as_bytes().iter().cmp(wanted()));
        Some(u32::try_from(at.ok()?).expect("at most DOCUMENTS_MAX"))
    }

    /// The document of a number that [`Self::find`] gave.
    pub(crate) fn document(&self, number: u32) -> &Stored {
        &self.sorted[number as usize]
    }
}

fn is_nameable(path: &str) -> bool {
    path.starts_with('/')
        && !path.ends_with('/')
        && path.len() <= PATH_LEN_MAX
        && !path.contains('\0')
        && path.split('/').all(|segment| segment != "." && segment != "..")
}

fn is_field_value(value: &str) -> bool {
    (1..=CONTENT_TYPE_LEN_MAX).contains(&value.len())
        && value.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && value.trim() == value
}

#[cfg(test)]
mod tests {
    use super::{Document, Documents, DocumentsError};

    fn document(path: &str, content_type: &str) -> Document {
        let (path, content_type) = (path.to_owned(), content_type.to_owned());
        Document { path, content_type, body: Vec::new(), modified: None }
    }

    #[test]
    fn documents_are_found_by_their_whole_path() {
        let paths = ["/b", "/a/b", "/a", "/index.html", "/ü"];
        let documents =
            Documents::new(paths.map(|path| document(path, "text/plain")).into()).unwrap();
        for path in paths {
            let number = documents.find(path.as_bytes()).unwrap();
            assert_eq!(documents.document(number).path, path);
        }
        for missing in ["", "/", "/a/", "/B", "b", "/a/b/c"] {
            assert_eq!(documents.find(missing.as_bytes()), None, "{missing}");
        }
        assert_eq!(documents.len(), 5);
    }

    #[test]
    fn a_folder_is_found_by_its_index() {
        let paths = ["/index.html", "/a/index.html", "/a/b/index.html", "/ab", "/c/index.htm"];
        let documents =
            Documents::new(paths.map(|path| document(path, "text/plain")).into()).unwrap();
        for (folder, path) in
            [("", "/index.html"), ("/a", "/a/index.html"), ("/a/b", "/a/b/index.html")]
        {
            let number = documents.find_index(folder.as_bytes()).unwrap();
            assert_eq!(documents.document(number).path, path);
        }
        for none in ["/", "/a/", "/ab", "/c", "/a/index.html", "a"] {
            assert_eq!(documents.find_index(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn paths_that_no_request_can_name_are_refused() {
        let long = "/".repeat(super::PATH_LEN_MAX) + "a";
        for path in ["", "a", "/", "/a/", "/./a", "/../a", "/a/..", "/a\0", &long] {
            let refused = Documents::new(vec![document(path, "text/plain")]);
            let path = path.to_owned();
            assert_eq!(refused.unwrap_err(), DocumentsError::ConfigPath { path });
        }
        let twice = Documents::new(vec![document("/a", "a/b"), document("/a", "a/b")]);
        let path = "/a".to_owned();
        assert_eq!(twice.unwrap_err(), DocumentsError::ConfigPathTwice { path });
    }

    #[test]
    fn a_content_type_cannot_add_a_field() {
        let long = "a".repeat(super::CONTENT_TYPE_LEN_MAX + 1);
        for content_type in ["", "a\r\nSet-Cookie: b", "a\n", " a", "ä", &long] {
            let refused = Documents::new(vec![document("/a", content_type)]).unwrap_err();
            assert!(matches!(refused, DocumentsError::ConfigContentType { .. }), "{content_type}");
        }
    }
}
