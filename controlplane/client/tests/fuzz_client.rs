//! No bytes, on no connection and at no time, make the client panic, or an owner of who is none.
//!
//! An input is a list of actions: calls of the application, answers to what the client has sent that
//! are right, late, of another kind or bent, pushes that nobody expects, connections that break, and
//! time. As long as no byte was bent, a port may be owned only until a lease after the last `RELET`
//! or `WAIT_MSG` left; and with whatever bytes, authority that was seen to end never comes back,
//! every call is answered once at most, and what waits has its bound.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::{Duration, Instant};
use client::core::{Action, ConnId, Core};
use client::{Config, Done, Entropy, Event, Grant, Registered, Trouble, limits};
use protocol::{
    ClusterId, Epoch, ErrorCode, ErrorFrame, Flush, FlushReason, Framing, Gone, GoneReason,
    Granted, Grants, Greeting, Holder, Leaving, LeavingReason, Limits, Message, Nonce, Owner,
    PushBuffer, RegisterCode, RegisterFailure, RegisterFlags, ReletAnswer, Request, RequestBody,
    RequestKind, Role, SendAnswer, Sequence, SessionId, SessionState, Token, WaitMsgAnswer,
    Welcome,
};

/// Actions of one input.
const ACTIONS_MAX: usize = 80;
const LEASE: Duration = Duration::from_millis(3_000);
/// Requests that the switch of the test has not answered.
const ASKED_MAX: usize = 32;
const NAMES: [&str; 5] = ["a", "b", "c", "a longer name than sixteen bytes", "local:x"];
const OTHER: Owner<'static> = Owner { node: "n2", address: "10.0.0.2:1" };
const OWN: Owner<'static> = Owner { node: "n1", address: "" };

struct Bed {
    core: Core,
    now: Instant,
    conns: BTreeSet<ConnId>,
    /// Whether who says hello is answered at once.
    is_polite: bool,
    /// What was sent and is not answered.
    asked: VecDeque<(ConnId, Vec<u8>)>,
    /// When the last renewal left.
    renewed: Instant,
    /// Whether a byte was not what a switch sends.
    is_bent: bool,
    grants: Vec<(Grant, bool)>,
    calls: BTreeMap<u64, bool>,
    given_up: BTreeSet<u64>,
    sequence: u64,
    notice: u64,
    epoch: u64,
}

impl Bed {
    fn new(input: &mut Input<'_>) -> Self {
        let config = Config {
            send_connections: 1 + input.byte() % 3,
            cache_entries: 2,
            ..Config::new("switch:7400", "n1")
        };
        let entropy = Entropy { session: SessionId([7; 16]), seed: u64::from(input.byte()) };
        let now = Instant::ZERO + Duration::from_secs(60);
        let mut bed = Self {
            core: Core::new(config, entropy).expect("it is right"),
            now,
            conns: BTreeSet::new(),
            is_polite: true,
            asked: VecDeque::new(),
            renewed: now,
            is_bent: false,
            grants: Vec::new(),
            calls: BTreeMap::new(),
            given_up: BTreeSet::new(),
            sequence: 0,
            notice: 1,
            epoch: 5,
        };
        for _round in 0..3 {
            bed.turn();
        }
        bed.hold(NAMES[0]);
        bed
    }

    /// Registers a port and grants it, as a switch does that has nothing else to do.
    fn hold(&mut self, name: &str) {
        let call = self.core.register(&[name], RegisterFlags::default(), self.now);
        self.calls.insert(call.expect("there is room"), false);
        self.turn();
        let (conn, frame) = self.asked.pop_back().expect("it was sent");
        let request = Request::parse(&frame, &Limits::DEFAULT).expect("it was right");
        let mut out = Vec::new();
        self.answer_to(&mut out, &request, &mut Input(&[]));
        self.core.handle_bytes(conn, &out, self.now);
        self.turn();
        assert_eq!(self.grants.len(), 1, "it is held");
    }

    /// Carries what the core wants, and looks at all that it says.
    fn turn(&mut self) {
        self.core.poll(self.now);
        while let Some(action) = self.core.next_action() {
            match action {
                Action::Connect { conn, .. } => {
                    self.conns.insert(conn);
                    self.core.handle_connected(conn);
                    let mut out = Vec::new();
                    self.greeting().write(&mut out);
                    self.core.handle_bytes(conn, &out, self.now);
                }
                Action::Close { conn, .. } => {
                    self.conns.remove(&conn);
                }
            }
        }
        for conn in self.conns.clone() {
            let bytes = self.core.outgoing(conn).to_vec();
            assert!(bytes.len() <= 2 * limits::OUTGOING_LEN_MAX, "{} bytes wait", bytes.len());
            self.core.handle_sent(conn, bytes.len());
            self.take_requests(conn, &bytes);
        }
        self.take_told();
        self.check();
    }

    fn take_requests(&mut self, conn: ConnId, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(Framing::Whole { frame, rest: after, .. }) = Framing::find(rest, u32::MAX) {
            rest = after;
            let request = Request::parse(frame, &Limits::DEFAULT).expect("what is sent is right");
            if let RequestBody::WaitMsg | RequestBody::Relet { .. } = request.body {
                self.renewed = self.now;
            }
            let is_hello = matches!(request.body, RequestBody::Hello(_) | RequestBody::WaitMsg);
            if is_hello && self.is_polite {
                let mut out = Vec::new();
                self.answer_to(&mut out, &request, &mut Input(&[]));
                self.core.handle_bytes(conn, &out, self.now);
                continue;
            }
            if self.asked.len() == ASKED_MAX {
                self.asked.pop_front();
            }
            self.asked.push_back((conn, frame.to_vec()));
        }
        assert!(rest.is_empty(), "what is sent is whole frames");
    }

    fn take_told(&mut self) {
        while let Some((call, done)) = self.core.next_done() {
            assert!(!self.given_up.contains(&call), "call {call} was given up: {done:?}");
            let is_done = self.calls.insert(call, true);
            assert_eq!(is_done, Some(false), "call {call} is answered once");
            let ports = if let Done::Registered(ports) = done { ports } else { Vec::new() };
            self.grants.extend(ports.into_iter().filter_map(granted));
        }
        while self.core.next_event().is_some() {}
        while let Some((call, event)) = self.core.next_waited() {
            assert!(!self.given_up.contains(&call), "call {call} was given up: {event:?}");
            if let Event::Granted(grant) = event {
                self.grants.push((grant, false));
            }
        }
    }

    fn check(&mut self) {
        for (grant, was_over) in &mut self.grants {
            let left = grant.authority().remaining(self.now);
            assert!(!*was_over || left == Duration::ZERO, "authority came back: {grant:?}");
            *was_over = left == Duration::ZERO;
            if !self.is_bent {
                let most = (self.renewed + LEASE).saturating_since(self.now);
                assert!(left <= most, "{left:?} are left of {most:?}: {grant:?}");
            }
        }
        assert!(self.core.cache_len() <= 2, "{} owners", self.core.cache_len());
    }

    fn greeting(&self) -> Greeting {
        Greeting {
            version_min: 1,
            version_max: 1,
            features: 0,
            cluster: ClusterId([1; 16]),
            epoch: Epoch(self.epoch),
            nonce: Nonce([9; 32]),
        }
    }

    fn act(&mut self, input: &mut Input<'_>) {
        match input.byte() % 12 {
            0 => self.now += Duration::from_millis(u64::from(input.byte()) * 8),
            1 => self.now += Duration::from_micros(60),
            2 => self.break_one(input),
            3 => self.push(input),
            4 if input.byte() % 8 == 7 => self.is_polite = !self.is_polite,
            4..=6 => self.call(input),
            _ => self.answer(input),
        }
        self.turn();
    }

    fn conn(&self, input: &mut Input<'_>) -> Option<ConnId> {
        let index = usize::from(input.byte()) % self.conns.len().max(1);
        self.conns.iter().nth(index).copied()
    }

    fn break_one(&mut self, input: &mut Input<'_>) {
        if let Some(conn) = self.conn(input) {
            self.conns.remove(&conn);
            let why = Trouble::Closed { endpoint: "switch:7400".to_owned() };
            self.core.handle_closed(conn, why, self.now);
        }
        // With a new master, sometimes.
        self.epoch += u64::from(input.byte() % 4 == 1);
    }

    fn call(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        let flags = RegisterFlags { subscribe: kind & 32 != 0, wait: kind & 64 != 0 };
        let count = 1 + usize::from(input.byte() % 3);
        let names: Vec<&str> =
            (0..count).map(|_| NAMES[usize::from(input.byte()) % NAMES.len()]).collect();
        let items: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b"blob"[..])).collect();
        let (core, now) = (&mut self.core, self.now);
        let call = match kind % 16 {
            0..4 => core.register(&names, flags, now),
            4 => core.query(&names, flags.subscribe, flags.wait, now),
            5 => core.query(&names, true, false, now),
            6 => return core.send(&items, now).unwrap_or(()),
            7 => core.send_counted(&items),
            8 => core.send_many(&names, b"to many"),
            9 => core.broadcast(b"to all"),
            10 => return core.cancel_wait(&names, now).unwrap_or(()),
            11 => return core.unsubscribe(&names, now).unwrap_or(()),
            12 => return self.let_go(input),
            13 => core.connect(),
            14 => core.status(),
            _ => core.query_node(&names),
        };
        if let Ok(call) = call {
            self.calls.insert(call, false);
        }
    }

    /// Gives a port back, or a call up.
    fn let_go(&mut self, input: &mut Input<'_>) {
        let which = usize::from(input.byte());
        // One whose answer came counts too: what it waits for comes later.
        if which.is_multiple_of(2)
            && let Some((&call, _is_done)) = self.calls.iter().nth(which % self.calls.len().max(1))
        {
            self.core.abandon(call, self.now);
            self.given_up.insert(call);
            return;
        }
        if self.grants.is_empty() {
            return;
        }
        let (grant, _) = self.grants.swap_remove(which % self.grants.len());
        let Token { .. } = grant.token;
        self.core.release(&grant.name, grant.token, self.now);
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        if self.asked.is_empty() {
            return;
        }
        let index = usize::from(input.byte()) % self.asked.len();
        let Some((conn, frame)) = self.asked.remove(index) else {
            return;
        };
        let request = Request::parse(&frame, &Limits::DEFAULT).expect("it was right");
        let mut out = Vec::new();
        if input.byte() % 8 == 7 {
            refuse(&mut out, request.header.id, input);
        } else {
            self.answer_to(&mut out, &request, input);
        }
        self.say(conn, out, input);
    }

    /// Bytes from the switch, in pieces and bent sometimes.
    fn say(&mut self, conn: ConnId, mut out: Vec<u8>, input: &mut Input<'_>) {
        self.is_bent |= bend(&mut out, input);
        let at = usize::from(input.byte()) % (out.len() + 1);
        let (first, second) = out.split_at(at);
        self.core.handle_bytes(conn, first, self.now);
        self.core.handle_bytes(conn, second, self.now);
    }

    fn answer_to(&mut self, out: &mut Vec<u8>, request: &Request<'_>, input: &mut Input<'_>) {
        let id = request.header.id;
        let sent = SendAnswer { delivered: 1, nobody: 0, dropped: 0 };
        match &request.body {
            RequestBody::Hello(_) => self.welcome(id, out),
            RequestBody::WaitMsg => {
                let states = [SessionState::New, SessionState::Resumed];
                let state = states[usize::from(input.byte() % 2)];
                WaitMsgAnswer { state, notice: self.notice }.write(out, id);
            }
            RequestBody::Relet { relet } => {
                let lease_ms = u32::try_from(LEASE.as_millis()).expect("it is short");
                ReletAnswer { relet: *relet, lease_ms }.write(out, id);
            }
            RequestBody::RegPort(port) => {
                let count = u32::try_from(port.names.texts().count()).expect("a few");
                self.grant_some(out, (id, count), port.flags.wait, input);
            }
            RequestBody::UnregPort(_) => protocol::write_unreg_port_answer(out, id, []),
            RequestBody::QueryPort(port) => {
                let holders = [Holder::Owner(0), Holder::Owner(1), Holder::Free, Holder::Unknown];
                let ports: Vec<(Sequence, Holder)> = port
                    .names
                    .texts()
                    .map(|_name| {
                        let holder = holders[usize::from(input.byte() % 4)];
                        (Sequence::new(0, self.sequence + 1), holder)
                    })
                    .collect();
                protocol::write_query_port_answer(out, id, [OTHER, OWN], &ports);
            }
            RequestBody::CancelWait(_) => protocol::write_cancel_wait_answer(out, id, 1),
            RequestBody::Unsubscribe(_) => protocol::write_unsubscribe_answer(out, id, 1),
            RequestBody::Send(_) => sent.write(out, RequestKind::Send, id),
            RequestBody::SendMany(_) => sent.write(out, RequestKind::SendMany, id),
            RequestBody::Broadcast(_) => sent.write(out, RequestKind::Broadcast, id),
            RequestBody::Yield => protocol::write_bare_answer(out, RequestKind::Yield, id),
            RequestBody::Bye { .. } => protocol::write_bare_answer(out, RequestKind::Bye, id),
            // An answer of another kind.
            RequestBody::QueryNode(_)
            | RequestBody::Ping
            | RequestBody::Status
            | RequestBody::ListNodes(_)
            | RequestBody::ListPorts(_)
            | RequestBody::DropNode { .. }
            | RequestBody::Watch { .. } => {
                protocol::write_bare_answer(out, RequestKind::Ping, id);
            }
        }
    }

    fn welcome(&self, id: u32, out: &mut Vec<u8>) {
        let welcome = Welcome {
            version: 1,
            role: Role::Node,
            shards: 1,
            features: 0,
            cluster: ClusterId([1; 16]),
            epoch: Epoch(self.epoch),
            map_version: 0,
            groups: 1,
            group: 0,
            lease_ms: u32::try_from(LEASE.as_millis()).expect("it is short"),
            exclusion_ms: 3_100,
            limits: Limits::DEFAULT,
            switch: "s1",
        };
        welcome.write(out, id);
    }

    fn grant_some(
        &mut self,
        out: &mut Vec<u8>,
        (id, count): (u32, u32),
        is_waiting: bool,
        input: &mut Input<'_>,
    ) {
        let codes = [RegisterCode::Held, RegisterCode::Mine, RegisterCode::Quota];
        let mut failures = Vec::new();
        for item in 0..count {
            let byte = input.byte();
            if byte % 2 == 1 {
                let code = codes[usize::from(byte / 2) % codes.len()];
                let code = if is_waiting && byte & 64 != 0 { RegisterCode::Waiting } else { code };
                let sequence = Sequence::new(0, u64::from(byte / 8));
                failures.push(RegisterFailure { item, code, owner: Some(0), sequence });
            }
        }
        let granted = count - u32::try_from(failures.len()).expect("a few");
        let first = Sequence::new(0, self.sequence + 1);
        self.sequence += u64::from(granted);
        let grants = [Grants { first, count: granted }];
        let grants = if granted == 0 { &grants[..0] } else { &grants[..] };
        protocol::write_reg_port_answer(out, id, grants, [OTHER], failures);
    }

    fn push(&mut self, input: &mut Input<'_>) {
        let Some(conn) = self.conn(input) else {
            return;
        };
        let name = NAMES[usize::from(input.byte()) % NAMES.len()].as_bytes();
        let kind = input.byte();
        // A count that is wrong sometimes.
        let notice = self.notice + u64::from(kind / 64 == 3);
        let old = Sequence::new(0, self.sequence.saturating_sub(u64::from(input.byte() % 4)));
        let mut push = PushBuffer::new(Limits::DEFAULT);
        match kind % 7 {
            0 => push.message(Message { sequence: old, blob: b"message" }),
            1 => push.message(Message { sequence: Sequence::NONE, blob: b"to all" }),
            2 => {
                self.sequence += 1;
                let sequence = Sequence::new(0, self.sequence);
                push.grant(notice, Granted { sequence, name });
            }
            3 => {
                let gone = Gone { reason: GoneReason::Released, sequence: old, name };
                push.port_gone(notice, gone);
            }
            4 => push.flush(Flush { notice, reason: FlushReason::Overflow }),
            5 => push.leaving(Leaving { reason: LeavingReason::Stopping, hint: "other:7400" }),
            _ => push.event(3, protocol::Event::MISSING),
        }
        if (2..=4).contains(&(kind % 7)) {
            self.notice = notice + 1;
        }
        let bytes = push.sealed().to_vec();
        self.say(conn, bytes, input);
    }
}

fn granted(port: Registered<Grant>) -> Option<(Grant, bool)> {
    match port {
        Registered::Granted(grant) => Some((grant, false)),
        Registered::Failed { .. } => None,
    }
}

fn refuse(out: &mut Vec<u8>, id: u32, input: &mut Input<'_>) {
    let codes = [
        ErrorCode::Grace,
        ErrorCode::Busy,
        ErrorCode::Quota,
        ErrorCode::NotMaster,
        ErrorCode::Lapsed,
        ErrorCode::Forbidden,
        ErrorCode::Leaving,
        ErrorCode::Evicted,
        ErrorCode::Ended,
    ];
    let code = codes[usize::from(input.byte()) % codes.len()];
    let closes = matches!(
        code,
        ErrorCode::NotMaster | ErrorCode::Lapsed | ErrorCode::Ended | ErrorCode::Leaving
    );
    let number = u64::from(input.byte());
    ErrorFrame { code, closes, number, hint: "other:7400", message: "no" }.write(out, id);
}

/// Changes some of the bytes, cuts or adds some; mostly nothing. `true`: something.
fn bend(out: &mut Vec<u8>, input: &mut Input<'_>) -> bool {
    if input.byte() % 16 != 15 || out.is_empty() {
        return false;
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
    true
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
    let mut input = Input(bytes);
    let mut bed = Bed::new(&mut input);
    for _ in 0..ACTIONS_MAX {
        if input.0.is_empty() {
            break;
        }
        bed.act(&mut input);
    }
    // Whatever was said, a lease later nothing is owned without a switch that answers.
    if !bed.is_bent {
        bed.now = bed.renewed + LEASE;
        bed.check();
        assert!(bed.grants.iter().all(|(_grant, is_over)| *is_over), "{:?}", bed.grants);
    }
}

#[test]
fn fuzz_client() {
    bolero::check!().with_max_len(600).with_iterations(2_000).for_each(check);
}
