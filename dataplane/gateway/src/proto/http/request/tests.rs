//! Heads as clients, careless programs and attackers write them.

use super::{Expectation, Method, Request, find_end, parse, slots};
use crate::counters::Refusal;
use crate::limits::{BODY_LEN_MAX_DEFAULT, HEAD_LEN_MAX, HEADERS_MAX};
use crate::proto::http::answer::Persistence;
use crate::proto::http::body::Body;

/// The method, what becomes of the connection, the content; the path as text.
type Parsed = Result<(Method, Persistence, Option<Body>, String), Refusal>;

/// The head's length and what it is.
fn parsed(bytes: &str) -> Option<(usize, Parsed)> {
    let (mut slots, mut buffer) = (slots(), [0; HEAD_LEN_MAX]);
    let (len, result) = parse(bytes.as_bytes(), &mut slots, &mut buffer, BODY_LEN_MAX_DEFAULT)?;
    let result = result.map_err(|rejection| {
        assert_eq!(rejection.is_head, bytes.starts_with("HEAD "), "{bytes:?}");
        rejection.refusal
    });
    Some((
        len,
        result.map(|Request { method, persistence, body, path, .. }| {
            let path = match path {
                Some(Ok(path)) => String::from_utf8_lossy(path).into_owned(),
                Some(Err(refusal)) => refusal.name().to_owned(),
                None => "*".to_owned(),
            };
            (method, persistence, body, path)
        }),
    ))
}

/// What a whole head with these lines is.
fn head(lines: &str) -> Parsed {
    let bytes = lines.replace('\n', "\r\n") + "\r\n\r\n";
    let (len, result) = parsed(&bytes).expect("the head is whole");
    assert_eq!(len, bytes.len());
    result
}

fn get(persistence: Persistence, path: &str) -> Parsed {
    Ok((Method::Get, persistence, None, path.to_owned()))
}

#[test]
fn requests_are_read() {
    use Persistence::{Close, Keep, KeepSaid};
    for (lines, persistence) in [
        ("GET /a HTTP/1.1\nHost: a", Keep),
        ("GET /a HTTP/1.1\nhOsT:a:80\nAccept: */*", Keep),
        ("GET /a HTTP/1.1\nHost:", Keep),
        ("GET /a HTTP/1.1\nHost: a\nConnection: keep-alive", Keep),
        ("GET /a HTTP/1.1\nHost: a\nConnection: close", Close),
        ("GET /a HTTP/1.1\nHost: a\nConnection: Upgrade, CLOSE", Close),
        ("GET /a HTTP/1.1\nHost: a\nConnection: x\nConnection:,close,", Close),
        ("GET /a HTTP/1.1\nHost: a\nConnection: closed", Keep),
        ("GET /a HTTP/1.1\nHost: a\nExpect: 100-continue", Keep),
        ("GET /a HTTP/1.0", Close),
        ("GET /a HTTP/1.0\nHost: a", Close),
        ("GET /a HTTP/1.0\nConnection: Keep-Alive", KeepSaid),
        ("GET /a HTTP/1.0\nConnection: keep-alive, close", Close),
        ("GET http://b/a?c HTTP/1.1\nHost: a", Keep),
    ] {
        assert_eq!(head(lines), get(persistence, "/a"), "{lines}");
    }
    let (method, ..) = head("HEAD /a HTTP/1.1\nHost: a").unwrap();
    assert_eq!(method, Method::Head);
}

#[test]
fn bodies_are_announced_by_a_plain_number() {
    let with = |field: &str| head(&format!("GET /a HTTP/1.1\nHost: a\n{field}")).map(|it| it.2);
    assert_eq!(with("Content-Length: 0"), Ok(None));
    assert_eq!(with("Content-Length:  0017 "), Ok(Some(Body::of(17))));
    assert_eq!(with("content-length: 1048576"), Ok(Some(Body::of(1 << 20))));
    for long in ["1048577", "4294967296", "4294967301", "18446744073709551616"] {
        assert_eq!(with(&format!("Content-Length: {long}")), Err(Refusal::BodyTooLong));
    }
    for wrong in ["", "+1", "-1", "0x1", "1 2", "1,1", "1, 1", "1.0", "a", "1\t2", "1;", "\u{b2}"] {
        let refused = with(&format!("Content-Length: {wrong}"));
        assert_eq!(refused, Err(Refusal::ContentLengthMalformed), "{wrong}");
    }
    for other in ["1", "2"] {
        let twice = with(&format!("Content-Length: 1\nContent-Length: {other}"));
        assert_eq!(twice, Err(Refusal::ContentLengthMalformed));
    }
}

#[test]
fn content_of_http_1_0_needs_a_length() {
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(head(&format!("{method} /a HTTP/1.0")), Err(Refusal::LengthRequired));
        let (.., body, _) = head(&format!("{method} /a HTTP/1.0\nContent-Length: 3")).unwrap();
        assert_eq!(body, Some(Body::of(3)));
        let (.., body, _) = head(&format!("{method} /a HTTP/1.1\nHost: a")).unwrap();
        assert_eq!(body, None);
    }
}

#[test]
fn transfer_codings_never_leave_the_end_of_a_request_in_doubt() {
    let with = |fields: &str| head(&format!("GET /a HTTP/1.1\nHost: a\n{fields}")).map(|it| it.2);
    for coding in ["chunked", "Chunked", "\tCHUNKED ", "chunked\t"] {
        let read = with(&format!("Transfer-Encoding:{coding}"));
        assert_eq!(read, Ok(Some(Body::chunked())), "{coding}");
    }
    for coding in
        ["gzip, chunked", "gzip,chunked", "chunked, chunked", ",chunked", "identity,chunked"]
    {
        let refused = with(&format!("Transfer-Encoding: {coding}"));
        assert_eq!(refused, Err(Refusal::TransferCoding), "{coding}");
    }
    for coding in [
        "identity",
        "",
        "xchunked",
        "chunkedx",
        "chunked, gzip",
        "chunked,",
        "chunked;a=b",
        "\"chunked\"",
        "'chunked'",
        "chunked chunked",
        "chunked\u{a0}",
        "ch\tunked",
    ] {
        let refused = with(&format!("Transfer-Encoding: {coding}"));
        assert_eq!(refused, Err(Refusal::CodingUnending), "{coding}");
    }
    for both in [
        "Transfer-Encoding: chunked\nContent-Length: 4",
        "Content-Length: 4\nTransfer-Encoding: chunked",
        "Content-Length: 0\ntransfer-encoding: x",
        "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(with(both), Err(Refusal::FramingAmbiguous), "{both}");
    }
    let old = head("GET /a HTTP/1.0\nTransfer-Encoding: chunked");
    assert_eq!(old, Err(Refusal::FramingAmbiguous));
    // A name with a space before the colon is no name: it could hide a field from others.
    for hidden in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "A: b\n c",
        "Transfer-Encoding:\n chunked",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer\u{b}-Encoding: chunked",
    ] {
        assert_eq!(with(hidden), Err(Refusal::HeadMalformed), "{hidden}");
    }
}

#[test]
fn a_client_expects_nothing_or_100_or_what_nobody_knows() {
    let with = |fields: &str, minor: u8| {
        let bytes = format!("GET /a HTTP/1.{minor}\r\nHost: a\r\n{fields}\r\n\r\n");
        let (mut slots, mut buffer) = (slots(), [0; HEAD_LEN_MAX]);
        let parsed = parse(bytes.as_bytes(), &mut slots, &mut buffer, 0).expect("it is whole");
        parsed.1.expect("it is right").expectation
    };
    assert_eq!(with("A: b", 1), Expectation::None);
    for fields in ["Expect: 100-continue", "expect: 100-Continue", "Expect: 100-continue,"] {
        assert_eq!(with(fields, 1), Expectation::Continue, "{fields}");
        assert_eq!(with(fields, 0), Expectation::None, "{fields}");
    }
    for fields in [
        "Expect: a",
        "Expect: 100-continue, a",
        "Expect: a\r\nExpect: 100-continue",
        "Expect: 200-ok",
    ] {
        assert_eq!(with(fields, 1), Expectation::Unknown, "{fields}");
    }
}

#[test]
fn host_is_there_once() {
    assert_eq!(head("GET /a HTTP/1.1"), Err(Refusal::HostMissing));
    assert_eq!(head("GET http://a/ HTTP/1.1"), Err(Refusal::HostMissing));
    for hosts in ["Host: a\nHost: a", "Host: a\nhost: b", "Host: a b", "Host: a/b", "Host: a@b"] {
        for version in ["1.0", "1.1"] {
            let refused = head(&format!("GET /a HTTP/{version}\n{hosts}"));
            assert_eq!(refused, Err(Refusal::HostMalformed), "{hosts} in {version}");
        }
    }
}

#[test]
fn methods_are_known_or_unknown_whatever_the_target() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE"] {
        for target in ["/a", "*", "a:443", "/../b"] {
            let (.., path) = head(&format!("{method} {target} HTTP/1.1\nHost: a")).unwrap();
            assert_eq!(path, "http_method_not_allowed");
        }
    }
    for method in ["get", "Get", "BREW", "M-SEARCH", "GETT"] {
        let (.., path) = head(&format!("{method} /a HTTP/1.1\nHost: a")).unwrap();
        assert_eq!(path, "http_method_unknown");
    }
    let options = |target: &str| head(&format!("OPTIONS {target} HTTP/1.1\nHost: a")).unwrap().3;
    for (target, path) in
        [("*", "*"), ("/a", "/a"), ("http://a/b", "/b"), ("a", "http_target_malformed")]
    {
        assert_eq!(options(target), path);
    }
}

#[test]
fn other_versions_are_told_from_what_is_no_version() {
    for line in [
        "GET /a HTTP/1.2",
        "GET /a HTTP/2.0",
        "PRI * HTTP/2.0",
        "GET /a HTTP/0.9",
        "HEAD /a HTTP/3.0",
        "GET /a HTTP/9.9\nHost: a",
    ] {
        assert_eq!(head(line), Err(Refusal::VersionUnsupported), "{line}");
    }
    for line in [
        "GET /a HTTP/2",
        "GET /a HTTP/1.10",
        "GET /a HTTP/11.1",
        "GET /a HTTP/1,1",
        "GET /a HTTPS/1.1",
        "GET /a b HTTP/2.0",
        "GET HTTP/2.0",
        "GET /a http/2.0",
    ] {
        assert_eq!(head(line), Err(Refusal::HeadMalformed), "{line}");
    }
}

#[test]
fn heads_of_no_http_are_malformed() {
    for lines in [
        "GET /a",
        "GET /a http/1.1\nHost: a",
        "GET  /a HTTP/1.1\nHost: a",
        "GET /a  HTTP/1.1\nHost: a",
        "GET /a b HTTP/1.1\nHost: a",
        " GET /a HTTP/1.1\nHost: a",
        "GET\t/a HTTP/1.1\nHost: a",
        "G(T /a HTTP/1.1\nHost: a",
        "GET /a HTTP/1.1\nHost",
        "GET /a HTTP/1.1\n: a",
        "GET /a HTTP/1.1\nHost: a\nA b: c",
        "GET /a HTTP/1.1\nHost: a\nA: b\0c",
        "GET /a HTTP/1.1\nHost: a\nA: b\rc",
    ] {
        assert_eq!(head(lines), Err(Refusal::HeadMalformed), "{lines:?}");
    }
}

#[test]
fn a_line_feed_alone_ends_no_line() {
    for bytes in [
        "GET /a HTTP/1.1\nHost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\n\r\n",
        "GET /a HTTP/1.1\r\nHost: a\r\n\n",
        "GET /a HTTP/1.1\r\nHost: a\r\nA: b\nC: d\r\n\r\n",
        "GET /a HTTP/1.1\n\n",
    ] {
        assert_eq!(parsed(bytes), Some((bytes.len(), Err(Refusal::LineFeedAlone))), "{bytes:?}");
    }
}

#[test]
fn a_head_is_judged_when_it_ends_and_not_before() {
    for bytes in ["GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "\0\0\r\n\r\n", "GET /a HTTP/1.1\n\n"] {
        for cut in 0..bytes.len() {
            assert_eq!(parsed(&bytes[..cut]), None, "{:?}", &bytes[..cut]);
        }
        let (len, _) = parsed(bytes).unwrap();
        assert_eq!(len, bytes.len());
        let followed = bytes.to_owned() + "GET / ";
        assert_eq!(parsed(&followed), parsed(bytes));
    }
}

#[test]
fn the_end_is_found_from_three_bytes_back() {
    let bytes = b"a\r\nb: c\r\n\r\nd\n\n";
    assert_eq!(find_end(bytes, 0), Some(11));
    for known in 0..11_usize {
        // What was searched before is not searched again.
        assert_eq!(find_end(&bytes[..known], 0), None);
        assert_eq!(find_end(bytes, known.saturating_sub(3)), Some(11));
    }
    assert_eq!(find_end(b"a\n\n", 0), Some(3));
    assert_eq!(find_end(b"a\n\r", 0), None);
    assert_eq!(find_end(b"", 0), None);
}

#[test]
fn heads_have_a_longest_length_and_a_greatest_count() {
    let start = "GET /a HTTP/1.1\r\nHost: a\r\nA: ";
    let fit = format!("{start}{}\r\n\r\n", "b".repeat(HEAD_LEN_MAX - start.len() - 4));
    assert_eq!(parsed(&fit), Some((HEAD_LEN_MAX, get(Persistence::Keep, "/a"))));
    let long = format!("{start}{}\r\n\r\n", "b".repeat(HEAD_LEN_MAX - start.len() - 3));
    assert_eq!(parsed(&long), Some((HEAD_LEN_MAX, Err(Refusal::HeadTooLong))));
    let target = format!("GET /{}", "a".repeat(HEAD_LEN_MAX));
    assert_eq!(parsed(&target), Some((HEAD_LEN_MAX, Err(Refusal::TargetTooLong))));
    let method = "G".repeat(HEAD_LEN_MAX + 1);
    assert_eq!(parsed(&method), Some((HEAD_LEN_MAX, Err(Refusal::MethodUnknown))));

    let fields = |count: usize| "GET /a HTTP/1.1\nHost: a".to_owned() + &"\nA: b".repeat(count - 1);
    assert_eq!(head(&fields(HEADERS_MAX)), get(Persistence::Keep, "/a"));
    assert_eq!(head(&fields(HEADERS_MAX + 1)), Err(Refusal::HeadersTooMany));
}

#[test]
fn fuzz_request_head() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let (mut slots, mut buffer) = (slots(), [0; HEAD_LEN_MAX]);
        let end = find_end(&bytes[..bytes.len().min(HEAD_LEN_MAX)], 0);
        // The parser's end of a head is the one that is looked for in a head of many segments,
        // once empty lines in front are gone.
        if !matches!(bytes.first(), Some(b'\r' | b'\n'))
            && let Some((len, _)) = parse(bytes, &mut slots, &mut buffer, 1_000)
        {
            assert_eq!(len, end.unwrap_or(HEAD_LEN_MAX));
        }
    });
}
