//! Slow readers, many requests at once, and pools that are used up.

use base::Duration;
use gateway::{Refusal, Status};

use super::bed::{Bed, HTTP_PORT, LARGE_LEN, body, gateway_config};
use super::http::{error, ok};

const LARGE: &[u8] = b"GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const SMALL: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// The large answer's head, and where its body ends.
fn assert_is_large(received: &[u8]) -> usize {
    let head = received.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
    let end = head + LARGE_LEN;
    assert!(received[..head].starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(received[head..end] == body(LARGE_LEN), "the body is not the document");
    end
}

#[test]
fn a_slow_reader_gets_every_byte_of_a_large_document() {
    let mut bed = Bed::new();
    let both = [LARGE, SMALL].concat();
    let number = bed.http(&[&both]);
    bed.peer(number).appetite = 10;
    bed.run(Duration::from_secs(1));
    let http = bed.counters().http;
    assert_eq!((http.sessions_used, http.answers()), (1, 1), "the next request waits");
    let whole = ok("alpha").len();
    let mut rounds = 0;
    while bed.peer(number).received.len() < LARGE_LEN + whole {
        bed.feed(number, 30_000);
        bed.run(Duration::from_millis(5));
        rounds += 1;
        assert!(rounds < 2_000, "{} bytes came", bed.peer(number).received.len());
    }
    bed.settle();
    let received = std::mem::take(&mut bed.peer(number).received);
    let end = assert_is_large(&received);
    assert_eq!(String::from_utf8_lossy(&received[end..]), ok("alpha"));
    assert_eq!(bed.counters().http.sessions_used, 0);
    bed.assert_nothing_is_left();
}

#[test]
fn many_large_documents_at_once_share_the_frames() {
    let mut bed = Bed::new();
    let numbers: Vec<usize> = (0..8).map(|_| bed.http(&[LARGE])).collect();
    bed.settle();
    for number in numbers {
        let received = std::mem::take(&mut bed.peer(number).received);
        assert_eq!(assert_is_large(&received), received.len());
    }
    bed.assert_nothing_is_left();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut bed = Bed::new();
    let mut requests = Vec::new();
    let mut answers = String::new();
    for round in 0..500 {
        if round % 3 == 0 {
            requests.extend_from_slice(SMALL);
            answers += &ok("alpha");
        } else {
            requests.extend(format!("GET /{round} HTTP/1.1\r\nHost: a\r\n\r\n").bytes());
            answers += &error("404 Not Found", "");
        }
    }
    let number = bed.http(&[&requests]);
    bed.peer(number).appetite = 0;
    bed.settle();
    let answered = bed.counters().http.answers();
    assert!(answered > 100, "{answered} answers fit the queue and the window");
    bed.feed(number, usize::MAX);
    bed.settle();
    assert_eq!(bed.received(number), answers);
    bed.assert_nothing_is_left();
}

#[test]
fn a_reader_that_stops_holds_back_what_follows() {
    let mut bed = Bed::new();
    let mut requests = SMALL.repeat(4_000);
    requests.extend_from_slice(b"GET / HTTP/1.0\r\n\r\n");
    let number = bed.http(&[&requests]);
    bed.peer(number).appetite = 0;
    bed.settle();
    let held = bed.counters().http;
    assert!(held.answers() < 2_000, "{} answers are queued", held.answers());
    assert_eq!(held.sessions_used, 1, "one answer is half queued");
    bed.feed(number, usize::MAX);
    bed.settle();
    let answers = bed.received(number);
    assert_eq!(answers.matches("alpha").count(), 4_000);
    assert!(answers.ends_with("Connection: close\r\n\r\n<p>abele</p>"));
    assert_eq!(bed.closed(number), Some(stack::CloseReason::Finished));
    bed.assert_nothing_is_left();
}

#[test]
fn a_body_is_thrown_away_before_the_answer_is_sent() {
    // The client writes its whole body before it reads: it would wait for us and we for it.
    let mut bed = Bed::new();
    let mut request =
        b"GET /large.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n".to_vec();
    request.extend(body(1 << 20));
    request.extend_from_slice(SMALL);
    let number = bed.http(&[&request]);
    bed.peer(number).appetite = 0;
    bed.run_until(Duration::from_secs(20), |bed| bed.counters().http.bytes_discarded == 1 << 20);
    bed.feed(number, usize::MAX);
    bed.settle();
    let received = std::mem::take(&mut bed.peer(number).received);
    let end = assert_is_large(&received);
    assert_eq!(String::from_utf8_lossy(&received[end..]), ok("alpha"));
    bed.assert_nothing_is_left();
}

#[test]
fn a_session_goes_back_with_the_last_byte_of_a_body() {
    let mut bed = Bed::new();
    let head: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    let number = bed.http(&[head, b"abc"]);
    bed.settle();
    assert_eq!((bed.counters().http.sessions_used, bed.received(number)), (1, String::new()));
    bed.peer(number).pieces.push_back(b"def".to_vec());
    bed.settle();
    assert_eq!(bed.counters().http.sessions_used, 0);
    assert_eq!(bed.received(number), ok("alpha"));
    bed.assert_nothing_is_left();
}

#[test]
fn without_a_buffer_a_half_head_is_answered_503() {
    let mut bed = Bed::with(gateway_config(8, 1));
    let first = bed.http(&[b"GET /a.txt HTT"]);
    bed.settle();
    let second = bed.http(&[b"GET /a"]);
    bed.settle();
    let refusal = error("503 Service Unavailable", "Connection: close\r\n");
    assert_eq!(bed.received(second), refusal);
    assert_eq!(bed.closed(second), Some(stack::CloseReason::Finished));
    bed.peer(first).pieces.push_back(b"P/1.1\r\nHost: a\r\n\r\n".to_vec());
    bed.settle();
    assert_eq!(bed.received(first), ok("alpha"));
    let http = bed.counters().http;
    assert_eq!(http.refused(Refusal::ResourceHeads), 1);
    assert_eq!((http.heads_used, http.sessions_used), (0, 0));
    bed.assert_nothing_is_left();
}

#[test]
fn without_a_session_small_requests_are_still_answered() {
    let mut bed = Bed::with(gateway_config(1, 4));
    let holder = bed.http(&[b"GET /a.txt HTT"]);
    bed.settle();
    assert_eq!(bed.exchange(&[&SMALL.repeat(2)]), ok("alpha").repeat(2));
    let refusal = error("503 Service Unavailable", "Connection: close\r\n");
    assert_eq!(bed.exchange(&[LARGE]), refusal);
    assert_eq!(bed.exchange(&[b"GET"]), refusal);
    // It cannot linger: the answer is sent, and the connection is closed at once.
    let closing = bed.exchange(&[b"GET /a.txt HTTP/1.0\r\n\r\n"]);
    assert!(closing.ends_with("alpha"));
    let http = bed.counters().http;
    assert_eq!(http.refused(Refusal::ResourceSessions), 2);
    assert_eq!(http.refused(Refusal::LingerRefused), 3);
    assert_eq!(http.answered(Status::ServiceUnavailable), 2);
    bed.peer(holder).pieces.push_back(b"P/1.1\r\nHost: a\r\n\r\n".to_vec());
    bed.settle();
    assert_eq!(bed.received(holder), ok("alpha"));
    bed.assert_nothing_is_left();
}

#[test]
fn resets_in_the_middle_give_everything_back() {
    let mut bed = Bed::new();
    let starts: [&[u8]; 4] = [
        LARGE,
        b"GET /a.t",
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ];
    for start in starts {
        let number = bed.connect(HTTP_PORT, &[start]);
        bed.peer(number).appetite = 0;
        bed.peer(number).stays = true;
        bed.settle();
        assert_eq!(bed.counters().http.sessions_used, 1);
        let conn = bed.peer(number).conn;
        bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
        bed.settle();
        assert_eq!(bed.counters().http.sessions_used, 0);
    }
    assert_eq!(bed.counters().http.refused(Refusal::AnswerCut), 1);
    bed.assert_nothing_is_left();
}

/// What a request for two large parts is answered with.
fn in_parts() -> Vec<u8> {
    let documents = super::bed::documents();
    let case = super::table::Answer {
        ranges: vec![(1_000, 2_000_000), (3_000_000, 5_000_000)],
        ..super::table::Answer::of(206, "/large.txt", "")
    };
    case.bytes(&documents, super::http::DATE)
}

const PARTS: &[u8] =
    b"GET /large.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=1000-2000000,3000000-5000000\r\n\r\n";

#[test]
fn a_slow_reader_gets_every_byte_of_every_part() {
    let mut bed = Bed::new();
    let number = bed.http(&[&[PARTS, SMALL].concat()]);
    bed.peer(number).appetite = 10;
    bed.run(Duration::from_secs(1));
    let expected = [in_parts(), ok("alpha").into_bytes()].concat();
    let mut rounds = 0;
    while bed.peer(number).received.len() < expected.len() {
        // Now and then a stretch in which a piece's head is cut.
        bed.feed(number, 29_999 + rounds % 7);
        bed.run(Duration::from_millis(5));
        rounds += 1;
        assert!(rounds < 2_000, "{} bytes came", bed.peer(number).received.len());
    }
    bed.settle();
    assert!(bed.peer(number).received == expected, "an answer in parts is not these bytes");
    bed.assert_nothing_is_left();
}

#[test]
fn without_a_place_for_its_parts_an_answer_is_the_whole_document() {
    // One place for 16 sessions.
    let mut bed = Bed::with(gateway_config(16, 16));
    let first = bed.http(&[PARTS]);
    bed.peer(first).appetite = 0;
    bed.settle();
    let second = bed.http(&[PARTS]);
    bed.settle();
    let received = std::mem::take(&mut bed.peer(second).received);
    assert_eq!(assert_is_large(&received), received.len());
    // What fits the send queue needs no place.
    let small: &[u8] = b"GET /large.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0,2-2\r\n\r\n";
    assert!(bed.exchange(&[small]).starts_with("HTTP/1.1 206 Partial Content\r\n"));
    bed.feed(first, usize::MAX);
    bed.settle();
    assert!(bed.peer(first).received == in_parts(), "the first is whole");
    // The place is free again, also after a reset in the middle.
    for _ in 0..3 {
        let number = bed.http(&[PARTS]);
        bed.peer(number).appetite = 0;
        bed.settle();
        let conn = bed.peer(number).conn;
        bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
        bed.settle();
    }
    let last = bed.http(&[PARTS]);
    bed.settle();
    assert!(bed.peer(last).received == in_parts(), "there is a place");
    bed.assert_nothing_is_left();
}

#[test]
fn parts_under_way_outlive_their_stretch_of_time() {
    let mut bed = Bed::new();
    let number = bed.http(&[PARTS]);
    bed.peer(number).appetite = 0;
    // Slow, and not too slow: the session is renewed several times.
    for _ in 0..20 {
        bed.feed(number, 40_000);
        bed.run(Duration::from_secs(10));
    }
    bed.feed(number, usize::MAX);
    bed.settle();
    assert!(bed.peer(number).received == in_parts(), "it goes on with its own parts");
    bed.assert_nothing_is_left();
}
