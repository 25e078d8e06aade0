//! How many messages does one core of the switch route in a second, beside nats-server?
//!
//! The naive bench publishes as fast as it can and divides what it wrote by the time, whatever became
//! of it. Here the real daemon has one core, and a client on the other is all senders and all
//! receivers at once: it keeps a window of messages under way, and looks at each that comes, who
//! sent it, to whom, and which one it is. Nothing may be lost, garbled, twice or out of order; what a
//! server drops it must tell. The same is done with one receiver that holds ports and reads nothing,
//! and with one request at a time. nats-server gets the same, on as many connections, with as many
//! subjects and in batches as large as is best for it.

pub(crate) mod args;
mod bypss;
mod content;
mod dialect;
mod engine;
mod found;
mod ledger;
mod line;
mod load;
mod nats;
mod request;
mod round;
mod side;

use std::thread;
use std::time::Duration;

use self::args::MessagesArgs;
use self::found::Found;
use self::nats::server::Program;
use self::side::{Bed, NatsSide, Ours, Side as _};
use crate::cores::Placement;
use crate::error::Error;
use crate::limits::{LIMITS_BESIDE_ROUNDS, LIMITS_BESIDE_SECONDS, QUICK_SECONDS_MAX};
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::ports::bypss::daemon;
use crate::ports::place::Place;
use crate::ports::stream;
use crate::report::{Figures, Peer, Ratios, Report};
use crate::stop::Stop;

/// What is compared, in the order of importance.
const COMPARED: [&str; 6] = [
    "messages_per_s_core",
    "messages_per_cpu_s",
    "messages_per_process_cpu_s",
    "request_p50_ns",
    "request_blocking_p50_ns",
    "stalled_others_per_s_core",
];

/// Runs the whole benchmark.
pub(crate) fn run(args: MessagesArgs, stop: &Stop) -> Result<Report<MessagesArgs>, Error> {
    daemon::program()?;
    let nats = if args.vs.is_empty() { None } else { Some(Program::find()?) };
    let (limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    let machine = Machine::read();
    // A thread of its own, because pinning lasts as long as the thread.
    let (found, peers) = thread::scope(|scope| {
        let thread = scope.spawn(|| measure(&args, nats.as_ref(), stop));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let mut ratios = Ratios::default();
    for figure in COMPARED {
        ratios.join(Ratios::of(figure, &found.figures, &peers));
    }
    let mut beside = limits;
    beside.append(found.limits.clone());
    Ok(Report {
        bench: "messages",
        rounds: args.rounds,
        ratios,
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

/// All rounds of all sides.
fn measure(
    args: &MessagesArgs,
    nats: Option<&Program>,
    stop: &Stop,
) -> Result<(Found, Vec<Peer>), Error> {
    let place = Place::take()?;
    let bed = Bed { args, place: &place, stop };
    let ours = Ours(bed);
    let mut found = Found::new(Placement { server: place.server, client: place.client });
    let mut peer = nats.map(|program| best_of(bed, program, &mut found)).transpose()?;
    for number in 0..args.rounds {
        found.add_round(&ours, number, None)?;
        if let Some((side, peer)) = &mut peer {
            found.add_round(side, number, Some(&mut peer.figures))?;
        }
    }
    add_stream(bed, &mut found.limits)?;
    Ok((found, peer.into_iter().map(|(_, peer)| peer).collect()))
}

/// nats-server, how it is loaded best, and where its figures go.
fn best_of<'a>(
    bed: Bed<'a>,
    program: &'a Program,
    found: &mut Found,
) -> Result<(NatsSide<'a>, Peer), Error> {
    let side = NatsSide { bed, program, loads: Ours(bed).loads() };
    let tried = side.try_loads()?;
    found.wrong.add(tried.wrong);
    found.tried = Some(tried.text);
    let side = NatsSide { loads: tried.loads, ..side };
    let [all_read, pair] = [tried.loads.all_read, tried.loads.pair].map(side::text);
    let peer = Peer {
        name: "nats",
        version: program.version.clone(),
        flags: format!("{}; {all_read}; with one that may stall {pair}", nats::server::FLAGS),
        figures: Figures::default(),
    };
    Ok((side, peer))
}

/// What the kernel carries between the two cores, in pieces as long as a batch.
fn add_stream(bed: Bed<'_>, limits: &mut Figures) -> Result<(), Error> {
    let Bed { args, place, stop } = bed;
    let seconds = if args.quick { QUICK_SECONDS_MAX / 5.0 } else { LIMITS_BESIDE_SECONDS };
    let length = Duration::from_secs_f64(seconds);
    let load = args.load();
    let chunk_len = (load.name_len + load.size) * load::index(load.batch);
    for _round in 0..LIMITS_BESIDE_ROUNDS {
        let bytes = stream::one_way(place, chunk_len, length, stop)?;
        limits.record("loopback_bytes_per_s", "B/s", bytes);
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
