//! Everything that happens because time has passed.
//!
//! - A session that was silent for the exclusion is over.
//! - A connection without a `HELLO` ends after five seconds.
//! - A connection that ends, and does not take what waits for it, loses that after five seconds.
//! - What dead sessions leave is told and taken out, a slice at each call.

use base::Instant;

use super::Switch;
use crate::connection::{ConnId, Phase};
use crate::shard::Told;

impl Switch {
    /// Does what is due, and a slice of what dead sessions leave to be done. Says when it wants to
    /// be called again; at once if there is more of that.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        let now = self.advance(now);
        let mut left = std::mem::take(&mut self.lists.left);
        let told = self.shards.sweep(&mut |node| left.push(node));
        // What is told names the nodes, so none is forgotten before.
        self.tell_events();
        left.drain(..).for_each(|node| self.sessions.leave(node));
        self.lists.left = left;
        if told == Told::Part {
            return Some(now);
        }
        let ends = [self.sessions.next_end(), self.deadlines.next_end()];
        ends.into_iter().flatten().min()
    }

    /// Ends what is over by `now`, before anything else is done at that instant. Time that goes
    /// back stands still.
    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        while let Some(session) = self.sessions.due(self.now) {
            self.lapse(session);
        }
        while let Some(index) = self.deadlines.due(self.now) {
            self.handle_deadline(ConnId(index));
        }
        self.now
    }

    fn handle_deadline(&mut self, conn: ConnId) {
        match self.connections.at(conn).phase {
            Phase::Greeted => {
                self.counters.hello_timeouts += 1;
                self.shut(conn);
            }
            Phase::Closing => {
                self.deadlines.end(conn.0);
                self.count_lost(conn);
                if self.connections.forget_outgoing(conn) {
                    self.counters.linger_timeouts += 1;
                }
            }
            Phase::Closed | Phase::Open => unreachable!("{conn:?} has no deadline"),
        }
    }
}
