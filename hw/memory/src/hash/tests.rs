//! Tests of the keyed hash: what a table needs of it.
#![cfg(not(loom))]

use super::*;
use crate::seeded::Seeded;

fn key(rng: &mut Seeded) -> [u8; 32] {
    std::array::from_fn(|_byte| rng.next().to_le_bytes()[0])
}

fn word(rng: &mut Seeded) -> u128 {
    u128::from(rng.next()) << 64 | u128::from(rng.next())
}

fn both(key: [u8; 32]) -> [KeyedHash; 2] {
    [KeyedHash::new(key), KeyedHash::portable(key)]
}

#[test]
fn equal_keys_and_words_hash_alike() {
    let mut rng = Seeded::new("equal_keys_and_words_hash_alike");
    let (key, a, b) = (key(&mut rng), word(&mut rng), word(&mut rng));
    for (one, other) in both(key).into_iter().zip(both(key)) {
        assert_eq!(one.hash(a, b), other.clone().hash(a, b));
    }
}

#[test]
fn every_bit_of_the_key_counts() {
    let mut rng = Seeded::new("every_bit_of_the_key_counts");
    let (first, a, b) = (key(&mut rng), word(&mut rng), word(&mut rng));
    for bit in 0..256 {
        let mut other = first;
        other[bit / 8] ^= 1 << (bit % 8);
        for (one, other) in both(first).into_iter().zip(both(other)) {
            assert_ne!(one.hash(a, b), other.hash(a, b), "{one:?}, key bit {bit}");
        }
    }
}

#[test]
fn every_bit_of_either_word_changes_half_of_the_bits() {
    let mut rng = Seeded::new("every_bit_of_either_word_changes_half_of_the_bits");
    let rounds = if cfg!(miri) { 4 } else { 400 };
    for hash in both(key(&mut rng)) {
        for bit in 0..256_u32 {
            let flip = |at: u32| if at < 128 { 1_u128 << at } else { 0 };
            let mut changed = 0;
            for _round in 0..rounds {
                let (a, b) = (word(&mut rng), word(&mut rng));
                let other = hash.hash(a ^ flip(bit), b ^ flip(bit.wrapping_sub(128)));
                changed += (hash.hash(a, b) ^ other).count_ones();
            }
            // 32 of 64 on average; the mean of 400 strays by 0.2.
            let mean = f64::from(changed) / f64::from(rounds);
            let stray = if cfg!(miri) { 12.0 } else { 2.0 };
            assert!((mean - 32.0).abs() < stray, "{hash:?}: bit {bit} changes {mean} bits");
        }
    }
}

#[test]
fn the_two_words_are_not_exchangeable() {
    let mut rng = Seeded::new("the_two_words_are_not_exchangeable");
    let (a, b) = (word(&mut rng), word(&mut rng));
    for hash in both(key(&mut rng)) {
        assert_ne!(hash.hash(a, b), hash.hash(b, a));
        assert_ne!(hash.hash(a, a), hash.hash(b, b));
    }
}

#[test]
#[cfg(not(miri))]
fn a_partial_collision_does_not_carry_over_to_another_word() {
    let mut rng = Seeded::new("a_partial_collision_does_not_carry_over_to_another_word");
    for hash in both(key(&mut rng)) {
        let bucket = |a, b| hash.hash(a, b) & 0xff;
        let (b, other_b) = (word(&mut rng), word(&mut rng));
        let (mut collisions, mut carried) = (0, 0);
        for _round in 0..200_000 {
            let (a, other_a) = (word(&mut rng), word(&mut rng));
            if bucket(a, b) == bucket(other_a, b) {
                collisions += 1;
                carried += u32::from(bucket(a, other_b) == bucket(other_a, other_b));
            }
        }
        // About 780 collisions, of which chance carries three; without F it would be all.
        assert!(collisions > 600 && carried < 30, "{hash:?}: {carried} of {collisions} carried");
    }
}

#[test]
#[cfg(not(miri))]
fn counted_addresses_fill_buckets_evenly() {
    let mut rng = Seeded::new("counted_addresses_fill_buckets_evenly");
    for hash in both(key(&mut rng)) {
        for shift in [0, 8, 64, 120] {
            let mut buckets = vec![0_i64; 1024];
            for a in 0..256_u128 {
                for b in 0..256_u128 {
                    let at = usize::try_from(hash.hash(a << shift, b << shift) % 1024).unwrap();
                    buckets[at] += 1;
                }
            }
            // Chi-square over 1023 degrees of freedom: 1023 on average, deviation 45.
            let chi: i64 = buckets.iter().map(|n| (n - 64) * (n - 64)).sum::<i64>() / 64;
            assert!((700..1350).contains(&chi), "{hash:?}: shift {shift}: chi-square {chi}");
        }
    }
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", both([0xab; 32]));
    assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
}
