//! What is asked for, in which order copies come, and what becomes of those who read slowly.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::pcap::Reader;
use nic::{Burst, CaptureReader, Captured, MemQueue, QueuePair};
use serde_json::Value;

use super::merge::Merge;
use super::request::Request;
use super::stream::Stream;
use crate::clock::Clock;
use crate::limits::CAPTURE_COUNT;
use crate::stop::Stop;

fn request(text: &str) -> Request {
    Request::parse(text, 2).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A core without a stack, whose packets are captured.
struct Core {
    arena: CoreArena,
    near: Captured<MemQueue>,
    far: MemQueue,
    burst: Burst,
}

impl Core {
    fn new(tap: Option<Box<nic::Tap>>) -> Self {
        let geometry = FrameGeometry {
            frames: 256,
            frame_len: 2048,
            headroom: 128,
            cores: 1,
            reserve_per_core: 0,
        };
        let frames = FrameArena::new(geometry, PageChoice::Base).unwrap();
        let mut arena = frames.core().unwrap();
        let (near, mut far) = nic::mem::pair(64, 1500).unwrap();
        let mut near = Captured::new(near);
        near.exchange_tap(tap);
        let mut burst = Burst::with_capacity(64);
        far.rx_burst(&mut arena, &mut burst);
        Self { arena, near, far, burst }
    }

    /// Sends a packet of so many bytes at a time of the core's clock.
    fn send(&mut self, now: base::Instant, len: usize, fill: u8) {
        self.near.set_now(now);
        let mut frame = self.arena.allocate().unwrap();
        self.arena.set_len(&mut frame, len);
        self.arena.bytes_mut(&mut frame).fill(fill);
        self.burst.push(frame).unwrap();
        self.near.tx_burst(&mut self.arena, &mut self.burst);
        self.far.rx_burst(&mut self.arena, &mut self.burst);
        self.burst.clear_into(&mut self.arena);
    }
}

fn cores(request: &Request, offset: base::Duration) -> (Vec<Core>, Vec<CaptureReader>) {
    let (taps, readers) = request.taps(offset, 2);
    (taps.into_iter().map(Core::new).collect(), readers)
}

#[test]
fn a_request_has_defaults_and_each_key_its_bounds() {
    let plain = request("");
    assert_eq!((plain.count, plain.seconds, plain.snaplen), (CAPTURE_COUNT, 60, 65_535));
    assert_eq!((plain.core, plain.filter_text.as_str()), (None, ""));
    let full = request(
        " count=5 seconds=7 snaplen=96 core=1 direction=in filter tcp port 80 and not host 10.0.0.1",
    );
    assert_eq!((full.count, full.seconds, full.snaplen, full.core), (5, 7, 96, Some(1)));
    assert_eq!(full.direction, nic::Directions::Received);
    assert_eq!(full.filter_text, "tcp port 80 and not host 10.0.0.1");
    for (text, told) in [
        ("count=0", "count = \"0\" is not a number from 1 to 1000000000"),
        ("seconds=x", "seconds = \"x\" is not a number from 1 to 86400"),
        ("snaplen=65536", "snaplen = \"65536\" is not a number from 1 to 65535"),
        ("direction=up", "direction = \"up\" is not in, out or both"),
        ("core=2", "there is no core 2; the gateway has cores 0 to 1"),
        ("speed=1", "\"speed\" is no key of a capture; keys are count"),
        ("tcp", "\"tcp\" is no key"),
        ("count=1 filter tpc", "the filter is wrong: \"tpc\" begins no test"),
    ] {
        let error = Request::parse(text, 2).expect_err(text).to_string();
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn only_the_core_that_is_meant_has_a_tap() {
    let (taps, readers) = request("core=1").taps(base::Duration::ZERO, 2);
    assert_eq!(taps.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    assert_eq!(readers.len(), 1);
}

#[test]
fn copies_of_several_cores_come_in_the_order_of_their_times() {
    let (mut cores, readers) = cores(&request(""), base::Duration::from_secs(1_000));
    let mut merge = Merge::new(readers);
    let at = |micros: u64| base::Instant::ZERO + base::Duration::from_micros(micros);
    for (core, time) in [(0, 10), (0, 30), (1, 20), (0, 50), (1, 40), (1, 60)] {
        cores[core].send(at(time), 60, u8::try_from(time).unwrap());
    }
    // A millisecond later they are handed over.
    cores.iter_mut().for_each(|core| core.near.set_now(at(5_000)));
    merge.fetch();
    assert!(merge.is_whole());
    let since_1970 = |micros: u64| 1_000_000_000_000 + micros * 1_000;
    let mut file = nic::pcap::file_header().to_vec();
    while merge.next(since_1970(45), &mut file) {}
    let fills = |file: &[u8]| -> Vec<u8> {
        Reader::new(file).unwrap().map(|record| record.unwrap().bytes[0]).collect()
    };
    assert_eq!(fills(&file), [10, 20, 30, 40]);
    assert!(merge.is_whole(), "two wait");
    while merge.next(u64::MAX, &mut file) {}
    assert_eq!(fills(&file), [10, 20, 30, 40, 50, 60]);
    assert!(merge.is_whole() && merge.dropped() == 0);
    let first = Reader::new(&file).unwrap().next().unwrap().unwrap();
    assert_eq!(first.at.as_nanos(), since_1970(10));
}

/// Takes the stream apart: the pcap file, and the last words.
fn received(mut bytes: &[u8]) -> (Vec<u8>, Option<Value>) {
    let mut file = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let len = u32::from_le_bytes(*len) as usize;
        if len == 0 {
            return (file, Some(serde_json::from_slice(rest).unwrap()));
        }
        file.extend_from_slice(&rest[..len]);
        bytes = &rest[len..];
    }
    (file, None)
}

/// A capture whose asker does `ask` while both cores send packets of `len` bytes, one a
/// millisecond; how many each has sent, and what `ask` has returned.
fn capture<R: Send>(text: &str, len: usize, ask: impl FnOnce(UnixStream) -> R + Send) -> (u64, R) {
    let (request, clock, stop) = (request(text), Clock::start(), Stop::new().unwrap());
    let offset = clock.zero_of_day();
    let (mut cores, readers) = cores(&request, offset);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = Stream::new(ours, readers, request, (clock, offset));
    thread::scope(|scope| {
        let stop = &stop;
        let asker = scope.spawn(|| ask(theirs));
        let work = scope.spawn(move || stream.run(stop, &AtomicBool::new(false)));
        let mut sent = 0;
        while !work.is_finished() {
            sent += 1;
            let now = clock.now();
            cores.iter_mut().for_each(|core| core.send(now, len, 1));
            thread::sleep(Duration::from_millis(1));
        }
        (sent, asker.join().unwrap())
    })
}

fn read_whole(mut stream: UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_capture_ends_with_its_count_exactly() {
    let (sent, bytes) = capture("count=25", 60, read_whole);
    let (file, told) = received(&bytes);
    let told = told.expect("it ends well");
    assert_eq!(Reader::new(&file).unwrap().map(Result::unwrap).count(), 25);
    assert_eq!(told, serde_json::json!({"captured": 25, "dropped": 0, "ended": "count"}));
    assert!(sent < 1_000, "it ends soon");
}

#[test]
fn a_capture_ends_when_its_time_is_over_or_its_asker_has_enough() {
    let begun = Instant::now();
    let (_, bytes) = capture("seconds=1", 60, read_whole);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let (file, told) = received(&bytes);
    let told = told.expect("it ends well");
    assert_eq!(told["ended"], "seconds");
    let count = Reader::new(&file).unwrap().map(Result::unwrap).count() as u64;
    assert!(count > 20, "{count}");
    assert_eq!(told["captured"], count);

    let (sent, bytes) = capture("", 60, |mut stream| {
        let mut first = [0; 28];
        stream.read_exact(&mut first).unwrap();
        thread::sleep(Duration::from_millis(100));
        stream.shutdown(Shutdown::Write).unwrap();
        [first.to_vec(), read_whole(stream)].concat()
    });
    let (file, told) = received(&bytes);
    let told = told.expect("it ends well");
    assert_eq!((&told["ended"], &told["dropped"]), (&"asker".into(), &0.into()));
    let times: Vec<_> =
        Reader::new(&file).unwrap().map(|record| record.unwrap().at.as_nanos()).collect();
    assert!(times.is_sorted(), "both cores' in order");
    assert!(times.len() as u64 <= 2 * sent && times.len() > 20, "{} of {sent}", times.len());
}

#[test]
fn an_asker_who_is_gone_ends_it_and_one_who_reads_nothing_loses_only_copies() {
    let (sent, ()) = capture("", 60, |mut stream| {
        stream.write_all(b"words that nobody waits for").unwrap();
        thread::sleep(Duration::from_millis(50));
    });
    assert!(sent < 2_000, "it ends soon");

    // 8 MiB of blocks and what the socket holds are full long before the time is over.
    let (request, clock, stop) = (request("seconds=2"), Clock::start(), Stop::new().unwrap());
    let (mut cores, readers) = cores(&request, clock.zero_of_day());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = Stream::new(ours, readers, request, (clock, clock.zero_of_day()));
    thread::scope(|scope| {
        let work = scope.spawn(|| stream.run(&stop, &AtomicBool::new(false)));
        for _packet in 0..10_000 {
            cores[0].send(clock.now(), 1_500, 1);
        }
        // Each packet went its way meanwhile; now he reads, and is told what he has lost.
        thread::sleep(Duration::from_millis(2_100));
        let bytes = read_whole(theirs);
        work.join().unwrap();
        let (file, told) = received(&bytes);
        let told = told.expect("it ends well");
        let count = Reader::new(&file).unwrap().map(Result::unwrap).count() as u64;
        let dropped = told["dropped"].as_u64().unwrap();
        assert_eq!(told["captured"], count);
        assert_eq!(count + dropped, 10_000);
        assert!(dropped > 1_000 && count > 1_000, "{told}");
    });
}
