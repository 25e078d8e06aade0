//! Every bound of the rig, each with its derivation.

/// Fewest bytes of a message: its connection and sequence numbers, which make it unique.
pub(crate) const SIZE_MIN: u32 = 8;
/// Most bytes of a message: one loopback segment; what is larger is the question of a bulk bench.
pub(crate) const SIZE_MAX: u32 = 65_536;
/// Most connections: what a machine of a terabyte holds at 80 bytes an end; far above any
/// descriptor limit, under the 32 bits of a connection number.
pub(crate) const CONNECTIONS_MAX: u32 = 1 << 31;
/// Most connections of `connect` at once: the listen queue, for a SYN that finds it full waits a
/// second.
pub(crate) const IN_FLIGHT_MAX: u32 = 4_096;
/// Tuples in TIME-WAIT where the kernel does not say how many it keeps: its own number for a
/// machine of some gigabytes.
pub(crate) const TIME_WAIT_DEFAULT: u32 = 131_072;
/// Most tuples in TIME-WAIT: 10 MiB of 40 bytes each, and two thirds of the ports there are.
pub(crate) const TIME_WAIT_LIMIT: u32 = 1 << 18;
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

/// Connections of `rr` that are being opened at once: below the acceptor's half-open table.
pub(crate) const OPENING_MAX: u32 = 256;

/// Ports tried until one is free on all addresses of a server.
pub(crate) const PORT_ATTEMPTS: u32 = 16;
/// Events of one `epoll_wait`: the most of a turn; `rr::kernel` says what other numbers gave.
pub(crate) const EPOLL_EVENTS_MAX: usize = 64;
/// Descriptors beside the connections: standard streams, epolls, listener, pipes, with room.
pub(crate) const DESCRIPTORS_SPARE: u64 = 32;
/// The kernel peer's listen queue, which `somaxconn` (4096 by default) may cut.
pub(crate) const BACKLOG: i32 = 4_096;

const _: () = assert!(QUICK_ROUNDS_MAX <= ROUNDS_MAX && COMPARISON_ROUNDS_MIN <= ROUNDS_MAX);
const _: () = assert!(IN_FLIGHT_MAX == BACKLOG.unsigned_abs());
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
/// Frames that the L2 echo keeps on their way: two bursts an end, so that neither end waits for the
/// other to finish one, and an eighth of what the rings have room for, so that none may be lost.
pub(crate) const L2_WINDOW: usize = 256;
/// Frames of an end of a cable beside those of its rings and connections: what moves in bursts.
pub(crate) const VETH_SPARE_FRAMES: u32 = 1_024;
/// Descriptors that a system call may send over a cable: some bursts, where the kernel's own figure
/// is 32, half a burst.
pub(crate) const VETH_TX_BUDGET: u32 = 256;
/// How long an end must have been idle to have heard all that was on its way, in milliseconds.
pub(crate) const SETTLE_MS: u64 = 20;
/// Items of the measured ring: 64 KiB, half in flight at most within a second-level cache.
pub(crate) const RING_CAPACITY: usize = 1_024;
/// Items pushed or popped at once, as a burst of packets is.
pub(crate) const RING_BATCH: usize = 32;
/// Seconds of each limit that is measured beside a comparison, and how often.
pub(crate) const LIMITS_BESIDE_SECONDS: f64 = 0.2;
/// Three, for a median.
pub(crate) const LIMITS_BESIDE_ROUNDS: u32 = 3;
const _: () = assert!(PREFETCH_DISTANCE.is_power_of_two() && RING_BATCH < RING_CAPACITY);

/// Units of the times in `/proc` per second: `USER_HZ`, 100 on every architecture that has these
/// devices; the kernel promises it to programs whatever its own tick is.
pub(crate) const TICKS_PER_S: f64 = 100.0;
/// Longest round of `http` and `idle`: as of the others.
pub(crate) const HTTP_SECONDS_MAX: u32 = 3_600;
/// Most connections of wrk: what one process may open on a machine with 20,000 descriptors each,
/// with room for its own.
pub(crate) const HTTP_CONNECTIONS_MAX: u32 = 16_384;
/// Most threads of wrk, which share one core.
pub(crate) const HTTP_THREADS_MAX: u32 = 64;
/// The largest document: above the largest window, far below what the gateway reads into memory.
pub(crate) const HTTP_SIZE_MAX: u32 = 16 << 20;
/// Documents below this are cheaper for nginx to copy than to send with `sendfile`: without it 100
/// bytes took 11 to 17 % less of its time, 8 KiB the same, 32 KiB 25 % more.
pub(crate) const NGINX_SENDFILE_MIN: usize = 8_192;
/// Most silent connections: the ports above those of root, to one address and port.
pub(crate) const IDLE_CONNECTIONS_MAX: u32 = 64_000;
/// Connections of one of the holding processes: a quarter of the 20,000 descriptors that many
/// machines allow, so that the usual number takes two processes and the others' code is run too.
pub(crate) const IDLE_CONNECTIONS_PER_PROCESS: u32 = 5_000;
/// Most requests after the silence: at some 20 ms each they last half an hour.
pub(crate) const IDLE_SAMPLES_MAX: u32 = 100_000;
/// What `--quick` cuts connections and requests to.
pub(crate) const IDLE_QUICK_CONNECTIONS_MAX: u32 = 200;
/// Two seconds of requests a round.
pub(crate) const IDLE_QUICK_SAMPLES_MAX: u32 = 50;
/// The document of `idle`: one segment with its head.
pub(crate) const IDLE_DOCUMENT_LEN: usize = 100;
/// What silence may cost, as a share of a core.
pub(crate) const IDLE_SHARE_GOAL: f64 = 0.01;
/// How much later than from a spinning gateway the first byte may come, in nanoseconds.
pub(crate) const IDLE_WAKE_NS_GOAL: f64 = 200_000.0;

/// Most silent connections of `listing`: 62 of its server's addresses, of the 253 there are.
pub(crate) const LISTING_CONNECTIONS_MAX: u32 = 1_000_000;
/// Most connections of `listing` that exchange: what one more of its addresses takes.
pub(crate) const LISTING_ACTIVE_MAX: u32 = LISTING_CONNECTIONS_PER_ADDRESS;
/// Connections of `listing` to one address of its server: half of the ports there are, so that the
/// client finds a free one at once.
pub(crate) const LISTING_CONNECTIONS_PER_ADDRESS: u32 = 16_384;
/// What `--quick` cuts its silent connections to: some turns' worth of a walk.
pub(crate) const LISTING_QUICK_CONNECTIONS_MAX: u32 = 2_000;
/// What a listing may cost the round trips beside it, as a share of their rate.
pub(crate) const LISTING_LOSS_GOAL: f64 = 0.02;
/// How long all connections of `listing` may take to open, in milliseconds: a million of them at a
/// tenth of the rate that `connect` has, and some retransmissions.
pub(crate) const LISTING_OPEN_MS_MAX: u64 = 60_000;
const _: () = assert!(LISTING_CONNECTIONS_MAX.div_ceil(LISTING_CONNECTIONS_PER_ADDRESS) < 253);

/// Most ports of `ports`: what a machine of 24 GiB may hold at 40 bytes each, with room for larger
/// ones.
pub(crate) const PORTS_MAX: u64 = 1 << 32;
/// Fewest bytes of a name: their digits tell 65,536 ports apart.
pub(crate) const PORTS_NAME_BYTES_MIN: usize = 4;
/// Most bytes of a name: what the protocol takes.
pub(crate) const PORTS_NAME_BYTES_MAX: usize = protocol::limits::NAME_LEN_MAX;
/// Most ports of a request: what the protocol takes.
pub(crate) const PORTS_BATCH_MAX: u32 = protocol::limits::ITEMS_MAX;
/// Most connections of the session: a client that looks at each in turn is slower than its server
/// long before.
pub(crate) const PORTS_CONNECTIONS_MAX: u32 = 1_024;
const _: () =
    assert!(PORTS_CONNECTIONS_MAX < protocol::limits::CONNECTIONS_PER_SESSION_MAX as u32 - 1);
/// Most workers of the daemon: what it takes.
pub(crate) const PORTS_WORKERS_MAX: u8 = 64;
/// Most requests under way on one of them.
pub(crate) const PORTS_WINDOW_MAX: u32 = 64;
/// Cycles of a round of ours at least: in the second all ports are free again.
pub(crate) const PORTS_CYCLES_MIN: u32 = 2;
/// What `--quick` cuts the ports to.
pub(crate) const PORTS_QUICK_MAX: u64 = 20_000;
/// Ports that a way to ask Redis is tried with: a third of a second each.
pub(crate) const PORTS_TRY_MAX: u64 = 250_000;
/// Ports of single requests: 10,000 of them are registered before they are released.
pub(crate) const PORTS_SINGLE_MAX: u64 = 10_000;
/// The part of a round's seconds that single requests are timed for: a fifth of five seconds is
/// 60,000 of them at 15 us.
pub(crate) const PORTS_SINGLE_DIVISOR: u32 = 5;
/// Ports that etcd is asked for: at some thousand a second they take a few seconds.
pub(crate) const PORTS_ETCD_MAX: u64 = 20_000;
/// The same with `--quick`.
pub(crate) const PORTS_ETCD_QUICK_MAX: u64 = 1_000;
/// Ports whose bytes on the wire are counted: a hundred batches.
pub(crate) const PORTS_WIRE_MAX: u64 = 100_000;
/// Ports whose requests are written to nowhere, to see what that takes.
pub(crate) const PORTS_WRITTEN_MAX: u64 = 100_000;
/// What a connection of `ports` can receive before the client has looked at it: the answers of a
/// window.
pub(crate) const PORTS_INPUT_MIN: usize = 256 << 10;
/// The longest answer: to a query of a million ports, 12 MB, as long as it has few owners.
pub(crate) const PORTS_INPUT_MAX: usize = 64 << 20;
/// How long `ports` waits while nothing comes and nothing can be sent: some times what Redis takes
/// to grow its table.
pub(crate) const PORTS_SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(30);
/// Above this part of the time a client with work is called the limit.
pub(crate) const PORTS_CLIENT_BUSY_MAX: f64 = 0.9;

/// Most ports of `death`: what one session may hold.
pub(crate) const DEATH_PORTS_MAX: u64 = 1 << 31;
/// Fewest: with fewer there are not twice as many as names that are tried.
pub(crate) const DEATH_PORTS_MIN: u64 = 4_000;
/// Names that the heir takes at the instant of the death, in one request of 100 us.
pub(crate) const DEATH_SAMPLE: u64 = 1_000;
/// Ports of the daemon's plan beyond those of the dead: what the others and the heir hold.
pub(crate) const DEATH_PORTS_SPARE: u64 = 65_536;
/// Most others: each has two connections.
pub(crate) const DEATH_OTHERS_MAX: u32 = 1_024;
/// Most requests of all others together in a second: what one spinning client can send one by one.
pub(crate) const DEATH_RATE_MAX: u32 = 1_000_000;
/// Ports that one of the others holds at a time.
pub(crate) const DEATH_HELD_MAX: usize = 64;
/// Unanswered requests of one of the others at a time: at the default rate the server has not
/// answered for seconds then, and the run is no measure.
pub(crate) const DEATH_PENDING_MAX: usize = 1 << 16;
/// How often the heir tries a name while the dead client's session stands, and how long before its
/// end it tries without a pause, in microseconds.
pub(crate) const DEATH_TRY_EVERY_US: u64 = 1_000;
/// See [`DEATH_TRY_EVERY_US`].
pub(crate) const DEATH_TRY_AT_ONCE_US: u64 = 5_000;
/// How often the figures of the sweep are asked for, in microseconds.
pub(crate) const DEATH_STATUS_EVERY_US: u64 = 2_000;
/// How long the sweep may take at most, in seconds: a hundred times what ten million ports take.
pub(crate) const DEATH_SWEEP_S_MAX: u64 = 60;
/// By how much the sweep may move the others' p99, in nanoseconds.
pub(crate) const DEATH_P99_MOVE_NS_GOAL: f64 = 1e6;
const _: () = assert!(DEATH_PORTS_MIN >= 2 * DEATH_SAMPLE && PORTS_QUICK_MAX >= DEATH_PORTS_MIN);

const _: () = assert!(PORTS_QUICK_MAX < 1 << (4 * PORTS_NAME_BYTES_MIN));

/// Most ports of `messages`: the client counts each sender's messages to each of them.
pub(crate) const MESSAGES_PORTS_MAX: u32 = 65_536;
/// Fewest bytes of a message: who sent it to whom, and which one it is.
pub(crate) const MESSAGES_SIZE_MIN: usize = 16;
/// Most bytes of a message: what is larger is copied, and no question of routing.
pub(crate) const MESSAGES_SIZE_MAX: usize = 4_096;
/// Most messages of a batch.
pub(crate) const MESSAGES_BATCH_MAX: u32 = 10_000;
/// Most connections that send, and most that receive: no more serve one core.
pub(crate) const MESSAGES_CONNECTIONS_MAX: u32 = 64;
/// Most messages under way.
pub(crate) const MESSAGES_WINDOW_MAX: u32 = 1 << 17;
/// Most bytes of messages under way: half of what the switch keeps for one node, so that nothing is
/// dropped that somebody reads, even if all of it is for one.
pub(crate) const MESSAGES_UNDER_WAY_LEN_MAX: u64 = 2 << 20;
/// How long `messages` waits while nothing comes before what is missing is lost.
pub(crate) const MESSAGES_SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// Turns of the client between two looks at what needs no hurry: some 100 us.
pub(crate) const MESSAGES_TURNS_PER_LOOK: u32 = 16;
/// Seconds for each load that nats-server is tried with, twice: twenty seconds in all.
pub(crate) const MESSAGES_TRY_SECONDS: f64 = 0.2;
/// The part of a round's seconds that single requests are timed for.
pub(crate) const MESSAGES_REQUEST_DIVISOR: u32 = 5;
/// What a receiver that reads nothing may cost the others of their rate.
pub(crate) const MESSAGES_STALL_LOSS_GOAL: f64 = 0.05;
const _: () = assert!(MESSAGES_SIZE_MAX as u64 <= MESSAGES_UNDER_WAY_LEN_MAX);

/// How long `wire` spins without a packet before it sleeps: some times what waking a core takes,
/// so that a burst with pauses does not pay for it.
pub(crate) const WIRE_SPIN: base::Duration = base::Duration::from_micros(100);
/// How long it sleeps at most, to look whether its end is wanted.
pub(crate) const WIRE_SLEEP_MAX: base::Duration = base::Duration::from_millis(50);
/// How long it waits at its end for a device to take what has fallen due.
pub(crate) const WIRE_DRAIN: base::Duration = base::Duration::from_millis(100);
/// Packets on their way in a direction, at most: what `nic` lets a queue pair hold.
pub(crate) const WIRE_LIMIT_MAX: u32 = 1 << 16;
/// Milliseconds of delay or jitter at most: what `nic` takes.
pub(crate) const WIRE_MS_MAX: f64 = 240_000.0;
/// Bits a second at most: what `nic` takes.
pub(crate) const WIRE_RATE_MAX: u64 = 8_000_000_000_000;

/// Most ports of `table`: what 64 GiB hold, with half of them beside.
pub(crate) const TABLE_PORTS_MAX: u32 = 1_000_000_000;
/// Fewest: with fewer, the machine's pages and not the ports are measured.
pub(crate) const TABLE_PORTS_MIN: u32 = 1_000;
/// What `--quick` cuts them to.
pub(crate) const TABLE_QUICK_PORTS_MAX: u32 = 50_000;
/// Most names of one call of `table`.
pub(crate) const TABLE_BATCH_MAX: u32 = 65_536;
/// Slots of sessions that its table has: eight bytes each, nothing beside a million ports.
pub(crate) const TABLE_SLOTS: u32 = 1_024;
/// Ports a second and core that the bare table is to register, and to release: half as much again
/// as a whole server is to.
pub(crate) const TABLE_RATE_GOAL: f64 = 15e6;
/// Bytes of a held port, everything included.
pub(crate) const TABLE_BYTES_GOAL: f64 = 40.0;
/// How often a table grows by the same calls. That the machine meets one of ten millions of calls
/// twice is not rare, where it meets five in a second; three times it is.
pub(crate) const TABLE_GROWTHS: u32 = 3;
/// Microseconds of its core that the longest call may take.
pub(crate) const TABLE_STALL_US_GOAL: u64 = 100;
