//! What do thousands of silent connections cost, and what does the first request after the silence?
//!
//! The gateway sleeps on its queue (`idle = "wait"`) while kernel clients keep connections open
//! that have each asked once. Its share of a core is measured from outside: its own processor time
//! and the core's softirqs. Then requests come one by one, each after a pause and on a random
//! connection, and the time to the first byte of the answer is compared with that of a gateway
//! that never sleeps. The client spins for the answer, so that what differs is the server's waking.

mod holder;

use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

pub(crate) use self::holder::serve as hold;
use self::holder::{Answers, Holders};
use super::args::{IdleArgs, Policy};
use super::document::Document;
use super::gateway::Gateway;
use super::site::{Place, Site};
use crate::args::Cores;
use crate::cpu::{self, CoreTimes};
use crate::error::Error;
use crate::limits::{
    COMPARISON_ROUNDS_MIN, DISPLACED_SHARE_MAX, IDLE_DOCUMENT_LEN, IDLE_SHARE_GOAL,
    IDLE_WAKE_NS_GOAL,
};
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::report::{Checks, Figures, Number, Peer, Ratios, Report};
use crate::stop::Stop;

/// How long the waking lasts that is compared.
const FIRST_BYTE: &str = "first_byte_p50_ns";
/// What the silence costs: the gateway and the core's softirqs, as a share of a core.
const SHARE: &str = "core_share";
/// After the last answer the gateway still acknowledges, and its timers run out.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a wait sleeps between two looks at Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What one round of one policy gave.
#[derive(Clone, Debug, Default)]
struct Round {
    /// The gateway's processor time, and the core's softirqs, as shares of the silence.
    process_share: f64,
    softirq_share: f64,
    /// The share of the silence that other programs had of the core.
    others_share: f64,
    /// Ascending.
    first_byte_ns: Vec<u64>,
    answers: Answers,
    /// Requests that only one of client and server counted.
    requests_unmatched: u64,
}

/// Runs the whole benchmark, in the lab.
pub(crate) fn run(args: IdleArgs, stop: &Stop) -> Result<Report<IdleArgs>, Error> {
    let place = Place::choose(Cores::One, args.queue)?;
    let site = Site::new(args.queue, place, Document::new(IDLE_DOCUMENT_LEN))?;
    let (mut waiting, mut spinning) = (Figures::default(), Figures::default());
    let mut rounds = Vec::new();
    for _round in 0..args.rounds {
        for (policy, figures) in [(Policy::Wait, &mut waiting), (Policy::Spin, &mut spinning)] {
            let round = one_round(policy, &args, &site, stop)?;
            record(figures, &round);
            rounds.push(round);
        }
    }
    let goals = Goals::judge(&waiting, &spinning);
    waiting.record("first_byte_after_spin_ns", "ns", goals.wake_ns);
    let peers = vec![Peer {
        name: "spin",
        version: env!("CARGO_PKG_VERSION").to_owned(),
        flags: "the same gateway with idle = \"spin\": it never sleeps".to_owned(),
        figures: spinning,
    }];
    let (limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    Ok(Report {
        bench: "idle",
        rounds: args.rounds,
        ratios: Ratios::of(FIRST_BYTE, &waiting, &peers),
        checks: checks(&rounds, &goals).and(&limits_checks),
        figures: waiting,
        notes: notes(&args, &site, &rounds, &goals),
        peers,
        args,
        limits,
        machine: Machine::read(),
        commit: COMMIT,
    })
}

fn one_round(policy: Policy, args: &IdleArgs, site: &Site, stop: &Stop) -> Result<Round, Error> {
    let core = site.place.servers[0];
    let gateway = Gateway::start(site, args.connections, policy, stop)?;
    let mut holders = Holders::start(gateway.address(), args.connections, site.place.client, stop)?;
    pause(SETTLE, stop)?;
    let mut round = silence(gateway.id(), core, Duration::from_secs(args.seconds.into()), stop)?;
    round.first_byte_ns = holders.sample(args.samples, stop)?;
    round.answers = holders.finish()?;
    let served = gateway.end(stop)?.http_200;
    let asked = u64::from(args.connections) + u64::from(args.samples);
    round.requests_unmatched = asked.abs_diff(served);
    Ok(round)
}

/// Measures a silence of `length`.
fn silence(gateway: u32, core: CoreId, length: Duration, stop: &Stop) -> Result<Round, Error> {
    let read = || Ok::<_, Error>((cpu::of_processes(gateway)?, CoreTimes::read(&[core])?));
    let begin = Instant::now();
    let before = read()?;
    pause(length, stop)?;
    let after = read()?;
    let elapsed = begin.elapsed().as_secs_f64();
    let (process, times) = (after.0 - before.0, after.1.since(before.1));
    Ok(Round {
        process_share: process / elapsed,
        softirq_share: times.softirq_s / elapsed,
        others_share: (times.tasks_s - process).max(0.0) / elapsed,
        ..Round::default()
    })
}

fn pause(length: Duration, stop: &Stop) -> Result<(), Error> {
    let end = Instant::now() + length;
    loop {
        stop.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}

/// Adds one round's figures.
fn record(figures: &mut Figures, round: &Round) {
    figures.record(SHARE, "", round.process_share + round.softirq_share);
    figures.record("process_share", "", round.process_share);
    figures.record("softirq_share", "", round.softirq_share);
    figures.record(FIRST_BYTE, "ns", quantile(&round.first_byte_ns, 50));
    figures.record("first_byte_p99_ns", "ns", quantile(&round.first_byte_ns, 99));
}

/// The value that so many of a hundred do not exceed; 0 of nothing.
fn quantile(ascending: &[u64], percent: usize) -> f64 {
    let rank = (ascending.len() * percent).div_ceil(100).max(1);
    #[allow(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days")]
    let value = ascending.get(rank - 1).copied().unwrap_or_default() as f64;
    value
}

/// What the medians of the rounds should be, and are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Goals {
    share: f64,
    /// How much later the first byte comes from a gateway that slept.
    wake_ns: f64,
}

impl Goals {
    fn judge(waiting: &Figures, spinning: &Figures) -> Self {
        let median = |figures: &Figures, name| figures.median(name).unwrap_or_default();
        let wake_ns = median(waiting, FIRST_BYTE) - median(spinning, FIRST_BYTE);
        Self { share: median(waiting, SHARE), wake_ns: wake_ns.max(0.0) }
    }

    fn is_share_met(self) -> bool {
        self.share < IDLE_SHARE_GOAL
    }

    fn is_wake_met(self) -> bool {
        self.wake_ns < IDLE_WAKE_NS_GOAL
    }

    fn sentence(self) -> String {
        let word = |is_met| if is_met { "met" } else { "MISSED" };
        format!(
            "goals: under {:.0} % of a core while silent: {} ({:.2} %); first byte within {:.0} us of \
             a spinning gateway's: {} ({} us)",
            IDLE_SHARE_GOAL * 100.0,
            word(self.is_share_met()),
            self.share * 100.0,
            IDLE_WAKE_NS_GOAL / 1e3,
            word(self.is_wake_met()),
            Number(self.wake_ns / 1e3).grouped(),
        )
    }
}

/// A goal that is missed is told, but no wrong answer.
fn checks(rounds: &[Round], goals: &Goals) -> Checks {
    let sum = |count: fn(&Round) -> u64| rounds.iter().map(count).sum();
    let missed = u64::from(!goals.is_share_met()) + u64::from(!goals.is_wake_met());
    Checks::default()
        .must_be_zero("connections_lost", sum(|round| round.answers.connections_lost))
        .must_be_zero("answers_wrong", sum(|round| round.answers.wrong))
        .must_be_zero("requests_unmatched", sum(|round| round.requests_unmatched))
        .note("goals_missed", missed)
}

fn notes(args: &IdleArgs, site: &Site, rounds: &[Round], goals: &Goals) -> Vec<String> {
    let mut notes = vec![
        goals.sentence(),
        format!(
            "gateway on core {}, clients in {} processes on core {}, which spin for the first byte; \
             requests {} ms apart; {SHARE} is the gateway's user and system time and the core's \
             softirqs, whoever they were for",
            site.place.servers[0].id,
            holder::processes(args.connections),
            site.place.client.id,
            holder::PAUSE.as_millis(),
        ),
    ];
    notes.extend(super::attachment(site.queue));
    if args.rounds < COMPARISON_ROUNDS_MIN {
        notes.push(format!(
            "{} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}",
            args.rounds
        ));
    }
    let others = rounds.iter().map(|round| round.others_share).fold(0.0, f64::max);
    if others > DISPLACED_SHARE_MAX {
        notes.push(format!(
            "other programs held the gateway's core for up to {:.0} % of a silence: run this again \
             on a quiet machine",
            others * 100.0
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(share: f64, first_byte_ns: f64) -> Figures {
        let mut figures = Figures::default();
        figures.record(SHARE, "", share);
        figures.record(FIRST_BYTE, "ns", first_byte_ns);
        figures
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        let values: Vec<u64> = (1..=10).collect();
        assert_eq!((quantile(&values, 50), quantile(&values, 99)), (5.0, 10.0));
        assert_eq!((quantile(&[7], 1), quantile(&[], 50)), (7.0, 0.0));
    }

    #[test]
    fn goals_that_are_missed_are_told_as_missed_and_counted() {
        let met = Goals::judge(&figures(0.009, 250_000.0), &figures(1.0, 60_000.0));
        assert!(met.is_share_met() && met.is_wake_met());
        assert!(!met.sentence().contains("MISSED"), "{}", met.sentence());
        let missed = Goals::judge(&figures(0.011, 270_000.0), &figures(1.0, 60_000.0));
        assert_eq!(missed.sentence().matches("MISSED").count(), 2);
        let told = serde_json::to_string(&checks(&[], &missed)).expect("a map");
        assert!(told.contains(r#""ok":true"#) && told.contains(r#""goals_missed":2"#), "{told}");
    }

    #[test]
    fn lost_connections_wrong_answers_and_unmatched_requests_are_wrong() {
        let goals = Goals { share: 0.0, wake_ns: 0.0 };
        let is_right = |round: Round| checks(&[Round::default(), round], &goals).is_ok();
        assert!(is_right(Round::default()));
        let answers = |connections_lost, wrong| Answers { connections_lost, wrong };
        assert!(!is_right(Round { answers: answers(1, 0), ..Round::default() }));
        assert!(!is_right(Round { answers: answers(0, 1), ..Round::default() }));
        assert!(!is_right(Round { requests_unmatched: 1, ..Round::default() }));
    }
}
