//! What a filter asks about, read out of a packet as it is: a wrong checksum hides nothing.

use wire::ethernet::{self, EtherType};
use wire::ipv6::EXTENSIONS_MAX;
use wire::{Address, ipv4, ipv6, protocol};

use crate::limits::VLAN_TAGS_MAX;

/// IEEE 802.1ad: a provider's tag.
const PROVIDER_TAG: EtherType = EtherType(0x88a8);
const VLAN_TAG_LEN: usize = 4;

/// What the Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Ipv4,
    Ipv6,
    Arp,
    Other,
}

/// As much as can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) network: Network,
    /// Source and destination; of ARP the sender's and the target's.
    pub(super) addresses: Option<(Address, Address)>,
    /// The protocol above IP, behind IPv6's extension headers.
    pub(super) transport: Option<u8>,
    /// Of TCP and UDP, in the packet or its first fragment.
    pub(super) ports: Option<(u16, u16)>,
}

impl Headers {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut found =
            Self { network: Network::Other, addresses: None, transport: None, ports: None };
        let Some((ethertype, rest)) = behind_ethernet(bytes) else { return found };
        match ethertype {
            EtherType::IPV4 => found.read_ipv4(rest),
            EtherType::IPV6 => found.read_ipv6(rest),
            EtherType::ARP => {
                found.network = Network::Arp;
                found.addresses = v4_pair(rest, 14, 24);
            }
            _other => {}
        }
        found
    }

    fn read_ipv4(&mut self, packet: &[u8]) {
        self.network = Network::Ipv4;
        let Some(header) = packet.first_chunk::<{ ipv4::HEADER_LEN }>() else { return };
        self.addresses = v4_pair(header, 12, 16);
        self.transport = Some(header[9]);
        let is_later_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        if !is_later_fragment && header_len >= ipv4::HEADER_LEN {
            self.read_ports(packet.get(header_len..));
        }
    }

    fn read_ipv6(&mut self, packet: &[u8]) {
        self.network = Network::Ipv6;
        let Some((header, mut rest)) = packet.split_first_chunk::<{ ipv6::HEADER_LEN }>() else {
            return;
        };
        let octets =
            |at: usize| header[at..at + 16].first_chunk().copied().map(Address::from_octets);
        self.addresses = octets(8).zip(octets(24));
        let mut next = header[6];
        for _header in 0..EXTENSIONS_MAX {
            let Some(&[following, len]) = rest.first_chunk() else { break };
            let header_len = match next {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                    (usize::from(len) + 1) * 8
                }
                protocol::AUTHENTICATION => (usize::from(len) + 2) * 4,
                protocol::FRAGMENT => 8,
                _upper => break,
            };
            let field = rest.first_chunk().map_or(0, |&[_, _, a, b]| u16::from_be_bytes([a, b]));
            let is_later_fragment = next == protocol::FRAGMENT && field >> 3 != 0;
            next = following;
            if is_later_fragment {
                self.transport = Some(next);
                return;
            }
            rest = rest.get(header_len..).unwrap_or_default();
        }
        self.transport = Some(next);
        self.read_ports(Some(rest));
    }

    fn read_ports(&mut self, segment: Option<&[u8]>) {
        let has_ports = matches!(self.transport, Some(protocol::TCP | protocol::UDP));
        if let (true, Some(&[a, b, c, d])) = (has_ports, segment.and_then(<[u8]>::first_chunk)) {
            self.ports = Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
        }
    }
}

/// What the frame carries, behind its tags.
fn behind_ethernet(bytes: &[u8]) -> Option<(EtherType, &[u8])> {
    let (repr, header_len) = ethernet::Repr::parse(bytes).ok()?;
    let (mut ethertype, mut rest) = (repr.ethertype, bytes.get(header_len..)?);
    for _tag in 0..VLAN_TAGS_MAX {
        if ethertype != EtherType::VLAN && ethertype != PROVIDER_TAG {
            break;
        }
        let (&[_, _, a, b], behind) = rest.split_first_chunk::<VLAN_TAG_LEN>()?;
        (ethertype, rest) = (EtherType(u16::from_be_bytes([a, b])), behind);
    }
    Some((ethertype, rest))
}

fn v4_pair(bytes: &[u8], first: usize, second: usize) -> Option<(Address, Address)> {
    let at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(Address::from_v4_octets);
    at(first).zip(at(second))
}
