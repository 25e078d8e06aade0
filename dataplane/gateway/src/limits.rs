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

/// Bytes of a request's body that are read and thrown away so that the connection can go on. A
/// longer body is refused, and the connection ends.
pub const BODY_LEN_MAX: u64 = 1 << 20;

/// Bytes of a document's path at most.
pub const PATH_LEN_MAX: usize = 1_024;
const _: () = assert!(PATH_LEN_MAX < HEAD_LEN_MAX);

/// Bytes of a document's content type at most.
pub const CONTENT_TYPE_LEN_MAX: usize = 128;

/// Documents at most; their number is 32 bits in a session.
pub const DOCUMENTS_MAX: usize = 1 << 24;

/// Bytes of a response's head at most: the fixed fields take under 200, and the content type, the
/// only one of free length, has its own bound.
pub const ANSWER_HEAD_LEN_MAX: usize = 512;
const _: () = assert!(ANSWER_HEAD_LEN_MAX >= 300 + CONTENT_TYPE_LEN_MAX);

/// How long a head may take from its first byte to its last.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may wait without any room in the send queue: a reader that takes nothing.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the rest of a body may take that is thrown away.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection lingers for its peer to end it.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that are thrown away while a connection lingers: some windows, as a peer that sends a
/// body needs a round trip to see that it was refused.
pub const LINGER_LEN_MAX: u32 = 1 << 20;

/// How often ages are looked at while there are sessions: a time-out is late by at most this.
pub const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// Sessions that one look ends at most, so that a turn stays short; the others wait for the next.
pub const EXPIRED_PER_SWEEP: usize = 256;
