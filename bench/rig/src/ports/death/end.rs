//! When the dead node's ownership ends, as far as somebody outside can know, and what is wrong.

use std::time::Instant;

/// Where the others stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The node lives, or its ports are kept still.
    Before,
    /// Its ports are free, and the sweep takes them out.
    Sweep,
    /// The sweep has ended.
    After,
}

impl Phase {
    pub(super) const ALL: [Self; 3] = [Self::Before, Self::Sweep, Self::After];
}

/// The end of an ownership. The switch counts its exclusion from when it received the last `RELET`:
/// after that was sent, and before it was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// The exclusion after the sending.
    pub(super) earliest: Option<Instant>,
    /// The exclusion after the answer.
    pub(super) latest: Option<Instant>,
    /// When the sweep was seen to have ended.
    pub(super) swept_at: Option<Instant>,
}

impl End {
    /// Whether the ports may be free at `now`.
    pub(super) fn may_be_over(&self, now: Instant) -> bool {
        self.earliest.is_some_and(|earliest| now >= earliest)
    }

    /// Whether the ports must be free at `now`.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.latest.is_some_and(|latest| now >= latest)
    }

    /// The phase of a request that was due and answered at these times: one that the sweep met at
    /// either end is the sweep's.
    pub(super) fn phase(&self, due: Instant, answered: Instant) -> Phase {
        if !self.may_be_over(answered) {
            return Phase::Before;
        }
        if self.swept_at.is_some_and(|swept| due >= swept) { Phase::After } else { Phase::Sweep }
    }
}

/// Answers that must not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Ports that were granted, or free, before the end.
    pub(super) granted_early: u64,
    /// Ports that were still the dead node's after the end.
    pub(super) dead_late: u64,
    /// Requests that failed where none may.
    pub(super) refused: u64,
    /// Ports that were found under another sequence.
    pub(super) mismatched: u64,
}

impl Wrong {
    pub(super) fn add(&mut self, other: Self) {
        let Self { granted_early, dead_late, refused, mismatched } = other;
        self.granted_early += granted_early;
        self.dead_late += dead_late;
        self.refused += refused;
        self.mismatched += mismatched;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_request_that_the_sweep_met_at_either_end_is_the_sweeps() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let (earliest, latest) = (Some(at(10)), Some(at(11)));
        let end = End { earliest, latest, swept_at: Some(at(20)) };
        assert_eq!(end.phase(at(8), at(9)), Phase::Before);
        assert_eq!(end.phase(at(8), at(10)), Phase::Sweep);
        assert_eq!(end.phase(at(19), at(25)), Phase::Sweep);
        assert_eq!(end.phase(at(20), at(25)), Phase::After);
        assert_eq!(End::default().phase(at(8), at(9)), Phase::Before);
        assert!(end.may_be_over(at(10)) && !end.is_over(at(10)) && end.is_over(at(11)));
    }
}
