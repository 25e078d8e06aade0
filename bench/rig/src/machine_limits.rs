//! What can this machine do at best, where no program of any kind goes beyond it?
//!
//! A rate of ours means little beside another program's and much beside these: a table of
//! connections larger than the cache cannot be looked up faster than random lines come, two cores
//! cannot talk faster than a line moves between them, and a program that calls the kernel pays for
//! the call; and what speaks over a queue pair cannot answer more often than bare frames come back.
//! Every figure has a result of its own that is checked.

mod kernel;
mod lines;
mod pair;

use std::time::{Duration, Instant};

use core_affinity::CoreId;

use self::lines::Table;
use crate::args::{Cores, LimitsArgs};
use crate::cable::Cable;
use crate::cores::{self, Placement};
use crate::error::Error;
use crate::l2;
use crate::limits::{
    LIMITS_BESIDE_ROUNDS, LIMITS_BESIDE_SECONDS, QUICK_SECONDS_MAX, TABLE_LEN, TABLE_LEN_QUICK,
};
use crate::machine::{COMMIT, Machine};
use crate::report::{Checks, Figures, Ratios, Report};
use crate::stop::Stop;

/// One figure of one round.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    value: f64,
    /// Results that were not what they must be.
    wrong: u64,
}

/// Figures over the rounds, and how often each result was wrong.
#[derive(Debug, Default)]
struct Collected {
    figures: Figures,
    wrong: Vec<(&'static str, u64)>,
}

impl Collected {
    fn add(&mut self, name: &'static str, unit: &'static str, measured: Measured) {
        self.figures.record(name, unit, measured.value);
        match self.wrong.iter_mut().find(|(known, _)| *known == name) {
            Some((_, wrong)) => *wrong += measured.wrong,
            None => self.wrong.push((name, measured.wrong)),
        }
    }

    fn checks(&self) -> Checks {
        let wrong = self.wrong.iter().filter(|(_, wrong)| *wrong > 0);
        wrong
            .fold(Checks::default(), |checks, &(name, wrong)| checks.must_be_zero(name, wrong))
            .note("results_checked", self.wrong.len() as u64)
    }
}

/// Runs the whole benchmark; `lab` says why this is not the lab, if it is not.
pub(crate) fn run(
    args: LimitsArgs,
    lab: Result<(), Error>,
    stop: &Stop,
) -> Result<Report<LimitsArgs>, Error> {
    let mut notes = Vec::new();
    let pair = cores::placement(Cores::Two);
    if pair.is_err() {
        notes.push("one core allowed: what takes two was not measured".to_owned());
    }
    let placement = pair.or_else(|_one_only| cores::placement(Cores::One))?;
    let mut collected = on_core(placement.server, || {
        let mut table = Table::new(table_len(args.quick), Some(stop))?;
        notes.push(format!("table of {} MiB on {}", table.len_bytes() >> 20, table.pages()));
        let mut collected = Collected::default();
        for _round in 0..args.rounds {
            one_core(&mut collected, &mut table, args.duration(), stop)?;
            if placement.server != placement.client {
                two_cores(&mut collected, placement, args.duration(), stop)?;
            }
        }
        Ok(collected)
    })?;
    if placement.server != placement.client {
        match lab.and_then(|()| l2_echo(&mut collected, placement, &args, stop)) {
            Ok(said) => notes.push(said),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => notes.push(format!("{} was not measured: {error}", l2::veth::NAME)),
        }
    }
    Ok(Report {
        bench: "limits",
        rounds: args.rounds,
        args,
        checks: collected.checks(),
        figures: collected.figures,
        limits: Figures::default(),
        peers: Vec::new(),
        ratios: Ratios::default(),
        machine: Machine::read(),
        commit: COMMIT,
        notes,
    })
}

/// The limits that stand beside a comparison, taken in the same run on one core.
pub(crate) fn beside(is_quick: bool, stop: &Stop) -> Result<(Figures, Checks), Error> {
    let seconds = if is_quick { QUICK_SECONDS_MAX / 5.0 } else { LIMITS_BESIDE_SECONDS };
    let placement = cores::placement(Cores::One)?;
    let collected = on_core(placement.server, || {
        let table = Table::new(table_len(is_quick), None)?;
        let mut collected = Collected::default();
        for _round in 0..LIMITS_BESIDE_ROUNDS {
            let for_each = Duration::from_secs_f64(seconds);
            collected.add("random_lines_per_s", "/s", table.random_lines(for_each, stop)?);
            collected.add("system_call_ns", "ns", kernel::system_call(for_each, stop)?);
        }
        Ok(collected)
    })?;
    let checks = collected.checks();
    Ok((collected.figures, checks))
}

fn table_len(is_quick: bool) -> usize {
    if is_quick { TABLE_LEN_QUICK } else { TABLE_LEN }
}

fn one_core(
    collected: &mut Collected,
    table: &mut Table,
    for_each: Duration,
    stop: &Stop,
) -> Result<(), Error> {
    collected.add("random_lines_per_s", "/s", table.random_lines(for_each, stop)?);
    collected.add("read_bytes_per_s", "B/s", table.sequential_read(for_each, stop)?);
    collected.add("copy_bytes_per_s", "B/s", table.copy(for_each, stop)?);
    collected.add("system_call_ns", "ns", kernel::system_call(for_each, stop)?);
    Ok(())
}

fn two_cores(
    collected: &mut Collected,
    placement: Placement,
    for_each: Duration,
    stop: &Stop,
) -> Result<(), Error> {
    let other = placement.client;
    collected.add("line_round_trip_ns", "ns", pair::line_round_trip(other, for_each, stop)?);
    collected.add("ring_items_per_s", "/s", pair::ring_items(other, for_each, stop)?);
    collected.add("eventfd_wake_ns", "ns", kernel::eventfd_wake(other, for_each, stop)?);
    Ok(())
}

/// Frames there and back over AF_XDP on a pair of veth devices; says how.
fn l2_echo(
    collected: &mut Collected,
    placement: Placement,
    args: &LimitsArgs,
    stop: &Stop,
) -> Result<String, Error> {
    let mut cable = Cable::new(placement, 1)?;
    let said = l2::veth::settle_attach(&mut cable, None, args.duration(), stop)?;
    for _round in 0..args.rounds {
        let l2::veth::Found { echoes_per_s, wrong } =
            l2::veth::run(&cable, cable.attach, args.duration(), stop)?;
        collected.add(l2::veth::NAME, "/s", Measured { value: echoes_per_s, wrong });
    }
    Ok(said)
}

/// Runs `work` on a thread of its own that stays on `core`.
pub(crate) fn on_core<T: Send>(
    core: CoreId,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| cores::pin(core).and_then(|()| work()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Repeats `chunk`, which says how many units it did, for at least `length`; units and seconds.
fn repeat(
    length: Duration,
    stop: &Stop,
    mut chunk: impl FnMut() -> Result<u64, Error>,
) -> Result<(u64, f64), Error> {
    let begin = Instant::now();
    let mut units = 0;
    loop {
        units += chunk()?;
        let elapsed = begin.elapsed();
        if elapsed >= length {
            return Ok((units, elapsed.as_secs_f64()));
        }
        stop.check()?;
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a measured second are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
