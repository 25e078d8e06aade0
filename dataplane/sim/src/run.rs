//! One seed: its world is made, acted out to the end, and judged.

use base::{Duration, Instant, Rng};
use stack::ConnectError;

use crate::attack;
use crate::host::Host;
use crate::limits::{
    CONNECT_ATTEMPTS_MAX, REAP_AFTER, REST, RUN_MAX, TRACE_LEN, TURNS_MAX, VIOLATIONS_MAX,
};
use crate::network::{Network, PORT};
use crate::plan::{self, Plan};
use crate::player::{Side, Stage};
use crate::scenario::Scenario;
use crate::settings::{self, Settings};
use crate::verdict;

/// How a run is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Packets of each host that a violation shows.
    pub trace_len: usize,
    /// A fault of the service, to see that it is found.
    pub(crate) sabotage: Option<Sabotage>,
}

impl Default for Options {
    fn default() -> Self {
        Self { trace_len: TRACE_LEN, sabotage: None }
    }
}

/// What a service does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests break something on purpose"))]
pub(crate) enum Sabotage {
    /// It writes one wrong byte.
    WrongByte,
    /// It says that it has written its last piece, and has not.
    MissingTail,
    /// It keeps frames for ever.
    Leak,
    /// It stops reading and does not begin again.
    SleepyReader,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed that shows it.
    pub seed: u64,
    /// The scenario it shows it in.
    pub scenario: Scenario,
    /// What it is, and the last packets.
    pub message: String,
}

/// Faults that were injected, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Packets lost at random.
    pub loss: u64,
    /// Packets held back until others had overtaken them.
    pub reorder: u64,
    /// Packets sent twice.
    pub duplicate: u64,
    /// Packets with a flipped bit.
    pub corrupt: u64,
    /// Packets that a full queue dropped.
    pub overflow: u64,
    /// Packets that met a cut.
    pub cut: u64,
    /// Packets that nobody had sent.
    pub spoof: u64,
}

impl Faults {
    /// Each kind's name and count.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 7] {
        let Self { loss, reorder, duplicate, corrupt, overflow, cut, spoof } = *self;
        [
            ("loss", loss),
            ("reorder", reorder),
            ("duplicate", duplicate),
            ("corrupt", corrupt),
            ("overflow", overflow),
            ("cut", cut),
            ("spoof", spoof),
        ]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows().iter().map(|row| row.1).sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self { loss, reorder, duplicate, corrupt, overflow, cut, spoof } = *other;
        self.loss += loss;
        self.reorder += reorder;
        self.duplicate += duplicate;
        self.corrupt += corrupt;
        self.overflow += overflow;
        self.cut += cut;
        self.spoof += spoof;
    }

    fn of(network: &Network) -> Self {
        let mut faults = Self::default();
        for counters in network.faults() {
            faults.loss += counters.lost;
            faults.reorder += counters.reordered;
            faults.duplicate += counters.duplicated;
            faults.corrupt += counters.corrupted;
            faults.overflow += counters.link_dropped + counters.held_dropped;
        }
        for core in network.cores() {
            let counts = core.stack().queue().counts();
            faults.cut += counts.cut;
            faults.spoof += counts.forged;
        }
        faults
    }
}

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of every packet and every call: the same on every run of the seed.
    pub hash: u64,
    /// What was injected.
    pub faults: Faults,
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes that services received, each checked.
    pub bytes: u64,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Turns of both hosts.
    pub turns: u64,
    /// Packets that arrived at another core than their own.
    pub handed_over: u64,
    /// What must not be.
    pub violations: Vec<Violation>,
}

/// Runs one seed in `scenario`, or in the one that is its turn.
///
/// # Panics
/// Where the stack panics; the caller that runs many catches it.
#[must_use]
pub fn run(seed: u64, scenario: Option<Scenario>, options: &Options) -> Outcome {
    let scenario = scenario.unwrap_or_else(|| Scenario::of_seed(seed));
    let mut rng = Rng::seeded(seed);
    let settings = settings::draw(&mut rng, scenario);
    let plans = plan::draw(&mut rng, scenario);
    let network = Network::new(seed, scenario, &settings, &plans, options, &mut rng);
    let mut run = Run {
        scenario,
        network,
        settings,
        openings: plans.iter().map(|plan| Some((plan.open_at, 0))).collect(),
        plans,
        rng,
        strike_at: Duration::ZERO,
        complaints: Vec::new(),
    };
    run.act();
    run.finish(seed)
}

/// A run that is under way.
struct Run {
    scenario: Scenario,
    network: Network,
    settings: Settings,
    plans: Vec<Plan>,
    /// When each connection is to be opened, and how often that was tried; `None` once it is.
    openings: Vec<Option<(Duration, u32)>>,
    rng: Rng,
    /// When the next packets are forged.
    strike_at: Duration,
    complaints: Vec<String>,
}

impl Run {
    /// Goes on until all connections have ended and everything has come to rest.
    fn act(&mut self) {
        let mut rest_until: Option<Instant> = None;
        let end = self.network.start + RUN_MAX;
        while self.complaints.is_empty() {
            let wake = self.drive();
            let is_over = self.is_over();
            rest_until = is_over.then(|| rest_until.unwrap_or(self.network.now + REST));
            if rest_until.is_some_and(|until| self.network.now >= until) {
                return;
            }
            let until = rest_until.unwrap_or(end).min(wake.unwrap_or(end));
            self.network.step(until);
            self.collect();
            if self.network.now >= end {
                self.complaints.push("not at an end after 45 virtual minutes".to_owned());
            } else if self.network.turns > TURNS_MAX {
                self.complaints.push(format!("not at an end after {TURNS_MAX} turns"));
            }
        }
    }

    /// Does what is due from outside; says when there is more to be done.
    fn drive(&mut self) -> Option<Instant> {
        let elapsed = self.network.elapsed();
        let mut next: Option<Duration> = None;
        for place in 0..self.plans.len() {
            let Some((at, attempts)) = self.openings[place] else { continue };
            if at <= elapsed {
                self.open(place, attempts);
            }
            if let Some((at, _)) = self.openings[place] {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        let cuts = &self.settings.cuts;
        if !cuts.is_empty() {
            self.network.set_cut(cuts.iter().any(|&(from, to)| from <= elapsed && elapsed < to));
            let edges = cuts.iter().flat_map(|&(from, to)| [from, to]);
            next = edges.filter(|&edge| edge > elapsed).chain(next).min();
        }
        if self.scenario == Scenario::Spoof && !self.is_over() {
            if self.strike_at <= elapsed {
                attack::strike(&mut self.network, &mut self.rng);
                let pause = self.rng.below(40_000_000);
                self.strike_at = elapsed + Duration::from_nanos(1 + pause * self.rng.below(3));
            }
            next = Some(next.map_or(self.strike_at, |next| next.min(self.strike_at)));
        }
        if self.may_reap() {
            self.reap();
        }
        next.map(|after| self.network.start + after)
    }

    fn open(&mut self, place: usize, attempts: u32) {
        let plan = &self.plans[place];
        let id = u32::try_from(place).expect("few connections");
        let (opener, listener) = (plan.opener, plan.listener);
        let remote = (settings::address(1 - opener, plan.is_v6), PORT + listener);
        let from = settings::address(opener, plan.is_v6);
        let now = self.network.now;
        let host = &mut self.network.hosts[opener];
        match host.connect(now, id, remote) {
            Ok(port) => {
                for core in self.network.hosts[1 - opener].cores_mut() {
                    core.service_mut().expect((from, port), listener, id);
                }
                self.openings[place] = None;
            }
            Err(ConnectError::ResourceRecords)
                if self.scenario == Scenario::Tiny && attempts < CONNECT_ATTEMPTS_MAX =>
            {
                let pause = Duration::from_millis(1 + self.rng.below(2_000));
                self.openings[place] = Some((self.network.elapsed() + pause, attempts + 1));
            }
            Err(error) => {
                host.cores_mut()[0].service_mut().skip(id);
                self.openings[place] = None;
                if self.scenario != Scenario::Tiny {
                    self.complaints.push(format!("connection {id} was not opened: {error}"));
                }
            }
        }
    }

    /// Every connection was opened, and no service waits for anything.
    fn is_over(&self) -> bool {
        self.openings.iter().all(Option::is_none)
            && !self
                .network
                .cores()
                .any(|core| core.service().sides().any(|(_, side)| side.is_alive()))
    }

    /// A peer may vanish without a word only where words get lost, or where there is no room.
    fn may_reap(&self) -> bool {
        self.scenario.is_lossy() || self.scenario == Scenario::Tiny
    }

    /// Ends sides whose peers have been gone for long.
    fn reap(&mut self) {
        let now = self.network.now;
        let is_due = |side: &Side, peer: &Side| {
            side.stage == Stage::Open
                && peer.is_gone()
                && peer.ended_at.is_none_or(|at| now.saturating_since(at) > REAP_AFTER)
        };
        for host in 0..self.network.hosts.len() {
            let [own, other] = [host, 1 - host].map(|host| &self.network.hosts[host]);
            let pairs = own.sides().zip(other.sides());
            let due: Vec<u32> = pairs
                .filter(|((_, side), (_, peer))| is_due(side, peer))
                .map(|((id, _), _)| id)
                .collect();
            for id in due {
                let is_known = self.network.hosts[1 - host].side(id).ended_at.is_some();
                if is_known || self.network.elapsed() > Duration::from_secs(600) {
                    let host = &mut self.network.hosts[host];
                    host.with_context(now, id, |player, cx| player.reap(cx, id));
                }
            }
        }
    }

    fn collect(&mut self) {
        for core in self.network.hosts.iter_mut().flat_map(Host::cores_mut) {
            self.complaints.extend(core.service_mut().take_complaints());
        }
    }

    fn finish(mut self, seed: u64) -> Outcome {
        let has_ended = self.complaints.is_empty();
        self.complaints.extend(verdict::of_connections(&self.network, &self.plans, self.scenario));
        if has_ended {
            self.complaints.extend(verdict::of_rest(&self.network, self.scenario));
        }
        let faults = Faults::of(&self.network);
        let hash = self.network.hash();
        let players = || self.network.cores().map(|core| core.service());
        let bytes = players().map(|player| player.bytes_checked()).sum();
        let is_opened = |side: &Side| side.is_opener && side.conn.is_some();
        let opened = players().flat_map(|player| player.sides()).filter(|(_, s)| is_opened(s));
        let connections = opened.count() as u64;
        let (elapsed, turns) = (self.network.elapsed(), self.network.turns);
        let counters = self.network.cores().map(|core| core.stack().core().counters());
        let handed_over = counters.map(|counters| counters.rx_handed_over).sum();
        let trace = self.network.trace();
        let missing = self.network.dismantle();
        if has_ended && missing > 0 {
            self.complaints.push(format!("{missing} frames did not come back to the arena"));
        }
        let scenario = self.scenario;
        self.complaints.truncate(VIOLATIONS_MAX);
        let mut violations: Vec<Violation> = self
            .complaints
            .into_iter()
            .map(|message| Violation { seed, scenario, message })
            .collect();
        if let Some(last) = violations.last_mut() {
            last.message.push('\n');
            last.message.push_str(&trace);
        }
        Outcome { hash, faults, connections, bytes, elapsed, turns, handed_over, violations }
    }
}
