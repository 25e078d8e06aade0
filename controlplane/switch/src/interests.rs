//! Who wants to hear of a port and who waits for it, out of line: a port without either costs
//! nothing but a bit of its record.
//!
//! A *followed port* stands for one grant and has two lists of *places*: subscribers, and waiters
//! in the order in which they came. It is found by the grant's sequence and hangs in a list of its
//! owner, so that what a dead owner held and others follow is found without a look at the rest. A
//! place hangs in a list of its session too. Where a session's places of a kind end all at once,
//! its generation is raised: they count no more from that moment, and are given back in slices.

mod places;
#[cfg(test)]
mod tests;

use crate::key_index::KeyIndex;
use crate::limits::NIL;
use crate::table::{Handle, Slot};
use places::Places;

/// What a session wants of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To hear that the grant is over, once.
    Subscriber,
    /// To have the port next.
    Waiter,
}

/// The grant that a session follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Its own.
    pub(crate) sequence: u64,
    /// Its owner's.
    pub(crate) slot: Slot,
    /// Its port's.
    pub(crate) handle: Handle,
}

/// What became of a wish to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It has its place.
    New,
    /// It had it already, and keeps it.
    Already,
    /// There is no room.
    Full,
}

/// One grant that somebody follows.
#[derive(Debug)]
struct Followed {
    grant: Grant,
    /// In the owner's list; `next` is also the free list.
    prev: u32,
    next: u32,
    lists: [List; 2],
}

/// Ends of a list of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List {
    first: u32,
    last: u32,
}

const NONE: List = List { first: NIL, last: NIL };

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Interests {
    ports: Vec<Followed>,
    ports_free: u32,
    places: Places,
    by_sequence: KeyIndex,
    /// By slot: the first followed port.
    owners: Vec<u32>,
}

impl Interests {
    /// Room for `places_max` places of `sessions_max` sessions.
    pub(crate) fn new(places_max: u32, sessions_max: u32, slots_max: u32) -> Self {
        Self {
            ports: Vec::new(),
            ports_free: NIL,
            places: Places::new(places_max, sessions_max),
            by_sequence: KeyIndex::new(places_max),
            owners: vec![NIL; slots_max as usize],
        }
    }

    /// Gives `session` a place at a grant, if it has fewer than `places_max` of that kind.
    pub(crate) fn add(&mut self, kind: Kind, grant: Grant, session: u32, places_max: u32) -> Added {
        let found = self.by_sequence.find(grant.sequence);
        if let Some(port) = found
            && let Some(place) = self.places.find(kind, port, session)
        {
            if self.places.is_valid(place) {
                return Added::Already;
            }
            // One of an earlier generation: it goes now, and the session comes to the back.
            self.unlink(place);
        }
        if !self.places.has_room() || self.places.count(kind, session) >= places_max {
            return Added::Full;
        }
        let port = found.unwrap_or_else(|| self.follow(grant));
        self.places.add(kind, port, session, &mut self.ports[port as usize].lists[kind as usize]);
        Added::New
    }

    /// Takes the place of `session` away; false if it had none.
    pub(crate) fn remove(&mut self, kind: Kind, sequence: u64, session: u32) -> bool {
        let Some(port) = self.by_sequence.find(sequence) else {
            return false;
        };
        let Some(place) = self.places.find(kind, port, session) else {
            return false;
        };
        let is_valid = self.places.is_valid(place);
        self.unlink(place);
        self.forget_if_empty(port);
        is_valid
    }

    /// Takes the first session that still wants to hear of, or waits for, a grant. After `None`
    /// there is no other of that kind.
    pub(crate) fn take_first(&mut self, kind: Kind, sequence: u64) -> Option<u32> {
        let port = self.by_sequence.find(sequence)?;
        loop {
            let place = self.ports[port as usize].lists[kind as usize].first;
            if place == NIL {
                return None;
            }
            let session = self.places.is_valid(place).then(|| self.places.session(place));
            self.unlink(place);
            if session.is_some() {
                return session;
            }
        }
    }

    /// The port went to `slot` under another sequence; who waits goes on waiting. `false`: nobody
    /// follows it any more.
    pub(crate) fn regrant(&mut self, sequence: u64, sequence_new: u64, slot: Slot) -> bool {
        let Some(port) = self.by_sequence.find(sequence) else {
            return false;
        };
        if self.forget_if_empty(port) {
            return false;
        }
        self.by_sequence.remove(sequence);
        self.by_sequence.insert(sequence_new, port);
        self.leave_owner(port);
        let grant = &mut self.ports[port as usize].grant;
        *grant = Grant { sequence: sequence_new, slot, handle: grant.handle };
        self.join_owner(port);
        true
    }

    /// Ends the record of a grant whose places were all taken.
    pub(crate) fn forget(&mut self, sequence: u64) {
        if let Some(port) = self.by_sequence.find(sequence) {
            assert!(self.forget_if_empty(port), "grant {sequence:#x} is still followed");
        }
    }

    /// A grant of `slot` that somebody follows.
    pub(crate) fn first_of(&self, slot: Slot) -> Option<Grant> {
        let port = self.ports.get(self.owners[slot.0 as usize] as usize)?;
        Some(port.grant)
    }

    /// Takes the place of `session` away that it got last, and says at which grant it was.
    pub(crate) fn take_newest(&mut self, kind: Kind, session: u32) -> Option<Grant> {
        let place = self.places.newest(kind, session)?;
        let port = self.places.port(place);
        let grant = self.ports[port as usize].grant;
        self.unlink(place);
        self.forget_if_empty(port);
        Some(grant)
    }

    /// Whether any place of that kind is at the grant, one that ended included.
    pub(crate) fn has(&self, kind: Kind, sequence: u64) -> bool {
        let port = self.by_sequence.find(sequence);
        port.is_some_and(|port| self.ports[port as usize].lists[kind as usize] != NONE)
    }

    /// How many places of a kind `session` has.
    pub(crate) fn count(&self, kind: Kind, session: u32) -> u32 {
        self.places.count(kind, session)
    }

    /// Places in use, those that wait to be given back included.
    pub(crate) fn places_used(&self) -> u32 {
        self.places.used()
    }

    /// Every place of that kind that `session` has ends now.
    pub(crate) fn end_all(&mut self, kind: Kind, session: u32) {
        self.places.end_all(kind, session);
    }

    /// Gives back at most `budget` ended places; true if there are more.
    pub(crate) fn sweep(&mut self, budget: u32) -> bool {
        for _ in 0..budget {
            let Some(place) = self.places.next_ended() else {
                return false;
            };
            let port = self.places.port(place);
            self.unlink(place);
            self.forget_if_empty(port);
        }
        self.places.next_ended().is_some()
    }

    fn unlink(&mut self, place: u32) {
        let port = self.places.port(place) as usize;
        let kind = self.places.kind(place) as usize;
        self.places.remove(place, &mut self.ports[port].lists[kind]);
    }

    fn follow(&mut self, grant: Grant) -> u32 {
        let followed = Followed { grant, prev: NIL, next: NIL, lists: [NONE; 2] };
        let port = self.ports_free;
        let port = if port == NIL {
            self.ports.push(followed);
            u32::try_from(self.ports.len() - 1).expect("no more ports than places")
        } else {
            self.ports_free = self.ports[port as usize].next;
            self.ports[port as usize] = followed;
            port
        };
        self.by_sequence.insert(grant.sequence, port);
        self.join_owner(port);
        port
    }

    fn forget_if_empty(&mut self, port: u32) -> bool {
        if self.ports[port as usize].lists != [NONE; 2] {
            return false;
        }
        self.leave_owner(port);
        let followed = &mut self.ports[port as usize];
        followed.next = self.ports_free;
        self.ports_free = port;
        self.by_sequence.remove(followed.grant.sequence);
        true
    }

    fn join_owner(&mut self, port: u32) {
        let followed = &mut self.ports[port as usize];
        let owner = &mut self.owners[followed.grant.slot.0 as usize];
        let first = std::mem::replace(owner, port);
        followed.prev = NIL;
        followed.next = first;
        if first != NIL {
            self.ports[first as usize].prev = port;
        }
    }

    fn leave_owner(&mut self, port: u32) {
        let Followed { grant, prev, next, lists: _ } = self.ports[port as usize];
        match prev {
            NIL => self.owners[grant.slot.0 as usize] = next,
            _ => self.ports[prev as usize].next = next,
        }
        if next != NIL {
            self.ports[next as usize].prev = prev;
        }
    }
}
