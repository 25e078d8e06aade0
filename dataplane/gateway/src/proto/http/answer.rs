//! An answer: what is to be sent, as a value from which any part of it can be written again.

use base::NIL;

use super::date::{self, DATE_LEN};
use super::stored::Stored;
use crate::counters::{Refusal, Status};
use crate::limits::ANSWER_HEAD_LEN_MAX;

/// Whether the connection goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It does, as HTTP/1.1 does without a word.
    Keep,
    /// It does, and a client of HTTP/1.0 is told so.
    KeepSaid,
    /// It ends.
    Close,
}

/// An answer under way. Its head is not stored: it is a function of these fields, so that a head
/// of which half was sent goes on with the very bytes that it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// HEAD: the head alone is sent.
    pub(crate) is_head: bool,
    pub(crate) persistence: Persistence,
    /// The peer sends no more: there is nothing to linger for.
    pub(crate) has_peer_ended: bool,
    /// The number of the document that the answer is about, or `NIL`.
    pub(crate) document: u32,
    /// Seconds since 1970; zero while nobody has told the time.
    pub(crate) date: u64,
    /// Bytes of head and body that are queued.
    pub(crate) sent: u64,
    /// The stretch of the document that is sent, with `Ok` and `PartialContent`; of an answer in
    /// parts the whole of its content.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The number of the list of its parts, or `NIL`.
    pub(crate) parts: u32,
}

/// The date as a field, written once a second and not once a request.
#[derive(Clone, Debug)]
pub(crate) struct DateLine {
    pub(crate) seconds: u64,
    text: [u8; DATE_LINE_LEN],
}

const DATE_LINE_LEN: usize = b"Date: \r\n".len() + DATE_LEN;

impl DateLine {
    pub(crate) fn new(seconds: u64) -> Self {
        let mut date = [0; DATE_LEN];
        date::write(seconds, &mut date);
        let mut text = [0; DATE_LINE_LEN];
        text[..6].copy_from_slice(b"Date: ");
        text[6..6 + DATE_LEN].copy_from_slice(&date);
        text[6 + DATE_LEN..].copy_from_slice(b"\r\n");
        Self { seconds, text }
    }
}

impl Answer {
    /// The content: of the document, or a line that says the status, or none.
    pub(crate) fn body<'d>(&self, document: Option<&'d Stored>) -> &'d [u8] {
        match (self.status, document) {
            (Status::Ok | Status::PartialContent, Some(document)) if self.parts == NIL => {
                let at = |place| usize::try_from(place).expect("within a document in memory");
                &document.body[at(self.from)..at(self.to)]
            }
            //= https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
            //# All ... 204 (No Content), and 304 (Not Modified) responses do not include content.
            (Status::NoContent | Status::NotModified, _) => &[],
            _ => lines(self.status).1,
        }
    }

    /// Bytes of the content.
    pub(crate) fn content_len(&self, document: Option<&Stored>) -> u64 {
        if self.is_head {
            0
        } else if self.parts == NIL {
            self.body(document).len() as u64
        } else {
            self.to
        }
    }

    /// Writes the head and returns its length.
    pub(crate) fn write_head(
        &self,
        document: Option<&Stored>,
        now: &DateLine,
        out: &mut [u8; ANSWER_HEAD_LEN_MAX],
    ) -> usize {
        let mut head = Writer { out, len: 0 };
        head.put(lines(self.status).0);
        //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
        //# An origin server with a clock MUST generate a Date header field in all 2xx, 3xx, 4xx;
        //# without a clock MUST NOT generate a Date header field
        if self.date == now.seconds && self.date != 0 {
            head.put(&now.text);
        } else if self.date != 0 {
            head.put(&DateLine::new(self.date).text);
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
        //# The server SHOULD send the same header fields in response to a HEAD request as GET
        match (self.status, document) {
            (Status::Ok, Some(document)) => head.put(document.fields()),
            _ => self.put_rare_fields(document, &mut head),
        }
        match self.persistence {
            Persistence::Keep => head.put(b"\r\n"),
            Persistence::KeepSaid => head.put(b"Connection: keep-alive\r\n\r\n"),
            Persistence::Close => head.put(b"Connection: close\r\n\r\n"),
        }
        head.len
    }

    /// The fields of every answer but that with a whole document.
    fn put_rare_fields(&self, document: Option<&Stored>, head: &mut Writer<'_>) {
        match (self.status, document) {
            (Status::PartialContent, Some(document)) if self.parts == NIL => {
                head.put(document.fields_of_a_part());
                head.put_decimal(b"Content-Length: ", self.to - self.from);
                head.put(b"\r\n");
                head.put_content_range((self.from, self.to), document.body.len() as u64);
                return;
            }
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
            //# a server that generates a multipart response MUST NOT generate a Content-Range
            //# header field in the HTTP header section
            (Status::PartialContent, Some(document)) => {
                head.put(b"Content-Type: multipart/byteranges; boundary=");
                head.put(document.boundary());
                head.put(b"\r\n");
                head.put(document.fields_behind_type());
                head.put_decimal(b"Content-Length: ", self.to);
                head.put(b"\r\n");
                return;
            }
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.5
            //# MUST generate ... Content-Location, Date, ETag, and Vary
            (Status::NotModified, Some(document)) => return head.put(document.etag_line()),
            //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
            //# A server MUST NOT send a Content-Length header field in any response with a status
            //# code of 1xx (Informational) or 204 (No Content).
            (Status::NoContent, _) => return head.put(ALLOW),
            _ => {}
        }
        head.put(b"Content-Type: text/plain\r\n");
        head.put_decimal(b"Content-Length: ", self.body(document).len() as u64);
        head.put(b"\r\n");
        match (self.status, document) {
            (Status::MovedPermanently, Some(document)) => head.put(document.location_line()),
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
            //# SHOULD generate a Content-Range header field specifying the current length
            (Status::RangeNotSatisfiable, Some(document)) => {
                head.put_decimal(b"Content-Range: bytes */", document.body.len() as u64);
                head.put(b"\r\n");
            }
            //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
            //# The origin server MUST generate an Allow header field in a 405 response
            (Status::MethodNotAllowed, _) => head.put(ALLOW),
            _ => {}
        }
    }
}

const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// The status that tells of a refusal. Those that end a connection without an answer have none.
pub(crate) fn status_of(refusal: Refusal) -> Option<Status> {
    match refusal {
        Refusal::HeadMalformed
        | Refusal::LineFeedAlone
        | Refusal::HostMissing
        | Refusal::HostMalformed
        | Refusal::TargetMalformed
        | Refusal::PathEscapes
        | Refusal::ContentLengthMalformed
        | Refusal::FramingAmbiguous
        | Refusal::CodingUnending
        | Refusal::ChunkMalformed => Some(Status::BadRequest),
        Refusal::NotFound => Some(Status::NotFound),
        Refusal::MethodNotAllowed => Some(Status::MethodNotAllowed),
        Refusal::HeadTimeout | Refusal::BodyTimeout => Some(Status::RequestTimeout),
        Refusal::LengthRequired => Some(Status::LengthRequired),
        Refusal::PreconditionFailed => Some(Status::PreconditionFailed),
        Refusal::BodyTooLong => Some(Status::ContentTooLarge),
        Refusal::TargetTooLong => Some(Status::UriTooLong),
        Refusal::RangeUnsatisfiable => Some(Status::RangeNotSatisfiable),
        Refusal::ExpectationUnknown => Some(Status::ExpectationFailed),
        Refusal::SchemeMisdirected => Some(Status::MisdirectedRequest),
        Refusal::HeadTooLong | Refusal::HeadersTooMany | Refusal::TrailersTooLong => {
            Some(Status::HeaderFieldsTooLarge)
        }
        Refusal::TransferCoding | Refusal::MethodUnknown => Some(Status::NotImplemented),
        Refusal::ResourceSessions | Refusal::ResourceHeads => Some(Status::ServiceUnavailable),
        Refusal::VersionUnsupported => Some(Status::VersionNotSupported),
        Refusal::PeerTruncated
        | Refusal::IdleTimeout
        | Refusal::AnswerTimeout
        | Refusal::LingerTimeout
        | Refusal::LingerTooLong
        | Refusal::LingerRefused
        | Refusal::SendRefused
        | Refusal::AnswerCut
        | Refusal::ResourceFrames
        | Refusal::ResourceTimers
        | Refusal::Datagram => None,
    }
}

/// The head's first lines, and the line that is the content where there is no document.
macro_rules! lines {
    ($text:literal) => {
        (
            concat!("HTTP/1.1 ", $text, "\r\nServer: abele\r\n").as_bytes(),
            concat!($text, "\n").as_bytes(),
        )
    };
}

fn lines(status: Status) -> (&'static [u8], &'static [u8]) {
    match status {
        Status::Ok => lines!("200 OK"),
        Status::NoContent => lines!("204 No Content"),
        Status::PartialContent => lines!("206 Partial Content"),
        Status::MovedPermanently => lines!("301 Moved Permanently"),
        Status::NotModified => lines!("304 Not Modified"),
        Status::BadRequest => lines!("400 Bad Request"),
        Status::NotFound => lines!("404 Not Found"),
        Status::MethodNotAllowed => lines!("405 Method Not Allowed"),
        Status::RequestTimeout => lines!("408 Request Timeout"),
        Status::LengthRequired => lines!("411 Length Required"),
        Status::PreconditionFailed => lines!("412 Precondition Failed"),
        Status::ContentTooLarge => lines!("413 Content Too Large"),
        Status::UriTooLong => lines!("414 URI Too Long"),
        Status::RangeNotSatisfiable => lines!("416 Range Not Satisfiable"),
        Status::ExpectationFailed => lines!("417 Expectation Failed"),
        Status::MisdirectedRequest => lines!("421 Misdirected Request"),
        Status::HeaderFieldsTooLarge => lines!("431 Request Header Fields Too Large"),
        Status::NotImplemented => lines!("501 Not Implemented"),
        Status::ServiceUnavailable => lines!("503 Service Unavailable"),
        Status::VersionNotSupported => lines!("505 HTTP Version Not Supported"),
    }
}

pub(crate) struct Writer<'o> {
    pub(crate) out: &'o mut [u8; ANSWER_HEAD_LEN_MAX],
    pub(crate) len: usize,
}

impl Writer<'_> {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
    //# byte-content-range = first-pos "-" last-pos "/" complete-length
    pub(crate) fn put_content_range(&mut self, (from, to): (u64, u64), len: u64) {
        self.put_decimal(b"Content-Range: bytes ", from);
        self.put_decimal(b"-", to - 1);
        self.put_decimal(b"/", len);
        self.put(b"\r\n");
    }

    fn put_decimal(&mut self, before: &[u8], number: u64) {
        self.put(before);
        let mut digits = [b'0'; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] += u8::try_from(rest % 10).expect("a digit");
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }
}

#[cfg(test)]
mod tests;
