//! Random conversations, and the comparison of what was said with what the rules say.

use base::{Duration, Rng};
use protocol::{
    Answer, Batch, Ends, Framing, Hello, Incoming, IncomingBody, Limits, Name, Push, RegisterFlags,
    RequestKind, SendItem, Sequence, SessionId,
};

use super::super::bed::{Bed, bare, bye, config, hello, open_entry, relet};
use super::super::shown::show;
use super::rules::{Notice, Rules, Session, State, UNSEEN};
use super::slow::{self, Slow};
use super::watched::Watcher;
use crate::config::SwitchConfig;
use crate::connection::ConnId;

/// The last of them reads slowly; see [`super::slow`].
const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "slow"];
/// Those that register, wait and send.
const OTHERS: usize = 5;
const NAMES: u64 = 60;
/// Names from here on are long, so that a few hundred notices of them fill a queue.
const LONG_FROM: u64 = 45;

pub(super) struct Run {
    pub(super) bed: Bed,
    pub(super) items: u64,
    rules: Rules,
    rng: Rng,
    ids: [u32; NODES.len()],
    pub(super) slow: Slow,
    watcher: Watcher,
}

/// What came on one connection.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) answers: Vec<String>,
    messages: Vec<(u64, String)>,
    pub(super) notices: Vec<(Notice, u64)>,
}

impl Run {
    pub(super) fn new(rng: Rng, shards: u8) -> Self {
        let access = vec![slow::entry(), open_entry()];
        let (connections_max, sessions_max) = (1 << 18, 64);
        let config = SwitchConfig { access, shards, connections_max, sessions_max, ..config() };
        let mut bed = Bed::with(config);
        let watcher = Watcher::begin(&mut bed);
        let next = (0..shards).map(|shard| Sequence::new(shard, 1).to_bits()).collect();
        let rules = Rules { next, ..Rules::default() };
        let (ids, slow) = ([0; NODES.len()], Slow::default());
        let mut run = Self { bed, items: 0, rules, rng, ids, slow, watcher };
        (0..NODES.len()).for_each(|node| run.begin(node));
        run
    }

    /// One random thing happens, and everything is compared.
    pub(super) fn step(&mut self) {
        let node = self.below(NODES.len());
        let what = match self.below(1_000) {
            // What fills the slow node's queue takes time in which it stays.
            0..64 if NODES[node] == slow::NODE && self.below(32) > 0 => 999,
            what => what,
        };
        match what {
            0..8 => self.begin(node),
            8..25 => self.go_away(node),
            25..57 => self.come_back(node),
            57..61 => self.drop_node(node),
            61..64 => self.say_bye(node),
            64..72 => self.give_up(node),
            72..90 => self.pass(1_200),
            90..258 => self.pass(120),
            258..260 => self.read_slowly(),
            260..420 => self.keep_alive(node),
            _ => self.request(node),
        }
        self.compare();
    }

    fn connect(&mut self, node: &str, id: u32) -> ConnId {
        let mut session = [1; 16];
        session[..4].copy_from_slice(&id.to_le_bytes());
        self.bed.connect_as(Hello { session: SessionId(session), ..hello(node, 0) })
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("below a usize")
    }

    fn names(&mut self) -> Vec<String> {
        let count = 1 + self.below(12);
        let names = (0..count).map(|_| name_of(self.rng.below(NAMES))).collect();
        self.items += count as u64;
        names
    }

    fn long_names(&mut self) -> Vec<String> {
        let names = NAMES - LONG_FROM;
        (0..6).map(|_| name_of(LONG_FROM + self.rng.below(names))).collect()
    }

    /// A new session of the node, which evicts the one before.
    fn begin(&mut self, node: usize) {
        let draining =
            |s: &&Session| s.node == NODES[node] && matches!(s.state, State::Draining(_));
        if self.rules.sessions.iter().filter(draining).count() == 8 {
            return;
        }
        self.ids[node] += 1;
        let id = self.ids[node];
        let receiver = self.connect(NODES[node], id);
        let session = self.rules.begin(NODES[node], id, receiver, self.bed.now);
        self.rules.sessions[session].sender = self.connect(NODES[node], id);
        self.bed.say(receiver, |out| bare(out, RequestKind::WaitMsg));
        self.expect_answer(receiver, "wait_msg New next 1");
        self.slow_down(session);
    }

    /// The slow node's receive connection is read no more, except now and then.
    fn slow_down(&mut self, session: usize) {
        let Session { ref node, receiver, .. } = self.rules.sessions[session];
        if node == slow::NODE
            && let Some(conn) = receiver
        {
            self.bed.stop_reading(conn);
        }
    }

    fn read_slowly(&mut self) {
        if let Some(session) = self.rules.live(slow::NODE) {
            let len = (self.below(4) > 0).then(|| self.below(3_000));
            self.slow.read((&mut self.bed, &mut self.rules), session, len);
        }
    }

    fn go_away(&mut self, node: usize) {
        if let Some(session) = self.rules.live(NODES[node])
            && let Some(conn) = self.rules.sessions[session].receiver.take()
        {
            self.slow.hear_unread((&mut self.bed, &self.rules), session, conn);
            self.bed.break_off(conn);
        }
    }

    fn come_back(&mut self, node: usize) {
        let Some(session) = self.rules.live(NODES[node]) else {
            return self.begin(node);
        };
        if let Some(before) = self.rules.sessions[session].receiver {
            self.slow.hear_unread((&mut self.bed, &self.rules), session, before);
        }
        let conn = self.connect(NODES[node], self.rules.sessions[session].id);
        let expected = self.rules.resume(session, conn, self.bed.now);
        self.bed.say(conn, |out| bare(out, RequestKind::WaitMsg));
        self.expect_answer(conn, &expected);
        self.slow_down(session);
    }

    fn drop_node(&mut self, node: usize) {
        let operator = self.bed.connect("operator", 0);
        let is_there = |s: &Session| s.node == NODES[node] && !matches!(s.state, State::Over(_));
        let expected = if self.rules.sessions.iter().any(is_there) { "Drains" } else { "None" };
        let answer = self.bed.ask(operator, |out| protocol::write_drop_node(out, 9, NODES[node]));
        assert_eq!(answer, format!("dropped {expected}"));
        if let Some(session) = self.rules.live(NODES[node]) {
            self.rules.evict(session, 3);
        }
        self.bed.break_off(operator);
    }

    fn give_up(&mut self, node: usize) {
        let session = self.some_session(node);
        if matches!(self.rules.sessions[session].state, State::Over(_)) {
            return;
        }
        let sender = self.rules.sessions[session].sender;
        assert_eq!(self.bed.ask(sender, |out| bare(out, RequestKind::Yield)), "yielded");
        self.rules.give_up(session);
    }

    /// A session ends itself, on a connection of its own.
    fn say_bye(&mut self, node: usize) {
        let session = self.some_session(node);
        let Session { id, state, .. } = self.rules.sessions[session];
        if matches!(state, State::Over(_)) {
            return;
        }
        let conn = self.connect(NODES[node], id);
        assert_eq!(self.bed.ask(conn, bye(Ends::Session)), "bye; closed");
        match state {
            State::Live => self.rules.end(session),
            State::Draining(_) | State::Over(_) => self.rules.give_up(session),
        }
    }

    fn pass(&mut self, ms_max: u64) {
        self.keep_alive(NODES.len() - 1);
        self.bed.now += Duration::from_millis(self.rng.below(ms_max));
        let (next, taken_back) = (self.rules.next.clone(), self.rules.taken_back);
        self.rules.expire(self.bed.now);
        let node = self.below(OTHERS);
        if self.below(2) == 0 || self.rules.taken_back > taken_back {
            return;
        }
        // A request comes before the switch is polled: what it is granted comes before what will
        // be passed on, and whoever waits comes first all the same.
        if let Some(session) = self.rules.live(NODES[node]) {
            let after = std::mem::replace(&mut self.rules.next, next.clone());
            self.register_as(session);
            for (now, (after, next)) in self.rules.next.iter_mut().zip(after.iter().zip(next)) {
                *now += after - next;
            }
        }
    }

    fn keep_alive(&mut self, node: usize) {
        let Some(session) = self.rules.live(NODES[node]) else {
            return;
        };
        if let Some(conn) = self.rules.sessions[session].receiver {
            self.bed.say(conn, relet(7));
            self.rules.renew(session, self.bed.now);
            if NODES[node] == slow::NODE {
                self.slow.relets += 1;
                return;
            }
            self.expect_answer(conn, "relet 7 3000");
        }
    }

    /// A live session mostly, else any of the node's.
    fn some_session(&mut self, node: usize) -> usize {
        let live = self.rules.live(NODES[node]);
        if let Some(session) = live.filter(|_| self.rng.below(4) > 0) {
            return session;
        }
        let of_node: Vec<_> = (0..self.rules.sessions.len())
            .filter(|&at| self.rules.sessions[at].node == NODES[node])
            .collect();
        of_node[of_node.len() - 1 - self.below(of_node.len().min(3))]
    }

    fn request(&mut self, node: usize) {
        if NODES[node] == slow::NODE {
            return self.subscribe_slowly(node);
        }
        match self.below(12) {
            0..4 => self.register(node),
            4..6 => self.unregister(node),
            6..8 => self.query(node),
            8 => self.unfollow(node),
            _ => self.send(node),
        }
    }

    fn register(&mut self, node: usize) {
        let session = self.some_session(node);
        self.register_as(session);
    }

    fn register_as(&mut self, session: usize) {
        let names = self.names();
        let (subscribe, wait) = (self.below(3) == 0, self.below(3) == 0);
        let flags = RegisterFlags { subscribe, wait };
        let write = |out: &mut Vec<u8>| fill(Batch::register(out, 9, flags, &LIMITS), &names);
        self.ask_as(session, false, write, |rules, session| {
            rules.register(session, &names, subscribe, wait)
        });
    }

    fn query(&mut self, node: usize) {
        let names = self.names();
        let subscribe = self.below(2) == 0;
        let write = |out: &mut Vec<u8>| fill(Batch::query(out, 9, subscribe, &LIMITS), &names);
        self.ask(node, write, |rules, session| rules.query(session, &names, subscribe));
    }

    fn subscribe_slowly(&mut self, node: usize) {
        let names = self.long_names();
        let write = |out: &mut Vec<u8>| fill(Batch::query(out, 9, true, &LIMITS), &names);
        self.ask(node, write, |rules, session| rules.query(session, &names, true));
    }

    fn unfollow(&mut self, node: usize) {
        let names = self.names();
        let session = self.some_session(node);
        // What a session subscribes to while a flush is owed to it is worth nothing, and goes
        // whenever that is convenient.
        if self.below(2) == 0 || self.rules.sessions[session].is_lost {
            let write = |out: &mut Vec<u8>| fill(Batch::cancel_wait(out, 9, &LIMITS), &names);
            self.ask_as(session, false, write, |rules, session| rules.cancel(session, &names));
        } else {
            let write = |out: &mut Vec<u8>| fill(Batch::unsubscribe(out, 9, &LIMITS), &names);
            self.ask_as(session, false, write, |rules, session| rules.unsubscribe(session, &names));
        }
    }

    fn unregister(&mut self, node: usize) {
        let session = self.some_session(node);
        let held = self.rules.held_by(session);
        let items: Vec<(String, u64)> = self
            .names()
            .into_iter()
            .map(|name| match self.below(8) {
                0 => {
                    let next = self.rules.next[usize::from(self.rules.shard_of(&name))];
                    let count = 1 + self.rng.below(Sequence::from_bits(next).count());
                    (name, Sequence::new(Sequence::from_bits(next).shard(), count).to_bits())
                }
                _ if held.is_empty() => (name, 1),
                1 => (held[self.below(held.len())].0.clone(), 1),
                _ => held[self.below(held.len())].clone(),
            })
            .collect();
        let write = |out: &mut Vec<u8>| {
            let items =
                items.iter().map(|(name, bits)| (Sequence::from_bits(*bits), name.as_bytes()));
            protocol::write_unregister(out, 9, items, &LIMITS);
        };
        self.ask_as(session, true, write, |rules, session| rules.unregister(session, &items));
    }

    fn send(&mut self, node: usize) {
        let items: Vec<_> = self
            .names()
            .into_iter()
            .map(|name| (name, format!("m{}", self.rng.below(1_000_000))))
            .collect();
        let write = |out: &mut Vec<u8>| {
            let mut batch = Batch::send(out, 9, &LIMITS);
            for (name, blob) in &items {
                assert!(batch.push(SendItem { name: name.as_bytes(), blob: blob.as_bytes() }));
            }
            batch.finish();
        };
        self.ask(node, write, |rules, _session| rules.send(&items));
    }

    fn ask(
        &mut self,
        node: usize,
        write: impl FnOnce(&mut Vec<u8>),
        answer: impl FnOnce(&mut Rules, usize) -> String,
    ) {
        let session = self.some_session(node);
        self.ask_as(session, false, write, answer);
    }

    fn ask_as(
        &mut self,
        session: usize,
        is_giving_back: bool,
        write: impl FnOnce(&mut Vec<u8>),
        answer: impl FnOnce(&mut Rules, usize) -> String,
    ) {
        let Session { state, sender, id, ref node, .. } = self.rules.sessions[session];
        let refusal = match state {
            State::Live => None,
            State::Draining(_) if is_giving_back => None,
            State::Draining(2) => Some("error Evicted 2 closes"),
            State::Draining(_) => Some("error Evicted 3 closes"),
            State::Over(answer) => Some(answer),
        };
        let node = node.clone();
        self.bed.say(sender, write);
        let expected = match refusal {
            Some(refusal) => {
                self.rules.ended.push((sender, refusal.to_owned()));
                self.compare();
                // Another connection of the ended session takes its place.
                self.rules.sessions[session].sender = self.connect(&node, id);
                return;
            }
            None => answer(&mut self.rules, session),
        };
        self.expect_answer(sender, &expected);
    }

    fn expect_answer(&mut self, conn: ConnId, expected: &str) {
        let lines = self.bed.clients[conn.0 as usize].inbox.clone();
        let heard = heard(&lines);
        assert_eq!(heard.answers.len(), 1, "{:?}", heard.answers);
        assert_eq!(seen(&heard.answers[0], expected), expected);
        let pushes_only = without_answers(&lines);
        self.bed.clients[conn.0 as usize].inbox = pushes_only;
    }

    /// Everything that was pushed, against what the rules say.
    fn compare(&mut self) {
        self.bed.settle();
        for (conn, expected) in std::mem::take(&mut self.rules.ended) {
            if self.bed.clients[conn.0 as usize].reads.is_some() {
                self.bed.resume_reading(conn);
                self.slow.forget();
            }
            let client = &mut self.bed.clients[conn.0 as usize];
            assert!(client.is_closed, "{conn:?} was to end with {expected}");
            let answers = heard(&std::mem::take(&mut client.inbox)).answers;
            assert_eq!(answers.last(), Some(&expected), "{conn:?}");
        }
        let (mut notices, mut messages) =
            (std::mem::take(&mut self.rules.notices), std::mem::take(&mut self.rules.messages));
        for index in 0..self.rules.sessions.len() {
            let Some(conn) = self.rules.sessions[index].receiver else {
                continue;
            };
            if self.bed.clients[conn.0 as usize].reads.is_some() {
                let told = notices.extract_if(.., |(session, _)| *session == index);
                let told = told.map(|(_, notice)| notice).collect();
                self.slow.expect((&self.bed.switch, &mut self.rules), index, told);
                continue;
            }
            let bytes = std::mem::take(&mut self.bed.clients[conn.0 as usize].inbox);
            let heard = heard(&bytes);
            assert!(heard.answers.is_empty(), "session {index}: {:?}", heard.answers);
            let mut expected: Vec<_> = messages
                .extract_if(.., |(session, ..)| *session == index)
                .map(|(_, sequence, blob)| (sequence, blob))
                .collect();
            // Those to one port come in their order; there is none between two ports.
            let mut heard_messages = heard.messages;
            heard_messages.sort_by_key(|(sequence, _)| *sequence);
            expected.sort_by_key(|(sequence, _)| *sequence);
            assert_eq!(heard_messages, expected, "session {index}");
            self.compare_notices(index, heard.notices, &mut notices);
        }
        // What is left was for connections that ended in the same step.
        notices.retain(|(session, _)| self.rules.sessions[*session].receiver.is_some());
        assert!(notices.is_empty(), "not told: {notices:?}");
        let unknown = self.rules.ports.iter().find(|(_, port)| port.sequence.is_none());
        assert!(unknown.is_none(), "not granted: {unknown:?}");
        self.watcher.compare(&mut self.bed, &self.rules);
    }

    fn compare_notices(
        &mut self,
        index: usize,
        heard: Vec<(Notice, u64)>,
        notices: &mut Vec<(usize, Notice)>,
    ) {
        let mut expected: Vec<_> = notices
            .extract_if(.., |(session, _)| *session == index)
            .map(|(_, notice)| notice)
            .collect();
        for (notice, sequence) in &heard {
            if let Notice::Granted(name) = notice {
                let next = self.rules.next[usize::from(self.rules.shard_of(name))];
                let port = self.rules.ports.get_mut(name).expect("a grant of what is held");
                assert_eq!((port.owner, port.sequence), (index, None), "{name}");
                assert!(*sequence < next, "{name}: {sequence} is not below {next}");
                port.sequence = Some(*sequence);
            }
        }
        let mut heard: Vec<_> = heard.into_iter().map(|(notice, _)| notice).collect();
        expected.sort();
        heard.sort();
        assert_eq!(heard, expected, "session {index}");
    }
}

/// An answer as the rules would have it: a sequence that they have not seen is not told.
fn seen(answer: &str, expected: &str) -> String {
    if !expected.contains(UNSEEN) {
        return answer.to_owned();
    }
    let words = answer.split(' ').zip(expected.split(' ').map(Some).chain(std::iter::repeat(None)));
    let words = words.map(|(word, expected)| match expected.and_then(|e| e.strip_prefix(UNSEEN)) {
        Some(end) if word.trim_end_matches(end).parse::<u64>().is_ok_and(|seen| seen > 0) => {
            format!("{UNSEEN}{end}")
        }
        Some(_) | None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

const LIMITS: Limits = Limits::DEFAULT;

fn name_of(number: u64) -> String {
    let len = if number < LONG_FROM { 0 } else { 900 };
    format!("name {number}{:-<len$}", "")
}

fn fill<'a>(mut batch: Batch<'_, Name<'a>>, names: &'a [String]) {
    for name in names {
        assert!(batch.push(Name(name.as_bytes())), "it fits");
    }
    batch.finish();
}

pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let Ok(Framing::Whole { frame, rest, .. }) = Framing::find(bytes, u32::MAX) else {
            assert!(bytes.is_empty(), "{} bytes are no frame", bytes.len());
            return None;
        };
        bytes = rest;
        Some(frame)
    })
}

fn is_answer(frame: &[u8]) -> bool {
    frame[4] >= 0x80
}

fn without_answers(bytes: &[u8]) -> Vec<u8> {
    frames(bytes).filter(|frame| !is_answer(frame)).flatten().copied().collect()
}

/// Reads a stream; notices must be numbered without a gap.
pub(super) fn heard(bytes: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let mut next = None;
    for frame in frames(bytes) {
        let incoming = Incoming::parse(frame, &LIMITS).expect("a switch writes frames");
        let push = match incoming.body {
            IncomingBody::Push(push) => push,
            IncomingBody::Answer(Answer::Welcome(_)) => continue,
            IncomingBody::Answer(_) | IncomingBody::Error(_) => {
                heard.answers.push(show(&incoming));
                continue;
            }
        };
        let mut number = |first: u64, count: u32| {
            assert!(next.is_none_or(|next| next == first), "notice {first} after {next:?}");
            next = Some(first + u64::from(count));
        };
        match push {
            Push::Messages(messages) => heard.messages.extend(messages.iter().map(|message| {
                let blob = String::from_utf8(message.blob.to_vec()).expect("a text");
                (message.sequence.to_bits(), blob)
            })),
            Push::Grant(grant) => {
                number(grant.notice, grant.items.len());
                heard.notices.extend(grant.items.iter().map(|item| {
                    let name = String::from_utf8(item.name.to_vec()).expect("a text");
                    (Notice::Granted(name), item.sequence.to_bits())
                }));
            }
            Push::PortGone(gone) => {
                number(gone.notice, gone.items.len());
                heard.notices.extend(gone.items.iter().map(|item| {
                    let name = String::from_utf8(item.name.to_vec()).expect("a text");
                    let reason = match item.reason {
                        protocol::GoneReason::Released => "Released",
                        protocol::GoneReason::NodeLost => "NodeLost",
                        protocol::GoneReason::Replaced => "Replaced",
                        other @ (protocol::GoneReason::Moved | protocol::GoneReason::Other(_)) => {
                            panic!("{other:?}")
                        }
                    };
                    (Notice::Gone(item.sequence.to_bits(), name, reason), 0)
                }));
            }
            Push::Flush(flush) => {
                number(flush.notice, 1);
                heard.notices.push((Notice::Flush, 0));
            }
            Push::Greeting(_) => {}
            Push::Leaving(_) | Push::Events(_) | Push::Unknown => panic!("nobody asked for it"),
        }
    }
    heard
}
