//! The rules as plainly as they can be said: maps and lists, nothing bounded, nothing fast.

use std::collections::{BTreeMap, BTreeSet};

use base::{Duration, Instant};
use protocol::shard_of;

use crate::connection::ConnId;

/// How long a silent session keeps its ports.
const EXCLUSION: Duration = Duration::from_secs(3);

/// In an answer: a sequence that was not seen yet.
pub(super) const UNSEEN: &str = "unseen";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Draining(u64),
    /// With what is answered to it.
    Over(&'static str),
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) node: String,
    pub(super) id: u32,
    pub(super) state: State,
    pub(super) receiver: Option<ConnId>,
    pub(super) sender: ConnId,
    renewed_at: (Instant, u64),
    pub(super) notice: u64,
    pub(super) is_noticed: bool,
    pub(super) is_lost: bool,
}

#[derive(Debug)]
pub(super) struct Port {
    pub(super) owner: usize,
    /// Not known as long as the grant has not been seen.
    pub(super) sequence: Option<u64>,
    subscribers: BTreeSet<usize>,
    waiters: Vec<usize>,
}

/// A notice that a session must get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notice {
    Gone(u64, String, &'static str),
    Granted(String),
    Flush,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) sessions: Vec<Session>,
    pub(super) ports: BTreeMap<String, Port>,
    /// The next sequence of each shard.
    pub(super) next: Vec<u64>,
    pub(super) renewals: u64,
    /// Grants that could not be told.
    pub(super) taken_back: u64,
    pub(super) notices: Vec<(usize, Notice)>,
    pub(super) messages: Vec<(usize, u64, String)>,
    /// Connections that are told why they end.
    pub(super) ended: Vec<(ConnId, String)>,
}

impl Rules {
    pub(super) fn begin(&mut self, node: &str, id: u32, receiver: ConnId, now: Instant) -> usize {
        if let Some(old) = self.live(node) {
            self.evict(old, 2);
        }
        self.sessions.push(Session {
            node: node.to_owned(),
            id,
            state: State::Live,
            receiver: Some(receiver),
            sender: receiver,
            renewed_at: (now, 0),
            notice: 1,
            is_noticed: false,
            is_lost: false,
        });
        let session = self.sessions.len() - 1;
        self.renew(session, now);
        session
    }

    pub(super) fn shards(&self) -> u8 {
        u8::try_from(self.next.len()).expect("few")
    }

    pub(super) fn shard_of(&self, name: &str) -> u8 {
        shard_of(name.as_bytes(), self.shards())
    }

    pub(super) fn live(&self, node: &str) -> Option<usize> {
        self.sessions.iter().position(|s| s.node == node && s.state == State::Live)
    }

    pub(super) fn renew(&mut self, session: usize, now: Instant) {
        self.renewals += 1;
        self.sessions[session].renewed_at = (now, self.renewals);
    }

    /// Ends every session that is silent for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let mut due: Vec<usize> = (0..self.sessions.len())
            .filter(|&at| !matches!(self.sessions[at].state, State::Over(_)))
            .filter(|&at| self.sessions[at].renewed_at.0 + EXCLUSION <= now)
            .collect();
        due.sort_by_key(|&at| self.sessions[at].renewed_at);
        let mut reasons = Vec::new();
        for &at in &due {
            let (reason, answer) = match self.sessions[at].state {
                State::Live => ("NodeLost", "error Lapsed 0 closes"),
                State::Draining(2) => ("Replaced", "error Evicted 2 closes"),
                State::Draining(_) => ("NodeLost", "error Evicted 3 closes"),
                State::Over(_) => continue,
            };
            self.forget_wishes(at);
            self.sessions[at].state = State::Over(answer);
            if let Some(conn) = self.sessions[at].receiver.take() {
                self.ended.push((conn, answer.to_owned()));
            }
            reasons.push((at, reason));
        }
        for (at, reason) in reasons {
            self.release_all(at, reason);
        }
    }

    pub(super) fn evict(&mut self, session: usize, number: u64) {
        self.forget_wishes(session);
        self.sessions[session].state = State::Draining(number);
        if let Some(conn) = self.sessions[session].receiver.take() {
            self.ended.push((conn, format!("error Evicted {number} closes")));
        }
        self.end_if_drained(session);
    }

    /// A live session ends itself.
    pub(super) fn end(&mut self, session: usize) {
        const ANSWER: &str = "error Ended 0 closes";
        self.forget_wishes(session);
        self.sessions[session].state = State::Over(ANSWER);
        if let Some(conn) = self.sessions[session].receiver.take() {
            self.ended.push((conn, ANSWER.to_owned()));
        }
        self.release_all(session, "Released");
    }

    pub(super) fn give_up(&mut self, session: usize) {
        for port in self.ports.values_mut() {
            port.waiters.retain(|&waiter| waiter != session);
        }
        self.release_all(session, "Released");
        self.end_if_drained(session);
    }

    pub(super) fn resume(&mut self, session: usize, conn: ConnId, now: Instant) -> String {
        self.renew(session, now);
        let before = self.sessions[session].receiver.replace(conn);
        if let Some(before) = before {
            self.ended.push((before, "error Evicted 1 closes".to_owned()));
        }
        let record = &mut self.sessions[session];
        let notice = record.notice;
        if record.is_noticed || record.is_lost {
            record.is_noticed = true;
            record.is_lost = false;
            record.notice += 1;
            self.unsubscribe_all(session);
            self.notices.push((session, Notice::Flush));
        }
        format!("wait_msg Resumed next {notice}")
    }

    pub(super) fn register(
        &mut self,
        session: usize,
        names: &[String],
        subscribe: bool,
        wait: bool,
    ) -> String {
        let (before, mut held) = (self.next.clone(), Vec::new());
        for (item, name) in names.iter().enumerate() {
            if self.ports.contains_key(name) {
                held.push((item, name));
                continue;
            }
            let shard = usize::from(self.shard_of(name));
            let next = &mut self.next[shard];
            let sequence = *next;
            *next += 1;
            self.grant(name, session, Some(sequence));
        }
        let mut text = "reg".to_owned();
        for (first, after) in before.iter().zip(&self.next).filter(|(first, after)| first < after) {
            text.push_str(&format!(" {first}*{}", after - first));
        }
        for (item, name) in held {
            let port = self.ports.get_mut(name).expect("it was held a moment ago");
            let owner = &self.sessions[port.owner];
            let mut followed = String::new();
            let code = if port.owner == session {
                "Mine"
            } else {
                if subscribe {
                    port.subscribers.insert(session);
                    let sequence = port.sequence.map_or(UNSEEN.to_owned(), |seen| seen.to_string());
                    followed = format!(" {sequence}");
                }
                if wait && !port.waiters.contains(&session) {
                    port.waiters.push(session);
                }
                match (wait, owner.state) {
                    (true, _) => "Waiting",
                    (false, State::Draining(_)) => "Draining",
                    (false, _) => "Held",
                }
            };
            text.push_str(&format!(" {item}:{code}({}{followed})", owner.node));
        }
        text
    }

    pub(super) fn unregister(&mut self, session: usize, items: &[(String, u64)]) -> String {
        let mut text = "unreg".to_owned();
        let mut released = Vec::new();
        for (item, (name, sequence)) in items.iter().enumerate() {
            let taken = released.contains(&name);
            let code = match self.ports.get(name) {
                _ if taken => "Free",
                None => "Free",
                Some(port) if port.owner != session => "NotMine",
                Some(port) if port.sequence != Some(*sequence) => "Stale",
                Some(_) => {
                    released.push(name);
                    continue;
                }
            };
            text.push_str(&format!(" {item}:{code}"));
        }
        for name in released {
            self.release(name, "Released");
        }
        if matches!(self.sessions[session].state, State::Draining(_)) {
            self.end_if_drained(session);
        }
        text
    }

    pub(super) fn query(&mut self, session: usize, names: &[String], subscribe: bool) -> String {
        let mut text = "query".to_owned();
        for name in names {
            let Some(port) = self.ports.get_mut(name) else {
                text.push_str(" free");
                continue;
            };
            if subscribe {
                port.subscribers.insert(session);
            }
            let sequence = port.sequence.expect("all grants were seen");
            text.push_str(&format!(" {sequence}@{}", self.sessions[port.owner].node));
        }
        text
    }

    pub(super) fn cancel(&mut self, session: usize, names: &[String]) -> String {
        let mut count = 0;
        for name in names {
            if let Some(port) = self.ports.get_mut(name) {
                let before = port.waiters.len();
                port.waiters.retain(|&waiter| waiter != session);
                count += before - port.waiters.len();
            }
        }
        format!("cancelled {count}")
    }

    pub(super) fn unsubscribe(&mut self, session: usize, names: &[String]) -> String {
        let ports = &mut self.ports;
        let is_removed = |name: &&String| {
            ports.get_mut(*name).is_some_and(|port| port.subscribers.remove(&session))
        };
        format!("unsubscribed {}", names.iter().filter(is_removed).count())
    }

    pub(super) fn send(&mut self, items: &[(String, String)]) -> String {
        let (mut delivered, mut nobody, mut dropped) = (0, 0, 0);
        for (name, blob) in items {
            let Some(port) = self.ports.get(name) else {
                nobody += 1;
                continue;
            };
            if self.sessions[port.owner].receiver.is_none() {
                dropped += 1;
                continue;
            }
            let sequence = port.sequence.expect("all grants were seen");
            self.messages.push((port.owner, sequence, blob.clone()));
            delivered += 1;
        }
        format!("sent {delivered} nobody {nobody} dropped {dropped}")
    }

    pub(super) fn held_by(&self, session: usize) -> Vec<(String, u64)> {
        let own = self.ports.iter().filter(|(_, port)| port.owner == session);
        own.map(|(name, port)| (name.clone(), port.sequence.expect("seen"))).collect()
    }

    fn grant(&mut self, name: &str, owner: usize, sequence: Option<u64>) {
        let (subscribers, waiters) = (BTreeSet::new(), Vec::new());
        self.ports.insert(name.to_owned(), Port { owner, sequence, subscribers, waiters });
    }

    fn release_all(&mut self, session: usize, reason: &'static str) {
        let names: Vec<_> = self.held_by(session).into_iter().map(|(name, _)| name).collect();
        for name in names {
            self.release(&name, reason);
        }
    }

    /// The port is free: its followers are told and the first who can be told of it has it.
    fn release(&mut self, name: &str, reason: &'static str) {
        let port = self.ports.remove(name).expect("it is held");
        let sequence = port.sequence.expect("all grants were seen");
        for &subscriber in &port.subscribers {
            let notice = Notice::Gone(sequence, name.to_owned(), reason);
            self.tell(subscriber, notice);
        }
        let mut waiters = port.waiters.into_iter();
        while let Some(waiter) = waiters.next() {
            let shard = self.shard_of(name);
            self.next[usize::from(shard)] += 1;
            if self.tell(waiter, Notice::Granted(name.to_owned())) {
                self.grant(name, waiter, None);
                let port = self.ports.get_mut(name).expect("granted");
                port.waiters = waiters.collect();
                return;
            }
            self.taken_back += 1;
        }
    }

    fn tell(&mut self, session: usize, notice: Notice) -> bool {
        let record = &mut self.sessions[session];
        if record.receiver.is_none() || record.is_lost {
            record.is_lost = true;
            self.unsubscribe_all(session);
            return false;
        }
        record.notice += 1;
        record.is_noticed = true;
        self.notices.push((session, notice));
        true
    }

    pub(super) fn unsubscribe_all(&mut self, session: usize) {
        for port in self.ports.values_mut() {
            port.subscribers.remove(&session);
        }
    }

    fn forget_wishes(&mut self, session: usize) {
        self.unsubscribe_all(session);
        for port in self.ports.values_mut() {
            port.waiters.retain(|&waiter| waiter != session);
        }
    }

    fn end_if_drained(&mut self, session: usize) {
        let State::Draining(number) = self.sessions[session].state else {
            return;
        };
        if self.ports.values().all(|port| port.owner != session) {
            let answer =
                if number == 2 { "error Evicted 2 closes" } else { "error Evicted 3 closes" };
            self.sessions[session].state = State::Over(answer);
        }
    }
}
