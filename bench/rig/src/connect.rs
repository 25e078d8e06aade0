//! How many times a second can a client connect, exchange 64 bytes and close?
//!
//! The client opens, sends, receives, and closes first; so it is the client that rests in
//! TIME-WAIT, in the kernel as in ours, and both keep as many such tuples as the kernel may
//! (`tcp_max_tw_buckets`; the oldest go when there are more). Nobody resets: a reset would spare
//! both ends half of what ending a connection costs, and tells the peer that something went wrong.
//! One address has 28 thousand to 32 thousand ports for all these tuples, so the server listens on
//! [`SERVERS`] addresses, which the client takes in turn.

mod connector;
mod kernel;

use wire::Address;

use self::connector::Connector;
pub(crate) use self::kernel::serve as serve_kernel;
use crate::args::{ConnectArgs, Cores, PeerName, Queue};
use crate::cable::Cable;
use crate::ends::{self, Plan};
use crate::error::Error;
use crate::machine::{self, COMMIT, Machine};
use crate::machine_limits;
use crate::recorder::Recorded;
use crate::report::{Figures, Peer, Ratios, Report};
use crate::round::{Round, Rounds, latency_ns, per_second};
use crate::sockets;
use crate::stop::Stop;

/// The figure whose ratio is the verdict.
const VERDICT: &str = "connects_per_s_core";
/// Bytes there and back.
const EXCHANGE_LEN: usize = 64;
/// Addresses of the server. With 28,232 ports each, 131,072 resting tuples take a third of what
/// there is; odd, so that a port counter that all addresses share goes round all of them.
const SERVERS: u8 = 15;
const _: () = assert!(SERVERS % 2 == 1);

/// Both ends of one TCP, as one round of the benchmark sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Kernel,
    Mem,
    Veth,
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

/// What all rounds share.
struct Bench<'a> {
    args: &'a ConnectArgs,
    /// With `--queue veth`.
    cable: Option<Cable>,
    stop: &'a Stop,
}

impl Bench<'_> {
    fn round(&self, side: Side) -> Result<Round, Error> {
        let Self { args, cable, stop } = self;
        match (side, cable) {
            (Side::Kernel, cable) => kernel::run(args, cable.as_ref(), stop),
            (Side::Veth, Some(cable)) => ends::veth::run(plan(args), connector(args), cable, stop),
            (Side::Mem | Side::Veth, _) => {
                ends::mem::run(plan(args), connector(args), args.rounds.cores, stop)
            }
        }
    }
}

/// Runs the whole benchmark; with `--queue veth` in the lab.
pub(crate) fn run(args: ConnectArgs, stop: &Stop) -> Result<Report<ConnectArgs>, Error> {
    let mut notes = vec![format!(
        "the client closes first and rests in TIME-WAIT, up to {} tuples; {SERVERS} addresses of \
         the server; no resets; latency is from the connect to the checked answer",
        sockets::time_wait_max()
    )];
    let cable = Cable::for_rounds(&args.rounds, SERVERS, stop, &mut notes)?;
    let bench = Bench { args: &args, cable, stop };
    let cable = bench.cable.as_ref();
    let theirs = args.rounds.vs.iter();
    let theirs = theirs.map(|&name| (Side::from(name), peer(name, &args, cable))).collect();
    let count = args.rounds.rounds;
    let ours = Side::from(args.rounds.queue);
    let rounds = Rounds::alternate(count, ours, theirs, |side| bench.round(side), record)?;
    let (limits, limits_checks) = machine_limits::beside(args.rounds.quick, stop)?;
    notes.extend(rounds.notes(count, args.rounds.cores == Cores::One));
    Ok(Report {
        bench: "connect",
        rounds: count,
        ratios: Ratios::of(VERDICT, &rounds.ours, &rounds.peers),
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

fn plan(args: &ConnectArgs) -> Plan {
    // One that opens and one that ends in every slot; the rest waits for a record.
    let connections = 4 * args.connections;
    Plan { connections, silent: 0, time_wait: sockets::time_wait_max(), servers: SERVERS }
}

fn connector(args: &ConnectArgs) -> Connector {
    let servers = plan(args).server_addresses().into_iter().map(Address::from).collect();
    Connector::new(servers, args.connections, args.rounds.duration())
}

fn peer(name: PeerName, args: &ConnectArgs, cable: Option<&Cable>) -> Peer {
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
fn record(figures: &mut Figures, recorded: &Recorded) {
    figures.record(VERDICT, "/s", per_second(recorded));
    for (name, quantile) in [("p50_ns", 0.5), ("p99_ns", 0.99)] {
        figures.record(name, "ns", latency_ns(recorded, quantile));
    }
}

#[cfg(test)]
mod tests;
