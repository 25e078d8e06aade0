//! Names that are made from numbers, and the order in which they are asked for.

/// The share of all numbers that the order steps by: the golden ratio, which keeps any few that
/// follow each other furthest apart.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// A name of 16 bytes of text, as a user's port might have.
pub(super) fn name(number: u32) -> [u8; 16] {
    let mut name = *b"user/a2/00000000";
    for (digit, byte) in (0..).zip(name[8..].iter_mut().rev()) {
        let nibble = (number >> (4 * digit)).to_le_bytes()[0] & 0xf;
        *byte = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    name
}

/// All numbers below a count once each, neighbours far apart: what is registered in order lies in
/// memory in order, and nobody asks for it so.
#[derive(Clone, Debug)]
pub(super) struct Scattered {
    count: u64,
    step: u64,
}

impl Scattered {
    pub(super) fn new(count: u32) -> Self {
        let count = u64::from(count);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a number of 32 bits"
        )]
        let near = (count as f64 * GOLDEN) as u64;
        let step = (near.max(1)..).find(|&step| greatest_common_divisor(step, count) == 1);
        Self { count, step: step.expect("every number of steps has one") }
    }

    /// Number `turn` of the order.
    pub(super) fn at(&self, turn: u32) -> u32 {
        let number = u64::from(turn) * self.step % self.count;
        u32::try_from(number).expect("it is below the count")
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_as_many_as_numbers() {
        let numbers = [0, 1, 9, 10, 15, 16, 1 << 28, u32::MAX];
        let names: BTreeSet<_> = numbers.map(name).into_iter().collect();
        assert_eq!(names.len(), numbers.len());
        assert_eq!(&name(0xbeef), b"user/a2/0000beef");
    }

    #[test]
    fn every_number_comes_once_and_far_from_the_one_before() {
        for count in [1, 2, 3, 10, 1_000, 65_536] {
            let scattered = Scattered::new(count);
            let all: BTreeSet<u32> = (0..count).map(|turn| scattered.at(turn)).collect();
            assert_eq!((all.len(), all.last()), (count as usize, Some(&(count - 1))));
        }
        let scattered = Scattered::new(1_000_000);
        let far = (1..1_000).map(|turn| scattered.at(turn).abs_diff(scattered.at(turn - 1))).min();
        assert!(far > Some(300_000), "{far:?}");
    }
}
