//! The fast sum is the one that RFC 1071 defines, and it may be taken in two parts.
#![forbid(unsafe_code)]

use wire::checksum::sum;

#[test]
fn fuzz_checksum() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let whole = sum(bytes);
        assert_eq!(whole.to_bits(), naive(bytes));
        let at = bytes.first().map_or(0, |first| usize::from(*first) % bytes.len());
        let (head, tail) = bytes.split_at(at);
        let (head, tail) = (sum(head), sum(tail));
        let joined = if at.is_multiple_of(2) { head.combine(tail) } else { head.combine_odd(tail) };
        assert_eq!(joined, whole);
    });
}

fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded after every addition")
}
