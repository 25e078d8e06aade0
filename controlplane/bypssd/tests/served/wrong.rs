//! Clients that are wrong, slow or many, and others beside them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use protocol::ErrorCode;

use crate::client::{Client, Told, hello, query};
use crate::daemon::Daemon;

/// A frame of this kind with zeros behind its header.
fn frame(len: u32, kind: u8, present: usize) -> Vec<u8> {
    let mut frame = vec![0; present.max(12)];
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame[4] = kind;
    frame
}

#[test]
fn garbage_and_frames_that_are_too_long_are_told_and_end_only_their_connection() {
    let daemon = Daemon::with("");
    let mut good = Client::session(daemon.address, "good");
    let cases: [(&str, Vec<u8>, ErrorCode); 4] = [
        ("of another protocol", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), ErrorCode::TooLarge),
        ("a length below the header's", frame(5, 1, 12), ErrorCode::Malformed),
        ("longer than before WELCOME", frame(5_000, 1, 12), ErrorCode::TooLarge),
        ("a HELLO of zeros", frame(200, 1, 200), ErrorCode::Malformed),
    ];
    for (what, bytes, code) in cases {
        let mut client = Client::connect(daemon.address).unwrap();
        client.send(&bytes);
        let told = client.refusal();
        assert_eq!((told.code, told.closes), (code, true), "{what}");
        good.ping();
    }
    let mut large = Client::enter(daemon.address, "large");
    large.send(&frame((32 << 20) + 1, 6, 12));
    let told = large.refusal();
    assert_eq!(told, Told { code: ErrorCode::TooLarge, closes: true, number: 32 << 20 });
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(daemon.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_le_bytes()[3]
        })
        .take(3_000)
        .collect();
        stream.write_all(&noise).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).ok();
        good.ping();
    }
}

#[test]
fn a_frame_that_never_comes_whole_hinders_nobody_and_leaves_nothing() {
    let daemon = Daemon::with("");
    let mut good = Client::session(daemon.address, "good");
    let mut cut = Client::enter(daemon.address, "cut");
    cut.send(&frame(20 << 20, 6, 1 << 20));
    daemon.until("it is received", |daemon| daemon.metric("bypssd_partial_bytes") >= 1 << 20);
    good.ping();
    assert!(daemon.metric("bypssd_partial_bytes") < 8 << 20, "no more than has come");
    drop(cut);
    daemon.until("it is gone", |daemon| daemon.metric("bypssd_partial_bytes") == 0);
    good.ping();
}

#[test]
fn who_says_nothing_is_ended_after_five_seconds() {
    let daemon = Daemon::with("");
    let mut silent = Client::connect(daemon.address).unwrap();
    let begun = std::time::Instant::now();
    assert!(silent.next(|_id, _body| ()).is_ok_and(|next| next.is_none()));
    assert!((4..15).contains(&begun.elapsed().as_secs()));
    assert_eq!(daemon.metric("bypssd_switch_hello_timeouts_total"), 1);
}

#[test]
fn a_slow_reader_is_not_read_and_gets_every_answer_later() {
    let daemon = Daemon::with("");
    let mut slow = Client::enter(daemon.address, "slow");
    let names: Vec<String> = (0..1_000).map(|n| format!("name:{n:011}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let request = query(&names);
    slow.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut written = 0;
    let stopped = loop {
        match slow.stream.write(&request[written % request.len()..]) {
            Ok(len) => written += len,
            Err(error) => break error.kind(),
        }
        assert!(written < 256 << 20, "it is read without an end");
    };
    assert!(matches!(stopped, ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(daemon.metric("bypssd_worker_blocked_total") > 0);
    let mut other = Client::session(daemon.address, "other");
    assert_eq!(other.register(&["port"]).unwrap().granted, 1);
    for _ in 0..written / request.len() {
        slow.read(|body| assert!(!matches!(body, protocol::IncomingBody::Error(_)), "{body:?}"));
    }
}

#[test]
fn a_flood_of_connections_is_refused_and_those_who_are_in_are_served() {
    let daemon = Daemon::with("limits = { connections = 8 }\n");
    let mut good = Client::session(daemon.address, "good");
    let mut flood: Vec<TcpStream> = Vec::new();
    for round in 0..200 {
        flood.extend(TcpStream::connect(daemon.address));
        if round % 20 == 0 {
            good.ping();
        }
    }
    daemon.until("the rest is refused", |daemon| {
        daemon.metric("bypssd_worker_refused_full_total") >= 193
    });
    assert_eq!(daemon.metric("bypssd_connections"), 8);
    good.relet().unwrap();
    drop(flood);
    daemon.until("there is room again", |daemon| daemon.metric("bypssd_connections") == 1);
    Client::connect(daemon.address).unwrap().hello(hello("next"), None).unwrap();
    good.ping();
}
