//! IPv4 headers as they were captured, and damaged ones.

use super::*;

/// A SYN-ACK's header as Linux sent it, with 40 bytes of TCP left out.
const CAPTURED: [u8; HEADER_LEN] = [
    0x45, 0x00, 0x00, 0x3c, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x26, 0xa8, 0x0a, 0x09, 0x00, 0x02,
    0x0a, 0x09, 0x00, 0x01,
];

fn captured() -> Vec<u8> {
    let mut bytes = CAPTURED.to_vec();
    bytes.resize(60, 0);
    bytes
}

/// The captured packet after `change`, with its header checksum made right again.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = captured();
    change(&mut bytes);
    let header_len = (usize::from(bytes[0] & 15) * 4).clamp(HEADER_LEN, bytes.len());
    bytes[10..12].fill(0);
    let sum = checksum::fold(checksum::sum(&bytes[..header_len]));
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn with_options(options: &[u8]) -> Vec<u8> {
    changed(|bytes| {
        bytes[0] = 0x40 | u8::try_from(5 + options.len() / 4).expect("at most 15");
        bytes[20..20 + options.len()].copy_from_slice(options);
    })
}

#[test]
fn a_captured_header_is_read_and_written() {
    let packet = captured();
    let (repr, header_len) = Repr::parse(&packet).expect("captured");
    let expected = Repr {
        source: Ipv4Addr::new(10, 9, 0, 2),
        destination: Ipv4Addr::new(10, 9, 0, 1),
        protocol: crate::protocol::TCP,
        payload_len: 40,
        hop_limit: 64,
        traffic_class: 0,
        identification: 0,
        dont_fragment: true,
        fragment: Fragment::WHOLE,
    };
    assert_eq!((repr, header_len), (expected, HEADER_LEN));
    let mut bytes = [0xaa; HEADER_LEN];
    repr.emit(&mut bytes);
    assert_eq!(bytes, CAPTURED);
}

#[test]
fn padding_of_the_link_is_cut() {
    let mut bytes = captured();
    bytes.extend_from_slice(&[0xaa; 9]);
    assert_eq!(Packet::parse(&bytes).expect("padded").payload().len(), 40);
}

#[test]
fn a_total_length_outside_the_frame_or_the_header_is_refused() {
    assert_eq!(Packet::parse(&captured()[..59]).err(), Some(ParseError::BadLength));
    let below_header = changed(|bytes| bytes[3] = 19);
    assert_eq!(Packet::parse(&below_header).err(), Some(ParseError::BadLength));
    assert_eq!(Packet::parse(&captured()[..19]).err(), Some(ParseError::Truncated));
}

#[test]
fn a_header_length_below_five_words_or_above_the_packet_is_refused() {
    let short = changed(|bytes| bytes[0] = 0x44);
    assert_eq!(Packet::parse(&short).err(), Some(ParseError::BadLength));
    let long = changed(|bytes| {
        bytes[0] = 0x4f;
        bytes[3] = 56;
    });
    assert_eq!(Packet::parse(&long).err(), Some(ParseError::BadLength));
}

#[test]
fn another_version_is_refused() {
    let other = changed(|bytes| bytes[0] = 0x65);
    assert_eq!(Packet::parse(&other).err(), Some(ParseError::BadVersion));
}

#[test]
fn every_flipped_bit_of_the_header_is_noticed() {
    for bit in 0..HEADER_LEN * 8 {
        let mut bytes = captured();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Packet::parse(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn a_fragment_is_known_by_offset_or_more() {
    let whole = captured();
    let packet = Packet::parse(&whole).expect("captured");
    assert!(!packet.is_fragment() && !packet.is_later_fragment());

    let first = changed(|bytes| bytes[6..8].copy_from_slice(&[0x20, 0x00]));
    let packet = Packet::parse(&first).expect("a first piece");
    assert!(packet.is_fragment() && !packet.is_later_fragment());
    assert_eq!(packet.repr().fragment, Fragment { offset: 0, more: true });

    let last = changed(|bytes| bytes[6..8].copy_from_slice(&[0x00, 0xb9]));
    let packet = Packet::parse(&last).expect("a last piece");
    assert!(packet.is_fragment() && packet.is_later_fragment());
    assert_eq!(packet.repr().fragment, Fragment { offset: 1480, more: false });
}

#[test]
fn options_are_skipped_and_a_source_route_is_seen() {
    let router_alert = with_options(&[148, 4, 0, 0]);
    let packet = Packet::parse(&router_alert).expect("router alert");
    assert_eq!((packet.header_len(), packet.payload().len()), (24, 36));
    assert!(!packet.has_source_route());

    let loose = with_options(&[1, 131, 7, 4, 10, 0, 0, 1]);
    assert!(Packet::parse(&loose).expect("source route").has_source_route());
    let strict_behind_end = with_options(&[0, 137, 3, 4]);
    assert!(!Packet::parse(&strict_behind_end).expect("ended").has_source_route());
}

#[test]
fn malformed_options_are_refused() {
    for options in [[148, 0, 0, 0], [148, 1, 0, 0], [148, 5, 0, 0], [1, 1, 1, 7]] {
        let bytes = with_options(&options);
        assert_eq!(Packet::parse(&bytes).err(), Some(ParseError::BadOption), "{options:?}");
    }
}
