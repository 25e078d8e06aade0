//! Nobody goes on believing in an owner that was replaced: from what the switch said, under random
//! requests, deaths, resumptions, small queues and readers that stop.
//!
//! A belief begins with the answer to a query that subscribes. It ends with a notice of its grant
//! or a flush in the session's stream, or with the mark that a flush is owed. If the port has
//! another grant while the belief stands, somebody was told of that grant before the believer was
//! told of its end. To show that the check can fail, one notice in a few hundred is dropped.

use std::collections::BTreeMap;

use base::{Duration, Rng};
use protocol::{
    Answer, Framing, Hello, Holder, Incoming, IncomingBody, Limits, Push, RegisterFlags,
    RequestKind, SessionId,
};

use super::bed::{Bed, bare, config, hello, open_entry, query, reg, relet, unreg};
use crate::access::AccessEntry;
use crate::config::SwitchConfig;
use crate::connection::ConnId;
use crate::quota::Quota;
use crate::switch::notices::Forgets;
use crate::table::Port;

const NODES: [&str; 4] = ["a", "b", "c", "d"];
const STEPS: u32 = 40_000;

struct Believer {
    id: u32,
    receiver: Option<ConnId>,
    /// Bytes of the receiver's stream that were looked at.
    seen: usize,
    sender: ConnId,
    /// Beliefs of which it has not been told that they are wrong, by name.
    beliefs: BTreeMap<String, u64>,
}

struct History {
    bed: Bed,
    rng: Rng,
    names: Vec<String>,
    believers: Vec<Believer>,
    /// Beliefs that ended by a notice, by a flush.
    ends: [u64; 2],
}

/// What ended, or a belief that was left standing.
fn run(seed: u64, shards: u8, dropped_every: Option<u64>) -> Result<[u64; 2], String> {
    println!("ABELE_SEED={seed}, {shards} shards");
    let quota = Quota { queue_len_max: 300, ..Quota::default() };
    let access = vec![AccessEntry { quota, ..open_entry() }];
    let config = SwitchConfig { access, shards, connections_max: 1 << 18, ..config() };
    let mut bed = Bed::with(config);
    bed.switch.forgets = dropped_every.map(Forgets::Every);
    let names = (0..30).map(|number| format!("{number:0>700}")).collect();
    let rng = Rng::seeded(seed);
    let mut history = History { bed, rng, names, believers: Vec::new(), ends: [0; 2] };
    for node in 0..NODES.len() {
        let believer = history.join(node, 1);
        history.believers.push(believer);
    }
    for step in 0..STEPS {
        history.step();
        history.listen();
        history.judge().map_err(|fault| format!("step {step}: {fault}"))?;
    }
    Ok(history.ends)
}

impl History {
    fn connect(&mut self, node: usize, id: u32) -> ConnId {
        let mut session = [1; 16];
        session[..4].copy_from_slice(&id.to_le_bytes());
        let hello = Hello { session: SessionId(session), ..hello(NODES[node], 0) };
        self.bed.connect_as(hello)
    }

    fn join(&mut self, node: usize, id: u32) -> Believer {
        let receiver = self.connect(node, id);
        self.bed.say(receiver, |out| bare(out, RequestKind::WaitMsg));
        let sender = self.connect(node, id);
        let receiver = Some(receiver);
        Believer { id, receiver, seen: 0, sender, beliefs: BTreeMap::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("below a usize")
    }

    fn some_names(&mut self) -> Vec<String> {
        let count = 1 + self.below(8);
        let mut names = Vec::new();
        for _ in 0..count {
            let at = self.below(self.names.len());
            names.push(self.names[at].clone());
        }
        names
    }

    fn step(&mut self) {
        let node = self.below(NODES.len());
        match self.below(100) {
            0 => {
                let id = self.believers[node].id + 1;
                let later = self.join_later(node, id);
                self.believers[node] = later;
            }
            1..4 => self.break_off(node),
            4..12 => self.resume(node),
            12..14 => self.say(node, |out| bare(out, RequestKind::Yield)),
            14..24 => {
                self.bed.now += Duration::from_millis(self.rng.below(300));
                if self.below(2) == 0 {
                    self.bed.settle();
                }
            }
            24..40 => {
                if let Some(conn) = self.open_receiver(node) {
                    self.bed.say(conn, relet(1));
                }
            }
            40..46 => self.stop_or_go_on(node),
            46..66 => {
                let names = self.some_names();
                let wait = self.below(4) == 0;
                let texts: Vec<&str> = names.iter().map(String::as_str).collect();
                self.say(node, reg(&texts, RegisterFlags { subscribe: false, wait }));
            }
            66..80 => self.release(node),
            _ => self.ask(node),
        }
    }

    /// A newer session of the node; if it finds no room, the one that there is.
    fn join_later(&mut self, node: usize, id: u32) -> Believer {
        self.bed.settle();
        let is_full = self
            .bed
            .switch
            .sessions
            .node_named(NODES[node])
            .is_some_and(|index| !self.bed.switch.sessions.has_room(index));
        if is_full {
            self.bed.pass(4_000);
        }
        self.join(node, id)
    }

    fn break_off(&mut self, node: usize) {
        if let Some(conn) = self.open_receiver(node) {
            self.bed.break_off(conn);
        }
        self.believers[node].receiver = None;
    }

    fn resume(&mut self, node: usize) {
        let id = self.believers[node].id;
        let conn = self.connect(node, id);
        self.bed.say(conn, |out| bare(out, RequestKind::WaitMsg));
        if self.bed.clients[conn.0 as usize].is_closed {
            // The session is over, and with it all that it believed.
            self.believers[node] = self.join_later(node, id + 1);
            return;
        }
        let believer = &mut self.believers[node];
        (believer.receiver, believer.seen) = (Some(conn), 0);
    }

    fn open_receiver(&self, node: usize) -> Option<ConnId> {
        let conn = self.believers[node].receiver;
        conn.filter(|conn| !self.bed.clients[conn.0 as usize].is_closed)
    }

    fn stop_or_go_on(&mut self, node: usize) {
        let Some(conn) = self.open_receiver(node) else {
            return;
        };
        let client = &self.bed.clients[conn.0 as usize];
        if client.reads.is_some() {
            self.bed.resume_reading(conn)
        } else {
            self.bed.stop_reading(conn)
        }
    }

    /// Says something on the send connection, which is made anew if it was closed.
    fn say(&mut self, node: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Believer { sender, id, .. } = self.believers[node];
        self.bed.clients[sender.0 as usize].inbox.clear();
        self.bed.say(sender, write);
        if self.bed.clients[sender.0 as usize].is_closed {
            self.believers[node].sender = self.connect(node, id);
            self.believers[node].beliefs.clear();
        }
    }

    fn release(&mut self, node: usize) {
        let names = self.some_names();
        let held: Vec<(String, u64)> = names
            .iter()
            .filter_map(|name| Some((name.clone(), self.holder(name)?.sequence)))
            .collect();
        if !held.is_empty() {
            let items: Vec<_> = held.iter().map(|(name, at)| (name.as_str(), *at)).collect();
            self.say(node, unreg(&items));
        }
    }

    /// Queries with a subscription: what is answered is believed.
    fn ask(&mut self, node: usize) {
        let names = self.some_names();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let sender = self.believers[node].sender;
        self.say(node, query(&texts, true));
        // What was already on the way when the answer came does not end these beliefs.
        let bytes = self.bed.clients[sender.0 as usize].inbox.clone();
        self.listen();
        let Ok(Framing::Whole { frame, .. }) = Framing::find(&bytes, u32::MAX) else {
            return;
        };
        let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch writes frames");
        if let IncomingBody::Answer(Answer::QueryPort(answer)) = incoming.body {
            for (name, (sequence, holder)) in names.iter().zip(answer.iter()) {
                if matches!(holder, Holder::Owner(_)) {
                    self.believers[node].beliefs.insert(name.clone(), sequence.to_bits());
                }
            }
        }
        // A flush that is owed will end them too.
        self.forgive();
    }

    fn holder(&self, name: &str) -> Option<Port> {
        self.bed.switch.shards.holder(name.as_bytes())
    }

    /// Looks at what was put into the streams since the last time, read or not.
    fn listen(&mut self) {
        for node in 0..NODES.len() {
            let Some(conn) = self.believers[node].receiver else {
                continue;
            };
            let client = &self.bed.clients[conn.0 as usize];
            let mut stream = client.inbox.clone();
            if !client.is_closed {
                self.bed.switch.connections.at_mut(conn).outbox.peek(&mut stream);
            }
            let believer = &mut self.believers[node];
            let mut rest = &stream[believer.seen..];
            believer.seen = stream.len();
            while let Ok(Framing::Whole { frame, rest: behind, .. }) = Framing::find(rest, u32::MAX)
            {
                rest = behind;
                hear(frame, &mut believer.beliefs, &mut self.ends);
            }
            assert!(rest.is_empty(), "a stream is whole frames");
            if client.reads.is_none() && !client.is_closed {
                let client = &mut self.bed.clients[conn.0 as usize];
                believer.seen -= client.inbox.len();
                client.inbox.clear();
            }
        }
        self.forgive();
    }

    /// Whoever is owed a flush, or has no session any more, is owed no more.
    fn forgive(&mut self) {
        for (node, believer) in NODES.iter().zip(&mut self.believers) {
            let sessions = &self.bed.switch.sessions;
            let live = sessions.node_named(node).and_then(|node| sessions.live(node));
            let session = live.map(|live| sessions.session(live));
            let is_own = |id: &[u8; 16]| id[..4] == believer.id.to_le_bytes();
            match session.filter(|session| is_own(&session.id)) {
                Some(session) if session.lost.is_none() => {}
                Some(_) => {
                    self.ends[1] += believer.beliefs.len() as u64;
                    believer.beliefs.clear();
                }
                None => believer.beliefs.clear(),
            }
        }
    }

    fn judge(&self) -> Result<(), String> {
        for (node, believer) in NODES.iter().zip(&self.believers) {
            for (name, &believed) in &believer.beliefs {
                let holder = self.holder(name);
                if let Some(port) = holder.filter(|port| port.sequence != believed) {
                    let name = name.trim_start_matches('0');
                    let now = port.sequence;
                    return Err(format!("{node} believes {name} in {believed}, and it is {now}"));
                }
            }
        }
        Ok(())
    }
}

fn hear(frame: &[u8], beliefs: &mut BTreeMap<String, u64>, ends: &mut [u64; 2]) {
    let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch writes frames");
    match incoming.body {
        IncomingBody::Push(Push::PortGone(gone)) => {
            for item in gone.items {
                let name = str::from_utf8(item.name).expect("a text");
                if beliefs.get(name).is_some_and(|&believed| believed <= item.sequence.to_bits()) {
                    beliefs.remove(name);
                    ends[0] += 1;
                }
            }
        }
        IncomingBody::Push(Push::Flush(_)) => {
            ends[1] += beliefs.len() as u64;
            beliefs.clear();
        }
        IncomingBody::Push(_) | IncomingBody::Answer(_) | IncomingBody::Error(_) => {}
    }
}

#[test]
fn nobody_believes_in_an_owner_that_was_replaced_without_being_told() {
    for (seed, shards) in [(1, 1), (2, 2), (3, 5)] {
        let ends = run(seed, shards, None).unwrap_or_else(|fault| panic!("{fault}"));
        println!("{} beliefs ended by notices, {} by flushes", ends[0], ends[1]);
        assert!(ends.iter().all(|&count| count > 100), "{ends:?}");
    }
}

#[test]
fn a_switch_that_forgets_one_notice_in_fifty_is_found_out() {
    for shards in [1, 5] {
        let fault = run(4, shards, Some(50)).expect_err("notices were dropped");
        assert!(fault.contains("believes"), "{fault}");
    }
}
