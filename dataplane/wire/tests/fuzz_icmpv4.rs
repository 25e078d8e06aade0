//! No bytes make the parser panic, and what is parsed, emitted and parsed again is the same.
//!
//! Random bytes hardly ever have a right checksum, so every input is tried as it is and repaired.
#![forbid(unsafe_code)]

use wire::checksum;
use wire::icmpv4::{HEADER_LEN, Repr};

#[test]
fn fuzz_icmpv4() {
    bolero::check!().for_each(|bytes: &[u8]| {
        check(bytes);
        let mut repaired = bytes.to_vec();
        if repaired.len() >= HEADER_LEN {
            repaired[2..4].fill(0);
            let sum = checksum::fold(checksum::sum(&repaired));
            repaired[2..4].copy_from_slice(&sum.to_be_bytes());
            assert!(check(&repaired), "a message of eight bytes with a right checksum is read");
        }
    });
}

fn check(bytes: &[u8]) -> bool {
    let Ok((repr, header_len)) = Repr::parse(bytes) else {
        return false;
    };
    let mut emitted = bytes.to_vec();
    repr.emit(&mut emitted);
    assert_eq!(Repr::parse(&emitted), Ok((repr, header_len)));
    true
}
