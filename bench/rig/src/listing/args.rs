//! The arguments of `listing`.

use clap::Args;
use serde::Serialize;

use crate::args::{Cores, number, seconds};
use crate::limits::{
    LISTING_ACTIVE_MAX, LISTING_CONNECTIONS_MAX, LISTING_QUICK_CONNECTIONS_MAX, QUICK_ROUNDS_MAX,
    QUICK_SECONDS_MAX, ROUNDS_MAX, SIZE_MAX, SIZE_MIN,
};

/// Arguments of `listing`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct ListingArgs {
    /// Connections that are open and silent
    #[arg(long, value_name = "N", default_value = "100000", value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTING_CONNECTIONS_MAX)))]
    pub(crate) connections: u32,
    /// Connections besides, each with one request outstanding
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=i64::from(LISTING_ACTIVE_MAX)))]
    pub(crate) active: u32,
    /// Bytes of a request, and of its answer
    #[arg(long, value_name = "B", default_value = "64", value_parser = clap::value_parser!(u32).range(i64::from(SIZE_MIN)..=i64::from(SIZE_MAX)))]
    pub(crate) size: u32,
    /// 1: both ends on one core; 2: one core each; the tool has one more
    #[arg(long, value_enum, default_value = "1")]
    pub(crate) cores: Cores,
    /// Seconds measured with the tool and without it in each round, after a warm-up of a tenth of it
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    #[serde(serialize_with = "number")]
    pub(crate) seconds: f64,
    /// Rounds, each a pair: with the tool and without it, in turns the one and the other first
    #[arg(long, value_name = "R", default_value = "9", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// Fewer connections, at most 0.1 s and two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

/// Arguments of the process that runs the tool.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListerArgs {
    /// The core to stay on, the tool with it
    #[arg(long)]
    pub(crate) core: usize,
    /// The instance to list
    #[arg(long)]
    pub(crate) instance: String,
}

impl ListingArgs {
    /// What `--quick` makes of the other arguments.
    pub(crate) fn settled(mut self) -> Self {
        if self.quick {
            self.connections = self.connections.min(LISTING_QUICK_CONNECTIONS_MAX);
            self.seconds = self.seconds.min(QUICK_SECONDS_MAX);
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        self
    }

    /// All that a listing must hold.
    pub(crate) fn total(&self) -> u32 {
        self.connections + self.active
    }
}
