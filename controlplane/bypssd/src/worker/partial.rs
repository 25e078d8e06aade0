//! Frames that are half received, or wait for answers to leave: how many bytes they are, who pays when
//! they are too many, and whose rest does not come.
//!
//! Their memory is one bound for all connections, so it must not be a means to lock others out. Who
//! sends a frame at the wrong moment has done nothing: when the bound is met, the node that has the
//! most pays, with its longest ones first. And what is kept for a frame that does not go on is given
//! back after a time.

use std::collections::BTreeMap;

use base::Instant;

use super::Worker;
use super::connection::{Key, Source, State};
use super::service::Service;
use crate::limits::{PARTIAL_FREED_DIVISOR, PARTIAL_PROGRESS_LEN};

/// Who answers for a connection: its node, or where it comes from as long as it has not said who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Payer {
    Node(u32),
    Source(Source),
}

impl<S: Service> Worker<S> {
    /// Counts what a connection keeps, which was so much before.
    pub(super) fn note_partial(&mut self, index: u32, before: usize) {
        let now = self.connections.at(index).map_or(0, |connection| connection.partial.len());
        self.partial_len = self.partial_len + now as u64 - before as u64;
    }

    /// Counts what the service keeps of a connection, which is read again once that is nothing.
    pub(super) fn note_kept(&mut self, index: u32) {
        let now = self.service.kept_len(index);
        let Some(connection) = self.connections.at(index) else { return };
        let before = std::mem::replace(&mut connection.kept, now);
        self.partial_len = self.partial_len + now as u64 - before as u64;
        if before > 0 && now == 0 {
            self.queue_read(index);
        }
    }

    /// Gives a half frame its deadline, if there is one that has none.
    pub(super) fn time_partial(&mut self, index: u32, now: Instant) {
        let Some(connection) = self.connections.at(index) else { return };
        if connection.partial.is_empty() || std::mem::replace(&mut connection.is_timed, true) {
            return;
        }
        connection.progress = 0;
        let key = self.connections.key(index);
        self.deadlines.partial(key, now);
    }

    /// Ends a connection whose half frame has made no progress in its time.
    pub(super) fn look_at_partial(&mut self, key: Key, now: Instant) {
        let Some(connection) = self.connections.find(key) else { return };
        connection.is_timed = false;
        // One that is not read cannot make any.
        let is_waiting = connection.state == State::Open && !connection.is_stopped();
        let is_partial = is_waiting && !connection.partial.is_empty();
        if is_partial && connection.progress < PARTIAL_PROGRESS_LEN {
            self.counters.closed_partial_late += 1;
            return self.close(key.index);
        }
        self.time_partial(key.index, now);
    }

    /// Ends connections of the node that keeps the most bytes, the longest first, and of the next
    /// when that has less, until there is room again for some time.
    pub(super) fn end_hoarders(&mut self) {
        let mut kept: BTreeMap<Payer, (usize, Vec<(usize, u32)>)> = BTreeMap::new();
        for (index, connection) in self.connections.iter() {
            let len = connection.held_len();
            if len == 0 {
                continue;
            }
            let node = if connection.is_served() { self.service.node(index) } else { None };
            let payer = node.map_or(Payer::Source(connection.source), Payer::Node);
            let (sum, each) = kept.entry(payer).or_default();
            *sum += len;
            each.push((len, index));
        }
        kept.values_mut().for_each(|(_sum, each)| each.sort_unstable());
        let enough = self.partial_len_max - self.partial_len_max / PARTIAL_FREED_DIVISOR;
        while self.partial_len > enough {
            let Some((sum, each)) = kept.values_mut().max_by_key(|(sum, _each)| *sum) else {
                return;
            };
            let Some((len, index)) = each.pop() else { return };
            *sum -= len;
            self.counters.closed_partial_full += 1;
            self.close(index);
        }
    }
}
