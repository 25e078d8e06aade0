//! Entries that wait for a time of constant length: the first to come is the first to be due.

use base::Instant;

use super::HopIndex;
use super::entry::Entry;

/// In which queue an entry stands; it stands in one at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum QueueKind {
    /// In none.
    None,
    /// To be asked at once.
    Due,
    /// To be asked again.
    Retransmit,
    /// To be asked unless the upper layer confirms.
    Delay,
}

/// A list through the entries themselves.
#[derive(Debug)]
pub(super) struct Queue {
    kind: QueueKind,
    head: HopIndex,
    tail: HopIndex,
}

impl Queue {
    pub(super) const fn new(kind: QueueKind) -> Self {
        Self { kind, head: HopIndex::NONE, tail: HopIndex::NONE }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == HopIndex::NONE
    }

    /// When the first entry is due.
    pub(super) fn first_deadline(&self, entries: &[Entry]) -> Option<Instant> {
        entries.get(self.head.as_usize()).map(|entry| entry.until)
    }

    /// Puts an entry that stands in no queue at the end.
    pub(super) fn push(&mut self, entries: &mut [Entry], hop: HopIndex) {
        let entry = &mut entries[hop.as_usize()];
        assert!(entry.queue == QueueKind::None, "{hop:?} stands in {:?}", entry.queue);
        entry.queue = self.kind;
        entry.previous = self.tail;
        entry.next = HopIndex::NONE;
        match entries.get_mut(self.tail.as_usize()) {
            Some(last) => last.next = hop,
            None => self.head = hop,
        }
        self.tail = hop;
    }

    /// Takes an entry out, wherever it stands.
    pub(super) fn remove(&mut self, entries: &mut [Entry], hop: HopIndex) {
        let entry = &mut entries[hop.as_usize()];
        assert!(entry.queue == self.kind, "{hop:?} stands in {:?}", entry.queue);
        entry.queue = QueueKind::None;
        let (previous, next) = (entry.previous, entry.next);
        match entries.get_mut(previous.as_usize()) {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        match entries.get_mut(next.as_usize()) {
            Some(behind) => behind.previous = previous,
            None => self.tail = previous,
        }
    }

    /// Takes the first entry out.
    pub(super) fn pop(&mut self, entries: &mut [Entry]) -> Option<HopIndex> {
        let hop = self.head;
        if hop == HopIndex::NONE {
            return None;
        }
        self.remove(entries, hop);
        Some(hop)
    }

    /// Takes the first entry out if its time has come.
    pub(super) fn pop_due(&mut self, entries: &mut [Entry], now: Instant) -> Option<HopIndex> {
        let deadline = self.first_deadline(entries)?;
        if deadline <= now { self.pop(entries) } else { None }
    }
}
