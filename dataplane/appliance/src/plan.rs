//! What a configuration means: everything that `run` does, and what it takes.

mod memory;
mod show;

use std::path::PathBuf;

use base::Duration;
use gateway::HttpLimits;
use loader::{Prefix, Rule, SynBudget};
use logging::Log;

use crate::access_log::Settings;
use crate::config::{Interface, Listener, Memory, Service, Workers};
use crate::documents::Catalogue;
use crate::host::Machine;

pub(crate) use memory::{huge_pages, rows as memory_rows, sum as memory_sum};

/// What the file says for all workers together.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) tcp: tcp::Config,
    pub(crate) service: Service,
    pub(crate) listeners: Vec<Listener>,
}

/// A configuration that was found right.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The name under which the tools find it.
    pub(crate) instance: String,
    pub(crate) interface: Interface,
    pub(crate) memory: Memory,
    /// Of one worker: its share of every table.
    pub(crate) stack: stack::Config,
    /// Of one worker.
    pub(crate) service: Service,
    /// As each worker has them.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) http: HttpLimits,
    pub(crate) document_root: Option<PathBuf>,
    pub(crate) catalogue: Catalogue,
    /// What the workers share.
    pub(crate) whole: Whole,
    pub(crate) workers: Workers,
    pub(crate) access: Vec<(Prefix, Rule)>,
    pub(crate) syn_budget: SynBudget,
    pub(crate) log: Log,
    /// Where requests are told of, if anywhere.
    pub(crate) access_log: Option<Settings>,
    /// How long connections have to end once a signal asks for it; zero is not at all.
    pub(crate) drain: Duration,
    /// What the machine had when the plan was made.
    pub(crate) machine: Machine,
}
