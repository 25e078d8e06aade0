//! The bytes of a message: who sent it to which port, which one it is, and bytes that follow from
//! those.

use crate::limits::MESSAGES_SIZE_MIN;

/// What makes a message unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) sender: u32,
    pub(super) port: u32,
    /// How many messages this sender sent to this port before.
    pub(super) count: u64,
}

const WORD_LEN: usize = 8;
const STAMP_LEN: usize = 2 * WORD_LEN;

const _: () = assert!(MESSAGES_SIZE_MIN >= STAMP_LEN);

impl Stamp {
    fn words(self) -> [u64; 2] {
        [u64::from(self.sender) << 32 | u64::from(self.port), self.count]
    }

    /// The words behind the stamp: no two messages have one in common, as far as it matters.
    #[inline]
    fn filler(self) -> impl Iterator<Item = [u8; WORD_LEN]> {
        let [who, count] = self.words();
        // The multipliers of SplitMix64.
        let mut word = (who ^ count.rotate_left(32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        std::iter::repeat_with(move || {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            word.to_le_bytes()
        })
    }

    /// Fills a message.
    #[inline]
    pub(super) fn write(self, message: &mut [u8]) {
        let [who, count] = self.words();
        let (stamp, rest) = message.split_at_mut(STAMP_LEN);
        stamp[..WORD_LEN].copy_from_slice(&who.to_le_bytes());
        stamp[WORD_LEN..].copy_from_slice(&count.to_le_bytes());
        let (words, tail) = rest.as_chunks_mut::<WORD_LEN>();
        let mut filler = self.filler();
        for (word, filler) in words.iter_mut().zip(&mut filler) {
            *word = filler;
        }
        for (byte, filler) in tail.iter_mut().zip(filler.next().unwrap_or_default()) {
            *byte = filler;
        }
    }

    /// The stamp of a message of `size` bytes whose other bytes are right.
    #[inline]
    pub(super) fn read(message: &[u8], size: usize) -> Option<Self> {
        if message.len() != size {
            return None;
        }
        let (stamp, rest) = message.split_at_checked(STAMP_LEN)?;
        let (&[who, count], []) = stamp.as_chunks::<WORD_LEN>() else { return None };
        let [who, count] = [u64::from_le_bytes(who), u64::from_le_bytes(count)];
        let part = |part: u64| u32::try_from(part & u64::from(u32::MAX)).ok();
        let stamp = Self { sender: part(who >> 32)?, port: part(who)?, count };
        let (words, tail) = rest.as_chunks::<WORD_LEN>();
        let mut filler = stamp.filler();
        let mut difference = 0;
        for (word, filler) in words.iter().zip(&mut filler) {
            difference |= u64::from_le_bytes(*word) ^ u64::from_le_bytes(filler);
        }
        let is_tail_right = filler.next().unwrap_or_default().starts_with(tail);
        (difference == 0 && is_tail_right).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { sender: 3, port: 70_000, count: 1 << 33 };

    #[test]
    fn message_of_any_size_is_read_as_it_was_written() {
        for size in MESSAGES_SIZE_MIN..100 {
            let mut message = vec![0; size];
            STAMP.write(&mut message);
            assert_eq!(Stamp::read(&message, size), Some(STAMP), "{size}");
            assert_eq!(Stamp::read(&message, size + 1), None);
            assert_eq!(Stamp::read(&message[..size - 1], size), None);
        }
    }

    #[test]
    fn every_bit_that_changed_makes_another_message_or_none() {
        let mut message = vec![0; 67];
        STAMP.write(&mut message);
        for bit in 0..message.len() * 8 {
            message[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Stamp::read(&message, 67), Some(STAMP), "bit {bit}");
            if bit >= STAMP_LEN * 8 {
                assert_eq!(Stamp::read(&message, 67), None, "bit {bit}");
            }
            message[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
