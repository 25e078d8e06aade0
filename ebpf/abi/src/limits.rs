//! Every bound of the program's maps, with its derivation.

/// Addresses of one gateway: one less than the 64 of the stack, whose first is its loopback.
pub const ADDRESSES_MAX: u32 = 63;

/// Queues of one interface: the largest count of today's cards is 256.
pub const QUEUES_MAX: u32 = 256;

/// Rules of each access list. Memory is taken as rules are added, some 64 bytes each, so a full
/// list is 4 MiB.
pub const RULES_MAX: u32 = 65_536;

/// Sources whose bucket is remembered, the least recently used forgotten first: about 5 MiB.
pub const SOURCES_MAX: u32 = 65_536;

/// Slots that remember the refused first SYN of a stranger: 32 MiB. With `r` refusals a second a
/// slot survives a second with probability `exp(-r / SEEN_SLOTS)`: 94 % at 250,000 a second. With a
/// quarter of them it is 79 %, and one of a hundred strangers would need a fourth try.
pub const SEEN_SLOTS: u32 = 1 << 22;

/// A second SYN that comes sooner than this after the first is no retransmission: RFC 6298 has
/// the first one after 1 s, and clocks and queues differ by less than half of it.
//= https://www.rfc-editor.org/rfc/rfc6298#section-2
//# Until a round-trip time (RTT) measurement has been made for a
//# segment sent between the sender and receiver, the sender SHOULD
//# set RTO <- 1 second
pub const RETRY_MS_MIN: u32 = 500;

/// A SYN that comes later than this after the refused one begins anew. Senders that double their
/// time-out have sent three retransmissions by then.
pub const RETRY_MS_MAX: u32 = 10_000;

const _: () = assert!(SEEN_SLOTS.is_power_of_two(), "the program masks the hash");
const _: () = assert!(RETRY_MS_MIN < RETRY_MS_MAX);
