//! The payload of every request and answer: unique per message, checked to the last byte.
//!
//! Bytes 0-3 are the connection's number, 4-7 the message's sequence number on it, little-endian;
//! after them come 8-byte words, each the one before it plus an odd constant, from a start that
//! both numbers decide. So two messages differ in every word, a shifted, repeated or swapped word
//! is found, and a word costs one addition: a hash per word would cost as much as the stack.

use crate::limits::SIZE_MIN;

/// Bytes of the two numbers.
pub(crate) const HEAD_LEN: usize = 8;
const _: () = assert!(HEAD_LEN == SIZE_MIN as usize);

/// 2^64 divided by the golden ratio, odd: consecutive multiples are spread evenly.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Which message: the `sequence`-th on the `connection`-th connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) connection: u32,
    pub(crate) sequence: u32,
}

impl Message {
    /// The message that `bytes` claims to be; nothing if they are too few to claim.
    pub(crate) fn claimed_by(bytes: &[u8]) -> Option<Self> {
        let (connection, rest) = bytes.split_first_chunk::<4>()?;
        let sequence = rest.first_chunk::<4>()?;
        Some(Self {
            connection: u32::from_le_bytes(*connection),
            sequence: u32::from_le_bytes(*sequence),
        })
    }

    /// Fills `out`, which is the whole message.
    pub(crate) fn write(self, out: &mut [u8]) {
        let (words, tail) = out.as_chunks_mut::<8>();
        let mut word = self.head();
        let mut next = self.start();
        for chunk in words {
            *chunk = word.to_le_bytes();
            word = next;
            next = next.wrapping_add(STEP);
        }
        let len = tail.len();
        tail.copy_from_slice(&word.to_le_bytes()[..len]);
    }

    /// How many of `bytes`, which stand `offset` bytes into the message, are not its own.
    pub(crate) fn wrong_bytes(self, offset: usize, bytes: &[u8]) -> usize {
        if !offset.is_multiple_of(8) {
            return self.wrong_bytes_one_by_one(offset, bytes);
        }
        let (words, tail) = bytes.as_chunks::<8>();
        let first = offset / 8;
        let mut word = self.word(first);
        let mut next = self.word(first + 1);
        let mut difference = 0;
        for chunk in words {
            difference |= u64::from_le_bytes(*chunk) ^ word;
            word = next;
            next = next.wrapping_add(STEP);
        }
        if difference == 0 && word.to_le_bytes()[..tail.len()] == *tail {
            return 0;
        }
        self.wrong_bytes_one_by_one(offset, bytes)
    }

    #[cold]
    fn wrong_bytes_one_by_one(self, offset: usize, bytes: &[u8]) -> usize {
        let wrong = |&(index, byte): &(usize, &u8)| {
            let at = offset + index;
            self.word(at / 8).to_le_bytes()[at % 8] != *byte
        };
        bytes.iter().enumerate().filter(wrong).count()
    }

    fn word(self, index: usize) -> u64 {
        match index {
            0 => self.head(),
            _ => self.start().wrapping_add(STEP.wrapping_mul(index as u64 - 1)),
        }
    }

    fn head(self) -> u64 {
        u64::from(self.connection) | u64::from(self.sequence) << 32
    }

    /// The finaliser of splitmix64: neighbouring messages start far apart.
    fn start(self) -> u64 {
        let mut x = self.head().wrapping_add(STEP);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Message = Message { connection: 7, sequence: 0x0102_0304 };

    fn written(message: Message, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        message.write(&mut bytes);
        bytes
    }

    #[test]
    fn message_begins_with_its_two_numbers() {
        let bytes = written(MESSAGE, 64);
        assert_eq!(bytes[..8], [7, 0, 0, 0, 4, 3, 2, 1]);
        assert_eq!(Message::claimed_by(&bytes), Some(MESSAGE));
        assert_eq!(Message::claimed_by(&bytes[..7]), None);
    }

    #[test]
    fn whole_message_is_right_at_every_length_and_from_every_offset() {
        for len in 8..100 {
            let bytes = written(MESSAGE, len);
            for offset in 0..=len {
                assert_eq!(MESSAGE.wrong_bytes(offset, &bytes[offset..]), 0, "{len} {offset}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_found_at_every_length() {
        for len in [8, 9, 15, 16, 64, 67] {
            for bit in 0..len * 8 {
                let mut bytes = written(MESSAGE, len);
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(MESSAGE.wrong_bytes(0, &bytes), 1, "{len} {bit}");
                if bit >= 24 {
                    assert_eq!(MESSAGE.wrong_bytes(3, &bytes[3..]), 1, "{len} {bit}");
                }
            }
        }
    }

    #[test]
    fn message_of_a_neighbour_differs_in_every_word() {
        let other = [
            Message { connection: 8, ..MESSAGE },
            Message { sequence: MESSAGE.sequence + 1, ..MESSAGE },
        ];
        for other in other {
            let (a, b) = (written(MESSAGE, 128), written(other, 128));
            assert!(a.chunks(8).zip(b.chunks(8)).all(|(a, b)| a != b));
        }
    }

    #[test]
    fn swapped_words_are_found() {
        let mut bytes = written(MESSAGE, 64);
        let (left, right) = bytes.split_at_mut(32);
        left[8..16].swap_with_slice(&mut right[8..16]);
        assert!(MESSAGE.wrong_bytes(0, &bytes) > 0);
    }
}
