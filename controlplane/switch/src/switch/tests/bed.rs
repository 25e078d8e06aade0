//! A switch with clients that are nothing but buffers.

use std::collections::BTreeMap;

use base::{Duration, Instant};
use memory::PageChoice;
use protocol::{
    Batch, ClusterId, Ends, Epoch, Hello, Limits, Name, RegisterFlags, RequestKind, Role, SendItem,
    Sequence, SessionId,
};

use super::shown::show_all;
use crate::access::{AccessEntry, NodePattern, Peer, Prefixes, Proof};
use crate::config::{Identity, SwitchConfig};
use crate::connection::ConnId;
use crate::quota::Quota;
use crate::switch::Switch;

pub(super) const CLUSTER: ClusterId = ClusterId([7; 16]);

/// What the switch is in tests.
pub(super) fn identity() -> Identity {
    Identity {
        cluster: CLUSTER,
        epoch: Epoch(5),
        map_version: 0,
        groups: 1,
        group: 0,
        name: "switch-1".to_owned(),
    }
}

/// Whoever is on this machine may do everything.
pub(super) fn open_entry() -> AccessEntry {
    AccessEntry {
        nodes: NodePattern::parse("*"),
        proof: Proof::Loopback,
        role: Role::Operator,
        register: Prefixes::any(),
        send: Prefixes::any(),
        query: Prefixes::any(),
        quota: Quota::default(),
    }
}

/// Three seconds of lease, and clocks that do not drift: an exclusion of exactly three seconds.
pub(super) fn config() -> SwitchConfig {
    SwitchConfig {
        drift_ppm: 0,
        connections_max: 64,
        sessions_max: 32,
        ports_planned: 4_096,
        ports_max: 1 << 20,
        places_max: 4_096,
        access: vec![open_entry()],
        pages: PageChoice::Base,
        ..SwitchConfig::new()
    }
}

/// What a client says first.
pub(super) fn hello(node: &str, session: u8) -> Hello<'_> {
    Hello {
        version: 1,
        role: Role::Operator,
        features: 0,
        cluster: ClusterId::ANY,
        epoch_seen: Epoch(0),
        session: SessionId([session; 16]),
        index: 0,
        generation: 0,
        map_version: 0,
        groups: 1,
        group: 0,
        node,
        address: "",
    }
}

/// What a client has of its connection.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Bytes that came and were not looked at.
    pub(super) inbox: Vec<u8>,
    pub(super) is_closed: bool,
    /// Whoever ended it.
    is_gone: bool,
    /// Bytes that it takes in all before it stops; none: it reads for ever.
    pub(super) reads: Option<usize>,
}

pub(super) struct Bed {
    pub(super) switch: Switch,
    pub(super) now: Instant,
    pub(super) clients: Vec<Client>,
    /// The latest connection of each index of a session.
    pools: BTreeMap<(String, [u8; 16]), Vec<ConnId>>,
}

impl Bed {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: SwitchConfig) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1_000);
        let switch = Switch::new(config, identity(), [3; 32], now).expect("a proper configuration");
        Self { switch, now, clients: Vec::new(), pools: BTreeMap::new() }
    }

    /// Opens a connection, which is greeted.
    pub(super) fn open(&mut self) -> ConnId {
        let conn = ConnId(u32::try_from(self.clients.len()).expect("few"));
        self.clients.push(Client::default());
        let peer = Peer { is_loopback: true, ..Peer::default() };
        self.switch.handle_opened(conn, peer, self.now);
        self.pump();
        conn
    }

    /// Opens a connection of a node's session and lets it in.
    pub(super) fn connect(&mut self, node: &str, session: u8) -> ConnId {
        self.connect_as(hello(node, session))
    }

    /// Opens a connection and lets it in, at the first index of its session where there is none.
    pub(super) fn connect_as(&mut self, hello: Hello<'_>) -> ConnId {
        let conn = self.open();
        let pool = self.pools.entry((hello.node.to_owned(), hello.session.0)).or_default();
        let is_gone = |conn: &ConnId| self.clients[conn.0 as usize].is_gone;
        let index = pool.iter().position(is_gone).unwrap_or(pool.len());
        match pool.get_mut(index) {
            Some(latest) => *latest = conn,
            None => pool.push(conn),
        }
        let index = u16::try_from(index).expect("few at a time");
        let hello = Hello { index, generation: u64::from(conn.0), ..hello };
        self.say(conn, |out| hello.write(out, 1, None));
        let lines = self.heard(conn);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("welcome"), "{lines:?}");
        conn
    }

    /// A node's session with its receive connection.
    pub(super) fn receiver(&mut self, node: &str, session: u8) -> ConnId {
        let conn = self.connect(node, session);
        let answer = self.ask(conn, |out| bare(out, RequestKind::WaitMsg));
        assert!(answer.starts_with("wait_msg"), "{answer}");
        conn
    }

    /// Sends what `write` writes, all at once.
    pub(super) fn say(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        let used = self.switch.handle_bytes(conn, &bytes, self.now);
        assert_eq!(used, bytes.len(), "the switch left bytes of a whole frame");
        self.pump();
    }

    /// Sends a request and gives all that came since.
    pub(super) fn ask(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) -> String {
        self.say(conn, write);
        self.heard(conn).join("; ")
    }

    /// What came since the last time.
    pub(super) fn heard(&mut self, conn: ConnId) -> Vec<String> {
        let bytes = std::mem::take(&mut self.clients[conn.0 as usize].inbox);
        let mut lines = show_all(&bytes);
        if std::mem::take(&mut self.clients[conn.0 as usize].is_closed) {
            lines.push("closed".to_owned());
        }
        lines
    }

    /// Carries what the switch has to say, as far as clients read.
    pub(super) fn pump(&mut self) {
        while let Some(conn) = self.switch.next_dirty() {
            self.carry(conn);
        }
    }

    /// Carries what waits for one connection.
    pub(super) fn carry(&mut self, conn: ConnId) {
        loop {
            let client = &mut self.clients[conn.0 as usize];
            let outgoing = self.switch.outgoing(conn);
            let len = outgoing.len().min(client.reads.unwrap_or(usize::MAX));
            client.inbox.extend_from_slice(&outgoing[..len]);
            client.reads = client.reads.map(|reads| reads - len);
            let is_empty = outgoing.is_empty();
            if len > 0 {
                self.switch.handle_sent(conn, len, self.now);
                continue;
            }
            if is_empty && self.switch.is_closing(conn) {
                client.is_closed = true;
                client.is_gone = true;
                self.switch.handle_closed(conn, self.now);
            }
            return;
        }
    }

    /// The client reads again.
    pub(super) fn resume_reading(&mut self, conn: ConnId) {
        self.clients[conn.0 as usize].reads = None;
        self.carry(conn);
        self.pump();
    }

    /// The client reads nothing any more.
    pub(super) fn stop_reading(&mut self, conn: ConnId) {
        self.clients[conn.0 as usize].reads = Some(0);
    }

    /// The client's connection breaks.
    pub(super) fn break_off(&mut self, conn: ConnId) {
        self.switch.handle_closed(conn, self.now);
        self.clients[conn.0 as usize].is_gone = true;
        self.pump();
    }

    /// Time passes, and the switch is polled until it has nothing to do.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.settle();
    }

    /// The switch does all that is due now.
    pub(super) fn settle(&mut self) {
        while self.switch.poll(self.now).is_some_and(|next| next <= self.now) {
            self.pump();
        }
        self.pump();
    }
}

/// A request without a body.
pub(super) fn bare(out: &mut Vec<u8>, kind: RequestKind) {
    protocol::write_bare(out, kind, 9);
}

/// A `BYE`.
pub(super) fn bye(ends: Ends) -> impl FnOnce(&mut Vec<u8>) {
    move |out| protocol::write_bye(out, 9, ends)
}

pub(super) const PLAIN: RegisterFlags = RegisterFlags { subscribe: false, wait: false };
pub(super) const WAIT: RegisterFlags = RegisterFlags { subscribe: false, wait: true };
pub(super) const SUBSCRIBE: RegisterFlags = RegisterFlags { subscribe: true, wait: false };

fn fill<'a>(mut batch: Batch<'_, Name<'a>>, names: &[&'a str]) {
    for name in names {
        assert!(batch.push(Name(name.as_bytes())), "it fits");
    }
    assert_eq!(batch.finish() as usize, names.len());
}

pub(super) fn reg(names: &[&str], flags: RegisterFlags) -> impl FnOnce(&mut Vec<u8>) {
    move |out| fill(Batch::register(out, 9, flags, &Limits::DEFAULT), names)
}

pub(super) fn unreg(items: &[(&str, u64)]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| {
        let items = items.iter().map(|&(name, bits)| (Sequence::from_bits(bits), name.as_bytes()));
        protocol::write_unregister(out, 9, items, &Limits::DEFAULT);
    }
}

pub(super) fn query(names: &[&str], subscribe: bool) -> impl FnOnce(&mut Vec<u8>) {
    move |out| fill(Batch::query(out, 9, subscribe, &Limits::DEFAULT), names)
}

pub(super) fn cancel(names: &[&str]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| fill(Batch::cancel_wait(out, 9, &Limits::DEFAULT), names)
}

pub(super) fn unsubscribe(names: &[&str]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| fill(Batch::unsubscribe(out, 9, &Limits::DEFAULT), names)
}

pub(super) fn query_node(names: &[&str]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| fill(Batch::query_node(out, 9, &Limits::DEFAULT), names)
}

pub(super) fn send(items: &[(&str, &str)]) -> impl FnOnce(&mut Vec<u8>) {
    move |out| {
        let mut batch = Batch::send(out, 9, &Limits::DEFAULT);
        for (name, blob) in items {
            assert!(batch.push(SendItem { name: name.as_bytes(), blob: blob.as_bytes() }));
        }
        batch.finish();
    }
}

pub(super) fn send_many(names: &[&str], blob: &str) -> impl FnOnce(&mut Vec<u8>) {
    move |out| fill(Batch::send_many(out, 9, blob.as_bytes(), &Limits::DEFAULT), names)
}

pub(super) fn relet(number: u64) -> impl FnOnce(&mut Vec<u8>) {
    move |out| protocol::write_relet(out, 9, number)
}
