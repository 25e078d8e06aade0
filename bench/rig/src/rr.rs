//! How many requests are answered per second when each connection has one outstanding?
//!
//! Ours and every peer's round alternate, so that whatever else the machine does falls on all
//! alike; figures are medians over the rounds, and the verdict is the ratio of medians. Every
//! side writes and checks the same [`crate::pattern`] at both ends and is timed by the same
//! [`crate::recorder`].

pub(crate) mod asker;
mod kernel;

use wire::Address;

use self::asker::Asker;
pub(crate) use self::kernel::serve as serve_kernel;
use crate::args::{Cores, PeerName, Queue, RrArgs};
use crate::cable::Cable;
use crate::ends::{self, Plan};
use crate::error::Error;
use crate::l2;
use crate::machine::{self, COMMIT, Machine};
use crate::machine_limits;
use crate::recorder::Recorded;
use crate::report::{Figures, Peer, Ratios, Report};
use crate::round::{Round, Rounds, latency_ns, per_second};
use crate::stop::Stop;

/// The figure whose ratio is the verdict.
pub(crate) const VERDICT: &str = "transactions_per_s_core";
/// Tuples that rest: connections end with the round, and nobody waits for them.
const TIME_WAIT: u32 = 1_024;

/// Both ends of one TCP, as one round of the benchmark sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Kernel,
    Mem,
    Veth,
}

/// What all rounds share.
struct Bench<'a> {
    args: &'a RrArgs,
    /// With `--queue veth`.
    cable: Option<Cable>,
    stop: &'a Stop,
}

impl Bench<'_> {
    /// One round: fresh connections, a warm-up, the measured time, every answer awaited.
    fn round(&self, side: Side) -> Result<Round, Error> {
        let Self { args, cable, stop } = self;
        match (side, cable) {
            (Side::Kernel, cable) => kernel::run(args, cable.as_ref(), stop),
            (Side::Veth, Some(cable)) => ends::veth::run(plan(args), asker(args), cable, stop),
            (Side::Mem | Side::Veth, _) => {
                ends::mem::run(plan(args), asker(args), args.rounds.cores, stop)
            }
        }
    }
}

impl From<Queue> for Side {
    fn from(queue: Queue) -> Self {
        match queue {
            Queue::Kernel => Self::Kernel,
            Queue::Mem => Self::Mem,
            Queue::Veth => Self::Veth,
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

/// Runs the whole benchmark; with `--queue veth` in the lab.
pub(crate) fn run(args: RrArgs, stop: &Stop) -> Result<Report<RrArgs>, Error> {
    let mut notes = notes();
    let cable = Cable::for_rounds(&args.rounds, 1, stop, &mut notes)?;
    let bench = Bench { args: &args, cable, stop };
    let cable = bench.cable.as_ref();
    let theirs = args.rounds.vs.iter();
    let theirs = theirs.map(|&name| (Side::from(name), peer(name, &args, cable))).collect();
    let count = args.rounds.rounds;
    let mut echo = l2::veth::Beside::default();
    let run = |side: Side| {
        if let (Side::Veth, Some(cable)) = (side, cable) {
            echo.measure(cable, args.rounds.duration(), stop)?;
        }
        bench.round(side)
    };
    let rounds = Rounds::alternate(count, Side::from(args.rounds.queue), theirs, run, record)?;
    let mut limits = machine_limits::beside(args.rounds.quick, stop)?;
    let mut ratios = Ratios::of(VERDICT, &rounds.ours, &rounds.peers);
    echo.join(&mut limits, &mut ratios, (VERDICT, rounds.ours.median(VERDICT)));
    let (limits, limits_checks) = limits;
    notes.extend(rounds.notes(count, args.rounds.cores == Cores::One));
    Ok(Report {
        bench: "rr",
        rounds: count,
        ratios,
        checks: rounds.checks.joined_with(&limits_checks),
        figures: rounds.ours,
        peers: rounds.peers,
        args,
        limits,
        machine: Machine::read(),
        commit: COMMIT,
        notes,
    })
}

fn plan(args: &RrArgs) -> Plan {
    Plan { connections: args.connections, silent: 0, time_wait: TIME_WAIT, servers: 1 }
}

fn asker(args: &RrArgs) -> Asker {
    let servers = plan(args).server_addresses().into_iter().map(Address::from).collect();
    Asker::new(servers, args.connections, args.size_bytes(), args.rounds.duration())
}

fn peer(name: PeerName, args: &RrArgs, cable: Option<&Cable>) -> Peer {
    match name {
        PeerName::Kernel => Peer {
            name: "kernel-epoll",
            version: machine::kernel_release(),
            flags: kernel::flags(args, cable),
            figures: Figures::default(),
        },
    }
}

/// Adds one round's figures.
pub(crate) fn record(figures: &mut Figures, recorded: &Recorded) {
    figures.record("transactions_per_s", "/s", per_second(recorded));
    figures.record(VERDICT, "/s", per_second(recorded));
    for (name, quantile) in [("p50_ns", 0.5), ("p99_ns", 0.99), ("p999_ns", 0.999)] {
        figures.record(name, "ns", latency_ns(recorded, quantile));
    }
}

fn notes() -> Vec<String> {
    vec![
        "closed loop: a connection asks again when its answer is here, so latency shows the queue \
         of the connections themselves"
            .to_owned(),
        "retransmits are those of the whole network namespace where a kernel is measured"
            .to_owned(),
    ]
}
