//! Every bound and constant of TCP, with where it comes from.

use base::Duration;

use crate::extension::Extension;
use crate::half_open::HalfOpen;
use crate::node::Node;
use crate::record::Record;
use crate::time_wait::TimeWait;

// The memory plan of DATAPLANE: an idle connection is one cache line.
const _: () = assert!(size_of::<Record>() == 64);
const _: () = assert!(size_of::<Extension>() <= 256);
const _: () = assert!(size_of::<HalfOpen>() <= 64);
const _: () = assert!(size_of::<TimeWait>() <= 40);
const _: () = assert!(size_of::<Node>() == 32);

/// Records of one core at most: two bits of an index say in which table it lies.
pub const RECORDS_MAX: u32 = 1 << 30;

/// Listeners of one core at most; their number has 16 bits in a record.
pub const LISTENERS_MAX: usize = 1_024;

/// The sender's MSS when the peer names none.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//# SHLD-5/MUST-15: if no MSS option is received, 536 (IPv4) or 1220 (IPv6)
pub const MSS_DEFAULT_V4: u16 = 536;
/// See [`MSS_DEFAULT_V4`].
pub const MSS_DEFAULT_V6: u16 = 1_220;
/// The smallest MSS that is honoured: below it a peer buys many packets with few bytes.
pub const MSS_MIN: u16 = 64;

/// Bytes that the timestamps option takes from each segment.
pub const TIMESTAMPS_LEN: u16 = 12;

/// The retransmission time-out before the first measurement.
//= https://www.rfc-editor.org/rfc/rfc6298#section-2
//# (2.1) Until a round-trip time measurement has been made, RTO <- 1 second
pub const RTO_INITIAL: Duration = Duration::from_secs(1);
/// The least time-out. RFC 6298 (2.4) says one second; every deployed stack uses 200 ms, which is
/// still above any delayed acknowledgement. See `docs/rfc/rfc6298.md`.
pub const RTO_MIN: Duration = Duration::from_millis(200);
/// The longest time-out.
//= https://www.rfc-editor.org/rfc/rfc6298#section-2
//# (2.5) A maximum value MAY be placed on RTO provided it is at least 60 seconds
pub const RTO_MAX: Duration = Duration::from_secs(60);
/// Retransmissions of one segment before the connection is given up: with doubling from 200 ms
/// and the cap of 60 s this is about ten minutes, above R2's least 100 seconds.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//# MUST-20 ... R2 SHOULD correspond to at least 100 seconds
pub const RETRANSMITS_MAX: u8 = 15;
/// The back-off of probes of a shut window that a peer which answers them keeps at most: 26 s
/// between two from 200 ms on. Eight more without an answer, about seven minutes, reach
/// [`RETRANSMITS_MAX`], and the peer is given up.
pub const PROBE_BACKOFF_ANSWERED: u8 = 7;
const _: () = assert!(PROBE_BACKOFF_ANSWERED < RETRANSMITS_MAX);
/// Retransmissions of a SYN: 1 + 2 + 4 + ... + 64 s, a little over two minutes.
pub const SYN_RETRANSMITS_MAX: u8 = 6;
/// Retransmissions of a SYN-ACK: 63 s in all; a half-open record is cheap, but not free.
pub const SYN_ACK_RETRANSMITS_MAX: u8 = 5;
/// Time-out classes of half-open connections: the first SYN-ACK and each retransmission.
pub const SYN_ACK_CLASSES: usize = SYN_ACK_RETRANSMITS_MAX as usize + 1;

/// Seconds of one slot of SYN cookies, which hold for at least one and at most two: longer than a
/// peer waits for our SYN-ACK's answer to get through, too short to collect many.
pub const COOKIE_SLOT_S: u64 = 64;
/// What a SYN cookie can say of the peer's MSS: IPv4 and IPv6 over Ethernet, PPPoE, tunnels, jumbo
/// frames, and the defaults of either.
pub const COOKIE_MSS: [u16; 8] = [MSS_MIN, 536, 1_220, 1_360, 1_400, 1_440, 1_460, 8_940];
const _: () = assert!(COOKIE_MSS[0] == MSS_MIN);

/// How long an acknowledgement may be held back.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
//# MUST-58: an ACK should not be excessively delayed; in particular, the delay MUST be less than 0.5 seconds
pub const ACK_DELAY: Duration = Duration::from_millis(40);
/// Segments at the start of a connection that are acknowledged at once, so that the peer's slow
/// start is not slowed further.
pub const QUICK_ACKS: u8 = 16;

/// How long a busy connection must have been quiet before its extension goes back; or one RTO,
/// if that is longer. Request-response traffic keeps its estimates.
pub const QUIET_MIN: Duration = Duration::from_millis(200);

/// Twice the maximum segment lifetime, as Linux and the BSDs count it (RFC 9293 names 4 minutes;
/// `docs/rfc/rfc9293.md`).
pub const TIME_WAIT: Duration = Duration::from_secs(60);
/// How long FIN-WAIT-2 is kept for a service that has closed: the peer owes only its FIN.
pub const FIN_WAIT_2_S: u32 = 60;

/// The age at which a quiet connection's `ts_recent` no longer rejects.
//= https://www.rfc-editor.org/rfc/rfc7323#section-5.5
//# 24 days
pub const TS_RECENT_AGE_S: u32 = 24 * 86_400;

/// The oldest echo of our timestamps that is taken for a round-trip time: ten minutes, beyond the
/// life of any connection that still waits for an acknowledgement.
pub const TS_ECHO_AGE_MAX_MS: u32 = 600_000;

/// The largest shift of the window scale option.
//= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
//# the maximum scale exponent is limited to 14
pub const WINDOW_SCALE_MAX: u8 = 14;

/// Duplicate acknowledgements that trigger a fast retransmit.
//= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
//# the arrival of 3 duplicate ACKs
pub const DUP_ACKS: u8 = 3;

/// Segments of the initial window.
//= https://www.rfc-editor.org/rfc/rfc6928#section-2
//# min (10*MSS, max (2*MSS, 14600))
pub const INITIAL_WINDOW_SEGMENTS: u32 = 10;
/// Bytes of the initial window at most.
pub const INITIAL_WINDOW_BYTES: u32 = 14_600;

/// Out-of-order segments that one connection may hold: one hole costs a search of at most these.
pub const OUT_OF_ORDER_NODES_MAX: u16 = 512;

/// Segments that one connection may send in a row before the others have their turn.
pub const SEGMENTS_PER_POLL: u32 = 32;

/// Challenge acknowledgements to one connection per [`CHALLENGE_INTERVAL_MS`]: enough for a
/// confused peer, too few to be an amplifier.
//= https://www.rfc-editor.org/rfc/rfc5961#section-7
//# an implementation SHOULD include an ACK throttling mechanism
pub const CHALLENGES_PER_INTERVAL: u16 = 4;
/// The interval of the challenge budget.
pub const CHALLENGE_INTERVAL_MS: u32 = 500;
/// Buckets of the challenge budget: keyed, so that no attacker can name another's bucket.
pub const CHALLENGE_BUCKETS: usize = 4_096;

/// Records that one turn's sweep looks at, at most.
pub const SWEEP_STEP: u32 = 64;
/// Nanoseconds of time that the sweep gives each record: a hundred times what looking at one
/// costs, so that it takes one hundredth of a core.
pub const SWEEP_NANOS_PER_RECORD: u64 = 1_500;
/// Stretches of one walk, each of which wakes an idle core once.
pub const SWEEP_STRETCHES: u64 = 16;
/// Extensions that one look for who holds frames goes over, while hardly any are free: some
/// microseconds of a turn, and the worst of so many is not far from the worst of all.
pub const SCARCITY_STEP: u32 = 64;
/// Milliseconds for which a peer must have taken nothing before its connection gives way to others
/// for want of frames: it has had several retransmissions by then, and the others wait meanwhile.
/// A thousand strangers a second who take nothing hold what they are given for so long.
pub const SCARCITY_STALL_MS: u32 = 2_000;
/// Candidates that one search for an extension to take back looks at.
pub const GIVE_BACK_STEP: u32 = 8;
/// Attempts at a free ephemeral port before `connect` refuses. Among 64 cores one port in 64 suits,
/// so that a search at random finds none in 4,096 once in 10^28 times.
pub const PORT_ATTEMPTS: u32 = 4_096;
/// The first ephemeral port (RFC 6335 section 6: the dynamic ports).
pub const EPHEMERAL_FIRST: u16 = 32_768;

/// Buckets that one insertion into the growing flow index moves at most. A table of n buckets
/// grows at 7n entries and has moved after n/4 insertions, long before the old part is full.
pub const INDEX_MOVES_PER_INSERT: u32 = 4;
/// Entries per bucket of nine at which the flow index grows.
pub const INDEX_LOAD_MAX: usize = 7;
