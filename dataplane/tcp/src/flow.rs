//! What a flow is at this moment: for tools that show it, and for tests.

use crate::connections::{Found, Tcp};
use crate::state::State;
use crate::{Conn, Tuple};

/// What is known of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// A connection in this state.
    Connection(Conn, State),
    /// A SYN has come, and our SYN-ACK is out.
    HalfOpen,
    /// The tuple rests (TIME-WAIT).
    Resting,
}

impl Tcp {
    /// What is known of the flow of `tuple`; `None` if nothing is.
    #[must_use]
    pub fn flow(&self, tuple: &Tuple) -> Option<Flow> {
        Some(match self.find(tuple, self.flow_hash(tuple))? {
            Found::Record(index) => Flow::Connection(self.conn(index), self.records[index].state()),
            Found::HalfOpen(_) => Flow::HalfOpen,
            Found::TimeWait(_) => Flow::Resting,
        })
    }
}
