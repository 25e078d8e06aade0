//! Logarithmic bytes: how a quiet record keeps estimates that need a range, not digits.
//!
//! Eight bits hold 32 octaves with three fractional bits: every `u32` comes back within 12.5 %
//! below itself, zero comes back as zero.

/// `value` in eight bits, rounded down.
#[must_use]
pub(crate) fn encode(value: u32) -> u8 {
    if value < 8 {
        return u8::try_from(value).expect("below 8");
    }
    let octave = value.ilog2();
    let fraction = (value >> (octave - 3)) & 7;
    u8::try_from((octave - 2) * 8 + fraction).expect("octave is at most 31, so below 240")
}

/// What [`encode`] kept of a value.
#[must_use]
pub(crate) fn decode(code: u8) -> u32 {
    let (octave, fraction) = (u32::from(code / 8), u32::from(code % 8));
    match octave {
        0 => fraction,
        1..=30 => (8 + fraction) << (octave - 1),
        _ => u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn a_value_comes_back_within_an_eighth_and_never_larger() {
        let mut value = 0u32;
        while value < u32::MAX - value / 16 - 1 {
            let back = decode(encode(value));
            assert!(back <= value && value - back <= value / 8, "{value} became {back}");
            value += 1 + value / 16;
        }
        assert!(decode(encode(u32::MAX)) >= u32::MAX / 8 * 7);
    }
}
