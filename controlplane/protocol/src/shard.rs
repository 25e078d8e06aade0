//! Which shard of a switch a port belongs to.

/// The shard of a port among `shards`, which is at least 1.
///
/// The highest bits of the CRC decide, so every shard has the same part of the names, and a switch
/// may use the low bits for its index.
#[inline]
#[must_use]
pub fn shard_of(name: &[u8], shards: u8) -> u8 {
    shard_of_crc(crc32fast::hash(name), shards)
}

/// The shard of a port by the CRC-32 of its name, for whom has it at hand.
#[inline]
#[must_use]
pub const fn shard_of_crc(crc: u32, shards: u8) -> u8 {
    // The product is below `shards` * 2^32: its bytes above the lower four are one byte.
    (crc as u64 * shards as u64).to_le_bytes()[4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_zlib() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(shard_of(b"123456789", 1), 0);
        // 0xcbf43926 * 16 >> 32.
        assert_eq!(shard_of(b"123456789", 16), 12);
    }

    #[test]
    fn every_shard_is_below_the_count_and_none_is_left_out() {
        for shards in [1, 2, 3, 7, 16, 254, 255] {
            assert_eq!(shard_of_crc(0, shards), 0);
            assert_eq!(shard_of_crc(u32::MAX, shards), shards - 1);
            let mut seen = vec![0_u32; usize::from(shards)];
            for number in 0..20_000_u32 {
                seen[usize::from(shard_of(format!("user/{number}").as_bytes(), shards))] += 1;
            }
            let even = 20_000 / u32::from(shards);
            assert!(seen.iter().all(|&n| n > even / 2 && n < even * 2), "{shards}: {seen:?}");
        }
    }
}
