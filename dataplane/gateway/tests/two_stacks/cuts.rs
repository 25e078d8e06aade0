//! However a stream of requests is cut into segments, its answers are the same.

use super::bed::Bed;
use super::http::{error, ok};

/// A stream, and what answers it.
type Case = (&'static str, fn() -> String);

const STREAMS: [Case; 5] = [
    (
        "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n\r\nPUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\n\
         GET / HTTP/1.1\r\n\r\nHEAD /sub/ HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        || {
            let sub = ok("<p>sub</p>");
            ok("alpha")
                + &error("405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n")
                + &sub[..sub.len() - "<p>sub</p>".len()]
                + &error("404 Not Found", "")
        },
    ),
    (
        "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\nG\0T / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        || ok("alpha") + &error("400 Bad Request", "Connection: close\r\n"),
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        || error("405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n"),
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nGET GET / HTTP/1.1\r\n\r\n",
        || super::http::answer("200 OK", "Connection: close\r\n", "<p>abele</p>"),
    ),
    (
        "GET /empty.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /a.txt HTTP/1.1\r\nHost: a\r\nA",
        || ok(""),
    ),
];

#[test]
fn every_cut_in_two_gives_the_same_answers() {
    let mut bed = Bed::new();
    for (stream, answers) in STREAMS {
        let bytes = stream.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let number = bed.http(&[first, second]);
            bed.settle();
            assert_eq!(bed.received(number), answers(), "cut at {cut}: {stream:?}");
            let conn = bed.peer(number).conn;
            bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
        }
    }
    bed.assert_nothing_is_left();
}

#[test]
fn every_byte_in_a_segment_of_its_own_gives_the_same_answers() {
    let mut bed = Bed::new();
    for (stream, answers) in STREAMS {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(bed.exchange(&pieces), answers(), "{stream:?}");
    }
    bed.assert_nothing_is_left();
}
