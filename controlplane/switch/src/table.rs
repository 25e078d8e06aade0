//! The ports of one shard: who holds which name, under which sequence.

mod burst;
mod cell;
mod cells;
mod index;
mod list;
mod name;
mod slots;
mod sweep;
#[cfg(test)]
mod tests;

use memory::{ArenaError, PageChoice};

pub use self::list::Listed;
pub use self::sweep::{Swept, Visit};

use self::cell::{Cell, NONE};
use self::cells::Cells;
use self::index::Index;
use self::name::NameHash;
use self::slots::Slots;
use crate::limits::{CELLS_MAX, NAME_LEN_MAX, SEQUENCE_BITS, SLOTS_MAX};

/// The number of a session at this switch. It has a new session only after the last port of the
/// one before it is gone: see [`PortTable::ports_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// In the place of the holder of a port that is kept for those who stand in line.
    pub const NOBODY: Self = Self(NONE);
}

/// The number of a held port's cell. It names the port until the port is released; then another
/// port may have it, under another sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// What others keep about a port in tables of their own, marked in the port so that they need not
/// look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub(crate) u8);

impl Flags {
    /// Nothing is marked.
    pub const NONE: Self = Self(0);
    /// Sessions want to be told when the port goes away.
    pub const SUBSCRIBED: Self = Self(1);
    /// Sessions stand in line for the port. It is then nobody else's when it is released: see
    /// [`Gone::is_kept`].
    pub const AWAITED: Self = Self(2);

    /// Whether all of the others' marks are here.
    #[must_use]
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Both marks.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These marks but the others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }
}

/// Which slots are dead. It is asked at every mutation, and by its answer a port that a dead
/// session held is free.
pub trait Deaths {
    /// Whether the session of this slot is over.
    fn is_dead(&self, slot: Slot) -> bool;
}

/// True: the slot of this number is dead.
impl Deaths for [bool] {
    #[inline]
    fn is_dead(&self, slot: Slot) -> bool {
        self[slot.0 as usize]
    }
}

/// Who registers, and how much more it may have.
#[derive(Clone, Copy, Debug)]
pub struct Registrant {
    /// Its slot, which is not dead.
    pub slot: Slot,
    /// Ports that it may be granted in this call; what is beyond is [`Registered::Quota`].
    pub grants_max: u32,
}

/// What is told of an item that was not simply granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Another session holds it.
    Held(Port),
    /// This session holds it already.
    Mine(Port),
    /// Its holder is gone, but others stand in line. The caller gives it to the first of them with
    /// [`PortTable::take_over`], or, if none is left, calls [`PortTable::discard`] and registers
    /// again.
    Awaited(Gone),
    /// The session may have no more ports.
    Quota,
    /// There is no room.
    Full,
    /// It was granted, and its record was that of a dead session's port with marks, which are
    /// cleared: those who asked to be told are to be told.
    Replaced(Gone),
}

/// What is told of an item of an unregistration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unregistered {
    /// Nobody holds it.
    Free,
    /// Another session holds it.
    NotMine,
    /// This session holds it under another sequence.
    Stale,
    /// It was released, and had marks. Releases of ports without marks are not told.
    Released(Gone),
}

/// A port as it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its cell.
    pub handle: Handle,
    /// Who holds it.
    pub slot: Slot,
    /// The sequence of the grant.
    pub sequence: u64,
    /// What others keep about it.
    pub flags: Flags,
}

/// What was found under a name: a port that is held, or nothing.
pub type Found = Option<Port>;

/// A grant that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The port as it was. Unless [`Gone::is_kept`], its handle is free or names a new grant.
    pub port: Port,
    /// The port is kept for those who stand in line, held by nobody: the caller gives it to one
    /// with [`PortTable::take_over`] or drops it with [`PortTable::discard`].
    pub is_kept: bool,
}

/// The sequences that a registration was granted, in the order of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// The first of them, or the next that will be if there are none.
    pub first: u64,
    /// How many there are.
    pub count: u32,
}

/// How large a table is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The number of this shard, which is in the top 8 bits of its sequences.
    pub shard: u8,
    /// Ports with names of up to 16 bytes whose memory is taken and touched now. Each 24 bytes of a
    /// longer name beyond its first 12 count as one more.
    pub ports_planned: u32,
    /// Ports that the table may grow to, a few pages at a time; at least those planned.
    pub ports_max: u32,
    /// Slots of sessions: those below.
    pub slots: u32,
    /// The secret key of the hash.
    pub key: [u8; 32],
}

/// Why a table cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The numbers of ports make no sense.
    #[error(
        "{planned} ports planned and {max} at most; right is 1 <= planned <= most <= {CELLS_MAX}"
    )]
    Ports {
        /// As planned.
        planned: u32,
        /// As the most.
        max: u32,
    },
    /// Too many slots, or none.
    #[error("{slots} slots for sessions; right is 1 to {SLOTS_MAX}")]
    Slots {
        /// As asked for.
        slots: u32,
    },
    /// The memory is not there.
    #[error(transparent)]
    Memory(#[from] ArenaError),
}

/// What the table has done and what it takes, for operators and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Ports in the table, those of dead sessions and those kept for waiters included.
    pub ports: u64,
    /// Ports of dead sessions that the sweep has not come to.
    pub ports_dead: u64,
    /// Cells in use: more than ports where names are long.
    pub cells: u64,
    /// Buckets of the index that are present.
    pub buckets: u64,
    /// Entries of the index that found no room near their home.
    pub spilled: u64,
    /// Home buckets that growing has moved.
    pub moves: u64,
    /// The most that one call moved: at most [`crate::limits::MOVES_MAX`] for each burst.
    pub moves_per_burst_max: u64,
}

/// The ports of one shard. Bursts go through it in three rounds, so that the memory that all of
/// them need comes at once: hash and bucket, candidate cells, then one item after the other.
///
/// Nothing is allocated after [`PortTable::new`], and no operation costs in proportion to the ports
/// that are held.
#[derive(Debug)]
pub struct PortTable {
    hash: NameHash,
    index: Index,
    cells: Cells,
    slots: Slots,
    /// The next sequence.
    sequence: u64,
    shard: u8,
    /// The cell that the sweep looks at next.
    sweep_cursor: u32,
    moves_per_burst_max: u64,
}

impl PortTable {
    /// An empty table. Its planned memory is taken and touched now.
    ///
    /// # Errors
    /// The plan makes no sense, or the memory is not there.
    pub fn new(plan: &Plan, pages: PageChoice) -> Result<Self, PlanError> {
        let Plan { shard, ports_planned: planned, ports_max: max, slots, key } = *plan;
        if planned == 0 || planned > max || max > CELLS_MAX {
            return Err(PlanError::Ports { planned, max });
        }
        if slots == 0 || slots > SLOTS_MAX {
            return Err(PlanError::Slots { slots });
        }
        Ok(Self {
            hash: NameHash::new(key),
            index: Index::new(planned, max, pages)?,
            cells: Cells::new(planned, max, pages)?,
            slots: Slots::new(slots),
            sequence: u64::from(shard) << SEQUENCE_BITS | 1,
            shard,
            sweep_cursor: 0,
            moves_per_burst_max: 0,
        })
    }

    /// Bytes that a table takes and touches at its start on huge pages, for so many ports planned and
    /// so many at most: its cells, and the index over them.
    #[must_use]
    pub fn len_at_start(ports_planned: u32, ports_max: u32) -> u64 {
        let cells = u64::from(ports_planned) * size_of::<Cell>() as u64;
        let index = Index::len_at_start(ports_planned, ports_max);
        [cells, index].into_iter().map(memory::len_on_pages).sum()
    }

    /// Bytes that a table takes on huge pages, at most, when it was made for so many ports planned and
    /// so many at most, and has come to hold `held` of them.
    #[must_use]
    pub fn len_at(ports_planned: u32, ports_max: u32, held: u32) -> u64 {
        let cells = Cells::len_at(ports_planned, ports_max, held);
        let index = Index::len_at(ports_planned, ports_max, held);
        [cells, index].into_iter().map(memory::len_on_pages).sum()
    }

    /// From now on the table may have so many cells in use, and no more than its plan says. What it
    /// holds beyond them stays, and nothing comes.
    pub fn set_cells_max(&mut self, cells_max: u32) {
        self.cells.set_used_max(cells_max);
    }

    /// Cells in use.
    #[must_use]
    pub fn cells_used(&self) -> u32 {
        self.cells.used()
    }

    /// The port of a handle that the caller kept, if there is one; the caller compares its sequence
    /// with what it knows.
    #[must_use]
    pub fn port(&self, handle: Handle) -> Option<Port> {
        let cell = self.cells.get(handle.0)?;
        cell.is_port().then(|| port_of(handle.0, cell))
    }

    /// The name of the port of a handle, in `buffer` if it does not lie in one piece.
    ///
    /// # Panics
    /// If the handle names no port.
    #[must_use]
    pub fn name<'a>(&'a self, handle: Handle, buffer: &'a mut [u8; NAME_LEN_MAX]) -> &'a [u8] {
        assert!(self.port(handle).is_some(), "{handle:?} names no port");
        self.cells.name(handle.0, buffer)
    }

    /// Marks a port, or unmarks it.
    ///
    /// # Panics
    /// If the handle names no port.
    pub fn set_flags(&mut self, handle: Handle, flags: Flags) {
        assert!(self.port(handle).is_some(), "{handle:?} names no port");
        self.cells.at_mut(handle.0).set_flags(flags);
    }

    /// Grants a port, whoever holds it, to `slot`: the promotion of a waiter. Its marks stay.
    ///
    /// # Panics
    /// If the handle names no port.
    pub fn take_over(&mut self, handle: Handle, slot: Slot) -> u64 {
        assert!(self.port(handle).is_some(), "{handle:?} names no port");
        let sequence = self.next_sequence();
        let cell = self.cells.at_mut(handle.0);
        let before = std::mem::replace(&mut cell.slot, slot.0);
        cell.sequence = sequence;
        self.slots.release(before);
        self.slots.grant(slot.0);
        sequence
    }

    /// Removes a port that was kept for waiters of whom none is left.
    ///
    /// # Panics
    /// If the handle names no port that nobody holds.
    pub fn discard(&mut self, handle: Handle) {
        let port = self.port(handle);
        assert!(
            port.is_some_and(|port| port.slot.0 == NONE),
            "{handle:?} is not kept for waiters: {port:?}"
        );
        let mut buffer = [0; NAME_LEN_MAX];
        let name = self.cells.name(handle.0, &mut buffer);
        let hash = self.hash.hash(name, name::word_of(name));
        self.remove(hash, handle.0);
    }

    /// Ports that `slot` holds. A slot that has died may have a new session when they are 0.
    #[must_use]
    pub fn ports_of(&self, slot: Slot) -> u32 {
        self.slots.ports(slot.0)
    }

    /// What the table has done and what it takes.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            ports: self.index.len() as u64,
            ports_dead: self.slots.ending(),
            cells: u64::from(self.cells.used()),
            buckets: self.index.buckets() as u64,
            spilled: self.index.spilled() as u64,
            moves: self.index.moves(),
            moves_per_burst_max: self.moves_per_burst_max,
        }
    }

    #[inline]
    fn next_sequence(&mut self) -> u64 {
        let sequence = self.sequence;
        assert!(
            sequence >> SEQUENCE_BITS == u64::from(self.shard),
            "shard {} has granted 2^56 ports",
            self.shard
        );
        self.sequence += 1;
        sequence
    }

    /// Takes the port in cell `index` out of the index, and frees the cell.
    fn remove(&mut self, hash: u64, index: u32) {
        let place = self.index.find(hash, |value| value == index);
        let place = place.unwrap_or_else(|| panic!("port {index} is not in the index"));
        self.index.remove(hash, place);
        self.cells.remove(index);
    }
}

#[inline]
fn port_of(index: u32, cell: &Cell) -> Port {
    Port {
        handle: Handle(index),
        slot: Slot(cell.slot),
        sequence: cell.sequence,
        flags: cell.flags(),
    }
}
