//! Every bound of the daemon, with its derivation.

use std::time::Duration;

use exposition::ASKERS_MAX;

/// The port that clients try unless told otherwise.
pub(crate) const TCP_PORT: u16 = 7_400;

/// The port of the metrics unless the file says otherwise.
pub(crate) const METRICS_PORT: u16 = 7_401;

/// Bytes of a configuration at most: a thousand entries of access are a tenth of it.
pub(crate) const CONFIG_LEN_MAX: u64 = 1 << 20;

/// Addresses to listen on at most.
pub(crate) const LISTENERS_MAX: usize = 64;

/// Entries of access at most: a `HELLO` looks at them one after the other, and at an entry with a
/// secret it costs an HMAC of half a microsecond.
pub(crate) const ACCESS_MAX: usize = 1_024;

/// Prefixes of one entry at most: they are compared for every name that is registered.
pub(crate) const PREFIXES_MAX: usize = 64;

/// Bytes of a node's id at most, as the protocol has it; of the switch's name and the cluster's too.
pub(crate) const ID_LEN_MAX: usize = 64;

/// Bytes of a name at most, as the protocol has it.
pub(crate) const NAME_LEN_MAX: usize = 1_024;

/// Bytes of a secret: 16 random ones cannot be guessed, and more than a kilobyte is a mistake.
pub(crate) const SECRET_LEN_MIN: usize = 16;
/// See [`SECRET_LEN_MIN`].
pub(crate) const SECRET_LEN_MAX: usize = 1_024;

/// Bytes of a file of certificates or of a key at most.
pub(crate) const PEM_LEN_MAX: u64 = 1 << 20;

/// Ports that memory is taken for at start, unless the file says otherwise: 40 MB.
pub(crate) const PORTS_PLANNED: u64 = 1 << 20;

/// The most: cells are numbered in 32 bits, of which two numbers mean none.
pub(crate) const PORTS_MAX: u64 = u32::MAX as u64 - 1;

/// Places of subscribers and waiters unless the file says otherwise, some 70 bytes each, and at
/// most.
pub(crate) const PLACES: u32 = 1 << 20;
/// See [`PLACES`].
pub(crate) const PLACES_MAX: u32 = u32::MAX >> 1;

/// Milliseconds of a lease: below the least, a slice of the scheduler ends leases; above the most, a
/// dead node's ports are nobody's for an hour.
pub(crate) const LEASE_MS_MIN: u32 = 50;
/// See [`LEASE_MS_MIN`].
pub(crate) const LEASE_MS_MAX: u32 = 3_600_000;
/// Unless the file says otherwise.
pub(crate) const LEASE_MS: u32 = 3_000;

/// How far the rate of a clock may be off, in millionths: a quartz is within 100, a bad one within
/// 500.
pub(crate) const RHO_PPM: u32 = 1_000;
/// The most: a clock that is off by a tenth is broken.
pub(crate) const RHO_PPM_MAX: u32 = 100_000;

/// Connections unless the file says otherwise, and at most.
pub(crate) const CONNECTIONS: u32 = 4_096;
/// A connection costs the kernel some 10 kB; beyond a million it is a case for levels.
pub(crate) const CONNECTIONS_MAX: u32 = 1 << 20;

/// Bytes of partial frames of all connections together, unless the file says otherwise: eight of
/// the longest default frames.
pub(crate) const PARTIAL_LEN: u64 = 256 << 20;

/// What part of those is freed when they are too many: to find out who has the most is a look at every
/// connection, which this makes one for each 32 MiB that come.
pub(crate) const PARTIAL_FREED_DIVISOR: u64 = 8;

/// Milliseconds after which a half frame must have made progress, unless the file says otherwise, and
/// within which bounds: as long as two leases, and up to ten minutes.
pub(crate) const PARTIAL_MS: u32 = 10_000;
/// See [`PARTIAL_MS`].
pub(crate) const PARTIAL_MS_MIN: u32 = 1_000;
/// See [`PARTIAL_MS`].
pub(crate) const PARTIAL_MS_MAX: u32 = 600_000;

/// Bytes that are progress, where the frame does not become whole: 6.5 KB a second. A byte now and then
/// would hold the memory of a frame for ever.
pub(crate) const PARTIAL_PROGRESS_LEN: usize = 64 << 10;

/// Bytes that one receive call takes, and so what a connection may have in one round before it is
/// the next one's turn. 256 KiB are ten requests of 1,000 names, and lie in the second cache.
pub(crate) const RECEIVE_LEN: usize = 256 << 10;

/// Bytes that a connection keeps for partial frames while it has none: those of small requests.
pub(crate) const PARTIAL_KEPT_LEN: usize = 4_096;

/// Bytes that one call to send is given at most: a round of a slow reader is then no longer than
/// that of a fast writer.
pub(crate) const SEND_LEN: usize = 1 << 20;

/// Connections that are taken from one listener in a round: more would let those that there are
/// wait, and the rest is there in the next one.
pub(crate) const ACCEPTS_PER_ROUND: usize = 64;

/// Connections that the kernel keeps until they are taken; it has a bound of its own below that,
/// `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 4_096;

/// For how long no connection is taken when there is no descriptor for it.
pub(crate) const ACCEPT_PAUSE: base::Duration = base::Duration::from_millis(100);

/// Events that one wait brings.
pub(crate) const EVENTS_MAX: usize = 1_024;

/// For how long a handshake of TLS may take: as long as a `HELLO`.
pub(crate) const HANDSHAKE: base::Duration = base::Duration::from_secs(5);

/// Bytes that rustls may hold of one connection, in each direction: a few records of 16 KiB.
pub(crate) const TLS_BUFFER_LEN: usize = 128 << 10;

/// How long a connection that we end may still send: what is under way from it would reset the
/// connection, and the reset would take away the error that says why.
pub(crate) const LINGER: base::Duration = base::Duration::from_millis(1_000);
/// How much is thrown away meanwhile.
pub(crate) const LINGER_LEN_MAX: usize = 4 << 20;

/// Silence after which the kernel asks whether the other end is there, how often, and how many
/// questions may go unanswered: send connections have no lease that would notice.
pub(crate) const KEEP_ALIVE_IDLE_S: u32 = 30;
/// See [`KEEP_ALIVE_IDLE_S`].
pub(crate) const KEEP_ALIVE_INTERVAL_S: u32 = 10;
/// See [`KEEP_ALIVE_IDLE_S`].
pub(crate) const KEEP_ALIVE_PROBES: u32 = 3;

/// Milliseconds after which a connection ends whose other end takes nothing: it is dead, or as good
/// as dead to those who send to it.
pub(crate) const USER_TIMEOUT_MS: u32 = 60_000;

/// Descriptors besides those of connections: standard streams, the epoll instance, wakes, listeners
/// and who asks for metrics.
pub(crate) const DESCRIPTORS_MIN: u64 = 64 + LISTENERS_MAX as u64 + ASKERS_MAX as u64;

/// Orders that wait for the worker at most: those who give them wait for their answers.
pub(crate) const ORDERS_MAX: usize = 64;

/// Microseconds that an idle worker spins unless told otherwise: about what waking costs.
pub(crate) const SPIN_US: u32 = 50;
/// The most: beyond a second it never sleeps.
pub(crate) const SPIN_US_MAX: u32 = 1_000_000;

/// The longest sleep, so that a clock that jumps is noticed.
pub(crate) const SLEEP_MAX: base::Duration = base::Duration::from_secs(1);

/// A worker that was away for longer stood still, and that is told.
pub(crate) const STALL_MIN: base::Duration = base::Duration::from_millis(500);

/// By how much the clock that counts sleep and the one that does not may drift apart between two
/// looks without having jumped.
pub(crate) const JUMP_MIN: base::Duration = base::Duration::from_millis(100);

/// Between two looks at both clocks.
pub(crate) const CLOCK_LOOK: base::Duration = base::Duration::from_secs(1);

/// How long the worker may take to do what it was told: it looks in every round, and a round takes
/// well below 100 ms.
pub(crate) const WORKER_PATIENCE: Duration = Duration::from_secs(2);

/// A worker that has not answered for so long hangs.
pub(crate) const HANG_MIN: Duration = Duration::from_secs(5);

/// How long the metrics' thread may not notice that it is to end.
pub(crate) const METRICS_SLICE_MS: u16 = 200;

/// Milliseconds that a stop may take, unless the file says otherwise: what the last words to 4,096
/// clients take, many times over.
pub(crate) const STOP_MS: u32 = 2_000;
/// The most: a minute.
pub(crate) const STOP_MS_MAX: u32 = 60_000;

/// What ending takes besides the last words.
pub(crate) const LEAVE_SLACK: base::Duration = base::Duration::from_secs(5);

/// Epochs that clients have heard of are believed up to so far beyond the time of day.
pub(crate) const EPOCH_AHEAD_MS_MAX: u64 = 86_400_000;

/// Seconds of `--for` at most: a year.
pub(crate) const SECONDS_MAX: f64 = 366.0 * 86_400.0;

/// Workers at most, beside the thread that holds the switch.
pub(crate) const WORKERS_MAX: u8 = 64;

/// Items of a lane between a worker and the keeper: some rounds of a busy worker, whose items are
/// whole batches. An item has some 100 bytes and buffers that are bounded below.
pub(crate) const LANE_CAPACITY: usize = 1_024;

/// Items of one worker that the keeper takes before it is the next one's turn.
pub(crate) const UPS_PER_ROUND: usize = 256;

/// Bytes of frames of one connection that are on their way to the switch, or wait there; one frame
/// may be longer. Four rounds of a connection.
pub(crate) const CONN_UNDER_WAY_LEN: usize = 4 * RECEIVE_LEN;

/// Bytes of frames in the lane of a worker, of all connections; one frame may be longer. It is what 64
/// busy connections have in one round, and what a renewal may stand behind: eight million of the
/// shortest names, which are 0.4 s of the switch's work.
pub(crate) const LANE_LEN: usize = 64 * RECEIVE_LEN;

/// Bytes of frames for which there is always room, of a connection that has nothing else under way:
/// as many as a lane has items of, 4 MiB.
pub(crate) const LANE_FREE_LEN: usize = PARTIAL_KEPT_LEN;

/// Bytes of one connection that a worker has and that have not left: what one call to send takes.
pub(crate) const HANDED_LEN_MAX: usize = SEND_LEN;

/// Buffers of either end of a lane that wait for their next use, and bytes of the largest.
pub(crate) const SPARES_MAX: usize = 64;
/// See [`SPARES_MAX`].
pub(crate) const SPARE_LEN_MAX: usize = 1 << 20;

/// For how long the keeper looks after workers that should have ended by then.
pub(crate) const KEEPER_OUTLIVES: base::Duration = base::Duration::from_millis(500);

/// Between two looks whether a worker has ended: nobody rings for that.
pub(crate) const LEAVE_LOOK: base::Duration = base::Duration::from_millis(5);

const _: () = assert!(LANE_CAPACITY.is_power_of_two());
const _: () = assert!(LANE_LEN >= CONN_UNDER_WAY_LEN);

/// Bytes of a process that holds nothing: the program, its threads, and the libraries that it shares
/// with others.
pub(crate) const PROCESS_LEN: u64 = 4 << 20;

/// Bytes that the lists of the switch take at their start for each session that there may be, and
/// those that each of its shards takes for it.
pub(crate) const SESSION_LEN: u64 = 24;
/// See [`SESSION_LEN`].
pub(crate) const SESSION_SHARD_LEN: u64 = 60;
/// Bytes that a shard of several takes besides: the ends of its mappings and its lists.
pub(crate) const SHARD_LEN: u64 = 32 << 10;
