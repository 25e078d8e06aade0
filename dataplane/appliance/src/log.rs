//! The log: lines on standard error, at start and at the end, never on the packet path.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// Sends what is logged at `level` and above to standard error, for the life of the process.
pub(crate) fn install(level: LevelFilter) {
    let is_terminal = io::stderr().is_terminal();
    let subscriber = fmt().with_max_level(level).with_writer(io::stderr).with_ansi(is_terminal);
    // By default it tells of a full disk on standard error itself, and panics when that fails.
    subscriber.with_target(false).log_internal_errors(false).init();
}
