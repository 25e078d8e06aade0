//! Heads, byte by byte.

use super::{Answer, DateLine, Persistence, status_of};
use crate::counters::{Refusal, Status};
use crate::limits::{ANSWER_HEAD_LEN_MAX, CONTENT_TYPE_LEN_MAX, PATH_LEN_MAX};
use crate::proto::http::Document;
use crate::proto::http::stored::Stored;

fn answer(status: Status, persistence: Persistence, date: u64) -> Answer {
    Answer {
        status,
        is_head: false,
        persistence,
        has_peer_ended: false,
        document: 0,
        date,
        sent: 0,
        from: 0,
        to: 0,
        parts: base::NIL,
    }
}

fn stored(path: &str, content_type: &str, len: usize) -> Stored {
    Stored::new(Document {
        path: path.to_owned(),
        content_type: content_type.to_owned(),
        body: vec![b'x'; len],
        modified: Some(784_111_777),
    })
}

fn head(answer: &Answer, document: Option<&Stored>, now: u64) -> String {
    let mut out = [0; ANSWER_HEAD_LEN_MAX];
    let len = answer.write_head(document, &DateLine::new(now), &mut out);
    String::from_utf8(out[..len].to_vec()).unwrap()
}

const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

#[test]
fn heads_of_documents_are_these_bytes() {
    let document = stored("/a", "text/html; charset=utf-8", 1_204);
    let etag = std::str::from_utf8(document.etag_line()).unwrap();
    let fields = format!(
        "Content-Type: text/html; charset=utf-8\r\n\
         Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n{etag}Accept-Ranges: bytes\r\n"
    );
    let ok = answer(Status::Ok, Persistence::Keep, 784_111_777);
    // The date is that of the answer, whatever the time is when it is written.
    for now in [784_111_777, 784_111_778, 0] {
        assert_eq!(
            head(&ok, Some(&document), now),
            format!(
                "HTTP/1.1 200 OK\r\nServer: abele\r\n{DATE}{fields}Content-Length: 1204\r\n\r\n"
            )
        );
    }
    let part =
        Answer { from: 10, to: 1_204, ..answer(Status::PartialContent, Persistence::Keep, 0) };
    assert_eq!(
        head(&part, Some(&document), 0),
        format!(
            "HTTP/1.1 206 Partial Content\r\nServer: abele\r\n{fields}Content-Length: 1194\r\n\
             Content-Range: bytes 10-1203/1204\r\n\r\n"
        )
    );
    assert_eq!(part.body(Some(&document)).len(), 1_194);
    let not_modified = answer(Status::NotModified, Persistence::Close, 784_111_777);
    assert_eq!(
        head(&not_modified, Some(&document), 784_111_777),
        format!(
            "HTTP/1.1 304 Not Modified\r\nServer: abele\r\n{DATE}{etag}Connection: close\r\n\r\n"
        )
    );
    assert_eq!(not_modified.body(Some(&document)), b"");
}

#[test]
fn heads_without_a_document_are_these_bytes() {
    let told = answer(Status::NotFound, Persistence::KeepSaid, 0);
    assert_eq!(
        head(&told, None, 0),
        "HTTP/1.1 404 Not Found\r\nServer: abele\r\nContent-Type: text/plain\r\n\
         Content-Length: 14\r\nConnection: keep-alive\r\n\r\n"
    );
    assert_eq!(told.body(None), b"404 Not Found\n");
    let closing = answer(Status::MethodNotAllowed, Persistence::Close, 0);
    assert_eq!(
        head(&closing, None, 0),
        "HTTP/1.1 405 Method Not Allowed\r\nServer: abele\r\nContent-Type: text/plain\r\n\
         Content-Length: 23\r\nAllow: GET, HEAD, OPTIONS\r\nConnection: close\r\n\r\n"
    );
    let options = answer(Status::NoContent, Persistence::Keep, 0);
    assert_eq!(
        head(&options, None, 0),
        "HTTP/1.1 204 No Content\r\nServer: abele\r\nAllow: GET, HEAD, OPTIONS\r\n\r\n"
    );
    let index = stored("/a b/index.html", "text/html", 10);
    let moved = answer(Status::MovedPermanently, Persistence::Keep, 0);
    assert_eq!(
        head(&moved, Some(&index), 0),
        "HTTP/1.1 301 Moved Permanently\r\nServer: abele\r\nContent-Type: text/plain\r\n\
         Content-Length: 22\r\nLocation: /a%20b/\r\n\r\n"
    );
    let outside = answer(Status::RangeNotSatisfiable, Persistence::Keep, 0);
    assert_eq!(
        head(&outside, Some(&index), 0),
        "HTTP/1.1 416 Range Not Satisfiable\r\nServer: abele\r\nContent-Type: text/plain\r\n\
         Content-Length: 26\r\nContent-Range: bytes */10\r\n\r\n"
    );
}

#[test]
fn the_longest_head_fits() {
    let path = "/".to_owned() + &"ü".repeat((PATH_LEN_MAX - 12) / 2) + "/index.html";
    let document = stored(&path, &"a".repeat(CONTENT_TYPE_LEN_MAX), 1);
    for &status in Status::ALL {
        let answer = Answer { from: 0, to: 1, ..answer(status, Persistence::KeepSaid, u64::MAX) };
        let longest_numbers = 4 * "18446744073709551615".len();
        let len = head(&answer, Some(&document), 0).len() + longest_numbers;
        assert!(len < ANSWER_HEAD_LEN_MAX, "{status:?}: {len}");
    }
}

#[test]
fn only_what_ends_a_connection_without_a_word_has_no_status() {
    let silent = Refusal::ALL.iter().filter(|&&refusal| status_of(refusal).is_none()).count();
    assert_eq!((silent, Refusal::ALL.len()), (11, 40));
}
