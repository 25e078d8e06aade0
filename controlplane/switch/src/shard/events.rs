//! What a shard wants told, in the order in which it happened.

use crate::limits::EVENT_NAMES_KEPT_LEN_MAX;
use crate::slots::Over;

/// What a watch sees of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Registered,
    Released,
    Lost,
}

/// One thing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A grant that the session follows is over.
    Gone { session: u32, over: Over, sequence: u64, name: Name },
    /// The session waited, and holds the port now.
    Granted { session: u32, sequence: u64, name: Name },
    /// For those who watch everything.
    Seen { what: Seen, node: u32, sequence: u64, name: Name },
}

/// A name that lies with the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    start: usize,
    len: usize,
}

/// See the file's first words. They are taken one by one, and new ones may come meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Events {
    events: Vec<Event>,
    names: Vec<u8>,
    taken: usize,
}

impl Events {
    /// Keeps a name for the events that follow.
    pub(super) fn name(&mut self, name: &[u8]) -> Name {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        Name { start, len: name.len() }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Whether there are events that were not taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.events.len() == self.taken
    }

    /// The next event. After the last one the names of all of them may be gone.
    pub(crate) fn take(&mut self) -> Option<Event> {
        if let Some(event) = self.events.get(self.taken) {
            self.taken += 1;
            return Some(*event);
        }
        self.events.clear();
        self.names.clear();
        self.taken = 0;
        if self.names.capacity() > EVENT_NAMES_KEPT_LEN_MAX {
            *self = Self::default();
        }
        None
    }

    /// The bytes of a name.
    pub(crate) fn bytes(&self, name: Name) -> &[u8] {
        &self.names[name.start..name.start + name.len]
    }
}
