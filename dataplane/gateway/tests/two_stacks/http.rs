//! What HTTP answers, byte by byte.

use gateway::{Document, Refusal, Status};

use super::bed::{Bed, WALL_TIME};
use super::table::etag;

pub(crate) const DATE: &str = "Date: Sun, 09 Sep 2001 01:46:40 GMT\r\n";

/// An answer, as the gateway writes it.
pub(crate) fn answer(status: &str, fields: &str, body: &str) -> String {
    let kind = if body.starts_with('<') { "text/html" } else { "text/plain" };
    let len = body.len();
    let of_document = match status {
        "200 OK" => document_fields(kind, body.as_bytes()),
        _ => String::new(),
    };
    format!(
        "HTTP/1.1 {status}\r\nServer: abele\r\n{DATE}Content-Type: {kind}\r\n{of_document}\
         Content-Length: {len}\r\n{fields}\r\n{body}"
    )
}

/// What an answer says of its document beside its type and length.
pub(crate) fn document_fields(kind: &str, body: &[u8]) -> String {
    let (path, content_type) = (String::new(), kind.to_owned());
    let etag = etag(&Document { path, content_type, body: body.to_vec(), modified: None });
    format!(
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: {etag}\r\nAccept-Ranges: bytes\r\n"
    )
}

pub(crate) fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

pub(crate) fn error(status: &str, fields: &str) -> String {
    answer(status, fields, &format!("{status}\n"))
}

const CLOSE: &str = "Connection: close\r\n";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn documents_are_answered() {
    let mut bed = Bed::new();
    for (target, body) in [
        ("/", "<p>abele</p>"),
        ("/index.html?x=y", "<p>abele</p>"),
        ("/a.txt", "alpha"),
        ("/%61.txt", "alpha"),
        ("/empty.txt", ""),
        ("/sub/", "<p>sub</p>"),
        ("/sub/../a.txt", "alpha"),
        ("http://a/sub/", "<p>sub</p>"),
    ] {
        assert_eq!(bed.exchange(&[get(target).as_bytes()]), ok(body), "{target}");
    }
    let counters = bed.counters();
    assert_eq!((counters.http.answered(Status::Ok), counters.http.answers()), (8, 8));
    assert_eq!(counters.http.sessions_used_max, 0, "whole requests take no session");
    bed.assert_nothing_is_left();
}

#[test]
fn head_is_get_without_the_body() {
    let mut bed = Bed::new();
    for (target, whole) in [("/a.txt", ok("alpha")), ("/b", error("404 Not Found", ""))] {
        let request = get(target).replace("GET", "HEAD");
        let head = &whole[..whole.find("\r\n\r\n").unwrap() + 4];
        // The second answer shows that nothing followed the first.
        let both = request.clone() + &request;
        assert_eq!(bed.exchange(&[both.as_bytes()]), head.repeat(2));
    }
    let large = bed.exchange(&[get("/large.txt").replace("GET", "HEAD").as_bytes()]);
    assert!(large.contains("Content-Length: 5242880\r\n") && large.ends_with("\r\n\r\n"));
    bed.assert_nothing_is_left();
}

#[test]
fn errors_are_answered_and_the_connection_goes_on_where_its_state_is_known() {
    let mut bed = Bed::new();
    let not_allowed = error("405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n");
    for (request, first) in [
        (get("/b"), error("404 Not Found", "")),
        (get("/sub"), error("301 Moved Permanently", "Location: /sub/\r\n")),
        (get("/a%2ftxt"), error("404 Not Found", "")),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            not_allowed.clone(),
        ),
        ("DELETE /b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), not_allowed.clone()),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), not_allowed),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), error("501 Not Implemented", "")),
    ] {
        let both = request.clone() + &get("/a.txt");
        assert_eq!(bed.exchange(&[both.as_bytes()]), first + &ok("alpha"), "{request}");
    }
    let http = bed.counters().http;
    assert_eq!(http.refused(Refusal::NotFound), 2);
    assert_eq!(http.refused(Refusal::MethodNotAllowed), 3);
    assert_eq!(http.refused(Refusal::MethodUnknown), 1);
    assert_eq!(http.bytes_discarded, 3);
    bed.assert_nothing_is_left();
}

#[test]
fn errors_in_the_framing_end_the_connection() {
    let mut bed = Bed::new();
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(8_192));
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(64));
    for (request, status, refusal) in [
        ("GET /\r\n\r\n", "400 Bad Request", Refusal::HeadMalformed),
        ("\x16\x03\x01\r\n\r\n", "400 Bad Request", Refusal::HeadMalformed),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", Refusal::HostMissing),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400 Bad Request", Refusal::HostMalformed),
        ("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request", Refusal::PathEscapes),
        ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request", Refusal::TargetMalformed),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            "400 Bad Request",
            Refusal::ContentLengthMalformed,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 Bad Request",
            Refusal::FramingAmbiguous,
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "501 Not Implemented",
            Refusal::TransferCoding,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n",
            "413 Content Too Large",
            Refusal::BodyTooLong,
        ),
        (&long, "431 Request Header Fields Too Large", Refusal::HeadTooLong),
        (&fields, "431 Request Header Fields Too Large", Refusal::HeadersTooMany),
    ] {
        let before = bed.counters().http.refused(refusal);
        // What follows would be answered if it were taken for a request.
        let both = request.to_owned() + &get("/a.txt");
        let number = bed.http(&[both.as_bytes()]);
        bed.settle();
        assert_eq!(bed.received(number), error(status, CLOSE), "{request}");
        assert_eq!(bed.counters().http.refused(refusal), before + 1, "{request}");
        assert_eq!(bed.closed(number), Some(stack::CloseReason::Finished), "{request}");
    }
    bed.assert_nothing_is_left();
}

#[test]
fn connections_go_on_or_end_as_the_client_asks() {
    let mut bed = Bed::new();
    let closing = answer("200 OK", CLOSE, "alpha");
    let told = answer("200 OK", "Connection: keep-alive\r\n", "alpha");
    for (request, first, goes_on) in [
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", &ok("alpha"), true),
        ("GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &closing, false),
        ("GET /a.txt HTTP/1.0\r\n\r\n", &closing, false),
        ("GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &told, true),
    ] {
        let both = request.repeat(2);
        let number = bed.http(&[both.as_bytes()]);
        bed.settle();
        let count = if goes_on { 2 } else { 1 };
        assert_eq!(bed.received(number), first.repeat(count), "{request}");
        assert_eq!(bed.peer(number).has_end, !goes_on, "{request}");
    }
    bed.assert_nothing_is_left();
}

#[test]
fn a_connection_is_kept_for_a_thousand_requests() {
    let mut bed = Bed::new();
    let number = bed.http(&[]);
    for round in 0..1_000_u64 {
        bed.server.service_mut().set_wall_time(WALL_TIME);
        bed.peer(number).pieces.push_back(get("/a.txt").into_bytes());
        let len = ok("alpha").len();
        bed.run_until(base::Duration::from_secs(1), |bed| {
            bed.client.service().peers[number].received.len() >= len
        });
        assert_eq!(bed.received(number), ok("alpha"), "round {round}");
        bed.peer(number).received.clear();
    }
    let http = bed.counters().http;
    assert_eq!(
        (http.connections, http.answered(Status::Ok), http.sessions_used_max),
        (1, 1_000, 0)
    );
    bed.assert_nothing_is_left();
}

#[test]
fn the_date_is_what_the_caller_says_or_nothing() {
    let mut bed = Bed::new();
    bed.server.service_mut().set_wall_time(0);
    let answer = bed.exchange(&[get("/a.txt").as_bytes()]);
    assert_eq!(answer, ok("alpha").replace(DATE, ""));
    bed.server.service_mut().set_wall_time(WALL_TIME + 1);
    let answer = bed.exchange(&[get("/a.txt").as_bytes()]);
    assert_eq!(answer, ok("alpha").replace("46:40", "46:41"));
}
