//! What a configuration means: everything that `run` does, and what it takes.

mod memory;
mod show;

use std::path::PathBuf;

use loader::{Prefix, Rule, SynBudget};
use tracing::level_filters::LevelFilter;

use crate::config::{Interface, Listener, Memory, Service, Workers};
use crate::documents::Catalogue;

pub(crate) use memory::{huge_pages, rows as memory_rows, sum as memory_sum};

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
    pub(crate) document_root: Option<PathBuf>,
    pub(crate) catalogue: Catalogue,
    pub(crate) workers: Workers,
    pub(crate) access: Vec<(Prefix, Rule)>,
    pub(crate) syn_budget: SynBudget,
    pub(crate) log_level: LevelFilter,
}
