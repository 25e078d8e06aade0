//! An answer: what is to be sent, as a value from which any part of it can be written again.

use super::date::{self, DATE_LEN};
use super::documents::Document;
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
    /// The number of the document; only with `Status::Ok`.
    pub(crate) document: u32,
    /// HEAD: the head alone is sent.
    pub(crate) is_head: bool,
    pub(crate) persistence: Persistence,
    /// The peer sends no more: there is nothing to linger for.
    pub(crate) has_peer_ended: bool,
    /// Seconds since 1970; zero while nobody has told the time.
    pub(crate) date: u64,
    /// Bytes of head and body that are queued.
    pub(crate) sent: u64,
    /// Bytes of the request's body that are still to be thrown away.
    pub(crate) body_rest: u32,
}

impl Answer {
    /// The body: the document's, or a line that says the status.
    pub(crate) fn body<'d>(&self, document: Option<&'d Document>) -> &'d [u8] {
        match document {
            Some(document) => &document.body,
            None => message(self.status),
        }
    }

    /// Writes the head and returns its length.
    pub(crate) fn write_head(
        &self,
        document: Option<&Document>,
        out: &mut [u8; ANSWER_HEAD_LEN_MAX],
    ) -> usize {
        let mut head = Writer { out, len: 0 };
        head.put(b"HTTP/1.1 ");
        head.put(reason(self.status));
        head.put(b"\r\nServer: abele\r\n");
        //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
        //# An origin server with a clock MUST generate a Date header field in all 2xx, 3xx, 4xx;
        //# without a clock MUST NOT generate a Date header field
        if self.date != 0 {
            let mut text = [0; DATE_LEN];
            date::write(self.date, &mut text);
            head.put(b"Date: ");
            head.put(&text);
            head.put(b"\r\n");
        }
        head.put(b"Content-Type: ");
        head.put(document.map_or(b"text/plain", |document| document.content_type.as_bytes()));
        //= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
        //# The server SHOULD send the same header fields in response to a HEAD request as GET
        head.put(b"\r\nContent-Length: ");
        head.put_decimal(self.body(document).len());
        head.put(b"\r\n");
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
        //# The origin server MUST generate an Allow header field in a 405 response
        if self.status == Status::MethodNotAllowed {
            head.put(b"Allow: GET, HEAD\r\n");
        }
        match self.persistence {
            Persistence::Keep => {}
            Persistence::KeepSaid => head.put(b"Connection: keep-alive\r\n"),
            Persistence::Close => head.put(b"Connection: close\r\n"),
        }
        head.put(b"\r\n");
        head.len
    }
}

/// The status that tells of a refusal. Those that end a connection without an answer have none.
pub(crate) fn status_of(refusal: Refusal) -> Option<Status> {
    match refusal {
        Refusal::HeadMalformed
        | Refusal::HostMissing
        | Refusal::HostMalformed
        | Refusal::TargetMalformed
        | Refusal::PathEscapes
        | Refusal::ContentLengthMalformed
        | Refusal::FramingAmbiguous => Some(Status::BadRequest),
        Refusal::NotFound => Some(Status::NotFound),
        Refusal::MethodNotAllowed => Some(Status::MethodNotAllowed),
        Refusal::HeadTimeout => Some(Status::RequestTimeout),
        Refusal::BodyTooLong => Some(Status::ContentTooLarge),
        Refusal::HeadTooLong | Refusal::HeadersTooMany => Some(Status::HeaderFieldsTooLarge),
        Refusal::TransferCoding | Refusal::MethodUnknown => Some(Status::NotImplemented),
        Refusal::ResourceSessions | Refusal::ResourceHeads => Some(Status::ServiceUnavailable),
        Refusal::PeerTruncated
        | Refusal::BodyTimeout
        | Refusal::AnswerTimeout
        | Refusal::LingerTimeout
        | Refusal::LingerTooLong
        | Refusal::LingerRefused
        | Refusal::SendRefused
        | Refusal::AnswerCut
        | Refusal::ResourceTimers
        | Refusal::Datagram => None,
    }
}

fn reason(status: Status) -> &'static [u8] {
    let message = message(status);
    &message[..message.len() - 1]
}

/// The status as a line, which is also the body of an answer without a document.
fn message(status: Status) -> &'static [u8] {
    match status {
        Status::Ok => b"200 OK\n",
        Status::BadRequest => b"400 Bad Request\n",
        Status::NotFound => b"404 Not Found\n",
        Status::MethodNotAllowed => b"405 Method Not Allowed\n",
        Status::RequestTimeout => b"408 Request Timeout\n",
        Status::ContentTooLarge => b"413 Content Too Large\n",
        Status::HeaderFieldsTooLarge => b"431 Request Header Fields Too Large\n",
        Status::NotImplemented => b"501 Not Implemented\n",
        Status::ServiceUnavailable => b"503 Service Unavailable\n",
    }
}

struct Writer<'o> {
    out: &'o mut [u8; ANSWER_HEAD_LEN_MAX],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn put_decimal(&mut self, number: usize) {
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
mod tests {
    use super::{Answer, Persistence, status_of};
    use crate::counters::{Refusal, Status};
    use crate::limits::{ANSWER_HEAD_LEN_MAX, CONTENT_TYPE_LEN_MAX};
    use crate::proto::http::Document;

    fn answer(status: Status, persistence: Persistence, date: u64) -> Answer {
        Answer {
            status,
            document: 0,
            is_head: false,
            persistence,
            has_peer_ended: false,
            date,
            sent: 0,
            body_rest: 0,
        }
    }

    fn head(answer: &Answer, document: Option<&Document>) -> String {
        let mut out = [0; ANSWER_HEAD_LEN_MAX];
        let len = answer.write_head(document, &mut out);
        String::from_utf8(out[..len].to_vec()).unwrap()
    }

    #[test]
    fn heads_are_these_bytes() {
        let document = Document {
            path: "/a".to_owned(),
            content_type: "text/html; charset=utf-8".to_owned(),
            body: vec![0; 1_204],
        };
        let ok = answer(Status::Ok, Persistence::Keep, 784_111_777);
        assert_eq!(
            head(&ok, Some(&document)),
            "HTTP/1.1 200 OK\r\nServer: abele\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Length: 1204\r\n\r\n"
        );
        let told = answer(Status::NotFound, Persistence::KeepSaid, 0);
        assert_eq!(
            head(&told, None),
            "HTTP/1.1 404 Not Found\r\nServer: abele\r\nContent-Type: text/plain\r\n\
             Content-Length: 14\r\nConnection: keep-alive\r\n\r\n"
        );
        assert_eq!(told.body(None), b"404 Not Found\n");
        let closing = answer(Status::MethodNotAllowed, Persistence::Close, 0);
        assert_eq!(
            head(&closing, None),
            "HTTP/1.1 405 Method Not Allowed\r\nServer: abele\r\nContent-Type: text/plain\r\n\
             Content-Length: 23\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn the_longest_head_fits() {
        let document = Document {
            path: "/a".to_owned(),
            content_type: "a".repeat(CONTENT_TYPE_LEN_MAX),
            body: Vec::new(),
        };
        for &status in Status::ALL {
            let answer = answer(status, Persistence::KeepSaid, u64::MAX);
            let longest_number = "18446744073709551615".len();
            assert!(head(&answer, Some(&document)).len() + longest_number < ANSWER_HEAD_LEN_MAX);
        }
    }

    #[test]
    fn only_what_ends_a_connection_without_a_word_has_no_status() {
        let silent = Refusal::ALL.iter().filter(|&&refusal| status_of(refusal).is_none()).count();
        assert_eq!((silent, Refusal::ALL.len()), (10, 27));
    }
}
