//! How many names does one core of the switch register, find and release in a second, beside Redis?
//!
//! The naive bench asks for one name, waits, and measures two kernels; or asks its own table in
//! memory and calls that a server. Here the real daemon has one core, and real TCP over loopback
//! leads to it from a client on the other, which keeps a bounded number of batches under way and
//! tells how much of its own time was idle. Every answer is checked: nothing may fail, sequences
//! are consecutive and kept, what is queried is what was granted, all is released by its sequence,
//! and then registered again. Redis gets the same names in the same order, by whichever of its own
//! ways is best for it.

pub(crate) mod args;
pub(crate) mod bypss;
pub(crate) mod death;
pub(crate) mod dialect;
pub(crate) mod engine;
mod etcd;
mod found;
mod memory;
pub(crate) mod names;
mod ours;
pub(crate) mod place;
mod redis;
mod round;
mod segments;
pub(crate) mod single;
pub(crate) mod stream;

use std::thread;
use std::time::Duration;

use self::args::{PortsArgs, PortsPeer};
use self::etcd::side::Etcd;
use self::found::Found;
use self::ours::Ours;
use self::place::Place;
use self::redis::benchmark::Benchmark;
use self::redis::side::{Best, Redis, Tried};
use self::segments::Reader;
use crate::error::Error;
use crate::limits::{LIMITS_BESIDE_ROUNDS, LIMITS_BESIDE_SECONDS, QUICK_SECONDS_MAX};
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::report::{Figures, Peer, Ratios, Report};
use crate::stop::Stop;

/// What is compared, in the order of importance.
const COMPARED: [&str; 5] = [
    "register_per_s_core",
    "query_per_s_core",
    "unregister_per_s_core",
    "request_p50_ns",
    round::MEMORY,
];

/// Runs the whole benchmark.
pub(crate) fn run(args: PortsArgs, stop: &Stop) -> Result<Report<PortsArgs>, Error> {
    bypss::daemon::program()?;
    let programs = Programs::find(&args.vs)?;
    let (limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    let machine = Machine::read();
    // A thread of its own, because pinning lasts as long as the thread.
    let (found, peers) = thread::scope(|scope| {
        let thread = scope.spawn(|| Bench::new(&args, &programs, stop)?.run());
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let mut beside = limits;
    beside.append(found.limits.clone());
    Ok(Report {
        bench: "ports",
        rounds: args.rounds,
        ratios: ratios(&found.figures, &peers),
        checks: found.checks().and(&limits_checks),
        notes: found.notes(&args),
        figures: found.figures,
        peers,
        args,
        limits: beside,
        machine,
        commit: COMMIT,
    })
}

/// Other people's programs, as far as they are asked for.
#[derive(Debug)]
struct Programs {
    redis: Option<(redis::server::Program, Benchmark)>,
    etcd: Option<etcd::server::Program>,
}

impl Programs {
    fn find(peers: &[PortsPeer]) -> Result<Self, Error> {
        let redis = || Ok((redis::server::Program::find()?, Benchmark::find()?));
        let etcd = etcd::server::Program::find;
        Ok(Self {
            redis: peers.contains(&PortsPeer::Redis).then(redis).transpose()?,
            etcd: peers.contains(&PortsPeer::Etcd).then(etcd).transpose()?,
        })
    }
}

/// The sides and their place.
#[derive(Debug)]
struct Bench<'a> {
    args: &'a PortsArgs,
    programs: &'a Programs,
    place: Place,
    reader: Reader,
    stop: &'a Stop,
}

impl<'a> Bench<'a> {
    fn new(args: &'a PortsArgs, programs: &'a Programs, stop: &'a Stop) -> Result<Self, Error> {
        Ok(Self {
            args,
            programs,
            place: Place::take_for(args.server_cores)?,
            reader: Reader::find()?,
            stop,
        })
    }

    /// All rounds of all sides, and what is measured once.
    fn run(&self) -> Result<(Found, Vec<Peer>), Error> {
        let Self { args, stop, .. } = *self;
        let ours = Ours { args, place: &self.place, stop };
        let mut found = Found::new(&self.place);
        let mut redis = self.redis(&mut found)?;
        let mut etcd = self.etcd();
        for _round in 0..args.rounds {
            found.add(&ours.round()?);
            if let Some((redis, best, peer)) = &mut redis {
                found.add_of(peer, &redis.round(best)?);
            }
            found.wrong.add(ours.single(&mut found.figures)?);
            if let Some((redis, _, peer)) = &mut redis {
                found.wrong.add(redis.single(&mut peer.figures)?);
            }
            if let Some((etcd, peer)) = &mut etcd {
                found.add_of(peer, &etcd.round()?);
            }
        }
        found.wrong.add(ours.wire(&self.reader, &mut found.figures)?);
        if let Some((redis, best, peer)) = &mut redis {
            found.wrong.add(redis.wire(best, &self.reader, &mut peer.figures)?);
        }
        if let [small, large] = args.memory[..] {
            found.wrong.add(ours.memory([small, large], &mut found.figures)?);
        }
        self.add_stream(&mut found.limits)?;
        let redis = redis.map(|(_, _, peer)| peer);
        Ok((found, redis.into_iter().chain(etcd.map(|(_, peer)| peer)).collect()))
    }

    /// Redis, how it is asked best, and where its figures go.
    fn redis(&self, found: &mut Found) -> Result<Option<(Redis<'_>, Best, Peer)>, Error> {
        let Some((program, benchmark)) = &self.programs.redis else { return Ok(None) };
        let Self { args, place, stop, .. } = self;
        let redis = Redis { program, benchmark, args, place, stop };
        let mut figures = Figures::default();
        let Tried { best, text, wrong } = redis.try_ways(&mut figures)?;
        found.wrong.add(wrong);
        found.tried = Some(text);
        let flags = format!("{}; {}", redis::server::FLAGS, best.text());
        let version = program.version.clone();
        Ok(Some((redis, best, Peer { name: "redis", version, flags, figures })))
    }

    /// etcd, and where its figures go.
    fn etcd(&self) -> Option<(Etcd<'_>, Peer)> {
        let program = self.programs.etcd.as_ref()?;
        let Self { args, place, stop, .. } = self;
        let peer = Peer {
            name: "etcd",
            version: program.version.clone(),
            flags: Etcd::flags(),
            figures: Figures::default(),
        };
        Some((Etcd { program, args, place, stop }, peer))
    }

    /// What the kernel carries between the two cores, in pieces as long as the names of a batch.
    fn add_stream(&self, limits: &mut Figures) -> Result<(), Error> {
        let seconds = if self.args.quick { QUICK_SECONDS_MAX / 5.0 } else { LIMITS_BESIDE_SECONDS };
        let length = Duration::from_secs_f64(seconds);
        let batch = usize::try_from(self.args.batch).expect("32 bits fit a usize");
        let chunk_len = (self.args.name_len() + 1) * batch;
        for _round in 0..LIMITS_BESIDE_ROUNDS {
            let bytes = stream::one_way(&self.place, chunk_len, length, self.stop)?;
            limits.record("loopback_bytes_per_s", "B/s", bytes);
        }
        Ok(())
    }
}

fn ratios(ours: &Figures, peers: &[Peer]) -> Ratios {
    let mut ratios = Ratios::default();
    for figure in COMPARED {
        ratios.join(Ratios::of(figure, ours, peers));
    }
    ratios
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
