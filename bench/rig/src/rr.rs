//! How many requests are answered per second when each connection has one outstanding?
//!
//! Ours and every peer's round alternate, so that whatever else the machine does falls on all
//! alike; figures are medians over the rounds, and the verdict is the ratio of medians. Every
//! side writes and checks the same [`pattern`] at both ends and is timed by the same [`recorder`].

mod kernel;
mod mem;
mod pattern;
mod recorder;

pub(crate) use self::kernel::serve as serve_kernel;
use self::recorder::Recorded;
use crate::args::{Cores, PeerName, Queue, RrArgs};
use crate::error::Error;
use crate::limits::{COMPARISON_ROUNDS_MIN, DISPLACED_SHARE_MAX};
use crate::machine::{self, COMMIT, Machine};
use crate::machine_limits;
use crate::report::{Checks, Figures, Peer, Ratios, Report};
use crate::stop::Stop;

/// The figure whose ratio is the verdict.
const VERDICT: &str = "transactions_per_s_core";

/// Both ends of one TCP, as one round of the benchmark sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Kernel,
    Mem,
}

/// What one round of one side gave.
#[derive(Debug)]
struct Round {
    recorded: Recorded,
    /// Bytes that did not arrive as they were sent, either way.
    bytes_lost: u64,
    /// Connections that did not live from the first request to the last answer at both ends.
    connections_lost: u64,
    /// Segments sent again by any end.
    retransmits: u64,
}

impl Side {
    /// One round: fresh connections, a warm-up, the measured time, every answer awaited.
    fn run(self, args: &RrArgs, stop: &Stop) -> Result<Round, Error> {
        match self {
            Self::Kernel => kernel::run(args, stop),
            Self::Mem => mem::run(args, stop),
        }
    }
}

impl From<Queue> for Side {
    fn from(queue: Queue) -> Self {
        match queue {
            Queue::Kernel => Self::Kernel,
            Queue::Mem => Self::Mem,
        }
    }
}

impl From<PeerName> for Side {
    fn from(peer: PeerName) -> Self {
        match peer {
            PeerName::Kernel => Self::Kernel,
        }
    }
}

/// Runs the whole benchmark.
pub(crate) fn run(args: RrArgs, stop: &Stop) -> Result<Report<RrArgs>, Error> {
    let mut checks = RoundChecks::default();
    let mut ours = Figures::default();
    let mut peers: Vec<Peer> = args.vs.iter().map(|&name| peer(name, &args)).collect();
    for _round in 0..args.rounds {
        let round = Side::from(args.queue).run(&args, stop)?;
        checks.add(&round);
        record(&mut ours, &round.recorded);
        for (name, peer) in args.vs.iter().zip(&mut peers) {
            let round = Side::from(*name).run(&args, stop)?;
            checks.add(&round);
            record(&mut peer.figures, &round.recorded);
        }
    }
    let (limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    let ratios = Ratios::of(VERDICT, &ours, &peers);
    Ok(Report {
        bench: "rr",
        notes: notes(&args, checks.displaced_share_max),
        rounds: args.rounds,
        args,
        figures: ours,
        checks: checks.joined_with(&limits_checks),
        limits,
        peers,
        ratios,
        machine: Machine::read(),
        commit: COMMIT,
    })
}

fn peer(name: PeerName, args: &RrArgs) -> Peer {
    match name {
        PeerName::Kernel => Peer {
            name: "kernel-epoll",
            version: machine::kernel_release(),
            flags: kernel::flags(args),
            figures: Figures::default(),
        },
    }
}

/// Adds one round's figures. Both ends are pinned and never idle, so the server's core is busy for
/// all of `elapsed`, and its rate is the rate.
fn record(figures: &mut Figures, recorded: &Recorded) {
    #[allow(clippy::cast_precision_loss, reason = "2^53 transactions take a thousand years")]
    let per_s = recorded.transactions as f64 / recorded.elapsed.as_secs_f64();
    figures.record("transactions_per_s", "/s", per_s);
    figures.record(VERDICT, "/s", per_s);
    for (name, quantile) in [("p50_ns", 0.5), ("p99_ns", 0.99), ("p999_ns", 0.999)] {
        #[allow(clippy::cast_precision_loss, reason = "LATENCY_NS_MAX is far below 2^53")]
        let ns = recorded.latency_ns.value_at_quantile(quantile) as f64;
        figures.record(name, "ns", ns);
    }
}

fn notes(args: &RrArgs, displaced_share_max: f64) -> Vec<String> {
    let mut notes = vec![
        "closed loop: a connection asks again when its answer is here, so latency shows the queue \
         of the connections themselves"
            .to_owned(),
        "retransmits are those of the whole network namespace where a kernel is measured"
            .to_owned(),
    ];
    if !args.vs.is_empty() && args.rounds < COMPARISON_ROUNDS_MIN {
        notes.push(format!(
            "{} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}",
            args.rounds
        ));
    }
    // On one core the two ends displace each other, as they should.
    if args.cores == Cores::Two && displaced_share_max > DISPLACED_SHARE_MAX {
        notes.push(format!(
            "other programs held a measured core for up to {:.0} % of a round: run this again on \
             a quiet machine",
            displaced_share_max * 100.0
        ));
    }
    notes
}

/// What all rounds of all sides lost together.
#[derive(Clone, Copy, Debug, Default)]
struct RoundChecks {
    bytes_lost: u64,
    connections_lost: u64,
    retransmits: u64,
    /// The largest share of a round in which something else had the asking end's core.
    displaced_share_max: f64,
}

impl RoundChecks {
    fn add(&mut self, round: &Round) {
        self.bytes_lost += round.bytes_lost;
        self.connections_lost += round.connections_lost;
        self.retransmits += round.retransmits;
        let Recorded { displaced, elapsed, .. } = &round.recorded;
        let share = displaced.as_secs_f64() / elapsed.as_secs_f64();
        self.displaced_share_max = self.displaced_share_max.max(share);
    }

    /// A wrong limit makes the whole result wrong, for the figures are judged by it.
    fn joined_with(self, limits: &Checks) -> Checks {
        let Self { bytes_lost, connections_lost, retransmits, displaced_share_max: _ } = self;
        Checks::default()
            .must_be_zero("bytes_lost", bytes_lost)
            .must_be_zero("connections_lost", connections_lost)
            .note("retransmits", retransmits)
            .and(limits)
    }
}

#[cfg(test)]
mod tests;
