//! `[gateway]`: how many connections may be in the middle of something.

use gateway::limits::{HEADS_MAX_DEFAULT, SESSIONS_MAX, SESSIONS_MAX_DEFAULT};
use settings::{Ledger, Section};

use super::workers::Workers;

/// The pools of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) sessions: u32,
    pub(crate) heads: u32,
}

impl Service {
    /// The pools of one worker.
    pub(crate) fn of_one(self, workers: &Workers) -> Self {
        let Self { sessions, heads } = self;
        Self { sessions: workers.share(sessions), heads: workers.share(heads) }
    }
}

/// Reads the section. `connections` is known where `[tcp]` is right; few of them need no more
/// sessions than themselves.
pub(crate) fn read(
    section: Section<'_>,
    connections: Option<u32>,
    ledger: &mut Ledger<'_>,
) -> Option<Service> {
    let most = connections.unwrap_or(SESSIONS_MAX);
    let (sessions, heads) = (SESSIONS_MAX_DEFAULT.min(most), HEADS_MAX_DEFAULT.min(most));
    let sessions = section.number("sessions", sessions, 1..=SESSIONS_MAX, ledger);
    let heads = section.number("heads", heads, 1..=SESSIONS_MAX, ledger);
    Some(Service { sessions: sessions?.value, heads: heads?.value })
}
