//! The gateway asked to stop by a signal, while clients are in the middle of something.

#![allow(clippy::print_stdout, reason = "what was measured is told")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::lab::{Gateway, PATIENCE, configuration, counted, in_lab, run_beside_gateway};

const DOCUMENT_LEN: usize = 32 << 10;
const LARGE_LEN: usize = 16 << 20;
/// Threads that ask over connections that they keep, and connections of each.
const KEEPERS: usize = 2;
const KEPT: usize = 8;

/// A gateway that gives connections so many seconds to end.
fn start(seconds: u32) -> Gateway {
    let sections = format!("[drain]\ntimeout_s = {seconds}\n[workers]\ncount = 2\n");
    let documents = [
        ("doc.bin", (0..=u8::MAX).cycle().take(DOCUMENT_LEN).collect()),
        ("large.bin", (0..=u8::MAX).cycle().take(LARGE_LEN).collect()),
    ];
    Gateway::start_with(&configuration("", &sections), &documents)
}

fn connect(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect(("10.77.0.2", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    Some(stream)
}

/// An answer's head: its body's length, and whether it is the connection's last.
fn read_head(reader: &mut BufReader<TcpStream>) -> (usize, bool) {
    let (mut line, mut len, mut is_last) = (String::new(), None, false);
    reader.read_line(&mut line).expect("the answer comes");
    assert!(line.starts_with("HTTP/1.1 200 "), "{line:?}");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("the answer comes");
        is_last |= line == "Connection: close\r\n";
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            len = value.trim().parse().ok();
        }
    }
    (len.expect("every answer has a length"), is_last)
}

/// Asks once over a connection; whether it goes on. Anything but a whole answer is a failure.
fn ask(reader: &mut BufReader<TcpStream>) -> bool {
    let request = b"GET /doc.bin HTTP/1.1\r\nHost: lab\r\n\r\n";
    reader.get_mut().write_all(request).expect("the connection lives");
    let (len, is_last) = read_head(reader);
    let mut body = vec![0; len];
    reader.read_exact(&mut body).expect("no answer is cut");
    assert!(len == DOCUMENT_LEN && (0..=u8::MAX).cycle().zip(&body).all(|(a, b)| a == *b));
    if is_last {
        assert_eq!(reader.read(&mut [0]).expect("the end is no reset"), 0);
    }
    !is_last
}

/// Asks over connections that it keeps, until each has told that it ends; how often.
fn keep_asking(asked: &AtomicU64) -> u64 {
    let open = || connect(80).map(BufReader::new).expect("it serves");
    let mut readers: Vec<_> = (0..KEPT).map(|_| open()).collect();
    let mut count = 0;
    while !readers.is_empty() {
        readers.retain_mut(ask);
        count += u64::try_from(readers.len()).expect("few");
        asked.store(count, Ordering::Relaxed);
    }
    count
}

/// Asks each time over a new connection, until none is had; how often.
fn connect_and_ask() -> u64 {
    let mut count = 0;
    while let Some(stream) = connect(80) {
        let mut reader = BufReader::new(stream);
        ask(&mut reader);
        reader.get_ref().shutdown(Shutdown::Both).ok();
        count += 1;
    }
    count
}

#[test]
fn under_load_no_answer_is_cut_and_who_is_let_in_is_answered() {
    in_lab("drains::under_load_no_answer_is_cut_and_who_is_let_in_is_answered", || {
        let gateway = start(10);
        // These sleep: they learn it from the end.
        let silent: Vec<_> = (0..20).map(|at| connect([80, 7][at % 2])).collect();
        let asked: Vec<_> = (0..KEEPERS).map(|_| AtomicU64::new(0)).collect();
        let (took, summary) = thread::scope(|scope| {
            let keepers: Vec<_> =
                asked.iter().map(|asked| scope.spawn(|| keep_asking(asked))).collect();
            let connector = scope.spawn(connect_and_ask);
            let patience = Instant::now() + PATIENCE;
            while asked.iter().any(|asked| asked.load(Ordering::Relaxed) < 50) {
                assert!(Instant::now() < patience, "nobody is answered");
                thread::sleep(Duration::from_millis(10));
            }
            let begun = Instant::now();
            let summary = gateway.stop();
            let took = begun.elapsed();
            for keeper in keepers {
                println!("{} answers over kept connections", keeper.join().expect("no loss"));
            }
            println!("{} answers over new ones", connector.join().expect("no loss"));
            (took, summary)
        });
        for stream in silent {
            let mut stream = stream.expect("it was let in");
            assert_eq!(stream.read(&mut [0]).expect("the end is no reset"), 0);
        }
        println!("it took {took:.2?} to end: {summary}");
        assert!(took < Duration::from_secs(8), "nothing was left to wait for: {took:?}");
        let finished = counted(&summary, "drain_finished")[0];
        assert!(finished >= 20 + u64::try_from(KEEPERS * KEPT).expect("few"), "{summary}");
        assert!(counted(&summary, "drain_cut").is_empty(), "{summary}");
    });
}

/// Asks for the large document over a connection of its own and reads the beginning.
fn begin_large() -> BufReader<TcpStream> {
    let mut reader = connect(80).map(BufReader::new).expect("it serves");
    let request = b"GET /large.bin HTTP/1.1\r\nHost: lab\r\n\r\n";
    reader.get_mut().write_all(request).expect("the connection lives");
    assert_eq!(read_head(&mut reader), (LARGE_LEN, false));
    reader
}

/// Reads to the end, all of the large document in so much time; how much came.
fn read_slowly(reader: &mut impl Read, time: Duration) -> usize {
    let (begun, mut len, mut part) = (Instant::now(), 0, vec![0; 64 << 10]);
    loop {
        match reader.read(&mut part).expect("it is not cut") {
            0 => return len,
            read => len += read,
        }
        let due = begun + time.mul_f64(len as f64 / LARGE_LEN as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

#[test]
fn a_slow_reader_gets_it_whole_and_one_that_is_slower_is_cut_and_counted() {
    in_lab("drains::a_slow_reader_gets_it_whole_and_one_that_is_slower_is_cut_and_counted", || {
        let gateway = start(6);
        let (mut slow, mut stuck) = (begin_large(), begin_large());
        let (len, left, summary) = thread::scope(|scope| {
            let reader = scope.spawn(move || read_slowly(&mut slow, Duration::from_secs(3)));
            thread::sleep(Duration::from_millis(100));
            let summary = gateway.stop();
            let mut left = Vec::new();
            let end = stuck.read_to_end(&mut left);
            let kind = end.expect_err("it is told that it is cut").kind();
            assert_eq!(kind, ErrorKind::ConnectionReset);
            (reader.join().expect("it reads"), left.len(), summary)
        });
        assert_eq!(len, LARGE_LEN);
        assert!(left < LARGE_LEN, "{left} of {LARGE_LEN} bytes came");
        assert_eq!(counted(&summary, "drain_cut")[0], 1, "{summary}");
        assert_eq!(counted(&summary, "drain_finished")[0], 1, "{summary}");
    });
}

#[test]
fn a_second_signal_and_a_device_that_goes_end_it_at_once() {
    in_lab("drains::a_second_signal_and_a_device_that_goes_end_it_at_once", || {
        let mut gateway = start(60);
        let _held = begin_large();
        let refuses = || TcpStream::connect("10.77.0.2:80").is_err();
        let await_refusal = || {
            let patience = Instant::now() + PATIENCE;
            while !refuses() {
                assert!(Instant::now() < patience, "it takes everybody in");
                thread::sleep(Duration::from_millis(10));
            }
        };
        gateway.signal(Signal::SIGTERM);
        await_refusal();
        gateway.signal(Signal::SIGINT);
        assert_eq!(gateway.ended().0, Some(130));
        drop(gateway);

        let mut gateway = start(60);
        let _held = begin_large();
        gateway.signal(Signal::SIGINT);
        await_refusal();
        // A thread beside the cores says so, and may look later than they.
        let patience = Instant::now() + PATIENCE;
        while !gateway.log().contains("asked to stop") {
            assert!(Instant::now() < patience, "{}", gateway.log());
            thread::sleep(Duration::from_millis(10));
        }
        run_beside_gateway(&["ip", "link", "delete", "abele0"]);
        let (code, log) = gateway.ended();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("abele0 is gone"), "{log}");
    });
}

#[test]
fn without_time_a_signal_ends_it_as_it_stands() {
    in_lab("drains::without_time_a_signal_ends_it_as_it_stands", || {
        let gateway = start(0);
        let _held = begin_large();
        let begun = Instant::now();
        let summary = gateway.stop();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(counted(&summary, "drain_finished").is_empty(), "{summary}");
        assert!(counted(&summary, "drain_cut").is_empty(), "{summary}");
    });
}
