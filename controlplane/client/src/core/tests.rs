//! Transcripts in virtual time: what the switch says, what the client must do, when.
#![expect(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

mod batches;
mod bounds;
mod known;
mod life;
mod messages;
mod outlived;
mod owners;
mod pool;
mod reach;
mod recovery;
mod served;
mod told;
mod waits;

use std::collections::BTreeMap;

use base::{Duration, Instant};
use protocol::{ClusterId, Epoch, ErrorCode, ErrorFrame, Framing, Grants, Greeting, Hello, Limits};
use protocol::{
    Nonce, PushBuffer, ReletAnswer, Request, RequestBody, Role, Sequence, SessionState,
};
use protocol::{WaitMsgAnswer, Welcome};

use super::{Action, ConnId, Core};
use crate::config::{Config, Entropy};
use crate::event::{Done, Event, Grant};
use crate::trouble::Trouble;

const SECRET: &[u8] = b"a secret of the cluster";
const NONCE: Nonce = Nonce([9; 32]);
const LEASE_MS: u32 = 3_000;
/// How long a silent session keeps its ports.
const EXCLUSION_MS: u32 = 3_100;

/// A core with a switch that says what the test lets it say.
struct Rig {
    core: Core,
    now: Instant,
    epoch: Epoch,
    cluster: ClusterId,
    /// The connections that are open, by place.
    conns: BTreeMap<usize, ConnId>,
    /// The latest generation of each place.
    generations: BTreeMap<usize, u64>,
    /// Whether a `WAIT_MSG` is answered.
    notice: u64,
    features: u64,
    lease_ms: u32,
    exclusion_ms: u32,
    state: SessionState,
}

/// What the core has sent, as text with its number.
type Sent = (u32, String);

impl Rig {
    fn new() -> Self {
        Self::with(|_config| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("switch:7400", "n1");
        config.secret = Some(SECRET.to_vec());
        change(&mut config);
        let entropy = Entropy { session: protocol::SessionId([7; 16]), seed: 1 };
        Self {
            core: Core::new(config, entropy).expect("it is right"),
            now: Instant::from_nanos(1_000_000_000),
            epoch: Epoch(5),
            cluster: ClusterId([1; 16]),
            conns: BTreeMap::new(),
            generations: BTreeMap::new(),
            notice: 1,
            features: 0,
            lease_ms: LEASE_MS,
            exclusion_ms: EXCLUSION_MS,
            state: SessionState::New,
        }
    }

    /// A core whose two connections are welcomed.
    fn connected() -> Self {
        let mut rig = Self::new();
        rig.connect();
        rig
    }

    fn at(&mut self, millis: u64) {
        self.now = Instant::from_nanos(1_000_000_000) + Duration::from_millis(millis);
    }

    /// Lets the core dial and answers each connection until all are ready.
    fn connect(&mut self) {
        for _round in 0..3 {
            self.core.poll(self.now);
            while let Some(action) = self.core.next_action() {
                match action {
                    Action::Connect { conn, .. } => self.welcome(conn),
                    Action::Close { .. } => {}
                }
            }
        }
        assert!(self.core.is_connected(), "{:?}", self.core.trouble());
    }

    /// The connection is there, and the switch says its first word.
    fn greet(&mut self, conn: ConnId) {
        self.core.handle_connected(conn);
        self.conns.insert(conn.slot, conn);
        let greeting = Greeting {
            version_min: 1,
            version_max: 1,
            features: self.features,
            cluster: self.cluster,
            epoch: self.epoch,
            nonce: NONCE,
        };
        let mut out = Vec::new();
        greeting.write(&mut out);
        self.core.handle_bytes(conn, &out, self.now);
    }

    fn welcome(&mut self, conn: ConnId) {
        self.greet(conn);
        let frames = self.frames(conn.slot);
        let mut out = Vec::new();
        for frame in &frames {
            let request = Request::parse(frame, &Limits::DEFAULT).expect("it is right");
            match request.body {
                RequestBody::Hello(hello) => {
                    assert!(hello.proves(SECRET, &NONCE));
                    assert_eq!(hello.hello.node, "n1");
                    self.note_place(conn, &hello.hello);
                    assert_eq!(hello.hello.features, self.features & protocol::WAITS_OUT);
                    self.welcome_frame(&mut out, request.header.id);
                }
                RequestBody::WaitMsg => {
                    let answer = WaitMsgAnswer { state: self.state, notice: self.notice };
                    answer.write(&mut out, request.header.id);
                }
                other => panic!("{other:?} before the welcome"),
            }
        }
        self.core.handle_bytes(conn, &out, self.now);
    }

    /// A connection follows all that there were of its place.
    fn note_place(&mut self, conn: ConnId, hello: &Hello<'_>) {
        assert_eq!(usize::from(hello.index), conn.slot);
        let before = self.generations.insert(conn.slot, hello.generation);
        assert!(before.is_none_or(|before| before < hello.generation), "{before:?}: {hello:?}");
    }

    fn welcome_frame(&self, out: &mut Vec<u8>, id: u32) {
        let welcome = Welcome {
            version: 1,
            role: Role::Node,
            shards: 1,
            features: self.features,
            cluster: self.cluster,
            epoch: self.epoch,
            map_version: 0,
            groups: 1,
            group: 0,
            lease_ms: self.lease_ms,
            exclusion_ms: self.exclusion_ms,
            limits: Limits::DEFAULT,
            switch: "s1",
        };
        welcome.write(out, id);
    }

    fn frames(&mut self, slot: usize) -> Vec<Vec<u8>> {
        let conn = self.conns[&slot];
        let bytes = self.core.outgoing(conn).to_vec();
        self.core.handle_sent(conn, bytes.len());
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Ok(Framing::Whole { frame, rest: after, .. }) = Framing::find(rest, u32::MAX) {
            frames.push(frame.to_vec());
            rest = after;
        }
        assert!(rest.is_empty(), "what is sent is whole frames");
        frames
    }

    /// Polls, and says what leaves on a connection.
    fn sent(&mut self, slot: usize) -> Vec<Sent> {
        self.core.poll(self.now);
        let frames = self.frames(slot);
        frames.iter().map(|frame| told(frame)).collect()
    }

    fn only(&mut self, slot: usize) -> Sent {
        let mut sent = self.sent(slot);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn hear(&mut self, slot: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.core.handle_bytes(self.conns[&slot], &out, self.now);
    }

    fn push(&mut self, write: impl FnOnce(&mut PushBuffer)) {
        let mut buffer = PushBuffer::new(Limits::DEFAULT);
        write(&mut buffer);
        let bytes = buffer.sealed().to_vec();
        self.hear(0, |out| out.extend_from_slice(&bytes));
    }

    /// Registers one port that is granted.
    fn hold(&mut self, name: &str, count: u64) -> Grant {
        self.core.register(&[name], Default::default(), self.now).expect("there is room");
        let (id, _text) = self.only(1);
        self.grant(id, count, 1);
        match self.done() {
            Done::Registered(mut ports) => match ports.pop() {
                Some(crate::event::Registered::Granted(grant)) => grant,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn grant(&mut self, id: u32, first: u64, count: u32) {
        let grants = [Grants { first: Sequence::new(0, first), count }];
        self.hear(1, |out| protocol::write_reg_port_answer(out, id, &grants, [], []));
    }

    fn relet(&mut self, id: u32) {
        let answer = ReletAnswer { relet: u64::from(id), lease_ms: LEASE_MS };
        self.hear(0, |out| answer.write(out, id));
    }

    fn error(&mut self, slot: usize, error: &ErrorFrame<'_>) {
        self.hear(slot, |out| error.write(out, 0));
    }

    /// A request is refused, and the connection stays.
    fn refuse(&mut self, slot: usize, id: u32, code: ErrorCode, number: u64) {
        let error = ErrorFrame { code, closes: false, number, hint: "", message: "no" };
        self.hear(slot, |out| error.write(out, id));
    }

    /// The endpoints that are dialled.
    fn dials(&mut self) -> Vec<(ConnId, String)> {
        self.core.poll(self.now);
        let mut dials = Vec::new();
        while let Some(action) = self.core.next_action() {
            if let Action::Connect { conn, endpoint } = action {
                dials.push((conn, endpoint.to_string()));
            }
        }
        dials
    }

    fn done(&mut self) -> Done<Grant> {
        self.core.next_done().expect("a call is answered").1
    }

    /// The events so far, by name.
    fn events(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(event) =
            self.core.next_event().or_else(|| self.core.next_waited().map(|(_call, event)| event))
        {
            names.push(match event {
                Event::Message { port, blob } => {
                    let port = port.map_or_else(|| "*".to_owned(), |(name, _)| name.to_string());
                    format!("message {port} {}", String::from_utf8_lossy(&blob))
                }
                Event::Granted(grant) => format!("granted {} {}", grant.name, grant.token),
                Event::Gone { name, token, .. } => format!("gone {name} {token}"),
                Event::NewEpoch { epoch, ports } => format!("epoch {} ports {ports}", epoch.0),
                Event::Lapsed { ports } => format!("lapsed ports {ports}"),
                Event::Connected { .. } => "connected".to_owned(),
                Event::Disconnected => "disconnected".to_owned(),
                Event::SubscriptionsLost => "subscriptions lost".to_owned(),
                Event::WaitFailed { name, .. } => format!("wait failed {name}"),
                Event::Watched { name, .. } => format!("watched {name}"),
            });
        }
        names
    }
}

fn broken() -> Trouble {
    Trouble::Broken { endpoint: "switch:7400".to_owned(), why: "reset".to_owned() }
}

/// A frame as text.
fn told(frame: &[u8]) -> Sent {
    let request = Request::parse(frame, &Limits::DEFAULT).expect("what is sent is right");
    let list = |names: protocol::Names<'_>| names.texts().collect::<Vec<_>>().join(",");
    let text = match request.body {
        RequestBody::RegPort(port) => {
            let wait = if port.flags.wait { " wait" } else { "" };
            format!("register {}{wait}", list(port.names))
        }
        RequestBody::UnregPort(port) => format!("unregister {}", list(port.names)),
        RequestBody::QueryPort(port) => {
            format!("query{} {}", if port.subscribe { " subscribe" } else { "" }, list(port.names))
        }
        RequestBody::Send(items) => format!("send {}", items.len()),
        RequestBody::Unsubscribe(names) => format!("unsubscribe {}", list(names)),
        RequestBody::CancelWait(names) => format!("cancel {}", list(names)),
        RequestBody::Relet { .. } => "relet".to_owned(),
        RequestBody::Yield => "yield".to_owned(),
        RequestBody::Bye { ends } => format!("bye {ends:?}"),
        RequestBody::Ping => "ping".to_owned(),
        RequestBody::Watch { prefix } => format!("watch {prefix}"),
        other => format!("{other:?}"),
    };
    (request.header.id, text)
}
