//! What a run came to: every counter that is not zero.

use std::fmt;

use engine::Engine;
use gateway::Gateway;
use nic::QueuePair;

/// Counters by the crate that counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    groups: Vec<(&'static str, Vec<(&'static str, u64)>)>,
}

impl Summary {
    /// The counters of an engine as they stand.
    pub(crate) fn of<Q: QueuePair>(engine: &Engine<Q, Gateway>) -> Self {
        let (stack, core) = (engine.stack(), engine.stack().core());
        let mut summary = Self::default();
        summary.add("queue", stack.queue().counters().rows());
        summary.add("stack", core.counters().iter());
        summary.add("ip", ip_rows(core.ip().counters()));
        summary.add("udp", core.udp().counters().iter());
        summary.add("tcp", core.tcp().counters().iter());
        summary.add("gateway", engine.service().counters().iter());
        summary
    }

    fn add(&mut self, group: &'static str, rows: impl Iterator<Item = (&'static str, u64)>) {
        self.groups.push((group, rows.filter(|(_, value)| *value > 0).collect()));
    }

    /// The value of a counter; zero where it is not in the summary.
    #[cfg(test)]
    pub(crate) fn value(&self, name: &str) -> u64 {
        let rows = self.groups.iter().flat_map(|(_, rows)| rows);
        rows.filter(|row| row.0 == name).map(|row| row.1).sum()
    }
}

impl fmt::Display for Summary {
    /// `summary:`, and a line for each crate that has counted something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("summary:")?;
        for (group, rows) in self.groups.iter().filter(|(_, rows)| !rows.is_empty()) {
            let rows: Vec<_> = rows.iter().map(|(name, value)| format!("{name} {value}")).collect();
            write!(f, "\n  {group}: {}", rows.join(", "))?;
        }
        Ok(())
    }
}

/// `ip` names its drops only. Its other counters are named here as its fields are.
fn ip_rows(counters: &ip::Counters) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    [
        ("ip_delivered", counters.delivered),
        ("ip_errors_delivered", counters.errors_delivered),
        ("ip_neighbour_replies", counters.neighbour_replies),
        ("ip_echo_replies", counters.echo_replies),
        ("ip_errors_sent", counters.errors_sent),
        ("ip_errors_limited", counters.errors_limited),
        ("ip_errors_forbidden", counters.errors_forbidden),
        ("ip_solicitations", counters.solicitations),
        ("ip_announcements", counters.announcements),
        ("ip_neighbours_changed", counters.neighbours_changed),
        ("ip_neighbours_failed", counters.neighbours_failed),
        ("ip_neighbours_evicted", counters.neighbours_evicted),
        ("ip_neighbours_refused", counters.neighbours_refused),
        ("ip_neighbour_claims_ignored", counters.neighbour_claims_ignored),
        ("ip_parked", counters.parked),
        ("ip_parked_dropped", counters.parked_dropped),
    ]
    .into_iter()
    .chain(ip::DropReason::ALL.map(|reason| (reason.name(), counters.drops(reason))))
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn what_is_zero_is_not_shown() {
        let mut summary = Summary::default();
        summary.add("ip", [("drops", 0)].into_iter());
        summary.add("tcp", [("accepted", 2), ("resets", 0), ("bytes", 7)].into_iter());
        assert_eq!(summary.to_string(), "summary:\n  tcp: accepted 2, bytes 7");
    }
}
