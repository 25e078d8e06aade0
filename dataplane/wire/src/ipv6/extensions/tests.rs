//! Chains of extension headers, right, long and damaged.

use super::*;

const TCP: u8 = protocol::TCP;
/// A destination header before UDP as Linux sent it, with one option of four bytes of padding.
const CAPTURED: [u8; 8] = [17, 0, 1, 4, 0, 0, 0, 0];

fn upper(protocol: u8, offset: usize, pointer: u32) -> Result<Upper, ExtensionError> {
    Ok(Upper { protocol, offset, pointer, fragment: None })
}

#[test]
fn without_extension_headers_the_payload_is_the_upper_layer() {
    assert_eq!(walk(TCP, &[0; 20]), upper(TCP, 0, 6));
    assert_eq!(walk(protocol::NO_NEXT_HEADER, &[]), upper(protocol::NO_NEXT_HEADER, 0, 6));
    assert_eq!(walk(50, &[]), upper(50, 0, 6));
}

#[test]
fn a_captured_destination_header_is_walked() {
    assert_eq!(walk(protocol::DESTINATION_OPTIONS, &CAPTURED), upper(protocol::UDP, 8, 40));
}

#[test]
fn the_recommended_order_is_walked_to_its_end() {
    let mut payload = vec![protocol::DESTINATION_OPTIONS, 0, 1, 4, 0, 0, 0, 0];
    payload.extend([protocol::ROUTING, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend([protocol::FRAGMENT, 0, 9, 0, 0, 0, 0, 0]);
    payload.extend([protocol::DESTINATION_OPTIONS, 0, 0, 0, 0, 0, 0, 7]);
    payload.extend([TCP, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(walk(protocol::HOP_BY_HOP, &payload), upper(TCP, 48, 80));
}

#[test]
fn a_piece_is_reported_and_an_atomic_fragment_is_a_whole() {
    let piece = [TCP, 0, 0x05, 0xa9, 0xd9, 0x6d, 0x24, 0x3e];
    let found = walk(protocol::FRAGMENT, &piece).expect("a piece");
    let fragment = Fragment { offset: 0x5a8, more: true, identification: 0xd96d_243e };
    assert_eq!(found.fragment, Some(fragment));
    let atomic = [TCP, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(walk(protocol::FRAGMENT, &atomic), upper(TCP, 8, 40));
    assert_eq!(walk(protocol::FRAGMENT, &atomic[..7]), Err(ExtensionError::Truncated));
}

#[test]
fn a_header_or_option_past_the_end_is_refused() {
    for kind in [protocol::HOP_BY_HOP, protocol::ROUTING, protocol::DESTINATION_OPTIONS] {
        assert_eq!(walk(kind, &[]), Err(ExtensionError::Truncated));
        assert_eq!(walk(kind, &[TCP]), Err(ExtensionError::Truncated));
        assert_eq!(walk(kind, &[TCP, 1, 0, 0, 0, 0, 0, 0]), Err(ExtensionError::Truncated));
    }
    for option in [[5, 5], [1, 5]] {
        let [kind, len] = option;
        let payload = [TCP, 0, kind, len, 0, 0, 0, 0];
        assert_eq!(walk(protocol::HOP_BY_HOP, &payload), Err(ExtensionError::Truncated));
    }
    let length_missing = [TCP, 0, 0, 0, 0, 0, 0, 5];
    assert_eq!(walk(protocol::HOP_BY_HOP, &length_missing), Err(ExtensionError::Truncated));
}

#[test]
fn an_unknown_option_says_what_to_do() {
    let outcome = |kind| walk(protocol::DESTINATION_OPTIONS, &[TCP, 0, 0, 0, kind, 2, 0, 0]);
    let told = |even_if_multicast| {
        let (code, pointer) = (UNKNOWN_OPTION, 44);
        Err(ExtensionError::Report { code, pointer, even_if_multicast })
    };
    assert_eq!(outcome(0x05), upper(TCP, 8, 40));
    assert_eq!(outcome(0x45), Err(ExtensionError::Discard));
    assert_eq!(outcome(0x85), told(true));
    assert_eq!(outcome(0xc5), told(false));
}

#[test]
fn hop_by_hop_options_behind_another_header_are_reported() {
    let payload = [protocol::HOP_BY_HOP, 0, 0, 0, 0, 0, 0, 0, TCP, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(walk(protocol::DESTINATION_OPTIONS, &payload), Err(report(UNKNOWN_NEXT_HEADER, 40)));
}

#[test]
fn a_route_that_does_not_end_here_is_reported() {
    let payload = [TCP, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(walk(protocol::ROUTING, &payload), Err(report(ERRONEOUS_FIELD, 42)));
}

#[test]
fn too_many_headers_are_refused() {
    let chain = |count: usize| {
        let mut payload = [protocol::DESTINATION_OPTIONS, 0, 0, 0, 0, 0, 0, 0].repeat(count);
        payload[(count - 1) * 8] = TCP;
        walk(protocol::DESTINATION_OPTIONS, &payload)
    };
    assert_eq!(chain(EXTENSIONS_MAX), upper(TCP, 64, 96));
    assert_eq!(chain(EXTENSIONS_MAX + 1), Err(ExtensionError::TooMany));
}
