//! Every bound of the stack.

/// Frames of one receive burst.
pub const BURST: usize = 64;

/// Frames that wait for the queue pair at most. When it is full, egress stops and connections
/// stay dirty: the back-pressure of a slow device ends in `send` taking less.
pub const TX_BACKLOG: usize = 256;

/// Frames that are kept free in the backlog for replies (ARP, RST, ACK) while data is sent.
pub(crate) const TX_RESERVE: usize = 2 * BURST;
const _: () = assert!(TX_RESERVE < TX_BACKLOG);

/// Segments that one turn sends at most before it looks at what has arrived.
pub(crate) const SEGMENTS_PER_TURN: usize = 512;

/// Timers, releases and other things due that one turn handles at most, of each kind.
pub(crate) const DUE_PER_TURN: usize = 256;

/// Timers that a service may have set at once, unless it asks for more.
pub const TIMERS_MAX_DEFAULT: u32 = 1 << 16;
