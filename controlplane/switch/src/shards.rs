//! All shards of a switch as one: a request goes to those that its names belong to, and what
//! concerns a session to all of them.
//!
//! A switch of one shard hands requests straight on. Else a request is split first, and its parts
//! are done one after the other. What a shard wants told stands in it until [`Shards::next_event`]
//! has given it out; the switch delivers that before it answers.

use std::collections::VecDeque;

use memory::PageChoice;
use protocol::{Grants, Names, Sequence, UnregPort};

use crate::interests::Kind;
use crate::limits::{ITEMS_KEPT_MAX, SEQUENCE_BITS, SHARD_SLACK_DEVIATIONS};
use crate::shard::{Asker, Event, Failure, Name, NoPlace, NotReleased, Shard, Size, Told, Wishes};
use crate::slots::Over;
use crate::split::{Entry, Split};
use crate::table::{Listed, Plan, PlanError, Port, PortTable, Statistics};

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Shards {
    all: Vec<Shard>,
    /// Cells that all of them together may have in use: the room is one, however names are spread.
    cells_max: u32,
    split: Split,
    /// Those that have something to tell.
    telling: VecDeque<usize>,
}

/// The bits of a cursor of a listing that count within a shard.
const CURSOR_BITS: u32 = 32;

/// Bytes that the tables of so many shards take and touch at their start on huge pages, which together
/// are as large as the numbers of ports say.
#[must_use]
pub fn tables_len_at_start(ports_planned: u32, ports_max: u32, shards: u8) -> u64 {
    u64::from(shards) * PortTable::len_at_start(part(ports_planned, shards), ports_max)
}

/// Bytes that they take at most when all ports that there may be are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LenAtMost {
    /// Every shard has its part of the names.
    pub even: u64,
    /// One shard has all of them, and the others have what they took at the start.
    pub skewed: u64,
}

/// Bytes that the tables come to at most: see [`tables_len_at_start`].
#[must_use]
pub fn tables_len_at_most(ports_planned: u32, ports_max: u32, shards: u8) -> LenAtMost {
    let (planned, count) = (part(ports_planned, shards), u64::from(shards));
    let with = |held| PortTable::len_at(planned, ports_max, held);
    LenAtMost {
        even: count * with(ports_max.div_ceil(shards.into())),
        skewed: (count - 1) * with(0) + with(ports_max),
    }
}

impl Shards {
    /// So many shards, that is at least one, which together are as large as `size`. Each has its part of
    /// what is planned, and address space for all that there may be.
    pub(crate) fn new(size: &Size, shards: u8, pages: PageChoice) -> Result<Self, PlanError> {
        let Size { plan, sessions_max, places_max } = *size;
        let made = |shard| {
            let plan = Plan { shard, ports_planned: part(plan.ports_planned, shards), ..plan };
            let places_max = places_max.div_ceil(shards.into());
            Shard::new(&Size { plan, sessions_max, places_max }, pages)
        };
        let all = (0..shards).map(made).collect::<Result<Vec<_>, _>>()?;
        let cells_max = size.plan.ports_max;
        Ok(Self { all, cells_max, split: Split::default(), telling: VecDeque::new() })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u8 {
        u8::try_from(self.all.len()).expect("it was a byte")
    }

    /// A slot for a session in every shard, where [`Shards::may_open`] says that there is one.
    pub(crate) fn open(&mut self, session: u32, node: u32) {
        for shard in &mut self.all {
            shard.open(session, node).expect("there was one");
        }
    }

    /// Whether the node may have another slot in every shard, and there is one.
    pub(crate) fn may_open(&self, node: u32) -> bool {
        self.all.iter().all(|shard| shard.may_open(node))
    }

    /// As [`Shard::give_up`]: how many slots are swept for it. Where the session holds something,
    /// [`Shards::may_open`] was asked before.
    pub(crate) fn give_up(&mut self, session: u32, node: u32) -> u32 {
        let given = self.all.iter_mut().filter_map(|shard| shard.give_up(session, node));
        u32::try_from(given.count()).expect("a byte")
    }

    /// As [`Shard::drain`].
    pub(crate) fn drain(&mut self, session: u32) {
        self.all.iter_mut().for_each(|shard| shard.drain(session));
    }

    /// As [`Shard::kill`]: how many slots are swept for it.
    pub(crate) fn kill(&mut self, session: u32, over: Over) -> u32 {
        let killed = self.all.iter_mut().map(|shard| u32::from(shard.kill(session, over)));
        killed.sum()
    }

    /// As [`Shard::forget_wishes`].
    pub(crate) fn forget_wishes(&mut self, session: u32) {
        self.all.iter_mut().for_each(|shard| shard.forget_wishes(session));
    }

    /// As [`Shard::unsubscribe_all`].
    pub(crate) fn unsubscribe_all(&mut self, session: u32) {
        self.all.iter_mut().for_each(|shard| shard.unsubscribe_all(session));
    }

    /// As [`Shard::set_watched`].
    pub(crate) fn set_watched(&mut self, is_watched: bool) {
        self.all.iter_mut().for_each(|shard| shard.set_watched(is_watched));
    }

    /// Ports that the session holds.
    pub(crate) fn ports_of(&self, session: u32) -> u64 {
        self.all.iter().map(|shard| u64::from(shard.ports_of(session))).sum()
    }

    /// Places of that kind that the session has.
    pub(crate) fn places_of(&self, kind: Kind, session: u32) -> u32 {
        self.all.iter().map(|shard| shard.places_of(kind, session)).sum()
    }

    /// What the tables say of themselves, taken together.
    pub(crate) fn statistics(&self) -> Statistics {
        self.all.iter().map(Shard::statistics).fold(Statistics::default(), |sum, one| Statistics {
            ports: sum.ports + one.ports,
            ports_dead: sum.ports_dead + one.ports_dead,
            cells: sum.cells + one.cells,
            buckets: sum.buckets + one.buckets,
            spilled: sum.spilled + one.spilled,
            moves: sum.moves + one.moves,
            moves_per_burst_max: sum.moves_per_burst_max.max(one.moves_per_burst_max),
        })
    }

    /// Ports of dead sessions that were taken out of the tables.
    pub(crate) fn swept(&self) -> u64 {
        self.all.iter().map(Shard::swept).sum()
    }

    /// Places in use.
    pub(crate) fn places_used(&self) -> u64 {
        self.all.iter().map(|shard| u64::from(shard.places_used())).sum()
    }

    /// Registers names for a session. What was not granted stands in `failures`, by rising item;
    /// what was, in `grants`, one entry for each shard that granted something.
    pub(crate) fn register(
        &mut self,
        names: Names<'_>,
        mut asker: Asker<'_>,
        wishes: Wishes,
        failures: &mut Vec<Failure>,
        grants: &mut Vec<Grants>,
    ) {
        let mut add = |granted: crate::table::Grants| {
            if granted.count > 0 {
                let first = Sequence::from_bits(granted.first);
                grants.push(Grants { first, count: granted.count });
            }
        };
        if let [only] = &mut self.all[..] {
            add(only.register((0..).zip(names.iter()), &mut asker, wishes, failures));
            self.note(0);
            return;
        }
        let entries = (0..).zip(names.iter());
        let entries = entries.map(|(item, name)| Entry { item, name, ..Entry::default() });
        let sorted = self.split.sort(entries, self.count());
        let mut used: u32 = self.all.iter().map(Shard::cells_used).sum();
        for at in 0..self.all.len() {
            let own = sorted.of(at);
            if own.is_empty() {
                continue;
            }
            let mut asker_here = self.within(at, &asker);
            let own = own.iter().map(|entry| (entry.item, entry.name));
            let elsewhere = used - self.all[at].cells_used();
            self.all[at].set_cells_max(self.cells_max - elsewhere);
            add(self.all[at].register(own, &mut asker_here, wishes, failures));
            used = elsewhere + self.all[at].cells_used();
            asker.ports_left = asker_here.ports_left;
            self.note(at);
        }
        failures.sort_unstable_by_key(|failure| failure.item);
        self.split.keep(sorted, ITEMS_KEPT_MAX);
    }

    /// Releases ports of a session. What was not released stands in `failures`, by rising item.
    /// Gives how many were.
    pub(crate) fn unregister(
        &mut self,
        unreg: &UnregPort<'_>,
        session: u32,
        failures: &mut Vec<NotReleased>,
    ) -> u32 {
        let items = (0..).zip(unreg.iter());
        let items = items.map(|(item, (sequence, name))| (item, name, sequence.to_bits()));
        if let [only] = &mut self.all[..] {
            let released = only.unregister(items, session, failures);
            self.note(0);
            return released;
        }
        let entry = |(item, name, sequence)| Entry { item, name, sequence, ..Entry::default() };
        let sorted = self.split.sort(items.map(entry), self.count());
        let mut released = 0;
        for at in 0..self.all.len() {
            let own = sorted.of(at).iter().map(|entry| (entry.item, entry.name, entry.sequence));
            if own.len() > 0 {
                released += self.all[at].unregister(own, session, failures);
                self.note(at);
            }
        }
        failures.sort_unstable_by_key(|failure| failure.item);
        self.split.keep(sorted, ITEMS_KEPT_MAX);
        released
    }

    /// Looks names up, each of which has something beside it. `tell` hears of each with that and its
    /// shard: those of one shard after each other, in their order.
    pub(crate) fn find<'a>(
        &mut self,
        names: impl Iterator<Item = &'a [u8]> + Clone,
        beside: impl Iterator<Item = Entry<'a>> + Clone,
        mut tell: impl FnMut(&Entry<'a>, &Shard, Option<Port>),
    ) {
        if let [only] = &self.all[..] {
            let mut beside = beside;
            only.find(names, |_name, found| {
                let entry = beside.next().expect("as many as there are names");
                tell(&entry, only, found);
            });
            return;
        }
        let entries = names.zip(beside).map(|(name, entry)| Entry { name, ..entry });
        let sorted = self.split.sort(entries, self.count());
        for (at, shard) in self.all.iter().enumerate() {
            let own = sorted.of(at);
            let mut told = own.iter();
            shard.find(own.iter().map(|entry| entry.name), |_name, found| {
                tell(told.next().expect("as many as there are names"), shard, found);
            });
        }
        self.split.keep(sorted, ITEMS_KEPT_MAX);
    }

    /// Subscribes a session to what it was answered, to all of it or to nothing. The ports of each
    /// shard stand together.
    pub(crate) fn subscribe(&mut self, ports: &[Port], asker: &Asker<'_>) -> Result<(), NoPlace> {
        let mut added = [0; 256];
        for own in ports.chunk_by(|a, b| shard_of(*a) == shard_of(*b)) {
            let at = shard_of(own[0]);
            let asker_here = self.within(at, asker);
            match self.all[at].subscribe(own, &asker_here) {
                Ok(count) => added[at] = count,
                Err(full) => {
                    for (shard, count) in self.all.iter_mut().zip(added) {
                        shard.unsubscribe_newest(asker.session, count);
                    }
                    return Err(full);
                }
            }
        }
        Ok(())
    }

    /// Takes places of the session away and says how many it had.
    pub(crate) fn unfollow(&mut self, kind: Kind, names: Names<'_>, session: u32) -> u32 {
        if let [only] = &mut self.all[..] {
            return only.unfollow(kind, names.iter(), session);
        }
        let entries = names.iter().map(|name| Entry { name, ..Entry::default() });
        let sorted = self.split.sort(entries, self.count());
        let mut removed = 0;
        for (at, shard) in self.all.iter_mut().enumerate() {
            removed += shard.unfollow(kind, sorted.of(at).iter().map(|entry| entry.name), session);
        }
        self.split.keep(sorted, ITEMS_KEPT_MAX);
        removed
    }

    /// Shows held ports, as a table does, one shard after the other.
    pub(crate) fn list(
        &self,
        cursor: u64,
        count_max: u32,
        prefix: &[u8],
        visit: &mut impl FnMut(Port, &[u8]),
    ) -> Listed {
        let shard = cursor >> CURSOR_BITS;
        let at = usize::try_from(shard).unwrap_or(usize::MAX);
        let Some(own) = self.all.get(at) else {
            return Listed { cursor: 0, count: 0 };
        };
        let within = cursor & ((1 << CURSOR_BITS) - 1);
        let Listed { cursor, count } = own.list(within, count_max, prefix, visit);
        let is_last = at + 1 == self.all.len();
        let cursor = match cursor {
            0 if is_last => 0,
            0 => (shard + 1) << CURSOR_BITS,
            within => shard << CURSOR_BITS | within,
        };
        Listed { cursor, count }
    }

    /// The node that holds a port which was shown a moment ago.
    pub(crate) fn node_of(&self, port: Port) -> u32 {
        self.all[shard_of(port)].node_of(port)
    }

    /// As [`Shard::sweep`], in all of them.
    pub(crate) fn sweep(&mut self, free: &mut impl FnMut(u32)) -> Told {
        let (mut told, shards) = (Told::All, self.count().into());
        for at in 0..self.all.len() {
            if self.all[at].sweep(shards, free) == Told::Part {
                told = Told::Part;
            }
            self.note(at);
        }
        told
    }

    /// Whether nothing is to be told.
    #[inline]
    pub(crate) fn is_silent(&self) -> bool {
        self.telling.is_empty()
    }

    /// What is to be told next, and the shard whose it is. Its name is there until the next is
    /// asked for.
    pub(crate) fn next_event(&mut self) -> Option<(usize, Event)> {
        while let Some(&at) = self.telling.front() {
            if let Some(event) = self.all[at].events.take() {
                return Some((at, event));
            }
            self.telling.pop_front();
        }
        None
    }

    /// The bytes of the name in an event of a shard.
    pub(crate) fn name(&self, at: usize, name: Name) -> &[u8] {
        self.all[at].events.bytes(name)
    }

    /// As [`Shard::take_back`], in the shard whose event it was.
    pub(crate) fn take_back(&mut self, at: usize, session: u32, sequence: u64, name: Name) {
        self.all[at].take_back(session, sequence, name);
        self.note(at);
    }

    /// Who holds a name.
    #[cfg(test)]
    pub(crate) fn holder(&self, name: &[u8]) -> Option<Port> {
        let mut holder = None;
        let shard = &self.all[usize::from(protocol::shard_of(name, self.count()))];
        shard.find(std::iter::once(name), |_name, found| holder = found);
        holder
    }

    /// Remembers that a shard may have something to tell.
    #[inline]
    fn note(&mut self, at: usize) {
        if !self.all[at].events.is_empty() {
            self.telling.push_back(at);
        }
    }

    /// What the asker may have in one shard, so that it has no more than it may in all of them.
    fn within<'a>(&self, at: usize, asker: &Asker<'a>) -> Asker<'a> {
        let left = |kind| {
            let elsewhere =
                self.places_of(kind, asker.session) - self.all[at].places_of(kind, asker.session);
            asker.places_max[kind as usize].saturating_sub(elsewhere)
        };
        Asker { places_max: [left(Kind::Subscriber), left(Kind::Waiter)], ..*asker }
    }
}

/// The shard that granted a port.
fn shard_of(port: Port) -> usize {
    usize::try_from(port.sequence >> SEQUENCE_BITS).expect("a byte")
}

/// What one of `shards` has of `count` ports. Names are spread by their hashes, so some shards have
/// more than their part of them: there is room for that.
fn part(count: u32, shards: u8) -> u32 {
    let even = count.div_ceil(shards.into());
    if shards == 1 {
        return even;
    }
    let slack = even.isqrt().saturating_mul(SHARD_SLACK_DEVIATIONS);
    even.saturating_add(slack).min(count)
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn a_shard_has_its_part_of_the_plan_and_what_chance_adds() {
        assert_eq!(part(1_000_000, 1), 1_000_000);
        assert_eq!(part(1_000_000, 4), 250_000 + 4 * 500);
        assert_eq!(part(1_000, 255), 4 + 4 * 2);
        assert_eq!(part(2, 255), 2);
    }
}
