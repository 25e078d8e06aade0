//! What the tools see: the counters of every core and its connections, in the file of `counters`.
//!
//! A core publishes when it is due and before it sleeps; it never waits for a tool, and a tool needs
//! no frame and no socket of it.

use std::env;
use std::time::{Duration as StdDuration, SystemTime, UNIX_EPOCH};

use base::{Duration, Instant};
use counters::{
    CoreState, CoreWriter, Counter, Description, Look, Row, Schema, State, Walk, Writer,
    WriterError,
};
use engine::{Engine, Meter, Stage};
use gateway::Gateway;
use memory::SharedError;
use nic::{Capabilities, QueueCounters, QueuePair};
use nix::time::{ClockId, clock_gettime};
use tcp::{Listed, Phase, Seen};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::error::Error;
use crate::plan::Plan;

/// Texts that each core says of itself, in the order of [`Facts`].
const FACTS: [&str; 6] = ["device", "interface", "queue", "packets", "pages", "cpu"];

/// Everything that is counted on one core.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    pub(crate) queue: &'a QueueCounters,
    pub(crate) stack: &'a stack::Counters,
    pub(crate) ip: &'a ip::Counters,
    pub(crate) udp: &'a udp::Counters,
    pub(crate) tcp: &'a tcp::Counters,
    pub(crate) gateway: gateway::Counters,
}

impl Counted<'_> {
    /// Calls `add` with group, name and value of each counter, always in the same order.
    pub(crate) fn each(&self, mut add: impl FnMut(&'static str, &'static str, u64)) {
        let Self { queue, stack, ip, udp, tcp, gateway } = self;
        queue.rows().for_each(|(name, value)| add("queue", name, value));
        stack.iter().for_each(|(name, value)| add("stack", name, value));
        ip.iter().for_each(|(name, value)| add("ip", name, value));
        udp.iter().for_each(|(name, value)| add("udp", name, value));
        tcp.iter().for_each(|(name, value)| add("tcp", name, value));
        gateway.iter().for_each(|(name, value)| add("gateway", name, value));
    }

    /// What an engine has counted.
    pub(crate) fn of<Q: QueuePair>(engine: &Engine<Q, Gateway>) -> Counted<'_> {
        let (stack, core) = (engine.stack(), engine.stack().core());
        Counted {
            queue: stack.queue().counters(),
            stack: core.counters(),
            ip: core.ip().counters(),
            udp: core.udp().counters(),
            tcp: core.tcp().counters(),
            gateway: engine.service().counters(),
        }
    }
}

/// Whether a counter says what was dropped or refused.
fn is_drop(name: &str) -> bool {
    let of = |known: &str| known == name;
    nic::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || stack::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || ip::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || udp::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || tcp::DropReason::ALL.iter().any(|reason| of(reason.name()))
        || gateway::Refusal::ALL.iter().any(|reason| of(reason.name()))
}

/// Gauges behind the counters, in the order in which [`Publisher::publish`] gives them.
const GAUGES: [(&str, &str, &str); 9] = [
    ("tcp", "connections", ""),
    ("tcp", "half_open", ""),
    ("tcp", "time_wait", ""),
    ("tcp", "extensions_used", ""),
    ("tcp", "nodes_used", ""),
    ("pool", "frames", "frames"),
    ("pool", "frames_free", "frames"),
    ("pool", "frames_held", "frames"),
    ("pool", "frames_lent", "frames"),
];

fn schema() -> Schema {
    let mut schema = Schema::new();
    for stage in Stage::ALL {
        schema.counter(Counter::new("stage", stage.name()).cycles());
    }
    let nothing = Counted {
        queue: &QueueCounters::default(),
        stack: &stack::Counters::default(),
        ip: &ip::Counters::default(),
        udp: &udp::Counters::default(),
        tcp: &tcp::Counters::default(),
        gateway: gateway::Counters::default(),
    };
    nothing.each(|group, name, _zero| {
        let counter = Counter::new(group, name);
        schema.counter(if is_drop(name) { counter.drop_reason() } else { counter });
    });
    for (group, name, unit) in GAUGES {
        schema.counter(Counter::new(group, name).gauge().unit(unit));
    }
    for fact in FACTS {
        schema.fact(fact);
    }
    schema
}

/// Makes the file of this gateway, with a part for each worker. Where no folder can be written the
/// gateway goes without, and says so; an instance that runs already is an error.
pub(crate) fn open(plan: &Plan, clock: &Clock) -> Result<Option<Writer>, Error> {
    // The two clocks are read one right behind the other.
    let monotonic =
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(Error::errno("read the time"))?;
    let since_zero = clock.now();
    let zero_ns = nanos(StdDuration::from(monotonic)).saturating_sub(since_zero.as_nanos());
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let folders = counters::folders(env::var_os("XDG_RUNTIME_DIR").as_deref());
    let description = Description {
        instance: &plan.instance,
        version: env!("CARGO_PKG_VERSION"),
        started_unix_ns: nanos(wall),
        clock_zero_ns: zero_ns,
        cycles_per_s: topology::cycles_per_s(StdDuration::from_millis(10)),
        cores: plan.workers.count.into(),
        schema: &schema(),
    };
    match Writer::create(&folders, &description) {
        Ok(writer) => {
            let (file, instance) = (writer.path().display(), plan.instance.as_str());
            info!(%file, instance, "tools' file");
            if writer.is_on_disk() {
                warn!(%file, "the tools' file lies on a disk: a core may wait for it; mend it: mount -t tmpfs tmpfs /run");
            }
            Ok(Some(writer))
        }
        Err(held @ WriterError::Shared(SharedError::Held { .. })) => Err(held.into()),
        Err(error @ WriterError::Shared(_)) => {
            warn!(
                "abelectl will see nothing of this gateway: {error}; mend it: run it as root, or with XDG_RUNTIME_DIR"
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn nanos(time: StdDuration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a core says of itself once.
#[derive(Clone, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) queue: &'a Capabilities,
    pub(crate) pages: memory::Pages,
    pub(crate) cpu: usize,
}

/// A core's end of the file.
#[derive(Debug)]
pub(crate) struct Publisher {
    out: CoreWriter,
    walk: Walk,
    turns: u64,
    /// Cycles of each stage, in the order of [`Stage::ALL`].
    stages: [u64; Stage::ALL.len()],
    /// When the last turn ended.
    ended_at: u64,
}

/// The stages of one turn.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    marked_at: u64,
    spent: [u64; Stage::ALL.len()],
}

impl Meter for Stopwatch {
    #[inline]
    fn mark(&mut self, stage: Stage) {
        let now = topology::cycles();
        self.spent[stage as usize] += now.saturating_sub(self.marked_at);
        self.marked_at = now;
    }
}

impl Publisher {
    pub(crate) fn new(out: CoreWriter, facts: &Facts<'_>) -> Self {
        let Facts { plan, queue, pages, cpu } = facts;
        let texts = [
            queue.name.to_owned(),
            plan.interface.name.clone(),
            queue.queue.0.to_string(),
            queue.copies.name().to_owned(),
            pages.to_string(),
            cpu.to_string(),
        ];
        for (place, text) in texts.iter().enumerate() {
            out.set_fact(place, text);
        }
        let walk = out.walk();
        let ended_at = topology::cycles();
        Self { out, walk, turns: 0, stages: [0; Stage::ALL.len()], ended_at }
    }

    /// The meter of the turn that begins.
    #[inline]
    pub(crate) fn meter(&self) -> Stopwatch {
        Stopwatch { marked_at: topology::cycles(), spent: [0; Stage::ALL.len()] }
    }

    /// Keeps what a turn took. What passed since the one before was idle, and so was a turn that
    /// found nothing to do.
    #[inline]
    pub(crate) fn keep(&mut self, turn: &Stopwatch, is_busy: bool) {
        let whole = turn.marked_at.saturating_sub(self.ended_at);
        self.ended_at = turn.marked_at;
        self.turns += 1;
        let mut spent = 0;
        if is_busy {
            for (stage, cycles) in self.stages.iter_mut().zip(turn.spent) {
                *stage += cycles;
                spent += cycles;
            }
        }
        self.stages[Stage::Idle as usize] += whole.saturating_sub(spent);
    }

    /// After a turn: publishes if it is due, and goes on with a tool's walk. Whether there was
    /// something to walk.
    pub(crate) fn poll<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) -> bool {
        if self.out.is_due(now) {
            self.publish(now, engine);
        }
        let core = engine.stack().core();
        self.walk.poll(now, |cursor| match core.tcp().look(cursor, now) {
            Seen::Connection(next, listed) => Look::Row(next, row(&listed, core.ip())),
            Seen::Nothing(next) => Look::Free(next),
            Seen::End => Look::End,
        })
    }

    /// Before a sleep: until when it may last.
    pub(crate) fn doze<Q: QueuePair>(
        &mut self,
        now: Instant,
        engine: &Engine<Q, Gateway>,
    ) -> Instant {
        self.publish(now, engine);
        self.out.mark(CoreState::Asleep);
        let latest = now + SEEN_WITHIN;
        self.walk.deadline().map_or(latest, |walk| walk.min(latest))
    }

    /// The core serves no more.
    pub(crate) fn end<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) {
        self.publish(now, engine);
        self.out.mark(CoreState::Ended);
    }

    fn publish<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) {
        let core = engine.stack().core();
        let (usage, arena, stages) = (core.tcp().usage(), core.arena(), &self.stages);
        self.out.publish(now, self.turns, |values| {
            for cycles in stages {
                values.value(*cycles);
            }
            Counted::of(engine).each(|_group, name, value| {
                values.rows([(name, value)]);
            });
            let gauges = [
                usage.records,
                usage.half_open,
                usage.time_wait,
                usage.extensions,
                usage.nodes,
                // Those that are this core's now: the home pool is nobody's.
                arena.frames_free() + arena.frames_held() + arena.frames_lent(),
                arena.frames_free(),
                arena.frames_held(),
                arena.frames_lent(),
            ];
            for gauge in gauges {
                values.value(gauge.into());
            }
        });
    }
}

/// The longest that a sleeping core lets a tool wait for its rows.
const SEEN_WITHIN: Duration = Duration::from_millis(250);

fn row(listed: &Listed, ip: &ip::Ip) -> Row {
    let state = match listed.phase {
        Phase::HalfOpen => State::SynReceived,
        Phase::TimeWait => State::TimeWait,
        Phase::Record(state) => state_of(state),
    };
    let local = ip.local_address(ip::LocalIndex(listed.tuple.local));
    Row {
        local: local.octets(),
        local_port: listed.tuple.local_port,
        listener: listed.listener,
        is_active: listed.is_active,
        is_busy: listed.is_busy,
        index: listed.index,
        generation: listed.generation,
        idle_s: listed.idle_s,
        srtt_us: listed.srtt_us,
        rttvar_us: listed.rttvar_us,
        cwnd: listed.cwnd,
        ssthresh: listed.ssthresh,
        snd_wnd: listed.snd_wnd,
        bytes_in_flight: listed.bytes_in_flight,
        bytes_queued: listed.bytes_queued,
        bytes_unread: listed.bytes_unread,
        ..Row::new(state, listed.tuple.remote.octets(), listed.tuple.remote_port)
    }
}

fn state_of(state: tcp::State) -> State {
    match state {
        tcp::State::Closed => State::Closed,
        tcp::State::SynSent => State::SynSent,
        tcp::State::SynReceived => State::SynReceived,
        tcp::State::Established => State::Established,
        tcp::State::FinWait1 => State::FinWait1,
        tcp::State::FinWait2 => State::FinWait2,
        tcp::State::CloseWait => State::CloseWait,
        tcp::State::Closing => State::Closing,
        tcp::State::LastAck => State::LastAck,
    }
}
