//! When a core that has nothing to do goes to sleep.

use base::{Duration, Instant};

/// Watches how long a core has been idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    spin: Duration,
    /// When there was work last.
    busy_at: Instant,
}

impl Idle {
    /// A core that spins for `spin` before it sleeps.
    pub(crate) fn new(spin: Duration, now: Instant) -> Self {
        Self { spin, busy_at: now }
    }

    /// Whether the core should sleep, after a turn at `now`. Packets come in bursts, and waking
    /// costs more than waiting a moment.
    pub(crate) fn should_sleep(&mut self, now: Instant, is_busy: bool) -> bool {
        if is_busy {
            self.busy_at = now;
        }
        !is_busy && now.saturating_since(self.busy_at) >= self.spin
    }
}

#[cfg(test)]
mod tests {
    use base::{Duration, Instant};

    use super::Idle;

    #[test]
    fn a_core_spins_for_its_time_and_then_sleeps_until_there_is_work() {
        let start = Instant::from_nanos(1_000);
        let after = |micros| start + Duration::from_micros(micros);
        let mut idle = Idle::new(Duration::from_micros(50), start);
        assert!(!idle.should_sleep(after(49), false));
        assert!(idle.should_sleep(after(50), false));
        assert!(!idle.should_sleep(after(60), true));
        assert!(!idle.should_sleep(after(109), false));
        assert!(idle.should_sleep(after(110), false));
    }
}
