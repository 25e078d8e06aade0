//! What a server does with a request, in so many words that two servers can be compared: statuses,
//! content, and whether the next request is answered.

use std::fmt::{self, Display, Formatter};
use std::hash::Hasher;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use gateway::Document;

use crate::MARKER;
use crate::table::Case;

/// A server that says nothing for so long waits for more.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    answers: Vec<Seen>,
    stays: bool,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    /// The content of a document or of a part; of others none is compared.
    content: Option<String>,
    /// The part that it says to be.
    range: Option<String>,
    location: Option<String>,
}

impl Display for Observed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for Seen { status, content, range, location } in &self.answers {
            write!(f, "{status} ")?;
            for text in [content, range, location].into_iter().flatten() {
                write!(f, "{text:?} ")?;
            }
        }
        write!(f, "{}", if self.stays { "stays" } else { "ends" })
    }
}

impl Observed {
    /// What the table asks for.
    pub(crate) fn of_table(case: &Case, documents: &[Document]) -> Self {
        let answers = case.answers.iter().flat_map(|answer| {
            let bytes = answer.bytes(documents, "");
            read(&bytes, &mut |_| answer.is_head)
        });
        Self { answers: answers.collect(), stays: case.stays }
    }
}

/// The answers in `bytes`; `is_head` says whether one has no content.
fn read(bytes: &[u8], is_head: &mut dyn FnMut(usize) -> bool) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 4..];
        let field = |name: &str| {
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            let mut named = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.to_owned())
        };
        // nginx answers HTTP/0.9 with content alone: no status.
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let len = field("Content-Length").map_or(0, |len| len.parse().expect("a number"));
        let has_none = matches!(status, 100 | 204 | 304) || is_head(seen.len());
        let len = if has_none { 0 } else { rest.len().min(len) };
        let (content, after) = rest.split_at(len);
        rest = after;
        seen.push(Seen {
            status,
            content: matches!(status, 200 | 206).then(|| show(content)),
            range: field("Content-Range"),
            location: field("Location"),
        });
    }
    seen
}

/// Content as it is compared: what is long by its length and its digest. The line between parts is
/// each server's own, and another one each time.
fn show(content: &[u8]) -> String {
    let mut content = content.to_vec();
    let mut what = "bytes";
    if let Some(rest) = content.strip_prefix(b"\r\n--") {
        let end = rest.iter().position(|&byte| byte == b'\r').expect("a line ends");
        let line = [b"\r\n--", &rest[..end]].concat();
        let mut pieces = Vec::new();
        let mut rest = content.as_slice();
        while let Some(at) = rest.windows(line.len()).position(|it| it == line) {
            pieces.extend_from_slice(&rest[..at]);
            pieces.extend_from_slice(b"\r\n--");
            rest = &rest[at + line.len()..];
        }
        pieces.extend_from_slice(rest);
        (content, what) = (pieces, "bytes in parts");
    }
    if content.len() <= 64 && what == "bytes" {
        return String::from_utf8_lossy(&content).into_owned();
    }
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(&content);
    format!("{} {what}, {:08x}", content.len(), hasher.finish() & 0xffff_ffff)
}

/// Sends the bytes of a case, and then the marker if the connection is still there.
pub(crate) fn observe(address: SocketAddr, bytes: &[u8]) -> Observed {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut received = Vec::new();
    // It may refuse the rest of a request that it has seen enough of.
    let sent = stream.write_all(bytes);
    let ended = receive(&mut stream, QUIET, &mut received);
    let before = received.len();
    if !ended && sent.is_ok() && stream.write_all(MARKER).is_ok() {
        receive(&mut stream, PATIENCE, &mut received);
    }
    let _gone = stream.shutdown(Shutdown::Both);
    let marked = String::from_utf8_lossy(&received[before..]).into_owned();
    // Heads come in the order of the requests.
    let heads = methods(bytes);
    let answers =
        read(&received[..before], &mut |number| heads.get(number).is_some_and(|&is_head| is_head));
    let stays = marked.contains("stolen");
    let late = if stays { Vec::new() } else { read(&received[before..], &mut |_| false) };
    Observed { answers: answers.into_iter().chain(late).collect(), stays }
}

/// Whether each request is a HEAD; the cases that have several have no content.
fn methods(bytes: &[u8]) -> Vec<bool> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines = text.split("\r\n").filter(|line| line.contains(" HTTP/"));
    lines.map(|line| line.starts_with("HEAD ")).collect()
}

/// Reads until the end or until nothing comes for so long; true at the end.
fn receive(stream: &mut TcpStream, quiet: Duration, received: &mut Vec<u8>) -> bool {
    stream.set_read_timeout(Some(quiet)).expect("a time-out");
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(len) => received.extend_from_slice(&buffer[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            Err(_) => return true,
        }
    }
}
