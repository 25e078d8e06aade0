//! Following ports: what is told when a grant is over, and who has the port next.

use super::{Event, Seen, Shard};
use crate::interests::{Grant, Kind};
use crate::limits::{NAME_LEN_MAX, SWEEP_LOOKS, SWEEP_PLACES, SWEEP_SLOTS};
use crate::slots::Over;
use crate::table::{Flags, Gone, Handle, Port, Slot, Visit};

/// What is left after a slice of the work that deaths make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing.
    All,
    /// More of it: call again.
    Part,
}

impl Shard {
    /// Does a bounded part of what deaths leave to be done: tells those who follow what the dead
    /// held, takes those ports out of the table, gives back places that ended. `free` hears of the
    /// node of each slot that may have a session again. As `shards` shards share the time of a
    /// slice, each does so small a part of it.
    pub(crate) fn sweep(&mut self, shards: u32, free: &mut impl FnMut(u32)) -> Told {
        let places = (SWEEP_PLACES / shards).max(1);
        let is_more = self.interests.sweep(places);
        if self.tell_of_the_dead(places) == Told::Part {
            return Told::Part;
        }
        let is_done = self.sweep_table((SWEEP_LOOKS / shards).max(1));
        for _ in 0..self.slots.dying_count().min(SWEEP_SLOTS) {
            let table = &self.table;
            if let Some(node) = self.slots.turn_dying(|slot| table.ports_of(slot) == 0) {
                free(node);
            }
        }
        let is_idle = is_done && !is_more && self.slots.dying_count() == 0;
        if is_idle { Told::All } else { Told::Part }
    }

    /// Everybody who follows the grant, which is over, is told. Its name is `name`.
    pub(super) fn tell_all(&mut self, sequence: u64, over: Over, name: &[u8]) {
        let mut budget = u32::MAX;
        self.tell_some(sequence, over, name, &mut budget);
    }

    /// Gives the port to the first who waits for it; `None` if nobody does.
    pub(super) fn promote(&mut self, sequence: u64, handle: Handle, name: &[u8]) -> Option<Slot> {
        let session = self.interests.take_first(Kind::Waiter, sequence)?;
        let slot = self.slot_of(session);
        let granted = self.table.take_over(handle, slot);
        let is_awaited = self.interests.regrant(sequence, granted, slot);
        self.table.set_flags(handle, if is_awaited { Flags::AWAITED } else { Flags::NONE });
        self.see(Seen::Registered, self.slots.node(slot), granted, name);
        let name = self.events.name(name);
        self.events.push(Event::Granted { session, sequence: granted, name });
        Some(slot)
    }

    /// A grant is over whose port is still in the table: its followers are told and the first who
    /// waits has it. `false`: nobody has it now.
    pub(super) fn pass_on(&mut self, gone: Gone, over: Over, name: &[u8]) -> bool {
        let sequence = gone.port.sequence;
        self.tell_all(sequence, over, name);
        if gone.is_kept && self.promote(sequence, gone.port.handle, name).is_some() {
            return true;
        }
        self.interests.forget(sequence);
        false
    }

    /// A session ended or wants to hear of nothing more.
    pub(crate) fn unsubscribe_all(&mut self, session: u32) {
        self.interests.end_all(Kind::Subscriber, session);
    }

    /// A session ended, and waits for nothing more. Its places go at once, so that a port that is
    /// marked as awaited always has somebody who waits.
    pub(super) fn cancel_all(&mut self, session: u32) {
        while let Some(grant) = self.interests.take_newest(Kind::Waiter, session) {
            self.unmark(grant, Kind::Waiter);
        }
    }

    /// Takes the mark off a port at which nobody has a place of that kind any more.
    pub(super) fn unmark(&mut self, grant: Grant, kind: Kind) {
        if self.interests.has(kind, grant.sequence) {
            return;
        }
        let port = self.table.port(grant.handle);
        if let Some(port) = port.filter(|port| port.sequence == grant.sequence) {
            self.table.set_flags(grant.handle, port.flags.without(flag(kind)));
        }
    }

    /// Something that those see who watch everything.
    pub(super) fn see(&mut self, what: Seen, node: u32, sequence: u64, name: &[u8]) {
        if self.is_watched {
            let name = self.events.name(name);
            self.events.push(Event::Seen { what, node, sequence, name });
        }
    }

    /// Tells of followed grants of dead slots, `budget` places of them.
    fn tell_of_the_dead(&mut self, mut budget: u32) -> Told {
        for _ in 0..SWEEP_SLOTS {
            let Some(slot) = self.slots.first_untold() else {
                return Told::All;
            };
            while let Some(grant) = self.interests.first_of(slot) {
                if budget == 0 {
                    return Told::Part;
                }
                budget -= 1;
                self.tell_of_the_grant(grant, &mut budget);
            }
            self.slots.set_told();
        }
        if self.slots.first_untold().is_none() { Told::All } else { Told::Part }
    }

    fn tell_of_the_grant(&mut self, grant: Grant, budget: &mut u32) {
        let mut buffer = [0; NAME_LEN_MAX];
        let len = self.copy_name(grant.handle, &mut buffer);
        let name = &buffer[..len];
        let over = self.slots.over(grant.slot);
        if self.tell_some(grant.sequence, over, name, budget) == Told::Part {
            return;
        }
        if self.interests.has(Kind::Waiter, grant.sequence) {
            self.see(lost(over), self.slots.node(grant.slot), grant.sequence, name);
        }
        if self.promote(grant.sequence, grant.handle, name).is_none() {
            self.table.set_flags(grant.handle, Flags::NONE);
            self.interests.forget(grant.sequence);
        }
    }

    fn tell_some(&mut self, sequence: u64, over: Over, name: &[u8], budget: &mut u32) -> Told {
        let mut kept = None;
        while *budget > 0 {
            let Some(session) = self.interests.take_first(Kind::Subscriber, sequence) else {
                return Told::All;
            };
            *budget -= 1;
            let name = *kept.get_or_insert_with(|| self.events.name(name));
            self.events.push(Event::Gone { session, over, sequence, name });
        }
        if self.interests.has(Kind::Subscriber, sequence) { Told::Part } else { Told::All }
    }

    /// Takes ports of dead slots out of the table; true if none is left. Nobody follows them: those
    /// who did were told before, or have been told to forget everything.
    fn sweep_table(&mut self, looks: u32) -> bool {
        let Self { table, slots, interests, events, is_watched, swept, .. } = self;
        let mut see = |port: Port, name: &[u8]| {
            let (what, node) = (lost(slots.over(port.slot)), slots.node(port.slot));
            let name = events.name(name);
            events.push(Event::Seen { what, node, sequence: port.sequence, name });
        };
        let show: Option<Visit<'_>> = if *is_watched { Some(&mut see) } else { None };
        let told = &mut |gone: Gone| {
            let sequence = gone.port.sequence;
            assert!(!gone.is_kept, "grant {sequence:#x} is awaited, and nobody waits");
            assert!(!interests.has(Kind::Subscriber, sequence), "grant {sequence:#x} is followed");
        };
        let step = table.sweep_shown(looks, &*slots, told, show);
        *swept += u64::from(step.ports);
        step.is_done
    }
}

/// The mark of a port where somebody has a place of that kind.
pub(super) fn flag(kind: Kind) -> Flags {
    match kind {
        Kind::Subscriber => Flags::SUBSCRIBED,
        Kind::Waiter => Flags::AWAITED,
    }
}

/// What a watch sees of a grant that is over.
pub(super) fn lost(over: Over) -> Seen {
    match over {
        Over::Released => Seen::Released,
        Over::Lost | Over::Replaced => Seen::Lost,
    }
}
