//! What the bytes of a stream are: a function of the connection, the direction and the place.

/// The key of the stream that host `from` sends on connection `id` of the run `seed`.
pub(crate) fn key(seed: u64, id: u32, from: usize) -> u64 {
    mix(seed ^ mix(u64::from(id) << 8 | from as u64))
}

/// Writes the bytes from `offset` on into `bytes`.
pub(crate) fn fill(key: u64, offset: u64, bytes: &mut [u8]) {
    let mut at = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let word = word_at(key, at);
        let skipped = place_in_word(at);
        let count = rest.len().min(8 - skipped);
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&word[skipped..skipped + count]);
        rest = later;
        at += count as u64;
    }
}

/// The place in `bytes`, which begin at `offset`, of the first byte that is wrong.
pub(crate) fn first_wrong(key: u64, offset: u64, bytes: &[u8]) -> Option<usize> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        let word = word_at(key, at);
        let skipped = place_in_word(at);
        let count = (bytes.len() - done).min(8 - skipped);
        let expected = &word[skipped..skipped + count];
        let found = &bytes[done..done + count];
        if expected != found {
            let within = expected.iter().zip(found).position(|(a, b)| a != b);
            return Some(done + within.unwrap_or(0));
        }
        done += count;
    }
    None
}

fn place_in_word(offset: u64) -> usize {
    usize::try_from(offset % 8).expect("below 8")
}

fn word_at(key: u64, offset: u64) -> [u8; 8] {
    mix(key ^ (offset / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes()
}

/// The finisher of `SplitMix64`: every bit of the result depends on every bit of `z`.
pub(crate) fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::{fill, first_wrong, key};

    #[test]
    fn pieces_of_a_stream_fit_together_at_any_place() {
        let key = key(1, 2, 0);
        let mut whole = [0; 100];
        fill(key, 0, &mut whole);
        for start in 0..60 {
            for len in 0..40 {
                let mut piece = vec![0; len];
                fill(key, start as u64, &mut piece);
                assert_eq!(piece, whole[start..start + len]);
                assert_eq!(first_wrong(key, start as u64, &piece), None);
            }
        }
    }

    #[test]
    fn a_wrong_byte_a_shift_and_another_stream_are_seen() {
        let mut bytes = [0; 64];
        fill(key(1, 2, 0), 1_000, &mut bytes);
        bytes[37] ^= 1;
        assert_eq!(first_wrong(key(1, 2, 0), 1_000, &bytes), Some(37));
        bytes[37] ^= 1;
        assert!(first_wrong(key(1, 2, 0), 1_001, &bytes).is_some_and(|place| place < 8));
        assert!(first_wrong(key(1, 2, 1), 1_000, &bytes).is_some_and(|place| place < 8));
        assert!(first_wrong(key(1, 3, 0), 1_000, &bytes).is_some_and(|place| place < 8));
    }
}
