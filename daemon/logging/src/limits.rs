//! Bounds of the log.

use std::time::Duration;

/// Lines that wait to be written: what a start, a reload and an end tell together, many times over.
pub(crate) const LINES_MAX: usize = 1_024;

/// How long the end, and whoever waits for `ready`, waits for a log that nobody reads.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
