//! Eight tags of a bucket compared with one at once.

/// The places of `lane` among eight, as bits.
///
/// Every x86-64 compares them in one instruction; left to itself the compiler takes some thirty, or
/// eight jumps.
#[inline(always)]
#[must_use]
pub fn equal_lanes(lanes: &[u16; 8], lane: u16) -> u8 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: SSE2 is part of x86-64, and nothing else is asked of the caller.
    return unsafe { equal_by_sse2(lanes, lane) };
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    one_by_one(lanes, lane)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "sse2")]
#[inline]
fn equal_by_sse2(lanes: &[u16; 8], lane: u16) -> u8 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi16, _mm_movemask_epi8, _mm_packs_epi16, _mm_set_epi64x, _mm_set1_epi16,
        _mm_setzero_si128,
    };
    let [a, b, c, d, e, f, g, h] = *lanes;
    let four = |a: u16, b: u16, c: u16, d: u16| {
        let wide = u64::from(a) | u64::from(b) << 16 | u64::from(c) << 32 | u64::from(d) << 48;
        wide.cast_signed()
    };
    let all = _mm_set_epi64x(four(e, f, g, h), four(a, b, c, d));
    let found = _mm_cmpeq_epi16(all, _mm_set1_epi16(lane.cast_signed()));
    let bits = _mm_movemask_epi8(_mm_packs_epi16(found, _mm_setzero_si128()));
    bits.to_le_bytes()[0]
}

#[cfg(any(test, miri, not(target_arch = "x86_64")))]
fn one_by_one(lanes: &[u16; 8], lane: u16) -> u8 {
    let mut bits = 0;
    for (&other, place) in lanes.iter().zip(0..) {
        bits |= u8::from(other == lane) << place;
    }
    bits
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn eight_at_once_find_what_one_by_one_finds() {
        for places in 0..=u8::MAX {
            for lane in [0, 1, 0x7fff, 0x8000, 0xffff] {
                let other = if lane == 0 { 0x8000 } else { lane - 1 };
                let holds = |place: usize| places >> place & 1 == 1;
                let lanes = std::array::from_fn(|place| if holds(place) { lane } else { other });
                assert_eq!(equal_lanes(&lanes, lane), places, "{lanes:?} and {lane}");
                assert_eq!(one_by_one(&lanes, lane), places);
            }
        }
    }
}
