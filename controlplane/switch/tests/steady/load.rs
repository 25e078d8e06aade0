//! Two nodes: one registers, queries and releases in batches, the other sends to its ports.

use base::{Duration, Instant};
use memory::PageChoice;
use protocol::{
    Batch, ClusterId, Epoch, Hello, Limits, Name, RegisterFlags, RequestKind, Role, SendItem,
    Sequence, SessionId, shard_of,
};
use switch::{
    AccessEntry, ConnId, Identity, NodePattern, Peer, Prefixes, Proof, Quota, Switch, SwitchConfig,
};

const LIMITS: Limits = Limits::DEFAULT;
/// The connection of the owner and its requests; the one of the sender.
const OWNER: ConnId = ConnId(0);
const SENDER: ConnId = ConnId(1);

/// The frames of a round, made once; only the sequences of a release change.
pub(crate) struct Load {
    pub(crate) switch: Switch,
    now: Instant,
    pub(crate) register: Vec<u8>,
    pub(crate) query: Vec<u8>,
    pub(crate) send: Vec<u8>,
    pub(crate) release: Vec<u8>,
    names: Vec<[u8; 16]>,
    /// The next grant of each shard.
    next: Vec<Sequence>,
    /// Those of the last registration.
    sequences: Vec<Sequence>,
}

fn open_entry() -> AccessEntry {
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

impl Load {
    /// Batches of so many names of 16 bytes, messages of so many bytes, and so many shards.
    pub(crate) fn new(items: u32, message_len: usize, shards: u8) -> Self {
        let identity = Identity {
            cluster: ClusterId([1; 16]),
            epoch: Epoch(1),
            map_version: 0,
            groups: 1,
            group: 0,
            name: "switch".to_owned(),
        };
        let config = SwitchConfig {
            shards,
            ports_planned: 1 << 18,
            ports_max: 1 << 20,
            access: vec![open_entry()],
            pages: PageChoice::Best,
            ..SwitchConfig::new()
        };
        let now = Instant::ZERO + Duration::from_secs(1);
        let switch = Switch::new(config, identity, [7; 32], now).expect("a proper switch");
        let names: Vec<[u8; 16]> = (0..items).map(name).collect();
        let blob = vec![b'm'; message_len];
        let (mut register, mut query, mut send) = (Vec::new(), Vec::new(), Vec::new());
        let mut batch = Batch::register(&mut register, 1, RegisterFlags::default(), &LIMITS);
        assert!(names.iter().all(|name| batch.push(Name(name))));
        batch.finish();
        let mut batch = Batch::query(&mut query, 2, false, &LIMITS);
        assert!(names.iter().all(|name| batch.push(Name(name))));
        batch.finish();
        let mut batch = Batch::send(&mut send, 3, &LIMITS);
        assert!(names.iter().all(|name| batch.push(SendItem { name, blob: &blob })));
        batch.finish();
        let next = (0..shards).map(|shard| Sequence::new(shard, 1)).collect();
        let (release, sequences) = (Vec::new(), Vec::new());
        let mut load = Self { switch, now, register, query, send, release, names, next, sequences };
        load.join(OWNER, "owner");
        load.join(SENDER, "sender");
        load
    }

    fn join(&mut self, conn: ConnId, node: &str) {
        let peer = Peer { is_loopback: true, ..Peer::default() };
        self.switch.handle_opened(conn, peer, self.now);
        let hello = Hello {
            version: 1,
            role: Role::Node,
            features: 0,
            cluster: ClusterId::ANY,
            epoch_seen: Epoch(0),
            session: SessionId([2; 16]),
            index: 0,
            generation: 0,
            map_version: 0,
            groups: 1,
            group: 0,
            node,
            address: "10.0.0.1:1",
        };
        let mut out = Vec::new();
        hello.write(&mut out, 1, None);
        protocol::write_bare(&mut out, RequestKind::WaitMsg, 2);
        assert_eq!(self.switch.handle_bytes(conn, &out, self.now), out.len());
        self.drain();
    }

    /// Registers, queries, sends to, and releases each name.
    pub(crate) fn round(&mut self) {
        self.register();
        self.query();
        self.send();
        self.release();
    }

    pub(crate) fn register(&mut self) {
        assert_eq!(self.switch.handle_bytes(OWNER, &self.register, self.now), self.register.len());
        self.drain();
        self.write_release();
    }

    pub(crate) fn query(&mut self) {
        assert_eq!(self.switch.handle_bytes(OWNER, &self.query, self.now), self.query.len());
        self.drain();
    }

    pub(crate) fn send(&mut self) {
        assert_eq!(self.switch.handle_bytes(SENDER, &self.send, self.now), self.send.len());
        self.drain();
    }

    pub(crate) fn release(&mut self) {
        assert_eq!(self.switch.handle_bytes(OWNER, &self.release, self.now), self.release.len());
        self.drain();
    }

    fn write_release(&mut self) {
        self.release.clear();
        let shards = u8::try_from(self.next.len()).expect("it was a byte");
        self.sequences.clear();
        self.sequences.extend(self.names.iter().map(|name| {
            let next = &mut self.next[usize::from(shard_of(name, shards))];
            std::mem::replace(next, next.after(1))
        }));
        let names = self.names.iter().map(<[u8; 16]>::as_slice);
        let items = self.sequences.iter().copied().zip(names);
        protocol::write_unregister(&mut self.release, 4, items, &LIMITS);
    }

    /// All that waits leaves.
    fn drain(&mut self) {
        while let Some(conn) = self.switch.next_dirty() {
            loop {
                let len = self.switch.outgoing(conn).len();
                if len == 0 {
                    break;
                }
                self.switch.handle_sent(conn, len, self.now);
            }
        }
    }
}

fn name(number: u32) -> [u8; 16] {
    let mut name = *b"port/0000000000 ";
    let mut rest = number;
    for digit in name[5..15].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
    }
    name
}
