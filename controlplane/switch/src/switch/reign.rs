//! What a switch does about those before it: its grace, epochs of others, and who may come in from
//! now on.
//!
//! A switch that starts knows no port, and sessions of the one before may act as owners until their
//! leases are over. In the grace it therefore grants nothing, and says of no port that it is free.

use base::{Duration, Instant};
use protocol::{Epoch, ErrorFrame};

use super::Switch;
use crate::access::AccessEntry;
use crate::config::SwitchError;
use crate::connection::{ConnId, Phase};
use crate::limits::ACCESS_MAX;
use crate::refusal;

/// Since when, and after whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reign {
    grace_until: Instant,
    /// The highest epoch that somebody who may come in has heard of lately.
    epoch_seen: Epoch,
}

impl Reign {
    pub(super) fn new(grace_until: Instant) -> Self {
        Self { grace_until, epoch_seen: Epoch(0) }
    }
}

impl Switch {
    /// How long nothing is granted yet; zero once the grace is over.
    #[must_use]
    pub fn grace_left(&self, now: Instant) -> Duration {
        self.reign.grace_until.saturating_since(self.now.max(now))
    }

    /// The epoch that it is master in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.identity.epoch
    }

    /// The highest epoch above its own that somebody who may come in has heard of since this was
    /// asked last, if any: another switch was master after this one, or is. Who knows of it is
    /// refused.
    pub fn take_epoch_ahead(&mut self) -> Option<Epoch> {
        let seen = std::mem::replace(&mut self.reign.epoch_seen, Epoch(0));
        Some(seen).filter(|seen| *seen > self.identity.epoch)
    }

    /// Begins a higher epoch. It has granted nothing in its own, so there is no grant that the new
    /// epoch would have to know of; everybody comes back.
    ///
    /// # Panics
    /// If the grace is over, or the epoch is not above its own.
    pub fn raise_epoch(&mut self, epoch: Epoch, now: Instant) {
        self.advance(now);
        assert!(self.is_in_grace(), "the grace is over: {epoch:?} may not begin");
        assert!(epoch > self.identity.epoch, "{epoch:?} is not above {:?}", self.identity.epoch);
        self.identity.epoch = epoch;
        self.close_if(|_switch, _conn| Some(refusal::STALE));
    }

    /// Who may come in from now on, and what those who are in may do: an entry with the same nodes
    /// and the same proof takes the place of the one that they came in by. Those of whom there is
    /// none, or whose role is above it, have to come back.
    ///
    /// # Errors
    /// The list is too long.
    pub fn set_access(
        &mut self,
        access: Vec<AccessEntry>,
        now: Instant,
    ) -> Result<(), SwitchError> {
        self.advance(now);
        if access.len() > ACCESS_MAX {
            return Err(SwitchError::Access(access.len()));
        }
        let old = std::mem::replace(&mut self.config.access, access);
        self.close_if(|switch, conn| {
            let connection = switch.connections.at_mut(conn);
            let entry = &old[connection.access as usize];
            let is_same = |new: &AccessEntry| new.nodes == entry.nodes && new.proof == entry.proof;
            let Some(index) = switch.config.access.iter().position(is_same) else {
                return Some(refusal::UNAUTHENTICATED);
            };
            let new = &switch.config.access[index];
            if connection.role > new.role {
                return Some(refusal::FORBIDDEN_ROLE);
            }
            connection.access = u32::try_from(index).expect("the list is bounded");
            connection.queue_len_max = new.quota.queue_len_max;
            None
        });
        Ok(())
    }

    /// Closes those that have come in and for whom there is an error.
    fn close_if(&mut self, error_of: impl Fn(&mut Self, ConnId) -> Option<ErrorFrame<'static>>) {
        for conn in (0..self.connections.end()).map(ConnId) {
            match self.connections.at(conn).phase {
                Phase::Open => {
                    if let Some(error) = error_of(self, conn) {
                        self.refuse(conn, 0, &error);
                    }
                }
                Phase::Greeted | Phase::Closing | Phase::Closed => {}
            }
        }
    }

    pub(super) fn note_epoch(&mut self, seen: Epoch) {
        self.reign.epoch_seen = self.reign.epoch_seen.max(seen);
    }

    pub(super) fn is_in_grace(&self) -> bool {
        self.now < self.reign.grace_until
    }

    /// Refuses what would grant something while an earlier lease may run.
    pub(super) fn require_no_grace(&self) -> Result<(), ErrorFrame<'static>> {
        if !self.is_in_grace() {
            return Ok(());
        }
        let left = self.reign.grace_until.saturating_since(self.now);
        Err(refusal::grace(left.as_nanos().div_ceil(1_000_000)))
    }
}

#[cfg(test)]
mod tests;
