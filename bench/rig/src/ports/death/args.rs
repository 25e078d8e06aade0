//! The arguments of `death`.

use clap::Args;
use serde::Serialize;

use crate::args::{number, seconds};
use crate::limits::{
    DEATH_OTHERS_MAX, DEATH_PORTS_MAX, DEATH_PORTS_MIN, DEATH_RATE_MAX, PORTS_QUICK_MAX,
    QUICK_SECONDS_MAX, ROUNDS_MAX,
};

/// Arguments of `death`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct DeathArgs {
    /// Ports that the node holds which dies
    #[arg(long, value_name = "N", default_value = "10000000", value_parser = clap::value_parser!(u64).range(DEATH_PORTS_MIN..=DEATH_PORTS_MAX))]
    pub(crate) ports: u64,
    /// Other nodes, one session and one connection for requests each
    #[arg(long, value_name = "C", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=i64::from(DEATH_OTHERS_MAX)))]
    pub(crate) others: u32,
    /// Requests of one port that all of them together send in a second, answered or not
    #[arg(long, value_name = "R", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..=i64::from(DEATH_RATE_MAX)))]
    pub(crate) rate: u32,
    /// Seconds for which the others are measured before the node falls silent, and after the sweep
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    #[serde(serialize_with = "number")]
    pub(crate) seconds: f64,
    /// Rounds, each with a daemon of its own
    #[arg(long, value_name = "R", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// Fewer ports, at most 0.1 s and one round: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

impl DeathArgs {
    /// What `--quick` makes of the other arguments. One round, because each waits for a lease's end.
    pub(crate) fn settled(mut self) -> Self {
        if self.quick {
            self.ports = self.ports.min(PORTS_QUICK_MAX);
            self.seconds = self.seconds.min(QUICK_SECONDS_MAX);
            self.rounds = 1;
        }
        self
    }
}
