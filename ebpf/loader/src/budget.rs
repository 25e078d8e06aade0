//! Budgets of SYNs, as people say them and as the program wants them.

use std::num::NonZeroU32;

use abi::Settings;

const NS_PER_S: u64 = 1_000_000_000;

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that it gets back in a second; above 1,000,000,000 is as much as that.
    pub per_s: NonZeroU32,
    /// Tokens that it holds when full.
    pub burst: NonZeroU32,
}

impl Rate {
    /// Nanoseconds of one token, and of a full bucket.
    fn interval_and_fill(self) -> (u64, u64) {
        let interval = (NS_PER_S / u64::from(self.per_s.get())).max(1);
        (interval, interval * u64::from(self.burst.get()))
    }
}

/// What a SYN costs; `None` is nothing. What each defends against stands in `budget.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynBudget {
    /// For each source: an address of IPv4, a /64 of IPv6.
    pub per_source: Option<Rate>,
    /// For all sources together that have not been let in lately, on each CPU that receives. A
    /// stranger that finds no token comes in with its retransmission.
    pub strangers: Option<Rate>,
}

impl SynBudget {
    /// Writes both into the program's settings.
    pub(crate) fn fill(self, settings: &mut Settings) {
        let numbers = |rate: Option<Rate>| rate.map_or((0, 0), Rate::interval_and_fill);
        (settings.source_interval_ns, settings.source_fill_ns) = numbers(self.per_source);
        (settings.stranger_interval_ns, settings.stranger_fill_ns) = numbers(self.strangers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_s: u32, burst: u32) -> Rate {
        let positive = |number| NonZeroU32::new(number).expect("above 0");
        Rate { per_s: positive(per_s), burst: positive(burst) }
    }

    #[test]
    fn rate_becomes_intervals_that_are_never_zero_and_never_overflow() {
        assert_eq!(rate(100, 5).interval_and_fill(), (10_000_000, 50_000_000));
        assert_eq!(rate(u32::MAX, 1).interval_and_fill(), (1, 1));
        let (interval, fill) = rate(1, u32::MAX).interval_and_fill();
        assert_eq!((interval, fill), (NS_PER_S, NS_PER_S * u64::from(u32::MAX)));
    }

    #[test]
    fn no_budget_is_an_interval_of_zero() {
        let mut settings = Settings { source_interval_ns: 7, ..Settings::default() };
        let strangers = Some(rate(1_000, 2));
        SynBudget { per_source: None, strangers }.fill(&mut settings);
        assert_eq!((settings.source_interval_ns, settings.source_fill_ns), (0, 0));
        assert_eq!(settings.stranger_interval_ns, 1_000_000);
        assert_eq!(settings.stranger_fill_ns, 2_000_000);
    }
}
