//! No bytes make the parser panic, and what is parsed, emitted and parsed again is the same.
#![forbid(unsafe_code)]

use wire::Address;
use wire::udp::{Datagram, fill_checksum};

#[test]
fn fuzz_udp() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(datagram) = Datagram::parse(bytes) else {
            return;
        };
        let repr = datagram.repr();
        assert_eq!(datagram.payload().len(), usize::from(repr.payload_len));
        let mut emitted = vec![0xaa; repr.header_len()];
        repr.emit(&mut emitted);
        emitted.extend_from_slice(datagram.payload());
        let (src, dst) = (Address::UNSPECIFIED_V4, Address::BROADCAST);
        fill_checksum(&mut emitted, src, dst);
        let back = Datagram::parse(&emitted).expect("our own");
        assert_eq!((back.repr(), back.payload()), (repr, datagram.payload()));
        assert!(back.has_valid_checksum(src, dst));
    });
}
