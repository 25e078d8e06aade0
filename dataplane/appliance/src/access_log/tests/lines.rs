//! Records and their lines.

use base::Duration;
use gateway::{AccessRecord, Cause, Ending, Place, RequestLine};
use logging::Format;

use super::super::line::{Wall, write};
use super::CoreInstant;

/// A request with this head that was answered in order, of which nothing else is known.
fn record(head: &[u8]) -> AccessRecord {
    AccessRecord {
        ended_at: CoreInstant::from_nanos(2_000_000),
        took: Duration::ZERO,
        peer: None,
        local_port: None,
        line: RequestLine::of(head),
        status: None,
        bytes: 0,
        requests: 1,
        ending: Ending { cause: Cause::None, place: Place::Kept },
        refusal: None,
    }
}

fn lines(record: &AccessRecord) -> String {
    let wall = Wall::at(1_000_000_000_000_000, CoreInstant::from_nanos(5_000_000));
    let mut out = Vec::new();
    write(record, wall, Format::Text, &mut out);
    write(record, wall, Format::Json, &mut out);
    let text = String::from_utf8(out).expect("lines are ASCII");
    let object = text.lines().nth(1).expect("two lines");
    serde_json::from_str::<serde_json::Value>(object).unwrap_or_else(|e| panic!("{e}: {object}"));
    text
}

#[test]
fn every_kind_of_line_is_one_line_whatever_the_client_has_sent() {
    let mut transcript = String::new();
    for head in [
        "GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes(),
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /\"\\\x1b[31m\xff HTTP/1.1\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01 x\r\n\r\n",
        b"GET /half",
        b"GET / \r\n",
        b" \r\n",
        b"",
    ] {
        transcript += &lines(&record(head));
    }
    assert_eq!(transcript.lines().count(), 18);
    insta::assert_snapshot!(transcript);
    let long = lines(&record(format!("GET /{} HTTP/1.1\r\n", "a".repeat(999)).as_bytes()));
    assert!(long.contains("aaa\"... -\n") && long.contains("\"is_target_cut\":true"), "{long}");
}

#[test]
fn a_line_has_all_that_a_record_has() {
    let mut record = record(b"GET /a HTTP/1.1\r\n\r\n");
    let address: wire::Address = "192.0.2.7".parse().expect("a literal");
    (record.peer, record.local_port) = (Some((address, 50_123)), Some(80));
    (record.status, record.bytes, record.requests) = (Some(gateway::Status::BadRequest), 512, 3);
    (record.took, record.refusal) =
        (Duration::from_micros(1_234_567), Some(gateway::Refusal::PathEscapes));
    let v4 = lines(&record);
    let address: wire::Address = "2001:db8::7".parse().expect("a literal");
    record.peer = Some((address, 50_123));
    insta::assert_snapshot!(format!("{v4}{}", lines(&record)));
}
