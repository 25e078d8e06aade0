//! Every bound of this program, with its derivation.

use std::time::Duration;

/// Seconds between two looks at least: a gateway publishes twenty times per second.
pub(crate) const INTERVAL_S_MIN: f64 = 0.1;

/// Seconds between two looks at most: an hour.
pub(crate) const INTERVAL_S_MAX: f64 = 3_600.0;

/// How often a section is read again that its core was writing whenever it was looked at, and how
/// long is waited in between: a core that was interrupted in the middle goes on within a slice of
/// the scheduler.
pub(crate) const WHOLE_TRIES: usize = 20;
/// See [`WHOLE_TRIES`].
pub(crate) const WHOLE_PAUSE: Duration = Duration::from_millis(1);

/// How long a signal may go unnoticed.
pub(crate) const SIGNAL_SLICE: Duration = Duration::from_millis(50);

/// Bytes that are read from standard input: no message is longer than the longest frame, and it is
/// as good as ten million names.
pub(crate) const PIPED_LEN_MAX: u64 = 1 << 28;

/// Seconds that a lock is waited for at most: a year. 0 asks once.
pub(crate) const WAIT_S: (f64, f64) = (0.0, 31_622_400.0);

/// How long a listing rests when there was no row: a core fills its rows in 16 ms.
pub(crate) const DRAIN_PAUSE: Duration = Duration::from_millis(2);

/// How long a core may take to see a request. One that sleeps wakes up at least every ten seconds.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(12);

/// How often a listing looks whether the cores that it waits for are alive.
pub(crate) const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Near names that an unknown one is answered with.
pub(crate) const NEAR_MAX: usize = 5;

/// Stages that have a column of their own in `top`; more of them would not fit a line of 120.
pub(crate) const STAGES_MAX: usize = 6;

/// Bytes of a configuration that are read at most, as `abele-gateway` has it.
pub(crate) const CONFIG_LEN_MAX: u64 = 1 << 23;

/// Interfaces that the doctor looks at where none is named.
pub(crate) const INTERFACES_MAX: usize = 64;

/// Microseconds that a core may take to wake up: as long as one interrupt of a card and its driver.
pub(crate) const WAKE_US_MAX: u32 = 10;

/// Descriptors of a gateway besides its workers': standard streams, log, maps and program of XDP,
/// the tools' file.
pub(crate) const DESCRIPTORS_MIN: u64 = 64;
/// Descriptors of each worker: its queue's socket, what it waits with, and room.
pub(crate) const DESCRIPTORS_PER_WORKER: u64 = 8;

/// Packets that a card's ring should hold: at 1 Mpps half a millisecond, the slice that a worker
/// may be away for.
pub(crate) const RING_MIN: u32 = 512;

/// Bytes of a frame that no IP packet can have: 128 of headroom, 14 of Ethernet's header, and one
/// which shows that a packet was cut off; as `abele-gateway check` has it.
pub(crate) const FRAME_OVERHEAD: u64 = 128 + 14 + 1;

/// Bytes of a hash key that the gateway needs: 36 are hashed of TCP over IPv6, and 4 follow.
pub(crate) const HASH_KEY_LEN: usize = 40;

/// The oldest kernel that takes the gateway's program: XDP over several buffers.
pub(crate) const KERNEL_MIN: (u32, u32) = (5, 18);
/// The oldest kernel that has all that is used: several buffers in AF_XDP (6.6), drivers that say
/// what they can (6.3).
pub(crate) const KERNEL_GOOD: (u32, u32) = (6, 6);

/// Thousandths of the time that a host may take: at 5 a worker is away for 5 ms of each second.
pub(crate) const STEAL_WARN_PERMILLE: u64 = 5;
/// At 50 a twentieth of all cores is gone.
pub(crate) const STEAL_BAD_PERMILLE: u64 = 50;

/// Gateways that have died and are told of by name, the newest: what fits a glance.
pub(crate) const DEAD_TOLD_MAX: usize = 5;

/// Files at one place that `clean` takes away: each one more is a gateway that was killed in the
/// moment between making its file and publishing it.
pub(crate) const DEATHS_MAX: usize = 64;

/// How long a gateway may take to read its configuration and all documents again.
pub(crate) const RELOAD_PATIENCE: Duration = Duration::from_secs(120);

/// How long it may take to tell what it has: a core that hangs is given up after five seconds, and
/// somebody else may have asked before.
pub(crate) const INQUIRY_PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of what it says at most: 65,536 access rules of each family, and some lines for each line of the longest configuration.
pub(crate) const REPLY_LEN_MAX: usize = 16 << 20;

/// How long `export` waits for who asks before it looks for a signal, in milliseconds: one that
/// comes while it waits is seen at once.
pub(crate) const EXPORT_SLICE_MS: u16 = 500;

/// How long a gateway may take to begin a capture: it answers others first, and a core that hangs is
/// given up after five seconds.
pub(crate) const CAPTURE_PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to send the rest once it was asked to end.
pub(crate) const CAPTURE_REST: Duration = Duration::from_secs(10);

/// Bytes of a piece of a capture at most: what the gateway sends at once, and the longest packet.
pub(crate) const PIECE_LEN_MAX: usize = 1 << 20;

/// Bytes of its last words at most.
pub(crate) const LAST_WORDS_MAX: usize = 4_096;

/// Milliseconds that the gateway waits for an echo in one question, as it has them at most.
pub(crate) const ECHO_WAIT_MS: u64 = 50;

/// Echo requests of one `ping` at most: a sequence number has 16 bits.
pub(crate) const ECHOES_MAX: i64 = 65_535;

/// Seconds between two of them: a hundred a second at most, one in an hour at least.
pub(crate) const ECHO_INTERVAL_S: (f64, f64) = (0.01, 3_600.0);

/// Seconds that an answer is waited for: less than the gateway's two minutes, twice.
pub(crate) const ECHO_TIMEOUT_S: (f64, f64) = (0.01, 55.0);

/// Bytes of data of an echo request at most: the gateway knows what its link takes.
pub(crate) const ECHO_LEN_MAX: i64 = 65_507;

/// Bounds of a capture, as the gateway has them.
pub(crate) const CAPTURE_COUNT_MAX: u64 = 1_000_000_000;
/// See [`CAPTURE_COUNT_MAX`].
pub(crate) const CAPTURE_SECONDS_MAX: u64 = 86_400;
/// See [`CAPTURE_COUNT_MAX`].
pub(crate) const SNAP_LEN_MAX: u64 = 65_535;

/// Bytes of a request at most, as the gateway reads them.
pub(crate) const REQUEST_LEN_MAX: usize = 4_096;

/// How often a command that runs under a lock, and the lock, are looked at.
pub(crate) const LOCK_SLICE: Duration = Duration::from_millis(10);

/// How long what a locked command left in its process group may take to end by SIGTERM: a third of
/// the usual lease.
pub(crate) const LEFT_PATIENCE: Duration = Duration::from_secs(1);

/// The pause between two looks for what is still there to be killed.
pub(crate) const KILL_SLICE: Duration = Duration::from_millis(1);

/// Looks at most: a second. What is there then cannot be killed, such as another user's process.
pub(crate) const KILL_ROUNDS_MAX: u32 = 1_000;
