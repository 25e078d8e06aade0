//! Every bound of the tools' file, with its derivation.

use base::Duration;

/// Words of one cache line.
pub(crate) const LINE: usize = 8;

/// What regions that different processors write are aligned to: processors fetch lines in pairs.
pub(crate) const PAIR: usize = 2 * LINE;

/// Cores at most: more than one server has, and a bound for a reader of garbage.
pub const CORES_MAX: usize = 1024;

/// Counters of one core at most. All crates together have some 200.
pub const COUNTERS_MAX: usize = 4096;

/// Facts of one core at most.
pub const FACTS_MAX: usize = 64;

/// Bytes of a counter's name at most.
pub const NAME_LEN_MAX: usize = 64;

/// Bytes of a group, a unit or a version at most.
pub const WORD_LEN_MAX: usize = 32;

/// Bytes of an instance's name or of a fact at most; a longer fact is cut.
pub const TEXT_LEN_MAX: usize = 64;

/// Bytes of a tools' file at most: what is longer is none, and a reader maps nothing absurd.
/// [`CORES_MAX`] cores with all counters and rows they may have take 0.2 GiB.
pub const FILE_LEN_MAX: usize = 1 << 28;

/// Rows a core can have written before a tool has read them: at [`WALK_SHARE`] the core fills 1,024
/// in 16 ms, which is more than a tool sleeps, and 128 KiB per core are nothing.
pub const ROWS: usize = 1024;

/// How long a core waits at least between two publications. People and tools look once a second,
/// and a publication costs about a microsecond.
pub const PUBLISH_INTERVAL: Duration = Duration::from_millis(50);

/// Attempts to read a section while its core publishes. A publication takes about as long as an
/// attempt, so that the second one succeeds unless the core was interrupted in the middle.
pub(crate) const READ_ATTEMPTS: usize = 64;

/// A running core whose last sign of life is older than this counts as stuck: it should have
/// published twenty times.
pub const RUNNING_LATE: Duration = Duration::from_millis(1_000);
const _: () = assert!(RUNNING_LATE.as_nanos() >= 10 * PUBLISH_INTERVAL.as_nanos());

/// A sleeping core whose last sign of life is older than this counts as stuck: three times the
/// longest sleep of the gateway.
pub const ASLEEP_LATE: Duration = Duration::from_millis(30_000);

/// A tool that has not shown itself for so long has died or was stopped: its claim is forfeit.
pub const CLAIM_LATE: Duration = Duration::from_millis(2_000);

/// A core gives up a walk whose tool has read nothing for so long.
pub const WALK_LATE: Duration = Duration::from_millis(2_000);

/// What looking at one record costs, about: a cache miss that nothing hides.
pub(crate) const LOOK_NANOS: u64 = 50;

/// What a record that is listed costs, about: the record, its extension, and two lines of the
/// buffer which the tool has read last. A row of 100,000 took 60 to 75 ns where it was measured,
/// but what it displaces from the core's caches is paid later.
pub(crate) const ROW_NANOS: u64 = 250;

/// The part of its time that a core may spend on a walk: one in so many. With `ROW_NANOS` it is
/// 62,500 rows per second, and 100,000 connections are listed in under two seconds.
pub const WALK_SHARE: u64 = 64;

/// What one turn may spend on a walk at least, and saves up for: four microseconds, 16 rows.
pub(crate) const WALK_STEP_NANOS: u64 = 16 * ROW_NANOS;

/// What one turn may spend on a walk at most, after a long turn or a short sleep.
pub(crate) const WALK_STEP_NANOS_MAX: u64 = 4 * WALK_STEP_NANOS;

/// Entries that one turn may look at, at most: where none of them is wanted.
pub const WALK_LOOKS_MAX: u64 = WALK_STEP_NANOS_MAX.div_ceil(LOOK_NANOS);

/// How often a core walks a step.
pub(crate) const WALK_INTERVAL: Duration = Duration::from_nanos(WALK_STEP_NANOS * WALK_SHARE);
