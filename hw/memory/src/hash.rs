//! A keyed hash of two 128-bit words: nobody without the key can choose collisions.
//!
//! With AES instructions it is
//!
//! ```text
//!   hash(a, b) = low 64 bits of  F( P(a) xor Q(b) )
//!   P, Q: four rounds of AES each, independent round keys        F: two rounds more
//! ```
//!
//! Why four: over independent round keys, four rounds of AES turn no difference of inputs into
//! any one difference of outputs with a probability above 2^-113 (Keliher and Sui, 2007; Minematsu
//! and Tsunoo, FSE 2006, build a message authentication code on it). So two different inputs meet
//! before `F` with at most that probability, whatever they are; with one, two or three rounds
//! there are differences that do far better. Why two more: the words meet in an exclusive or, and
//! a table uses only some bits of the result, so without `F` two words that agree in those bits
//! would agree beside every other word, and one collision found by timing would give many. Two
//! rounds carry every bit to every bit. It is a hash for tables, whose values stay inside; it is
//! no authentication code.
//!
//! P and Q run side by side, so it costs about as much as six rounds.

#[cfg(test)]
mod tests;

use std::hash::Hasher;

use siphasher::{sip::SipHasher13, sip128::SipHasher24};
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i;

/// A hash with a secret key. Its values are for tables of this process: they depend on the key
/// and on what the processor can.
#[derive(Clone)]
pub struct KeyedHash {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Aes(Box<AesKeys>),
    Sip(SipHasher13),
}

impl KeyedHash {
    /// The fastest hash that this processor has, under `key`.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("aes") {
            return Self { kind: Kind::Aes(Box::new(AesKeys::new(key))) };
        }
        Self::portable(key)
    }

    /// SipHash-1-3 under `key`, the same on every machine: for what must repeat elsewhere.
    #[must_use]
    pub fn portable(key: [u8; 32]) -> Self {
        Self { kind: Kind::Sip(SipHasher13::new_with_key(&derived(key, 0).to_le_bytes())) }
    }

    /// The hash of two words.
    #[inline]
    #[must_use]
    pub fn hash(&self, a: u128, b: u128) -> u64 {
        match &self.kind {
            // SAFETY: this kind is made only where AES was detected.
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(keys) => unsafe { keys.hash(a, b) },
            Kind::Sip(keyed) => sip(keyed, a, b),
        }
    }
}

impl std::fmt::Debug for KeyedHash {
    /// Its kind only: the key is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            #[cfg(target_arch = "x86_64")]
            Kind::Aes(_) => "KeyedHash(AES)",
            Kind::Sip(_) => "KeyedHash(SipHash-1-3)",
        })
    }
}

fn sip(keyed: &SipHasher13, a: u128, b: u128) -> u64 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&a.to_le_bytes());
    bytes[16..].copy_from_slice(&b.to_le_bytes());
    let mut hasher = *keyed;
    hasher.write(&bytes);
    hasher.finish()
}

/// Subkey `number`: SipHash-2-4-128 is a pseudorandom function, and both halves of the key count.
fn derived(key: [u8; 32], number: u64) -> u128 {
    let mut subkey = 0;
    for half in key.as_chunks::<16>().0 {
        let mut hasher = SipHasher24::new_with_key(half);
        hasher.write_u64(number);
        subkey ^= siphasher::sip128::Hasher128::finish128(&hasher).as_u128();
    }
    subkey
}

/// Round keys: what is added before the first round, and one for each round.
#[cfg(target_arch = "x86_64")]
#[derive(Clone)]
#[repr(align(64))]
struct AesKeys {
    p: [u128; 5],
    q: [u128; 5],
    f: [u128; 2],
}

#[cfg(target_arch = "x86_64")]
impl AesKeys {
    fn new(key: [u8; 32]) -> Self {
        // Number 0 is the portable hash's key.
        let subkey = |number: u64| derived(key, number);
        Self {
            p: [1, 2, 3, 4, 5].map(subkey),
            q: [6, 7, 8, 9, 10].map(subkey),
            f: [11, 12].map(subkey),
        }
    }

    /// To be called only where AES was detected, which is all that makes it unsafe elsewhere.
    #[target_feature(enable = "aes")]
    #[inline]
    fn hash(&self, a: u128, b: u128) -> u64 {
        use std::arch::x86_64::{
            _mm_aesenc_si128 as round, _mm_cvtsi128_si64 as low_word, _mm_xor_si128 as xor,
        };
        let mut a = vector(a ^ self.p[0]);
        let mut b = vector(b ^ self.q[0]);
        for number in 1..5 {
            a = round(a, vector(self.p[number]));
            b = round(b, vector(self.q[number]));
        }
        let mixed = self.f.iter().fold(xor(a, b), |state, key| round(state, vector(*key)));
        low_word(mixed).cast_unsigned()
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a word are taken apart")]
fn vector(word: u128) -> __m128i {
    let (high, low) = ((word >> 64) as u64, word as u64);
    std::arch::x86_64::_mm_set_epi64x(high.cast_signed(), low.cast_signed())
}
