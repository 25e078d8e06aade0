//! The keyed hash of a name, and its first bytes as a word.

use memory::KeyedHash;

use super::cell::INLINE;

/// Set in the second word of every block of a name that takes more than one, so that no such block
/// is hashed as a short name is.
const IS_LONG: u128 = 1 << 127;

/// The hash of names under a secret key: who does not know it cannot choose names that meet.
#[derive(Debug)]
pub(super) struct NameHash {
    keyed: KeyedHash,
    /// What is kept of a hash, so that tests can make names meet.
    #[cfg(test)]
    pub(super) kept: u64,
}

impl NameHash {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self {
            keyed: KeyedHash::new(key),
            #[cfg(test)]
            kept: u64::MAX,
        }
    }

    /// The hash of a name whose first bytes are `word`.
    #[inline]
    pub(super) fn hash(&self, name: &[u8], word: u128) -> u64 {
        if name.len() <= INLINE { self.short(word, name.len()) } else { self.long(name) }
    }

    /// The hash of a name of at most 16 bytes.
    #[inline]
    pub(super) fn short(&self, word: u128, len: usize) -> u64 {
        self.keep(self.keyed.hash(word, len as u128))
    }

    /// A chain: every block is hashed with what came of those before it, and the first with the
    /// length.
    #[cold]
    fn long(&self, name: &[u8]) -> u64 {
        let mut before = name.len() as u128;
        let mut hash = 0;
        for (block, number) in name.chunks(INLINE).zip(0_u128..) {
            hash = self.keyed.hash(word_of(block), IS_LONG | number << 64 | before);
            before = u128::from(hash);
        }
        self.keep(hash)
    }

    #[cfg(test)]
    fn keep(&self, hash: u64) -> u64 {
        hash & self.kept
    }

    #[cfg(not(test))]
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "tests keep less")]
    fn keep(&self, hash: u64) -> u64 {
        hash
    }
}

/// The first 16 bytes of a name, zeros after its end.
#[inline]
pub(super) fn word_of(name: &[u8]) -> u128 {
    if let Some(whole) = name.first_chunk::<16>() {
        return u128::from_le_bytes(*whole);
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        // The last eight bytes overlap the first; what they share is shifted out.
        let shared = 8 * (16 - name.len());
        let above = u128::from(u64::from_le_bytes(*last)) >> shared;
        return u128::from(u64::from_le_bytes(*first)) | above << 64;
    }
    let mut word = 0;
    for (&byte, at) in name.iter().zip(0..) {
        word |= u128::from(byte) << (8 * at);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::{NameHash, word_of};

    #[test]
    fn word_is_the_first_bytes_of_a_name_and_zeros() {
        let bytes: Vec<u8> = (1..=40).collect();
        for len in 1..=40 {
            let mut expected = [0; 16];
            let kept = len.min(16);
            expected[..kept].copy_from_slice(&bytes[..kept]);
            assert_eq!(word_of(&bytes[..len]), u128::from_le_bytes(expected), "{len} bytes");
        }
    }

    #[test]
    fn every_byte_and_the_length_of_a_name_change_its_hash() {
        let hash = NameHash::new([3; 32]);
        let of = |name: &[u8]| hash.hash(name, word_of(name));
        let mut seen = std::collections::BTreeSet::new();
        let mut count = 0;
        for len in [1_usize, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 100, 1_023, 1_024] {
            let mut name = vec![0; len];
            seen.insert(of(&name));
            count += 1;
            for at in 0..len {
                name[at] = 1;
                seen.insert(of(&name));
                count += 1;
                name[at] = 0;
            }
        }
        assert_eq!(seen.len(), count, "two of {count} names meet");
    }
}
