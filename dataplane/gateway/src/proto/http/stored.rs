//! A document as it is served: whatever of an answer's head does not change is written once.

use core::hash::Hasher;
use core::ops::Range;
use std::io::Write;

use siphasher::sip::SipHasher13;

use super::date::{self, DATE_LEN};
use super::documents::Document;
use super::path::INDEX;

/// What tells one state of a document from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validators<'d> {
    /// A strong entity tag, with its quotes.
    pub(crate) etag: &'d [u8],
    /// Seconds since 1970, if it is known.
    pub(crate) modified: Option<u64>,
}

/// A document, and the fields of its answers.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    modified: Option<u64>,
    /// The fields of an answer with the whole of it; its length is the last.
    fields: Vec<u8>,
    length_at: usize,
    /// Bytes of the first of them, `Content-Type`.
    type_len: usize,
    /// Of these, the line with the entity tag.
    etag_line: Range<usize>,
    /// The field that leads to the folder, if this is a folder's index.
    location: Vec<u8>,
}

const ETAG: &[u8] = b"ETag: ";

impl Stored {
    pub(crate) fn new(document: Document) -> Self {
        let Document { path, content_type, body, modified } = document;
        let mut fields = format!("Content-Type: {content_type}\r\n").into_bytes();
        let type_len = fields.len();
        if let Some(modified) = modified {
            let mut text = [0; DATE_LEN];
            date::write(modified, &mut text);
            fields.extend([b"Last-Modified: ", text.as_slice(), b"\r\n"].concat());
        }
        let etag_at = fields.len();
        let etag = etag(&content_type, &body);
        fields.extend([ETAG, etag.as_bytes(), b"\r\n"].concat());
        let etag_line = etag_at..fields.len();
        //= https://www.rfc-editor.org/rfc/rfc9110#section-14.3
        //# Origin servers that support byte-range requests MAY send Accept-Ranges: bytes
        fields.extend_from_slice(b"Accept-Ranges: bytes\r\n");
        let length_at = fields.len();
        fields.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
        let location = location(&path);
        Self { path, body, modified, fields, length_at, type_len, etag_line, location }
    }

    pub(crate) fn validators(&self) -> Validators<'_> {
        let line = self.etag_line();
        Validators { etag: &line[ETAG.len()..line.len() - 2], modified: self.modified }
    }

    /// The fields of an answer with all of it.
    pub(crate) fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// The same without its length.
    pub(crate) fn fields_of_a_part(&self) -> &[u8] {
        &self.fields[..self.length_at]
    }

    /// Of these, `Content-Type` alone.
    pub(crate) fn type_line(&self) -> &[u8] {
        &self.fields[..self.type_len]
    }

    /// And the others.
    pub(crate) fn fields_behind_type(&self) -> &[u8] {
        &self.fields[self.type_len..self.length_at]
    }

    /// The line between the parts of an answer: the document's own digest, which it does not hold
    /// but by a chance of one in 2^64. So an answer goes on with the very line that it began with.
    //= https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1
    //# Boundary delimiters must not appear within the encapsulated material
    pub(crate) fn boundary(&self) -> &[u8] {
        const DIGITS: usize = 16;
        let etag = self.validators().etag;
        &etag[1..=DIGITS]
    }

    pub(crate) fn etag_line(&self) -> &[u8] {
        &self.fields[self.etag_line.clone()]
    }

    /// `Location: /folder/`, if this is the index of a folder.
    pub(crate) fn location_line(&self) -> &[u8] {
        &self.location
    }
}

/// A tag that differs where the type or a byte differs. It is made of the content alone: every
/// core, and every gateway with the same files, has the same one, whenever each file was copied.
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.1
//# a strong validator is unique across all versions of all representations associated with a
//# particular resource over time
fn etag(content_type: &str, body: &[u8]) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(&(content_type.len() as u64).to_le_bytes());
    hasher.write(content_type.as_bytes());
    hasher.write(body);
    format!("\"{:016x}-{:x}\"", hasher.finish(), body.len())
}

/// The field that leads from `/folder` to `/folder/`, encoded; empty if `path` is no index.
fn location(path: &str) -> Vec<u8> {
    let Some(folder) = path.as_bytes().strip_suffix(INDEX) else {
        return Vec::new();
    };
    let mut line = b"Location: ".to_vec();
    for &byte in folder {
        //= https://www.rfc-editor.org/rfc/rfc3986#section-3.3
        //# pchar = unreserved / pct-encoded / sub-delims / ":" / "@"
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            line.push(byte);
        } else {
            write!(line, "%{byte:02X}").expect("a vector takes everything");
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::{Document, Stored, Validators};

    fn stored(path: &str, body: &str, modified: Option<u64>) -> Stored {
        Stored::new(Document {
            path: path.to_owned(),
            content_type: "text/plain".to_owned(),
            body: body.as_bytes().to_vec(),
            modified,
        })
    }

    #[test]
    fn the_fields_are_these_bytes() {
        let stored = stored("/a.txt", "alpha", Some(784_111_777));
        let Validators { etag, modified } = stored.validators();
        let etag = std::str::from_utf8(etag).unwrap();
        assert_eq!(modified, Some(784_111_777));
        let part = format!(
            "Content-Type: text/plain\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             ETag: {etag}\r\nAccept-Ranges: bytes\r\n"
        );
        assert_eq!(stored.fields_of_a_part(), part.as_bytes());
        assert_eq!(stored.fields(), (part + "Content-Length: 5\r\n").as_bytes());
        assert_eq!(stored.etag_line(), format!("ETag: {etag}\r\n").as_bytes());
        // These bytes must not change: caches everywhere would fetch everything again.
        assert_eq!(etag, "\"68fd59f08bb9c065-5\"");
    }

    #[test]
    fn a_tag_differs_where_the_content_or_its_type_differs() {
        let tag = |content_type: &str, body: &str| super::etag(content_type, body.as_bytes());
        let tags = [
            tag("text/plain", "alpha"),
            tag("text/plain", "alphb"),
            tag("text/plain", ""),
            tag("text/html", "alpha"),
            tag("text/plaina", "lpha"),
        ];
        for (at, one) in tags.iter().enumerate() {
            assert!(tags[..at].iter().all(|other| other != one), "{one}");
        }
        assert_eq!(tags[0], tag("text/plain", "alpha"));
    }

    #[test]
    fn the_index_of_a_folder_knows_where_it_is() {
        for (path, location) in [
            ("/index.html", "Location: /\r\n"),
            ("/a/index.html", "Location: /a/\r\n"),
            ("/a b/ü%/index.html", "Location: /a%20b/%C3%BC%25/\r\n"),
            ("/a\r\nB: c/index.html", "Location: /a%0D%0AB:%20c/\r\n"),
            ("/a.html", ""),
        ] {
            assert_eq!(stored(path, "", None).location_line(), location.as_bytes(), "{path}");
        }
    }
}
