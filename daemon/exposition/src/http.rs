//! One request and its answer, over a connection that ends with it.
//!
//! A server of a few pages needs no more of HTTP than this: a head that is bounded in length and time,
//! parsed by a crate that is made for it, and an answer with its length. A body is never read.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::exposition::Exposition;
use crate::limits::{HEAD_LEN_MAX, HEAD_WITHIN, HEADERS_MAX, LINGER, LINGER_LEN_MAX, TAKEN_WITHIN};

/// The content type of version 0.0.4.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

const UNAVAILABLE: &str = "503 Service Unavailable";

/// What is on a page.
#[derive(Debug)]
pub enum Page {
    /// What is counted.
    Metrics(Exposition),
    /// Words, and all is well.
    Text(String),
    /// Words about why not.
    Unavailable(String),
}

/// What was asked for, or the status of what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Path { path: String, is_head: bool },
    Wrong(&'static str),
}

/// Answers one request; `page` is asked for what is at a path, if there is something.
pub(crate) fn serve(
    mut stream: TcpStream,
    page: impl FnOnce(&str) -> Option<Page>,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let wrong = |status: &str| written(status, PLAIN, &format!("{status}\n"));
    let (is_head, answer) = match head(&mut stream)? {
        Asked::Path { path, is_head } => {
            let answer = match page(&path) {
                Some(Page::Metrics(all)) => written("200 OK", METRICS, &all.text()),
                Some(Page::Text(text)) => written("200 OK", PLAIN, &text),
                Some(Page::Unavailable(text)) => written(UNAVAILABLE, PLAIN, &text),
                None => wrong("404 Not Found"),
            };
            (is_head, answer)
        }
        Asked::Wrong(status) => (false, wrong(status)),
    };
    let (head, body) = answer;
    send(&mut stream, head.as_bytes(), if is_head { b"" } else { body.as_bytes() })?;
    linger(&mut stream)
}

/// Tells one for whom there is no room; it is not waited for.
pub(crate) fn refuse(mut stream: TcpStream) {
    let (head, body) = written(UNAVAILABLE, PLAIN, "too many ask at once\n");
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
    Some(Asked::Path { path: path.to_owned(), is_head })
}

/// The path of a target in either form.
//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
//# a server MUST accept the absolute-form in requests
fn path_of(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("http://") else { return target };
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

/// Writes both parts, to one who may be slow but not for ever.
fn send(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + TAKEN_WITHIN;
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
    let (deadline, mut read, mut bytes) = (Instant::now() + LINGER, 0, [0; 4096]);
    while read < LINGER_LEN_MAX {
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
        let at = |path: &str, is_head| Some(Asked::Path { path: path.to_owned(), is_head });
        let wrong = |status| Some(Asked::Wrong(status));
        for (request, asked) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", at("/metrics", false)),
            ("GET /metrics?name=1 HTTP/1.1\r\nHost: a\r\n\r\n", at("/metrics", false)),
            ("GET http://a:7401/metrics HTTP/1.1\r\nHost: a\r\n\r\n", at("/metrics", false)),
            ("GET http://a:7401 HTTP/1.1\r\nHost: a\r\n\r\n", at("/", false)),
            ("GET /metrics HTTP/1.0\r\n\r\n", at("/metrics", false)),
            ("HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n", at("/metrics", true)),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", at("/", false)),
            ("GET /metrics/ HTTP/1.1\r\nHost: a\r\n\r\n", at("/metrics/", false)),
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
