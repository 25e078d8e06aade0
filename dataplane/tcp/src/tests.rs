//! Two ends of TCP on one virtual wire: whole conversations, without IP and without a device.

mod close;
mod fuzzed;
mod listing;
mod open;
mod slow;
mod stream;
mod survive;

use std::collections::VecDeque;

use base::{Duration, Instant};
use memory::{CoreArena, Frame, FrameArena, FrameGeometry, PageChoice};
use wire::Address;
use wire::tcp::Repr;

use crate::{
    Arrival, CloseReason, Config, Conn, Cx, Due, Keys, ListenerOptions, Outcome, Outgoing, Reply,
    Tcp, Tuple,
};

/// A segment on the wire.
#[derive(Clone, Debug)]
struct Flying {
    repr: Repr,
    bytes: Vec<u8>,
}

/// One end, with a service that records what it is told.
struct End {
    tcp: Tcp,
    arena: CoreArena,
    address: Address,
    peer: Address,
    received: Vec<u8>,
    opened: Vec<Conn>,
    ended: Vec<(Conn, CloseReason)>,
    writable: usize,
    idle: Vec<Conn>,
    has_end: bool,
    /// Bytes that the service still takes; the rest stays in the backlog.
    appetite: usize,
}

/// Says whether the n-th segment is lost.
type Loss = Box<dyn FnMut(usize, &Flying) -> bool>;

struct Pair {
    now: Instant,
    a: End,
    b: End,
    to_a: VecDeque<Flying>,
    to_b: VecDeque<Flying>,
    /// Says whether a segment is lost: its number, counted over both directions.
    loses: Loss,
    sent: usize,
    log: Vec<String>,
}

const PORT: u16 = 80;

fn small() -> Config {
    Config {
        records: 64,
        extensions: 16,
        nodes: 2_048,
        half_open: 16,
        time_wait: 16,
        window_len: 64 * 1_024,
        send_len_max: 256 * 1_024,
        frames_free_min: 16,
        extensions_free_min: 2,
        pages: PageChoice::Base,
        ..Config::default()
    }
}

fn keys(seed: u8) -> Keys {
    Keys {
        index: [seed; 32],
        sequence: [seed + 1; 32],
        timestamp: [seed + 2; 32],
        port: [3; 32],
        cookie: [seed + 4; 16],
    }
}

impl End {
    fn new(config: Config, seed: u8, last: u8, peer: u8) -> Self {
        let geometry = FrameGeometry {
            frames: 2_048,
            frame_len: 2_048,
            headroom: 128,
            cores: 1,
            reserve_per_core: 8,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).unwrap().core().unwrap();
        let address = |host| Address::from(core::net::Ipv4Addr::new(10, 0, 0, host));
        Self {
            tcp: Tcp::new(config, &keys(seed), Instant::ZERO).unwrap(),
            arena,
            address: address(last),
            peer: address(peer),
            received: Vec::new(),
            opened: Vec::new(),
            ended: Vec::new(),
            writable: 0,
            idle: Vec::new(),
            has_end: false,
            appetite: usize::MAX,
        }
    }

    fn cx(&mut self, now: Instant) -> (&mut Tcp, Cx<'_>) {
        (&mut self.tcp, Cx { now, arena: &mut self.arena })
    }

    fn arrive(&mut self, now: Instant, flying: &Flying) -> Vec<Flying> {
        let tuple = Tuple {
            remote: self.peer,
            remote_port: flying.repr.src_port,
            local_port: flying.repr.dst_port,
            local: 0,
        };
        let mut frame = self.arena.allocate().expect("the tests keep frames free");
        self.arena.set_len(&mut frame, flying.bytes.len());
        self.arena.bytes_mut(&mut frame).copy_from_slice(&flying.bytes);
        let hash = self.tcp.flow_hash(&tuple);
        let arrival = Arrival { tuple, hash, hop: 0, repr: flying.repr };
        let (tcp, mut cx) = self.cx(now);
        let outcome = tcp.handle_segment(&mut cx, &arrival, frame);
        self.act(now, outcome)
    }

    /// What `stack` does with an outcome.
    fn act(&mut self, now: Instant, outcome: Outcome) -> Vec<Flying> {
        let Outcome {
            conn,
            opened,
            data,
            has_backlog,
            has_end,
            is_writable,
            has_progress: _,
            reply,
        } = outcome;
        if opened {
            self.opened.push(conn.expect("an opened connection has a handle"));
        }
        if let (Some(conn), Some(frame)) = (conn, data) {
            self.deliver(now, conn, frame);
        }
        if let Some(conn) = conn {
            if has_backlog {
                self.drain(now, conn);
            }
            if has_end {
                self.has_end |= self.tcp.take_end(conn);
            }
        }
        self.writable += usize::from(is_writable);
        reply.into_iter().map(|reply| Self::fly(&reply)).collect()
    }

    fn fly(reply: &Reply) -> Flying {
        Flying { repr: reply.repr, bytes: Vec::new() }
    }

    fn deliver(&mut self, now: Instant, conn: Conn, mut frame: Frame) -> bool {
        let taken = frame.len().min(self.appetite);
        self.appetite -= taken;
        self.received.extend_from_slice(&self.arena.bytes(&frame)[..taken]);
        frame.trim_front(taken);
        let is_done = frame.is_empty();
        let (tcp, mut cx) = self.cx(now);
        tcp.put_back(&mut cx, conn, frame);
        is_done
    }

    fn drain(&mut self, now: Instant, conn: Conn) {
        loop {
            let (tcp, mut cx) = self.cx(now);
            let Some(frame) = tcp.take_backlog(&mut cx, conn) else {
                break;
            };
            if !self.deliver(now, conn, frame) {
                break;
            }
        }
        let (tcp, cx) = self.cx(now);
        tcp.after_read(&cx, conn);
        self.has_end |= self.tcp.take_end(conn);
    }

    fn poll(&mut self, now: Instant) -> Vec<Flying> {
        let (mut out, mut idle) = (Vec::new(), Vec::new());
        let (tcp, mut cx) = self.cx(now);
        while let Some(due) = tcp.poll_due(&mut cx) {
            match due {
                Due::Reply(reply) => out.push(Self::fly(&reply)),
                Due::Idle(conn) => idle.push(conn),
                Due::Writable(_) | Due::Handled => {}
            }
        }
        self.idle.append(&mut idle);
        while let Some(dirty) = self.tcp.poll_dirty() {
            if dirty.has_offer {
                self.drain(now, dirty.conn);
            }
            loop {
                let (tcp, mut cx) = self.cx(now);
                let Some(outgoing) = tcp.poll_segment(&mut cx, dirty.conn) else {
                    break;
                };
                let Outgoing { repr, payload, .. } = outgoing;
                let bytes = payload
                    .map_or(Vec::new(), |payload| self.arena.stowed_bytes(payload.bytes).to_vec());
                out.push(Flying { repr, bytes });
            }
        }
        while let Some(ended) = self.tcp.poll_ended() {
            self.ended.push((ended.conn, ended.reason));
            self.tcp.release_ended();
        }
        out
    }
}

impl Pair {
    fn new() -> Self {
        Self::with(small(), small())
    }

    fn with(a: Config, b: Config) -> Self {
        let mut pair = Self {
            now: Instant::from_nanos(1_000_000_000),
            a: End::new(a, 10, 1, 2),
            b: End::new(b, 20, 2, 1),
            to_a: VecDeque::new(),
            to_b: VecDeque::new(),
            loses: Box::new(|_, _| false),
            sent: 0,
            log: Vec::new(),
        };
        pair.b.tcp.listen(PORT, ListenerOptions::default()).unwrap();
        pair
    }

    /// Opens a connection from `a` and runs the handshake.
    fn open(&mut self) -> (Conn, Conn) {
        let conn = self.connect();
        self.settle();
        let accepted = *self.b.opened.last().expect("the listener accepts");
        (conn, accepted)
    }

    fn connect(&mut self) -> Conn {
        let remote = self.b.address;
        let tuple = Tuple { remote, remote_port: PORT, local_port: 0, local: 0 };
        let now = self.now;
        let (tcp, mut cx) = self.a.cx(now);
        tcp.connect(&mut cx, tuple, 0, |_| true).expect("there is room")
    }

    fn fly(&mut self, from_a: bool, flying: Vec<Flying>) {
        for segment in flying {
            let Repr { seq, ack, flags, window, .. } = segment.repr;
            let name = if from_a { "a" } else { "b" };
            let len = segment.bytes.len();
            self.sent += 1;
            let is_lost = (self.loses)(self.sent, &segment);
            let mark = if is_lost { " LOST" } else { "" };
            self.log.push(format!(
                "{} {name}: {flags:?} seq {seq:?} ack {ack:?} len {len} win {window}{mark}",
                self.now
            ));
            if !is_lost {
                if from_a { &mut self.to_b } else { &mut self.to_a }.push_back(segment);
            }
        }
    }

    /// Delivers and answers until nothing moves, without letting time pass.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let now = self.now;
            let from_a = self.a.poll(now);
            let from_b = self.b.poll(now);
            self.fly(true, from_a);
            self.fly(false, from_b);
            if self.to_a.is_empty() && self.to_b.is_empty() {
                return;
            }
            while let Some(flying) = self.to_b.pop_front() {
                let replies = self.b.arrive(now, &flying);
                self.fly(false, replies);
            }
            while let Some(flying) = self.to_a.pop_front() {
                let replies = self.a.arrive(now, &flying);
                self.fly(true, replies);
            }
        }
        panic!("the ends never come to rest:\n{}", self.tail());
    }

    fn tail(&self) -> String {
        self.log[self.log.len().saturating_sub(40)..].join("\n")
    }

    /// Lets `duration` pass, stopping at every deadline.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            self.settle();
            let deadlines =
                [self.a.tcp.next_deadline(self.now), self.b.tcp.next_deadline(self.now)];
            let next = deadlines.into_iter().flatten().min().unwrap_or(until);
            if next >= until {
                break;
            }
            assert!(next > self.now, "a deadline has passed and is not served: {next}");
            self.now = next;
        }
        self.now = until;
        self.settle();
    }

    fn send(&mut self, from_a: bool, conn: Conn, bytes: &[u8]) -> usize {
        let now = self.now;
        let end = if from_a { &mut self.a } else { &mut self.b };
        let (tcp, mut cx) = end.cx(now);
        tcp.send(&mut cx, conn, bytes).expect("the connection takes data")
    }

    /// Everything is given back: what every test ends with.
    fn assert_clean(&mut self) {
        self.pass(Duration::from_secs(200));
        for (name, end) in [("a", &self.a), ("b", &self.b)] {
            let usage = end.tcp.usage();
            assert_eq!(usage, crate::Usage::default(), "{name} keeps something:\n{}", self.tail());
            assert_eq!(end.arena.frames_held(), 0, "{name} keeps frames");
        }
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap()).collect()
}
