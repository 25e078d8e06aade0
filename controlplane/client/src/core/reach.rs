//! Which endpoints are not reached, and whether it is of any use to go on trying.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Core;
use super::conn::ConnId;
use super::requests::Parts;
use crate::error::RequestError;
use crate::event::Done;
use crate::trouble::Trouble;

/// Endpoints whose last attempt met a trouble that stays.
#[derive(Debug, Default)]
pub(super) struct Reach {
    finals: BTreeMap<Arc<str>, Trouble>,
}

impl Reach {
    /// An attempt failed.
    fn on_failed(&mut self, endpoint: &Arc<str>, trouble: &Trouble) {
        if trouble.is_final() {
            self.finals.insert(Arc::clone(endpoint), trouble.clone());
        } else {
            self.finals.remove(endpoint);
        }
    }

    /// An attempt did not.
    pub(super) fn on_reached(&mut self, endpoint: &str) {
        self.finals.remove(endpoint);
    }

    /// Whether no endpoint of these is of any use.
    fn is_hopeless(&self, endpoints: &[Arc<str>]) -> bool {
        endpoints.iter().all(|endpoint| self.finals.contains_key(endpoint))
    }
}

impl Core {
    /// Keeps what a connection met. Where every endpoint has met what trying again does not mend,
    /// those who wait for the connection are told.
    pub(super) fn note_trouble(&mut self, id: ConnId, trouble: Trouble) {
        let attempt = self.conn(id).filter(|conn| !conn.is_ready());
        let endpoint = attempt.map(|conn| Arc::clone(&conn.endpoint));
        if let Some(endpoint) = endpoint.filter(|endpoint| self.endpoints.contains(endpoint)) {
            self.reach.on_failed(&endpoint, &trouble);
            if self.reach.is_hopeless(&self.endpoints) {
                self.fail_connects(&trouble);
            }
        }
        self.trouble = Some(trouble);
    }

    fn fail_connects(&mut self, trouble: &Trouble) {
        let connects = self.requests.iter().filter(|(_request, pending)| pending.is_connect());
        let mut connects: Vec<u64> = connects.map(|(request, _pending)| *request).collect();
        connects.sort_unstable();
        for request in connects {
            let unreached = RequestError::Unreached { trouble: trouble.clone() };
            self.settle_solo(request, Done::Failed(unreached));
        }
    }
}

impl super::requests::Pending {
    const fn is_connect(&self) -> bool {
        matches!(self.parts, Parts::Connect)
    }
}
