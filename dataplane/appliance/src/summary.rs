//! What a run came to: every counter that is not zero.

use std::fmt::{self, Write};

use engine::Engine;
use gateway::Gateway;
use nic::QueuePair;
use publisher::Counted;

use crate::drain::Drained;

/// Counters by the crate that counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    groups: Vec<(&'static str, Vec<(&'static str, u64)>)>,
}

/// What the workers came to together, and then each by itself, where there are several.
pub(crate) fn show(workers: &[Summary]) -> String {
    let mut total = Summary::default();
    workers.iter().for_each(|worker| total.merge(worker));
    let mut shown = format!("summary:{total}");
    for (number, worker) in workers.iter().enumerate().filter(|_| workers.len() > 1) {
        write!(shown, "\nworker {number}:{worker}").expect("a string takes all");
    }
    shown
}

impl Summary {
    /// The counters of an engine as they stand.
    pub(crate) fn of<Q: QueuePair>(engine: &Engine<Q, Gateway>) -> Self {
        let mut summary = Self::default();
        Counted::of(engine).each(|group, name, value| summary.add(group, name, value));
        summary
    }

    /// With what became of the connections that there were when it was asked to stop.
    pub(crate) fn with_drained(mut self, drained: Drained) -> Self {
        let Drained { finished, cut } = drained;
        self.add("drain", "drain_finished", finished);
        self.add("drain", "drain_cut", cut);
        self
    }

    fn add(&mut self, group: &'static str, name: &'static str, value: u64) {
        match self.groups.last_mut().filter(|(last, _)| *last == group) {
            Some((_, rows)) => rows.push((name, value)),
            None => self.groups.push((group, vec![(name, value)])),
        }
    }

    /// Adds the counters of another engine, which are the same.
    fn merge(&mut self, other: &Self) {
        if self.groups.is_empty() {
            self.groups.clone_from(&other.groups);
            return;
        }
        for ((_, rows), (_, others)) in self.groups.iter_mut().zip(&other.groups) {
            rows.iter_mut().zip(others).for_each(|(row, other)| row.1 += other.1);
        }
    }

    /// The value of a counter; zero where it is not in the summary.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str) -> u64 {
        let rows = self.groups.iter().flat_map(|(_, rows)| rows);
        rows.filter(|row| row.0 == name).map(|row| row.1).sum()
    }
}

impl fmt::Display for Summary {
    /// A line for each crate that has counted something, with what is not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, rows) in &self.groups {
            let rows = rows.iter().filter(|(_, value)| *value > 0);
            let rows: Vec<_> = rows.map(|(name, value)| format!("{name} {value}")).collect();
            if !rows.is_empty() {
                write!(f, "\n  {group}: {}", rows.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Summary, show};

    fn summary(accepted: u64, resets: u64) -> Summary {
        let mut summary = Summary::default();
        summary.add("ip", "drops", 0);
        for (name, value) in [("accepted", accepted), ("resets", resets), ("bytes", 7)] {
            summary.add("tcp", name, value);
        }
        summary
    }

    #[test]
    fn what_is_zero_is_not_shown() {
        assert_eq!(show(&[summary(2, 0)]), "summary:\n  tcp: accepted 2, bytes 7");
    }

    #[test]
    fn several_workers_are_shown_together_and_each_by_itself() {
        let expected = "summary:\n  tcp: accepted 5, resets 1, bytes 14\n\
                        worker 0:\n  tcp: accepted 2, bytes 7\n\
                        worker 1:\n  tcp: accepted 3, resets 1, bytes 7";
        assert_eq!(show(&[summary(2, 0), summary(3, 1)]), expected);
    }
}
