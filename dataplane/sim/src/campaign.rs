//! Many seeds, and what they came to together.

use core::fmt;

use crate::run::{Faults, Options, Outcome, Violation, run};
use crate::scenario::Scenario;

/// What many seeds came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Seeds that were run.
    pub seeds: u64,
    /// What was injected.
    pub faults: Faults,
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes that services received, each checked.
    pub bytes: u64,
    /// Packets that arrived at another core than their own.
    pub handed_over: u64,
    /// What must not be.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Adds one seed.
    pub fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.faults.add(&outcome.faults);
        self.connections += outcome.connections;
        self.bytes += outcome.bytes;
        self.handed_over += outcome.handed_over;
        self.violations.extend(outcome.violations);
    }

    /// Adds what other seeds came to.
    pub fn merge(&mut self, other: Self) {
        let Self { seeds, faults, connections, bytes, handed_over, violations } = other;
        self.seeds += seeds;
        self.faults.add(&faults);
        self.connections += connections;
        self.bytes += bytes;
        self.handed_over += handed_over;
        self.violations.extend(violations);
    }

    /// Adds a seed that ended in a panic.
    pub fn add_panic(&mut self, seed: u64, scenario: Option<Scenario>, message: String) {
        let scenario = scenario.unwrap_or_else(|| Scenario::of_seed(seed));
        self.seeds += 1;
        self.violations.push(Violation { seed, scenario, message: format!("panic: {message}") });
    }
}

/// The last line of `cargo xtask sim`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> =
            self.faults.rows().iter().map(|(name, count)| format!("{name} {count}")).collect();
        write!(
            f,
            "seeds {}, faults injected {} ({}), violations {}",
            self.seeds,
            self.faults.total(),
            kinds.join(", "),
            self.violations.len()
        )
    }
}

/// Runs `seeds` seeds from `first_seed` on, in `scenario` or each in its own.
///
/// # Panics
/// Where the stack panics.
#[must_use]
pub fn campaign(first_seed: u64, seeds: u64, scenario: Option<Scenario>) -> Report {
    let mut report = Report::default();
    for seed in first_seed..first_seed + seeds {
        report.add(run(seed, scenario, &Options::default()));
    }
    report
}
