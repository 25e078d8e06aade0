//! What a configuration means: everything that `run` does, and what it takes.

mod memory;
mod show;

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use crate::config::{Interface, Listener, Memory, Service, Worker};
use crate::documents::Catalogue;

pub(crate) use memory::{huge_pages, rows as memory_rows, sum as memory_sum};

/// A configuration that was found right.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) interface: Interface,
    pub(crate) memory: Memory,
    pub(crate) stack: stack::Config,
    pub(crate) service: Service,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) document_root: Option<PathBuf>,
    pub(crate) catalogue: Catalogue,
    pub(crate) worker: Worker,
    pub(crate) log_level: LevelFilter,
}
