//! What arrives: every frame is delivered, answered, taken in, or dropped for a counted reason.

mod arp;
mod nd;
mod v4;
mod v6;

use base::Instant;
use wire::ethernet::{self, EtherType};
use wire::{Address, MacAddress};

use crate::Ip;
use crate::addresses::{Kind, LocalIndex};
use crate::counters::DropReason;
use crate::icmp::{IcmpError, Report};
use crate::neighbours::HopIndex;
use crate::routes::Next;

/// What [`Ip::handle_frame`] makes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ingress {
    /// A packet for a transport.
    Transport(Packet),
    /// The bytes have become a frame to send.
    Reply {
        /// How many of the bytes it has.
        len: usize,
    },
    /// An ICMP error about a packet of ours.
    Error(IcmpError),
    /// The sender is to be told, if the rules allow it: hand this and the frame to
    /// [`Ip::write_icmp_error`]. The frame itself is of no further use.
    Report(Report),
    /// It was for this crate, and has been dealt with.
    Consumed,
    /// It goes no further, and has been counted.
    Drop(DropReason),
}

/// A packet for a transport, as it lies in its frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Who sent it: one host.
    pub source: Address,
    /// To which address: ours, unless `is_broadcast` or `is_multicast`.
    pub destination: Address,
    /// Which own address that is; of a broadcast or group, one that has part in it.
    pub local: LocalIndex,
    /// What it carries; see [`wire::protocol`].
    pub protocol: u8,
    /// Where the transport header begins, in bytes from the start of the frame.
    pub offset: usize,
    /// Bytes from there to the end of the packet, without padding of the link.
    pub len: usize,
    /// The neighbour through which an answer would go, if there is an entry for it.
    pub hop: HopIndex,
    /// The ECN bits of the IP header (RFC 3168).
    pub ecn: u8,
    /// Whether it was for all hosts of the network.
    pub is_broadcast: bool,
    /// Whether it was for a group.
    pub is_multicast: bool,
}

/// What the Ethernet header has told.
#[derive(Clone, Copy, Debug)]
struct Station {
    source: MacAddress,
    /// Whether the frame was for more than this station.
    is_for_many: bool,
}

/// The ends of a received packet.
#[derive(Clone, Copy, Debug)]
struct Ends {
    source: Address,
    destination: Address,
    kind: Kind,
}

impl Ip {
    /// Judges `bytes`, a received Ethernet frame without its check sequence. Replies to ARP,
    /// neighbour solicitations and echo requests are written over the same bytes.
    #[inline]
    pub fn handle_frame(&mut self, bytes: &mut [u8], now: Instant) -> Ingress {
        let ingress = self.judge(bytes, now);
        match ingress {
            Ingress::Transport(_) => self.counters.delivered += 1,
            Ingress::Error(_) => self.counters.errors_delivered += 1,
            Ingress::Drop(reason) => self.counters.count_drop(reason),
            Ingress::Reply { .. } | Ingress::Report(_) | Ingress::Consumed => {}
        }
        ingress
    }

    /// Judges a frame that another core has judged, and has counted as delivered, before it handed it
    /// over to this one.
    pub fn handle_taken_over(&mut self, bytes: &mut [u8], now: Instant) -> Ingress {
        let ingress = self.judge(bytes, now);
        if let Ingress::Drop(reason) = ingress {
            self.counters.count_drop(reason);
        }
        ingress
    }

    /// Judges the frame. On the way of every packet an `Ingress` is made once, where the caller
    /// wants it: wrapped in a `Result` it would be copied at each step.
    #[inline]
    fn judge(&mut self, bytes: &mut [u8], now: Instant) -> Ingress {
        let Ok((header, _)) = ethernet::Repr::parse(bytes) else {
            return Ingress::Drop(DropReason::EthernetTruncated);
        };
        let is_for_many = header.destination.is_multicast();
        if !is_for_many && header.destination != self.mac {
            return Ingress::Drop(DropReason::StationOther);
        }
        if header.source.is_multicast() {
            return Ingress::Drop(DropReason::StationMartian);
        }
        let station = Station { source: header.source, is_for_many };
        match header.ethertype {
            EtherType::IPV4 => self.handle_v4(bytes, station, now),
            EtherType::IPV6 => self.handle_v6(bytes, station, now),
            EtherType::ARP => self.handle_arp(bytes, station, now).unwrap_or_else(Ingress::Drop),
            _ => Ingress::Drop(DropReason::EtherTypeUnknown),
        }
    }

    /// Whom a packet is for, and whether its ends may be what they are. A source that is
    /// unspecified is left to the caller.
    #[inline]
    fn judge_ends(
        &self,
        source: Address,
        destination: Address,
        station: Station,
    ) -> Result<(LocalIndex, Kind), DropReason> {
        let (local, kind) = self.addresses.find(destination).ok_or(DropReason::DestinationOther)?;
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.6
        //# a datagram that is received via a link-layer broadcast
        if kind == Kind::Unicast && station.is_for_many {
            return Err(DropReason::LinkBroadcast);
        }
        if is_martian(source) || self.addresses.find(source).is_some() {
            return Err(DropReason::SourceMartian);
        }
        Ok((local, kind))
    }

    /// The neighbour through which `remote` is reached, if there is an entry for it.
    #[inline]
    fn hint_for(&self, remote: Address) -> HopIndex {
        match self.routes.find(remote) {
            Some(Next::Gateway(hop)) => hop,
            Some(Next::OnLink) => self.neighbours.find(remote).unwrap_or(HopIndex::NONE),
            None => HopIndex::NONE,
        }
    }
}

/// Whether no host can have sent from this address. `::` is left out: a host without an address
/// solicits from it.
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
//# A host MUST silently discard an incoming datagram containing an IP source address that is
//# invalid by the rules of this section.
#[inline]
fn is_martian(source: Address) -> bool {
    if source.is_v4() {
        // "This network", loopback, groups, reserved and limited broadcast (RFC 6890).
        matches!(source.v4_octets()[0], 0 | 127 | 224..)
    } else {
        source.is_multicast() || source.is_loopback()
    }
}
