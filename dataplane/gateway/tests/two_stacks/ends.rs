//! How connections end: nobody loses an answer, and nobody is waited for without end.

use gateway::Refusal;
use stack::CloseReason;

use super::bed::{Bed, STRAY_PORT};
use super::http::{error, ok};

const SMALL: &[u8] = b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_client_that_half_closes_gets_all_its_answers() {
    let mut bed = Bed::new();
    for (requests, tail) in [(1, ""), (3, ""), (300, ""), (2, "GET /a.t")] {
        let mut stream = SMALL.repeat(requests);
        stream.extend_from_slice(tail.as_bytes());
        let number = bed.http(&[&stream]);
        bed.peer(number).ends = true;
        bed.settle();
        assert_eq!(bed.received(number), ok("alpha").repeat(requests), "{requests} {tail:?}");
        assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    }
    assert_eq!(bed.counters().http.refused(Refusal::PeerTruncated), 1);
    bed.assert_nothing_is_left();
}

#[test]
fn a_client_that_half_closes_gets_the_whole_of_a_large_document() {
    let mut bed = Bed::new();
    let number = bed.http(&[b"GET /large.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"]);
    bed.peer(number).ends = true;
    bed.settle();
    assert!(bed.peer(number).received.len() > super::bed::LARGE_LEN);
    assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    // Half a body is half a request.
    let number = bed.http(&[b"GET /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"]);
    bed.peer(number).ends = true;
    bed.settle();
    assert_eq!(bed.received(number), "");
    assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    assert_eq!(bed.counters().http.refused(Refusal::PeerTruncated), 1);
    bed.assert_nothing_is_left();
}

#[test]
fn an_error_is_not_lost_while_the_client_still_sends() {
    let mut bed = Bed::new();
    let mut stream = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n".to_vec();
    stream.extend(vec![b'x'; 500_000]);
    let number = bed.http(&[&stream]);
    bed.peer(number).stays = true;
    bed.settle();
    assert_eq!(bed.received(number), error("413 Content Too Large", "Connection: close\r\n"));
    assert_eq!((bed.peer(number).has_end, bed.closed(number)), (true, None), "no reset");
    assert_eq!(bed.counters().http.bytes_discarded, 500_000);
    let conn = bed.peer(number).conn;
    bed.client.with_context(bed.now, |_, cx| cx.close(conn));
    bed.settle();
    assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    assert_eq!(bed.counters().http.sessions_used, 0);
    bed.assert_nothing_is_left();
}

#[test]
fn a_client_that_sends_without_end_is_reset() {
    let mut bed = Bed::new();
    let mut stream = b"GET /.. HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    stream.extend(vec![b'x'; 3 << 20]);
    let number = bed.http(&[&stream]);
    bed.peer(number).stays = true;
    bed.settle();
    assert_eq!(bed.closed(number), Some(CloseReason::PeerReset));
    let http = bed.counters().http;
    assert_eq!((http.refused(Refusal::LingerTooLong), http.sessions_used), (1, 0));
    bed.assert_nothing_is_left();
}

#[test]
fn a_listener_without_a_protocol_refuses() {
    let mut bed = Bed::new();
    let number = bed.connect(STRAY_PORT, &[]);
    bed.settle();
    assert_eq!(bed.closed(number), Some(CloseReason::PeerReset));
    assert_eq!(bed.counters().strays, 1);
    bed.assert_nothing_is_left();
}
