//! A clock that is off and runs at a rate of its own.

use base::Instant;

/// See the file's first words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What it shows at the beginning of time, in nanoseconds.
    pub(super) offset: u64,
    /// By how much it is too fast, in parts per million.
    pub(super) ppm: i32,
}

const MILLION: i64 = 1_000_000;

impl Clock {
    fn rate(self) -> u128 {
        u128::try_from(MILLION + i64::from(self.ppm)).expect("it goes forward")
    }

    /// What it shows.
    pub(super) fn read(self, now: Instant) -> Instant {
        let gone = u128::from(now.as_nanos()) * self.rate() / u128::from(MILLION.unsigned_abs());
        Instant::from_nanos(self.offset + u64::try_from(gone).expect("hours"))
    }

    /// When it shows so much, or a little later.
    pub(super) fn when(self, shown: Instant) -> Instant {
        let gone = u128::from(shown.as_nanos().saturating_sub(self.offset));
        let nanos = (gone * u128::from(MILLION.unsigned_abs())).div_ceil(self.rate());
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[test]
fn a_clock_shows_an_instant_when_it_says_so() {
    for ppm in [-50_000, -1_000, 0, 777, 50_000] {
        let clock = Clock { offset: 12_345, ppm };
        for nanos in [12_345, 12_346, 999_999_999, 1_000_000_007] {
            let shown = Instant::from_nanos(nanos);
            let at = clock.when(shown);
            assert!(clock.read(at) >= shown, "{clock:?} {nanos}");
            let before = Instant::from_nanos(at.as_nanos().saturating_sub(1));
            assert!(at.as_nanos() == 0 || clock.read(before) < shown, "{clock:?} {nanos}");
        }
    }
}
