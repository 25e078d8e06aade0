//! Every bound of the stack.

/// Frames of one receive burst.
pub const BURST: usize = 64;

/// Entries of the table from hash to core, where the device has none: what most NICs have, and the
/// shares of 64 cores are equal.
pub const OWNERS_LEN: usize = 128;
const _: () = assert!(OWNERS_LEN.is_power_of_two());

/// What may wait between one core and another in one direction: eight bursts. A core that is so far
/// behind is overloaded, and what it is given more would only come too late.
pub const HAND_OVER_LEN: usize = 8 * BURST;
const _: () = assert!(HAND_OVER_LEN.is_power_of_two());

/// Room that news of neighbours leave for segments: half of the ring. Whoever floods one core with
/// ARP takes the other half at most.
pub(crate) const HEARD_ROOM_MIN: usize = HAND_OVER_LEN / 2;
const _: () = assert!(HEARD_ROOM_MIN >= BURST, "what is told fits, whatever else a burst brings");

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
