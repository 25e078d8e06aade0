//! No bytes make the parser panic, and what is parsed, emitted and parsed again is the same.
//!
//! An input is two addresses and a message. Random bytes hardly ever have a right checksum, so
//! every input is tried as it is and repaired.
#![forbid(unsafe_code)]

use core::net::Ipv6Addr;

use wire::icmpv6::{HEADER_LEN, Repr, fill_checksum};

#[test]
fn fuzz_icmpv6() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Some((src, rest)) = bytes.split_first_chunk() else {
            return;
        };
        let Some((dst, message)) = rest.split_first_chunk() else {
            return;
        };
        let (src, dst) = (Ipv6Addr::from_octets(*src), Ipv6Addr::from_octets(*dst));
        check(message, src, dst);
        let mut repaired = message.to_vec();
        if repaired.len() >= HEADER_LEN {
            fill_checksum(&mut repaired, src, dst);
            assert!(check(&repaired, src, dst), "a right checksum is accepted");
        }
    });
}

fn check(bytes: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> bool {
    let Ok((repr, header_len)) = Repr::parse(bytes, src, dst) else {
        return false;
    };
    let mut emitted = bytes.to_vec();
    repr.emit(&mut emitted, src, dst);
    assert_eq!(Repr::parse(&emitted, src, dst), Ok((repr, header_len)));
    true
}
