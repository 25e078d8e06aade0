//! Listing what is held.

use super::Shard;
use crate::table::{Listed, Port};

impl Shard {
    /// Shows held ports, as the table does.
    pub(crate) fn list(
        &self,
        cursor: u64,
        count_max: u32,
        prefix: &[u8],
        visit: &mut impl FnMut(Port, &[u8]),
    ) -> Listed {
        self.table.list(cursor, count_max, prefix, &self.slots, visit)
    }

    /// The node that holds a port which was shown a moment ago.
    pub(crate) fn node_of(&self, port: Port) -> u32 {
        self.slots.node(port.slot)
    }
}
