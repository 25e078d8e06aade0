//! The Internet checksum (RFC 1071), and the pseudo-headers of TCP, UDP and ICMPv6.
//!
//! A loop over 16-bit words costs more than all the rest of a segment's way through the stack. The
//! sum does not care about byte order nor about word size, so it is taken over 64-bit words as the
//! machine reads them: four independent sums of 128 bits, which cannot overflow, each an addition
//! and an addition of the carry. Folding and one byte swap at the end make it the sum of the 16-bit
//! words. (Vectors of 32-bit words in 64-bit lanes are slower on machines with 128-bit vectors, and
//! no faster with 256.)
//!
//! A [`Partial`] can be kept and joined to others: the payload of a message for many receivers is
//! summed once, and each receiver's header is added to it.

use crate::Address;

/// A sum of 16-bit words in ones' complement, not yet inverted.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Partial(u16);

impl Partial {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum with this value, as [`Partial::to_bits`] gives it: for records that keep one.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The value of the sum.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u16 {
        self.0
    }

    /// The sum of both, where `other` begins at an even offset of the packet.
    #[inline]
    #[must_use]
    pub const fn combine(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        // After a carry the sum is at most 0xfffe, so that this cannot overflow.
        Self(sum + carry as u16)
    }

    /// The sum of both, where `other` begins at an odd offset of the packet.
    #[inline]
    #[must_use]
    pub const fn combine_odd(self, other: Self) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc1071#section-2
        //# byte swap
        self.combine(Self(other.0.swap_bytes()))
    }

    /// Whether this, taken over data with its checksum in it, is what a correct checksum gives.
    #[inline]
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 == 0xffff
    }
}

/// The sum of `bytes`; an odd last byte counts as if a zero followed it.
#[inline]
#[must_use]
pub fn sum(bytes: &[u8]) -> Partial {
    let mut lanes = [0_u128; 4];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            // A lane would overflow after 2^64 words; wrapping spares the loop a check.
            *lane = lane.wrapping_add(u128::from(u64::from_ne_bytes(*word)));
        }
    }
    let mut total = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        total += u128::from(u64::from_ne_bytes(*word));
    }
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        total += u128::from(u32::from_ne_bytes(*word));
    }
    let last = match *rest {
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c] => [a, b, c, 0],
        _ => [0; 4],
    };
    total += u128::from(u32::from_ne_bytes(last));
    Partial(u16::from_be(fold_to_16(fold_to_64(total))))
}

/// The sum of words that are not yet in memory, each as the number that its four bytes in network
/// order are.
#[inline]
#[must_use]
pub fn sum_words<const N: usize>(words: [u32; N]) -> Partial {
    Partial(fold_to_16(words.into_iter().map(u64::from).sum()))
}

/// The sum of bytes whose number is known when this is compiled and a multiple of four: without the
/// loops and the odd end of [`sum`].
#[inline]
#[must_use]
pub fn sum_array<const N: usize>(bytes: &[u8; N]) -> Partial {
    const { assert!(N.is_multiple_of(4), "the last word would be cut") };
    let (words, _) = bytes.as_chunks::<4>();
    let total = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    Partial(u16::from_be(fold_to_16(total)))
}

/// The sum of the pseudo-header before `len` bytes of `protocol` from `src` to `dst`.
///
/// The IPv4 and the IPv6 form need no distinction: the `ffff` of an IPv4-mapped address is zero in
/// ones' complement, and so are the words in which the two forms differ.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//# The pseudo-header
//= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
//# pseudo-header
#[inline]
#[must_use]
pub const fn pseudo(src: Address, dst: Address, protocol: u8, len: u32) -> Partial {
    let [a, b, c, d] = words(src);
    let [e, f, g, h] = words(dst);
    Partial(fold_to_16(a + b + c + d + e + f + g + h + protocol as u64 + len as u64))
}

/// The checksum field for data whose sum is `partial`.
#[inline]
#[must_use]
pub const fn fold(partial: Partial) -> u16 {
    !partial.0
}

/// Whether `bytes`, a whole packet of `protocol` from `src` to `dst`, has a correct checksum.
#[inline]
#[must_use]
pub fn verify(src: Address, dst: Address, protocol: u8, bytes: &[u8]) -> bool {
    let Ok(len) = u32::try_from(bytes.len()) else {
        return false;
    };
    pseudo(src, dst, protocol, len).combine(sum(bytes)).is_valid()
}

/// Four 32-bit words of an address, each with room to be added up.
#[expect(clippy::cast_possible_truncation, reason = "each word is masked or shifted to 32 bits")]
const fn words(address: Address) -> [u64; 4] {
    let bits = address.to_bits();
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    [high >> 32, high & 0xffff_ffff, low >> 32, low & 0xffff_ffff]
}

/// The same sum in 64 bits; zero only if `sum` is zero.
#[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart")]
const fn fold_to_64(sum: u128) -> u64 {
    let (sum, carry) = (sum as u64).overflowing_add((sum >> 64) as u64);
    // After a carry the sum is at most 2^64 - 2, so that this cannot overflow.
    sum + carry as u64
}

/// The same sum in at most 33 bits.
const fn fold_once(sum: u64) -> u64 {
    (sum & 0xffff_ffff) + (sum >> 32)
}

/// The same sum in 16 bits; zero only if `sum` is zero.
#[expect(clippy::cast_possible_truncation, reason = "the last fold leaves 16 bits")]
const fn fold_to_16(sum: u64) -> u16 {
    let sum = fold_once(fold_once(sum));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests;
