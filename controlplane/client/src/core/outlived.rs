//! What was held in an epoch that is over, of a master whose successor grants nothing before every
//! lease of then is over.
//!
//! Its owners keep it for the rest of the lease that they had, and no answer of the new master makes
//! that longer. Nothing of it is released, for the new master knows of no such grant.

use base::{Duration, Instant};
use protocol::{Epoch, Token, WAITS_OUT, Welcome};

use super::Core;
use super::held::Held;
use crate::authority::{Authority, Ended};
use crate::event::Event;

/// Ports of the last epoch that are held yet.
#[derive(Debug)]
pub(super) struct Outlived {
    epoch: Epoch,
    authority: Authority,
    held: Held,
}

impl Core {
    /// Whether what was held before a new epoch is held for the rest of its lease: the master says
    /// so, and waits for leases as long as ours was, on clocks that run as far apart.
    pub(super) fn is_waited_out(&self, welcome: &Welcome<'_>) -> bool {
        let lease = Duration::from_millis(welcome.lease_ms.into());
        let exclusion = Duration::from_millis(welcome.exclusion_ms.into());
        let is_as_long = lease >= self.lease && exclusion >= self.exclusion;
        welcome.features & WAITS_OUT != 0 && is_as_long
    }

    /// The epoch ends in which the session held its ports.
    pub(super) fn outlive(&mut self, authority: Authority, epoch: Epoch) {
        if self.held.is_empty() {
            authority.end(Ended::NewEpoch);
            return;
        }
        // Something was granted in it, so every lease of before it is over.
        self.end_outlived(Ended::Lapsed);
        authority.leave();
        let held = std::mem::take(&mut self.held);
        self.outlived = Some(Outlived { epoch, authority, held });
    }

    pub(super) fn outlived_due(&self) -> Option<Instant> {
        self.outlived.as_ref()?.authority.deadline()
    }

    /// Whether the rest of the lease is over.
    pub(super) fn check_outlived(&mut self, now: Instant) {
        let is_over = |old: &Outlived| old.authority.remaining(now) == Duration::ZERO;
        if self.outlived.as_ref().is_some_and(is_over) {
            self.end_outlived(Ended::Lapsed);
        }
    }

    /// Nothing of an earlier epoch is held any more, and that is told if something was.
    pub(super) fn end_outlived(&mut self, why: Ended) {
        let ports = self.drop_outlived(why);
        if ports > 0 {
            self.tell(Event::Lapsed { ports });
        }
    }

    /// As `end_outlived`; says how many ports it were, and nobody is told.
    pub(super) fn drop_outlived(&mut self, why: Ended) -> usize {
        let Some(Outlived { authority, held, .. }) = self.outlived.take() else {
            return 0;
        };
        authority.end(why);
        held.len()
    }

    /// A port of an earlier epoch is let go; there is nobody to be told.
    pub(super) fn let_go_outlived(&mut self, name: &str, token: Token) {
        let Some(old) = self.outlived.as_mut().filter(|old| old.epoch == token.epoch) else {
            return;
        };
        old.held.remove(name, token.sequence);
        if old.held.is_empty() {
            self.outlived = None;
        }
    }
}
