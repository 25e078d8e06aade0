//! The cells of a table: one array that grows, and a free list inside the free cells.
//!
//! A list of one link a cell would be followed at the speed of memory's latency, a cell after the
//! other, when ports were freed in no order. So a node of the list names six free cells and the next
//! node, and all of them are asked for when the node comes to the front.

use memory::{ArenaError, Array, PageChoice};

use super::cell::{Cell, FREE_ENTRIES, HEAD, INLINE, NONE, PIECE};
use crate::limits::{
    AHEAD_CELLS_DIVISOR, AHEAD_CELLS_LEAST_DIVISOR, AHEAD_CELLS_LEN, NAME_LEN_MAX, TOUCH_CELLS_LEN,
};

/// There is no cell left, or none that the machine has memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoCell;

#[derive(Debug)]
pub(super) struct Cells {
    cells: Array<Cell>,
    /// The first node of the free list, or [`NONE`].
    head: u32,
    /// Free cells that the first node names.
    head_entries: usize,
    /// Cells from here on were never used.
    fresh: u32,
    used: u32,
    /// So many may be in use.
    used_max: u32,
}

impl Cells {
    pub(super) fn new(planned: u32, max: u32, pages: PageChoice) -> Result<Self, ArenaError> {
        let cells = Array::growable(planned as usize, max as usize, pages)?;
        Ok(Self { cells, head: NONE, head_entries: 0, fresh: 0, used: 0, used_max: max })
    }

    /// Bytes of the cells of a table that was made for `planned` ports, may grow to `max`, and has
    /// come to `held`.
    pub(super) fn len_at(planned: u32, max: u32, held: u32) -> u64 {
        let len = |count: u32| u64::from(count) * size_of::<Cell>() as u64;
        if held <= planned {
            return len(planned);
        }
        let grown = len(held) + (TOUCH_CELLS_LEN + ahead_len(held as usize)) as u64;
        grown.min(len(max))
    }

    /// Bytes that are present now.
    #[cfg(test)]
    pub(super) fn len_now(&self) -> u64 {
        (self.cells.len() * size_of::<Cell>()) as u64
    }

    /// From now on so many may be in use; those that are beyond it stay.
    pub(super) fn set_used_max(&mut self, used_max: u32) {
        self.used_max = used_max;
    }

    #[inline]
    pub(super) fn prefetch(&self, index: u32) {
        self.cells.prefetch(index as usize);
    }

    /// Cells from here on were never used.
    pub(super) fn high_water(&self) -> u32 {
        self.fresh
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Cell> {
        self.cells.get(index as usize)
    }

    #[inline]
    pub(super) fn at(&self, index: u32) -> &Cell {
        &self.cells[index as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, index: u32) -> &mut Cell {
        &mut self.cells[index as usize]
    }

    /// Writes a new port and gives its cell.
    #[inline]
    pub(super) fn add(
        &mut self,
        name: &[u8],
        word: u128,
        sequence: u64,
        slot: u32,
    ) -> Result<u32, NoCell> {
        let next = if name.len() > INLINE { self.add_pieces(&name[HEAD..])? } else { NONE };
        let Some(index) = self.allocate() else {
            self.free_pieces(next);
            return Err(NoCell);
        };
        self.cells[index as usize] = Cell::port(word, name.len(), next, sequence, slot);
        Ok(index)
    }

    /// Frees the port in `index` with all of its name.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) {
        let cell = self.at(index);
        debug_assert!(cell.is_port(), "cell {index} is no port: {cell:?}");
        if cell.name_len() > INLINE {
            self.free_pieces(self.at(index).next_of_name());
        }
        self.free(index);
    }

    /// Whether the port in `index` has this name, whose first bytes are `word`.
    #[inline]
    pub(super) fn is_named(&self, index: u32, name: &[u8], word: u128) -> bool {
        let cell = self.at(index);
        cell.begins(word, name.len()) && (name.len() <= INLINE || self.goes_on(cell, name))
    }

    /// The name of the port in `index`, in `buffer` if it does not lie in one piece.
    pub(super) fn name<'a>(&'a self, index: u32, buffer: &'a mut [u8; NAME_LEN_MAX]) -> &'a [u8] {
        let cell = self.at(index);
        let len = cell.name_len();
        if len <= INLINE {
            return cell.own_bytes();
        }
        buffer[..HEAD].copy_from_slice(cell.own_bytes());
        let mut next = cell.next_of_name();
        for part in buffer[HEAD..len].chunks_mut(PIECE) {
            let piece = self.at(next);
            part.copy_from_slice(&piece.piece_bytes()[..part.len()]);
            next = piece.slot;
        }
        &buffer[..len]
    }

    #[cold]
    fn goes_on(&self, cell: &Cell, name: &[u8]) -> bool {
        let mut next = cell.next_of_name();
        for part in name[HEAD..].chunks(PIECE) {
            let piece = self.at(next);
            if piece.piece_bytes()[..part.len()] != *part {
                return false;
            }
            next = piece.slot;
        }
        true
    }

    #[cold]
    fn add_pieces(&mut self, rest: &[u8]) -> Result<u32, NoCell> {
        let mut next = NONE;
        let count = rest.len().div_ceil(PIECE);
        for number in (0..count).rev() {
            let part = &rest[number * PIECE..rest.len().min((number + 1) * PIECE)];
            let Some(index) = self.allocate() else {
                self.free_pieces(next);
                return Err(NoCell);
            };
            self.cells[index as usize] = Cell::piece(part, next);
            next = index;
        }
        Ok(next)
    }

    fn free_pieces(&mut self, mut next: u32) {
        while next != NONE {
            let index = next;
            debug_assert!(self.at(index).is_piece(), "cell {index} is no piece of a name");
            next = self.at(index).slot;
            self.free(index);
        }
    }

    /// A free cell: one that was freed, else one that was never used.
    #[inline]
    fn allocate(&mut self) -> Option<u32> {
        if self.used >= self.used_max {
            return None;
        }
        let index = if self.head == NONE { self.allocate_fresh()? } else { self.unlink() };
        self.used += 1;
        Some(index)
    }

    #[inline]
    fn allocate_fresh(&mut self) -> Option<u32> {
        if self.fresh as usize == self.cells.len() && !self.show_more() {
            return None;
        }
        self.fresh += 1;
        Some(self.fresh - 1)
    }

    /// Makes the next cells present, a few pages of them. False if there are none, or no memory:
    /// the next call tries again.
    #[cold]
    fn show_more(&mut self) -> bool {
        let (len, len_max) = (self.cells.len(), self.cells.len_max());
        let more = (TOUCH_CELLS_LEN / size_of::<Cell>()).min(len_max - len);
        self.cells.ask_ahead(len + ahead_len(len) / size_of::<Cell>());
        more > 0 && self.cells.grow_to(len + more).is_ok()
    }

    #[inline]
    fn unlink(&mut self) -> u32 {
        let head = self.head;
        if self.head_entries > 0 {
            self.head_entries -= 1;
            return self.at(head).free_entry(self.head_entries);
        }
        self.head = self.at(head).slot;
        if self.head != NONE {
            // It was asked for when the node before it came to the front, and it is full.
            self.head_entries = FREE_ENTRIES;
            let node = self.at(self.head);
            for at in 0..FREE_ENTRIES {
                self.prefetch(node.free_entry(at));
            }
            self.prefetch(node.slot);
        }
        head
    }

    #[inline]
    fn free(&mut self, index: u32) {
        self.used -= 1;
        let has_room = self.head != NONE && self.head_entries < FREE_ENTRIES;
        let mut cell = Cell::FREE;
        if has_room {
            let (head, at) = (self.head, self.head_entries);
            self.at_mut(head).set_free_entry(at, index);
            self.head_entries += 1;
        } else {
            cell.slot = self.head;
            self.head = index;
            self.head_entries = 0;
        }
        *self.at_mut(index) = cell;
    }
}

/// Bytes that are made present beyond so many cells.
fn ahead_len(cells: usize) -> usize {
    let len = cells * size_of::<Cell>();
    AHEAD_CELLS_LEN.min(len / AHEAD_CELLS_DIVISOR).max(len / AHEAD_CELLS_LEAST_DIVISOR)
}
