//! ARP packets (RFC 826), and stations that claim what is ours (RFC 5227).

use base::Instant;
use wire::arp::{self, Operation};
use wire::{Address, ethernet};

use super::{Ingress, Station, is_martian};
use crate::Ip;
use crate::counters::DropReason;
use crate::heard::News;
use crate::icmp::IP_OFFSET;
use crate::routes::Next;

impl Ip {
    pub(super) fn handle_arp(
        &mut self,
        bytes: &mut [u8],
        station: Station,
        now: Instant,
    ) -> Result<Ingress, DropReason> {
        let (packet, _) =
            arp::Repr::parse(&bytes[IP_OFFSET..]).or(Err(DropReason::ArpMalformed))?;
        if !packet.sender_mac.is_unicast() {
            return Err(DropReason::ArpMalformed);
        }
        let sender = Address::from(packet.sender_ip);
        if let Some(own) = self.addresses.find_unicast(sender) {
            //= https://www.rfc-editor.org/rfc/rfc5227#section-2.4
            //# the 'sender IP address' is (any of) the host's own IP address(es)
            if packet.sender_mac != self.mac {
                self.hear_conflict(own, now);
            }
            return Err(DropReason::AddressConflict);
        }
        let target = self.addresses.find_unicast(Address::from(packet.target_ip));
        // A probe comes from nobody: it is answered, and nothing can be learnt from it.
        if !is_martian(sender) && self.routes.find(sender) == Some(Next::OnLink) {
            self.learn_from_arp(&packet, station, now);
        }
        //= https://www.rfc-editor.org/rfc/rfc826
        //# Am I the target protocol address?
        if packet.operation != Operation::Request || target.is_none() {
            return Ok(Ingress::Consumed);
        }
        let reply = arp::Repr {
            operation: Operation::Reply,
            sender_mac: self.mac,
            sender_ip: packet.target_ip,
            target_mac: packet.sender_mac,
            target_ip: packet.sender_ip,
        };
        let source = self.mac;
        let ethertype = ethernet::EtherType::ARP;
        ethernet::Repr { destination: packet.sender_mac, source, ethertype }.emit(bytes);
        reply.emit(&mut bytes[IP_OFFSET..]);
        self.counters.neighbour_replies += 1;
        Ok(Ingress::Reply { len: IP_OFFSET + arp::PACKET_LEN })
    }

    /// Learns where the sender, a host of the link, is.
    ///
    /// RFC 826 adds whoever speaks to us. Here only a question adds: who asks will be answered. A
    /// reply that nobody waits for is how tables are poisoned; it may only move an entry that
    /// exists, as RFC 826 has it.
    fn learn_from_arp(&mut self, packet: &arp::Repr, station: Station, now: Instant) {
        let sender = Address::from(packet.sender_ip);
        let local = self.addresses.find_unicast(Address::from(packet.target_ip));
        match packet.operation {
            Operation::Request => {
                let mac = packet.sender_mac;
                self.hear(News::Question { octets: sender.octets(), mac, local }, now);
            }
            Operation::Reply => {
                let claim = News::Claim {
                    octets: sender.octets(),
                    mac: Some(packet.sender_mac),
                    // An answer comes to us alone.
                    is_solicited: local.is_some() && !station.is_for_many,
                    overrides: true,
                };
                self.hear(claim, now);
            }
        }
    }
}
