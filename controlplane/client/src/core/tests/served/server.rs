//! A real switch, and what it says is true.
//!
//! Truth is what an operator at a connection of its own is answered after each step, in no time.

use base::{Duration, Instant};
use memory::PageChoice;
use protocol::{
    Answer, Batch, ClusterId, Epoch, Framing, Hello, Holder, Incoming, IncomingBody, Limits, Name,
    Role, SessionId, Token,
};
use switch::{
    AccessEntry, ConnId, Counters, Identity, NodePattern, Peer, Prefixes, Proof, Quota, Switch,
    SwitchConfig,
};

use super::clock::Clock;

/// Connections of one switch.
pub(super) const CONNECTIONS_MAX: u32 = 4_096;
const OPERATOR: ConnId = ConnId(0);

/// One grant, from the step after which it was seen to the one after which it was no more.
#[derive(Clone, Debug)]
pub(super) struct Stay {
    pub(super) token: Token,
    pub(super) node: String,
    pub(super) address: String,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
}

impl Stay {
    /// Whether it lasted at any time after `since`.
    pub(super) fn lasted(&self, since: u64) -> bool {
        self.to.is_none_or(|to| to > since)
    }
}

/// What of a switch differs from seed to seed.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) lease: Duration,
    pub(super) drift_ppm: u32,
    pub(super) shards: u8,
    pub(super) quota: Quota,
}

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) switch: Option<Switch>,
    pub(super) epoch: Epoch,
    pub(super) clock: Clock,
    /// Rounds of any switch.
    pub(super) step: u64,
    pub(super) due: Option<Instant>,
    /// It does nothing before.
    pub(super) paused: Instant,
    /// There is none before.
    pub(super) down: Instant,
    /// The next switch has a lower epoch than one before it.
    pub(super) is_next_back: bool,
    /// Until when the present one has, if it has.
    pub(super) back: Option<Instant>,
    pub(super) history: Vec<Vec<Stay>>,
    shape: Shape,
    next_conn: u32,
    query: Vec<u8>,
    bulk: Vec<u8>,
    heard: Vec<u8>,
    /// What switches have counted that are gone.
    pub(super) past: Vec<Counters>,
    /// Of all switches there were.
    pub(super) epoch_max: Epoch,
    /// The number of the next one that is set back.
    set_back: u64,
}

/// From the epoch of one switch to that of the next that is not set back: between them are those of such
/// as are, each used once.
const EPOCHS: u64 = 1_000;

impl Server {
    /// A switch that is not there yet; `names` are watched, `bulk` are asked for when it is wanted.
    pub(super) fn new(shape: Shape, clock: Clock, names: &[String], bulk: &[String]) -> Self {
        let query = |names: &[String]| {
            let mut out = Vec::new();
            let mut batch = Batch::query(&mut out, 7, false, &Limits::DEFAULT);
            assert!(names.iter().all(|name| batch.push(Name(name.as_bytes()))), "they fit");
            batch.finish();
            out
        };
        Self {
            switch: None,
            epoch: Epoch(0),
            clock,
            step: 0,
            due: None,
            paused: Instant::ZERO,
            down: Instant::ZERO,
            is_next_back: false,
            back: None,
            epoch_max: Epoch(0),
            history: vec![Vec::new(); names.len()],
            shape,
            next_conn: 1,
            query: query(names),
            bulk: query(bulk),
            heard: Vec::new(),
            past: Vec::new(),
            set_back: 1,
        }
    }

    fn config(&self) -> SwitchConfig {
        let entry = AccessEntry {
            nodes: NodePattern::parse("*"),
            proof: Proof::Loopback,
            role: Role::Operator,
            register: Prefixes::any(),
            send: Prefixes::any(),
            query: Prefixes::any(),
            quota: self.shape.quota,
        };
        let config = SwitchConfig {
            lease: self.shape.lease,
            drift_ppm: self.shape.drift_ppm,
            shards: self.shape.shards,
            connections_max: CONNECTIONS_MAX,
            sessions_max: 64,
            ports_planned: 512,
            ports_max: 1 << 14,
            places_max: 4_096,
            access: vec![entry],
            pages: PageChoice::Base,
            ..SwitchConfig::new()
        };
        SwitchConfig { grace: config.exclusion(), ..config }
    }

    pub(super) fn exclusion(&self) -> Duration {
        self.config().exclusion()
    }

    /// A new switch of the next epoch, or of one that is over: its state is an old one.
    pub(super) fn start(&mut self, ahead: u64, now: Instant) {
        if self.back.is_some() {
            let reigns = self.epoch_max.0 / EPOCHS;
            self.epoch = Epoch(reigns.saturating_sub(ahead) * EPOCHS + self.set_back);
            self.set_back += 1;
            assert!(self.epoch < self.epoch_max, "{:?} is none before", self.epoch);
        } else {
            self.epoch = Epoch((self.epoch_max.0 / EPOCHS + ahead) * EPOCHS);
            self.epoch_max = self.epoch;
        }
        let identity = Identity {
            cluster: ClusterId([1; 16]),
            epoch: self.epoch,
            map_version: 0,
            groups: 1,
            group: 0,
            name: "switch-1".to_owned(),
        };
        let local = self.clock.read(now);
        let mut switch =
            Switch::new(self.config(), identity, [5; 32], local).expect("it is configured right");
        let peer = Peer { is_loopback: true, ..Peer::default() };
        switch.handle_opened(OPERATOR, peer, local);
        let hello = Hello {
            version: 1,
            role: Role::Operator,
            features: 0,
            cluster: ClusterId::ANY,
            epoch_seen: Epoch(0),
            session: SessionId::NONE,
            index: 0,
            generation: 0,
            map_version: 0,
            groups: 1,
            group: 0,
            node: "operator",
            address: "",
        };
        let mut out = Vec::new();
        hello.write(&mut out, 1, None);
        switch.handle_bytes(OPERATOR, &out, local);
        self.next_conn = 1;
        self.switch = Some(switch);
        self.poll(now);
        self.end_step();
    }

    /// It is killed; nobody is told.
    pub(super) fn kill(&mut self) {
        if let Some(switch) = self.switch.take() {
            self.past.push(switch.counters().clone());
        }
        self.due = None;
        self.step += 1;
        self.end_stays(|_index| None);
    }

    pub(super) fn open(&mut self, now: Instant) -> Option<ConnId> {
        let local = self.clock.read(now);
        let switch = self.switch.as_mut()?;
        let conn = ConnId(self.next_conn);
        assert!(conn.0 < CONNECTIONS_MAX, "the seed opens too many connections");
        self.next_conn += 1;
        let peer = Peer { is_loopback: true, ..Peer::default() };
        switch.handle_opened(conn, peer, local);
        Some(conn)
    }

    /// An operator drops a node.
    pub(super) fn drop_node(&mut self, node: &str, now: Instant) {
        let local = self.clock.read(now);
        if let Some(switch) = &mut self.switch {
            let mut out = Vec::new();
            protocol::write_drop_node(&mut out, 9, node);
            switch.handle_bytes(OPERATOR, &out, local);
        }
    }

    /// Does what is due.
    pub(super) fn poll(&mut self, now: Instant) {
        let local = self.clock.read(now);
        let Some(switch) = &mut self.switch else {
            return;
        };
        loop {
            let next = switch.poll(local);
            if next.is_none_or(|next| next > local) {
                self.due = next.map(|next| self.clock.when(next));
                return;
            }
        }
    }

    /// The next connection that has something to send. The operator's is not told of.
    pub(super) fn next_dirty(&mut self, now: Instant) -> Option<ConnId> {
        let local = self.clock.read(now);
        loop {
            let switch = self.switch.as_mut()?;
            let conn = switch.next_dirty()?;
            if conn != OPERATOR {
                return Some(conn);
            }
            while !switch.outgoing(OPERATOR).is_empty() {
                self.heard.extend_from_slice(switch.outgoing(OPERATOR));
                let len = switch.outgoing(OPERATOR).len();
                switch.handle_sent(OPERATOR, len, local);
            }
        }
    }

    /// A round is over, and everything has left that can: what is true now is asked for.
    pub(super) fn end_step(&mut self) {
        self.step += 1;
        let query = std::mem::take(&mut self.query);
        let holders = self.ask(&query);
        self.query = query;
        let epoch = self.epoch;
        self.end_stays(|index| {
            let (sequence, node, address) = holders.get(index)?.clone()?;
            Some((Token { epoch, sequence }, node, address))
        });
    }

    fn end_stays(&mut self, truth: impl Fn(usize) -> Option<(Token, String, String)>) {
        let step = self.step;
        for (index, stays) in self.history.iter_mut().enumerate() {
            let now = truth(index);
            let last = stays.last_mut().filter(|stay| stay.to.is_none());
            if last.as_ref().map(|stay| stay.token) == now.as_ref().map(|(token, ..)| *token) {
                continue;
            }
            if let Some(last) = last {
                last.to = Some(step);
            }
            if let Some((token, node, address)) = now {
                let before = stays.last().map(|stay| stay.token).unwrap_or_default();
                let is_later = token > before || self.back.is_some();
                assert!(is_later, "port {index}: {token} comes after {before}");
                stays.push(Stay { token, node, address, from: step, to: None });
            }
        }
    }

    /// Who holds the ports that are asked for only when it is wanted.
    pub(super) fn bulk(&mut self) -> Vec<Option<(protocol::Sequence, String, String)>> {
        let bulk = std::mem::take(&mut self.bulk);
        let holders = self.ask(&bulk);
        self.bulk = bulk;
        holders
    }

    fn ask(&mut self, query: &[u8]) -> Vec<Option<(protocol::Sequence, String, String)>> {
        let Some(switch) = &mut self.switch else {
            return Vec::new();
        };
        // An earlier instant is as good: what it was told last counts.
        switch.handle_bytes(OPERATOR, query, Instant::ZERO);
        let unheard = self.next_dirty(Instant::ZERO);
        assert!(unheard.is_none(), "{unheard:?} was not carried before");
        let heard = std::mem::take(&mut self.heard);
        let mut rest = &heard[..];
        let mut holders = Vec::new();
        while let Ok(Framing::Whole { frame, rest: after, .. }) = Framing::find(rest, u32::MAX) {
            rest = after;
            let incoming = Incoming::parse(frame, &Limits::DEFAULT).expect("a switch says it");
            let IncomingBody::Answer(Answer::QueryPort(answer)) = incoming.body else {
                continue;
            };
            let owners: Vec<_> = answer.owners.iter().collect();
            holders = answer
                .iter()
                .map(|(sequence, holder)| match holder {
                    Holder::Owner(index) => {
                        let owner = owners[usize::try_from(index).expect("an index")];
                        Some((sequence, owner.node.to_owned(), owner.address.to_owned()))
                    }
                    Holder::Free | Holder::Unknown => None,
                })
                .collect();
        }
        holders
    }

    /// Who holds a port now.
    pub(super) fn holder(&self, index: usize) -> Option<&Stay> {
        self.history[index].last().filter(|stay| stay.to.is_none())
    }

    /// Whether nobody held a port at some time after `since`.
    pub(super) fn was_free(&self, index: usize, since: u64) -> bool {
        // Between two grants of one round it may have been free, too.
        let ended = self.history[index].iter().any(|stay| stay.to.is_some_and(|to| to > since));
        ended || !self.history[index].iter().any(|stay| stay.from <= since && stay.lasted(since))
    }

    /// All counters, of every switch there was.
    pub(super) fn counted(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        let now = self.switch.as_ref().map(Switch::counters);
        self.past.iter().chain(now).map(of).sum()
    }
}
