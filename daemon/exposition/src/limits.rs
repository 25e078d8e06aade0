//! What a stranger who asks may take.

use std::time::Duration;

/// Who is answered at once: Prometheus has one connection, and people some.
pub const ASKERS_MAX: usize = 16;

/// Bytes of a request's head at most; a scrape's has some 300.
pub(crate) const HEAD_LEN_MAX: usize = 8 << 10;

/// Headers of a request at most.
pub(crate) const HEADERS_MAX: usize = 64;

/// How long one may take to send its request.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long one may take to read the answer: a scrape's usual time-out.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// How long what still comes is read, after the answer.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
/// And how many bytes of it.
pub(crate) const LINGER_LEN_MAX: usize = 64 << 10;

/// How long nobody is taken where the machine lacks something for one who is there: looking again at
/// once would be a loop without end.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);
