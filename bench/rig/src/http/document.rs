//! The one document that both servers have, and whether a server sends it byte for byte.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::lab;

/// Its name under the servers' root.
pub(super) const NAME: &str = "document.txt";
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The document and the folder that holds it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    bytes: Vec<u8>,
}

impl Document {
    /// One of `len` bytes, of which no two neighbouring hundreds are alike.
    pub(super) fn new(len: usize) -> Self {
        let letters = (0..len).map(|index| {
            let letter = (index + index / 97) % 26;
            b'a' + u8::try_from(letter).expect("it is below 26")
        });
        Self { bytes: letters.collect() }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes it where the servers find it; the folder.
    pub(super) fn publish(&self) -> Result<PathBuf, Error> {
        let root = lab::folder().join("www");
        fs::create_dir(&root)
            .and_then(|()| fs::write(root.join(NAME), &self.bytes))
            .map_err(Error::io("write the document"))?;
        Ok(root)
    }

    /// Whether the server at `address` sends it whole and unchanged. That it sends anything else
    /// is no error here, but its breaking off is.
    pub(super) fn is_at(&self, address: SocketAddr) -> Result<bool, Error> {
        let answer = ask(address, NAME).map_err(Error::io("fetch the document"))?;
        Ok(self.is_answer(&answer))
    }

    /// Whether an answer's status is 200 and its body the document.
    pub(super) fn is_answer(&self, answer: &[u8]) -> bool {
        body(answer).is_some_and(|body| body == self.bytes)
    }
}

/// The whole answer to a request on a connection of its own.
pub(super) fn ask(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The body of an answer with status 200.
pub(super) fn body(answer: &[u8]) -> Option<&[u8]> {
    const EMPTY_LINE: &[u8] = b"\r\n\r\n";
    let rest = answer.strip_prefix(b"HTTP/1.1 200 ")?;
    let end = rest.windows(EMPTY_LINE.len()).position(|window| window == EMPTY_LINE)?;
    Some(&rest[end + EMPTY_LINE.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_other_byte_length_or_status_is_not_the_document() {
        let document = Document::new(300);
        let text = String::from_utf8(document.bytes.clone()).expect("letters");
        let is_right = |answer: String| document.is_answer(answer.as_bytes());
        assert!(is_right(format!("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{text}")));
        assert!(!is_right(format!("HTTP/1.1 404 No\r\nServer: x\r\n\r\n{text}")));
        assert!(!is_right(format!("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{text}x")));
        assert!(!is_right(format!("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{}", &text[1..])));
        assert!(!is_right(format!(
            "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{}",
            text.replace('b', "c")
        )));
        assert!(!is_right(format!("HTTP/1.1 200 OK\r\n{text}")));
    }

    #[test]
    fn document_has_the_length_and_its_parts_differ() {
        let document = Document::new(400);
        assert_eq!(document.len(), 400);
        assert_ne!(document.bytes[..97], document.bytes[97..194]);
    }
}
