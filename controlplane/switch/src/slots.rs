//! The slots of sessions: what their ports are held under, and which of them are dead.
//!
//! A dead slot's ports are free at once, because the table asks here at every mutation. The slot
//! itself is given to another session only when none of its ports is left anywhere.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::NIL;
use crate::table::{Deaths, Slot};

/// Why a grant is over; the reasons of `PORT_GONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Its owner gave it back.
    Released,
    /// Its owner was silent for too long.
    Lost,
    /// Its owner was replaced by a newer session of its node.
    Replaced,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    session: u32,
    node: u32,
    over: Over,
    is_draining: bool,
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Slots {
    dead: Vec<bool>,
    owners: Vec<Owner>,
    free: Vec<Slot>,
    /// Dead slots whose followed grants have not been told of.
    untold: VecDeque<Slot>,
    /// Dead slots of which only ports are left that nobody follows.
    dying: VecDeque<Slot>,
    /// By node: how many of its slots are dead and not free yet.
    sweeping: BTreeMap<u32, u32>,
    slots_max: u32,
}

impl Deaths for Slots {
    #[inline]
    fn is_dead(&self, slot: Slot) -> bool {
        self.dead[slot.0 as usize]
    }
}

impl Slots {
    pub(crate) fn new(slots_max: u32) -> Self {
        let (dead, owners, free) = (Vec::new(), Vec::new(), Vec::new());
        let (untold, dying) = (VecDeque::new(), VecDeque::new());
        Self { dead, owners, free, untold, dying, sweeping: BTreeMap::new(), slots_max }
    }

    /// A slot for a session; `None` if all are taken or have ports left of a dead one.
    pub(crate) fn open(&mut self, session: u32, node: u32) -> Option<Slot> {
        let owner = Owner { session, node, over: Over::Released, is_draining: false };
        if let Some(slot) = self.free.pop() {
            self.owners[slot.0 as usize] = owner;
            self.dead[slot.0 as usize] = false;
            return Some(slot);
        }
        let index = u32::try_from(self.owners.len()).expect("bounded by a u32");
        if index == self.slots_max {
            return None;
        }
        self.owners.push(owner);
        self.dead.push(false);
        Some(Slot(index))
    }

    /// Whether [`Slots::open`] would give one.
    pub(crate) fn has_free(&self) -> bool {
        !self.free.is_empty() || self.owners.len() < self.slots_max as usize
    }

    /// Slots of the node that are dead and not free yet.
    pub(crate) fn sweeping_of(&self, node: u32) -> u32 {
        self.sweeping.get(&node).copied().unwrap_or_default()
    }

    /// Every port of the slot is free from now on.
    pub(crate) fn kill(&mut self, slot: Slot, over: Over) {
        assert!(!self.dead[slot.0 as usize], "{slot:?} dies twice");
        self.dead[slot.0 as usize] = true;
        let owner = &mut self.owners[slot.0 as usize];
        owner.over = over;
        owner.session = NIL;
        *self.sweeping.entry(owner.node).or_default() += 1;
        self.untold.push_back(slot);
    }

    /// The session of the slot is over, and held nothing.
    pub(crate) fn put_back(&mut self, slot: Slot) {
        assert!(!self.dead[slot.0 as usize], "{slot:?} is swept");
        self.owners[slot.0 as usize].session = NIL;
        self.free.push(slot);
    }

    /// The session of the slot was evicted: what it holds it may hold for a while still.
    pub(crate) fn drain(&mut self, slot: Slot) {
        self.owners[slot.0 as usize].is_draining = true;
    }

    /// Whether the session of the slot was evicted.
    #[inline]
    pub(crate) fn is_draining(&self, slot: Slot) -> bool {
        self.owners[slot.0 as usize].is_draining
    }

    /// The session of a slot that is not dead.
    #[inline]
    pub(crate) fn session(&self, slot: Slot) -> u32 {
        self.owners[slot.0 as usize].session
    }

    /// The node of a slot that is in use, dead or not.
    pub(crate) fn node(&self, slot: Slot) -> u32 {
        self.owners[slot.0 as usize].node
    }

    /// Why the grants of a dead slot are over.
    pub(crate) fn over(&self, slot: Slot) -> Over {
        self.owners[slot.0 as usize].over
    }

    /// The dead slot whose followed grants are told of next.
    pub(crate) fn first_untold(&self) -> Option<Slot> {
        self.untold.front().copied()
    }

    /// The first untold slot has no followed grants any more.
    pub(crate) fn set_told(&mut self) {
        self.dying.extend(self.untold.pop_front());
    }

    /// Dead slots of which only ports are left that nobody follows.
    pub(crate) fn dying_count(&self) -> usize {
        self.dying.len()
    }

    /// Looks at the next dead slot: it is free if `is_empty`, else it goes to the back. Gives its
    /// node if it became free.
    pub(crate) fn turn_dying(&mut self, is_empty: impl Fn(Slot) -> bool) -> Option<u32> {
        let slot = self.dying.pop_front()?;
        if !is_empty(slot) {
            self.dying.push_back(slot);
            return None;
        }
        self.free.push(slot);
        let node = self.owners[slot.0 as usize].node;
        let left = self.sweeping_of(node) - 1;
        if left == 0 {
            self.sweeping.remove(&node);
        } else {
            self.sweeping.insert(node, left);
        }
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::{Over, Slots};
    use crate::table::{Deaths as _, Slot};

    #[test]
    fn a_dead_slot_is_given_again_only_when_it_is_empty() {
        let mut slots = Slots::new(2);
        let (a, b) = (slots.open(7, 1), slots.open(8, 2));
        assert_eq!((a, b, slots.open(9, 3)), (Some(Slot(0)), Some(Slot(1)), None));
        slots.kill(Slot(0), Over::Lost);
        assert_eq!((slots.sweeping_of(1), slots.sweeping_of(2)), (1, 0));
        assert!(slots.is_dead(Slot(0)) && !slots.is_dead(Slot(1)));
        assert_eq!(slots.over(Slot(0)), Over::Lost);
        assert_eq!((slots.first_untold(), slots.turn_dying(|_| true)), (Some(Slot(0)), None));
        slots.set_told();
        assert_eq!((slots.first_untold(), slots.turn_dying(|_| false)), (None, None));
        assert_eq!(slots.open(9, 3), None);
        assert_eq!(slots.sweeping_of(1), 1);
        assert_eq!(slots.turn_dying(|_| true), Some(1));
        assert_eq!(slots.sweeping_of(1), 0);
        assert_eq!(slots.open(9, 3), Some(Slot(0)));
        assert!(!slots.is_dead(Slot(0)));
        assert_eq!((slots.session(Slot(0)), slots.dying_count()), (9, 0));
    }
}
