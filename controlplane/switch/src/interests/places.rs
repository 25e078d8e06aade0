//! The places themselves: one for each session, port and kind, in two lists each.

use super::{Kind, List};
use crate::key_index::KeyIndex;
use crate::limits::NIL;

#[derive(Clone, Copy, Debug)]
struct Place {
    port: u32,
    session: u32,
    generation: u32,
    kind: Kind,
    /// Among the places of the port.
    port_prev: u32,
    port_next: u32,
    /// Among the places of the session; `own_next` is also the free list and the list of the ended.
    own_prev: u32,
    own_next: u32,
}

/// What one session has of one kind.
#[derive(Clone, Copy, Debug)]
struct Own {
    first: u32,
    last: u32,
    generation: u32,
    count: u32,
}

/// All places of all sessions.
#[derive(Debug)]
pub(super) struct Places {
    places: Vec<Place>,
    free: u32,
    used: u32,
    places_max: u32,
    by_pair: KeyIndex,
    sessions: Vec<[Own; 2]>,
    /// The list of those that ended with others of their session and hang at their ports still.
    ended: u32,
}

/// Unique for a kind, a port and a session: indices are below 2^31.
fn pair(kind: Kind, port: u32, session: u32) -> u64 {
    u64::from(port) << 32 | u64::from(session) << 1 | kind as u64
}

impl Places {
    pub(super) fn new(places_max: u32, sessions_max: u32) -> Self {
        let none = Own { first: NIL, last: NIL, generation: 0, count: 0 };
        Self {
            places: Vec::new(),
            free: NIL,
            used: 0,
            places_max,
            by_pair: KeyIndex::new(places_max),
            sessions: vec![[none; 2]; sessions_max as usize],
            ended: NIL,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.used < self.places_max
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }

    pub(super) fn count(&self, kind: Kind, session: u32) -> u32 {
        self.sessions[session as usize][kind as usize].count
    }

    pub(super) fn find(&self, kind: Kind, port: u32, session: u32) -> Option<u32> {
        self.by_pair.find(pair(kind, port, session))
    }

    /// Whether the place still counts for its session.
    pub(super) fn is_valid(&self, place: u32) -> bool {
        let Place { session, generation, kind, .. } = self.places[place as usize];
        self.sessions[session as usize][kind as usize].generation == generation
    }

    pub(super) fn session(&self, place: u32) -> u32 {
        self.places[place as usize].session
    }

    pub(super) fn port(&self, place: u32) -> u32 {
        self.places[place as usize].port
    }

    pub(super) fn kind(&self, place: u32) -> Kind {
        self.places[place as usize].kind
    }

    /// The place of that kind that `session` got last.
    pub(super) fn newest(&self, kind: Kind, session: u32) -> Option<u32> {
        let last = self.sessions[session as usize][kind as usize].last;
        (last != NIL).then_some(last)
    }

    /// The next place that ended with others of its session.
    pub(super) fn next_ended(&self) -> Option<u32> {
        (self.ended != NIL).then_some(self.ended)
    }

    /// Every place of that kind that `session` has counts no more: one step, however many they are.
    pub(super) fn end_all(&mut self, kind: Kind, session: u32) {
        let own = &mut self.sessions[session as usize][kind as usize];
        let Own { first, last, .. } = *own;
        *own = Own { first: NIL, last: NIL, generation: own.generation.wrapping_add(1), count: 0 };
        if first == NIL {
            return;
        }
        self.places[last as usize].own_next = self.ended;
        if self.ended != NIL {
            self.places[self.ended as usize].own_prev = last;
        }
        self.ended = first;
    }

    /// Adds a place at the end of `list`. The caller has seen that there is room.
    pub(super) fn add(&mut self, kind: Kind, port: u32, session: u32, list: &mut List) {
        let own = self.sessions[session as usize][kind as usize];
        let place = self.allocate(Place {
            port,
            session,
            generation: own.generation,
            kind,
            port_prev: list.last,
            port_next: NIL,
            own_prev: own.last,
            own_next: NIL,
        });
        match list.last {
            NIL => list.first = place,
            last => self.places[last as usize].port_next = place,
        }
        list.last = place;
        if own.last != NIL {
            self.places[own.last as usize].own_next = place;
        }
        let own = &mut self.sessions[session as usize][kind as usize];
        if own.first == NIL {
            own.first = place;
        }
        own.last = place;
        own.count += 1;
        self.by_pair.insert(pair(kind, port, session), place);
    }

    /// Takes a place out of `list`, which is its port's, and out of its session's.
    pub(super) fn remove(&mut self, place: u32, list: &mut List) {
        let gone = self.places[place as usize];
        let is_ended = !self.is_valid(place);
        match gone.port_prev {
            NIL => list.first = gone.port_next,
            prev => self.places[prev as usize].port_next = gone.port_next,
        }
        match gone.port_next {
            NIL => list.last = gone.port_prev,
            next => self.places[next as usize].port_prev = gone.port_prev,
        }
        match gone.own_prev {
            NIL if is_ended => self.ended = gone.own_next,
            NIL => self.sessions[gone.session as usize][gone.kind as usize].first = gone.own_next,
            prev => self.places[prev as usize].own_next = gone.own_next,
        }
        match gone.own_next {
            NIL if is_ended => {}
            NIL => self.sessions[gone.session as usize][gone.kind as usize].last = gone.own_prev,
            next => self.places[next as usize].own_prev = gone.own_prev,
        }
        if !is_ended {
            self.sessions[gone.session as usize][gone.kind as usize].count -= 1;
        }
        self.by_pair.remove(pair(gone.kind, gone.port, gone.session));
        self.places[place as usize].own_next = self.free;
        self.free = place;
        self.used -= 1;
    }

    fn allocate(&mut self, place: Place) -> u32 {
        self.used += 1;
        if self.free == NIL {
            self.places.push(place);
            return u32::try_from(self.places.len() - 1).expect("bounded by a u32");
        }
        let index = self.free;
        self.free = self.places[index as usize].own_next;
        self.places[index as usize] = place;
        index
    }
}
