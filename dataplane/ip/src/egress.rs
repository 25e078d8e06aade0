//! What leaves: the way to a remote, the headers before a transport, and what this crate itself has
//! to say.

use core::net::Ipv4Addr;

use base::Instant;
use memory::Stowed;
use wire::ethernet::{self, EtherType};
use wire::{Address, MacAddress, arp, ipv4, ipv6, ndp};

use crate::Ip;
use crate::addresses::{ALL_NODES_V6, LocalIndex, solicited_node};
use crate::icmp::{EndsV6, IP_OFFSET, Report, emit_v6_header, write_report};
use crate::limits::HOP_LIMIT;
use crate::neighbours::{HopIndex, Released, Solicitation, Use};
use crate::routes::Next;

/// Bytes of headers before the transport over IPv4.
pub const HEADERS_LEN_V4: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN;
/// Bytes of headers before the transport over IPv6.
pub const HEADERS_LEN_V6: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN;
/// Room that [`Ip::poll_transmit`] needs: a neighbour message with a link-layer address.
pub const CONTROL_FRAME_LEN_MAX: usize = HEADERS_LEN_V6 + ndp::HEADER_LEN + ndp::LINK_ADDRESS_LEN;

/// Whether and through which neighbour a remote is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolution {
    /// The neighbour is known: send.
    Known(HopIndex),
    /// The neighbour is being looked for: [`Ip::park`] the frame, or come back later.
    Wait(HopIndex),
    /// No frame can go there now.
    Unreachable(Unreachable),
}

/// Why a remote is not reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreachable {
    /// No route leads there.
    #[error("no route leads there")]
    NoRoute,
    /// The address is not that of another host: a group, a broadcast, loopback or our own.
    #[error("the address is not that of another host")]
    NotAHost,
    /// The neighbour did not answer a moment ago.
    #[error("the neighbour did not answer")]
    NeighbourFailed,
    /// There is no room for one more neighbour.
    #[error("there is no room for one more neighbour")]
    NeighboursFull,
}

/// What the headers before a transport say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// From which own address.
    pub local: LocalIndex,
    /// To whom.
    pub remote: Address,
    /// Through which neighbour.
    pub hop: HopIndex,
    /// What follows; see [`wire::protocol`].
    pub protocol: u8,
    /// Bytes of what follows, also where they lie in other frames.
    pub transport_len: u16,
    /// The ECN bits (RFC 3168).
    pub ecn: u8,
}

impl Ip {
    /// The neighbour through which `remote` is reached.
    ///
    /// `hint` is tried first and saves the search: [`crate::Packet::hop`] of a packet from `remote`,
    /// or what this gave for `remote` before, however long ago; else [`HopIndex::NONE`].
    #[inline]
    pub fn resolve(&mut self, remote: Address, hint: HopIndex, now: Instant) -> Resolution {
        if self.neighbours.is_hint_good(hint, remote) {
            return self.resolve_through(hint, now);
        }
        self.resolve_by_route(remote, now)
    }

    fn resolve_by_route(&mut self, remote: Address, now: Instant) -> Resolution {
        if !remote.is_unicast() || self.addresses.find(remote).is_some() {
            return Resolution::Unreachable(Unreachable::NotAHost);
        }
        match self.routes.find(remote) {
            None => Resolution::Unreachable(Unreachable::NoRoute),
            Some(Next::Gateway(hop)) => self.resolve_through(hop, now),
            Some(Next::OnLink) => match self.neighbour_of(remote, now) {
                Some(hop) => self.resolve_through(hop, now),
                None => Resolution::Unreachable(Unreachable::NeighboursFull),
            },
        }
    }

    #[inline]
    fn resolve_through(&mut self, hop: HopIndex, now: Instant) -> Resolution {
        match self.neighbours.on_use(hop, now) {
            Use::Known => Resolution::Known(hop),
            Use::Wait => Resolution::Wait(hop),
            Use::Failed => Resolution::Unreachable(Unreachable::NeighbourFailed),
        }
    }

    /// The entry of a host on the link, which is made if there is none.
    fn neighbour_of(&mut self, address: Address, now: Instant) -> Option<HopIndex> {
        let known = self.neighbours.find(address);
        known.or_else(|| {
            let local = self.addresses.source_for(address, address)?;
            self.neighbours.insert(address, local, now, &mut self.counters)
        })
    }

    /// Bytes of Ethernet and IP headers before a transport to `remote`: 34 or 54.
    #[inline]
    #[must_use]
    pub const fn headers_len(&self, remote: Address) -> usize {
        if remote.is_v4() { HEADERS_LEN_V4 } else { HEADERS_LEN_V6 }
    }

    /// Writes Ethernet and IP headers into the first [`Ip::headers_len`] bytes of `bytes`. While the
    /// neighbour is not known its Ethernet address is left zero, for [`Ip::set_destination`].
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the headers, or the transport longer than an IP packet can be.
    #[inline]
    pub fn encapsulate(&self, bytes: &mut [u8], envelope: &Envelope) {
        let Envelope { local, remote, hop, protocol, transport_len, ecn } = *envelope;
        let own = self.addresses.at(local);
        let (destination, source) = (self.neighbours.mac(hop), self.mac);
        if remote.is_v4() {
            let ethertype = EtherType::IPV4;
            ethernet::Repr { destination, source, ethertype }.emit(bytes);
            let header = ipv4::Repr {
                source: own.v4_octets().into(),
                destination: remote.v4_octets().into(),
                protocol,
                payload_len: transport_len,
                hop_limit: HOP_LIMIT,
                traffic_class: ecn & 3,
                //= https://www.rfc-editor.org/rfc/rfc6864#section-4.1
                //# Originating sources MAY set the IPv4 ID field of atomic datagrams to any value.
                identification: 0,
                dont_fragment: true,
                fragment: ipv4::Fragment::WHOLE,
            };
            header.emit(&mut bytes[IP_OFFSET..]);
        } else {
            let ethertype = EtherType::IPV6;
            ethernet::Repr { destination, source, ethertype }.emit(bytes);
            let header = ipv6::Repr {
                source: own.to_v6(),
                destination: remote.to_v6(),
                next_header: protocol,
                payload_len: transport_len,
                hop_limit: HOP_LIMIT,
                traffic_class: ecn & 3,
                flow_label: 0,
            };
            header.emit(&mut bytes[IP_OFFSET..]);
        }
    }

    /// Writes the Ethernet address of `hop` into a frame that was encapsulated before it was known.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than an Ethernet address.
    #[inline]
    pub fn set_destination(&self, bytes: &mut [u8], hop: HopIndex) {
        bytes[..6].copy_from_slice(&self.neighbours.mac(hop).0);
    }

    /// Which own address speaks to `remote`; `None` if we have none of its family.
    #[must_use]
    pub fn source_for(&self, remote: Address) -> Option<LocalIndex> {
        let next = match self.routes.find(remote) {
            Some(Next::Gateway(hop)) => {
                self.routes.gateways().get(hop.as_usize()).copied().unwrap_or(remote)
            }
            Some(Next::OnLink) | None => remote,
        };
        self.addresses.source_for(remote, next)
    }

    /// Keeps `frame`, which was encapsulated for `hop`, until that neighbour is known. Gives back
    /// the frame for which there is no room: the oldest of this neighbour, or `frame` itself. The
    /// caller releases it; it is counted.
    pub fn park(&mut self, hop: HopIndex, frame: Stowed) -> Option<Stowed> {
        self.neighbours.park(hop, frame, &mut self.counters)
    }

    /// A parked frame whose neighbour has become known, to be sent after [`Ip::set_destination`],
    /// or has failed, to be released.
    #[inline]
    pub fn poll_released(&mut self) -> Option<(HopIndex, Released)> {
        self.neighbours.poll_released()
    }

    /// TCP has made progress through `hop`: it needs no probe.
    #[inline]
    pub fn confirm(&mut self, hop: HopIndex, now: Instant) {
        self.neighbours.confirm(hop, now);
    }

    /// Writes the next control frame that is due, an announcement or a solicitation, into `bytes`
    /// and gives its length; `None` if nothing is due. Needs [`CONTROL_FRAME_LEN_MAX`] bytes.
    ///
    /// # Panics
    ///
    /// If `bytes` is shorter than the frame.
    pub fn poll_transmit(&mut self, bytes: &mut [u8], now: Instant) -> Option<usize> {
        if let Some(local) = self.announcer.poll_due(now) {
            self.counters.announcements += 1;
            return Some(self.write_announcement(bytes, local));
        }
        let solicitation = self.neighbours.poll_due(now, &mut self.counters)?;
        self.counters.solicitations += 1;
        Some(self.write_solicitation(bytes, solicitation))
    }

    /// When [`Ip::poll_transmit`] has something to do, if nothing arrives before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let announcer = self.announcer.next_deadline();
        let neighbours = self.neighbours.next_deadline();
        announcer.into_iter().chain(neighbours).min()
    }

    /// Writes the ICMP error `report` about `frame`, a received one as it arrived, into `bytes`.
    /// Gives the length of the frame that was written; `None`, counted, if no error may be sent
    /// about such a packet or its sender has had enough of them.
    ///
    /// # Panics
    ///
    /// If `bytes` has no room for 62 bytes of headers.
    pub fn write_icmp_error(
        &mut self,
        report: Report,
        frame: &[u8],
        bytes: &mut [u8],
        now: Instant,
    ) -> Option<usize> {
        let buckets = &mut self.buckets;
        let is_allowed = |peer| buckets.take(peer, now);
        match write_report(report, frame, bytes, &self.addresses, self.mac, is_allowed) {
            Ok(Some(len)) => {
                self.counters.errors_sent += 1;
                Some(len)
            }
            Ok(None) => {
                self.counters.errors_limited += 1;
                None
            }
            Err(_forbidden) => {
                self.counters.errors_forbidden += 1;
                None
            }
        }
    }

    /// As [`Ip::write_icmp_error`]: nobody listens at the port for which `frame` was.
    pub fn icmp_port_unreachable(
        &mut self,
        frame: &[u8],
        bytes: &mut [u8],
        now: Instant,
    ) -> Option<usize> {
        self.write_icmp_error(Report::PortUnreachable, frame, bytes, now)
    }

    /// As [`Ip::write_icmp_error`]: no transport knows the protocol of `frame`.
    pub fn icmp_protocol_unreachable(
        &mut self,
        frame: &[u8],
        bytes: &mut [u8],
        now: Instant,
    ) -> Option<usize> {
        self.write_icmp_error(Report::ProtocolUnreachable, frame, bytes, now)
    }

    /// Tells all where an own address is.
    //= https://www.rfc-editor.org/rfc/rfc5227#section-3
    //# ARP Announcement
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.2.6
    //# unsolicited Neighbor Advertisement messages to the all-nodes multicast address
    fn write_announcement(&self, bytes: &mut [u8], local: LocalIndex) -> usize {
        let own = self.addresses.at(local);
        if own.is_v4() {
            return self.write_arp_request(bytes, own, own, None);
        }
        let repr = ndp::Repr::Advertisement {
            target: own.to_v6(),
            is_router: false,
            is_solicited: false,
            overrides: true,
            target_link: Some(self.mac),
        };
        let station = MacAddress::for_multicast(ALL_NODES_V6);
        self.write_nd(
            bytes,
            repr,
            station,
            EndsV6 { source: own.to_v6(), destination: ALL_NODES_V6.to_v6() },
        )
    }

    /// Asks where a neighbour is, or whether it is still there.
    fn write_solicitation(&self, bytes: &mut [u8], solicitation: Solicitation) -> usize {
        let Solicitation { address, local, known_at } = solicitation;
        let own = self.addresses.at(local);
        if address.is_v4() {
            return self.write_arp_request(bytes, own, address, known_at);
        }
        let group = solicited_node(address);
        let station = known_at.unwrap_or(MacAddress::for_multicast(group));
        let destination = if known_at.is_some() { address } else { group };
        let source_link = Some(self.mac);
        let repr = ndp::Repr::Solicitation { target: address.to_v6(), source_link };
        let ends = EndsV6 { source: own.to_v6(), destination: destination.to_v6() };
        self.write_nd(bytes, repr, station, ends)
    }

    fn write_arp_request(
        &self,
        bytes: &mut [u8],
        own: Address,
        target: Address,
        known_at: Option<MacAddress>,
    ) -> usize {
        let destination = known_at.unwrap_or(MacAddress::BROADCAST);
        let (source, ethertype) = (self.mac, EtherType::ARP);
        ethernet::Repr { destination, source, ethertype }.emit(bytes);
        let request = arp::Repr {
            operation: arp::Operation::Request,
            sender_mac: self.mac,
            sender_ip: Ipv4Addr::from(own.v4_octets()),
            target_mac: MacAddress::ZERO,
            target_ip: Ipv4Addr::from(target.v4_octets()),
        };
        request.emit(&mut bytes[IP_OFFSET..]);
        IP_OFFSET + arp::PACKET_LEN
    }

    fn write_nd(
        &self,
        bytes: &mut [u8],
        repr: ndp::Repr,
        destination: MacAddress,
        ends: EndsV6,
    ) -> usize {
        let (source, ethertype) = (self.mac, EtherType::IPV6);
        ethernet::Repr { destination, source, ethertype }.emit(bytes);
        emit_v6_header(bytes, ends, repr.header_len(), ndp::HOP_LIMIT);
        repr.emit(&mut bytes[HEADERS_LEN_V6..], ends.source, ends.destination);
        HEADERS_LEN_V6 + repr.header_len()
    }
}
