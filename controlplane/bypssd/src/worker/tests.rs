//! A worker between real sockets and a service that only knows lengths: in its own thread, and held
//! by another.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration as StdDuration, Instant as StdInstant};

use base::{Duration, IdlePolicy, Instant};

use super::{Bounds, Census, Counters, Door, Figure, Parts, Peer, Service, Worker, orders};
use crate::config::{Access, Ending, Listener};
use crate::keeper::{self, Keeper};
use crate::lane::{Sleeper, lane};
use crate::limits::LANE_CAPACITY;
use crate::panel::Panel;
use crate::remote::Remote;
use crate::traffic::{KeeperEnds, WorkerEnds};

mod tls;

/// Tests that are made twice: the worker has the service itself, or another thread has it.
macro_rules! both_ways {
    ($($name:ident)+) => {
        mod alone_tests {
            $(#[test]
            fn $name() {
                super::$name(super::alone);
            })+
        }

        mod kept_tests {
            $(#[test]
            fn $name() {
                super::$name(super::kept);
            })+
        }
    };
}

both_ways! {
    frames_come_back_whole_however_they_are_cut
    many_small_frames_are_taken_in_few_calls
    who_does_not_read_is_not_read_and_others_are_served_meanwhile
    last_words_are_read_although_more_was_sent
    who_has_sent_everything_still_gets_the_answers
    one_too_many_is_refused_and_its_place_is_free_again_after_another_left
    one_address_does_not_take_the_places_of_all
    partial_frames_are_bounded_together
    who_hoards_half_frames_pays_for_it_and_nobody_else
    a_half_frame_that_does_not_go_on_ends_its_connection_in_time
    one_frame_as_long_as_all_half_frames_may_be_comes_through
    everybody_is_told_of_the_end_and_the_worker_ends_when_they_have_heard
    who_never_reads_the_last_words_is_not_waited_for
    a_worker_that_waits_does_not_turn
}

/// Sends every frame back; a frame of kind 1 asks for the end, one of kind 2 is answered a
/// thousandfold, and one of kind 3 says which node it is by its length.
#[derive(Debug, Default)]
struct Echo {
    conns: Vec<EchoConn>,
    dirty: VecDeque<u32>,
    most_in_one_call: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct EchoConn {
    is_open: bool,
    is_closing: bool,
    node: Option<u32>,
    out: Vec<u8>,
}

/// Bytes of answers above which the echo takes no more.
const MARK: usize = 1 << 20;

impl Service for Echo {
    fn handle_opened(&mut self, conn: u32, peer: Peer, _now: Instant) {
        let index = conn as usize;
        if self.conns.len() <= index {
            self.conns.resize_with(index + 1, EchoConn::default);
        }
        assert!(!self.conns[index].is_open, "{conn} was closed before");
        assert!(peer.is_loopback);
        let greeting = peer.certified.unwrap_or_else(|| "hello".to_owned()).into_bytes();
        self.conns[index] = EchoConn { is_open: true, out: greeting, ..EchoConn::default() };
        self.dirty.push_back(conn);
    }

    fn handle_bytes(&mut self, conn: u32, bytes: &[u8], _now: Instant) -> usize {
        let EchoConn { is_open, is_closing, node, out } = &mut self.conns[conn as usize];
        assert!(*is_open);
        if *is_closing {
            return bytes.len();
        }
        let mut used = 0;
        let mut frames = 0;
        while let Some(header) = bytes.get(used..used + 12) {
            let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
            let Some(frame) = bytes.get(used..used + len).filter(|_| out.len() < MARK) else {
                break;
            };
            let times = if frame[4] == 2 { 1_000 } else { 1 };
            for _ in 0..times {
                out.extend_from_slice(frame);
            }
            used += len;
            frames += 1;
            if frame[4] == 3 {
                *node = u32::try_from(len).ok();
            }
            if frame[4] == 1 {
                *is_closing = true;
                used = bytes.len();
            }
        }
        self.most_in_one_call.fetch_max(frames, Ordering::Relaxed);
        self.dirty.push_back(conn);
        used
    }

    fn handle_closed(&mut self, conn: u32, _now: Instant) {
        assert!(std::mem::take(&mut self.conns[conn as usize]).is_open);
    }

    fn poll(&mut self, _now: Instant) -> Option<Instant> {
        None
    }

    fn next_dirty(&mut self) -> Option<u32> {
        self.dirty.pop_front()
    }

    fn outgoing(&self, conn: u32) -> &[u8] {
        &self.conns[conn as usize].out
    }

    fn handle_sent(&mut self, conn: u32, len: usize, _now: Instant) {
        self.conns[conn as usize].out.drain(..len);
    }

    fn is_closing(&self, conn: u32) -> bool {
        self.conns[conn as usize].is_closing
    }

    fn node(&self, conn: u32) -> Option<u32> {
        self.conns[conn as usize].node
    }

    fn leave(&mut self, _hint: &str, _now: Instant) {
        for (index, conn) in (0..).zip(&mut self.conns) {
            if conn.is_open {
                conn.out.extend_from_slice(b"bye");
                conn.is_closing = true;
                self.dirty.push_back(index);
            }
        }
    }

    fn handle_access(&mut self, _access: &[Access], _now: Instant) {}

    fn epoch(&self) -> u64 {
        7
    }

    fn figures(&self, _now: Instant) -> Vec<Figure> {
        let value = self.conns.iter().filter(|conn| conn.is_open).count() as u64;
        vec![Figure { name: "open", value, is_counter: false }]
    }

    fn grace_left(&self, _now: Instant) -> Duration {
        Duration::ZERO
    }
}

/// A worker on a thread of its own, and whoever else serves with it.
struct Served {
    address: SocketAddr,
    panel: Panel,
    threads: Vec<JoinHandle<Counters>>,
    most_in_one_call: Arc<AtomicU64>,
}

/// What is allowed in a test.
#[derive(Clone, Copy)]
struct Allowed {
    connections: u32,
    connections_per_source: u32,
    frame_len: u32,
    partial_len: u64,
    partial: Duration,
}

const ALLOWED: Allowed = Allowed {
    connections: 8,
    connections_per_source: 8,
    frame_len: 8 << 20,
    partial_len: 64 << 20,
    partial: Duration::from_secs(60),
};

/// How a worker is started.
type Start = fn(Allowed, Option<Arc<rustls::ServerConfig>>) -> Served;

/// What both kinds have in common: the parts of a worker, all but its service.
struct Base {
    census: Census,
    door: Door,
    address: SocketAddr,
    bounds: Bounds,
    echo: Echo,
    most_in_one_call: Arc<AtomicU64>,
}

fn base(allowed: Allowed, is_tls: bool) -> Base {
    let address = "127.0.0.1:0".parse().unwrap();
    let door = Door::open(Listener { address, is_tls }).unwrap();
    let address = door.address().unwrap();
    let Allowed { connections, connections_per_source, frame_len, partial_len, partial } = allowed;
    let census = Census::new(1, connections, connections_per_source);
    let echo = Echo::default();
    let most_in_one_call = Arc::clone(&echo.most_in_one_call);
    let bounds = Bounds { frame_len, partial_len, partial };
    Base { census, door, address, bounds, echo, most_in_one_call }
}

const IDLE: (IdlePolicy, Duration) = (IdlePolicy::Wait, Duration::ZERO);

/// One that has the service itself.
fn alone(allowed: Allowed, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    let Base { census, door, address, bounds, echo: service, most_in_one_call } =
        base(allowed, tls.is_some());
    let (orders, ordered) = orders().unwrap();
    let ((number, workers), (idle, spin)) = ((0, Vec::new()), IDLE);
    let doors = vec![door];
    let worker = Worker::new(Parts {
        service,
        number,
        workers,
        census,
        doors,
        tls,
        ordered,
        bounds,
        idle,
        spin,
    });
    let worker = worker.unwrap();
    let threads = vec![thread::spawn(|| worker.run().unwrap())];
    Served { address, panel: Panel::new(orders, Vec::new()), threads, most_in_one_call }
}

/// One whose service another thread has.
fn kept(allowed: Allowed, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    kept_with(allowed, allowed.connections, tls)
}

/// The same where that thread has so many numbers of connections.
fn kept_with(allowed: Allowed, connections: u32, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    let Base { census, door, address, bounds, echo, most_in_one_call } =
        base(allowed, tls.is_some());
    let ((switch, switch_ordered), (orders, ordered)) = (orders().unwrap(), orders().unwrap());
    let (keeper, own) = (Sleeper::new(switch.bell().clone()), Sleeper::new(orders.bell().clone()));
    let (up, up_end) = lane(LANE_CAPACITY, &own, &keeper);
    let (down_end, down) = lane(LANE_CAPACITY, &keeper, &own);
    let (idle, spin) = IDLE;
    let kept = Keeper::new(keeper::Parts {
        service: echo,
        ends: vec![KeeperEnds { up: up_end, down: down_end }],
        sleeper: keeper,
        ordered: switch_ordered,
        connections,
        idle,
        spin,
    });
    let service = Remote::new(WorkerEnds { up, down }, own, allowed.frame_len);
    let (number, workers, doors) = (0, vec![orders.clone()], vec![door]);
    let worker = Worker::new(Parts {
        service,
        number,
        workers,
        census,
        doors,
        tls,
        ordered,
        bounds,
        idle,
        spin,
    });
    let worker = worker.unwrap();
    let threads =
        vec![thread::spawn(|| kept.run().unwrap()), thread::spawn(|| worker.run().unwrap())];
    Served { address, panel: Panel::new(switch, vec![orders]), threads, most_in_one_call }
}

impl Served {
    fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(StdDuration::from_secs(20))).unwrap();
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"hello");
        // As a HELLO, the first frame is short.
        stream.write_all(&frame(0, 12)).unwrap();
        back(&mut stream, &frame(0, 12));
        stream
    }

    fn counters(&self) -> Counters {
        self.panel.ask().expect("it answers").counters
    }

    /// Waits until something is so.
    fn until(&self, what: &str, is_so: impl Fn(&Counters) -> bool) {
        let begun = StdInstant::now();
        while !is_so(&self.counters()) {
            assert!(begun.elapsed() < StdDuration::from_secs(20), "{what}: {:?}", self.counters());
            thread::sleep(StdDuration::from_millis(2));
        }
    }

    fn end(self) -> Counters {
        assert!(self.panel.leave(&stop(Duration::from_secs(5))));
        self.join()
    }

    fn join(self) -> Counters {
        Panel::sum(self.threads.into_iter().map(|thread| thread.join().unwrap()))
    }
}

fn stop(timeout: Duration) -> Ending {
    Ending { timeout, ..Ending::default() }
}

fn frame(kind: u8, len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..251).cycle().take(len).collect();
    frame[..4].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    frame[4] = kind;
    frame
}

fn back(stream: &mut TcpStream, frame: &[u8]) {
    let mut back = vec![0; frame.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == frame, "{} bytes came back otherwise", frame.len());
}

fn frames_come_back_whole_however_they_are_cut(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let frames = [frame(0, 12), frame(0, 13), frame(0, 5_000), frame(0, 300)].concat();
    for cut in [1, 7, 11, 12, 13, 24, 26, 4_999] {
        for part in frames.chunks(cut) {
            stream.write_all(part).unwrap();
            if cut < 20 && part.len() == cut {
                continue;
            }
            thread::sleep(StdDuration::from_millis(1));
        }
        back(&mut stream, &frames);
    }
    // Longer than the buffer that is shared, and with one behind it.
    let both = [frame(0, (5 << 20) + 17), frame(0, 99)].concat();
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn({
        let both = both.clone();
        move || writer.write_all(&both).unwrap()
    });
    back(&mut stream, &both);
    sender.join().unwrap();
    let kept = served.panel.ask().unwrap().partial_len;
    assert!(
        kept <= crate::limits::PARTIAL_KEPT_LEN as u64,
        "{kept} bytes are kept of a frame that is gone"
    );
    served.end();
}

fn many_small_frames_are_taken_in_few_calls(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let frames = frame(0, 20).repeat(5_000);
    stream.write_all(&frames).unwrap();
    back(&mut stream, &frames);
    let counters = served.counters();
    assert!(counters.receives < 100, "{counters:?}");
    assert!(counters.sends < 100, "{counters:?}");
    assert!(served.most_in_one_call.load(Ordering::Relaxed) > 100);
    served.end();
}

fn who_does_not_read_is_not_read_and_others_are_served_meanwhile(start: Start) {
    let served = start(ALLOWED, None);
    let mut slow = served.connect();
    slow.set_write_timeout(Some(StdDuration::from_millis(500))).unwrap();
    // Each is answered with a hundred times more than both kernels keep for one who does not read.
    let request = frame(2, 8_192);
    let mut written = 0;
    let stopped = loop {
        match slow.write(&request[written % request.len()..]) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
        assert!(written < 64 << 20, "the worker reads from who does not read");
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(served.counters().blocked > 0);
    let mut other = served.connect();
    other.write_all(&frame(0, 100)).unwrap();
    back(&mut other, &frame(0, 100));
    // Everything that was asked for is answered once it is read.
    let whole = written / request.len();
    let rest = request[written % request.len()..].to_vec();
    let mut writer = slow.try_clone().unwrap();
    writer.set_write_timeout(None).unwrap();
    let sender = thread::spawn(move || writer.write_all(&rest).unwrap());
    for _ in 0..(whole + 1) * 1_000 {
        back(&mut slow, &request);
    }
    sender.join().unwrap();
    served.end();
}

fn last_words_are_read_although_more_was_sent(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let last = frame(1, 40);
    let mut bytes = last.clone();
    // What comes behind is on its way, and nobody will read it.
    bytes.resize(1 << 20, 0);
    stream.write_all(&bytes).unwrap();
    back(&mut stream, &last);
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "the end, and no reset");
    drop(stream);
    served.until("it is gone", |counters| counters.closed == 1);
    served.end();
}

fn who_has_sent_everything_still_gets_the_answers(start: Start) {
    let served = start(ALLOWED, None);
    let mut stream = served.connect();
    let frames = frame(0, 1_000).repeat(2_000);
    let mut writer = stream.try_clone().unwrap();
    let sent = frames.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    back(&mut stream, &frames);
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    sender.join().unwrap();
    served.until("it is gone", |counters| counters.closed == 1 && counters.closed_by_peer == 1);
    served.end();
}

fn one_too_many_is_refused_and_its_place_is_free_again_after_another_left(start: Start) {
    let served = start(Allowed { connections: 2, ..ALLOWED }, None);
    let (first, mut second) = (served.connect(), served.connect());
    for _ in 0..50 {
        let mut refused = TcpStream::connect(served.address).unwrap();
        refused.set_read_timeout(Some(StdDuration::from_secs(5))).unwrap();
        assert!(matches!(refused.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    second.write_all(&frame(0, 77)).unwrap();
    back(&mut second, &frame(0, 77));
    drop(first);
    served.until("one left", |counters| counters.closed == 1);
    let mut third = served.connect();
    third.write_all(&frame(0, 78)).unwrap();
    back(&mut third, &frame(0, 78));
    let counters = served.end();
    assert_eq!((counters.refused_full, counters.accepted), (50, 3));
}

fn one_address_does_not_take_the_places_of_all(start: Start) {
    let served = start(Allowed { connections_per_source: 3, ..ALLOWED }, None);
    let streams: Vec<_> = (0..3).map(|_| served.connect()).collect();
    let mut fourth = TcpStream::connect(served.address).unwrap();
    assert!(matches!(fourth.read(&mut [0; 8]), Ok(0) | Err(_)));
    served.until("it is counted", |counters| counters.refused_source == 1);
    drop(streams);
    served.until("they are gone", |counters| counters.closed == 3);
    served.connect();
    served.end();
}

fn partial_frames_are_bounded_together(start: Start) {
    let served = start(Allowed { partial_len: 1 << 20, ..ALLOWED }, None);
    let mut streams: Vec<_> = (0..4).map(|_| served.connect()).collect();
    for stream in &mut streams {
        // Some are closed while they write.
        stream.write_all(&frame(0, 4 << 20)[..700 << 10]).ok();
    }
    served.until("some are closed", |counters| counters.closed_partial_full >= 2);
    assert!(served.panel.ask().unwrap().partial_len <= 1 << 20);
    served.end();
}

fn who_hoards_half_frames_pays_for_it_and_nobody_else(start: Start) {
    let served = start(Allowed { partial_len: 2 << 20, connections: 16, ..ALLOWED }, None);
    let allowed_per_source = 8;
    let named = |node: usize| {
        let mut stream = served.connect();
        stream.write_all(&frame(3, 12 + node)).unwrap();
        back(&mut stream, &frame(3, 12 + node));
        stream
    };
    // Seven connections of one node fill the bound, none of them with much.
    let mut hoards: Vec<_> = (1..allowed_per_source).map(|_| named(1)).collect();
    let mut honest = named(2);
    for stream in &mut hoards {
        stream.write_all(&frame(0, 1 << 20)[..290 << 10]).unwrap();
    }
    let full = 7 * (290 << 10) - (64 << 10);
    let begun = StdInstant::now();
    while served.panel.ask().unwrap().partial_len < full {
        assert!(begun.elapsed() < StdDuration::from_secs(20));
        thread::sleep(StdDuration::from_millis(2));
    }
    // Another's frame is longer than each of them, and comes through all the same.
    let long = frame(0, 1 << 20);
    let mut writer = honest.try_clone().unwrap();
    let sender = thread::spawn(move || writer.write_all(&frame(0, 1 << 20)).unwrap());
    back(&mut honest, &long);
    sender.join().unwrap();
    let counters = served.counters();
    assert!((1..=6).contains(&counters.closed_partial_full), "{counters:?}");
    served.end();
}

fn a_half_frame_that_does_not_go_on_ends_its_connection_in_time(start: Start) {
    let partial = Duration::from_millis(200);
    let served = start(Allowed { partial, ..ALLOWED }, None);
    let (mut stuck, mut slow, mut idle) = (served.connect(), served.connect(), served.connect());
    stuck.write_all(&frame(0, 1 << 20)[..1_000]).unwrap();
    idle.write_all(&frame(0, 12)).unwrap();
    back(&mut idle, &frame(0, 12));
    // One that goes on, and takes longer than that in all.
    let long = frame(0, 2 << 20);
    for part in long.chunks(256 << 10) {
        slow.write_all(part).unwrap();
        thread::sleep(StdDuration::from_millis(90));
    }
    back(&mut slow, &long);
    assert!(matches!(stuck.read(&mut [0; 8]), Ok(0) | Err(_)));
    served.until("it is counted", |counters| counters.closed_partial_late == 1);
    idle.write_all(&frame(0, 13)).unwrap();
    back(&mut idle, &frame(0, 13));
    assert_eq!(served.panel.ask().unwrap().partial_len, 0);
    assert_eq!(served.end().closed_partial_late, 1);
}

fn one_frame_as_long_as_all_half_frames_may_be_comes_through(start: Start) {
    let (frame_len, partial_len) = (4 << 20, 4 << 20);
    let served = start(Allowed { frame_len, partial_len, ..ALLOWED }, None);
    let mut stream = served.connect();
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || writer.write_all(&frame(0, 4 << 20)).unwrap());
    back(&mut stream, &frame(0, 4 << 20));
    sender.join().unwrap();
    assert_eq!(served.end().closed_partial_full, 0);
}

#[test]
fn a_length_beyond_the_longest_ends_the_connection() {
    // A switch of another thread refuses it by its header.
    let start = alone;
    let served = start(Allowed { frame_len: 1 << 20, ..ALLOWED }, None);
    let mut stream = served.connect();
    stream.write_all(&frame(0, 2 << 20)[..100]).unwrap();
    assert!(matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_)));
    served.until("it is gone", |counters| counters.closed == 1);
    served.end();
}

fn everybody_is_told_of_the_end_and_the_worker_ends_when_they_have_heard(start: Start) {
    let served = start(ALLOWED, None);
    let mut streams: Vec<_> = (0..3).map(|_| served.connect()).collect();
    assert!(served.panel.leave(&stop(Duration::from_secs(10))));
    for stream in &mut streams {
        let mut last = Vec::new();
        stream.read_to_end(&mut last).unwrap();
        assert_eq!(last, b"bye");
    }
    let begun = StdInstant::now();
    drop(streams);
    let address = served.address;
    served.join();
    assert!(begun.elapsed() < StdDuration::from_secs(5), "nobody is left to wait for");
    assert!(TcpStream::connect(address).is_err());
}

fn who_never_reads_the_last_words_is_not_waited_for(start: Start) {
    let served = start(ALLOWED, None);
    let mut slow = served.connect();
    for _ in 0..20 {
        slow.write_all(&frame(2, 8_192)).unwrap();
    }
    served.until("it does not read", |counters| counters.blocked > 0);
    assert!(served.panel.leave(&stop(Duration::from_millis(200))));
    let begun = StdInstant::now();
    served.join();
    assert!(begun.elapsed() < StdDuration::from_secs(5));
}

fn a_worker_that_waits_does_not_turn(start: Start) {
    let served = start(ALLOWED, None);
    let _stream = served.connect();
    let before = served.counters().rounds;
    thread::sleep(StdDuration::from_millis(300));
    let rounds = served.counters().rounds - before;
    // The question itself is one of each thread, and the longest sleep another.
    assert!(rounds < 12, "{rounds} rounds in 300 ms of silence");
    served.end();
}

#[test]
fn one_that_comes_before_the_end_of_another_was_heard_is_refused_and_nobody_else_is() {
    // The keeper has heard of fewer ends than the census, which lets in eight.
    let served = kept_with(ALLOWED, 1, None);
    let mut first = served.connect();
    for _ in 0..3 {
        let mut refused = TcpStream::connect(served.address).unwrap();
        refused.set_read_timeout(Some(StdDuration::from_secs(5))).unwrap();
        refused.write_all(&frame(0, 12)).unwrap();
        assert!(matches!(refused.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    first.write_all(&frame(0, 77)).unwrap();
    back(&mut first, &frame(0, 77));
    drop(first);
    served.until("all are gone", |counters| counters.closed == 4);
    let mut next = served.connect();
    next.write_all(&frame(0, 78)).unwrap();
    back(&mut next, &frame(0, 78));
    assert_eq!(served.end().refused_full, 3);
}
