//! Whose ports are, for as long as nobody says otherwise.
//!
//! There is no time to live: an entry leaves when its port goes away from its owner, with a flush,
//! an epoch or a session, or for others when there are too many. What is asked for and not answered
//! yet is noted too, so that a notice which overtakes the answer is not lost.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::Sequence;

use crate::event::Owner;

/// Owners by port.
#[derive(Debug)]
pub(super) struct Cache {
    index: HashMap<Arc<str>, usize>,
    /// Filled up to the bound, then gone round (second chance).
    entries: Vec<Option<Entry>>,
    hand: usize,
    entries_max: usize,
    pending: HashMap<Arc<str>, Pending>,
    /// Notices and flushes so far.
    stamp: u64,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    owner: Owner,
    is_used: bool,
}

/// Questions for one port that are under way.
#[derive(Debug, Default)]
struct Pending {
    count: usize,
    /// When the last notice came meanwhile, and up to which grant they were.
    gone: Option<(u64, Sequence)>,
    /// When the last flush came, or the subscription ended; 0: none.
    flushed: u64,
}

impl Cache {
    pub(super) fn new(entries_max: usize) -> Self {
        Self {
            index: HashMap::new(),
            entries: Vec::new(),
            hand: 0,
            entries_max,
            pending: HashMap::new(),
            stamp: 0,
        }
    }

    /// Whether nothing is kept, nor on the way.
    pub(super) fn is_idle(&self) -> bool {
        self.index.is_empty() && self.pending.is_empty()
    }

    pub(super) fn find(&mut self, name: &str) -> Option<Owner> {
        let index = *self.index.get(name)?;
        let entry = self.entries[index].as_mut()?;
        entry.is_used = true;
        Some(entry.owner.clone())
    }

    /// A question leaves.
    pub(super) fn on_asked(&mut self, name: &str) {
        self.pending.entry(Arc::from(name)).or_default().count += 1;
    }

    /// What a question that leaves now is to be answered with.
    pub(super) const fn stamp(&self) -> u64 {
        self.stamp
    }

    /// A question that left then was answered, or never will be. `false`: a notice or a flush overtook it.
    pub(super) fn on_answered(&mut self, name: &str, asked: u64, sequence: Sequence) -> bool {
        let Some(pending) = self.pending.get_mut(name) else {
            return true;
        };
        // What came before it left says nothing of its answer.
        let is_right = pending.flushed <= asked
            && pending.gone.is_none_or(|(stamp, gone)| stamp <= asked || sequence > gone);
        pending.count -= 1;
        if pending.count == 0 {
            self.pending.remove(name);
        }
        is_right
    }

    /// Keeps an owner, and says which other name left for it.
    pub(super) fn insert(&mut self, name: &str, owner: Owner) -> Option<Arc<str>> {
        if let Some(index) = self.index.get(name) {
            if let Some(entry) = self.entries[*index].as_mut() {
                entry.owner = owner;
            }
            return None;
        }
        let name: Arc<str> = Arc::from(name);
        let entry = Some(Entry { name: Arc::clone(&name), owner, is_used: false });
        if self.entries.len() < self.entries_max {
            self.index.insert(name, self.entries.len());
            self.entries.push(entry);
            return None;
        }
        let index = self.victim();
        let left = std::mem::replace(&mut self.entries[index], entry);
        self.index.insert(name, index);
        left.map(|left| {
            self.index.remove(&left.name);
            left.name
        })
    }

    /// The next place whose entry was not used since the hand came by; two rounds are enough.
    fn victim(&mut self) -> usize {
        for _step in 0..=2 * self.entries.len() {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            match &mut self.entries[index] {
                Some(entry) if entry.is_used => entry.is_used = false,
                Some(_) | None => return index,
            }
        }
        self.hand
    }

    /// A grant of a port is over: its owner leaves, and so does one that is on the way.
    pub(super) fn on_gone(&mut self, name: &str, sequence: Sequence) -> bool {
        if let Some(pending) = self.pending.get_mut(name) {
            self.stamp += 1;
            let before = pending.gone.map_or(sequence, |(_stamp, before)| before);
            pending.gone = Some((self.stamp, before.max(sequence)));
        }
        self.remove(name, sequence)
    }

    fn remove(&mut self, name: &str, sequence: Sequence) -> bool {
        let Some(&index) = self.index.get(name) else {
            return false;
        };
        let is_over = |entry: &Entry| entry.owner.token.sequence <= sequence;
        if !self.entries[index].as_ref().is_some_and(is_over) {
            return false;
        }
        self.entries[index] = None;
        self.index.remove(name);
        true
    }

    /// A subscription ends: nothing would tell that the owner is another, now or on the way.
    pub(super) fn on_unsubscribed(&mut self, name: &str) {
        if let Some(pending) = self.pending.get_mut(name) {
            self.stamp += 1;
            pending.flushed = self.stamp;
        }
        self.remove(name, Sequence::from_bits(u64::MAX));
    }

    /// Whether the owner of a port is kept.
    pub(super) fn has(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// Forgets everything, and what is on the way too.
    pub(super) fn flush(&mut self) {
        self.index.clear();
        self.entries.clear();
        self.hand = 0;
        self.stamp += 1;
        #[expect(clippy::iter_over_hash_type, reason = "each is marked, in whatever order")]
        for pending in self.pending.values_mut() {
            pending.flushed = self.stamp;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }
}

#[cfg(test)]
impl Cache {
    /// All owners, none of which counts as used.
    pub(super) fn owners(&self) -> impl Iterator<Item = (&str, &Owner)> {
        self.entries.iter().flatten().map(|entry| (&*entry.name, &entry.owner))
    }

    /// Ports for which questions are under way.
    pub(super) fn pending_len(&self) -> usize {
        self.pending.len()
    }
}
