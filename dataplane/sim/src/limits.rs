//! Every bound of a run, with its derivation.

use base::Duration;

/// Seeds of one process: each makes an arena, and the ids of arenas are never used twice.
pub const SEEDS_MAX: u64 = 60_000;

/// How far the clock moves while packets do: about what a core needs for a turn.
pub(crate) const STEP_MOVING: Duration = Duration::from_micros(20);

/// How far it moves while something waits to be sent and nothing leaves: a frame or room in a ring
/// comes back by a timer of somebody, and those have ticks of a millisecond.
pub(crate) const STEP_STUCK: Duration = Duration::from_micros(500);

/// Virtual time in which every connection must have ended: fifteen retransmissions take ten
/// minutes, and whoever waits for a peer that is gone is helped after [`REAP_AFTER`].
pub(crate) const RUN_MAX: Duration = Duration::from_secs(45 * 60);

/// Turns in which it must have: a run of the largest plan takes some hundred thousand.
pub(crate) const TURNS_MAX: u64 = 6_000_000;

/// What passes after the last connection has ended, before everything must be given back:
/// TIME-WAIT and FIN-WAIT-2 have 60 s, half-open records 63 s, and each may follow another.
pub(crate) const REST: Duration = Duration::from_secs(240);

/// How long a side may stay open after its peer has ended abnormally before its service ends it:
/// where the RST was lost, TCP has nothing more to learn from, and a real service has a time-out.
pub(crate) const REAP_AFTER: Duration = Duration::from_secs(150);

/// Bytes of a packet that are kept in the trace: Ethernet, IPv6 and the longest TCP header.
pub(crate) const HEAD_LEN: usize = 128;

/// Packets of each host that a violation shows, unless more are asked for.
pub(crate) const TRACE_LEN: usize = 12;

/// Frames that a service keeps at most, to give them back later.
pub(crate) const HOARD_MAX: usize = 8;

/// Bytes that a service writes at once at most.
pub(crate) const PIECE_MAX: usize = 16 << 10;

/// Times that `connect` is tried where the tables are small.
pub(crate) const CONNECT_ATTEMPTS_MAX: u32 = 100;

/// Violations that one run tells of; what follows from the first is seldom worth reading.
pub(crate) const VIOLATIONS_MAX: usize = 8;
