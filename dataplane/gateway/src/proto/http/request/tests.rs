//! Heads as clients, careless programs and attackers write them.

use super::{Request, find_end, is_host, parse};
use crate::counters::Refusal;
use crate::limits::{HEAD_LEN_MAX, HEADERS_MAX};
use crate::proto::http::answer::Persistence;

/// Whether it is HEAD, what becomes of the connection, the length of the body; the path as text.
type Parsed = Result<(bool, Persistence, u32, String), Refusal>;

/// The head's length and what it is.
fn parsed(bytes: &str) -> Option<(usize, Parsed)> {
    let mut buffer = [0; HEAD_LEN_MAX];
    let (len, result) = parse(bytes.as_bytes(), &mut buffer)?;
    Some((
        len,
        result.map(|Request { is_head, persistence, body_len, path }| {
            let path = match path {
                Ok(path) => String::from_utf8_lossy(path).into_owned(),
                Err(refusal) => refusal.name().to_owned(),
            };
            (is_head, persistence, body_len, path)
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
    Ok((false, persistence, 0, path.to_owned()))
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
    let (is_head, ..) = head("HEAD /a HTTP/1.1\nHost: a").unwrap();
    assert!(is_head);
}

#[test]
fn bodies_are_announced_by_a_plain_number() {
    let with = |field: &str| head(&format!("GET /a HTTP/1.1\nHost: a\n{field}")).map(|it| it.2);
    assert_eq!(with("Content-Length: 0"), Ok(0));
    assert_eq!(with("Content-Length:  0017 "), Ok(17));
    assert_eq!(with("content-length: 1048576"), Ok(1 << 20));
    assert_eq!(with("Content-Length: 1048577"), Err(Refusal::BodyTooLong));
    assert_eq!(with("Content-Length: 18446744073709551616"), Err(Refusal::BodyTooLong));
    for wrong in ["", "+1", "-1", "0x1", "1 2", "1,1", "1.0", "a"] {
        let refused = with(&format!("Content-Length: {wrong}"));
        assert_eq!(refused, Err(Refusal::ContentLengthMalformed), "{wrong}");
    }
    let twice = with("Content-Length: 1\nContent-Length: 1");
    assert_eq!(twice, Err(Refusal::ContentLengthMalformed));
}

#[test]
fn transfer_codings_never_leave_the_end_of_a_request_in_doubt() {
    let with = |fields: &str| head(&format!("GET /a HTTP/1.1\nHost: a\n{fields}"));
    for coding in ["chunked", "gzip, chunked", "identity", "", "xchunked"] {
        let refused = with(&format!("Transfer-Encoding: {coding}"));
        assert_eq!(refused, Err(Refusal::TransferCoding), "{coding}");
    }
    for both in [
        "Transfer-Encoding: chunked\nContent-Length: 4",
        "Content-Length: 4\nTransfer-Encoding: chunked",
        "Content-Length: 0\ntransfer-encoding: x",
    ] {
        assert_eq!(with(both), Err(Refusal::FramingAmbiguous), "{both}");
    }
    let old = head("GET /a HTTP/1.0\nTransfer-Encoding: chunked");
    assert_eq!(old, Err(Refusal::FramingAmbiguous));
    // A name with a space before the colon is no name: it could hide a field from others.
    for hidden in ["Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "A: b\n c"] {
        assert_eq!(with(hidden), Err(Refusal::HeadMalformed), "{hidden}");
    }
}

#[test]
fn a_client_that_waits_for_100_ends_its_connection() {
    let lines = "GET /a HTTP/1.1\nHost: a\nExpect: 100-Continue\nContent-Length: 5";
    let (_, persistence, body_len, _) = head(lines).unwrap();
    assert_eq!((persistence, body_len), (Persistence::Close, 5));
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
    for host in ["", "a", "a.example:8080", "192.0.2.1:80", "[::1]", "[::ffff:192.0.2.1]:80", "a:"]
    {
        assert!(is_host(host.as_bytes()), "{host}");
    }
    for host in ["[", "[]", "[::1", "[::1]a", "[g]", "a:b", "a:123456", "a:80:80", "ä", "a\\b"] {
        assert!(!is_host(host.as_bytes()), "{host}");
    }
}

#[test]
fn methods_are_known_or_unknown_whatever_the_target() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"] {
        for target in ["/a", "*", "a:443", "/../b"] {
            let (.., path) = head(&format!("{method} {target} HTTP/1.1\nHost: a")).unwrap();
            assert_eq!(path, "http_method_not_allowed");
        }
    }
    for method in ["get", "Get", "BREW", "M-SEARCH", "GETT"] {
        let (.., path) = head(&format!("{method} /a HTTP/1.1\nHost: a")).unwrap();
        assert_eq!(path, "http_method_unknown");
    }
}

#[test]
fn heads_of_no_http_are_malformed() {
    for lines in [
        "GET /a",
        "GET /a HTTP/0.9",
        "GET /a HTTP/1.2",
        "GET /a HTTP/2.0\nHost: a",
        "PRI * HTTP/2.0",
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
    let wrong = "\0".repeat(HEAD_LEN_MAX + 1);
    assert_eq!(parsed(&wrong), Some((HEAD_LEN_MAX, Err(Refusal::HeadTooLong))));

    let fields = |count: usize| "GET /a HTTP/1.1\nHost: a".to_owned() + &"\nA: b".repeat(count - 1);
    assert_eq!(head(&fields(HEADERS_MAX)), get(Persistence::Keep, "/a"));
    assert_eq!(head(&fields(HEADERS_MAX + 1)), Err(Refusal::HeadersTooMany));
}

#[test]
fn fuzz_request_head() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut buffer = [0; HEAD_LEN_MAX];
        let end = find_end(&bytes[..bytes.len().min(HEAD_LEN_MAX)], 0);
        // The parser's end of a head is the one that is looked for in a head of many segments,
        // once empty lines in front are gone.
        if !matches!(bytes.first(), Some(b'\r' | b'\n'))
            && let Some((len, _)) = parse(bytes, &mut buffer)
        {
            assert_eq!(len, end.unwrap_or(HEAD_LEN_MAX));
        }
    });
}
