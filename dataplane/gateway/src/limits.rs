//! Every bound of the gateway, with where it comes from.

use base::Duration;

/// Sessions of a core at most: a session's number plus one is a connection's word.
pub const SESSIONS_MAX: u32 = 1 << 24;

/// Sessions unless the configuration says otherwise.
pub const SESSIONS_MAX_DEFAULT: u32 = 1 << 14;

/// Half-received heads unless the configuration says otherwise: 16 MiB of buffers. Most heads
/// arrive in one segment and need none.
pub const HEADS_MAX_DEFAULT: u32 = 1 << 11;

/// Bytes of a request's head at most, with its empty line; what servers commonly take.
pub const HEAD_LEN_MAX: usize = 8_192;

/// Header fields of a request at most; browsers send about 20.
pub const HEADERS_MAX: usize = 64;

/// Bytes of a request's body, with the framing of its chunks, that are read and thrown away unless
/// the configuration says otherwise: what web servers commonly take. A longer body is refused, and
/// the connection ends.
pub const BODY_LEN_MAX_DEFAULT: u32 = 1 << 20;

/// Bytes of the line with a chunk's size and its extensions at most. The size takes eight; nobody
/// knows an extension that is used.
pub const CHUNK_LINE_LEN_MAX: u16 = 256;

/// Bytes of all trailers at most. A head of fields that come late is worth no more than a head.
pub const TRAILERS_LEN_MAX: u16 = 4_096;
const _: () = assert!((TRAILERS_LEN_MAX as usize) <= HEAD_LEN_MAX);

/// Bytes of a document's path at most.
pub const PATH_LEN_MAX: usize = 1_024;
const _: () = assert!(PATH_LEN_MAX < HEAD_LEN_MAX);

/// Bytes of a document's content type at most.
pub const CONTENT_TYPE_LEN_MAX: usize = 128;

/// Documents at most; their number is 32 bits in a session.
pub const DOCUMENTS_MAX: usize = 1 << 24;

/// Sets of documents that are kept at once: the one that is served, and older ones of which answers
/// are still under way. A reader that is slow but not stalled may take minutes.
pub const DOCUMENT_SETS_MAX: usize = 16;

/// Stretches of a document in one answer at most, once those that touch have become one: viewers ask
/// for a few. Who asks for more gets the whole document.
pub const PARTS_MAX: usize = 16;

/// Bytes of a list of parts.
pub const PARTS_LEN: usize = 264;

/// Sessions of which one may be in the middle of an answer in parts, which takes [`PARTS_LEN`] bytes more. Who
/// finds no place gets the whole document.
pub const SESSIONS_PER_PARTS: u32 = 16;

/// Bytes of a response's head at most: the fixed fields take under 400; of free length are the
/// content type, or the path of a folder, of which encoding makes three bytes of each.
pub const ANSWER_HEAD_LEN_MAX: usize = 4_096;
const _: () = assert!(ANSWER_HEAD_LEN_MAX >= 500 + CONTENT_TYPE_LEN_MAX + 3 * PATH_LEN_MAX);

/// How long a head may take from its first byte to its last, unless the configuration says
/// otherwise.
pub const HEAD_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The stretch of time in which an answer must be taken at its least rate, unless the configuration
/// says otherwise: a phone in a tunnel takes nothing for a while.
pub const ANSWER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// Bytes a second that the reader of an answer takes at least, on the average of the stretch. Two
/// kilobits are below every line that still is one.
pub const ANSWER_RATE_MIN_DEFAULT: u32 = 240;

/// How long a connection is kept on which nothing is asked for: longer than a reader looks at one
/// page, and what nginx has had for twenty years. An idle connection costs 64 bytes, so this is no
/// matter of memory: it finds those whose clients are gone and have not said so.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(75);

/// The stretch of time in which a body must come at its least rate.
pub const BODY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Bytes a second of a body that come at least, on the average of the stretch.
pub const BODY_RATE_MIN_DEFAULT: u32 = 240;

/// How long a connection lingers for its peer to end it.
pub const LINGER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// No time-out is longer: an hour is for ever.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// Bytes that are thrown away while a connection lingers: some windows, as a peer that sends a
/// body needs a round trip to see that it was refused.
pub const LINGER_LEN_MAX: u32 = 1 << 20;

/// How often ages are looked at while there are sessions: a time-out is late by at most this.
pub const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// Sessions that one look ends at most, so that a turn stays short; the others wait for the next.
pub const EXPIRED_PER_SWEEP: usize = 256;

/// Numbers of listeners that there is room for from the start: what TCP gives out at most.
pub const LISTENERS_KNOWN: usize = 4_096;

/// UDP ports that there is room for from the start: what UDP binds at most.
pub const DATAGRAM_PORTS_KNOWN: usize = 1_024;

/// Bytes of a request's first line that the access log keeps: most targets are shorter, and with
/// these a record is six lines of the cache.
pub const ACCESS_LINE_LEN_MAX: usize = 256;
const _: () = assert!(size_of::<crate::AccessRecord>() <= 384);

/// Bytes that the access log notes of a request under way, for each session.
pub const ACCESS_NOTE_LEN: usize = 272;
