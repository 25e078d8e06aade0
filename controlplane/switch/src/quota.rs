//! How much one node may hold and send.

use base::Instant;

use crate::limits::{
    NANOS_PER_SECOND, PORTS_PER_NODE_MAX, QUEUE_LEN_MAX, SUBSCRIPTIONS_PER_NODE_MAX,
    WAITING_PER_NODE_MAX,
};

/// What one node may have at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Ports that it holds, those that it waits for included.
    pub ports_max: u64,
    /// Bytes of pushes that wait for it.
    pub queue_len_max: u32,
    /// Messages that it sends in a second, with a burst of as many. 0: as many as it likes.
    pub messages_per_second: u32,
    /// Grants whose end it wants to hear of.
    pub subscriptions_max: u32,
    /// Places in queues of waiters.
    pub waiting_max: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            ports_max: PORTS_PER_NODE_MAX,
            queue_len_max: QUEUE_LEN_MAX,
            messages_per_second: 0,
            subscriptions_max: SUBSCRIPTIONS_PER_NODE_MAX,
            waiting_max: WAITING_PER_NODE_MAX,
        }
    }
}

/// A bucket of messages that fills with time. It holds at most those of one second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// When it would have been empty had nothing been taken since.
    empty_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new() -> Self {
        Self { empty_at: Instant::ZERO }
    }

    /// Takes up to `wanted` messages out and says how many there were. A rate of 0 has no end.
    pub(crate) fn take(&mut self, wanted: u32, per_second: u32, now: Instant) -> u32 {
        if per_second == 0 {
            return wanted;
        }
        let age = now.saturating_since(self.empty_at).as_nanos().min(NANOS_PER_SECOND);
        let filled = u128::from(age) * u128::from(per_second) / u128::from(NANOS_PER_SECOND);
        let filled = u32::try_from(filled).expect("at most what comes in one second");
        let taken = wanted.min(filled);
        // What is left is kept to the nanosecond: the age shrinks by what was taken, rounded up.
        let cost = (u64::from(taken) * NANOS_PER_SECOND).div_ceil(u64::from(per_second));
        self.empty_at = Instant::from_nanos(now.as_nanos() - age + cost.min(age));
        taken
    }
}

#[cfg(test)]
mod tests {
    use base::{Duration, Instant};

    use super::Bucket;

    #[test]
    fn a_node_sends_its_rate_and_a_burst_of_one_second() {
        let start = Instant::ZERO + Duration::from_secs(100);
        let mut bucket = Bucket::new();
        assert_eq!(bucket.take(1_500, 1_000, start), 1_000);
        assert_eq!(bucket.take(1, 1_000, start), 0);
        let mut sent = 0;
        for ms in 1..=3_000 {
            sent += bucket.take(2, 1_000, start + Duration::from_millis(ms));
        }
        assert_eq!(sent, 3_000);
        assert_eq!(bucket.take(9_000, 1_000, start + Duration::from_secs(60)), 1_000);
        assert_eq!(bucket.take(9_000, 0, start), 9_000);
    }

    #[test]
    fn an_odd_rate_loses_nothing_and_gains_nothing() {
        let mut bucket = Bucket::new();
        let start = Instant::ZERO + Duration::from_secs(10);
        bucket.take(7, 7, start);
        let sent: u32 = (1..=1_000u64)
            .map(|step| bucket.take(7, 7, start + Duration::from_millis(step * 37)))
            .sum();
        // 37 seconds at 7 a second.
        assert!((258..=259).contains(&sent), "{sent}");
    }
}
