//! What watches need to know besides what is told to sessions.

use super::follow::lost;
use super::{CHUNK, Shard};
use crate::table::{Deaths, Port, Slot};

/// A look at the table as if all sessions lived.
struct NobodyIsDead;

impl Deaths for NobodyIsDead {
    fn is_dead(&self, _slot: Slot) -> bool {
        false
    }
}

impl Shard {
    /// The ports of dead sessions that the sweep has not come to, of the names of a chunk. The table
    /// grants such a port without a word if nobody follows it, and for a watch its end comes first.
    pub(super) fn ports_of_the_dead(&self, chunk: &[&[u8]]) -> [Option<Port>; CHUNK] {
        let mut ports = [None; CHUNK];
        self.table.find(chunk, &NobodyIsDead, &mut |at, found| {
            ports[at] = found.filter(|port| self.slots.is_dead(port.slot));
        });
        ports
    }

    /// Shows those who watch that the grant of a dead session is over.
    pub(super) fn see_lost(&mut self, port: Port, name: &[u8]) {
        let (over, node) = (self.slots.over(port.slot), self.slots.node(port.slot));
        self.see(lost(over), node, port.sequence, name);
    }
}
