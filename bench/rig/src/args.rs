//! The command line: every argument with its bounds, its default and its meaning.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Serialize, Serializer};

use crate::cable::Attach;
use crate::error::Error;
use crate::forwarder::args::WireArgs;
use crate::http::args::{HttpArgs, IdleArgs, IdleHolderArgs};
use crate::limits::{
    CONNECTIONS_MAX, IN_FLIGHT_MAX, QUICK_ROUNDS_MAX, QUICK_SECONDS_MAX, ROUNDS_MAX, SECONDS_MAX,
    SIZE_MAX, SIZE_MIN,
};
use crate::listing::args::{ListerArgs, ListingArgs};
use crate::messages::args::MessagesArgs;
use crate::ports::args::PortsArgs;
use crate::ports::death::args::DeathArgs;
use crate::report;
use crate::table::args::TableArgs;

/// Measures Abele, its peers and the machine they run on, and checks every result.
///
/// Exit code 0: ran and was correct; 1: wrong result; 2: bad arguments; 3: the machine lacks
/// something; 130: interrupted.
#[derive(Debug, Parser)]
#[command(name = "abele-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One benchmark each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// What this machine can do at best: memory, two cores, the kernel's own share, bare frames
    Limits(LimitsArgs),
    /// Request-response over TCP: one request outstanding per connection, closed loop
    Rr(RrArgs),
    /// The wire between two interfaces, with faults: any two ends can cross it
    ///
    /// Chances are in percent, each drawn for itself and for each direction. It ends with a signal
    /// or after `--for`, and prints one JSON object.
    Wire(WireArgs),
    /// Connect, exchange 64 bytes, close: as often as it goes
    Connect(ConnectArgs),
    /// Requests of wrk per CPU-second of the serving core: the gateway, and nginx beside it
    Http(HttpArgs),
    /// What a gateway costs whose connections are silent, and the first request after that
    Idle(IdleArgs),
    /// What a tool that lists all connections, again and again, takes from the round trips beside it
    Listing(ListingArgs),
    /// Ports a second and core in the switch's table alone, bytes of a port, and the longest call
    Table(TableArgs),
    /// Names a core of the switch registers, finds and releases in a second: and Redis beside it
    Ports(PortsArgs),
    /// Messages a core of the switch routes in a second, and requests one by one: and nats-server
    Messages(MessagesArgs),
    /// A node dies that holds millions of ports: when they are free, and what others wait meanwhile
    Death(DeathArgs),
    /// The process that runs the tool of `listing`; started by it, not by hand
    #[command(hide = true)]
    Lister(ListerArgs),
    /// One of the processes that hold the connections of `idle`; started by it, not by hand
    #[command(hide = true)]
    IdleHolder(IdleHolderArgs),
    /// The serving process of the kernel peer of `connect`; started by it, not by hand
    #[command(hide = true)]
    ConnectKernelServer(ConnectServerArgs),
    /// The serving process of the kernel peer of `rr`; started by it, not by hand
    #[command(hide = true)]
    RrKernelServer(KernelServerArgs),
    /// Our serving process of `--queue veth`; started by it, not by hand
    #[command(hide = true)]
    VethServer(VethServerArgs),
}

/// Arguments of `limits`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct LimitsArgs {
    /// Seconds for each figure in each round
    #[arg(long, value_name = "S", default_value = "0.3", value_parser = seconds)]
    #[serde(serialize_with = "number")]
    pub(crate) seconds: f64,
    /// Rounds; each figure is the median of them
    #[arg(long, value_name = "R", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// A table of 64 MiB instead of 1 GiB and hundredths of seconds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

/// Arguments of every benchmark that compares sides in rounds.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct RoundArgs {
    /// What carries the frames, and whose TCP speaks over it
    #[arg(long, value_enum)]
    pub(crate) queue: Queue,
    /// 1: both ends on one core; 2: one core each
    #[arg(long, value_enum, default_value = "2")]
    pub(crate) cores: Cores,
    /// Seconds measured for each side in each round, after a warm-up of a tenth of it
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    #[serde(serialize_with = "number")]
    pub(crate) seconds: f64,
    /// Rounds; ours and each peer's alternate within every one
    #[arg(long, value_name = "R", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// The peers to compare with, separated by commas; `--queue kernel --vs kernel` shows what
    /// ratio the machine's noise alone makes
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER")]
    pub(crate) vs: Vec<PeerName>,
    /// Where our XDP programs run with `--queue veth`, if not where it is faster
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attach: Option<Attach>,
    /// At most 0.1 s a round and two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

/// Arguments of `rr`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct RrArgs {
    /// Connections, each with one request outstanding
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub(crate) connections: u32,
    /// Bytes of a request, and of its answer
    #[arg(long, value_name = "B", default_value = "64", value_parser = clap::value_parser!(u32).range(i64::from(SIZE_MIN)..=i64::from(SIZE_MAX)))]
    pub(crate) size: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) rounds: RoundArgs,
}

/// Arguments of `connect`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct ConnectArgs {
    /// Connections at once; each begins anew when it has closed
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=i64::from(IN_FLIGHT_MAX)))]
    pub(crate) connections: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) rounds: RoundArgs,
}

/// Arguments of the kernel peer's serving process.
#[derive(Clone, Debug, Args)]
pub(crate) struct KernelServerArgs {
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: usize,
    /// How many connections will come
    #[arg(long)]
    pub(crate) connections: u32,
    /// Bytes of a message
    #[arg(long)]
    pub(crate) size: u32,
    /// The address to listen on
    #[arg(long)]
    pub(crate) bind: Ipv4Addr,
    /// Sleep while idle instead of spinning
    #[arg(long)]
    pub(crate) block: bool,
}

/// Arguments of the serving process of `connect`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectServerArgs {
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: usize,
    /// How many connections will be open at once
    #[arg(long)]
    pub(crate) connections: u32,
    /// The address to listen on
    #[arg(long)]
    pub(crate) bind: Ipv4Addr,
    /// Sleep while idle instead of spinning
    #[arg(long)]
    pub(crate) block: bool,
}

/// Arguments of our serving process at the far end of a cable.
#[derive(Clone, Debug, Args)]
pub(crate) struct VethServerArgs {
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: usize,
    /// Where the XDP program runs
    #[arg(long, value_enum)]
    pub(crate) attach: Attach,
    /// Send frames back as they come, without a stack
    #[arg(long)]
    pub(crate) l2: bool,
    /// How many connections live at once
    #[arg(long, default_value = "0")]
    pub(crate) connections: u32,
    /// How many tuples rest in TIME-WAIT
    #[arg(long, default_value = "1")]
    pub(crate) time_wait: u32,
    /// How many addresses are served
    #[arg(long, default_value = "1")]
    pub(crate) servers: u8,
}

/// What a benchmark runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Queue {
    /// The kernel's TCP over loopback, alone
    Kernel,
    /// Our stack at both ends, joined in memory
    Mem,
    /// Our stack at both ends, over AF_XDP and a veth pair between two network namespaces: as root
    Veth,
}

/// Whom `rr` can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeerName {
    /// The kernel's TCP over loopback, or with `--queue veth` over the same veth pair: a pinned
    /// epoll server and client, tuned
    Kernel,
}

/// Cores for the two ends together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cores {
    /// Both ends on one core
    #[value(name = "1")]
    One,
    /// One core each
    #[value(name = "2")]
    Two,
}

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::One => 1,
            Self::Two => 2,
        })
    }
}

impl LimitsArgs {
    /// What `--quick` makes of the other arguments.
    pub(crate) fn settled(mut self) -> Self {
        if self.quick {
            self.seconds = self.seconds.min(QUICK_SECONDS_MAX / 5.0);
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        self
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

impl RoundArgs {
    /// What `--quick` makes of the other arguments; fails if they make no sense together.
    fn settle(&mut self) -> Result<(), Error> {
        if self.quick {
            self.seconds = self.seconds.min(QUICK_SECONDS_MAX);
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        let twice =
            self.vs.iter().enumerate().find(|&(index, peer)| self.vs[..index].contains(peer));
        if let Some((_, peer)) = twice {
            return Err(Error::BadArguments {
                wrong: format!("--vs names {peer:?} twice").to_lowercase(),
                right: "name each peer once".to_owned(),
            });
        }
        if self.queue == Queue::Veth && self.cores == Cores::One {
            return Err(Error::BadArguments {
                wrong: "--queue veth spins in a process at each end".to_owned(),
                right: "give each a core: --cores 2".to_owned(),
            });
        }
        Ok(())
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

impl RrArgs {
    /// See [`RoundArgs::settle`].
    pub(crate) fn settled(mut self) -> Result<Self, Error> {
        self.rounds.settle()?;
        Ok(self)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        usize::try_from(self.size).expect("SIZE_MAX fits any usize")
    }
}

impl ConnectArgs {
    /// See [`RoundArgs::settle`].
    pub(crate) fn settled(mut self) -> Result<Self, Error> {
        self.rounds.settle()?;
        Ok(self)
    }
}

/// A number of seconds, within the bounds of a round.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => Ok(seconds),
        Ok(_) | Err(_) => {
            Err(format!("expected a number of seconds above 0 and at most {SECONDS_MAX}"))
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
pub(crate) fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    report::Number(*value).serialize(serializer)
}

#[cfg(test)]
mod tests;
