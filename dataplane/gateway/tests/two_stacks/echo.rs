//! Echo over TCP and UDP.

use base::{Duration, Rng};
use stack::CloseReason;

use super::bed::{Bed, CLIENT_UDP_PORT, ECHO_PORT, HTTP_PORT, STRAY_PORT, body};

#[test]
fn everything_comes_back_in_order_before_the_end() {
    let seed = 0xec40;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let mut bed = Bed::new();
    for len in [0, 1, 100, 10_000, 1_000_000] {
        let bytes = body(len);
        let mut rest = bytes.as_slice();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let count = rest.len().min(1 + usize::try_from(rng.below(4_000)).unwrap());
            let (piece, after) = rest.split_at(count);
            pieces.push(piece);
            rest = after;
        }
        let number = bed.connect(ECHO_PORT, &pieces);
        bed.peer(number).ends = true;
        bed.settle();
        assert!(bed.peer(number).received == bytes, "{len} bytes");
        assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    }
    let echo = bed.counters().echo;
    assert_eq!((echo.connections, echo.bytes, echo.closed_early), (5, 1_010_101, 0));
    bed.assert_nothing_is_left();
}

#[test]
fn a_client_that_writes_without_reading_is_held_back_and_loses_nothing() {
    let mut bed = Bed::new();
    let bytes = body(1 << 20);
    let number = bed.connect(ECHO_PORT, &[&bytes]);
    bed.peer(number).appetite = 0;
    bed.peer(number).ends = true;
    bed.run(Duration::from_secs(5));
    let echo = bed.counters().echo;
    assert!(echo.stalls > 0 && echo.bytes < 400_000, "{echo:?}");
    while bed.peer(number).received.len() < bytes.len() {
        let before = bed.peer(number).received.len();
        bed.feed(number, 50_000);
        bed.run(Duration::from_secs(2));
        assert!(bed.peer(number).received.len() > before, "stuck at {before}");
    }
    bed.settle();
    assert!(bed.peer(number).received == bytes);
    assert_eq!(bed.closed(number), Some(CloseReason::Finished));
    bed.assert_nothing_is_left();
}

#[test]
fn datagrams_come_back() {
    let mut bed = Bed::new();
    let sent: Vec<Vec<u8>> = [0, 1, 100, 1_472].map(body).into();
    for bytes in &sent {
        bed.datagram(CLIENT_UDP_PORT, ECHO_PORT, bytes);
        bed.settle();
    }
    let came: Vec<Vec<u8>> =
        bed.client.service().datagrams.iter().map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(came, sent);
    assert_eq!((bed.counters().echo.datagrams, bed.counters().echo.datagram_bytes), (4, 1_573));
    bed.assert_nothing_is_left();
}

#[test]
fn datagrams_that_could_loop_or_belong_to_nobody_are_dropped() {
    let mut bed = Bed::new();
    bed.datagram(ECHO_PORT, ECHO_PORT, b"loop");
    bed.datagram(CLIENT_UDP_PORT, STRAY_PORT, b"stray");
    bed.datagram(CLIENT_UDP_PORT, HTTP_PORT, b"GET / HTTP/1.1\r\n\r\n");
    bed.settle();
    assert_eq!(bed.client.service().datagrams, []);
    let counters = bed.counters();
    assert_eq!((counters.echo.datagrams_looping, counters.strays), (1, 1));
    assert_eq!(counters.http.refused(gateway::Refusal::Datagram), 1);
    bed.assert_nothing_is_left();
}
