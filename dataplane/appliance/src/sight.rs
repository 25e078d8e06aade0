//! What only a core knows of itself, told to who asks a part at a time.
//!
//! A core looks at a bounded number of entries between two turns and writes what it finds into
//! memory that came with the order, so that asking costs it neither an allocation nor more than a
//! few microseconds, however large its tables are.

use base::Instant;
use engine::Engine;
use gateway::Gateway;
use ip::{HopIndex, Neighbour};
use nic::QueuePair;
use stack::ListenerId;
use tcp::{ListenerSeen, Tcp};

use crate::limits::LOOKS_MAX;

/// Which table is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Neighbours,
    Listeners,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// How long ago a packet went there is told in nanoseconds: the asker has no clock of the core's.
    Neighbour(Neighbour, Option<u64>),
    Listener(ListenerSeen),
}

/// A part of a table: where it begins, and on its way back what was found and what follows.
#[derive(Debug)]
pub(crate) struct Sight {
    what: What,
    from: u16,
    pub(crate) rows: Vec<Seen>,
    /// Where the next part begins; `None` once the table was seen whole.
    pub(crate) next: Option<u16>,
}

impl Sight {
    /// The part that begins with entry `from`, with room for what may be found.
    pub(crate) fn new(what: What, from: u16) -> Self {
        Self { what, from, rows: Vec::with_capacity(LOOKS_MAX.into()), next: None }
    }

    /// The core looks.
    pub(crate) fn look<Q: QueuePair>(&mut self, engine: &Engine<Q, Gateway>, now: Instant) {
        let core = engine.stack().core();
        let count = match self.what {
            What::Neighbours => core.ip().neighbours_max(),
            What::Listeners => u16::try_from(Tcp::LISTENER_NUMBERS).unwrap_or(u16::MAX),
        };
        let until = self.from.saturating_add(LOOKS_MAX).min(count);
        for index in self.from..until {
            let seen = match self.what {
                What::Neighbours => core.ip().neighbour_at(HopIndex(index), now).map(|neighbour| {
                    let used = neighbour.used_at;
                    Seen::Neighbour(neighbour, used.map(|at| now.saturating_since(at).as_nanos()))
                }),
                What::Listeners => core.tcp().listener(ListenerId(index)).map(Seen::Listener),
            };
            self.rows.extend(seen);
        }
        self.next = (until < count).then_some(until);
    }
}
