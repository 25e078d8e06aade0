//! The two clocks: the monotonic one of the stack, and the time of day for dates.

use std::time::{self, SystemTime, UNIX_EPOCH};

use base::{Duration, Instant};

/// The monotonic clock. Its zero is when the gateway started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: time::Instant,
}

impl Clock {
    /// A clock that begins at zero now.
    pub(crate) fn start() -> Self {
        Self { started: time::Instant::now() }
    }

    /// The time since it started.
    pub(crate) fn now(&self) -> Instant {
        let nanos = u64::try_from(self.started.elapsed().as_nanos());
        Instant::from_nanos(nanos.expect("584 years fit"))
    }

    /// The time of day at which it was zero, since 1970, by what the time of day is now.
    pub(crate) fn zero_of_day(&self) -> Duration {
        // The two clocks are read one right behind the other.
        let since_zero = self.now().as_nanos();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(wall.saturating_sub(since_zero))
    }
}

/// The time of day, read once per second and not once per turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    /// When the second that was read is over.
    next: Instant,
}

impl WallClock {
    /// A clock that is due at once.
    pub(crate) fn new() -> Self {
        Self { next: Instant::ZERO }
    }

    /// Seconds since 1970, if a new second may have begun.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<u64> {
        if now < self.next {
            return None;
        }
        // A clock that stands before 1970 was never set, and says nothing.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.next = now + until_next_second(wall.subsec_nanos());
        Some(wall.as_secs())
    }
}

fn until_next_second(subsec_nanos: u32) -> Duration {
    Duration::from_nanos(1_000_000_000 - u64::from(subsec_nanos))
}

#[cfg(test)]
mod tests {
    use base::{Duration, Instant};

    use super::{WallClock, until_next_second};

    #[test]
    fn the_time_of_day_is_due_at_once_and_then_each_second() {
        let mut wall = WallClock::new();
        let start = Instant::from_nanos(5);
        assert!(wall.poll(start).expect("it is due") > 1_700_000_000);
        assert_eq!(wall.poll(start), None);
        assert!(wall.poll(start + Duration::from_secs(1)).is_some());
    }

    #[test]
    fn the_next_second_is_never_now() {
        assert_eq!(until_next_second(0), Duration::from_secs(1));
        assert_eq!(until_next_second(999_999_999), Duration::from_nanos(1));
    }
}
