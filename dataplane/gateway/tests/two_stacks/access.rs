//! What the access log is told: every way in which a request or a connection ends, and no more.

use base::Duration;
use gateway::{AccessLog, AccessRecord, AccessSizes, AccessTerms, Cause, Refusal, Status};
use memory::{Consumer, PageChoice, ring};

use super::bed::{Bed, ECHO_PORT, gateway_config};

const SMALL: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const LARGE: &[u8] = b"GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const SESSIONS: u32 = 64;

/// A gateway that logs, and who takes its records.
fn bed(sessions_max: u32, sample: u32) -> (Bed, Consumer<AccessRecord>) {
    let mut bed = Bed::with(gateway_config(sessions_max, 16));
    let records = set(&mut bed, sessions_max, sample, 64);
    (bed, records)
}

fn set(bed: &mut Bed, sessions_max: u32, sample: u32, room: usize) -> Consumer<AccessRecord> {
    let (out, records) = ring(room);
    let sizes = AccessSizes { sessions_max, connections_max: 256, pages: PageChoice::Base };
    let log = AccessLog::new(AccessTerms { sample, is_every_error: true }, sizes, out)
        .expect("there is memory for it");
    bed.server.service_mut().set_access_log(Some(log));
    records
}

/// Everything that was told since, a line each.
fn told(records: &mut Consumer<AccessRecord>) -> Vec<String> {
    std::iter::from_fn(|| records.pop()).map(|record| show(&record)).collect()
}

fn show(record: &AccessRecord) -> String {
    let AccessRecord { peer, local_port, line, status, ending, refusal, requests, .. } = record;
    let (peer, _) = peer.expect("the stack knows the peer");
    assert_eq!((peer.to_ip().to_string().as_str(), *local_port), ("10.0.0.1", Some(80)));
    let code: String = ending.code().iter().collect();
    let status = status.map_or("-", Status::code);
    let refusal = refusal.map_or("", Refusal::name);
    let line = String::from_utf8_lossy(line.bytes()).into_owned();
    format!("{code} {status} {requests} {line} {refusal}").trim_end().to_owned()
}

#[test]
fn whole_answers_say_how_the_connection_goes_on() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    bed.exchange(&[&SMALL.repeat(2)]);
    let kept = ["-K 200 1 GET /a.txt HTTP/1.1", "-K 200 2 GET /a.txt HTTP/1.1"];
    assert_eq!(told(&mut records), kept);
    bed.exchange(&[b"GET /a.txt HTTP/1.0\r\n\r\n"]);
    assert_eq!(told(&mut records), ["-C 200 1 GET /a.txt HTTP/1.0"]);
    bed.exchange(&[b"GET /b HTTP/1.1\r\nHo", b"st: a\r\nConnection: close\r\n\r\n"]);
    assert_eq!(told(&mut records), ["-C 404 1 GET /b HTTP/1.1"], "its status says all");
    let number = bed.http(&[LARGE]);
    bed.peer(number).ends = true;
    bed.settle();
    assert_eq!(told(&mut records), ["-E 200 1 GET /large.txt HTTP/1.1"]);
    bed.exchange(&[b"PUT /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", b"abc"]);
    assert_eq!(told(&mut records), ["-K 405 1 PUT /a.txt HTTP/1.1"]);
    bed.server.service_mut().begin_drain();
    bed.exchange(&[SMALL]);
    assert_eq!(told(&mut records), ["-D 200 1 GET /a.txt HTTP/1.1"]);
    bed.assert_nothing_is_left();
}

#[test]
fn refusals_say_what_was_wrong_by_the_name_of_their_counter() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(9_000));
    for (sent, expected) in [
        ("NONSENSE\r\n\r\n", "PH 400 1 NONSENSE http_head_malformed"),
        ("GET / HTTP/2.0\r\n\r\n", "PH 505 1 GET / HTTP/2.0 http_version_unsupported"),
        ("GET / HTTP/1.1\r\n\r\n", "PH 400 1 GET / HTTP/1.1 http_host_missing"),
        ("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n", "PH 400 1 GET /.. HTTP/1.1 http_path_escapes"),
        ("GET / HTTP/1.1\nHost: a\n\n", "GH 400 1 GET / HTTP/1.1 http_line_feed_alone"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GH 400 1 POST / HTTP/1.1 http_framing_ambiguous",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
            "GB 400 1 POST / HTTP/1.1 http_chunk_malformed",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n",
            "MB 413 1 POST / HTTP/1.1 http_body_too_long",
        ),
    ] {
        bed.exchange(&[sent.as_bytes()]);
        assert_eq!(told(&mut records), [expected]);
    }
    bed.exchange(&[long.as_bytes()]);
    let cut = told(&mut records);
    assert!(cut[0].starts_with("MH 414 1 GET /aaa"), "{cut:?}");
    assert!(cut[0].ends_with("aaa http_target_too_long"), "{cut:?}");
    bed.assert_nothing_is_left();
}

#[test]
fn slow_clients_are_told_of_by_what_they_were_slow_at() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    bed.http(&[b"GET /half"]);
    bed.run(Duration::from_secs(11));
    assert_eq!(told(&mut records), ["TH 408 1 GET /half http_head_timeout"]);
    bed.http(&[b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", b"a"]);
    bed.run(Duration::from_secs(11));
    assert_eq!(told(&mut records), ["TB 408 1 PUT /a HTTP/1.1 http_body_timeout"]);
    let number = bed.http(&[LARGE]);
    bed.peer(number).appetite = 0;
    bed.run(Duration::from_secs(125));
    assert_eq!(told(&mut records), ["TA 200 1 GET /large.txt HTTP/1.1 http_answer_timeout"]);
    let number = bed.http(&[b"GET /a.txt HTTP/1.0\r\n\r\n"]);
    bed.peer(number).stays = true;
    bed.run(Duration::from_secs(6));
    let lingered = ["-C 200 1 GET /a.txt HTTP/1.0", "TL - 1  http_linger_timeout"];
    assert_eq!(told(&mut records), lingered);
    bed.http(&[SMALL]);
    bed.run(Duration::from_secs(78));
    let idle = ["-K 200 1 GET /a.txt HTTP/1.1", "TI - 1  http_idle_timeout"];
    assert_eq!(told(&mut records), idle);
    bed.assert_nothing_is_left();
}

#[test]
fn clients_that_go_are_told_of_by_where_they_went() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    let heads: [(&[u8], &str, &str); 3] = [
        (b"GET /half", "CH - 1 GET /half http_peer_truncated", "XH - 1 GET /half"),
        (
            b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
            "CB - 1 PUT /a HTTP/1.1 http_peer_truncated",
            "XB - 1 PUT /a HTTP/1.1",
        ),
        (b"\r\n", "CI - 0", "XI - 0"),
    ];
    for (sent, ended, reset) in heads {
        let number = bed.http(&[sent]);
        bed.peer(number).ends = true;
        bed.settle();
        assert_eq!(told(&mut records), [ended]);
        let number = bed.http(&[sent]);
        bed.settle();
        let conn = bed.peer(number).conn;
        bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
        bed.settle();
        assert_eq!(told(&mut records), [reset]);
    }
    let number = bed.http(&[LARGE]);
    bed.peer(number).appetite = 0;
    bed.settle();
    let conn = bed.peer(number).conn;
    bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
    bed.settle();
    assert_eq!(told(&mut records), ["XA 200 1 GET /large.txt HTTP/1.1 http_answer_cut"]);
    bed.assert_nothing_is_left();
}

#[test]
fn a_client_that_sends_on_and_on_is_told_of() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    let mut stream = b"GET /.. HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    stream.extend(vec![b'x'; 3 << 20]);
    let number = bed.http(&[&stream]);
    bed.peer(number).stays = true;
    bed.settle();
    let both = ["PH 400 1 GET /.. HTTP/1.1 http_path_escapes", "ML - 1  http_linger_too_long"];
    assert_eq!(told(&mut records), both);
    bed.assert_nothing_is_left();
}

#[test]
fn a_gateway_that_is_full_says_so() {
    let (mut bed, mut records) = bed(1, 1);
    bed.http(&[b"GET /half"]);
    bed.settle();
    bed.exchange(&[LARGE]);
    assert_eq!(told(&mut records), ["RH 503 1 GET /large.txt HTTP/1.1 http_no_session"]);
    bed.exchange(&[b"GET /a.txt HTTP/1.0\r\n\r\n"]);
    assert_eq!(told(&mut records), ["RL 200 1 GET /a.txt HTTP/1.0 http_linger_refused"]);
    bed.assert_nothing_is_left();
}

#[test]
fn the_end_of_the_gateway_is_told_of_whoever_is_left() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    let idle = bed.http(&[SMALL]);
    bed.settle();
    let half = bed.http(&[b"GET /half"]);
    bed.settle();
    assert_eq!(told(&mut records).len(), 1);
    let now = bed.now;
    bed.server.with_context(now, |gateway, cx| gateway.tell_left(cx, Cause::Device));
    assert_eq!(told(&mut records), ["NH - 1 GET /half"], "the other asks for nothing");
    bed.server.service_mut().begin_drain();
    let conns: Vec<_> = {
        let core = bed.server.stack().core();
        let seen = (0..256).filter_map(|at| match core.tcp().look(at, now) {
            tcp::Seen::Connection(_, listed) => {
                Some(stack::Conn { index: listed.index, generation: listed.generation })
            }
            tcp::Seen::Nothing(_) | tcp::Seen::End => None,
        });
        seen.collect()
    };
    assert_eq!(conns.len(), 2);
    for conn in &conns {
        bed.server.with_context(now, |gateway, cx| gateway.end_idle(cx, *conn));
    }
    assert_eq!(told(&mut records), ["DI - 1"]);
    for conn in conns {
        bed.server.with_context(now, |gateway, cx| gateway.cut(cx, conn));
    }
    let cut = told(&mut records);
    assert!(cut.contains(&"KH - 2 GET /half".to_owned()), "{cut:?}");
    assert!(cut.contains(&"KL - 1".to_owned()), "{cut:?}");
    bed.settle();
    assert!(bed.closed(half).is_some() && bed.closed(idle).is_some());
    assert_eq!(told(&mut records), Vec::<String>::new(), "each of them once");
    bed.assert_nothing_is_left();
}

#[test]
fn a_sample_spares_what_is_in_order_and_a_full_ring_is_counted() {
    let (mut bed, mut records) = bed(SESSIONS, 10);
    bed.exchange(&[&SMALL.repeat(25)]);
    assert_eq!(told(&mut records).len(), 3);
    for _ in 0..3 {
        bed.exchange(&[b"NONSENSE\r\n\r\n"]);
    }
    assert_eq!(told(&mut records).len(), 3, "every error");
    let mut records = set(&mut bed, SESSIONS, 1, 4);
    let before = bed.counters().http;
    bed.exchange(&[&SMALL.repeat(10)]);
    let after = bed.counters().http;
    assert_eq!(after.access_given - before.access_given, 4);
    assert_eq!(after.access_lost - before.access_lost, 6);
    assert_eq!(told(&mut records).len(), 4);
    assert_eq!(after.answers() - before.answers(), 10, "no answer waits for it");
    bed.assert_nothing_is_left();
}

#[test]
fn a_request_under_way_is_told_whole_by_the_log_that_came_meanwhile() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    let number = bed.http(&[LARGE]);
    bed.peer(number).appetite = 1_000;
    bed.settle();
    let mut newer = set(&mut bed, SESSIONS, 1, 16);
    bed.run(Duration::from_millis(7));
    bed.feed(number, usize::MAX);
    bed.settle();
    let record = newer.pop().expect("it was answered");
    assert_eq!(show(&record), "-K 200 1 GET /large.txt HTTP/1.1");
    assert!(record.took >= Duration::from_millis(7), "{:?}", record.took);
    assert_eq!(record.bytes, bed.counters().http.bytes_out);
    assert_eq!(told(&mut records), Vec::<String>::new());
    bed.server.service_mut().set_access_log(None);
    bed.exchange(&[SMALL]);
    assert!(newer.pop().is_none());
    bed.assert_nothing_is_left();
}

#[test]
fn echo_is_not_told_of() {
    let (mut bed, mut records) = bed(SESSIONS, 1);
    let number = bed.connect(ECHO_PORT, &[b"hello"]);
    bed.settle();
    assert_eq!(bed.received(number), "hello");
    bed.assert_nothing_is_left();
    assert_eq!(told(&mut records), Vec::<String>::new());
}
