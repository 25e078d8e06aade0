//! Secrets of one core: what nobody outside may predict is a keyed hash of the addresses.

use base::Instant;
use memory::KeyedHash;

use crate::Tuple;

/// Five keys, so that what one of them leaks says nothing about another.
#[derive(Clone, Copy)]
pub struct Keys {
    /// Places flows in the index.
    pub index: [u8; 32],
    /// Initial sequence numbers (RFC 6528).
    pub sequence: [u8; 32],
    /// Offsets of the timestamp clock (RFC 7323 section 5.4).
    pub timestamp: [u8; 32],
    /// Ephemeral ports (RFC 6056).
    pub port: [u8; 32],
    /// SYN cookies (RFC 4987 section 3.6).
    pub cookie: [u8; 16],
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keys(secret)")
    }
}

/// The hashes over those keys.
#[derive(Debug)]
pub(crate) struct Hashes {
    index: KeyedHash,
    sequence: KeyedHash,
    timestamp: KeyedHash,
    port: KeyedHash,
}

impl Hashes {
    pub(crate) fn new(keys: &Keys) -> Self {
        let Keys { index, sequence, timestamp, port, cookie: _ } = *keys;
        Self {
            index: KeyedHash::new(index),
            // Its values leave the process, once a connection: no hash for tables will do.
            sequence: KeyedHash::portable(sequence),
            timestamp: KeyedHash::new(timestamp),
            port: KeyedHash::new(port),
        }
    }

    /// Where the flow lies in the index.
    #[inline]
    pub(crate) fn flow(&self, tuple: &Tuple) -> u64 {
        self.index.hash(tuple.remote.to_bits(), ports_of(tuple))
    }

    /// The initial sequence number of a connection opened at `now`.
    //= https://www.rfc-editor.org/rfc/rfc6528#section-3
    //# ISN = M + F(localip, localport, remoteip, remoteport, secretkey)
    pub(crate) fn initial_sequence(&self, tuple: &Tuple, now: Instant) -> u32 {
        let clock = now.as_nanos() / 4_000;
        low_half(clock.wrapping_add(self.sequence.hash(tuple.remote.to_bits(), ports_of(tuple))))
    }

    /// What is added to the millisecond clock in our timestamps to this peer.
    #[inline]
    pub(crate) fn timestamp_offset(&self, tuple: &Tuple) -> u32 {
        low_half(self.timestamp.hash(tuple.remote.to_bits(), ports_of(tuple)))
    }

    /// Where the search for an ephemeral port towards this peer begins.
    pub(crate) fn port_offset(&self, tuple: &Tuple) -> u32 {
        low_half(self.port.hash(tuple.remote.to_bits(), ports_of(tuple)))
    }
}

fn ports_of(tuple: &Tuple) -> u128 {
    u128::from(tuple.remote_port) << 32
        | u128::from(tuple.local_port) << 16
        | u128::from(tuple.local)
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits of a hash are a hash")]
fn low_half(wide: u64) -> u32 {
    wide as u32
}
