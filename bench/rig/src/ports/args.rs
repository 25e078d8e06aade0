//! The arguments of `ports`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::{Cores, number, seconds};
use crate::error::Error;
use crate::limits::{
    PORTS_BATCH_MAX, PORTS_CONNECTIONS_MAX, PORTS_MAX, PORTS_NAME_BYTES_MAX, PORTS_NAME_BYTES_MIN,
    PORTS_QUICK_MAX, PORTS_WINDOW_MAX, PORTS_WORKERS_MAX, QUICK_ROUNDS_MAX, QUICK_SECONDS_MAX,
    ROUNDS_MAX,
};
use crate::ports::names::Names;

/// Whom `ports` can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PortsPeer {
    /// Redis on the same core, pipelined as deep as is best for it, nothing kept on a disk
    Redis,
    /// etcd on the same core, one node, no fsync: what a store that replicates costs, for context
    Etcd,
}

/// Arguments of `ports`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct PortsArgs {
    /// Ports that are registered, queried and unregistered
    #[arg(long, value_name = "N", default_value = "10000000", value_parser = clap::value_parser!(u64).range(1..=PORTS_MAX))]
    pub(crate) ports: u64,
    /// Bytes of a name
    #[arg(long, value_name = "B", default_value = "16", value_parser = clap::value_parser!(u32).range(bounds(PORTS_NAME_BYTES_MIN, PORTS_NAME_BYTES_MAX)))]
    pub(crate) name_bytes: u32,
    /// Ports of one request
    #[arg(long, value_name = "K", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=i64::from(PORTS_BATCH_MAX)))]
    pub(crate) batch: u32,
    /// Connections of the session that requests are sent on
    #[arg(long, value_name = "C", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=i64::from(PORTS_CONNECTIONS_MAX)))]
    pub(crate) connections: u32,
    /// Requests under way on each of them
    #[arg(long, value_name = "W", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=i64::from(PORTS_WINDOW_MAX)))]
    pub(crate) window: u32,
    /// Threads of ours that move bytes: one holds the switch too, beside several another does
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=i64::from(PORTS_WORKERS_MAX)))]
    pub(crate) workers: u8,
    /// Cores that a server may use: its own, or the client's too, which never sleeps while it waits
    #[arg(long, value_enum, value_name = "N", default_value = "1")]
    pub(crate) server_cores: Cores,
    /// In each round: all ports are registered, queried and unregistered again and again for so many
    /// seconds, but at least twice by us and once by a peer; single requests are timed for a fifth of
    /// that
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    #[serde(serialize_with = "number")]
    pub(crate) seconds: f64,
    /// Rounds; ours and each peer's alternate within every one
    #[arg(long, value_name = "R", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// Two numbers of ports, of which the memory a port is taken: as their difference, and whole
    #[arg(long, value_name = "N1,N2", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=PORTS_MAX))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) memory: Vec<u64>,
    /// The peers to compare with, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PEER")]
    pub(crate) vs: Vec<PortsPeer>,
    /// Fewer ports, at most 0.1 s and two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

fn bounds(min: usize, max: usize) -> std::ops::RangeInclusive<i64> {
    let bound = |len| i64::try_from(len).expect("lengths of names are small");
    bound(min)..=bound(max)
}

impl PortsArgs {
    /// What `--quick` makes of the other arguments; fails if they make no sense together.
    pub(crate) fn settled(mut self) -> Result<Self, Error> {
        if self.quick {
            self.ports = self.ports.min(PORTS_QUICK_MAX);
            for (ports, times) in self.memory.iter_mut().zip(1..) {
                *ports = (*ports).min(times * PORTS_QUICK_MAX);
            }
            self.seconds = self.seconds.min(QUICK_SECONDS_MAX);
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        let most = self.memory.iter().copied().fold(self.ports, u64::max);
        let names = Names::new(self.name_len()).count();
        if most > names {
            return Err(Error::BadArguments {
                wrong: format!("--name-bytes {} has no {most} different names", self.name_bytes),
                right: format!("use at most {names} ports, or longer names"),
            });
        }
        let is_memory_right = match self.memory[..] {
            [] => true,
            [small, large] => small < large,
            _ => false,
        };
        if !is_memory_right {
            return Err(Error::BadArguments {
                wrong: format!("--memory has {:?}, and no difference to divide by", self.memory),
                right: "name two numbers of ports, the smaller one first".to_owned(),
            });
        }
        let twice =
            self.vs.iter().enumerate().find(|&(index, peer)| self.vs[..index].contains(peer));
        if let Some((_, peer)) = twice {
            return Err(Error::BadArguments {
                wrong: format!("--vs names {peer:?} twice").to_lowercase(),
                right: "name each peer once".to_owned(),
            });
        }
        Ok(self)
    }

    pub(crate) fn name_len(&self) -> usize {
        usize::try_from(self.name_bytes).expect("32 bits fit a usize")
    }
}
