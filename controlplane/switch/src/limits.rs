//! Every bound of the switch, with its derivation.

use base::Duration;

/// Bytes of a port's name at most, as the protocol has it.
pub const NAME_LEN_MAX: usize = 1_024;

/// Cells of a table at most: the last number ends a list, and the one before names no cell.
pub const CELLS_MAX: u32 = u32::MAX - 1;

/// Slots of sessions at most: far above what one machine has connections for; eight bytes each.
pub const SLOTS_MAX: u32 = 1 << 24;

/// Names that go through the table together. 32 cover the 16 to 48 cache misses that a core can
/// have outstanding; of 16, 32 and 64 it was the fastest or even with it.
pub const BURST: usize = 32;

/// How full the index is when a plan is full, and when it begins to grow, in percent. A bucket has ten
/// entries; at 85 % a name that is not there costs 1.2 cache lines in an index that was filled once,
/// and 1.3 after all of it has been replaced twice; at 92 % these would be 1.4 and 1.85. A port then
/// takes 39.5 bytes, of which its cell has 32; what is left to 40 pays for slots and whatever else
/// there is.
pub const FILL_PERCENT: usize = 85;

/// The index grows by a quarter: its fill falls from 85 % to 76 %, with what came meanwhile. A
/// smaller step would move every entry more often for each that comes.
pub(crate) const GROWTH_DIVISOR: usize = 4;

/// Home buckets that are moved for each name that may come, while the index grows. All n of them
/// have moved after n names, in which time the part that has not been moved goes from 85 % to 95 %;
/// there two entries in a million find no room near their home; they would be a hundred if it began
/// at 88 %. A burst of 32 names then takes some 10 us of its core.
pub const MOVES_PER_NAME: usize = 1;

/// Home buckets that one burst moves at most.
pub const MOVES_MAX: usize = MOVES_PER_NAME * BURST;

/// Bytes of cells that growing shows at a time: two pages, 256 short names. Where no thread has made
/// them present, a page costs the kernel 0.3 to 9 us, the latter where a host must find it.
pub(crate) const TOUCH_CELLS_LEN: usize = 2 * 4_096;

/// Bytes of cells that another thread makes present beyond those that are shown, at most: four huge
/// pages, which take it one or two milliseconds, and the fastest registration more than ten.
pub(crate) const AHEAD_CELLS_LEN: usize = 8 << 20;

/// What part of the cells that are shown it is at most, for there may be 255 tables.
pub(crate) const AHEAD_CELLS_DIVISOR: usize = 4;

/// What part of the cells that are shown it is at least: the index grows at the same time, hundreds
/// of megabytes in a step for hundreds of millions of ports, whose thread may share its core with
/// that of the cells. It costs 0.1 byte a port.
pub(crate) const AHEAD_CELLS_LEAST_DIVISOR: usize = 256;

/// Bytes of the index that growing makes present for each burst, where no thread does: one page, so
/// that a call of 256 names touches eight, and a next scale is there after 1.3 % more entries.
pub(crate) const TOUCH_INDEX_LEN: usize = 4_096;

/// How full the index is when it waits no longer for the thread that makes the next scale present,
/// and does so itself. For a hundred million ports 180 MB are to come, which take the thread some
/// fifty milliseconds, or half a percent.
pub(crate) const FILL_WAITING_PERCENT: usize = 86;

/// Entries that found no room within reach of their home: some hundred at the end of a step of
/// growth of a hundred million, else none. When the room for one home's entries is all that is left,
/// growth waits and what finds no place is refused: a move must never fail half-way.
pub(crate) const SPILL_MAX: usize = 4_096;

/// Cells that a sweep looks at together.
pub(crate) const SWEEP_BATCH: u32 = 32;

/// Cells that one step of a listing looks at, for each entry that is asked for and in all: 4,096
/// cells are 128 KiB, which takes some 10 us.
pub const LIST_LOOKS_MAX: u32 = 4_096;

/// By how many standard deviations the part of a shard in what is planned is above the even one. Of
/// names that are spread by chance, one shard in some 30,000 has more, and grows.
pub(crate) const SHARD_SLACK_DEVIATIONS: u32 = 4;

/// The bits of a sequence that count; above them is the number of the shard.
pub(crate) const SEQUENCE_BITS: u32 = 56;

const _: () = assert!(FILL_PERCENT < 100 && GROWTH_DIVISOR > 0);
const _: () = assert!(FILL_PERCENT < FILL_WAITING_PERCENT && FILL_WAITING_PERCENT < 90);
const _: () = assert!(MOVES_PER_NAME >= 1 && MOVES_MAX <= BURST);
const _: () = assert!(BURST.is_power_of_two());

/// The end of a list of indices; never an index.
pub(crate) const NIL: u32 = u32::MAX;

/// Nanoseconds of a second.
pub(crate) const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How long a connection may be without a `HELLO`, as the protocol has it. One that ends has as long
/// to take what waits for it.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections at most: their number is an index into a list that is made at the start, and one
/// that is not used costs some 300 bytes.
pub const CONNECTIONS_MAX: u32 = 1 << 20;

/// Sessions at most. Each has a slot, and a second one for as long as the ports that it gave back
/// with `YIELD` are swept, so there are half as many as slots.
pub const SESSIONS_MAX: u32 = (SLOTS_MAX - SLOTS_BESIDE) / SLOTS_PER_SESSION;

/// Slots for each session that there may be: see [`SESSIONS_MAX`].
pub(crate) const SLOTS_PER_SESSION: u32 = 2;

/// Slots beside those: all that one node may have swept, and one more, so that where there are few
/// sessions a node which gives back and begins again and again takes none from others.
pub(crate) const SLOTS_BESIDE: u32 = SWEEPING_PER_NODE_MAX + 1;

/// Slots of a node in one shard whose ports are swept at a time. A sweep of a million ports takes a
/// tenth of a second; whoever gives back or begins more often is busy with itself, and waits for it.
pub const SWEEPING_PER_NODE_MAX: u32 = 8;

/// Evicted sessions that a node may have beside its live one. Each keeps its ports from everybody
/// for up to the exclusion, so a node that starts over and over again has to wait.
pub const DRAINING_PER_NODE_MAX: usize = 8;

/// Ended sessions whose ids are kept, so that whoever comes back is told what became of it. An
/// older one begins anew, which is as safe: its leases are over on its own clock.
pub const ENDED_MAX: usize = 65_536;

/// Places of subscribers and waiters in all, by default. Each costs some 70 bytes.
pub const PLACES_MAX: u32 = 1 << 20;

/// Entries of the list of who may come in.
pub const ACCESS_MAX: usize = 65_536;

/// Ports of one node by default: as many as there can be.
pub const PORTS_PER_NODE_MAX: u64 = u32::MAX as u64;

/// Bytes of pushes that wait for one node, by default.
pub const QUEUE_LEN_MAX: u32 = 4 << 20;

/// Bytes for notices beyond those. What a notice takes is at most a name with 13 bytes, so some
/// thousands of notices still come through where messages do not.
pub const NOTICES_LEN_MAX: usize = 256 << 10;

/// Subscriptions of one node by default.
pub const SUBSCRIPTIONS_PER_NODE_MAX: u32 = 262_144;

/// Places in queues of one node by default. They are given up one by one when its session ends,
/// which for these takes less than a millisecond.
pub const WAITING_PER_NODE_MAX: u32 = 8_192;

/// Bytes of answers that wait on a connection above which its requests are left where they are. An
/// answer can be longer than this by itself: it is written whole.
pub const ANSWERS_LEN_MAX: usize = 1 << 20;

/// Buffers of outboxes that wait for their next use.
pub(crate) const SPARES_MAX: usize = 64;

/// Bytes of the largest of them. A larger one goes back to the system.
pub(crate) const SPARE_LEN_MAX: usize = 8 << 20;

/// What is kept, in items, of lists that were needed for one request: a batch of this size
/// allocates nothing. Larger ones go back to the system.
pub(crate) const ITEMS_KEPT_MAX: usize = 65_536;

/// Bytes of names of events that are kept for the next.
pub(crate) const EVENT_NAMES_KEPT_LEN_MAX: usize = 1 << 20;

/// Places of followers of dead sessions that one slice tells or gives back: some 100 us.
pub const SWEEP_PLACES: u32 = 1_024;

/// Cells of the table that one slice looks at: half a megabyte, some 20 us.
pub const SWEEP_LOOKS: u32 = 16_384;

/// Looks that taking a port out counts for. It takes 30 to 90 ns, since its bucket lies anywhere, so
/// that a slice which finds dead ports only takes a thousand of them out in 30 to 90 us; everybody
/// else waits for a slice.
pub const SWEEP_LOOKS_PER_PORT: u32 = 16;

/// Dead slots that one slice looks at.
pub const SWEEP_SLOTS: usize = 1_024;

/// Connections that watch at most; each event goes to each of them.
pub const WATCHERS_MAX: usize = 64;

/// Sessions that one step of a listing looks at.
pub const LIST_NODES_LOOKS_MAX: u32 = 4_096;

/// Bytes that an entry of a listing takes at most: two texts, a name, and 64 bytes of numbers.
pub(crate) const LIST_ENTRY_LEN_MAX: u32 = 65 + 257 + 1_026 + 64;

/// Bytes of the longest page of a list where requests may have so many items: one of ports, with the
/// longest names of the longest ids.
#[must_use]
pub fn page_len_max(items: u32) -> u64 {
    let (header, entry) = (12 + 8 + 4, 8 + 65 + 1_026);
    header + entry * u64::from(items.min(LIST_LOOKS_MAX))
}

/// The highest drift of clocks that makes sense, in parts per million: at more, a quarter of each
/// lease would be lost.
pub const DRIFT_PPM_MAX: u32 = 100_000;

/// The shortest lease: at less, the scheduler decides who is alive.
pub const LEASE_MIN: Duration = Duration::from_millis(10);

/// The longest lease: a day.
pub const LEASE_MAX: Duration = Duration::from_secs(86_400);

const _: () = assert!(LIST_ENTRY_LEN_MAX < protocol::limits::FRAME_LEN_BEFORE_WELCOME / 2);
const _: () = assert!(NAME_LEN_MAX == protocol::limits::NAME_LEN_MAX);
