//! A node that holds very many ports dies: when are they free, and who else notices?
//!
//! The naive check lets a node die and looks some time later. Here another node tries names until
//! one is granted, and none may be before the dead client's lease and the switch's exclusion are
//! over; a thousand that are strewn over all must be granted in one request from the instant from
//! which they must be free, before the sweep can have come to them; and at the end everything is
//! registered again. Meanwhile others ask for single ports at a fixed rate, whether or not they are
//! answered, and what they waited is told for the time before, during and after the sweep.

pub(crate) mod args;
mod end;
mod heir;
mod others;
mod round;
mod sweep;

use std::thread;
use std::time::{Duration, Instant};

use self::args::DeathArgs;
use self::end::Wrong;
use self::round::Round;
use super::bypss::daemon;
use super::place::Place;
use crate::error::Error;
use crate::limits::DEATH_P99_MOVE_NS_GOAL;
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::report::{Checks, Figures, Ratios, Report};
use crate::stop::Stop;
use crate::table::stalls::{Stalls, beside_spinner};

/// Bytes of a name.
const NAME_LEN: usize = 16;
/// By how much the sweep moves the others' p99: the verdict.
const MOVED: &str = "p99_moved_ns";

/// Runs the whole benchmark.
pub(crate) fn run(args: DeathArgs, stop: &Stop) -> Result<Report<DeathArgs>, Error> {
    daemon::program()?;
    let (mut limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    // A thread of its own, because pinning lasts as long as the thread.
    let (figures, wrong, cores) = thread::scope(|scope| {
        let thread = scope.spawn(|| rounds(&args, &mut limits, stop));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let moved = figures.median(MOVED).unwrap_or(f64::MAX);
    let Wrong { granted_early, dead_late, refused, mismatched } = wrong;
    let is_met = moved < DEATH_P99_MOVE_NS_GOAL;
    Ok(Report {
        bench: "death",
        rounds: args.rounds,
        ratios: Ratios::default(),
        checks: Checks::default()
            .must_be_zero("granted_early", granted_early)
            .must_be_zero("dead_late", dead_late)
            .must_be_zero("refused", refused)
            .must_be_zero("mismatched", mismatched)
            .note("goals_missed", u64::from(!is_met))
            .and(&limits_checks),
        notes: notes(moved, is_met, cores),
        figures,
        peers: Vec::new(),
        args,
        limits,
        machine: Machine::read(),
        commit: COMMIT,
    })
}

fn rounds(
    args: &DeathArgs,
    limits: &mut Figures,
    stop: &Stop,
) -> Result<(Figures, Wrong, [usize; 2]), Error> {
    let place = Place::take()?;
    let (mut figures, mut wrong) = (Figures::default(), Wrong::default());
    for _round in 0..args.rounds {
        // Both cores are taken while it runs, so the machine is watched just before.
        let length = Duration::from_secs_f64(args.seconds);
        let (own, other) = beside_spinner(Some(place.server), || spin(length, stop));
        limits.record("spinner_client_stall_us", "us", own?.as_secs_f64() * 1e6);
        let stalls: Stalls = other.unwrap_or_default();
        limits.record("spinner_server_stall_us", "us", stalls.wall.as_secs_f64() * 1e6);
        wrong.add(Round { args, place: &place, stop }.run(&mut figures)?);
    }
    Ok((figures, wrong, [place.server.id, place.client.id]))
}

/// Does nothing but read the clock, and says what the longest was that it went without.
fn spin(length: Duration, stop: &Stop) -> Result<Duration, Error> {
    let (begin, mut longest) = (Instant::now(), Duration::ZERO);
    let mut before = begin;
    while before - begin < length {
        let now = Instant::now();
        longest = longest.max(now - before);
        before = now;
        stop.check()?;
    }
    Ok(longest)
}

fn notes(moved: f64, is_met: bool, [server, client]: [usize; 2]) -> Vec<String> {
    vec![
        format!(
            "goal: the sweep moves the others' p99 by less than {:.0} us: {} ({:.0} us)",
            DEATH_P99_MOVE_NS_GOAL / 1e3,
            if is_met { "met" } else { "MISSED" },
            moved / 1e3
        ),
        format!(
            "server on core {server}, all clients on core {client}, both spin; an answer is counted \
             from when its request was due; *_pause_us is the longest time between two looks of \
             the client, spinner_*_stall_us what a program that only reads the clock went without \
             just before the round on either core: longest answers are not below these"
        ),
        "first_grant_us and sweep_ms are from the earliest instant at which the ports may be free: \
         the sending of the dead node's last RELET, and the switch's exclusion"
            .to_owned(),
    ]
}
