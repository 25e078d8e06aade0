//! Clients that are slow on purpose.

use base::Duration;
use gateway::{Refusal, limits};
use stack::CloseReason;

use super::bed::Bed;
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
fn an_idle_connection_is_kept() {
    let mut bed = Bed::new();
    let request: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let number = bed.http(&[request]);
    bed.run(Duration::from_secs(300));
    bed.peer(number).pieces.push_back(request.to_vec());
    bed.settle();
    assert_eq!(bed.received(number), ok("alpha").repeat(2));
    bed.assert_nothing_is_left();
}

#[test]
fn a_body_that_never_ends_ends_the_connection() {
    let mut bed = Bed::new();
    let number =
        bed.http(&[b"GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345678"]);
    bed.run(limits::BODY_TIMEOUT);
    assert_eq!((bed.received(number), bed.closed(number)), (ok("alpha"), None));
    bed.run(LATE);
    bed.settle();
    assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    assert_eq!(bed.counters().http.refused(Refusal::BodyTimeout), 1);
    bed.assert_nothing_is_left();
}

#[test]
fn a_reader_that_takes_nothing_is_reset_in_the_end() {
    let mut bed = Bed::new();
    let number = bed.http(&[b"GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n"]);
    bed.peer(number).appetite = 100_000;
    bed.run(Duration::from_secs(50));
    // Some progress, and the time begins anew.
    bed.feed(number, 300_000);
    bed.run(Duration::from_secs(50));
    assert_eq!(bed.closed(number), None);
    assert_eq!(bed.counters().http.refused(Refusal::AnswerTimeout), 0);
    // The last bytes of its window it took by probes, some seconds later.
    bed.run(Duration::from_secs(20));
    let http = bed.counters().http;
    assert_eq!((http.refused(Refusal::AnswerTimeout), http.sessions_used), (1, 0));
    // Once the client reads again it finds the connection gone.
    bed.feed(number, usize::MAX);
    bed.run(Duration::from_secs(1));
    assert_eq!(bed.closed(number), Some(CloseReason::PeerReset));
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
