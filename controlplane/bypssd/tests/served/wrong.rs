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

/// A whole frame of this kind, with those flags and that reserved field, and this body.
fn whole(kind: u8, flags: u8, reserved: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = frame(u32::try_from(12 + body.len()).expect("short"), kind, 12);
    bytes[5] = flags;
    bytes[6..8].copy_from_slice(&reserved.to_le_bytes());
    bytes[8] = 7;
    bytes.extend_from_slice(body);
    bytes
}

/// One name, in the list of a request.
fn list_of_one(name: &[u8]) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0];
    let len = u16::try_from(name.len()).expect("short");
    match len {
        ..0x80 => body.push(len.to_le_bytes()[0]),
        _ => body.extend([0x80 | len.to_be_bytes()[0], len.to_be_bytes()[1]]),
    }
    body.extend_from_slice(name);
    body
}

#[test]
fn a_wrong_frame_of_one_who_is_in_is_told_and_changes_nothing_for_others() {
    let daemon = Daemon::with("");
    let mut good = Client::session(daemon.address, "good");
    assert_eq!(good.register(&["kept"]).unwrap().granted, 1);
    let reg = |name: &[u8]| whole(4, 0, 0, &list_of_one(name));
    let cases: [(&str, Vec<u8>, ErrorCode, bool); 13] = [
        ("a kind that nobody knows", whole(0x3f, 0, 0, &[]), ErrorCode::Unsupported, false),
        ("a flag that must be known", whole(0x10, 0x80, 0, &[]), ErrorCode::Unsupported, false),
        ("something reserved", whole(0x10, 0, 1, &[]), ErrorCode::Malformed, true),
        ("bytes behind the body", whole(0x10, 0, 0, &[0]), ErrorCode::Malformed, true),
        ("an answer", whole(0x84, 0, 0, &[0; 12]), ErrorCode::Unsupported, false),
        ("a list without an entry", whole(4, 0, 0, &[0; 4]), ErrorCode::Malformed, true),
        ("a list that is cut", whole(6, 0, 0, &[9, 0, 0, 0, 1, b'a']), ErrorCode::Malformed, true),
        ("a name without a byte", reg(b""), ErrorCode::BadName, false),
        ("a name that is too long", reg(&[b'a'; 1_025]), ErrorCode::BadName, false),
        ("a name that is no UTF-8", reg(b"\xff\xfe"), ErrorCode::BadName, false),
        ("a second HELLO", hello_again(), ErrorCode::State, false),
        ("RELET without a session", whole(3, 0, 0, &[0; 8]), ErrorCode::NoSession, false),
        ("REG_PORT without a session", reg(b"port"), ErrorCode::NoSession, false),
    ];
    for (what, bytes, code, closes) in cases {
        let mut wrong = Client::enter(daemon.address, "wrong");
        wrong.send(&bytes);
        let told = wrong.refusal();
        assert_eq!((told.code, told.closes), (code, closes), "{what}");
        if !closes {
            wrong.ping();
        }
        good.ping();
    }
    let mut other = Client::session(daemon.address, "good-too");
    let mut sender = Client::enter(daemon.address, "good-too");
    assert_eq!(sender.relet().unwrap_err().code, ErrorCode::State, "not on a send connection");
    assert_eq!(other.holder("kept"), "good");
    good.relet().unwrap();
}

fn hello_again() -> Vec<u8> {
    let mut bytes = Vec::new();
    hello("wrong").write(&mut bytes, 7, None);
    bytes
}

#[test]
fn random_bodies_of_every_kind_end_at_most_their_own_connection() {
    let daemon = Daemon::with("");
    let mut good = Client::session(daemon.address, "good");
    assert_eq!(good.register(&["kept"]).unwrap().granted, 1);
    let seed = 0x2545_f491_4f6c_dd1d_u64;
    println!("ABELE_SEED={seed}");
    let mut random = seed;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random.to_le_bytes()[3]
    };
    for round in 0..300 {
        let mut noisy = Client::enter(daemon.address, "noisy");
        // All kinds of requests but YIELD and BYE, which may be said.
        let kind = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 32, 33, 34, 35, 36][round % 17];
        let body: Vec<u8> = (0..next()).map(|_| next()).collect();
        noisy.send(&whole(kind, next() & 3, 0, &body));
        noisy.stream.shutdown(std::net::Shutdown::Write).unwrap();
        // It is answered, refused or ended; nothing that comes is no frame.
        while noisy.next(|_id, _body| ()).unwrap_or(None).is_some() {}
        if round % 20 == 0 {
            good.relet().unwrap();
        }
    }
    assert_eq!(good.holder("kept"), "good");
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
