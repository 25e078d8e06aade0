//! One table and the calls that are made to it, each with its answers checked.

use std::time::Duration;

use memory::PageChoice;
use switch::{Plan, PortTable, Registrant, Slot};

use super::memory_use::resident_bytes;
use super::names::{Scattered, name};
use super::stalls::Stalls;
use crate::error::Error;
use crate::limits::TABLE_SLOTS;
use crate::stop::Stop;

/// Of the hash of names.
pub(super) type Key = [u8; 32];

/// A key that nobody knows.
pub(super) fn random_key() -> Result<Key, Error> {
    let mut key = Key::default();
    getrandom::fill(&mut key).map_err(|error| Error::Lacks {
        what: format!("random numbers ({error})"),
        mend: "look for `getrandom` in what confines this process".to_owned(),
    })?;
    Ok(key)
}

/// Who registers everything.
const OWNER: Slot = Slot(7);

/// What one kind of call did over all ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) ports: u32,
    /// Time of the core in all calls.
    pub(super) elapsed: Duration,
    pub(super) stalls: Stalls,
    /// Answers that were not what they must be.
    pub(super) wrong: u64,
}

#[derive(Debug)]
pub(super) struct Bed {
    table: PortTable,
    deaths: Vec<bool>,
    ports: u32,
    batch: u32,
    order: Scattered,
    /// The sequence of the first port of this round.
    first: u64,
    /// Bytes of the process before the table was made.
    bytes_before: u64,
}

impl Bed {
    /// A table whose hashes have this key.
    pub(super) fn new(ports: u32, planned: u32, batch: u32, key: Key) -> Result<Self, Error> {
        let bytes_before = resident_bytes()?;
        let plan =
            Plan { shard: 0, ports_planned: planned, ports_max: ports, slots: TABLE_SLOTS, key };
        let table = PortTable::new(&plan, PageChoice::Best).map_err(|error| Error::Lacks {
            what: format!("memory for {planned} ports ({error})"),
            mend: "free some, or name fewer --ports".to_owned(),
        })?;
        let deaths = vec![false; TABLE_SLOTS as usize];
        let order = Scattered::new(ports);
        Ok(Self { table, deaths, ports, batch, order, first: 0, bytes_before })
    }

    /// Bytes that the process has more than before the table was made.
    pub(super) fn bytes(&self) -> Result<u64, Error> {
        Ok(resident_bytes()?.saturating_sub(self.bytes_before))
    }

    pub(super) fn table(&self) -> &PortTable {
        &self.table
    }

    /// Registers all names, in the order of their numbers.
    pub(super) fn register(&mut self, stop: &Stop) -> Result<Pass, Error> {
        self.register_each(stop, &mut |_length| ())
    }

    /// The same, and tells how long each call took of its core.
    pub(super) fn register_each(
        &mut self,
        stop: &Stop,
        told: &mut impl FnMut(Duration),
    ) -> Result<Pass, Error> {
        let by = Registrant { slot: OWNER, grants_max: u32::MAX };
        let (table, deaths) = (&mut self.table, &self.deaths[..]);
        let (mut first, mut wrong, mut next) = (None, 0_u64, 0);
        let pass = each_batch(
            self.ports,
            self.batch,
            |turn| turn,
            stop,
            |names, _numbers| {
                let grants = table.register(names, by, deaths, &mut |_, _| wrong += 1);
                let first = *first.get_or_insert(grants.first);
                wrong += u64::from(grants.first != first + next);
                next += u64::from(grants.count);
            },
            told,
        )?;
        self.first = first.unwrap_or_default();
        wrong += u64::from(next != u64::from(self.ports));
        wrong += u64::from(self.table.ports_of(OWNER) != self.ports);
        Ok(Pass { wrong, ..pass })
    }

    /// Asks for all names in no order, and compares holder and sequence.
    pub(super) fn query(&mut self, stop: &Stop) -> Result<Pass, Error> {
        let (table, deaths, order) = (&self.table, &self.deaths[..], &self.order);
        let (first, mut wrong) = (self.first, 0_u64);
        let pass = each_batch(
            self.ports,
            self.batch,
            |turn| order.at(turn),
            stop,
            |names, numbers| {
                table.find(names, deaths, &mut |item, found| {
                    let sequence = first + u64::from(numbers[item]);
                    let is_right =
                        found.is_some_and(|port| port.slot == OWNER && port.sequence == sequence);
                    wrong += u64::from(!is_right);
                });
            },
            &mut |_length| (),
        )?;
        Ok(Pass { wrong, ..pass })
    }

    /// Asks for as many names that nobody holds.
    pub(super) fn miss(&mut self, stop: &Stop) -> Result<Pass, Error> {
        let (table, deaths, ports) = (&self.table, &self.deaths[..], self.ports);
        let mut wrong = 0_u64;
        let pass = each_batch(
            ports,
            self.batch,
            |turn| !turn,
            stop,
            |names, _numbers| {
                table.find(names, deaths, &mut |_, found| wrong += u64::from(found.is_some()));
            },
            &mut |_length| (),
        )?;
        Ok(Pass { wrong, ..pass })
    }

    /// Releases all names in no order.
    pub(super) fn unregister(&mut self, stop: &Stop) -> Result<Pass, Error> {
        let (table, deaths, order) = (&mut self.table, &self.deaths[..], &self.order);
        let (first, mut wrong) = (self.first, 0_u64);
        let mut sequences = Vec::with_capacity(self.batch as usize);
        let pass = each_batch(
            self.ports,
            self.batch,
            |turn| order.at(turn),
            stop,
            |names, numbers| {
                sequences.clear();
                sequences.extend(numbers.iter().map(|&number| first + u64::from(number)));
                let told = &mut |_, _| wrong += 1;
                table.unregister(names, &sequences, OWNER, deaths, told);
            },
            &mut |_length| (),
        )?;
        wrong += u64::from(self.table.ports_of(OWNER)) + self.table.statistics().ports;
        Ok(Pass { wrong, ..pass })
    }
}

/// Calls `call` with the names of every batch and their numbers. Only the calls are timed: making
/// names is not the table's work.
fn each_batch(
    ports: u32,
    batch: u32,
    number: impl Fn(u32) -> u32,
    stop: &Stop,
    mut call: impl FnMut(&[&[u8]], &[u32]),
    told: &mut impl FnMut(Duration),
) -> Result<Pass, Error> {
    let mut bytes = vec![[0; 16]; batch as usize];
    let mut numbers = vec![0; batch as usize];
    let mut stalls = Stalls::default();
    let mut elapsed = Duration::ZERO;
    let mut begin = 0;
    while begin < ports {
        stop.check()?;
        let len = batch.min(ports - begin);
        for ((turn, bytes), of) in (begin..begin + len).zip(&mut bytes).zip(&mut numbers) {
            *of = number(turn);
            *bytes = name(*of);
        }
        let names: Vec<&[u8]> = bytes[..len as usize].iter().map(<[u8; 16]>::as_slice).collect();
        let length = stalls.time(|| call(&names, &numbers[..len as usize]))?;
        told(length);
        elapsed += length;
        begin += len;
    }
    Ok(Pass { ports, elapsed, stalls, wrong: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_over_a_true_table_is_right_also_while_it_grows() {
        let stop = Stop::default();
        let mut bed = Bed::new(50_000, 1_000, 100, [7; 32]).expect("two megabytes are there");
        for _round in 0..2 {
            for pass in [Bed::register, Bed::query, Bed::miss, Bed::unregister] {
                let pass = pass(&mut bed, &stop).expect("nobody stops it");
                assert_eq!((pass.wrong, pass.ports), (0, 50_000));
                assert!(pass.elapsed > Duration::ZERO && pass.stalls.wall > Duration::ZERO);
            }
        }
    }

    #[test]
    fn passes_over_another_state_than_theirs_are_wrong() {
        let stop = Stop::default();
        let mut bed = Bed::new(1_000, 1_000, 100, [7; 32]).expect("two megabytes are there");
        assert_eq!(bed.query(&stop).expect("runs").wrong, 1_000, "nothing is registered");
        bed.register(&stop).expect("runs");
        assert!(bed.register(&stop).expect("runs").wrong >= 1_000, "all is registered");
        bed.first += 1;
        assert_eq!(bed.query(&stop).expect("runs").wrong, 1_000, "sequences are others");
        assert!(bed.unregister(&stop).expect("runs").wrong >= 1_000, "sequences are others");
    }

    #[test]
    fn raised_stop_ends_a_pass() {
        let stop = Stop::default();
        stop.raise();
        let mut bed = Bed::new(1_000, 1_000, 100, [7; 32]).expect("two megabytes are there");
        assert!(matches!(bed.register(&stop), Err(Error::Interrupted)));
    }
}
