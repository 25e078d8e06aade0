//! No bytes make the parser or the walk of the extension headers panic or leave the packet, and
//! what is parsed, emitted and parsed again is the same.
#![forbid(unsafe_code)]

use wire::ipv6::{ExtensionError, HEADER_LEN, Packet, Repr};

#[test]
fn fuzz_ipv6() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(packet) = Packet::parse(bytes) else {
            return;
        };
        let repr = packet.repr();
        assert_eq!(packet.payload().len(), usize::from(repr.payload_len));
        match packet.upper() {
            Ok(upper) => {
                assert!(upper.offset <= packet.payload().len());
                let pointed = bytes[usize::try_from(upper.pointer).expect("64-bit")];
                assert!(upper.fragment.is_some() || pointed == upper.protocol);
            }
            Err(ExtensionError::Report { pointer, .. }) => {
                let end = HEADER_LEN + packet.payload().len();
                assert!(usize::try_from(pointer).expect("64-bit") < end);
            }
            Err(ExtensionError::Truncated | ExtensionError::TooMany | ExtensionError::Discard) => {}
        }
        let mut emitted = vec![0xaa; HEADER_LEN];
        repr.emit(&mut emitted);
        emitted.extend_from_slice(packet.payload());
        assert_eq!(Repr::parse(&emitted), Ok((repr, HEADER_LEN)));
    });
}
