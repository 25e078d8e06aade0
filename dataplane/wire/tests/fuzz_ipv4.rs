//! No bytes make the parser panic, and what is parsed, emitted and parsed again is the same.
//!
//! Random bytes hardly ever have a right checksum, so every input is tried as it is and repaired.
#![forbid(unsafe_code)]

use wire::checksum;
use wire::ipv4::{HEADER_LEN, Packet, Repr};

#[test]
fn fuzz_ipv4() {
    bolero::check!().for_each(|bytes: &[u8]| {
        check(bytes);
        check(&repaired(bytes));
    });
}

fn check(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes) else {
        return;
    };
    let repr = packet.repr();
    assert!(packet.header_len() + packet.payload().len() <= bytes.len());
    assert_eq!(packet.payload().len(), usize::from(repr.payload_len));
    assert!(!packet.has_source_route() || packet.header_len() > HEADER_LEN);
    let mut emitted = vec![0xaa; HEADER_LEN];
    repr.emit(&mut emitted);
    emitted.extend_from_slice(packet.payload());
    assert_eq!(Repr::parse(&emitted), Ok((repr, HEADER_LEN)));
}

fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let header_len = usize::from(bytes.first().copied().unwrap_or(0) & 15) * 4;
    if let Some(header) = bytes.get_mut(..header_len)
        && header_len >= HEADER_LEN
    {
        header[10..12].fill(0);
        let sum = checksum::fold(checksum::sum(header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}
