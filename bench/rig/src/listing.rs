//! What does a tool that lists every connection, again and again, take from the round trips beside?
//!
//! The naive check lists a gateway once and finds it quick. What counts is the other side: the core
//! that serves walks over its tables and writes two lines of memory a connection, which the tool's
//! core then takes from it. So `rr` runs between two stacks in memory among many silent
//! connections, the answering one shows itself through the very code of the gateway, and
//! `abelectl connections --json` lists it from another core. Rounds with it and without it alternate
//! on the same connections; each listing must hold each of them once.

pub(crate) mod args;
mod bed;
mod ledger;
mod lister;
mod seats;
mod tools;

use counters::limits::WALK_LOOKS_MAX;

use self::args::ListingArgs;
use self::bed::{Outcome, Pair};
use self::ledger::Listing;
pub(crate) use self::lister::serve as list;
use self::seats::Seats;
use crate::error::Error;
use crate::limits::{COMPARISON_ROUNDS_MIN, LISTING_LOSS_GOAL};
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::recorder::Recorded;
use crate::report::{Checks, Figures, Peer, Ratios, Report};
use crate::round::{RoundChecks, per_second};
use crate::rr::{VERDICT, record};
use crate::stop::Stop;

/// The rate with the tool over the rate without it, of one round.
const RATE_RATIO: &str = "rate_ratio";
/// The same of the rates per second in which the asking end's thread had its core: the verdict. On
/// a machine that is not shared both are the same; where other programs run, the tool's core is one
/// less for them, and they come to the ends'.
const CORE_RATIO: &str = "core_rate_ratio";

/// Runs the whole benchmark.
pub(crate) fn run(args: ListingArgs, stop: &Stop) -> Result<Report<ListingArgs>, Error> {
    let seats = seats::choose(args.cores)?;
    tools::program()?;
    let outcome = bed::run(&args, seats, stop)?;
    let (mut listed, mut quiet) = (Figures::default(), Figures::default());
    for pair in &outcome.pairs {
        record(&mut listed, &pair.listed);
        record(&mut quiet, &pair.quiet);
        record_pair(&mut listed, pair);
    }
    listed.record("walk_looks_per_turn_max", "", float(outcome.looks_max));
    let peers = vec![Peer {
        name: "quiet",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        flags: "the same ends and connections, and no tool".to_owned(),
        figures: quiet,
    }];
    let (limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    let loss = 1.0 - listed.median(CORE_RATIO).unwrap_or_default();
    Ok(Report {
        bench: "listing",
        rounds: args.rounds,
        ratios: Ratios::of(VERDICT, &listed, &peers),
        checks: checks(&outcome, loss, &limits_checks),
        notes: notes(&args, seats, &outcome, loss),
        figures: listed,
        peers,
        args,
        limits,
        machine: Machine::read(),
        commit: COMMIT,
    })
}

fn record_pair(figures: &mut Figures, pair: &Pair) {
    let Pair { quiet, listed, listings } = pair;
    figures.record(RATE_RATIO, "", per_second(listed) / per_second(quiet));
    figures.record(CORE_RATIO, "", per_core_second(listed) / per_core_second(quiet));
    for listing in listings {
        let seconds = float(listing.nanos) / 1e9;
        figures.record("listing_ms", "ms", seconds * 1e3);
        figures.record("rows", "", float(listing.rows));
        figures.record("rows_per_s", "/s", float(listing.rows) / seconds);
    }
}

/// What must hold of every listing, of every byte and connection, and of every turn. A goal that is
/// missed is told, but no wrong answer.
fn checks(outcome: &Outcome, loss: f64, limits: &Checks) -> Checks {
    let Outcome { pairs, totals, looks_max } = outcome;
    let all = || pairs.iter().flat_map(|pair| &pair.listings);
    let sum = |count: fn(&Listing) -> u64| all().map(count).sum();
    let rounds = pairs.iter().flat_map(|pair| [&pair.quiet, &pair.listed]);
    let empty = rounds.filter(|recorded| recorded.transactions == 0).count();
    let unlisted = pairs.iter().filter(|pair| pair.listings.is_empty()).count();
    let wrong = RoundChecks {
        bytes_lost: totals.bytes_lost,
        connections_lost: totals.connections_lost,
        retransmits: totals.retransmits,
        rounds_empty: empty as u64,
        displaced_share_max: 0.0,
    };
    wrong
        .joined_with(limits)
        .note("listings", all().count() as u64)
        .must_be_zero("rounds_unlisted", unlisted as u64)
        .must_be_zero("listings_failed", sum(|listing| listing.failed.into()))
        .must_be_zero("rows_missing", sum(|listing| listing.missing))
        .must_be_zero("rows_twice", sum(|listing| listing.twice))
        .must_be_zero("rows_wrong", sum(|listing| listing.wrong))
        .must_be_zero("walk_looks_too_many", looks_max.saturating_sub(WALK_LOOKS_MAX))
        .note("goals_missed", u64::from(!is_met(loss)))
}

fn is_met(loss: f64) -> bool {
    loss < LISTING_LOSS_GOAL
}

fn notes(args: &ListingArgs, seats: Seats, outcome: &Outcome, loss: f64) -> Vec<String> {
    let mut notes = vec![
        format!(
            "goal: round trips lose less than {:.0} % to the tool: {} ({:.2} %)",
            LISTING_LOSS_GOAL * 100.0,
            if is_met(loss) { "met" } else { "MISSED" },
            loss * 100.0
        ),
        format!(
            "answering end on core {}, asking end on core {}, the tool on core {}, which is idle in \
             the rounds without it; {RATE_RATIO} is of the two rounds of a pair, {CORE_RATIO} \
             the same per second in which the thread of the asking end had its core",
            seats.ends.server.id, seats.ends.client.id, seats.lister.id
        ),
    ];
    if args.rounds < COMPARISON_ROUNDS_MIN {
        notes.push(format!(
            "{} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}",
            args.rounds
        ));
    }
    notes.extend(displaced(outcome));
    notes
}

/// What other programs took of the asking end's core: the ends are one thread there, or alone.
fn displaced(outcome: &Outcome) -> Option<String> {
    let rounds = outcome.pairs.iter().flat_map(|pair| [&pair.quiet, &pair.listed]);
    let share = rounds.map(|of| of.displaced.as_secs_f64() / of.elapsed.as_secs_f64());
    let share = share.fold(0.0, f64::max);
    (share > LISTING_LOSS_GOAL / 4.0).then(|| {
        format!(
            "other programs held a measured core for up to {:.1} % of a round: run this again on a \
             quiet machine",
            share * 100.0
        )
    })
}

/// Transactions per second in which the recording thread had its core.
fn per_core_second(recorded: &Recorded) -> f64 {
    let Recorded { transactions, elapsed, displaced, latency_ns: _ } = recorded;
    float(*transactions) / elapsed.saturating_sub(*displaced).as_secs_f64()
}

fn float(count: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days")]
    let count = count as f64;
    count
}

#[cfg(test)]
mod tests;
