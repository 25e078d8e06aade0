//! When a worker that has nothing to do goes to sleep.

use crate::time::{Duration, Instant};

/// What an idle worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// It never sleeps: nothing waits for it to wake up.
    Spin,
    /// It spins for a while, and then sleeps.
    Adaptive,
    /// It sleeps as soon as there is nothing to do.
    Wait,
}

impl IdlePolicy {
    /// Every policy under the word that it is chosen by.
    pub const NAMED: [(&'static str, Self); 3] =
        [("spin", Self::Spin), ("adaptive", Self::Adaptive), ("wait", Self::Wait)];

    /// The word that it is chosen by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Adaptive => "adaptive",
            Self::Wait => "wait",
        }
    }
}

/// Watches how long a worker has been idle.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// How long it spins; `None` is for ever.
    spin: Option<Duration>,
    /// When there was work last.
    busy_at: Instant,
}

impl Idle {
    /// A worker of this policy, which spins for `spin` where that is part of it.
    #[must_use]
    pub fn new(policy: IdlePolicy, spin: Duration, now: Instant) -> Self {
        let spin = match policy {
            IdlePolicy::Spin => None,
            IdlePolicy::Adaptive => Some(spin),
            IdlePolicy::Wait => Some(Duration::ZERO),
        };
        Self { spin, busy_at: now }
    }

    /// Whether the worker should sleep, after a round at `now`. Requests come in bursts, and waking
    /// costs more than waiting a moment.
    pub fn should_sleep(&mut self, now: Instant, is_busy: bool) -> bool {
        if is_busy {
            self.busy_at = now;
        }
        !is_busy && self.spin.is_some_and(|spin| now.saturating_since(self.busy_at) >= spin)
    }
}

#[cfg(test)]
mod tests {
    use super::{Idle, IdlePolicy};
    use crate::time::{Duration, Instant};

    const SPIN: Duration = Duration::from_micros(50);

    #[test]
    fn an_adaptive_worker_spins_for_its_time_and_then_sleeps_until_there_is_work() {
        let start = Instant::from_nanos(1_000);
        let after = |micros| start + Duration::from_micros(micros);
        let mut idle = Idle::new(IdlePolicy::Adaptive, SPIN, start);
        assert!(!idle.should_sleep(after(49), false));
        assert!(idle.should_sleep(after(50), false));
        assert!(!idle.should_sleep(after(60), true));
        assert!(!idle.should_sleep(after(109), false));
        assert!(idle.should_sleep(after(110), false));
    }

    #[test]
    fn a_spinning_worker_never_sleeps_and_a_waiting_one_sleeps_at_once() {
        let start = Instant::from_nanos(1_000);
        let later = start + Duration::from_secs(100);
        assert!(!Idle::new(IdlePolicy::Spin, SPIN, start).should_sleep(later, false));
        let mut waiting = Idle::new(IdlePolicy::Wait, SPIN, start);
        assert!(waiting.should_sleep(start, false));
        assert!(!waiting.should_sleep(later, true));
        assert!(waiting.should_sleep(later, false));
    }

    #[test]
    fn a_policy_has_the_word_that_it_is_chosen_by() {
        for (word, policy) in IdlePolicy::NAMED {
            assert_eq!(policy.name(), word);
        }
    }
}
