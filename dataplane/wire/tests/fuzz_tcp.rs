//! No bytes make the parser panic, and what is parsed, emitted and parsed again is the same.
#![forbid(unsafe_code)]

use wire::tcp::Repr;

#[test]
fn fuzz_tcp() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok((repr, header_len)) = Repr::parse(bytes) else {
            return;
        };
        assert!(header_len <= bytes.len());
        let mut emitted = vec![0xaa; repr.header_len()];
        repr.emit(&mut emitted);
        assert_eq!(Repr::parse(&emitted), Ok((repr, repr.header_len())));
    });
}
