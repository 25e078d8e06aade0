//! Taking out the ports of dead sessions, a few cells at a time.

use super::burst::{hash_of, is_free};
use super::{Deaths, Flags, Gone, Port, PortTable, Slot, port_of};
use crate::limits::{NAME_LEN_MAX, SWEEP_BATCH, SWEEP_LOOKS_PER_PORT};

/// Whoever looks at a port and its name.
pub type Visit<'a> = &'a mut dyn FnMut(Port, &[u8]);

/// What a step of the sweep did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Cells that were looked at.
    pub looks: u32,
    /// Ports of dead sessions that were taken out or are kept for waiters.
    pub ports: u32,
    /// No dead session has a port any more: no step is needed until another dies.
    pub is_done: bool,
}

impl PortTable {
    /// Says that the session of `slot` has died. Its ports were free since [`Deaths`] says so; from
    /// now on the sweep is after them. The slot may have a new session, and be no longer dead, when
    /// [`PortTable::ports_of`] is 0.
    pub fn end(&mut self, slot: Slot) {
        self.slots.end(slot.0);
    }

    /// Looks at up to `looks_max` cells, rounded up to batches of some, and takes the ports of dead
    /// sessions out, each of which counts as [`SWEEP_LOOKS_PER_PORT`] looks more. `told` hears of those that have marks. It goes round for as long as a dead
    /// session has a port, and costs nothing when none has.
    pub fn sweep(
        &mut self,
        looks_max: u32,
        deaths: &(impl Deaths + ?Sized),
        told: &mut impl FnMut(Gone),
    ) -> Swept {
        self.sweep_shown(looks_max, deaths, told, None)
    }

    /// As [`PortTable::sweep`]; `show` sees every port that it takes out, with its name.
    pub fn sweep_shown(
        &mut self,
        looks_max: u32,
        deaths: &(impl Deaths + ?Sized),
        told: &mut impl FnMut(Gone),
        mut show: Option<Visit<'_>>,
    ) -> Swept {
        let (mut looks, mut ports) = (0, 0_u32);
        while looks + ports * SWEEP_LOOKS_PER_PORT < looks_max && self.slots.ending() > 0 {
            if self.sweep_cursor >= self.cells.high_water() {
                self.sweep_cursor = 0;
            }
            let begin = self.sweep_cursor;
            let end = self.cells.high_water().min(begin.saturating_add(SWEEP_BATCH));
            ports += self.sweep_batch((begin, end), deaths, told, &mut show);
            self.sweep_cursor = end;
            looks += end - begin;
        }
        Swept { looks, ports, is_done: self.slots.ending() == 0 }
    }

    fn sweep_batch(
        &mut self,
        (begin, end): (u32, u32),
        deaths: &(impl Deaths + ?Sized),
        told: &mut impl FnMut(Gone),
        show: &mut Option<Visit<'_>>,
    ) -> u32 {
        let mut dead = [(0_u64, 0_u32); SWEEP_BATCH as usize];
        let mut count = 0;
        for index in begin..end {
            // What the next batch reads; the cells lie in order, so the processor helps.
            self.cells.prefetch(index.wrapping_add(2 * SWEEP_BATCH));
            let cell = self.cells.at(index);
            if cell.is_port() && cell.slot != super::NONE && is_free(Slot(cell.slot), deaths) {
                let hash = hash_of(&self.cells, &self.hash, index);
                self.index.prefetch(hash);
                dead[count] = (hash, index);
                count += 1;
            }
        }
        for &(hash, _) in &dead[..count] {
            self.index.prefetch_strays(hash);
        }
        for &(hash, index) in &dead[..count] {
            let port = port_of(index, self.cells.at(index));
            if let Some(show) = show {
                let mut buffer = [0; NAME_LEN_MAX];
                show(port, self.cells.name(index, &mut buffer));
            }
            if port.flags.has(Flags::AWAITED) {
                told(self.keep(index));
                continue;
            }
            self.slots.release(port.slot.0);
            self.remove(hash, index);
            if port.flags != Flags::NONE {
                told(Gone { port, is_kept: false });
            }
        }
        u32::try_from(count).expect("a batch")
    }
}

#[cfg(test)]
mod tests {
    use memory::PageChoice;

    use super::super::{Plan, PortTable, Registrant, Slot};
    use crate::limits::{SWEEP_BATCH, SWEEP_LOOKS, SWEEP_LOOKS_PER_PORT};

    #[test]
    fn a_step_takes_few_ports_out_where_all_are_dead_and_looks_at_many_cells_where_none_is() {
        let (count, slots) = (100_000, 2);
        let plan = Plan { shard: 0, ports_planned: count, ports_max: count, slots, key: [7; 32] };
        let mut table = PortTable::new(&plan, PageChoice::Base).expect("a proper plan");
        let names: Vec<[u8; 4]> = (0..count).map(u32::to_le_bytes).collect();
        let names: Vec<&[u8]> = names.iter().map(<[u8; 4]>::as_slice).collect();
        let mut dead = [false; 2];
        let (live, dying) = names.split_at(60_000);
        for (names, slot) in [(live, Slot(0)), (dying, Slot(1))] {
            let by = Registrant { slot, grants_max: count };
            table.register(names, by, &dead[..], &mut |_, what| panic!("{what:?}"));
        }
        dead[1] = true;
        table.end(Slot(1));
        let mut step = || table.sweep(SWEEP_LOOKS, &dead[..], &mut |gone| panic!("{gone:?}"));
        assert_eq!((step().looks, step().ports), (SWEEP_LOOKS, 0));
        let mut swept = 0;
        loop {
            let step = step();
            swept += step.ports;
            let ports_max = SWEEP_LOOKS / SWEEP_LOOKS_PER_PORT + SWEEP_BATCH;
            assert!(step.ports <= ports_max, "{step:?}");
            if step.is_done {
                break;
            }
        }
        assert_eq!(swept, 40_000);
    }
}
