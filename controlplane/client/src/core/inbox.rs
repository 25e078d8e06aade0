//! What the application has not taken yet, and messages whose port is not known yet.

use std::collections::{HashMap, VecDeque};

use protocol::Sequence;

use crate::event::{Event, Grant};
use crate::limits::{EARLY_LEN_MAX, EARLY_MESSAGES_MAX, EVENTS_LEN_MAX, EVENTS_MAX};

/// Events in their order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    events: VecDeque<Event<Grant>>,
    len: usize,
}

fn len_of(event: &Event<Grant>) -> usize {
    match event {
        Event::Message { blob, .. } => blob.len(),
        Event::Watched { node, name, .. } => node.len() + name.len(),
        Event::Gone { name, .. } => name.len(),
        Event::Granted(_)
        | Event::WaitFailed { .. }
        | Event::SubscriptionsLost
        | Event::NewEpoch { .. }
        | Event::Lapsed { .. }
        | Event::Connected { .. }
        | Event::Disconnected => 0,
    }
}

/// What a watch saw, as the application is told it.
pub(super) fn watched(event: &protocol::Event<'_>) -> Event<Grant> {
    let protocol::Event { event: kind, sequence, node, name } = *event;
    let name = String::from_utf8_lossy(name).into_owned();
    Event::Watched { kind, sequence, node: node.to_owned(), name }
}

impl Inbox {
    /// Adds an event; what does not fit comes back.
    pub(super) fn push(&mut self, event: Event<Grant>) -> Result<(), Event<Grant>> {
        if self.events.len() >= EVENTS_MAX || self.len + len_of(&event) > EVENTS_LEN_MAX {
            return Err(event);
        }
        self.len += len_of(&event);
        self.events.push_back(event);
        Ok(())
    }

    /// Adds an event that must be told: the oldest message makes room for it, else the oldest event.
    pub(super) fn push_surely(&mut self, event: Event<Grant>) -> Option<Event<Grant>> {
        let Err(event) = self.push(event) else {
            return None;
        };
        let is_message = |event: &Event<Grant>| matches!(event, Event::Message { .. });
        let index = self.events.iter().position(is_message).unwrap_or(0);
        let left = self.events.remove(index);
        self.len -= left.as_ref().map_or(0, len_of);
        self.events.push_back(event);
        left
    }

    pub(super) fn pop(&mut self) -> Option<Event<Grant>> {
        let event = self.events.pop_front()?;
        self.len -= len_of(&event);
        Some(event)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// Messages whose grant is not known yet, by grant.
#[derive(Debug, Default)]
pub(super) struct Early {
    messages: HashMap<Sequence, Vec<Vec<u8>>>,
    count: usize,
    len: usize,
}

impl Early {
    /// Keeps a message; `false`: there is no place.
    pub(super) fn push(&mut self, sequence: Sequence, blob: &[u8]) -> bool {
        if self.count == EARLY_MESSAGES_MAX || self.len + blob.len() > EARLY_LEN_MAX {
            return false;
        }
        self.count += 1;
        self.len += blob.len();
        self.messages.entry(sequence).or_default().push(blob.to_vec());
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[cfg(test)]
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The messages of a grant that is known now, in their order.
    pub(super) fn take(&mut self, sequence: Sequence) -> Vec<Vec<u8>> {
        if self.count == 0 {
            return Vec::new();
        }
        let taken = self.messages.remove(&sequence).unwrap_or_default();
        self.count -= taken.len();
        self.len -= taken.iter().map(Vec::len).sum::<usize>();
        taken
    }

    /// Forgets all, and says how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.count;
        *self = Self::default();
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}
