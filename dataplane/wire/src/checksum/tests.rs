//! The sum against a naive one, at every length and alignment.

use super::*;

/// RFC 1071's definition, word by word.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded after every addition")
}

/// Bytes without a pattern that a word size could hide; xorshift from a fixed seed.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_le_bytes()[3]);
    }
    bytes
}

#[test]
fn the_sum_is_the_naive_one_for_every_length_and_alignment() {
    let bytes = noise(400);
    for start in 0..33 {
        for len in 0..bytes.len() - start {
            let part = &bytes[start..start + len];
            assert_eq!(sum(part).to_bits(), naive(part), "start {start}, len {len}");
        }
    }
}

#[test]
fn the_sum_of_a_long_buffer_carries() {
    for bytes in [vec![0xff; 65_535], vec![0xff; 65_534], noise(65_535), vec![0; 65_535]] {
        assert_eq!(sum(&bytes).to_bits(), naive(&bytes));
    }
}

#[test]
fn the_example_of_the_rfc_sums_to_its_value() {
    //= https://www.rfc-editor.org/rfc/rfc1071#section-3
    //# ddf2
    assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).to_bits(), 0xddf2);
}

#[test]
fn words_sum_as_their_bytes_do() {
    let words = [0x4500_003c, 0xffff_ffff, 0x0000_0001, 0x8000_7fff];
    let bytes = words.map(u32::to_be_bytes).concat();
    assert_eq!(sum_words(words), sum(&bytes));
    assert_eq!(sum_words([]), Partial::ZERO);
}

#[test]
fn an_array_sums_as_its_slice_does() {
    let bytes = noise(60);
    let (arrays, _) = bytes.as_chunks::<20>();
    for array in arrays {
        assert_eq!(sum_array(array), sum(array));
    }
    assert_eq!(sum_array(&[0xff; 40]), sum(&[0xff; 40]));
}

#[test]
fn parts_combine_at_every_offset() {
    let bytes = noise(101);
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        let joined = if at.is_multiple_of(2) {
            sum(head).combine(sum(tail))
        } else {
            sum(head).combine_odd(sum(tail))
        };
        assert_eq!(joined, sum(&bytes), "split at {at}");
    }
}

#[test]
fn the_pseudo_header_is_that_of_its_family() {
    let v4 = |text: &str| text.parse::<Address>().expect("a literal");
    let bytes = [192, 0, 2, 1, 198, 51, 100, 7, 0, 6, 0x12, 0x34];
    assert_eq!(pseudo(v4("192.0.2.1"), v4("198.51.100.7"), 6, 0x1234).to_bits(), naive(&bytes));

    let (src, dst) = (v4("2001:db8::1"), v4("fe80::ffff:ffff:ffff:ffff"));
    let mut bytes = [src.octets(), dst.octets()].concat();
    bytes.extend_from_slice(&[0, 1, 0x12, 0x34, 0, 0, 0, 58]);
    assert_eq!(pseudo(src, dst, 58, 0x1_1234).to_bits(), naive(&bytes));
}

#[test]
fn a_changed_bit_is_noticed() {
    let (src, dst) =
        (Address::from_v4_octets([10, 0, 0, 1]), Address::from_v4_octets([10, 0, 0, 2]));
    let mut segment = noise(60);
    segment[16..18].fill(0);
    let len = u32::try_from(segment.len()).expect("60");
    let field = fold(pseudo(src, dst, 6, len).combine(sum(&segment)));
    segment[16..18].copy_from_slice(&field.to_be_bytes());
    assert!(verify(src, dst, 6, &segment));
    assert!(!verify(src, dst, 17, &segment));
    for bit in 0..segment.len() * 8 {
        segment[bit / 8] ^= 1 << (bit % 8);
        assert!(!verify(src, dst, 6, &segment), "bit {bit}");
        segment[bit / 8] ^= 1 << (bit % 8);
    }
}
