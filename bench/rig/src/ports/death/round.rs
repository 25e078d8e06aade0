//! One round: a node registers all its ports, falls silent, and is outlived.

use std::time::{Duration, Instant};

use super::args::DeathArgs;
use super::end::{End, Phase, Wrong};
use super::heir::Heir;
use super::others::{Others, figures_of};
use super::sweep::Observer;
use crate::error::Error;
use crate::limits::{DEATH_PORTS_SPARE, DEATH_SWEEP_S_MAX, WARM_UP_DIVISOR};
use crate::ports::bypss::Bypss;
use crate::ports::bypss::daemon::{Daemon, Idle, Threads};
use crate::ports::dialect::{Dialect, Op, Ports, nonsense};
use crate::ports::engine::{Engine, Plan, Shape};
use crate::ports::place::Place;
use crate::report::Figures;
use crate::stop::Stop;

/// How the two that register everything do it.
const SHAPE: Shape = Shape { connections: 4, window: 4, segment: None };
/// Ports of one of their requests: few enough that the others' requests between them are not late.
const BATCH: u32 = 1_000;

/// What every step needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round<'a> {
    pub(super) args: &'a DeathArgs,
    pub(super) place: &'a Place,
    pub(super) stop: &'a Stop,
}

/// Those who take turns on the client's core.
struct Cast {
    doomed: Engine<Bypss>,
    others: Others,
    heir: Heir,
    observer: Observer,
    end: End,
    /// The longest time between two turns, by phase: what the client itself went without.
    pauses: [Duration; 3],
    turned_at: Instant,
}

impl Round<'_> {
    /// Runs it; what was wrong.
    pub(super) fn run(&self, figures: &mut Figures) -> Result<Wrong, Error> {
        let Self { args, place, stop } = *self;
        let planned = Ports::new(args.ports + DEATH_PORTS_SPARE, super::NAME_LEN);
        let daemon = Daemon::start(place, planned, Threads::one(Idle::Spin), stop)?;
        let address = daemon.address();
        let ports = Ports::new(args.ports, super::NAME_LEN);
        let mut doomed = Engine::connect(address, SHAPE, Bypss::begin(ports, address)?)?;
        let plan = Plan { op: Op::Register, ports: args.ports, batch: BATCH };
        doomed.pass(plan, stop)?;
        doomed.dialect.on_pass();
        let mut wrong = Wrong { refused: doomed.dialect.wrong().refused, ..Wrong::default() };
        let mut cast = Cast {
            doomed,
            others: Others::begin(address, (args.others, args.rate), args.ports)?,
            heir: Heir::begin(address, args.ports)?,
            observer: Observer::begin(address)?,
            end: End::default(),
            pauses: [Duration::ZERO; 3],
            turned_at: Instant::now(),
        };
        self.before(&mut cast)?;
        self.death(&mut cast, figures)?;
        self.after(&mut cast)?;
        self.record(&cast, figures);
        wrong.add(cast.others.wrong);
        wrong.add(cast.heir.wrong);
        cast.heir.end()?;
        let mut all = Engine::connect(address, SHAPE, Bypss::begin_as("last", ports, address)?)?;
        let pass = all.pass(plan, stop)?;
        all.dialect.on_pass();
        figures.record("register_again_per_s", "/s", pass.per_s());
        let again = all.dialect.wrong();
        wrong.dead_late += again.refused;
        wrong.mismatched += again.sequences;
        all.into_dialect().end()?;
        daemon.end(stop)?;
        Ok(wrong)
    }

    /// The others are measured while the node lives, until its last renewal.
    fn before(&self, cast: &mut Cast) -> Result<(), Error> {
        let length = Duration::from_secs_f64(self.args.seconds);
        let warm_up = Instant::now() + length / WARM_UP_DIVISOR;
        while Instant::now() < warm_up {
            self.turn(cast, true)?;
        }
        cast.others.forget();
        cast.pauses = [Duration::ZERO; 3];
        let until = Instant::now() + length;
        let mut renewed_at = cast.doomed.dialect.session.renewed_at;
        loop {
            self.turn(cast, true)?;
            let now = Instant::now();
            let last = cast.doomed.dialect.session.renewed_at;
            let is_renewed = last != renewed_at;
            renewed_at = last;
            if is_renewed && now >= until {
                let exclusion = cast.doomed.dialect.session.exclusion;
                cast.end.earliest = Some(renewed_at + exclusion);
                cast.end.latest = Some(now + exclusion);
                return Ok(());
            }
        }
    }

    /// The node is silent; its ports are tried, taken when they are free, and swept.
    fn death(&self, cast: &mut Cast, figures: &mut Figures) -> Result<(), Error> {
        let latest = cast.end.latest.expect("it has fallen silent");
        let deadline = latest + Duration::from_secs(DEATH_SWEEP_S_MAX);
        let mut is_swept = false;
        while !is_swept || !cast.heir.is_done() {
            self.turn(cast, false)?;
            cast.heir.turn(&cast.end)?;
            if !is_swept && cast.end.is_over(Instant::now()) && cast.observer.turn()? {
                is_swept = true;
                cast.end.swept_at = Some(Instant::now());
            }
            if Instant::now() > deadline {
                return Err(nonsense::<Bypss>("the dead node's ports are not swept in time"));
            }
        }
        let earliest = cast.end.earliest.expect("it has fallen silent");
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(earliest));
        if let (Some(granted), Some(swept)) =
            (since(cast.heir.granted_at), since(cast.end.swept_at))
        {
            figures.record("first_grant_us", "us", granted.as_secs_f64() * 1e6);
            figures.record("sweep_ms", "ms", swept.as_secs_f64() * 1e3);
        }
        if let (Some(refused), Some(granted)) = (cast.heir.refused_at, cast.heir.granted_at) {
            let width = granted.saturating_duration_since(refused);
            figures.record("refused_to_granted_us", "us", width.as_secs_f64() * 1e6);
        }
        let sample = cast.heir.sample.unwrap_or_default();
        figures.record("sample_us", "us", sample.as_secs_f64() * 1e6);
        Ok(())
    }

    fn after(&self, cast: &mut Cast) -> Result<(), Error> {
        let until = Instant::now() + Duration::from_secs_f64(self.args.seconds);
        while Instant::now() < until {
            self.turn(cast, false)?;
        }
        cast.others.finish(&cast.end)
    }

    /// One look at each of those who act all the time.
    fn turn(&self, cast: &mut Cast, is_alive: bool) -> Result<(), Error> {
        let now = Instant::now();
        let phase = cast.end.phase(now, now) as usize;
        cast.pauses[phase] = cast.pauses[phase].max(now - cast.turned_at);
        cast.turned_at = now;
        cast.others.turn(&cast.end)?;
        cast.heir.keep()?;
        if is_alive {
            cast.doomed.dialect.keep(Instant::now())?;
        }
        self.stop.check()
    }

    fn record(&self, cast: &Cast, figures: &mut Figures) {
        let float = crate::ports::float;
        for (phase, latency_ns) in Phase::ALL.into_iter().zip(&cast.others.latencies) {
            let [p50, p99, max] = figures_of(phase);
            figures.record(p50, "ns", float(latency_ns.value_at_quantile(0.5)));
            figures.record(p99, "ns", float(latency_ns.value_at_quantile(0.99)));
            figures.record(max, "ns", float(latency_ns.max()));
        }
        let [before, sweep, _] =
            [0, 1, 2].map(|at| float(cast.others.latencies[at].value_at_quantile(0.99)));
        figures.record(super::MOVED, "ns", (sweep - before).max(0.0));
        let names = ["before_pause_us", "sweep_pause_us", "after_pause_us"];
        for (name, pause) in names.into_iter().zip(cast.pauses) {
            figures.record(name, "us", pause.as_secs_f64() * 1e6);
        }
        figures.record("sweep_answers", "", float(cast.others.latencies[1].len()));
        figures.record("ports_swept", "", float(cast.observer.swept));
        if let [(first, dead), .., (last, left)] = cast.observer.left[..] {
            let seconds = (last - first).as_secs_f64();
            figures.record("swept_per_s", "/s", float(dead - left) / seconds);
        }
    }
}
