//! Every bound and every length of time of this crate, with its derivation.

use base::Duration;

/// Own addresses at most, link-local ones included. Services are told apart by ports; a gateway
/// that announces more than this announces prefixes.
pub const ADDRESSES_MAX: usize = 64;

/// Routes of one family at most, connected ones included. They are walked one by one, longest
/// prefix first: 64 compares are 20 to 30 ns, and a host has two to four.
pub const ROUTES_MAX: usize = 64;

/// Neighbours at most: [`crate::HopIndex`] has 16 bits and the table of indices twice the slots.
pub const NEIGHBOURS_MAX: u16 = 1 << 14;

/// Frames that wait for one neighbour at most; the oldest goes.
//= https://www.rfc-editor.org/rfc/rfc4861#section-7.2.2
//# MUST be able to queue at least one packet
pub const PARKED_PER_NEIGHBOUR: usize = 3;

/// Frames that wait for all neighbours together at most, whatever is configured: frames are memory
/// that connections need.
pub const PARKED_MAX: u16 = 4096;

/// Entries that are looked at to find one to evict. A look is one cache line, so the worst case is
/// 64 misses; it goes on where the last one ended, so that every entry has its turn.
pub(crate) const EVICTION_LOOKS: u16 = 64;

/// Solicitations to all before a neighbour counts as unreachable (RFC 4861 10,
/// `MAX_MULTICAST_SOLICIT`); ARP is held to the same.
pub(crate) const MULTICAST_SOLICIT_MAX: u8 = 3;

/// Solicitations to the known address of a neighbour that has become silent (RFC 4861 10,
/// `MAX_UNICAST_SOLICIT`).
pub(crate) const UNICAST_SOLICIT_MAX: u8 = 3;

/// Between two solicitations (RFC 4861 10, `RETRANS_TIMER`).
pub(crate) const RETRANSMIT: Duration = Duration::from_secs(1);

/// How long the use of a stale neighbour waits for the upper layer's word before it is asked (RFC
/// 4861 10, `DELAY_FIRST_PROBE_TIME`).
pub(crate) const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);

/// The mean time a neighbour counts as reachable after a confirmation (RFC 4861 10,
/// `REACHABLE_TIME`); each core draws 0.5 to 1.5 times this, so that cores do not ask in step.
pub(crate) const REACHABLE: Duration = Duration::from_secs(30);

/// How long a neighbour that did not answer is not asked again, so that traffic to an absent host
/// does not become one broadcast per packet.
//= https://www.rfc-editor.org/rfc/rfc1122#section-2.3.2.1
//# The recommended maximum rate is 1 per second per destination.
pub(crate) const FAILED_HOLD: Duration = Duration::from_secs(1);

/// Times that own addresses are announced at start (RFC 5227 1.1, `ANNOUNCE_NUM`).
pub(crate) const ANNOUNCE_ROUNDS: u8 = 2;

/// Between two announcements (RFC 5227 1.1, `ANNOUNCE_INTERVAL`; RFC 4861 asks for at least 1 s).
pub(crate) const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// Between two defences of an address that another station claims (RFC 5227 1.1,
/// `DEFEND_INTERVAL`): two stations that both defend would otherwise shout at each other for ever.
pub(crate) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Buckets of the limit on ICMP errors. Which bucket a peer has depends on a secret, so that nobody
/// can use up another's, nor learn from his own what others do.
pub(crate) const ERROR_BUCKETS: usize = 256;

/// Errors that a bucket lets through at once.
//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//# B = 10, N = 10/s
pub(crate) const ERROR_BURST: u16 = 10;

/// How long one more error takes to be allowed: ten a second and bucket, 2,560 a second in all.
pub(crate) const ERROR_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of an IPv4 packet with an ICMP error at most.
//= https://www.rfc-editor.org/rfc/rfc1812#section-4.3.2.3
//# the total length of the ICMP datagram not exceeding 576 bytes
pub(crate) const ERROR_V4_LEN_MAX: usize = 576;

/// Bytes of the transport header that a quotation must hold: ports and sequence number.
//= https://www.rfc-editor.org/rfc/rfc792
//# plus the first 64 bits of the original datagram's data
pub(crate) const QUOTED_LEN_MIN: usize = 8;

/// Those who ask for echoes at once, on each core: each is a person.
pub(crate) const ECHO_ASKERS_MAX: usize = 8;

/// News of echoes that wait for who asks, on each core: he looks many times a second, and sends a
/// hundred a second at most.
pub(crate) const ECHO_NEWS_MAX: usize = 64;

/// Hop limit, or time to live, of what this host sends (RFC 1700).
pub(crate) const HOP_LIMIT: u8 = 64;

/// The smallest MTU of a link with IPv4 only.
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
//# There MUST be a mechanism by which the IP layer can
pub const MTU_MIN_V4: u16 = 576;

/// The smallest MTU of a link with IPv6.
//= https://www.rfc-editor.org/rfc/rfc8200#section-5
//# IPv6 requires that every link in the Internet have an MTU of 1280
pub const MTU_MIN_V6: u16 = 1280;

const _: () = assert!(NEIGHBOURS_MAX < u16::MAX / 2, "`HopIndex::NONE` and the slots need room");
const _: () = assert!(ADDRESSES_MAX < u16::MAX as usize, "`LocalIndex` has 16 bits");
const _: () = assert!(ERROR_BUCKETS.is_power_of_two(), "a bucket is chosen by a mask");
const _: () = assert!(ERROR_V4_LEN_MAX <= MTU_MIN_V4 as usize, "an error fits every link");
