//! No bytes, on no connection and at no time, make the switch panic or disturb anybody else.
//!
//! An input is a list of actions of two strangers: whole requests whose bytes are bent, bytes of any
//! kind, connections that break and come back, readers that stop, time. After each action a third
//! node, which does everything right, renews its lease, registers, is sent a message, and gives the
//! port back; every answer must be the one that it would get if it were alone.
#![forbid(unsafe_code)]

use base::{Duration, Instant};
use memory::PageChoice;
use protocol::{
    Batch, ClusterId, Ends, Epoch, Framing, Header, Hello, Incoming, IncomingBody, Limits,
    ListNodes, ListPorts, Name, Nonce, Push, RegisterFlags, RequestKind, Role, SendItem, Sequence,
    SessionId,
};
use switch::{
    AccessEntry, ConnId, Identity, NodePattern, Peer, Prefixes, Proof, Quota, Switch, SwitchConfig,
};

/// Actions of one input.
const ACTIONS_MAX: usize = 60;
const GOOD: ConnId = ConnId(0);
const STRANGERS: u8 = 2;
const SECRET: &[u8] = b"the good one's";

struct Bed {
    switch: Switch,
    now: Instant,
    /// What came on the good connection.
    heard: Vec<u8>,
    is_reading: [bool; STRANGERS as usize + 1],
    is_open: [bool; STRANGERS as usize + 1],
    granted: u64,
}

fn entry(nodes: &str, proof: Proof, register: &str) -> AccessEntry {
    AccessEntry {
        nodes: NodePattern::parse(nodes),
        proof,
        role: Role::Observer,
        register: Prefixes::new(vec![register.to_owned()]),
        send: Prefixes::any(),
        query: Prefixes::any(),
        quota: Quota { ports_max: 50, queue_len_max: 4_096, ..Quota::default() },
    }
}

fn config(shards: u8) -> SwitchConfig {
    SwitchConfig {
        shards,
        connections_max: 8,
        sessions_max: 16,
        ports_planned: 256,
        ports_max: 1 << 14,
        places_max: 64,
        limits: Limits::new(8_192, 100, 1_000).expect("proper limits"),
        access: vec![
            entry("good", Proof::Secret(SECRET.to_vec()), ""),
            entry("bad*", Proof::Loopback, "bad/"),
        ],
        pages: PageChoice::Base,
        ..SwitchConfig::new()
    }
}

fn hello<'a>(node: &'a str, session: u8) -> Hello<'a> {
    Hello {
        version: 1,
        role: Role::Node,
        features: 0,
        cluster: ClusterId::ANY,
        epoch_seen: Epoch(0),
        session: SessionId([session; 16]),
        index: 0,
        generation: 1,
        map_version: 0,
        groups: 1,
        group: 0,
        node,
        address: "x",
    }
}

impl Bed {
    fn new(shards: u8) -> Self {
        let identity = Identity {
            cluster: ClusterId([1; 16]),
            epoch: Epoch(1),
            map_version: 0,
            groups: 1,
            group: 0,
            name: "switch".to_owned(),
        };
        let now = Instant::ZERO + Duration::from_secs(60);
        let switch = Switch::new(config(shards), identity, [5; 32], now).expect("a proper switch");
        let mut bed = Self {
            switch,
            now,
            heard: Vec::new(),
            is_reading: [true; 3],
            is_open: [false; 3],
            granted: 0,
        };
        bed.open(GOOD);
        let nonce = bed.nonce();
        let mut out = Vec::new();
        hello("good", 1).write(&mut out, 1, Some((SECRET, &nonce)));
        protocol::write_bare(&mut out, RequestKind::WaitMsg, 2);
        bed.say(GOOD, &out);
        assert_eq!(bed.answers(), [0x81, 0x82]);
        bed
    }

    fn open(&mut self, conn: ConnId) {
        self.is_open[conn.0 as usize] = true;
        self.is_reading[conn.0 as usize] = true;
        let peer = Peer { is_loopback: conn != GOOD, ..Peer::default() };
        self.switch.handle_opened(conn, peer, self.now);
        self.carry();
    }

    fn say(&mut self, conn: ConnId, bytes: &[u8]) {
        let used = self.switch.handle_bytes(conn, bytes, self.now);
        assert!(used <= bytes.len(), "{used} of {}", bytes.len());
        self.carry();
    }

    fn carry(&mut self) {
        while let Some(conn) = self.switch.next_dirty() {
            self.carry_one(conn);
        }
    }

    fn carry_one(&mut self, conn: ConnId) {
        let index = conn.0 as usize;
        while self.is_open[index] && self.is_reading[index] {
            let outgoing = self.switch.outgoing(conn);
            if outgoing.is_empty() {
                if self.switch.is_closing(conn) {
                    assert!(conn != GOOD, "the good connection was closed");
                    self.is_open[index] = false;
                    self.switch.handle_closed(conn, self.now);
                }
                return;
            }
            if conn == GOOD {
                self.heard.extend_from_slice(outgoing);
            }
            let len = outgoing.len();
            self.switch.handle_sent(conn, len, self.now);
        }
    }

    fn nonce(&mut self) -> Nonce {
        let bytes = std::mem::take(&mut self.heard);
        let incoming = Incoming::parse(&bytes, &Limits::DEFAULT).expect("a greeting");
        let IncomingBody::Push(Push::Greeting(greeting)) = incoming.body else {
            panic!("no greeting");
        };
        greeting.nonce
    }

    /// The kinds of the frames that came on the good connection, broadcasts of others apart.
    fn answers(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.heard);
        let mut rest = bytes.as_slice();
        let mut kinds = Vec::new();
        while let Ok(Framing::Whole { header, frame, rest: behind }) = Framing::find(rest, 1 << 28)
        {
            let Header { kind, .. } = header;
            let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch's frame");
            rest = behind;
            if let IncomingBody::Answer(protocol::Answer::RegPort(reg)) = incoming.body {
                assert!(reg.failures.is_empty(), "the good port was refused");
                self.granted = reg.grants.iter().next().expect("one was granted").first.to_bits();
            }
            if let IncomingBody::Answer(protocol::Answer::UnregPort(unreg)) = incoming.body {
                assert!(unreg.failures.is_empty(), "the good port was not released");
            }
            if kind != 0x41 {
                kinds.push(kind);
            }
        }
        assert!(rest.is_empty(), "whole frames");
        kinds
    }

    /// All that the good node does.
    fn be_good(&mut self) {
        let mut out = Vec::new();
        protocol::write_relet(&mut out, 3, 3);
        let mut batch = Batch::register(&mut out, 4, RegisterFlags::default(), &Limits::DEFAULT);
        assert!(batch.push(Name(b"good/1")));
        batch.finish();
        self.say(GOOD, &out);
        assert_eq!(self.answers(), [0x83, 0x84]);
        out.clear();
        let sequence = Sequence::from_bits(self.granted);
        let items = [(sequence, &b"good/1"[..])];
        protocol::write_unregister(&mut out, 5, items.into_iter(), &Limits::DEFAULT);
        self.say(GOOD, &out);
        assert_eq!(self.answers(), [0x85]);
    }

    fn act(&mut self, input: &mut Input<'_>) {
        let stranger = ConnId(u32::from(1 + input.byte() % STRANGERS));
        let index = stranger.0 as usize;
        match input.byte() % 12 {
            0 => self.wait(input),
            1 if self.is_open[index] => {
                self.is_open[index] = false;
                self.switch.handle_closed(stranger, self.now);
                self.carry();
            }
            2 => self.is_reading[index] = false,
            3 => {
                self.is_reading[index] = true;
                if self.is_open[index] {
                    self.carry_one(stranger);
                }
            }
            _ => self.speak(stranger, input),
        }
    }

    fn wait(&mut self, input: &mut Input<'_>) {
        self.now += Duration::from_millis(u64::from(input.byte()) * 4);
        // The good node never waits for a whole lease.
        self.switch.poll(self.now);
        self.carry();
    }

    fn speak(&mut self, conn: ConnId, input: &mut Input<'_>) {
        if !self.is_open[conn.0 as usize] {
            self.open(conn);
            let mut out = Vec::new();
            let node = ["bad", "bad2", "good"][usize::from(input.byte() % 3)];
            let (session, place) = (input.byte() % 3, input.byte());
            // Some follow others, and some come too late.
            let (index, generation) = (u16::from(place & 1), u64::from(place >> 1));
            Hello { index, generation, ..hello(node, session) }.write(&mut out, 1, None);
            if !input.byte().is_multiple_of(4) {
                protocol::write_bare(&mut out, RequestKind::WaitMsg, 2);
            }
            bend(&mut out, input, 8);
            self.say(conn, &out);
            return;
        }
        let mut out = Vec::new();
        write_request(&mut out, input);
        bend(&mut out, input, 3);
        self.say(conn, &out);
    }
}

/// A request of any kind.
fn write_request(out: &mut Vec<u8>, input: &mut Input<'_>) {
    let kind = input.byte();
    let flags = RegisterFlags { subscribe: kind & 32 != 0, wait: kind & 64 != 0 };
    let texts = ["bad/1", "bad/2", "good/1", "bad/a longer name than sixteen bytes", "x"];
    let names: Vec<&str> =
        (0..1 + input.byte() % 6).map(|_| texts[usize::from(input.byte()) % texts.len()]).collect();
    let limits = Limits::DEFAULT;
    let fill = |mut batch: Batch<'_, Name<'_>>| {
        for name in &names {
            assert!(batch.push(Name(name.as_bytes())));
        }
        batch.finish();
    };
    match kind % 18 {
        0..4 => fill(Batch::register(out, 7, flags, &limits)),
        4 => fill(Batch::query(out, 7, flags.subscribe, &limits)),
        5 => fill(Batch::cancel_wait(out, 7, &limits)),
        6 => fill(Batch::unsubscribe(out, 7, &limits)),
        7 => fill(Batch::query_node(out, 7, &limits)),
        8 => fill(Batch::send_many(out, 7, b"to many", &limits)),
        9 => {
            let count = u64::from(input.byte());
            let items = names.iter().map(|name| (Sequence::new(0, count), name.as_bytes()));
            protocol::write_unregister(out, 7, items, &limits);
        }
        10 => {
            let mut batch = Batch::send(out, u32::from(input.byte() % 2), &limits);
            for name in &names {
                assert!(batch.push(SendItem { name: name.as_bytes(), blob: &[b'm'; 300] }));
            }
            batch.finish();
        }
        11 => protocol::write_broadcast(out, 7, b"to all"),
        12 if flags.subscribe => {
            let ends = if flags.wait { Ends::Session } else { Ends::Connection };
            protocol::write_bye(out, 7, ends);
        }
        12 => protocol::write_bare(out, RequestKind::Yield, 7),
        13 => protocol::write_bare(out, RequestKind::WaitMsg, 7),
        14 => protocol::write_relet(out, 7, 7),
        15 => {
            ListPorts { cursor: u64::from(input.byte()), count_max: 9, prefix: "b" }.write(out, 7)
        }
        16 => ListNodes { cursor: u64::from(input.byte()), count_max: 9 }.write(out, 7),
        _ => protocol::write_watch(out, 7, "bad"),
    }
}

/// Changes some of the bytes, cuts or adds some; mostly nothing.
fn bend(out: &mut Vec<u8>, input: &mut Input<'_>, one_in: u8) {
    if !input.byte().is_multiple_of(one_in) {
        return;
    }
    for _ in 0..=input.byte() % 3 {
        let at = usize::from(input.byte()) % out.len();
        match input.byte() % 4 {
            0 => out[at] = input.byte(),
            1 => out[at] ^= 1 << (input.byte() % 8),
            2 => out.truncate(at + 1),
            _ => out.insert(at, input.byte()),
        }
    }
}

/// Bytes that decide; zeros after the last.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }
}

fn check(bytes: &[u8]) {
    // Inputs of all lengths come, and so do switches of one shard and of several.
    let mut bed = Bed::new([1, 2, 5][bytes.len() % 3]);
    let mut input = Input(bytes);
    for _ in 0..ACTIONS_MAX {
        if input.0.is_empty() {
            break;
        }
        bed.act(&mut input);
        bed.be_good();
    }
}

#[test]
fn fuzz_switch() {
    bolero::check!().with_max_len(600).with_iterations(2_000).for_each(check);
}
