//! One request and its answer, over a connection that ends with it.
//!
//! A server of three pages needs no more of HTTP than this: a head that is bounded in length and time,
//! parsed by a crate that is made for it, and an answer with its length. A body is never read.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::limits::{
    ANSWER_TAKEN_WITHIN, ASKER_LINGER, ASKER_LINGER_LEN_MAX, HEAD_LEN_MAX, HEAD_WITHIN, HEADERS_MAX,
};

/// The content type of version 0.0.4.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// A page that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// What is counted.
    Metrics,
    /// Whether the worker turns.
    Live,
    /// Whether it gives what is asked for.
    Ready,
    /// Which pages there are.
    Index,
}

/// What is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// 200, else 503.
    pub(super) is_right: bool,
    pub(super) text: String,
}

/// What was asked for, or the status of what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Page { page: Page, is_head: bool },
    Wrong(&'static str),
}

/// Answers one request.
pub(super) fn serve(mut stream: TcpStream, text: impl FnOnce(Page) -> Text) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let (is_head, answer) = match head(&mut stream)? {
        Asked::Page { page, is_head } => {
            let Text { is_right, text } = text(page);
            let status = if is_right { "200 OK" } else { "503 Service Unavailable" };
            let kind = if page == Page::Metrics && is_right { METRICS } else { PLAIN };
            (is_head, written(status, kind, &text))
        }
        Asked::Wrong(status) => (false, written(status, PLAIN, &format!("{status}\n"))),
    };
    let (head, body) = answer;
    send(&mut stream, head.as_bytes(), if is_head { b"" } else { body.as_bytes() })?;
    linger(&mut stream)
}

/// Tells one for whom there is no room; it is not waited for.
pub(super) fn refuse(mut stream: TcpStream) {
    let status = "503 Service Unavailable";
    let (head, body) = written(status, PLAIN, "too many ask at once\n");
    // An empty connection has room for so little.
    stream.set_nonblocking(true).and_then(|()| stream.write_all((head + &body).as_bytes())).ok();
}

fn written(status: &str, kind: &str, body: &str) -> (String, String) {
    let len = body.len();
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n{allow}Connection: close\r\n\r\n"
    );
    (head, body.to_owned())
}

/// Reads a head, and says what it asks for.
fn head(stream: &mut TcpStream) -> io::Result<Asked> {
    let deadline = Instant::now() + HEAD_WITHIN;
    let (mut bytes, mut len) = ([0; HEAD_LEN_MAX], 0);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Asked::Wrong("408 Request Timeout"));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut bytes[len..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(more) => len += more,
            Err(error) if is_late(&error) => continue,
            Err(error) => return Err(error),
        }
        if let Some(asked) = parse(&bytes[..len]) {
            return Ok(asked);
        }
        if len == bytes.len() {
            return Ok(Asked::Wrong("431 Request Header Fields Too Large"));
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// What these bytes ask for; `None` if they end too early to say.
fn parse(bytes: &[u8]) -> Option<Asked> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return None,
        Err(httparse::Error::TooManyHeaders) => {
            return Some(Asked::Wrong("431 Request Header Fields Too Large"));
        }
        Err(_malformed) => return Some(Asked::Wrong("400 Bad Request")),
    }
    let hosts = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
    //# that lacks a Host header field
    if request.version == Some(1) && hosts.count() != 1 {
        return Some(Asked::Wrong("400 Bad Request"));
    }
    let is_head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _other => return Some(Asked::Wrong("405 Method Not Allowed")),
    };
    let target = request.path.unwrap_or_default();
    let path = path_of(target).split('?').next().unwrap_or_default();
    let page = match path {
        "/metrics" => Page::Metrics,
        "/livez" => Page::Live,
        "/readyz" => Page::Ready,
        "/" | "" => Page::Index,
        _other => return Some(Asked::Wrong("404 Not Found")),
    };
    Some(Asked::Page { page, is_head })
}

/// The path of a target in either form.
//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
//# a server MUST accept the absolute-form in requests
fn path_of(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else { return target };
    rest.find('/').map_or("", |slash| &rest[slash..])
}

/// Writes both parts, to one who may be slow but not for ever.
fn send(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + ANSWER_TAKEN_WITHIN;
    for mut part in [head, body] {
        while !part.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            stream.set_write_timeout(Some(left))?;
            match stream.write(part) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => part = &part[len..],
                Err(error) if is_late(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Ends the connection. What is still under way from the other end is read for a moment: a reset
/// because of it would take the answer away.
fn linger(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let (deadline, mut read, mut bytes) = (Instant::now() + ASKER_LINGER, 0, [0; 4096]);
    while read < ASKER_LINGER_LEN_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut bytes)? {
            0 => break,
            len => read += len,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let page = |page| Some(Asked::Page { page, is_head: false });
        let metrics = page(Page::Metrics);
        let wrong = |status| Some(Asked::Wrong(status));
        for (request, asked) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", metrics),
            ("GET /metrics?name=1 HTTP/1.1\r\nHost: a\r\n\r\n", metrics),
            ("GET http://a:7401/metrics HTTP/1.1\r\nHost: a\r\n\r\n", metrics),
            ("GET /metrics HTTP/1.0\r\n\r\n", metrics),
            (
                "HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n",
                Some(Asked::Page { page: Page::Metrics, is_head: true }),
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", page(Page::Index)),
            ("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", page(Page::Live)),
            ("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", page(Page::Ready)),
            ("GET /metrics/ HTTP/1.1\r\nHost: a\r\n\r\n", wrong("404 Not Found")),
            ("POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", wrong("405 Method Not Allowed")),
            ("GET /metrics HTTP/1.1\r\n\r\n", wrong("400 Bad Request")),
            ("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", wrong("400 Bad Request")),
            ("\x16\x03\x01\x02", wrong("400 Bad Request")),
            ("GET /metrics HTTP/1.1\r\nHost", None),
        ] {
            assert_eq!(parse(request.as_bytes()), asked, "{request:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(parse(many.as_bytes()), wrong("431 Request Header Fields Too Large"));
    }
}
