//! The names that are registered: a number each, mixed so that no two neighbours are alike.
//!
//! They are made when they are written, and kept nowhere: ten million names of 16 bytes would be
//! 160 MB of memory that the client reads beside the server. A name is the number, mixed by a
//! bijection, in hexadecimal digits, so that there are no two equal names and no table profits
//! from their order.

use protocol::limits::NAME_LEN_MAX;

use crate::limits::PORTS_NAME_BYTES_MIN;

/// Digits of a name; what is longer is filled.
const DIGITS_MAX: usize = 16;
/// What fills a longer name, behind the digits: names that differ late would flatter a table which
/// looks at their beginning only.
const FILLER: u8 = b'.';

/// The names of one length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    len: usize,
    /// The bits that the digits hold.
    bits: u32,
}

impl Names {
    /// Names of `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let lens = PORTS_NAME_BYTES_MIN..=NAME_LEN_MAX;
        assert!(lens.contains(&len), "{len} bytes are not of {lens:?}");
        let digits = u32::try_from(len.min(DIGITS_MAX)).expect("at most 16");
        Self { len, bits: 4 * digits }
    }

    /// How many different ones there are.
    pub(crate) fn count(self) -> u64 {
        1_u64.checked_shl(self.bits).unwrap_or(u64::MAX)
    }

    pub(super) fn len(self) -> usize {
        self.len
    }

    /// The name of `number`.
    #[inline]
    pub(crate) fn name(self, number: u64, paper: &mut Paper) -> &[u8] {
        let digits = hexadecimal(self.mixed(number) << (64 - self.bits));
        // Of a short name the digits behind its end are not looked at.
        paper.0[..DIGITS_MAX].copy_from_slice(&digits);
        &paper.0[..self.len]
    }

    /// A bijection on the numbers below [`Names::count`]: each step can be undone within the bits.
    #[inline]
    fn mixed(self, number: u64) -> u64 {
        let mask = u64::MAX >> (64 - self.bits);
        let half = self.bits / 2;
        // The multipliers of SplitMix64; any odd number has an inverse.
        let mut x = number & mask;
        x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9) & mask;
        x ^= x >> half;
        x = x.wrapping_mul(0x94d0_49bb_1331_11eb) & mask;
        x ^ (x >> half)
    }
}

/// Where names are written, one after another.
#[derive(Debug)]
pub(crate) struct Paper([u8; NAME_LEN_MAX]);

impl Paper {
    pub(crate) fn new() -> Self {
        Self([FILLER; NAME_LEN_MAX])
    }
}

/// The sixteen digits of a number, highest first, eight of them at a time.
#[inline]
fn hexadecimal(number: u64) -> [u8; DIGITS_MAX] {
    let mut digits = [0; DIGITS_MAX];
    digits[..8].copy_from_slice(&eight_digits(number >> 32).to_be_bytes());
    digits[8..].copy_from_slice(&eight_digits(number & 0xffff_ffff).to_be_bytes());
    digits
}

/// Each byte of the result is the ASCII of four of the 32 bits.
#[inline]
fn eight_digits(bits: u64) -> u64 {
    let pairs = (bits | (bits << 16)) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | (pairs << 8)) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes | (bytes << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    // A nibble above nine carries into bit four when six is added.
    let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)
}

/// Which number stands at which place: those of a registration as they come, those of all that
/// follows in another order, so that no table is asked in the order in which it was filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    count: u64,
    stride: u64,
}

impl Order {
    /// As they come.
    pub(super) fn straight(count: u64) -> Self {
        Self { count, stride: 1 }
    }

    /// Far apart: a stride near the golden section of `count` that has no divisor with it.
    pub(super) fn scattered(count: u64) -> Self {
        // 0.618 of it; the product is below 2^64 as long as there are fewer than 10^16 ports.
        let golden = (count * 618 / 1_000).max(1);
        let stride = (golden..).find(|&stride| divisor(stride, count) == 1);
        Self { count, stride: stride.expect("count + 1 is one at the latest") % count.max(1) }
    }

    /// The numbers at the places from `first` on.
    #[inline]
    pub(super) fn from(self, first: u64) -> Numbers {
        let at = u128::from(first) * u128::from(self.stride) % u128::from(self.count.max(1));
        Numbers { order: self, at: u64::try_from(at).expect("it is below count") }
    }
}

/// Endless: the caller takes as many as there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    order: Order,
    at: u64,
}

impl Iterator for Numbers {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let number = self.at;
        let Order { count, stride } = self.order;
        // Both are below `count`.
        let next = self.at + stride;
        self.at = if next >= count { next - count } else { next };
        Some(number)
    }
}

fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(names: Names, number: u64) -> Vec<u8> {
        names.name(number, &mut Paper::new()).to_vec()
    }

    #[test]
    fn names_have_their_length_and_are_all_different() {
        for len in [PORTS_NAME_BYTES_MIN, 7, 16, 17, 100] {
            let names = Names::new(len);
            let all: HashSet<_> = (0..20_000).map(|number| name(names, number)).collect();
            assert_eq!(all.len(), 20_000, "{len} bytes");
            assert!(all.iter().all(|name| name.len() == len && name.is_ascii()), "{len} bytes");
        }
    }

    #[test]
    fn the_shortest_names_are_a_bijection_of_all_their_numbers() {
        let names = Names { len: 4, bits: 16 };
        let all: HashSet<_> = (0..names.count()).map(|number| names.mixed(number)).collect();
        assert_eq!(all.len(), 1 << 16);
    }

    #[test]
    fn digits_are_those_that_the_library_writes() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, u64::MAX] {
            assert_eq!(hexadecimal(number).as_slice(), format!("{number:016x}").as_bytes());
        }
    }

    #[test]
    fn every_order_has_each_number_once_and_goes_on_from_any_place() {
        for count in [1, 2, 10, 1_000, 1_001, 65_536] {
            for order in [Order::straight(count), Order::scattered(count)] {
                let taken = usize::try_from(count).expect("small");
                let numbers: Vec<_> = order.from(0).take(taken).collect();
                let different: HashSet<_> = numbers.iter().collect();
                assert_eq!(different.len(), taken, "{order:?}");
                for first in [0, count / 3, count - 1] {
                    let place = usize::try_from(first).expect("small");
                    assert_eq!(order.from(first).next(), Some(numbers[place]), "{order:?}");
                }
            }
        }
    }

    #[test]
    fn neighbours_in_the_scattered_order_are_far_apart() {
        let numbers: Vec<_> = Order::scattered(1_000_000).from(0).take(1_000).collect();
        let near = numbers.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1_000).count();
        assert_eq!(near, 0);
    }
}
