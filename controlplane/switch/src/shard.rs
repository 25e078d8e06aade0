//! One shard: its ports, who holds them, who follows them, and what is to be told of changes.
//!
//! It knows sessions by index only and speaks to their owner in values: calls go in, results and
//! [`Event`]s come out. Whoever calls delivers the events before the answer of the call leaves, so
//! that nobody is granted a port before those who follow it were told.

mod events;
mod follow;
mod list;
mod query;
mod register;
mod release;
mod seen;

pub(crate) use events::{Event, Events, Name, Seen};
pub(crate) use follow::Told;
pub(crate) use query::NoPlace;
pub(crate) use register::{Asker, Failure, Wishes};
pub(crate) use release::NotReleased;

use memory::PageChoice;

use crate::interests::{Interests, Kind};
use crate::limits::{NIL, SWEEPING_PER_NODE_MAX};
use crate::slots::{Over, Slots};
use crate::table::{Plan, PlanError, Port, PortTable, Registered, Slot, Statistics};

/// Names that are handed to the table in one call: four of its bursts, and 6 KiB of stack.
const CHUNK: usize = 128;

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Shard {
    table: PortTable,
    slots: Slots,
    interests: Interests,
    /// By session: the slot under which it is granted ports.
    session_slots: Vec<u32>,
    pub(crate) events: Events,
    /// What the table told of a registration; kept from one to the next.
    told: Vec<(u32, Registered)>,
    /// Everything that happens to ports is to be seen.
    is_watched: bool,
    /// Ports of dead sessions that were taken out.
    swept: u64,
}

/// How large a shard is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) plan: Plan,
    pub(crate) sessions_max: u32,
    pub(crate) places_max: u32,
}

impl Shard {
    pub(crate) fn new(size: &Size, pages: PageChoice) -> Result<Self, PlanError> {
        let Size { plan, sessions_max, places_max } = *size;
        Ok(Self {
            table: PortTable::new(&plan, pages)?,
            slots: Slots::new(plan.slots),
            interests: Interests::new(places_max, sessions_max, plan.slots),
            session_slots: vec![NIL; sessions_max as usize],
            events: Events::default(),
            told: Vec::new(),
            is_watched: false,
            swept: 0,
        })
    }

    /// A slot for a session that has none, or has just had its own killed.
    pub(crate) fn open(&mut self, session: u32, node: u32) -> Option<Slot> {
        let slot = self.slots.open(session, node)?;
        self.session_slots[session as usize] = slot.0;
        Some(slot)
    }

    /// Whether the node may have another slot, and there is one.
    pub(crate) fn may_open(&self, node: u32) -> bool {
        self.slots.sweeping_of(node) < SWEEPING_PER_NODE_MAX && self.slots.has_free()
    }

    /// Every port of the session is free from now on, and it waits for none. If it had any, it goes on
    /// under another slot while those of the first are swept, and that slot is given; there is one,
    /// for the caller saw it.
    pub(crate) fn give_up(&mut self, session: u32, node: u32) -> Option<Slot> {
        self.cancel_all(session);
        let before = self.slot_of(session);
        if self.table.ports_of(before) == 0 {
            return None;
        }
        let slot = self.open(session, node).expect("there was one");
        self.slots.kill(before, Over::Released);
        self.table.end(before);
        Some(slot)
    }

    /// The session was evicted: it keeps its ports for a while, and asks for nothing any more.
    pub(crate) fn drain(&mut self, session: u32) {
        self.slots.drain(self.slot_of(session));
        self.forget_wishes(session);
    }

    /// Every port of the session is free from now on, and who follows one will be told. Whether there
    /// is one: else its slot is another's at once, and does not name its node any more.
    pub(crate) fn kill(&mut self, session: u32, over: Over) -> bool {
        let slot = self.slot_of(session);
        self.session_slots[session as usize] = NIL;
        if self.table.ports_of(slot) == 0 {
            self.slots.put_back(slot);
            return false;
        }
        self.slots.kill(slot, over);
        self.table.end(slot);
        true
    }

    /// The session wants to hear of nothing and waits for nothing any more.
    pub(crate) fn forget_wishes(&mut self, session: u32) {
        self.unsubscribe_all(session);
        self.cancel_all(session);
    }

    /// The session of a slot that is not dead.
    #[inline]
    pub(crate) fn session(&self, slot: Slot) -> u32 {
        self.slots.session(slot)
    }

    /// Ports that the session holds.
    pub(crate) fn ports_of(&self, session: u32) -> u32 {
        self.table.ports_of(self.slot_of(session))
    }

    /// Places of that kind that the session has.
    pub(crate) fn places_of(&self, kind: Kind, session: u32) -> u32 {
        self.interests.count(kind, session)
    }

    /// What the table says of itself.
    pub(crate) fn statistics(&self) -> Statistics {
        self.table.statistics()
    }

    /// Cells in use.
    pub(crate) fn cells_used(&self) -> u32 {
        self.table.cells_used()
    }

    /// From now on so many may be in use.
    pub(crate) fn set_cells_max(&mut self, cells_max: u32) {
        self.table.set_cells_max(cells_max);
    }

    /// Ports of dead sessions that were taken out of the table.
    pub(crate) fn swept(&self) -> u64 {
        self.swept
    }

    /// Places in use.
    pub(crate) fn places_used(&self) -> u32 {
        self.interests.places_used()
    }

    /// Whether everything that happens to ports is to be seen.
    pub(crate) fn set_watched(&mut self, is_watched: bool) {
        self.is_watched = is_watched;
    }

    fn slot_of(&self, session: u32) -> Slot {
        let slot = self.session_slots[session as usize];
        assert!(slot != NIL, "session {session} has no slot");
        Slot(slot)
    }

    fn grant_of(port: Port) -> crate::interests::Grant {
        crate::interests::Grant { sequence: port.sequence, slot: port.slot, handle: port.handle }
    }
}
