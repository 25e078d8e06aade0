//! Any bytes, in any segments, between two known requests: no panic, no answer too many, and the
//! answers do not depend on the cuts.
//!
//! The bytes go through the whole gateway over two stacks. The stream is compared with itself: sent
//! whole and sent in pieces it must bring the same answers, byte for byte. Each answer is read as a
//! client reads it, by its Content-Length, so that one which is out of step is found.
#![forbid(unsafe_code)]

#[path = "two_stacks/bed.rs"]
mod bed;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, UnwindSafe};

use bed::Bed;

#[global_allocator]
static ALLOCATOR: memory::counting::CountingAllocator = memory::counting::CountingAllocator;

/// What bytes from 128 on stand for, in turn: random inputs are made of requests, nearly.
const PARTS: [&[u8]; 44] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"BREW ",
    b"/a.txt",
    b"/",
    b"/..",
    b"/%2e",
    b"http://a/a.txt",
    b" HTTP/1.1\r\n",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n",
    b"Host: a\r\n\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Content-Length: 5\r\n\r\nhello",
    b"Content-Length: 5\r\n",
    STOLEN,
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r",
    b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /empty.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n",
    b"GET /b HTTP/1.1\r\nHost: a\r\n",
    &[b'A'; 700],
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    STOLEN_CHUNK,
    b"5\r\nhello\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"5;a=b\r\n",
    b"fffffffff\r\n",
    b"A: b\r\n",
    b"GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2,-1\r\n\r\n",
    b"Range: bytes=2-\r\n",
    b"If-None-Match: *\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// A body that is itself a request. Wherever this stands, its field begins a line: it announces the
/// body, or the request before it is malformed and the connection ends.
const STOLEN: &[u8] =
    b"A: b\r\nContent-Length: 37\r\n\r\nGET /stolen.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// A chunk that is itself a request. Before it a line has ended: where a chunk is due it is one, and
/// elsewhere `25` begins a line that is no field and no request.
const STOLEN_CHUNK: &[u8] = b"\r\n25\r\nGET /stolen.txt HTTP/1.1\r\nHost: a\r\n\r\n\r\n";

/// The first byte says where the rest is cut.
fn check(bed: &mut Bed, input: &[u8]) {
    let Some((&cut, rest)) = input.split_first() else {
        return;
    };
    let mut stream = Vec::new();
    let mut stolen_count = 0;
    for &byte in rest {
        match usize::from(byte).checked_sub(128) {
            None => stream.push(byte),
            Some(part) => {
                let part = PARTS[part % PARTS.len()];
                stolen_count += usize::from(part == STOLEN);
                stream.extend_from_slice(part);
            }
        }
    }
    stream.truncate(16_384);
    let stream = stream.as_slice();
    if stream.is_empty() {
        return;
    }
    let whole = answers(bed, &[stream]);
    let len = 1 + usize::from(cut) % 97;
    let first = usize::from(cut) % stream.len();
    let (head, tail) = stream.split_at(first);
    let mut pieces: Vec<&[u8]> = vec![head];
    pieces.extend(tail.chunks(len.max(tail.len() / 64)));
    assert_eq!(whole, answers(bed, &pieces), "pieces of {len} after {first}");
    // Other bodies could end in the midst of this one, and make a request of it.
    let count =
        |word: &[u8]| stream.windows(word.len()).filter(|it| it.eq_ignore_ascii_case(word)).count();
    // And behind the last chunk its field is a trailer, which announces nothing.
    let has_trailers = stolen_count > 0 && count(b"chunked") > 0;
    if count(b"ength") == stolen_count && !has_trailers {
        assert!(!whole.contains("stolen"), "a body was taken for a request");
    }
    let heads = count_heads(stream);
    let statuses = read_answers(&whole);
    // What cannot begin a request is refused without a head, and once.
    let finals = statuses.iter().filter(|&&status| status != 100).count();
    assert!(finals <= heads + 1, "{statuses:?} for {heads} requests");
}

/// What comes back until both sides rest; the connection is given up then.
fn answers(bed: &mut Bed, pieces: &[&[u8]]) -> String {
    let number = bed.http(pieces);
    bed.settle();
    let conn = bed.peer(number).conn;
    bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
    bed.settle();
    assert_eq!(bed.counters().http.sessions_used, 0, "a session is left");
    let received = bed.received(number);
    // Peers are found by their number: the last one's is free again.
    bed.client.service_mut().peers.pop();
    received
}

/// Lines that are followed by an empty one: there cannot be more requests than these.
fn count_heads(stream: &[u8]) -> usize {
    let ends = |at: &usize| {
        let rest = &stream[*at..];
        rest.starts_with(b"\n\n") || rest.starts_with(b"\n\r\n")
    };
    // A head that is too long is refused without its end.
    (0..stream.len()).filter(ends).count() + stream.len() / 8_192
}

/// The statuses of a stream of answers, each of which must be whole.
fn read_answers(text: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (head, body) = rest.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.strip_prefix("HTTP/1.1 ").expect("an answer begins with its version");
        statuses.push(status[..3].parse().expect("a status has three digits"));
        let field = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let has_no_length = matches!(statuses.last(), Some(100 | 204 | 304));
        assert_eq!(field.is_none(), has_no_length, "{head}");
        let len: usize = field.map_or(0, |field| field.parse().expect("a number"));
        // To a HEAD the body does not follow; what follows is the next answer or nothing.
        let has_body = len > 0 && !body.is_empty() && !body.starts_with("HTTP/1.1 ");
        rest = if has_body { &body[len..] } else { body };
    }
    statuses
}

fn fuzz(bed: &RefCell<Bed>) -> impl Fn(&[u8]) + UnwindSafe + '_ {
    let bed = AssertUnwindSafe(bed);
    move |input| check(&mut bed.borrow_mut(), input)
}

#[test]
fn fuzz_http_request() {
    // One bed for all: what one input leaves behind, another would find.
    let bed = RefCell::new(Bed::new());
    bolero::check!().for_each(fuzz(&bed));
}
