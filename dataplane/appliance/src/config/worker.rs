//! `[worker]` and `[log]`: where the core runs, how it idles, and what is told.

use tracing::level_filters::LevelFilter;

use super::section::{Ledger, Section};
use crate::limits::{SPIN_US, SPIN_US_MAX};

/// The thread that polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    /// The number of its core; the last one that the process may use if there is none.
    pub(crate) core: Option<usize>,
    /// Microseconds without work before it sleeps.
    pub(crate) spin_us: u32,
}

/// The kernel's own bound, `NR_CPUS` of x86-64.
const CORE_MAX: usize = 8_191;

/// Reads `[worker]`.
pub(crate) fn read(section: Section<'_>, ledger: &mut Ledger) -> Option<Worker> {
    let has_core = section.find("core", ledger).is_some();
    let core = section.number("core", 0, 0..=CORE_MAX, ledger);
    let spin = section.number("spin_us", SPIN_US, 0..=SPIN_US_MAX, ledger);
    Some(Worker { core: Some(core?.value).filter(|_| has_core), spin_us: spin?.value })
}

const LEVELS: &[(&str, LevelFilter)] = &[
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
];

/// Reads `[log]`.
pub(crate) fn log(section: Section<'_>, ledger: &mut Ledger) -> Option<LevelFilter> {
    section.choice("level", LevelFilter::INFO, LEVELS, ledger).map(|at| at.value)
}
