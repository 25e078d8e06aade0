//! How many ports a second can the switch's table register, find and release on one core, what does a
//! port take of memory, and how long does its longest call take while it grows?
//!
//! The table alone, without sessions and sockets: what a server over it cannot exceed. Names have 16
//! bytes. They are registered in the order of their numbers and asked for and released in another,
//! for what was registered in order lies in memory in order, and would come by itself. Every answer
//! is compared. The first round fills cells that were never used, the later ones what was released
//! before them in no order.

pub(crate) mod args;
mod bed;
mod lengths;
mod memory_use;
mod names;
pub(crate) mod stalls;

use std::time::Duration;

use self::args::TableArgs;
use self::bed::{Bed, Key, Pass, random_key};
use self::lengths::Lengths;
use self::stalls::{Stalls, beside_spinner};
use crate::cores;
use crate::error::Error;
use crate::limits::{
    COMPARISON_ROUNDS_MIN, TABLE_BYTES_GOAL, TABLE_GROWTHS, TABLE_RATE_GOAL, TABLE_STALL_US_GOAL,
};
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::report::{Checks, Figures, Ratios, Report};
use crate::stop::Stop;

/// What the rounds found.
#[derive(Debug, Default)]
struct Outcome {
    figures: Figures,
    wrong: u64,
    stalls: Stalls,
    moves_per_burst_max: u64,
    said: String,
}

/// Runs the whole benchmark.
pub(crate) fn run(args: TableArgs, stop: &Stop) -> Result<Report<TableArgs>, Error> {
    let allowed = cores::allowed();
    let &core = allowed.first().ok_or(Error::Lacks {
        what: "a core for this process".to_owned(),
        mend: "allow one: `taskset -c 0 abele-bench ...`".to_owned(),
    })?;
    let other = allowed.get(1).copied();
    let work = || machine_limits::on_core(core, || rounds(&args, stop));
    let (outcome, hiccups) = beside_spinner(other, work);
    let mut outcome = outcome?;
    let (mut limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    record_stalls(&mut outcome);
    if let Some(hiccups) = &hiccups {
        limits.record("spinner_stall_core_us", "us", micros(hiccups.core));
        limits.record("spinner_stall_wall_us", "us", micros(hiccups.wall));
        limits.record("spinner_stalls_per_s", "/s", hiccups.long_per_s());
    }
    let missed = missed(&outcome.figures);
    let checks = Checks::default()
        .must_be_zero("answers_wrong", outcome.wrong)
        .must_be_zero("moves_too_many", moves_too_many(&outcome))
        .note("goals_missed", missed.len() as u64)
        .and(&limits_checks);
    Ok(Report {
        bench: "table",
        rounds: args.rounds,
        ratios: ratios(&outcome.figures, &limits),
        notes: notes(&args, &outcome, &missed, hiccups.is_some()),
        checks,
        args,
        figures: outcome.figures,
        limits,
        peers: Vec::new(),
        machine: Machine::read(),
        commit: COMMIT,
    })
}

fn rounds(args: &TableArgs, stop: &Stop) -> Result<Outcome, Error> {
    let (ports, planned) = (args.ports, args.planned());
    // A table for half as many is there before, so that memory is a difference too.
    let half = ports.div_ceil(2);
    let key = random_key()?;
    let is_growing = planned < ports;
    let mut lengths =
        Lengths::new(if is_growing { ports.div_ceil(args.batch) as usize } else { 0 });
    let half_bytes = {
        let mut bed = Bed::new(half, planned.div_ceil(2), args.batch, key)?;
        bed.register(stop)?;
        bed.bytes()?
    };
    let mut outcome = Outcome::default();
    let mut bed = Bed::new(ports, planned, args.batch, key)?;
    for round in 0..args.rounds {
        let registered = if round == 0 {
            bed.register_each(stop, &mut |length| lengths.on_call(length))?
        } else {
            bed.register(stop)?
        };
        record_registration(&mut outcome.figures, registered.stalls);
        record(&mut outcome, "register_per_s", registered);
        if round == 0 {
            record_memory(&mut outcome.figures, (bed.bytes()?, ports), (half_bytes, half));
        }
        record(&mut outcome, "query_per_s", bed.query(stop)?);
        record(&mut outcome, "query_free_per_s", bed.miss(stop)?);
        record(&mut outcome, "unregister_per_s", bed.unregister(stop)?);
    }
    let statistics = bed.table().statistics();
    outcome.moves_per_burst_max = statistics.moves_per_burst_max;
    outcome.figures.record("moves_per_burst_max", "", float(statistics.moves_per_burst_max));
    outcome.said = format!(
        "{} homes of the index were moved, {} entries were spilled at the end",
        statistics.moves, statistics.spilled
    );
    drop(bed);
    if is_growing {
        grow_again(args, key, &mut lengths, stop)?;
        let longest = micros(lengths.longest());
        outcome.figures.record("register_stall_repeated_us", "us", longest);
    }
    Ok(outcome)
}

/// Lets tables grow by the same calls as the first.
fn grow_again(args: &TableArgs, key: Key, lengths: &mut Lengths, stop: &Stop) -> Result<(), Error> {
    for _ in 1..TABLE_GROWTHS {
        lengths.begin();
        let mut bed = Bed::new(args.ports, args.planned(), args.batch, key)?;
        bed.register_each(stop, &mut |length| lengths.on_call(length))?;
    }
    Ok(())
}

fn record(outcome: &mut Outcome, name: &'static str, pass: Pass) {
    let Pass { ports, elapsed, stalls, wrong } = pass;
    outcome.figures.record(name, "/s", f64::from(ports) / elapsed.as_secs_f64());
    outcome.stalls = outcome.stalls.and(stalls);
    outcome.wrong += wrong;
}

/// The longest calls of those in which a table grows, apart from the others.
fn record_registration(figures: &mut Figures, stalls: Stalls) {
    figures.record("register_stall_core_us", "us", micros(stalls.core));
    figures.record("register_stall_wall_us", "us", micros(stalls.wall));
    figures.record("register_stalls_per_s", "/s", stalls.long_per_s());
    figures.record("register_stalls_faulted", "", float(stalls.long_faulted));
}

fn record_stalls(outcome: &mut Outcome) {
    let Stalls { wall, core, .. } = outcome.stalls;
    outcome.figures.record("stall_core_us", "us", micros(core));
    outcome.figures.record("stall_wall_us", "us", micros(wall));
    outcome.figures.record("stalls_per_s", "/s", outcome.stalls.long_per_s());
}

fn record_memory(figures: &mut Figures, whole: (u64, u32), half: (u64, u32)) {
    figures.record("bytes_per_port", "B", float(whole.0) / f64::from(whole.1));
    let (bytes, ports) = (whole.0.saturating_sub(half.0), whole.1 - half.1);
    figures.record("bytes_per_port_more", "B", float(bytes) / f64::from(ports));
}

/// The goals that are missed: they are told, and make no result wrong.
fn missed(figures: &Figures) -> Vec<String> {
    let value = |name| figures.median(name).unwrap_or_default();
    let too_slow = ["register_per_s", "unregister_per_s"]
        .into_iter()
        .filter(|&name| value(name) < TABLE_RATE_GOAL)
        .map(|name| format!("{name} is {:.1} M/s", value(name) / 1e6));
    let too_large = ["bytes_per_port", "bytes_per_port_more"]
        .into_iter()
        .filter(|&name| value(name) > TABLE_BYTES_GOAL)
        .map(|name| format!("{name} is {:.2}", value(name)));
    let (stall, goal_us) = (value("stall_core_us"), float(TABLE_STALL_US_GOAL));
    let too_long = (stall > goal_us).then(|| format!("a call took {stall:.0} us of its core"));
    too_slow.chain(too_large).chain(too_long).collect()
}

fn moves_too_many(outcome: &Outcome) -> u64 {
    outcome.moves_per_burst_max.saturating_sub(switch::limits::MOVES_MAX as u64)
}

/// Of the lines that the machine can fetch, how many ports come and go.
fn ratios(figures: &Figures, limits: &Figures) -> Ratios {
    let mut ratios = Ratios::default();
    for name in ["register_per_s", "query_per_s", "query_free_per_s", "unregister_per_s"] {
        if let (Some(rate), Some(lines)) =
            (figures.median(name), limits.median("random_lines_per_s"))
        {
            ratios.add(name, "random-lines", rate / lines);
        }
    }
    ratios
}

fn notes(args: &TableArgs, outcome: &Outcome, missed: &[String], has_spinner: bool) -> Vec<String> {
    let goals = format!(
        "goals: {:.0} M/s registered and released, {TABLE_BYTES_GOAL:.0} bytes a port, \
         {TABLE_STALL_US_GOAL} us of its core a call",
        TABLE_RATE_GOAL / 1e6
    );
    let verdict =
        if missed.is_empty() { "met".to_owned() } else { format!("MISSED: {}", missed.join("; ")) };
    let mut notes = vec![format!("{goals}: {verdict}"), outcome.said.clone()];
    if args.planned() < args.ports {
        notes.push(format!(
            "the table was planned for {} and grew {TABLE_GROWTHS} times by the same calls: \
             register_stall_repeated_us is the longest that was as long each time",
            args.planned()
        ));
    }
    if !has_spinner {
        notes.push("one core allowed: no spinner beside the wall clock's stalls".to_owned());
    }
    if args.rounds < COMPARISON_ROUNDS_MIN {
        notes.push(format!("{} rounds: medians of few", args.rounds));
    }
    notes
}

fn micros(length: Duration) -> f64 {
    length.as_secs_f64() * 1e6
}

fn float(count: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "2^53 bytes are beyond any machine")]
    let count = count as f64;
    count
}
