//! What the stack sends must be what another host accepts.

use wire::ethernet::{self, EtherType};
use wire::{Address, arp, checksum, icmpv4, icmpv6, ndp, protocol, udp};

use crate::frame::{OUR_MAC, OUR_V4, OUR_V6, Seen, seen, transport};

/// Bytes of the longest frame.
const FRAME_LEN_MAX: usize = 1_514;

/// Checks a frame that the stack has sent; gives its TCP segment, if that is what it carries.
pub(crate) fn well_formed(bytes: &[u8]) -> Option<Seen> {
    let (header, _) = ethernet::Repr::parse(bytes).expect("an Ethernet frame");
    assert!(bytes.len() <= FRAME_LEN_MAX, "a frame of {} bytes", bytes.len());
    assert_eq!(header.source, OUR_MAC, "from our station");
    if header.ethertype == EtherType::ARP {
        let (packet, _) = arp::Repr::parse(&bytes[ethernet::HEADER_LEN..]).expect("ARP");
        assert_eq!(packet.sender_mac, OUR_MAC);
        assert!(is_ours(packet.sender_ip.into()), "ARP from {}", packet.sender_ip);
        return None;
    }
    let (source, destination, protocol, payload) = transport(bytes).expect("a whole IP packet");
    assert!(is_ours(source), "from {source}");
    let headers_len = ethernet::HEADER_LEN + if source.is_v4() { 20 } else { 40 };
    assert_eq!(bytes.len(), headers_len + payload.len(), "nothing behind the packet");
    match protocol {
        protocol::TCP => {
            let seen = seen(bytes, false).expect("a segment with a right checksum");
            assert!(!header.destination.is_multicast() && destination.is_unicast(), "{seen:?}");
            Some(seen)
        }
        protocol::UDP => {
            let datagram = udp::Datagram::parse(payload).expect("a datagram");
            assert!(datagram.has_valid_checksum(source, destination));
            None
        }
        protocol::ICMP => {
            icmpv4::Repr::parse(payload).expect("a message");
            None
        }
        protocol::ICMPV6 => {
            let ends = (source.to_v6(), destination.to_v6());
            let (repr, _) = icmpv6::Repr::parse(payload, ends.0, ends.1).expect("a message");
            if let icmpv6::Repr::Other { kind, .. } = repr {
                assert!(matches!(kind, 135 | 136), "ICMPv6 of type {kind}");
                ndp::Repr::parse(payload).expect("a neighbour message");
            }
            None
        }
        _ => panic!("protocol {protocol}"),
    }
    .filter(|_| checksum::verify(source, destination, protocol, payload))
}

fn is_ours(address: Address) -> bool {
    address == OUR_V4
        || address == OUR_V6
        || address == Address::from_v4_octets([10, 9, 0, 3])
        || address.is_v6() && address.is_link_local()
}
