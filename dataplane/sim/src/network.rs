//! Hosts joined by wires, and the one clock that they share.
//!
//! There are two hosts on one wire; hosts lie in a list, and nothing but the making of the wire
//! knows how many there are.

use base::{CoreId, Duration, Instant, Rng};
use engine::Engine;
use memory::{CoreArena, FrameArena};
use nic::{FaultCounters, Impaired, QueuePair};
use stack::{HandOver, KeepAlive, ListenerOptions, Owners, Stack, UserTimeout};

use crate::host::{Core, Host, Queue};
use crate::limits::{STEP_MOVING, STEP_STUCK};
use crate::plan::Plan;
use crate::player::Player;
use crate::run::Options;
use crate::scenario::Scenario;
use crate::settings::{self, MTU, Settings};
use crate::spread::Spread;
use crate::stream::mix;
use crate::tapped::Tapped;
use crate::trace;

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

/// What every core of a run is made from.
struct Making<'a> {
    seed: u64,
    scenario: Scenario,
    settings: &'a Settings,
    plans: &'a [Plan],
    options: &'a Options,
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
        let making = Making { seed, scenario, settings, plans, options };
        let wires = Spread::between(settings.cores, settings.depth, MTU, mix(seed));
        let mut hosts = Vec::new();
        for (host, wires) in wires.into_iter().enumerate() {
            let mut secret = Rng::seeded(mix(seed ^ 0x0e << host));
            let key = core::array::from_fn(|_| secret.next_u64().to_le_bytes()[0]);
            let count = u16::try_from(wires.len()).expect("a few cores");
            let ends = HandOver::between(&Owners::evenly(&key, count));
            let cores = ends.into_iter().zip(wires).map(|(end, wire)| {
                let arena = frames.core().expect("the arena has a part for each core");
                making.core(host, end, wire, arena, rng)
            });
            hosts.push(Host::new(cores.collect(), secret.next_u64()));
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
            for turn in host.turns(self.now) {
                is_moving |= turn.is_none_or(|turn| turn.received > 0);
                is_stuck |= turn.is_some_and(|turn| turn.is_busy);
                self.turns += 1;
            }
        }
        is_moving |= self.packets_sent() != sent_before;
        is_moving |= self.cores().any(|core| core.stack().queue().has_forged());
        self.now = if is_moving {
            self.now + STEP_MOVING
        } else {
            let deadline = self.cores().filter_map(Core::next_deadline).min();
            let stuck = is_stuck.then_some(self.now + STEP_STUCK);
            let next = deadline.into_iter().chain(stuck).fold(until, Instant::min);
            next.max(self.now + Duration::from_micros(1))
        };
    }

    /// Every core of every host.
    pub(crate) fn cores(&self) -> impl Iterator<Item = &Core> {
        self.hosts.iter().flat_map(Host::cores)
    }

    /// Packets that stacks have sent, and those that have come out of a wire: these wait for the
    /// other host.
    fn packets_sent(&self) -> u64 {
        let queues = self.cores().map(|core| core.stack().queue());
        queues.map(|queue| queue.counts().sent + queue.counters().tx_packets).sum()
    }

    /// Lets nothing pass, or everything.
    pub(crate) fn set_cut(&mut self, is_cut: bool) {
        for core in self.hosts.iter_mut().flat_map(Host::cores_mut) {
            core.stack_mut().queue_mut().set_cut(is_cut);
        }
    }

    /// What the wires have done to the packets.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &FaultCounters> {
        self.cores().map(|core| core.stack().queue().inner().faults())
    }

    /// Of all that happened, in order: two runs of one seed have the same.
    pub(crate) fn hash(&self) -> u64 {
        let parts = self
            .cores()
            .flat_map(|core| [core.stack().queue().hash(), core.service().calls_hash()]);
        parts.fold(self.turns ^ self.now.as_nanos(), |hash, part| mix(hash.rotate_left(7) ^ part))
    }

    /// What was counted, and the last packets.
    pub(crate) fn trace(&self) -> String {
        let mut text = String::new();
        for (number, host) in self.hosts.iter().enumerate() {
            for (place, core) in host.cores().iter().enumerate() {
                let core = core.stack().core();
                let rows = core.counters().iter().chain(core.tcp().counters().iter());
                let rows = rows.filter(|row| row.1 > 0);
                let rows: Vec<String> =
                    rows.map(|(name, count)| format!("{name} {count}")).collect();
                let rows = rows.join(", ");
                text.push_str(&format!("  host {number} core {place} counted {rows}\n"));
            }
        }
        text.push_str("  the last packets:\n");
        let hosts = self.hosts.iter().enumerate();
        let traces = hosts.flat_map(|(number, host)| {
            host.cores().iter().map(move |core| (number, core.stack().queue().trace()))
        });
        text + &trace::lines(traces)
    }

    /// Takes everything down; says how many frames did not come back.
    pub(crate) fn dismantle(self) -> u32 {
        let total = self.frames.geometry().frames;
        let mut ends = Vec::new();
        for core in self.hosts.into_iter().flat_map(Host::into_cores) {
            let (stack, _) = core.into_parts();
            let (queue, mut arena) = stack.into_parts();
            let wire = queue.into_inner().into_inner(&mut arena);
            ends.push((wire, arena));
        }
        // All ends have stopped before any is drained.
        let (wires, mut arenas): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        for (wire, arena) in wires.into_iter().zip(&mut arenas) {
            wire.drain(arena);
        }
        let free: u32 = arenas.iter().map(CoreArena::frames_free).sum();
        total - free - self.frames.frames_home()
    }
}

impl Making<'_> {
    fn core(
        &self,
        host: usize,
        end: HandOver,
        wire: Spread,
        arena: CoreArena,
        rng: &mut Rng,
    ) -> Core {
        let &Self { seed, scenario, settings, plans, options } = self;
        let impairments = scenario.impairments(rng);
        let impaired = Impaired::new(wire, impairments).expect("drawn within the limits");
        let tapped = Tapped::new(impaired, options.trace_len);
        let place = end.core();
        let mut ip = settings::ip_config(host);
        // The addresses are the host's: one core announces them.
        ip.announce &= place == CoreId(0);
        let config = stack::Config {
            tcp: settings.tcp[host].clone(),
            timers: 1_024,
            ..stack::Config::new(ip)
        };
        let keys = settings::keys(rng);
        let stack = Stack::new(&config, tapped, arena, &keys, settings.start)
            .expect("the settings are within the limits");
        let mut stack = stack.with_hand_over(end);
        listen(&mut stack);
        let player = Player::new((host, place), seed, plans, options.sabotage);
        Engine::new(stack, player)
    }
}

/// The listeners of a host: one without delay and with keep-alive, one after Nagle's algorithm and
/// with a user time-out, and one of defaults.
fn listen(stack: &mut Stack<Queue>) {
    let keep_alive = Some(KeepAlive { idle_s: 20, interval_s: 3, probes_max: 14 });
    // Longer than any cut and what is backed off in it, shorter than all retransmissions.
    let user_timeout = Some(UserTimeout { stretch: Duration::from_secs(300), acked_min: 1 });
    let base = ListenerOptions::default();
    let terms = [
        ListenerOptions { keep_alive, ..base },
        ListenerOptions { is_nodelay: false, keep_alive, user_timeout, ..base },
        base,
    ];
    for (port, options) in (PORT..).zip(terms) {
        stack.core_mut().listen(port, options).expect("the port is free");
    }
}
