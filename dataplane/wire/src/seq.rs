//! TCP sequence numbers: a circle of 2^32 positions, compared by signed distance.

use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};

/// A TCP sequence number; arithmetic wraps.
///
/// There is no `Ord`: "less" on a circle is not transitive. Two numbers are compared by the sign
/// of their distance, which is right as long as they are less than 2^31 apart; windows are at most
/// 2^30 bytes (RFC 7323), so live numbers always are.
///
/// ```
/// use wire::SeqNum;
/// let last = SeqNum(u32::MAX);
/// assert!(last.is_before(last + 2));
/// assert_eq!((last + 2).since(last), 2);
/// ```
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.4
//# all arithmetic dealing with sequence numbers must be performed modulo 2^32
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// The distance in bytes from `earlier` forward to `self`, modulo 2^32.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Whether `self` lies before `other`.
    #[inline]
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// Whether `self` is `other` or lies before it.
    #[inline]
    #[must_use]
    pub const fn is_at_or_before(self, other: Self) -> bool {
        self.distance(other) <= 0
    }

    /// Whether `self` lies after `other`.
    #[inline]
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// Whether `self` is `other` or lies after it.
    #[inline]
    #[must_use]
    pub const fn is_at_or_after(self, other: Self) -> bool {
        self.distance(other) >= 0
    }

    /// Whether `self` is one of the `len` numbers from `start` on.
    #[inline]
    #[must_use]
    pub const fn in_window(self, start: Self, len: u32) -> bool {
        self.since(start) < len
    }

    /// The later of two numbers.
    #[inline]
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of two numbers.
    #[inline]
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if other.is_before(self) { other } else { self }
    }

    #[inline]
    const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;

    #[inline]
    fn add(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, count: u32) {
        *self = *self + count;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;

    #[inline]
    fn sub(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }
}

impl SubAssign<u32> for SeqNum {
    #[inline]
    fn sub_assign(&mut self, count: u32) {
        *self = *self - count;
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeqNum({})", self.0)
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_holds_across_the_wrap() {
        let before = SeqNum(0xffff_fff0);
        let after = before + 0x20;
        assert_eq!(after, SeqNum(0x10));
        assert!(before.is_before(after) && before.is_at_or_before(after));
        assert!(after.is_after(before) && after.is_at_or_after(before));
        assert!(!after.is_before(before) && !before.is_after(after));
        assert_eq!(after - 0x20, before);
        assert_eq!(before.max(after), after);
        assert_eq!(before.min(after), before);
    }

    #[test]
    fn a_number_is_at_itself_and_neither_before_nor_after() {
        let number = SeqNum(7);
        assert!(number.is_at_or_before(number) && number.is_at_or_after(number));
        assert!(!number.is_before(number) && !number.is_after(number));
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end() {
        let start = SeqNum(u32::MAX - 1);
        assert!(start.in_window(start, 4));
        assert!((start + 3).in_window(start, 4));
        assert!(!(start + 4).in_window(start, 4));
        assert!(!(start - 1).in_window(start, 4));
        assert!(!start.in_window(start, 0));
    }
}
