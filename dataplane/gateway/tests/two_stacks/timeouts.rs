//! Clients that are slow on purpose.

use base::Duration;
use gateway::{GatewayConfig, HttpLimits, Refusal, limits};
use stack::CloseReason;

use super::bed::{Bed, LARGE_LEN, body, gateway_config};
use super::http::{error, ok};

/// A time-out may be late by the interval of the sweep, and the wire takes its time.
const LATE: Duration = Duration::from_millis(600);

#[test]
fn a_head_that_never_ends_is_answered_408() {
    let mut bed = Bed::new();
    let number = bed.http(&[b"GET / HTTP/1.1\r\n"]);
    // A byte a second does not help: the time is the whole head's.
    for _ in 0..9 {
        bed.run(Duration::from_secs(1));
        bed.peer(number).pieces.push_back(b"a".to_vec());
    }
    assert_eq!(bed.received(number), "");
    bed.run(Duration::from_secs(1) + LATE);
    assert_eq!(bed.received(number), error("408 Request Timeout", "Connection: close\r\n"));
    bed.settle();
    assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    let http = bed.counters().http;
    assert_eq!((http.refused(Refusal::HeadTimeout), http.sessions_used), (1, 0));
    bed.assert_nothing_is_left();
}

#[test]
fn an_idle_connection_is_kept_for_ever_where_it_has_no_time_out() {
    let mut bed = bed_with(HttpLimits { idle_timeout: Duration::ZERO, ..HttpLimits::default() });
    let request: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let number = bed.http(&[request]);
    bed.run(Duration::from_secs(300));
    bed.peer(number).pieces.push_back(request.to_vec());
    bed.settle();
    assert_eq!(bed.received(number), ok("alpha").repeat(2));
    bed.assert_nothing_is_left();
}

#[test]
fn an_idle_connection_is_ended_after_its_time_and_not_before() {
    let mut bed = Bed::new();
    let request: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let (asks, silent) = (bed.http(&[request]), bed.http(&[]));
    bed.run(Duration::from_secs(70));
    bed.peer(asks).pieces.push_back(request.to_vec());
    bed.run(Duration::from_secs(10));
    assert_eq!((bed.closed(silent), bed.closed(asks)), (Some(CloseReason::Finished), None));
    bed.run(Duration::from_secs(62));
    assert_eq!(bed.closed(asks), None, "its time began again with the second request");
    bed.run(Duration::from_secs(10));
    assert_eq!(bed.received(asks), ok("alpha").repeat(2));
    assert_eq!(bed.closed(asks), Some(CloseReason::Finished), "no reset");
    assert_eq!(bed.counters().http.refused(Refusal::IdleTimeout), 2);
    bed.assert_nothing_is_left();
}

#[test]
fn a_whole_answer_that_only_the_stack_holds_is_held_to_the_rate_as_well() {
    let mut bed = Bed::new();
    // It fits the send queue, so that nothing of it is under way here, and no receive window.
    let request: &[u8] = b"GET /large.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-99999\r\n\r\n";
    let (never, slowly) = (bed.http(&[request]), bed.http(&[request]));
    bed.peer(never).appetite = 0;
    bed.peer(slowly).appetite = 0;
    bed.run(Duration::from_secs(1));
    assert_eq!(bed.counters().http.sessions_used, 0);
    for _ in 0..118 {
        bed.feed(slowly, 400);
        bed.run(Duration::from_secs(1));
        assert_eq!(bed.closed(never), None);
    }
    bed.run(Duration::from_secs(2));
    assert_eq!(bed.closed(never), Some(CloseReason::PeerReset));
    assert_eq!((bed.closed(slowly), bed.peer(slowly).received.len()), (None, 118 * 400));
    bed.feed(slowly, usize::MAX);
    bed.run(Duration::from_secs(1));
    assert!(bed.received(slowly).starts_with("HTTP/1.1 206 Partial Content\r\n"));
    assert!(bed.peer(slowly).received.ends_with(&body(100_000)));
    let http = bed.counters().http;
    assert_eq!((http.refused(Refusal::AnswerTimeout), http.refused(Refusal::IdleTimeout)), (1, 0));
    bed.assert_nothing_is_left();
}

/// A gateway with limits of its own.
fn bed_with(http: HttpLimits) -> Bed {
    Bed::with(GatewayConfig { http, ..gateway_config(64, 16) })
}

#[test]
fn a_body_that_never_ends_is_answered_408() {
    let mut bed = Bed::new();
    let heads: [&[u8]; 3] = [
        b"GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345678",
        b"GET /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n1",
        b"GET /a.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n",
    ];
    let numbers = heads.map(|head| bed.http(&[head]));
    bed.run(limits::BODY_TIMEOUT_DEFAULT);
    for number in numbers {
        assert_eq!((bed.received(number), bed.closed(number)), (String::new(), None));
    }
    bed.run(LATE);
    bed.settle();
    for number in numbers {
        let refusal = error("408 Request Timeout", "Connection: close\r\n");
        assert_eq!(bed.received(number), refusal);
        assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    }
    assert_eq!(bed.counters().http.refused(Refusal::BodyTimeout), 3);
    bed.assert_nothing_is_left();
}

#[test]
fn a_head_of_a_head_is_refused_without_content() {
    let mut bed = Bed::new();
    let pieces: [&[u8]; 2] =
        [b"HEAD /a.txt HT", b"HEAD /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"];
    for piece in pieces {
        let number = bed.http(&[piece]);
        bed.run(limits::HEAD_TIMEOUT_DEFAULT + LATE);
        let whole = error("408 Request Timeout", "Connection: close\r\n");
        assert_eq!(bed.received(number), whole.strip_suffix("408 Request Timeout\n").unwrap());
    }
    bed.assert_nothing_is_left();
}

#[test]
fn a_body_above_its_least_rate_takes_its_time_and_below_it_does_not() {
    let http = HttpLimits { body_rate_min: 100, ..HttpLimits::default() };
    let mut bed = bed_with(http);
    let head: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n";
    // 10 s ask for 1,000 bytes.
    for (step, is_fast_enough) in [(120, true), (90, false)] {
        let number = bed.http(&[head]);
        for _ in 0..50 {
            bed.peer(number).pieces.push_back(vec![b'x'; step]);
            bed.run(Duration::from_secs(1));
        }
        bed.settle();
        let answer = if is_fast_enough {
            ok("alpha")
        } else {
            error("408 Request Timeout", "Connection: close\r\n")
        };
        assert_eq!(bed.received(number), answer, "{step} bytes a second");
    }
    assert_eq!(bed.counters().http.refused(Refusal::BodyTimeout), 1);
    bed.assert_nothing_is_left();
}

#[test]
fn a_reader_that_takes_nothing_is_reset_in_the_end() {
    let mut bed = Bed::new();
    let number = bed.http(&[b"GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n"]);
    bed.peer(number).appetite = 100_000;
    bed.run(Duration::from_secs(50));
    // Some progress, and it has another minute when this one ends.
    bed.feed(number, 300_000);
    bed.run(Duration::from_secs(60));
    assert_eq!(bed.closed(number), None);
    assert_eq!(bed.counters().http.refused(Refusal::AnswerTimeout), 0);
    bed.run(Duration::from_secs(12));
    let http = bed.counters().http;
    assert_eq!((http.refused(Refusal::AnswerTimeout), http.sessions_used), (1, 0));
    // Once the client reads again it finds the connection gone.
    bed.feed(number, usize::MAX);
    bed.run(Duration::from_secs(1));
    assert_eq!(bed.closed(number), Some(CloseReason::PeerReset));
    bed.assert_nothing_is_left();
}

#[test]
fn a_reader_above_the_least_rate_takes_its_time_and_below_it_does_not() {
    let answer_timeout = Duration::from_secs(10);
    let http = HttpLimits { answer_timeout, answer_rate_min: 20_000, ..HttpLimits::default() };
    let mut bed = bed_with(http);
    // What is taken makes room in steps of the windows: the rates are apart by more than that.
    for (step, is_fast_enough) in [(60_000, true), (2_000, false)] {
        let number = bed.http(&[b"GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n"]);
        bed.peer(number).appetite = 0;
        for _ in 0..100 {
            bed.feed(number, step);
            bed.run(Duration::from_secs(1));
        }
        bed.feed(number, usize::MAX);
        bed.run(Duration::from_secs(5));
        let is_whole = bed.peer(number).received.len() > LARGE_LEN;
        assert_eq!(is_whole, is_fast_enough, "{step} bytes a second");
    }
    assert_eq!(bed.counters().http.refused(Refusal::AnswerTimeout), 1);
    bed.assert_nothing_is_left();
}

#[test]
fn a_connection_lingers_for_a_while_and_no_longer() {
    let mut bed = Bed::new();
    let number = bed.http(&[b"GET /a.txt HTTP/1.0\r\n\r\n"]);
    bed.peer(number).stays = true;
    bed.run(Duration::from_secs(4));
    bed.peer(number).pieces.push_back(b"late".to_vec());
    bed.run(Duration::from_millis(500));
    assert_eq!(bed.counters().http.sessions_used, 1);
    assert_eq!((bed.peer(number).has_end, bed.closed(number)), (true, None));
    bed.run(Duration::from_millis(500) + LATE);
    let http = bed.counters().http;
    assert_eq!((http.sessions_used, http.refused(Refusal::LingerTimeout)), (0, 1));
    bed.peer(number).pieces.push_back(b"too late".to_vec());
    bed.settle();
    assert_eq!(bed.closed(number), Some(CloseReason::PeerReset));
    bed.assert_nothing_is_left();
}
