//! Every bound of the switch, with its derivation.

/// Bytes of a port's name at most, as the protocol has it.
pub const NAME_LEN_MAX: usize = 1_024;

/// Cells of a table at most: the last number ends a list, and the one before names no cell.
pub const CELLS_MAX: u32 = u32::MAX - 1;

/// Slots of sessions at most: far above what one machine has connections for; eight bytes each.
pub const SLOTS_MAX: u32 = 1 << 24;

/// Names that go through the table together. 32 cover the 16 to 48 cache misses that a core can
/// have outstanding; of 16, 32 and 64 it was the fastest or even with it.
pub const BURST: usize = 32;

/// How full the index is when a plan is full, in percent. A bucket has ten entries; at 84 % a name
/// that is not there costs 1.2 cache lines in an index that was filled once, and 1.9 after all of
/// it has been replaced twice. 40 bytes for each port, of which the cell takes 32, would allow for
/// 80 %; the rest pays for slots and whatever else there is.
pub const FILL_PERCENT: usize = 84;

/// The index grows by a quarter: its fill falls from 84 % to 75 %, with what came meanwhile. A
/// smaller step would move every entry more often for each that comes.
pub(crate) const GROWTH_DIVISOR: usize = 4;

/// Home buckets that are moved for each name that may come, while the index grows. All n of them
/// have moved after n names, in which time the part that has not been moved goes from 85 % to 95 %;
/// there one entry in some hundred thousand finds no room near its home. A burst of 32 names then
/// takes some 10 us of its core, far below the 100 us that a call may; a call of 256 takes up to 150,
/// so who registers more while the table grows does so in several calls.
pub const MOVES_PER_NAME: usize = 1;

/// Home buckets that one burst moves at most.
pub const MOVES_MAX: usize = MOVES_PER_NAME * BURST;

/// Bytes of cells that growing makes present at a time: two pages, 256 short names. A page costs the
/// kernel 0.3 to 9 us, the latter where a host must find it.
pub(crate) const TOUCH_CELLS_LEN: usize = 2 * 4_096;

/// Bytes of the index that growing makes present for each burst: one page, so that a call of 256
/// names touches eight, and a next scale is there after 1.3 % more entries.
pub(crate) const TOUCH_INDEX_LEN: usize = 4_096;

/// Entries that found no room within reach of their home: some hundred at the end of a step of
/// growth of a hundred million, else none. When the room for one home's entries is all that is left,
/// growth waits and what finds no place is refused: a move must never fail half-way.
pub(crate) const SPILL_MAX: usize = 4_096;

/// Cells that a sweep looks at together.
pub(crate) const SWEEP_BATCH: u32 = 32;

/// Cells that one step of a listing looks at, for each entry that is asked for and in all: 4,096
/// cells are 128 KiB, which takes some 10 us.
pub const LIST_LOOKS_MAX: u32 = 4_096;

/// The bits of a sequence that count; above them is the number of the shard.
pub(crate) const SEQUENCE_BITS: u32 = 56;

const _: () = assert!(FILL_PERCENT < 100 && GROWTH_DIVISOR > 0);
const _: () = assert!(MOVES_PER_NAME >= 1 && MOVES_MAX <= BURST);
const _: () = assert!(BURST.is_power_of_two());
