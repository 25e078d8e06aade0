//! A map that does what the table must do, beside it.

use std::collections::BTreeMap;

use base::Rng;
use memory::PageChoice;

use crate::limits::NAME_LEN_MAX;
use crate::table::cell::{HEAD, INLINE, PIECE};
use crate::table::{
    Flags, Gone, Handle, Plan, Port, PortTable, Registered, Registrant, Slot, Unregistered,
};

const SLOTS: usize = 24;

pub(super) struct Setup {
    pub(super) planned: u32,
    pub(super) max: u32,
    pub(super) names: usize,
    /// What is kept of each hash.
    pub(super) kept: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: Slot,
    sequence: u64,
    flags: Flags,
    /// Known once the table has said it.
    handle: Option<Handle>,
}

/// A step of the exhaustive test: on name 0 or 1, by slot 0 or 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Register(usize, u32),
    Both(u32),
    Unregister(usize, u32),
    Await(usize),
    Die(u32),
    Sweep,
    Promote,
}

pub(super) const STEPS: [Step; 11] = [
    Step::Register(0, 0),
    Step::Register(1, 0),
    Step::Register(0, 1),
    Step::Both(1),
    Step::Unregister(0, 0),
    Step::Unregister(1, 1),
    Step::Await(0),
    Step::Await(1),
    Step::Die(0),
    Step::Sweep,
    Step::Promote,
];

pub(super) struct Model {
    table: PortTable,
    held: BTreeMap<usize, Entry>,
    deaths: Vec<bool>,
    ports: Vec<u32>,
    names: Vec<Vec<u8>>,
    cells: usize,
    cells_max: usize,
    sequence: u64,
    may_crowd: bool,
    rng: Rng,
    pub(super) was_full: u64,
}

impl Model {
    pub(super) fn new(setup: &Setup, mut rng: Rng) -> Self {
        let Setup { planned, max, names, kept } = *setup;
        let slots = u32::try_from(SLOTS).unwrap();
        let plan = Plan { shard: 7, ports_planned: planned, ports_max: max, slots, key: [5; 32] };
        let mut table = PortTable::new(&plan, PageChoice::Base).unwrap();
        table.hash.kept = kept;
        Self {
            table,
            held: BTreeMap::new(),
            deaths: vec![false; SLOTS],
            ports: vec![0; SLOTS],
            names: (0..names).map(|number| name(number, &mut rng)).collect(),
            cells: 0,
            cells_max: max as usize,
            sequence: 7 << 56 | 1,
            may_crowd: kept != u64::MAX,
            rng,
            was_full: 0,
        }
    }

    pub(super) fn table(&self) -> &PortTable {
        &self.table
    }

    /// Random bursts until `items` have gone through.
    pub(super) fn run(&mut self, items: usize) {
        let (mut done, mut bursts) = (0, 0_u64);
        while done < items {
            let ids = self.some_names();
            done += ids.len();
            // Times of filling and of emptying take turns.
            let is_filling = (bursts / 500).is_multiple_of(3);
            let slot = self.live_slot(bursts);
            match self.rng.below(100) {
                0..35 => self.register(&ids, slot),
                35..60 if is_filling => self.register(&ids, slot),
                35..70 => self.unregister(&ids),
                70..80 => self.find(&ids),
                80..84 => self.mark(ids[0]),
                84..88 => self.resolve(ids[0]),
                88 => self.die(),
                _ => self.sweep(),
            }
            bursts += 1;
            if bursts.is_multiple_of(997) {
                self.check();
            }
        }
        self.check();
        self.empty();
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Register(_, slot) | Step::Both(slot) if self.deaths[slot as usize] => (),
            Step::Register(id, slot) => self.register(&[id], Slot(slot)),
            Step::Both(slot) => self.register(&[0, 1, 0], Slot(slot)),
            Step::Unregister(id, slot) => {
                let sequence = self.held.get(&id).map_or(1, |entry| entry.sequence);
                self.unregister_by(&[id], &[sequence], Slot(slot));
            }
            Step::Await(id) => self.set_flags(id, Flags::AWAITED),
            Step::Die(slot) => self.kill(slot as usize),
            Step::Sweep => self.sweep(),
            Step::Promote => {
                self.resolve(0);
                self.resolve(1);
            }
        }
    }

    /// Everybody dies, is swept, and may come again.
    pub(super) fn empty(&mut self) {
        for slot in 0..SLOTS {
            self.kill(slot);
        }
        while !self.held.is_empty() {
            self.sweep();
            let kept: Vec<usize> = self.held.keys().copied().collect();
            for id in kept {
                if self.held[&id].slot == Slot::NOBODY {
                    self.discard(id);
                }
            }
        }
        assert_eq!(self.table.statistics().cells, 0);
        self.check();
        self.deaths.fill(false);
    }

    /// The whole table is what the map is.
    pub(super) fn check(&mut self) {
        let all: Vec<usize> = (0..self.names.len()).collect();
        self.find(&all);
        let statistics = self.table.statistics();
        assert_eq!(statistics.ports, self.held.len() as u64);
        assert_eq!(statistics.cells, self.cells as u64);
        let mut dead = 0;
        for (slot, &ports) in self.ports.iter().enumerate() {
            assert_eq!(self.table.ports_of(Slot(u32::try_from(slot).unwrap())), ports, "{slot}");
            dead += if self.deaths[slot] { u64::from(ports) } else { 0 };
        }
        assert_eq!(statistics.ports_dead, dead);
        self.table.check_index();
        self.check_listing();
    }

    fn check_listing(&self) {
        let (mut cursor, mut listed) = (0, BTreeMap::new());
        loop {
            let step = self.table.list(cursor, 50, b"", &self.deaths[..], &mut |port, name| {
                let before = listed.insert(name.to_vec(), port.sequence);
                assert_eq!(before, None, "{name:?} is listed twice");
            });
            cursor = step.cursor;
            if cursor == 0 {
                break;
            }
        }
        let expected = self.held.iter().filter(|(_, entry)| !self.is_free(entry.slot));
        let expected: BTreeMap<_, _> =
            expected.map(|(&id, entry)| (self.names[id].clone(), entry.sequence)).collect();
        assert_eq!(listed, expected);
    }

    fn register(&mut self, ids: &[usize], slot: Slot) {
        let grants_max = match self.rng.below(10) {
            0 => u32::try_from(self.rng.below(20)).unwrap(),
            _ => u32::MAX,
        };
        let mut said = BTreeMap::new();
        let names: Vec<&[u8]> = ids.iter().map(|&id| self.names[id].as_slice()).collect();
        let by = Registrant { slot, grants_max };
        let mut last = None;
        let deaths = &self.deaths[..];
        let grants = self.table.register(&names, by, deaths, &mut |item, what| {
            assert!(last.replace(item) < Some(item), "items rise");
            said.insert(item, what);
        });
        assert_eq!(grants.first, self.sequence);
        let mut count = 0;
        for (item, &id) in ids.iter().enumerate() {
            let what = said.remove(&item);
            count += self.expect_registered(id, slot, grants_max - count, what);
        }
        assert_eq!(grants.count, count);
    }

    /// What one item must have done; 1 if it was granted.
    fn expect_registered(
        &mut self,
        id: usize,
        slot: Slot,
        grants_left: u32,
        what: Option<Registered>,
    ) -> u32 {
        let cells = cells_of(&self.names[id]);
        let Some(entry) = self.held.get(&id).copied() else {
            if grants_left == 0 {
                assert_eq!(what, Some(Registered::Quota));
                return 0;
            }
            let is_full = self.cells + cells > self.cells_max;
            if is_full || (self.may_crowd && what == Some(Registered::Full)) {
                assert_eq!(what, Some(Registered::Full), "name {id}");
                assert!(is_full || self.held.len() > 200, "full with {}", self.held.len());
                self.was_full += 1;
                return 0;
            }
            assert_eq!(what, None, "name {id}");
            self.cells += cells;
            self.grant(id, slot, Flags::NONE, None);
            return 1;
        };
        let port = self.port(id, what.and_then(handle_of));
        if !self.is_free(entry.slot) {
            let is_mine = entry.slot == slot;
            let expected = if is_mine { Registered::Mine(port) } else { Registered::Held(port) };
            assert_eq!(what, Some(expected));
            return 0;
        }
        if entry.flags.has(Flags::AWAITED) {
            assert_eq!(what, Some(Registered::Awaited(Gone { port, is_kept: true })));
            self.keep(id);
            return 0;
        }
        if grants_left == 0 {
            assert_eq!(what, Some(Registered::Quota));
            return 0;
        }
        let is_marked = entry.flags != Flags::NONE;
        let replaced = Registered::Replaced(Gone { port, is_kept: false });
        assert_eq!(what, is_marked.then_some(replaced));
        self.ports[entry.slot.0 as usize] -= 1;
        self.grant(id, slot, Flags::NONE, self.held[&id].handle);
        1
    }

    fn unregister(&mut self, ids: &[usize]) {
        // Nearly always by who holds the first, with what was granted.
        let slot = match self.held.get(&ids[0]) {
            Some(entry) if entry.slot != Slot::NOBODY && !self.deaths[entry.slot.0 as usize] => {
                entry.slot
            }
            _ => self.live_slot(0),
        };
        let mut sequences = Vec::new();
        for id in ids {
            let granted = self.held.get(id).map_or(1, |entry| entry.sequence);
            let is_stale = self.rng.below(20) == 0;
            sequences.push(if is_stale { self.rng.next_u64() >> 9 } else { granted });
        }
        self.unregister_by(ids, &sequences, slot);
    }

    fn unregister_by(&mut self, ids: &[usize], sequences: &[u64], slot: Slot) {
        let names: Vec<&[u8]> = ids.iter().map(|&id| self.names[id].as_slice()).collect();
        let mut said = BTreeMap::new();
        let deaths = &self.deaths[..];
        let released = self.table.unregister(&names, sequences, slot, deaths, &mut |item, what| {
            said.insert(item, what);
        });
        let mut count = 0;
        for (item, (&id, &sequence)) in ids.iter().zip(sequences).enumerate() {
            let what = said.remove(&item);
            let Some(entry) = self.held.get(&id).copied() else {
                assert_eq!(what, Some(Unregistered::Free));
                continue;
            };
            if entry.slot != slot {
                let is_free = self.is_free(entry.slot);
                let expected = if is_free { Unregistered::Free } else { Unregistered::NotMine };
                assert_eq!(what, Some(expected));
                continue;
            }
            if entry.sequence != sequence {
                assert_eq!(what, Some(Unregistered::Stale));
                continue;
            }
            count += 1;
            let told = match what {
                Some(Unregistered::Released(gone)) => Some(gone.port.handle),
                _ => None,
            };
            let port = self.port(id, told);
            let is_kept = entry.flags.has(Flags::AWAITED);
            let gone = Unregistered::Released(Gone { port, is_kept });
            assert_eq!(what, (entry.flags != Flags::NONE).then_some(gone));
            if is_kept {
                self.keep(id);
            } else {
                self.forget(id);
            }
        }
        assert_eq!(released, count);
    }

    fn find(&mut self, ids: &[usize]) {
        let names: Vec<&[u8]> = ids.iter().map(|&id| self.names[id].as_slice()).collect();
        let mut found = Vec::new();
        self.table.find(&names, &self.deaths[..], &mut |item, port| {
            assert_eq!(item, found.len());
            found.push(port);
        });
        for (&id, found) in ids.iter().zip(found) {
            let expected = self.held.get(&id).filter(|entry| !self.is_free(entry.slot)).copied();
            let expected = expected.map(|_| self.port(id, found.map(|port| port.handle)));
            assert_eq!(found, expected, "name {id}");
        }
    }

    fn sweep(&mut self) {
        let mut gone = Vec::new();
        let looks = u32::try_from(self.rng.below(700)).unwrap();
        let swept = self.table.sweep(looks, &self.deaths[..], &mut |what| gone.push(what));
        assert!(swept.looks < looks + 32, "{swept:?} of {looks}");
        // Whoever is not there any more was dead.
        let mut ports = 0;
        let ids: Vec<usize> = self.held.keys().copied().collect();
        for id in ids {
            let entry = self.held[&id];
            if entry.slot == Slot::NOBODY || !self.deaths[entry.slot.0 as usize] {
                continue;
            }
            let at = gone.iter().position(|gone| gone.port.sequence == entry.sequence);
            if let Some(at) = at {
                let gone = gone.swap_remove(at);
                let port = self.port(id, Some(gone.port.handle));
                let is_kept = entry.flags.has(Flags::AWAITED);
                assert_eq!(gone, Gone { port, is_kept });
                assert_ne!(entry.flags, Flags::NONE);
                ports += 1;
                if is_kept { self.keep(id) } else { self.forget(id) }
            } else if !self.is_in_table(id) {
                assert_eq!(entry.flags, Flags::NONE, "name {id} went untold");
                ports += 1;
                self.forget(id);
            }
        }
        assert!(gone.is_empty(), "of nobody dead: {gone:?}");
        assert_eq!(swept.ports, ports);
        for slot in 0..SLOTS {
            if self.deaths[slot] && self.ports[slot] == 0 && self.rng.below(2) == 0 {
                self.deaths[slot] = false;
            }
        }
    }

    /// Whether the table has the name at all, also of a dead session.
    fn is_in_table(&self, id: usize) -> bool {
        let mut found = false;
        let alive = [false; SLOTS];
        self.table.find(&[&self.names[id]], &alive[..], &mut |_, port| found = port.is_some());
        found
    }

    fn die(&mut self) {
        let slot = usize::try_from(self.rng.below(SLOTS as u64)).unwrap();
        if self.deaths.iter().filter(|&&dead| !dead).count() > 4 {
            self.kill(slot);
        }
    }

    fn kill(&mut self, slot: usize) {
        self.deaths[slot] = true;
        self.table.end(Slot(u32::try_from(slot).unwrap()));
    }

    fn mark(&mut self, id: usize) {
        let flags = match self.rng.below(4) {
            0 => Flags::NONE,
            1 => Flags::SUBSCRIBED,
            2 => Flags::AWAITED,
            _ => Flags::SUBSCRIBED.with(Flags::AWAITED),
        };
        self.set_flags(id, flags);
    }

    fn set_flags(&mut self, id: usize, flags: Flags) {
        self.find(&[id]);
        let Some(entry) = self.held.get(&id).copied().filter(|entry| !self.is_free(entry.slot))
        else {
            return;
        };
        let handle = entry.handle.expect("it was found");
        self.table.set_flags(handle, flags);
        self.held.get_mut(&id).unwrap().flags = flags;
        let mut buffer = [0; NAME_LEN_MAX];
        assert_eq!(self.table.name(handle, &mut buffer), self.names[id]);
    }

    /// Gives a port that is kept to somebody, or drops it; sometimes one that is held.
    fn resolve(&mut self, id: usize) {
        let Some(entry) = self.held.get(&id).copied() else { return };
        let Some(handle) = entry.handle else { return };
        if entry.slot == Slot::NOBODY && self.rng.below(3) == 0 {
            self.discard(id);
            return;
        }
        if self.deaths.iter().all(|&dead| dead) {
            return;
        }
        let slot = self.live_slot(1);
        let sequence = self.table.take_over(handle, slot);
        assert_eq!(sequence, self.sequence);
        if entry.slot != Slot::NOBODY {
            self.ports[entry.slot.0 as usize] -= 1;
        }
        self.grant(id, slot, entry.flags, Some(handle));
    }

    fn discard(&mut self, id: usize) {
        let entry = self.held.remove(&id).expect("it is kept");
        self.table.discard(entry.handle.expect("it was told when it was kept"));
        self.cells -= cells_of(&self.names[id]);
    }

    fn grant(&mut self, id: usize, slot: Slot, flags: Flags, handle: Option<Handle>) {
        self.held.insert(id, Entry { slot, sequence: self.sequence, flags, handle });
        self.sequence += 1;
        self.ports[slot.0 as usize] += 1;
    }

    fn keep(&mut self, id: usize) {
        let entry = self.held.get_mut(&id).unwrap();
        let before = std::mem::replace(&mut entry.slot, Slot::NOBODY);
        if before != Slot::NOBODY {
            self.ports[before.0 as usize] -= 1;
        }
    }

    fn forget(&mut self, id: usize) {
        let entry = self.held.remove(&id).unwrap();
        self.ports[entry.slot.0 as usize] -= 1;
        self.cells -= cells_of(&self.names[id]);
    }

    /// The port as it must be, at the handle that was told, which never changes.
    fn port(&mut self, id: usize, told: Option<Handle>) -> Port {
        let entry = self.held.get_mut(&id).unwrap();
        if let (Some(known), Some(told)) = (entry.handle, told) {
            assert_eq!(known, told, "name {id} has moved");
        }
        entry.handle = entry.handle.or(told);
        let handle = entry.handle.unwrap_or(Handle(u32::MAX));
        Port { handle, slot: entry.slot, sequence: entry.sequence, flags: entry.flags }
    }

    fn is_free(&self, slot: Slot) -> bool {
        slot == Slot::NOBODY || self.deaths[slot.0 as usize]
    }

    fn live_slot(&mut self, hint: u64) -> Slot {
        let start = usize::try_from((self.rng.below(4) + hint / 64) % SLOTS as u64).unwrap();
        let live = (start..start + SLOTS).map(|slot| slot % SLOTS).find(|&slot| !self.deaths[slot]);
        Slot(u32::try_from(live.expect("some live")).unwrap())
    }

    /// A burst: neighbours, so that what one session has registered it can release, or any.
    fn some_names(&mut self) -> Vec<usize> {
        let len = 1 + usize::try_from(self.rng.below(70)).unwrap();
        let count = self.names.len() as u64;
        if self.rng.below(3) == 0 {
            return (0..len).map(|_| usize::try_from(self.rng.below(count)).unwrap()).collect();
        }
        let begin = usize::try_from(self.rng.below(count)).unwrap();
        (begin..begin + len).map(|id| id % self.names.len()).collect()
    }
}

fn handle_of(what: Registered) -> Option<Handle> {
    match what {
        Registered::Held(port) | Registered::Mine(port) => Some(port.handle),
        Registered::Awaited(gone) | Registered::Replaced(gone) => Some(gone.port.handle),
        Registered::Quota | Registered::Full => None,
    }
}

/// Names of all lengths, most of them short, that differ in their last bytes.
fn name(number: usize, rng: &mut Rng) -> Vec<u8> {
    let end = number.to_string();
    let len = match rng.below(12) {
        0 => 17 + rng.below(30),
        1 if number.is_multiple_of(7) => 17 + rng.below(1_008),
        _ => 1 + rng.below(16),
    };
    let len = usize::try_from(len).unwrap().max(end.len() + 1);
    let mut name = vec![b'n'; len - end.len()];
    name.extend(end.bytes());
    name
}

fn cells_of(name: &[u8]) -> usize {
    1 + if name.len() > INLINE { (name.len() - HEAD).div_ceil(PIECE) } else { 0 }
}
