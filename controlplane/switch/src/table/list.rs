//! Listing ports in the order of their cells.

use super::burst::is_free;
use super::{Deaths, Port, PortTable, Slot, port_of};
use crate::limits::{LIST_LOOKS_MAX, NAME_LEN_MAX};

/// What a step of a listing gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Where to go on; 0: this was the end.
    pub cursor: u64,
    /// Ports that were shown.
    pub count: u32,
}

impl PortTable {
    /// Shows up to `count_max` held ports, at least one, whose names begin with `prefix`, from `cursor` on, which
    /// is 0 or what the step before gave. A step looks at no more than
    /// [`LIST_LOOKS_MAX`] cells, so it may show few or none before the end. Ports do not change
    /// their cells: those that are there from the beginning to the end of a listing are shown once.
    pub fn list(
        &self,
        cursor: u64,
        count_max: u32,
        prefix: &[u8],
        deaths: &(impl Deaths + ?Sized),
        visit: &mut impl FnMut(Port, &[u8]),
    ) -> Listed {
        let high = self.cells.high_water();
        let begin = u32::try_from(cursor).unwrap_or(high).min(high);
        let end = high.min(begin.saturating_add(LIST_LOOKS_MAX));
        let mut buffer = [0; NAME_LEN_MAX];
        let mut count = 0;
        let mut next = begin;
        while next < end && count < count_max.max(1) {
            let index = next;
            next += 1;
            let cell = self.cells.at(index);
            if !cell.is_port() || is_free(Slot(cell.slot), deaths) {
                continue;
            }
            let name = self.cells.name(index, &mut buffer);
            if name.starts_with(prefix) {
                visit(port_of(index, cell), name);
                count += 1;
            }
        }
        Listed { cursor: if next < high { u64::from(next) } else { 0 }, count }
    }
}
