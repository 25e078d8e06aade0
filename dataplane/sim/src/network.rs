//! Hosts joined by wires, and the one clock that they share.
//!
//! There are two hosts on one wire; hosts lie in a list, and nothing but the making of the wire
//! knows how many there are.

use base::{Duration, Instant, Rng};
use engine::Engine;
use memory::FrameArena;
use nic::{FaultCounters, Impaired, MemQueue, QueuePair, mem};
use stack::{KeepAlive, ListenerOptions, Stack};

use crate::limits::{STEP_MOVING, STEP_STUCK};
use crate::plan::Plan;
use crate::player::Player;
use crate::run::Options;
use crate::scenario::Scenario;
use crate::settings::{self, MTU, Settings};
use crate::stream::mix;
use crate::tapped::Tapped;
use crate::trace;

/// What a host receives and sends by.
pub(crate) type Queue = Tapped<Impaired<MemQueue>>;

/// One host: a stack, and the service on it.
pub(crate) type Host = Engine<Queue, Player>;

/// The TCP port of a host's first listener; the others follow.
pub(crate) const PORT: u16 = 1_000;

/// Two hosts and the time.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) turns: u64,
    frames: FrameArena,
}

impl Network {
    pub(crate) fn new(
        seed: u64,
        scenario: Scenario,
        settings: &Settings,
        plans: &[Plan],
        options: &Options,
        rng: &mut Rng,
    ) -> Self {
        let frames = FrameArena::new(settings.frames, memory::PageChoice::Best)
            .expect("the geometry is right, and the machine has some megabytes");
        let (a, b) = mem::pair(settings.depth, MTU).expect("a power of two, and 1500 bytes");
        let mut hosts = Vec::new();
        for (host, queue) in [a, b].into_iter().enumerate() {
            let impairments = scenario.impairments(rng);
            let impaired = Impaired::new(queue, impairments).expect("drawn within the limits");
            let tapped = Tapped::new(impaired, options.trace_len);
            let config = stack::Config {
                tcp: settings.tcp[host].clone(),
                timers: 1_024,
                ..stack::Config::new(settings::ip_config(host))
            };
            let arena = frames.core().expect("the arena has two cores");
            let keys = settings::keys(rng);
            let mut stack = Stack::new(&config, tapped, arena, &keys, settings.start)
                .expect("the settings are within the limits");
            listen(&mut stack);
            let player = Player::new(host, seed, plans, options.sabotage);
            hosts.push(Engine::new(stack, player));
        }
        Self { now: settings.start, start: settings.start, hosts, turns: 0, frames }
    }

    /// Time since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// One turn of each host; then the clock moves: a little while packets do, else to the next
    /// deadline, but not past `until`.
    pub(crate) fn step(&mut self, until: Instant) {
        let sent_before = self.packets_sent();
        let (mut is_moving, mut is_stuck) = (false, false);
        for host in &mut self.hosts {
            let turn = host.turn(self.now);
            is_moving |= turn.received > 0;
            is_stuck |= turn.is_busy;
            self.turns += 1;
        }
        is_moving |= self.packets_sent() != sent_before;
        is_moving |= self.hosts.iter().any(|host| host.stack().queue().has_forged());
        self.now = if is_moving {
            self.now + STEP_MOVING
        } else {
            let deadline = self.hosts.iter().filter_map(Host::next_deadline).min();
            let stuck = is_stuck.then_some(self.now + STEP_STUCK);
            let next = deadline.into_iter().chain(stuck).fold(until, Instant::min);
            next.max(self.now + Duration::from_micros(1))
        };
    }

    /// Packets that stacks have sent, and those that have come out of a wire: these wait for the
    /// other host.
    fn packets_sent(&self) -> u64 {
        let queues = self.hosts.iter().map(|host| host.stack().queue());
        queues.map(|queue| queue.counts().sent + queue.counters().tx_packets).sum()
    }

    /// Lets nothing pass, or everything.
    pub(crate) fn set_cut(&mut self, is_cut: bool) {
        for host in &mut self.hosts {
            host.stack_mut().queue_mut().set_cut(is_cut);
        }
    }

    /// What the wires have done to the packets.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &FaultCounters> {
        self.hosts.iter().map(|host| host.stack().queue().inner().faults())
    }

    /// Of all that happened, in order: two runs of one seed have the same.
    pub(crate) fn hash(&self) -> u64 {
        let parts = self
            .hosts
            .iter()
            .flat_map(|host| [host.stack().queue().hash(), host.service().calls_hash()]);
        parts.fold(self.turns ^ self.now.as_nanos(), |hash, part| mix(hash.rotate_left(7) ^ part))
    }

    /// What was counted, and the last packets.
    pub(crate) fn trace(&self) -> String {
        let mut text = String::new();
        for (number, host) in self.hosts.iter().enumerate() {
            let core = host.stack().core();
            let rows = core.counters().iter().chain(core.tcp().counters().iter());
            let rows = rows.filter(|row| row.1 > 0).map(|(name, count)| format!("{name} {count}"));
            let rows: Vec<String> = rows.collect();
            text.push_str(&format!("  host {number} counted {}\n", rows.join(", ")));
        }
        text.push_str("  the last packets:\n");
        text + &trace::lines(self.hosts.iter().map(|host| host.stack().queue().trace()))
    }

    /// Takes everything down; says how many frames did not come back.
    pub(crate) fn dismantle(self) -> u32 {
        let total = self.frames.geometry().frames;
        let mut ends = Vec::new();
        for host in self.hosts {
            let (stack, _) = host.into_parts();
            let (queue, mut arena) = stack.into_parts();
            let mem = queue.into_inner().into_inner(&mut arena);
            ends.push((mem, arena));
        }
        // Both ends have stopped before either is drained.
        let (queues, mut arenas): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        for (queue, arena) in queues.into_iter().zip(&mut arenas) {
            queue.drain(arena);
        }
        let free: u32 = arenas.iter().map(memory::CoreArena::frames_free).sum();
        total - free - self.frames.frames_home()
    }
}

/// The listeners of a host: one without delay and with keep-alive, one after Nagle's algorithm,
/// and one of defaults.
fn listen(stack: &mut Stack<Queue>) {
    let keep_alive = Some(KeepAlive { idle_s: 20, interval_s: 3, probes_max: 14 });
    let base = ListenerOptions::default();
    let terms = [
        ListenerOptions { keep_alive, ..base },
        ListenerOptions { is_nodelay: false, keep_alive, ..base },
        base,
    ];
    for (port, options) in (PORT..).zip(terms) {
        stack.core_mut().listen(port, options).expect("the port is free");
    }
}
