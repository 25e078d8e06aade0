//! The arguments of `table`.

use clap::Args;
use serde::Serialize;

use crate::limits::{
    QUICK_ROUNDS_MAX, ROUNDS_MAX, TABLE_BATCH_MAX, TABLE_PORTS_MAX, TABLE_PORTS_MIN,
    TABLE_QUICK_PORTS_MAX,
};

/// Arguments of `table`.
#[derive(Clone, Debug, Args, Serialize)]
pub(crate) struct TableArgs {
    /// Ports that are held at once, with names of 16 bytes
    #[arg(long, value_name = "N", default_value = "10000000", value_parser = clap::value_parser!(u32).range(i64::from(TABLE_PORTS_MIN)..=i64::from(TABLE_PORTS_MAX)))]
    pub(crate) ports: u32,
    /// Ports that the table's memory is taken for at its start; beyond them it grows. All, if not
    /// given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(TABLE_PORTS_MAX)))]
    pub(crate) planned: Option<u32>,
    /// Names of one call
    #[arg(long, value_name = "K", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=i64::from(TABLE_BATCH_MAX)))]
    pub(crate) batch: u32,
    /// Rounds: all ports are registered, asked for, and released in each, on one table
    #[arg(long, value_name = "R", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    #[serde(skip)]
    pub(crate) rounds: u32,
    /// Fewer ports and two rounds: for tests, not for figures
    #[arg(long)]
    pub(crate) quick: bool,
    /// Make the last line of standard output one JSON object; all else goes to standard error
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: bool,
}

impl TableArgs {
    /// What `--quick` makes of the other arguments, and the plan that follows from the ports.
    pub(crate) fn settled(mut self) -> Self {
        if self.quick {
            self.ports = self.ports.min(TABLE_QUICK_PORTS_MAX);
            self.rounds = self.rounds.min(QUICK_ROUNDS_MAX);
        }
        self.planned = Some(self.planned.unwrap_or(self.ports).min(self.ports));
        self
    }

    pub(super) fn planned(&self) -> u32 {
        self.planned.unwrap_or(self.ports)
    }
}
