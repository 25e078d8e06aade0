//! How many ICMP errors may be sent: token buckets, one of which each peer has by a secret.
//!
//! One bucket for all would let anybody stop the errors to everybody, and count in his own errors
//! how many others got: that is how closed ports have been found from outside.

use base::Instant;
use memory::KeyedHash;
use wire::Address;

use crate::limits::{ERROR_BUCKETS, ERROR_BURST, ERROR_INTERVAL};

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u16,
    /// Up to when tokens have been added.
    filled_at: Instant,
}

/// The buckets of one interface.
#[derive(Debug)]
pub(crate) struct Buckets {
    buckets: Vec<Bucket>,
    hash: KeyedHash,
}

impl Buckets {
    pub(crate) fn new(hash: KeyedHash) -> Self {
        let full = Bucket { tokens: ERROR_BURST, filled_at: Instant::ZERO };
        Self { buckets: vec![full; ERROR_BUCKETS], hash }
    }

    /// Whether an error may go to `peer` now; takes a token if so.
    pub(crate) fn take(&mut self, peer: Address, now: Instant) -> bool {
        // One host of IPv6 has a whole network of 2^64 addresses to speak from.
        let host = if peer.is_v4() { peer.to_bits() } else { peer.to_bits() >> 64 };
        let mask = ERROR_BUCKETS - 1;
        let at = usize::try_from(self.hash.hash(host, 1)).map_or(0, |hash| hash & mask);
        let bucket = &mut self.buckets[at];
        bucket.fill(now);
        if bucket.tokens == 0 {
            return false;
        }
        bucket.tokens -= 1;
        true
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_since(self.filled_at).as_nanos();
        let earned = elapsed / ERROR_INTERVAL.as_nanos();
        let room = ERROR_BURST - self.tokens;
        if earned >= u64::from(room) {
            self.tokens = ERROR_BURST;
            self.filled_at = self.filled_at.max(now);
        } else if let Ok(earned) = u16::try_from(earned) {
            self.tokens += earned;
            // The rest of an interval still counts.
            for _ in 0..earned {
                self.filled_at += ERROR_INTERVAL;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::Duration;

    use super::*;

    fn buckets() -> Buckets {
        Buckets::new(KeyedHash::portable([1; 32]))
    }

    fn allowed(buckets: &mut Buckets, peer: Address, now: Instant, tries: u32) -> usize {
        (0..tries).filter(|_| buckets.take(peer, now)).count()
    }

    #[test]
    fn a_burst_of_ten_then_ten_a_second() {
        let mut buckets = buckets();
        let peer = Address::from_v4_octets([192, 0, 2, 1]);
        let mut now = Instant::ZERO + Duration::from_secs(100);
        assert_eq!(allowed(&mut buckets, peer, now, 1000), 10);
        let mut sum = 0;
        for _ in 0..1000 {
            now += Duration::from_millis(7);
            sum += allowed(&mut buckets, peer, now, 3);
        }
        assert_eq!(sum, 70, "seven seconds at ten a second");
        now += Duration::from_secs(3600);
        assert_eq!(allowed(&mut buckets, peer, now, 1000), 10);
    }

    #[test]
    fn one_peer_does_not_use_up_what_another_has() {
        let mut buckets = buckets();
        let mut served = 0;
        for host in 0..=255 {
            let peer = Address::from_v4_octets([192, 0, 2, host]);
            served += usize::from(allowed(&mut buckets, peer, Instant::ZERO, 10) > 0);
        }
        // 256 peers in 256 buckets: a share of 1 - 1/e of the buckets is in use.
        assert!(served > 120, "{served}");
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_share_a_bucket() {
        let mut buckets = buckets();
        let network = 0x2001_0db8_u128 << 96;
        let peers = (0..100).map(|host| Address::from_bits(network | host));
        let served: usize = peers.map(|peer| allowed(&mut buckets, peer, Instant::ZERO, 1)).sum();
        assert_eq!(served, 10);
    }
}
