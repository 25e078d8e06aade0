//! Neighbour solicitations and advertisements (RFC 4861 7).

use core::net::Ipv6Addr;

use base::Instant;
use wire::ethernet::{self, EtherType};
use wire::{Address, MacAddress, ndp};

use super::v6::{ALL_NODES, Message};
use super::{Ingress, Station};
use crate::Ip;
use crate::addresses::{LocalIndex, solicited_node};
use crate::counters::DropReason;
use crate::heard::News;
use crate::icmp::{EndsV6, IP_OFFSET, emit_v6_header};
use crate::routes::Next;

/// Where a neighbour message begins in a frame without extension headers.
const MESSAGE_OFFSET: usize = IP_OFFSET + wire::ipv6::HEADER_LEN;
/// Bytes of an answer: headers, message and one link-layer address.
const ANSWER_LEN: usize = MESSAGE_OFFSET + ndp::HEADER_LEN + ndp::LINK_ADDRESS_LEN;

impl Ip {
    /// Handles a message whose checksum is right.
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.1.1
    //# The IP Hop Limit field has a value of 255
    pub(super) fn handle_nd(
        &mut self,
        bytes: &mut [u8],
        message: Message,
        station: Station,
        now: Instant,
    ) -> Result<Ingress, DropReason> {
        if message.hop_limit != ndp::HOP_LIMIT {
            return Err(DropReason::NdMalformed);
        }
        let body = &bytes[message.offset..message.offset + message.len];
        let (repr, _) = ndp::Repr::parse(body).or(Err(DropReason::NdMalformed))?;
        match repr {
            ndp::Repr::Solicitation { target, source_link } => {
                let question = Question { target, source_link };
                self.handle_solicitation(bytes, message, station, question, now)
            }
            ndp::Repr::Advertisement {
                target,
                is_router: _,
                is_solicited,
                overrides,
                target_link,
            } => {
                let source = message.ends.source;
                //= https://www.rfc-editor.org/rfc/rfc4861#section-7.1.2
                //# If the IP Destination Address is a multicast address the Solicited flag is zero.
                let is_impossible = is_solicited && message.ends.destination.is_multicast();
                if is_impossible || source.is_unspecified() {
                    return Err(DropReason::NdMalformed);
                }
                let address = Address::from(target);
                if let Some(own) = self.addresses.find_unicast(address) {
                    self.hear_conflict(own, now);
                    return Err(DropReason::AddressConflict);
                }
                let octets = address.octets();
                self.hear(News::Claim { octets, mac: target_link, is_solicited, overrides }, now);
                Ok(Ingress::Consumed)
            }
        }
    }

    fn handle_solicitation(
        &mut self,
        bytes: &mut [u8],
        message: Message,
        station: Station,
        question: Question,
        now: Instant,
    ) -> Result<Ingress, DropReason> {
        let Question { target, source_link } = question;
        let (source, destination) = (message.ends.source, message.ends.destination);
        let target = Address::from(target);
        //= https://www.rfc-editor.org/rfc/rfc4861#section-7.1.1
        //# If the IP source address is the unspecified address, the IP destination address is a
        //# solicited-node multicast address.
        let is_probe = source.is_unspecified();
        if is_probe && (source_link.is_some() || destination != solicited_node(target)) {
            return Err(DropReason::NdMalformed);
        }
        let Some(local) = self.addresses.find_unicast(target) else {
            return Ok(Ingress::Consumed);
        };
        if let Some(mac) = source_link
            && self.routes.find(source) == Some(Next::OnLink)
        {
            self.hear(News::Question { octets: source.octets(), mac, local: Some(local) }, now);
        }
        if bytes.len() < ANSWER_LEN {
            return Err(DropReason::NdMalformed);
        }
        let to = if is_probe {
            let mac = MacAddress::for_multicast(ALL_NODES.into());
            Asker { address: ALL_NODES, mac, is_probe }
        } else {
            let mac = source_link.unwrap_or(station.source);
            Asker { address: source.to_v6(), mac, is_probe }
        };
        self.answer(bytes, local, to);
        Ok(Ingress::Reply { len: ANSWER_LEN })
    }

    /// Writes the advertisement of an own address over the question.
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.2.4
    //# If the source of the solicitation is the unspecified address, the node MUST set the
    //# Solicited flag to zero and multicast the advertisement to the all-nodes address.
    fn answer(&mut self, bytes: &mut [u8], local: LocalIndex, to: Asker) {
        let own = self.addresses.at(local).to_v6();
        let ends = EndsV6 { source: own, destination: to.address };
        let repr = ndp::Repr::Advertisement {
            target: own,
            is_router: false,
            is_solicited: !to.is_probe,
            overrides: true,
            target_link: Some(self.mac),
        };
        let (source, ethertype) = (self.mac, EtherType::IPV6);
        ethernet::Repr { destination: to.mac, source, ethertype }.emit(bytes);
        emit_v6_header(bytes, ends, repr.header_len(), ndp::HOP_LIMIT);
        repr.emit(&mut bytes[MESSAGE_OFFSET..], ends.source, ends.destination);
        self.counters.neighbour_replies += 1;
    }
}

/// A solicitation.
#[derive(Clone, Copy, Debug)]
struct Question {
    target: Ipv6Addr,
    source_link: Option<MacAddress>,
}

/// Who is answered.
#[derive(Clone, Copy, Debug)]
struct Asker {
    address: Ipv6Addr,
    mac: MacAddress,
    is_probe: bool,
}
