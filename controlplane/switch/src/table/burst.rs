//! Registering, unregistering and finding, a burst at a time.

use super::cell::{Cell, NONE};
use super::index::{Ahead, Place};
use super::name::word_of;
use super::{
    Deaths, Flags, Found, Gone, Grants, PortTable, Registered, Registrant, Slot, Unregistered,
    port_of,
};
use crate::limits::{BURST, NAME_LEN_MAX};

/// A name's first bytes and its hash.
#[derive(Clone, Copy)]
struct Probe {
    word: u128,
    hash: u64,
}

impl PortTable {
    /// Registers names for a session, as if one after the other: what is held by nobody, or by a
    /// dead session, is granted. `told` hears, by rising item, of every item that was not simply
    /// granted; the sequences of the others are consecutive.
    ///
    /// # Panics
    /// If a name is empty or longer than [`NAME_LEN_MAX`], or the registrant is dead.
    pub fn register(
        &mut self,
        names: &[&[u8]],
        by: Registrant,
        deaths: &(impl Deaths + ?Sized),
        told: &mut impl FnMut(usize, Registered),
    ) -> Grants {
        let first = self.sequence;
        let mut grants_left = by.grants_max;
        assert!(!deaths.is_dead(by.slot), "{:?} is dead and registers", by.slot);
        for (burst, names) in names.chunks(BURST).enumerate() {
            self.grow(names.len());
            let probes = self.probe(names, true);
            let before = grants_left;
            for ((&name, &probe), item) in names.iter().zip(&probes).zip(burst * BURST..) {
                let by = Registrant { slot: by.slot, grants_max: grants_left };
                match self.register_one(name, probe, by, deaths) {
                    Ok(()) => grants_left -= 1,
                    Err(what) => {
                        grants_left -= u32::from(matches!(what, Registered::Replaced(_)));
                        told(item, what);
                    }
                }
            }
            self.slots.grant_many(by.slot.0, before - grants_left);
        }
        Grants { first, count: by.grants_max - grants_left }
    }

    /// Releases names that a session holds under these sequences, as if one after the other. `told`
    /// hears, by rising item, of every item that was not released and of every one that had marks.
    /// Gives how many were released.
    ///
    /// # Panics
    /// If there are not as many sequences as names, or a name is empty or longer than
    /// [`NAME_LEN_MAX`].
    pub fn unregister(
        &mut self,
        names: &[&[u8]],
        sequences: &[u64],
        slot: Slot,
        deaths: &(impl Deaths + ?Sized),
        told: &mut impl FnMut(usize, Unregistered),
    ) -> u32 {
        assert!(
            names.len() == sequences.len(),
            "{} names, {} sequences",
            names.len(),
            sequences.len()
        );
        let mut released = 0;
        for (burst, names) in names.chunks(BURST).enumerate() {
            let begin = burst * BURST;
            let probes = self.probe(names, false);
            for probe in &probes[..names.len()] {
                self.index.prefetch_strays(probe.hash);
            }
            for ((&name, &probe), item) in names.iter().zip(&probes).zip(begin..) {
                match self.unregister_one(name, probe, (slot, sequences[item]), deaths) {
                    Ok(()) => released += 1,
                    Err(what) => {
                        released += u32::from(matches!(what, Unregistered::Released(_)));
                        told(item, what);
                    }
                }
            }
        }
        released
    }

    /// Looks names up; `told` hears of each, in order.
    ///
    /// # Panics
    /// If a name is empty or longer than [`NAME_LEN_MAX`].
    pub fn find(
        &self,
        names: &[&[u8]],
        deaths: &(impl Deaths + ?Sized),
        told: &mut impl FnMut(usize, Found),
    ) {
        for (burst, names) in names.chunks(BURST).enumerate() {
            let probes = self.probe(names, false);
            for ((&name, &probe), item) in names.iter().zip(&probes).zip(burst * BURST..) {
                let place = self.place(name, probe);
                let port = place.map(|place| port_of(place.value, self.cells.at(place.value)));
                told(item, port.filter(|port| !is_free(port.slot, deaths)));
            }
        }
    }

    /// Grants the name, or says why not.
    #[inline]
    fn register_one(
        &mut self,
        name: &[u8],
        probe: Probe,
        by: Registrant,
        deaths: &(impl Deaths + ?Sized),
    ) -> Result<(), Registered> {
        if let Some(place) = self.place(name, probe) {
            return self.register_known(place, by, deaths);
        }
        if by.grants_max == 0 {
            return Err(Registered::Quota);
        }
        let sequence = self.sequence;
        let added = self.cells.add(name, probe.word, sequence, by.slot.0);
        let Ok(index) = added else {
            return Err(Registered::Full);
        };
        if self.index.insert(probe.hash, index).is_err() {
            self.cells.remove(index);
            return Err(Registered::Full);
        }
        let stamped = self.next_sequence();
        debug_assert_eq!(stamped, sequence);
        Ok(())
    }

    fn register_known(
        &mut self,
        place: Place,
        by: Registrant,
        deaths: &(impl Deaths + ?Sized),
    ) -> Result<(), Registered> {
        let port = port_of(place.value, self.cells.at(place.value));
        if !is_free(port.slot, deaths) {
            return Err(match port.slot == by.slot {
                true => Registered::Mine(port),
                false => Registered::Held(port),
            });
        }
        if port.flags.has(Flags::AWAITED) {
            return Err(Registered::Awaited(self.keep(place.value)));
        }
        if by.grants_max == 0 {
            return Err(Registered::Quota);
        }
        let sequence = self.next_sequence();
        let cell = self.cells.at_mut(place.value);
        cell.slot = by.slot.0;
        cell.sequence = sequence;
        cell.set_flags(Flags::NONE);
        self.slots.release(port.slot.0);
        if port.flags == Flags::NONE {
            return Ok(());
        }
        Err(Registered::Replaced(Gone { port, is_kept: false }))
    }

    #[inline]
    fn unregister_one(
        &mut self,
        name: &[u8],
        probe: Probe,
        (slot, sequence): (Slot, u64),
        deaths: &(impl Deaths + ?Sized),
    ) -> Result<(), Unregistered> {
        let Some(place) = self.place(name, probe) else {
            return Err(Unregistered::Free);
        };
        let port = port_of(place.value, self.cells.at(place.value));
        if port.slot != slot {
            let is_free = is_free(port.slot, deaths);
            return Err(if is_free { Unregistered::Free } else { Unregistered::NotMine });
        }
        if port.sequence != sequence {
            return Err(Unregistered::Stale);
        }
        if port.flags.has(Flags::AWAITED) {
            return Err(Unregistered::Released(self.keep(place.value)));
        }
        self.slots.release(slot.0);
        self.index.remove(probe.hash, place);
        self.cells.remove(place.value);
        if port.flags == Flags::NONE {
            return Ok(());
        }
        Err(Unregistered::Released(Gone { port, is_kept: false }))
    }

    /// Keeps a port, whose holder is gone, for those who stand in line.
    pub(super) fn keep(&mut self, index: u32) -> Gone {
        let cell = self.cells.at_mut(index);
        let port = port_of(index, cell);
        cell.slot = NONE;
        self.slots.release(port.slot.0);
        Gone { port, is_kept: true }
    }

    #[inline]
    fn place(&self, name: &[u8], probe: Probe) -> Option<Place> {
        self.index.find(probe.hash, |value| self.cells.is_named(value, name, probe.word))
    }

    /// Hashes a burst and brings what its names need towards the cache, also to be added if
    /// `may_add`.
    #[inline]
    fn probe(&self, names: &[&[u8]], may_add: bool) -> [Probe; BURST] {
        let mut probes = [Probe { word: 0, hash: 0 }; BURST];
        for (&name, probe) in names.iter().zip(&mut probes) {
            let len = name.len();
            assert!((1..=NAME_LEN_MAX).contains(&len), "a name of {len} bytes");
            probe.word = word_of(name);
            probe.hash = self.hash.hash(name, probe.word);
            self.index.prefetch(probe.hash);
        }
        let (mut strays, mut strays_len) = ([0_u8; BURST], 0);
        for (probe, item) in probes[..names.len()].iter().zip(0..) {
            match self.index.ahead(probe.hash) {
                Ahead::Value(index) => self.cells.prefetch(index),
                Ahead::Strays => {
                    strays[strays_len] = item;
                    strays_len += 1;
                }
                Ahead::Nothing if may_add => self.index.prefetch_room(probe.hash),
                Ahead::Nothing => (),
            }
        }
        for &item in &strays[..strays_len] {
            if let Some(index) = self.index.stray_ahead(probes[usize::from(item)].hash) {
                self.cells.prefetch(index);
            }
        }
        probes
    }

    #[inline]
    fn grow(&mut self, names: usize) {
        let (cells, hash) = (&self.cells, &self.hash);
        let before = self.index.moves();
        self.index
            .grow(names, &|index| cells.prefetch(index), &|index| hash_of(cells, hash, index));
        self.moves_per_burst_max = self.moves_per_burst_max.max(self.index.moves() - before);
    }
}

/// Whether a port of this slot is anybody's: it is kept for waiters, or its holder is dead.
#[inline]
pub(super) fn is_free(slot: Slot, deaths: &(impl Deaths + ?Sized)) -> bool {
    slot.0 == NONE || deaths.is_dead(slot)
}

/// The hash of the name of the port in cell `index`.
pub(super) fn hash_of(cells: &super::Cells, hash: &super::NameHash, index: u32) -> u64 {
    let cell: &Cell = cells.at(index);
    if cell.name_len() <= super::cell::INLINE {
        return hash.short(cell.word(), cell.name_len());
    }
    let mut buffer = [0; NAME_LEN_MAX];
    let name = cells.name(index, &mut buffer);
    hash.hash(name, word_of(name))
}

#[cfg(test)]
impl PortTable {
    /// Panics unless the index is sound and every port lies where its name's hash says.
    pub(super) fn check_index(&self) {
        self.index.check(&|index| hash_of(&self.cells, &self.hash, index));
    }
}
