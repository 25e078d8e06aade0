//! The budget of challenge acknowledgements: a table of keyed buckets, never one global counter.
//!
//! A global counter tells an off-path attacker by its exhaustion whether a guess hit another's
//! connection (CVE-2016-5696). Buckets that only our key can name tell nothing about a neighbour.

use base::Instant;

use crate::limits::{CHALLENGE_BUCKETS, CHALLENGE_INTERVAL_MS, CHALLENGES_PER_INTERVAL};

/// One bucket counts one interval for all flows that hash to it.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    interval: u32,
    spent: u16,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Challenges {
    buckets: Box<[Bucket]>,
}

impl Challenges {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![Bucket::default(); CHALLENGE_BUCKETS].into_boxed_slice() }
    }

    /// Whether the flow of `hash` may be sent one more challenge.
    //= https://www.rfc-editor.org/rfc/rfc5961#section-7
    //# in any 5 second window, no more than 10 challenge ACKs should be sent
    pub(crate) fn allow(&mut self, hash: u64, now: Instant) -> bool {
        let at = usize::try_from(hash >> 20).unwrap_or(usize::MAX) % self.buckets.len();
        let bucket = &mut self.buckets[at];
        let interval = now.as_millis_wrapped() / CHALLENGE_INTERVAL_MS;
        if bucket.interval != interval {
            *bucket = Bucket { interval, spent: 0 };
        }
        let allowed = bucket.spent < CHALLENGES_PER_INTERVAL;
        bucket.spent += u16::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::Challenges;
    use crate::limits::{CHALLENGE_INTERVAL_MS, CHALLENGES_PER_INTERVAL};
    use base::{Duration, Instant};

    #[test]
    fn budget_is_per_bucket_and_comes_back() {
        let mut challenges = Challenges::new();
        let now = Instant::from_nanos(1_000_000_000);
        let allowed = (0..100).filter(|_| challenges.allow(1 << 20, now)).count();
        assert_eq!(allowed, usize::from(CHALLENGES_PER_INTERVAL));
        assert!(challenges.allow(2 << 20, now), "another bucket has its own budget");
        let later = now + Duration::from_millis(u64::from(CHALLENGE_INTERVAL_MS));
        assert!(challenges.allow(1 << 20, later));
    }
}
