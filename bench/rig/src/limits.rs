//! Every bound of the rig, each with its derivation.

/// Fewest bytes of a message: its connection and sequence numbers, which make it unique.
pub(crate) const SIZE_MIN: u32 = 8;
/// Most bytes of a message: one loopback segment; what is larger is the question of a bulk bench.
pub(crate) const SIZE_MAX: u32 = 65_536;
/// Most connections: what a machine of a terabyte holds at 80 bytes an end; far above any
/// descriptor limit, under the 32 bits of a connection number.
pub(crate) const CONNECTIONS_MAX: u32 = 1 << 31;
/// Longest round; with more, the machine's day is measured and not the program.
pub(crate) const SECONDS_MAX: f64 = 3_600.0;
/// Most rounds: the medians' samples are kept.
pub(crate) const ROUNDS_MAX: u32 = 1_000;
/// Fewer rounds than this make no comparison, and the report says so.
pub(crate) const COMPARISON_ROUNDS_MIN: u32 = 5;
/// A larger share of a round without its core is more noise than the differences we look for.
pub(crate) const DISPLACED_SHARE_MAX: f64 = 0.02;
/// What `--quick` cuts the rounds to: two, so that the alternation runs too.
pub(crate) const QUICK_ROUNDS_MAX: u32 = 2;
/// What `--quick` cuts a round's seconds to.
pub(crate) const QUICK_SECONDS_MAX: f64 = 0.1;

/// The share of a round's time that passes unmeasured before it: caches, windows and the
/// scheduler settle.
pub(crate) const WARM_UP_DIVISOR: u32 = 10;
/// One transaction in so many is timed. Two clock reads cost 50 ns, so the cost is 3 ns per
/// transaction; 300,000 transactions per second still give 19,000 samples, enough for a p999.
pub(crate) const LATENCY_SAMPLE_EVERY: u32 = 16;
/// The longest latency that the histogram tells apart, in nanoseconds; more is counted as this.
pub(crate) const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// An answer that stays away for so long after the last one is lost, in milliseconds: ten times
/// the least retransmission time-out, so that a late retransmission is still awaited.
pub(crate) const DRAIN_MS_MAX: u64 = 2_000;

/// Events of one `epoll_wait`: the most of a turn; `rr::kernel` says what other numbers gave.
pub(crate) const EPOLL_EVENTS_MAX: usize = 64;
/// Descriptors beside the connections: standard streams, epolls, listener, pipes, with room.
pub(crate) const DESCRIPTORS_SPARE: u64 = 32;
/// The kernel peer's listen queue, which `somaxconn` (4096 by default) may cut.
pub(crate) const BACKLOG: i32 = 4_096;

const _: () = assert!(QUICK_ROUNDS_MAX <= ROUNDS_MAX && COMPARISON_ROUNDS_MIN <= ROUNDS_MAX);
const _: () = assert!(SIZE_MIN >= 8, "a message starts with two numbers of four bytes");
const _: () = assert!(LATENCY_SAMPLE_EVERY.is_power_of_two(), "the choice is a mask");

/// Lines of the table that `limits` reads: 1 GiB, larger than any cache and than the reach of the
/// TLB with huge pages.
pub(crate) const TABLE_LEN: usize = 1 << 24;
/// The same with `--quick`: 64 MiB.
pub(crate) const TABLE_LEN_QUICK: usize = 1 << 20;
/// Lines asked for ahead: above the 16 to 48 outstanding misses that cores track; 32 is where the
/// rate stopped growing, of 8 to 64.
pub(crate) const PREFETCH_DISTANCE: usize = 32;
/// Items of the measured ring: 64 KiB, half in flight at most within a second-level cache.
pub(crate) const RING_CAPACITY: usize = 1_024;
/// Items pushed or popped at once, as a burst of packets is.
pub(crate) const RING_BATCH: usize = 32;
/// Seconds of each limit that is measured beside a comparison, and how often.
pub(crate) const LIMITS_BESIDE_SECONDS: f64 = 0.2;
/// Three, for a median.
pub(crate) const LIMITS_BESIDE_ROUNDS: u32 = 3;
const _: () = assert!(PREFETCH_DISTANCE.is_power_of_two() && RING_BATCH < RING_CAPACITY);
