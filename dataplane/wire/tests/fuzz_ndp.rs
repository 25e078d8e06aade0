//! No bytes make the parser panic, and what is parsed, emitted and parsed again is the same.
#![forbid(unsafe_code)]

use core::net::Ipv6Addr;

use wire::ndp::Repr;

#[test]
fn fuzz_ndp() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok((repr, len)) = Repr::parse(bytes) else {
            return;
        };
        assert_eq!(len, bytes.len());
        let mut emitted = vec![0xaa; repr.header_len()];
        let (src, dst) = (Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
        repr.emit(&mut emitted, src, dst);
        assert_eq!(Repr::parse(&emitted), Ok((repr, repr.header_len())));
        assert!(wire::icmpv6::Repr::parse(&emitted, src, dst).is_ok(), "the checksum is right");
    });
}
