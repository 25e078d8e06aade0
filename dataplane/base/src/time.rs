//! Points and lengths of time in nanoseconds, whose zero is arbitrary.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A point in time: nanoseconds since an arbitrary zero. 584 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Instant {
    /// The arbitrary zero.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after zero.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since zero.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds since zero, wrapped to 32 bits (every 71.6 minutes).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "wrapping is the contract")]
    pub const fn as_micros_wrapped(self) -> u32 {
        (self.0 / 1_000) as u32
    }

    /// Whole milliseconds since zero, wrapped to 32 bits (every 49.7 days).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "wrapping is the contract")]
    pub const fn as_millis_wrapped(self) -> u32 {
        (self.0 / 1_000_000) as u32
    }

    /// Whole seconds since zero, wrapped to 32 bits (every 136 years).
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "wrapping is the contract")]
    pub const fn as_secs_wrapped(self) -> u32 {
        (self.0 / 1_000_000_000) as u32
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A length in nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A length in microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros * 1_000)
    }

    /// A length in milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// A length in seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// The length in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, after: Duration) -> Self {
        Self(self.0 + after.0)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, after: Duration) {
        self.0 += after.0;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration(self.0 - earlier.0)
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} ns", self.0),
            1_000..1_000_000 => write!(f, "{} us", self.as_micros()),
            _ => write!(f, "{} ms", self.as_millis()),
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant};

    #[test]
    fn time_adds_up_and_prints_its_unit() {
        let start = Instant::from_nanos(1_500_000_000);
        let later = start + Duration::from_millis(250);
        assert_eq!(later - start, Duration::from_micros(250_000));
        assert_eq!(start.saturating_since(later), Duration::ZERO);
        assert_eq!(later.to_string(), "1.750000 s");
        assert_eq!(Duration::from_micros(12).to_string(), "12 us");
    }

    #[test]
    fn wrapped_clocks_wrap() {
        let past_wrap = Instant::from_nanos((1 << 32) * 1_000_000 + 5_000_000);
        assert_eq!(past_wrap.as_millis_wrapped(), 5);
    }
}
