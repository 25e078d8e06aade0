//! The head of a request: found, parsed and judged before anything is done about it.

use core::mem::MaybeUninit;

use httparse::Header;

use super::answer::Persistence;
use super::path::{PathBuffer, resolve};
use crate::counters::Refusal;
use crate::limits::{BODY_LEN_MAX, HEAD_LEN_MAX, HEADERS_MAX};

/// A request whose end is known, so that the connection can go on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'b> {
    /// HEAD: the answer has no body.
    pub(crate) is_head: bool,
    /// Whether the connection goes on.
    pub(crate) persistence: Persistence,
    /// Bytes of body that follow the head.
    pub(crate) body_len: u32,
    /// The document's path, or why there cannot be one.
    pub(crate) path: Result<&'b [u8], Refusal>,
}

/// What the bytes of a connection begin with: the length of a head, and what it asks for or why
/// nothing after it can be trusted. `None` while the head has not ended.
///
/// A head that is wrong is refused when it ends, not before, so that the answer does not depend on
/// how the bytes were cut into segments.
pub(crate) fn parse<'b>(
    bytes: &[u8],
    buffer: &'b mut PathBuffer,
) -> Option<(usize, Result<Request<'b>, Refusal>)> {
    let bytes = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let refusal = match head.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(len)) => return Some((len, judge(&head, buffer))),
        Ok(httparse::Status::Partial) => Refusal::HeadMalformed,
        Err(httparse::Error::TooManyHeaders) => Refusal::HeadersTooMany,
        Err(_) => Refusal::HeadMalformed,
    };
    match find_end(bytes, 0) {
        Some(len) => Some((len, Err(refusal))),
        None if bytes.len() == HEAD_LEN_MAX => Some((HEAD_LEN_MAX, Err(Refusal::HeadTooLong))),
        None => None,
    }
}

/// Where the head ends that `bytes` begin with: after its empty line. Nothing before `from` ends a
/// line that is followed by the empty one.
//= https://www.rfc-editor.org/rfc/rfc9112#section-2.2
//# a recipient MAY recognize a single LF as a line terminator and ignore any preceding CR
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

/// The fields that decide where the request ends and whether the connection goes on.
#[derive(Default)]
struct Framing {
    host_count: u32,
    is_host_valid: bool,
    content_length: Option<u64>,
    has_coding: bool,
    has_close: bool,
    has_keep_alive: bool,
    expects_continue: bool,
}

fn judge<'b>(
    head: &httparse::Request<'_, '_>,
    buffer: &'b mut PathBuffer,
) -> Result<Request<'b>, Refusal> {
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(Refusal::HeadMalformed);
    };
    let is_1_0 = minor == 0;
    let framing = read_fields(head.headers)?;
    let body_len = body_len(&framing, is_1_0)?;
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //# MUST respond with a 400 ... to any HTTP/1.1 request message that lacks a Host header field
    //# and to any request message that contains more than one Host header field line or ... an
    //# invalid field value
    if framing.host_count == 0 && !is_1_0 {
        return Err(Refusal::HostMissing);
    }
    if framing.host_count > 1 || (framing.host_count == 1 && !framing.is_host_valid) {
        return Err(Refusal::HostMalformed);
    }
    Ok(Request {
        is_head: method == "HEAD",
        persistence: persistence(&framing, is_1_0, body_len),
        body_len,
        path: check_method(method).and_then(|()| resolve(target.as_bytes(), buffer)),
    })
}

fn read_fields(fields: &[Header<'_>]) -> Result<Framing, Refusal> {
    let mut framing = Framing::default();
    for &Header { name, value } in fields {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("host") {
            framing.host_count += 1;
            framing.is_host_valid = is_host(value);
        } else if name.eq_ignore_ascii_case("content-length") {
            if framing.content_length.is_some() {
                return Err(Refusal::ContentLengthMalformed);
            }
            framing.content_length = Some(parse_decimal(value)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing.has_coding = true;
        } else if name.eq_ignore_ascii_case("connection") {
            for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                framing.has_close |= token.eq_ignore_ascii_case(b"close");
                framing.has_keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name.eq_ignore_ascii_case("expect") {
            framing.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    Ok(framing)
}

/// Digits alone; what is beyond 64 bits is too long in any case.
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
//# Content-Length = 1*DIGIT
fn parse_decimal(digits: &[u8]) -> Result<u64, Refusal> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLengthMalformed);
    }
    Ok(digits
        .iter()
        .fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

fn body_len(framing: &Framing, is_1_0: bool) -> Result<u32, Refusal> {
    if framing.has_coding {
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        //# ought to be handled as an error (Transfer-Encoding beside Content-Length)
        //= https://www.rfc-editor.org/rfc/rfc9112#section-6.1
        //# (HTTP/1.0 with Transfer-Encoding) MUST treat the message as if the framing is faulty
        if framing.content_length.is_some() || is_1_0 {
            return Err(Refusal::FramingAmbiguous);
        }
        //# SHOULD respond with 501 to a transfer coding that it does not understand
        return Err(Refusal::TransferCoding);
    }
    match framing.content_length {
        None => Ok(0),
        Some(len) if len > BODY_LEN_MAX => Err(Refusal::BodyTooLong),
        Some(len) => Ok(u32::try_from(len).expect("at most BODY_LEN_MAX")),
    }
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
//# If the "close" connection option is present, the connection will not persist ... If the received
//# protocol is HTTP/1.1 (or later), the connection will persist ... HTTP/1.0, the "keep-alive"
//# connection option is present ... the connection will persist
fn persistence(framing: &Framing, is_1_0: bool, body_len: u32) -> Persistence {
    // A client that waits for 100 may or may not send its body after another answer: what comes
    // next could be either, so the connection ends.
    let is_body_uncertain = framing.expects_continue && !is_1_0 && body_len > 0;
    if framing.has_close || is_body_uncertain {
        Persistence::Close
    } else if !is_1_0 {
        Persistence::Keep
    } else if framing.has_keep_alive {
        Persistence::KeepSaid
    } else {
        Persistence::Close
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.1
//# recognized and implemented, but not allowed ... SHOULD respond with 405; an origin server that
//# receives a request method that is unrecognized or not implemented SHOULD respond with 501
fn check_method(method: &str) -> Result<(), Refusal> {
    match method {
        "GET" | "HEAD" => Ok(()),
        "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "CONNECT" | "TRACE" => {
            Err(Refusal::MethodNotAllowed)
        }
        _ => Err(Refusal::MethodUnknown),
    }
}

/// Whether `value` can be a Host: a name or an address, perhaps with a port; or nothing.
//= https://www.rfc-editor.org/rfc/rfc9110#section-7.2
//# Host = uri-host [ ":" port ]
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (is_name_valid, rest) = if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|&byte| byte == b']') else { return false };
        let is_address = |&byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(&byte);
        (end > 0 && literal[..end].iter().all(is_address), &literal[end + 1..])
    } else {
        let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
        let is_name =
            |&byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
        (value[..end].iter().all(is_name), &value[end..])
    };
    let is_port_valid = match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_name_valid && is_port_valid
}

#[cfg(test)]
mod tests;
