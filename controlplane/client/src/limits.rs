//! Every bound of a client, with its derivation.

use base::Duration;

/// How long an item waits for others while requests are under way: a fifth of a round trip in a
/// data center, and a thousand calls at twenty million a second.
pub const BATCH_DELAY: Duration = Duration::from_micros(50);

/// Items of a frame. Larger frames save nothing: 12 bytes of header among 139,000 of names.
pub const BATCH_ITEMS_MAX: u32 = 8_192;

/// Bytes of names and messages of a frame: what a socket takes at once.
pub const BATCH_LEN: usize = 64 << 10;

/// Bytes at which what waits leaves without waiting longer. A frame by itself costs some microseconds
/// at both ends, which is a twentieth of what its items cost then; and who has a few such calls under
/// way lets the switch work on one while the next is made.
pub const FLUSH_LEN: usize = 16 << 10;

/// Frames of a connection that are not answered. What comes then is gathered.
pub const FLIGHTS_MAX: usize = 256;

/// Bytes that wait to be sent on one connection before batches are held back.
pub const OUTGOING_LEN_MAX: usize = 4 << 20;

/// Bytes of names, messages and frames of their own that calls may have waiting; a call beyond it is
/// refused. A million names of 16 bytes with what is kept of each fit.
pub const WAITING_LEN_MAX: usize = 64 << 20;

/// Calls that are not done yet.
pub const REQUESTS_MAX: usize = 65_536;

/// Send connections.
pub const SEND_CONNECTIONS_MAX: u8 = 8;

/// Owners that are kept, unless told otherwise: about 20 MB.
pub const CACHE_ENTRIES: usize = 100_000;

/// The most owners that may be kept.
pub const CACHE_ENTRIES_MAX: usize = 10_000_000;

/// Names that the application is told of when they go away.
pub const SUBSCRIPTIONS_MAX: usize = 1_000_000;

/// Names that are waited for.
pub const WAITS_MAX: usize = 100_000;

/// Ports that a client holds, waits for and has asked for, in one session. Some 100 bytes each,
/// with its guard.
pub const PORTS_MAX: usize = 10_000_000;

/// Ports whose guards were dropped, until the thread comes by: each that may be held, once, so that
/// none is lost. Guards whose session or epoch is over have nothing to release.
pub const RELEASES_MAX: usize = PORTS_MAX;

/// Grants that are noted because they were released while the number of a lost grant was asked for.
/// Beyond it no grant is taken for a lost one until the question is answered.
pub const RELEASES_NOTED_MAX: usize = 1_000_000;

/// Messages that came before the answer which grants their port: what a switch sends in the
/// time of one answer.
pub const EARLY_MESSAGES_MAX: usize = 4_096;

/// Bytes of such messages.
pub const EARLY_LEN_MAX: usize = 4 << 20;

/// Events that the application has not taken.
pub const EVENTS_MAX: usize = 65_536;

/// Bytes of messages and names in them.
pub const EVENTS_LEN_MAX: usize = 64 << 20;

/// The first pause before a connection is tried again.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(20);

/// The longest. A lease is seconds, so a switch that is back is found within it.
pub const BACKOFF_MAX: Duration = Duration::from_millis(1_000);

/// From the dial to the `WELCOME`; the switch closes after as much.
pub const CONNECT_MAX: Duration = Duration::from_secs(5);

/// A connection without a word for as long that is then closed was no switch's: one speaks first,
/// and at once.
pub const SILENCE: Duration = Duration::from_secs(1);

/// The first and the longest pause before a request is tried again that the switch was too busy
/// for, or that its grace does not allow yet.
pub const RETRY_FIRST: Duration = Duration::from_millis(10);
/// See [`RETRY_FIRST`].
pub const RETRY_MAX: Duration = Duration::from_millis(1_000);

/// Requests that wait so.
pub const DEFERRED_MAX: usize = 4_096;

/// Parts of a lease in which a `RELET` is sent once.
pub const RELETS_PER_LEASE: u64 = 3;

/// `RELET`s that are not answered: beyond them the connection is dead for longer than a lease.
pub const RELETS_MAX: usize = 16;

/// How long the end may take: what was asked before it, `YIELD` and `BYE`.
pub const CLOSE_MAX: Duration = Duration::from_millis(1_000);

/// Bytes that are read at once. What TLS deciphers beyond them waits for the next turn.
pub const READ_LEN: usize = 64 << 10;

/// Reads of one connection before the others have their turn.
pub const READS_PER_TURN: usize = 16;

/// How long the thread sleeps with nothing to do: the clock of authority goes on while a machine
/// is suspended, the one that it sleeps by does not.
pub const SLEEP_MAX: Duration = Duration::from_millis(500);

/// Bytes of a file of certificates or of a key.
pub const PEM_LEN_MAX: u64 = 1 << 20;

/// Entries of a listing's part: what an answer of half a megabyte holds.
pub const PAGE: u32 = 4_096;

/// Tasks that wait for the next event; the others are woken, and look again.
pub const RECEIVERS_MAX: usize = 64;

/// How many endpoints may be named.
pub const ENDPOINTS_MAX: usize = 64;

const _: () = assert!(BATCH_ITEMS_MAX <= protocol::limits::ITEMS_MAX);
const _: () = assert!(FLUSH_LEN <= BATCH_LEN && BATCH_LEN < OUTGOING_LEN_MAX);
const _: () = assert!(FLIGHTS_MAX >= 1);
const _: () = assert!(SILENCE.as_nanos() < CONNECT_MAX.as_nanos());
