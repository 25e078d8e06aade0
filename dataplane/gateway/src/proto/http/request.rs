//! The head of a request: found, parsed and judged before anything is done about it.

use core::mem::MaybeUninit;

use httparse::Header;

use super::answer::Persistence;
use super::body::Body;
use super::condition::Fields;
use super::framing::{Expectation, Framing};
use super::path::{PathBuffer, resolve};
use crate::counters::Refusal;
use crate::limits::{HEAD_LEN_MAX, HEADERS_MAX};

/// Where the fields of a head are listed while it is looked at.
pub(crate) type Slots<'h> = [MaybeUninit<Header<'h>>; HEADERS_MAX];

/// Slots for the fields of one head; making them costs nothing.
pub(crate) const fn slots<'h>() -> Slots<'h> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    /// As `Get`; the answer has no content.
    Head,
    /// What can be done with a document, or with all of them.
    Options,
    /// POST and PUT by their nature come with content.
    Sending,
    /// Another one that is known.
    Other,
    Unknown,
}

/// A request whose end is known, so that the connection can go on after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'h, 'b> {
    pub(crate) method: Method,
    /// Whether the connection goes on.
    pub(crate) persistence: Persistence,
    /// The content that follows the head, if any does.
    pub(crate) body: Option<Body>,
    pub(crate) expectation: Expectation,
    /// The fields, if there are conditions or ranges among them.
    pub(crate) fields: Option<Fields<'h>>,
    /// The document's path, or why there cannot be one; none for `OPTIONS *`.
    pub(crate) path: Option<Result<&'b [u8], Refusal>>,
}

/// A request after which nothing can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) refusal: Refusal,
    /// It was a HEAD, as far as it could be read.
    pub(crate) is_head: bool,
}

/// A head that has ended: its length, and what it asks for.
pub(crate) type Parsed<'h, 'b> = (usize, Result<Request<'h, 'b>, Rejection>);

/// What the bytes of a connection begin with: a head, or `None` while it has not ended.
///
/// A head that is wrong is refused when it ends, not before, so that the answer does not depend on
/// how the bytes were cut into segments.
pub(crate) fn parse<'h, 'b>(
    bytes: &'h [u8],
    slots: &'h mut Slots<'h>,
    buffer: &'b mut PathBuffer,
    body_len_max: u32,
) -> Option<Parsed<'h, 'b>> {
    let bytes = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    let mut head = httparse::Request::new(&mut []);
    let refusal = match head.parse_with_uninit_headers(bytes, slots) {
        Ok(httparse::Status::Complete(len)) => {
            let is_head = head.method == Some("HEAD");
            let result = match has_lone_line_feed(&bytes[..len]) {
                true => Err(Refusal::LineFeedAlone),
                false => judge(head, buffer, body_len_max),
            };
            return Some((len, result.map_err(|refusal| Rejection { refusal, is_head })));
        }
        Err(httparse::Error::TooManyHeaders) => Refusal::HeadersTooMany,
        Err(httparse::Error::Version) if is_other_version(bytes) => Refusal::VersionUnsupported,
        Ok(httparse::Status::Partial) | Err(_) => Refusal::HeadMalformed,
    };
    let is_head = bytes.starts_with(b"HEAD ");
    match find_end(bytes, 0) {
        Some(len) => Some((len, Err(Rejection { refusal, is_head }))),
        None if bytes.len() == HEAD_LEN_MAX => {
            Some((HEAD_LEN_MAX, Err(Rejection { refusal: too_long(bytes), is_head })))
        }
        None => None,
    }
}

/// Where the head ends that `bytes` begin with: after its empty line. Nothing before `from` ends a
/// line that is followed by the empty one. Lines of a line feed alone are found too: such a head is
/// refused, and at its own end.
pub(crate) fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == b'\n')? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// Whether a line ends without a carriage return. RFC 9112 (2.2) lets a server take that for a line
/// end; a proxy that does not would find other fields in the same head.
fn has_lone_line_feed(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.iter().skip(1));
    pairs.fold(false, |found, (&before, &byte)| found | ((byte == b'\n') & (before != b'\r')))
}

/// What is wrong with a head that has no end among the first [`HEAD_LEN_MAX`] bytes.
//= https://www.rfc-editor.org/rfc/rfc9112#section-3
//# A server that receives a method longer than any that it implements SHOULD respond with a 501;
//# a request-target longer than any URI it wishes to parse MUST respond with a 414
pub(crate) fn too_long(bytes: &[u8]) -> Refusal {
    if bytes.contains(&b'\n') {
        Refusal::HeadTooLong
    } else if bytes.contains(&b' ') {
        Refusal::TargetTooLong
    } else {
        Refusal::MethodUnknown
    }
}

/// Whether the first line is a request of HTTP, but of a version that is not spoken here.
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.6.6
//# does not support, or refuses to support, the major version of HTTP that was used
fn is_other_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(bytes);
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ');
    let (Some(_), Some(_), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])
}

fn judge<'h, 'b>(
    head: httparse::Request<'h, 'h>,
    buffer: &'b mut PathBuffer,
    body_len_max: u32,
) -> Result<Request<'h, 'b>, Refusal> {
    let httparse::Request { method, path, version, headers } = head;
    let (Some(method), Some(target), Some(minor)) = (method, path, version) else {
        return Err(Refusal::HeadMalformed);
    };
    let (is_1_0, method) = (minor == 0, method_of(method));
    let framing = Framing::read(headers)?;
    let body = framing.body(is_1_0, method == Method::Sending, body_len_max)?;
    framing.check_host(is_1_0)?;
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //# A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
    //# expectation.
    let expectation = if is_1_0 { Expectation::None } else { framing.expectation };
    let path = match (method, target) {
        //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.4
        //# The asterisk-form of request-target is only used for a server-wide OPTIONS request.
        (Method::Options, "*") => None,
        (Method::Get | Method::Head | Method::Options, _) => {
            Some(resolve(target.as_bytes(), buffer))
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-9.1
        //# recognized and implemented, but not allowed ... SHOULD respond with 405; an origin server
        //# that receives a request method that is unrecognized ... SHOULD respond with 501
        (Method::Sending | Method::Other, _) => Some(Err(Refusal::MethodNotAllowed)),
        (Method::Unknown, _) => Some(Err(Refusal::MethodUnknown)),
    };
    Ok(Request {
        method,
        persistence: framing.persistence(is_1_0),
        body,
        expectation,
        fields: framing.is_conditional.then_some(Fields(headers)),
        path,
    })
}

fn method_of(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        "POST" | "PUT" | "PATCH" => Method::Sending,
        "DELETE" | "CONNECT" | "TRACE" => Method::Other,
        _ => Method::Unknown,
    }
}

#[cfg(test)]
mod tests;
