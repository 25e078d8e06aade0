//! Registering: the table's answers become failures, places and events.

use super::follow::flag;
use super::{CHUNK, Seen, Shard};
use crate::access::Prefixes;
use crate::interests::{Added, Kind};
use crate::limits::{ITEMS_KEPT_MAX, NAME_LEN_MAX, NIL};
use crate::table::{Gone, Grants, Port, Registered, Registrant, Slot};

/// Who registers, and what it may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) session: u32,
    /// Ports that it may be granted, or wait for, beyond those that it holds and waits for.
    pub(crate) ports_left: u64,
    /// Places by kind that it may have in all.
    pub(crate) places_max: [u32; 2],
    /// Names that it may register.
    pub(crate) allowed: &'a Prefixes,
}

/// What is wanted of ports that are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) subscribe: bool,
    pub(crate) wait: bool,
}

/// Why an item was not granted; the session that holds it, where that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) item: u32,
    pub(crate) code: RegisterCode,
    pub(crate) owner: Option<u32>,
    /// The grant whose end the asker will be told of; 0: none.
    pub(crate) sequence: u64,
    /// Where the owner stands in the answer's list; for who writes that.
    pub(crate) place: Option<u32>,
}

pub(crate) use protocol::RegisterCode;

impl Shard {
    /// Registers names for a session, each with the number of its item. What was not granted stands
    /// in `failures`, by rising item; the sequences of the others are consecutive. What was granted,
    /// or is waited for, is taken off what the asker may have.
    pub(crate) fn register<'a>(
        &mut self,
        names: impl Iterator<Item = (u32, &'a [u8])>,
        asker: &mut Asker<'_>,
        wishes: Wishes,
        failures: &mut Vec<Failure>,
    ) -> Grants {
        let slot = self.slot_of(asker.session);
        let mut told = std::mem::take(&mut self.told);
        let mut grants = Grants { first: 0, count: 0 };
        let (mut names, before) = (names, failures.len());
        loop {
            let mut chunk: [&[u8]; CHUNK] = [&[]; CHUNK];
            let mut items = [0_u32; CHUNK];
            let mut count = 0;
            for (item, name) in names.by_ref() {
                if !asker.allowed.allows(name) {
                    let code = RegisterCode::Forbidden;
                    failures.push(Failure { item, code, owner: None, sequence: 0, place: None });
                    continue;
                }
                (chunk[count], items[count]) = (name, item);
                count += 1;
                if count == CHUNK {
                    break;
                }
            }
            if count == 0 {
                break;
            }
            let grants_max = u32::try_from(asker.ports_left).unwrap_or(u32::MAX);
            let told_before = told.len();
            let dead = self.is_watched.then(|| self.ports_of_the_dead(&chunk[..count]));
            let new = self.table.register(
                &chunk[..count],
                Registrant { slot, grants_max },
                &self.slots,
                &mut |index, what| told.push((items[index], what)),
            );
            asker.ports_left -= u64::from(new.count);
            if grants.count == 0 {
                grants.first = new.first;
            }
            grants.count += new.count;
            if let Some(dead) = dead {
                let chunk = (&chunk[..count], &items[..], &dead[..]);
                self.see_grants(slot, chunk, &told[told_before..], new.first);
            }
        }
        let forbidden = failures.len();
        self.settle(&told, asker, wishes, failures);
        if forbidden > before && failures.len() > forbidden {
            failures[before..].sort_unstable_by_key(|failure| failure.item);
        }
        told.clear();
        if told.capacity() <= ITEMS_KEPT_MAX {
            self.told = told;
        }
        grants
    }

    /// Goes through what the table told, after all names went through it: promotions take sequences
    /// too, and those of one registration are consecutive.
    fn settle(
        &mut self,
        told: &[(u32, Registered)],
        asker: &mut Asker<'_>,
        wishes: Wishes,
        failures: &mut Vec<Failure>,
    ) {
        for &(item, what) in told {
            let (code, owner, sequence) = match what {
                Registered::Replaced(gone) => {
                    self.tell_of_replaced(gone);
                    continue;
                }
                Registered::Quota => (RegisterCode::Quota, None, 0),
                Registered::Full => (RegisterCode::Full, None, 0),
                Registered::Mine(_) => (RegisterCode::Mine, Some(asker.session), 0),
                Registered::Held(port) => self.refuse(port, asker, wishes),
                Registered::Awaited(gone) => {
                    let port = self.port_of_the_first(gone);
                    self.refuse(port, asker, wishes)
                }
            };
            failures.push(Failure { item, code, owner, sequence, place: None });
        }
    }

    /// The port of a dead session was granted: who followed that one's grant is told now.
    fn tell_of_replaced(&mut self, gone: Gone) {
        let mut buffer = [0; NAME_LEN_MAX];
        let len = self.copy_name(gone.port.handle, &mut buffer);
        let over = self.slots.over(gone.port.slot);
        self.pass_on(gone, over, &buffer[..len]);
    }

    /// Others stood in line for a free port: the first of them has it now.
    fn port_of_the_first(&mut self, gone: Gone) -> Port {
        let handle = gone.port.handle;
        // Of two items with one name the first has promoted somebody already.
        if gone.port.slot.0 != NIL {
            let mut buffer = [0; NAME_LEN_MAX];
            let len = self.copy_name(handle, &mut buffer);
            let over = self.slots.over(gone.port.slot);
            self.see_lost(gone.port, &buffer[..len]);
            let is_passed_on = self.pass_on(gone, over, &buffer[..len]);
            assert!(is_passed_on, "port {handle:?} is awaited, and nobody waits");
        }
        self.table.port(handle).expect("it was kept for who stands in line")
    }

    /// Another session holds the port: the asker gets what it wished for instead.
    fn refuse(
        &mut self,
        port: Port,
        asker: &mut Asker<'_>,
        wishes: Wishes,
    ) -> (RegisterCode, Option<u32>, u64) {
        let owner = self.slots.session(port.slot);
        // A waiter of the same batch may be the asker itself.
        if owner == asker.session {
            return (RegisterCode::Mine, Some(owner), 0);
        }
        let is_followed =
            wishes.subscribe && self.follow(Kind::Subscriber, port, asker) != Added::Full;
        let mut is_short = wishes.subscribe && !is_followed;
        if wishes.wait {
            let may_hold = asker.ports_left > 0;
            let added = if may_hold { self.follow(Kind::Waiter, port, asker) } else { Added::Full };
            asker.ports_left -= u64::from(added == Added::New);
            is_short |= added == Added::Full;
        }
        let code = match (is_short, wishes.wait, self.slots.is_draining(port.slot)) {
            (true, _, _) => RegisterCode::Subscriptions,
            (false, true, _) => RegisterCode::Waiting,
            (false, false, true) => RegisterCode::Draining,
            (false, false, false) => RegisterCode::Held,
        };
        (code, Some(owner), if is_followed { port.sequence } else { 0 })
    }

    /// Gives the asker a place at the port, if it may have another.
    pub(super) fn follow(&mut self, kind: Kind, port: Port, asker: &Asker<'_>) -> Added {
        let places_max = asker.places_max[kind as usize];
        let added = self.interests.add(kind, Self::grant_of(port), asker.session, places_max);
        if added == Added::New {
            let now = self.table.port(port.handle).expect("it is held");
            self.table.set_flags(port.handle, now.flags.with(flag(kind)));
        }
        added
    }

    /// Shows the grants of a chunk to those who watch, and of ports of dead sessions their end first.
    fn see_grants(
        &mut self,
        slot: Slot,
        (chunk, items, dead): (&[&[u8]], &[u32], &[Option<Port>]),
        told: &[(u32, Registered)],
        first: u64,
    ) {
        let node = self.slots.node(slot);
        let mut told = told.iter().peekable();
        let mut sequence = first;
        for ((&name, &item), dead) in chunk.iter().zip(items).zip(dead) {
            let told = told.next_if(|(told, _)| *told == item);
            if told.is_some_and(|(_, what)| !matches!(what, Registered::Replaced(_))) {
                continue;
            }
            if let Some(port) = dead {
                self.see_lost(*port, name);
            }
            self.see(Seen::Registered, node, sequence, name);
            sequence += 1;
        }
    }
}
