//! What this crate counts, and a name for every frame it drops.

/// Why a received frame went no further.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum DropReason {
    /// Shorter than an Ethernet header.
    EthernetTruncated,
    /// From a group address, which no station has.
    StationMartian,
    /// For another station.
    StationOther,
    /// Neither ARP nor IPv4 nor IPv6; VLAN tags count here.
    EtherTypeUnknown,
    /// Not ARP for IPv4 over Ethernet, or with an impossible sender.
    ArpMalformed,
    /// A station claims an address that is ours.
    AddressConflict,
    /// An IPv4 header with a wrong version, length or option.
    Ipv4Malformed,
    /// An IPv4 header with a wrong checksum.
    Ipv4Checksum,
    /// An IPv4 packet that names its own way.
    Ipv4SourceRoute,
    /// A piece of an IPv4 packet; this version puts none together.
    Ipv4Fragment,
    /// An IPv6 header with a wrong version or length.
    Ipv6Malformed,
    /// IPv6 extension headers that are too long, too many, or ask to be discarded.
    Ipv6Extension,
    /// A piece of an IPv6 packet; this version puts none together.
    Ipv6Fragment,
    /// From an address that no other host can have: a group, loopback, unspecified or ours.
    SourceMartian,
    /// For an address that is not ours.
    DestinationOther,
    /// For one of our addresses, but sent to all stations.
    LinkBroadcast,
    /// An ICMP message that is too short or whose checksum is wrong.
    IcmpMalformed,
    /// An ICMP message that this host has no use for.
    IcmpUnused,
    /// An echo request for all.
    EchoBroadcast,
    /// An ICMP error that quotes too little, or nonsense.
    QuoteMalformed,
    /// An ICMP error about a packet that we cannot have sent.
    QuoteOther,
    /// A neighbour message that breaks a rule of RFC 4861 7.1.
    NdMalformed,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 22] = [
        Self::EthernetTruncated,
        Self::StationMartian,
        Self::StationOther,
        Self::EtherTypeUnknown,
        Self::ArpMalformed,
        Self::AddressConflict,
        Self::Ipv4Malformed,
        Self::Ipv4Checksum,
        Self::Ipv4SourceRoute,
        Self::Ipv4Fragment,
        Self::Ipv6Malformed,
        Self::Ipv6Extension,
        Self::Ipv6Fragment,
        Self::SourceMartian,
        Self::DestinationOther,
        Self::LinkBroadcast,
        Self::IcmpMalformed,
        Self::IcmpUnused,
        Self::EchoBroadcast,
        Self::QuoteMalformed,
        Self::QuoteOther,
        Self::NdMalformed,
    ];

    /// The name of the counter, as metrics print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EthernetTruncated => "ip_drop_ethernet_truncated",
            Self::StationMartian => "ip_drop_station_martian",
            Self::StationOther => "ip_drop_station_other",
            Self::EtherTypeUnknown => "ip_drop_ethertype_unknown",
            Self::ArpMalformed => "ip_drop_arp_malformed",
            Self::AddressConflict => "ip_drop_address_conflict",
            Self::Ipv4Malformed => "ip_drop_ipv4_malformed",
            Self::Ipv4Checksum => "ip_drop_ipv4_checksum",
            Self::Ipv4SourceRoute => "ip_drop_ipv4_source_route",
            Self::Ipv4Fragment => "ip_drop_ipv4_fragment",
            Self::Ipv6Malformed => "ip_drop_ipv6_malformed",
            Self::Ipv6Extension => "ip_drop_ipv6_extension",
            Self::Ipv6Fragment => "ip_drop_ipv6_fragment",
            Self::SourceMartian => "ip_drop_source_martian",
            Self::DestinationOther => "ip_drop_destination_other",
            Self::LinkBroadcast => "ip_drop_link_broadcast",
            Self::IcmpMalformed => "ip_drop_icmp_malformed",
            Self::IcmpUnused => "ip_drop_icmp_unused",
            Self::EchoBroadcast => "ip_drop_echo_broadcast",
            Self::QuoteMalformed => "ip_drop_quote_malformed",
            Self::QuoteOther => "ip_drop_quote_other",
            Self::NdMalformed => "ip_drop_nd_malformed",
        }
    }
}

/// What one [`crate::Ip`] has counted since it was made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Received packets handed up to a transport, by the core that received them.
    pub delivered: u64,
    /// Received ICMP errors handed up.
    pub errors_delivered: u64,
    /// ARP packets and neighbour messages answered.
    pub neighbour_replies: u64,
    /// Echo requests answered.
    pub echo_replies: u64,
    /// Echo requests of our own.
    pub echo_requests: u64,
    /// Echo replies to them.
    pub echo_replies_heard: u64,
    /// What became of requests of our own and found no room to be told.
    pub echo_news_untold: u64,
    /// ICMP errors written.
    pub errors_sent: u64,
    /// ICMP errors not written because the limit was reached.
    pub errors_limited: u64,
    /// ICMP errors not written because none may be sent about such a packet.
    pub errors_forbidden: u64,
    /// Solicitations written: ARP requests and neighbour solicitations.
    pub solicitations: u64,
    /// Announcements of own addresses written, defences included.
    pub announcements: u64,
    /// Neighbours whose Ethernet address became another.
    pub neighbours_changed: u64,
    /// Neighbours that did not answer.
    pub neighbours_failed: u64,
    /// Neighbours forgotten to make room.
    pub neighbours_evicted: u64,
    /// Neighbours for which there was no room.
    pub neighbours_refused: u64,
    /// Claims to be a neighbour that nobody had asked for, or that may not replace what is known.
    pub neighbour_claims_ignored: u64,
    /// Frames parked.
    pub parked: u64,
    /// Frames given back because a newer one took their place or there was no room.
    pub parked_dropped: u64,
    drops: [u64; DropReason::COUNT],
}

impl Counters {
    /// Each counter's name and value, drops last.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        [
            ("ip_delivered", self.delivered),
            ("ip_errors_delivered", self.errors_delivered),
            ("ip_neighbour_replies", self.neighbour_replies),
            ("ip_echo_replies", self.echo_replies),
            ("ip_echo_requests", self.echo_requests),
            ("ip_echo_replies_heard", self.echo_replies_heard),
            ("ip_echo_news_untold", self.echo_news_untold),
            ("ip_errors_sent", self.errors_sent),
            ("ip_errors_limited", self.errors_limited),
            ("ip_errors_forbidden", self.errors_forbidden),
            ("ip_solicitations", self.solicitations),
            ("ip_announcements", self.announcements),
            ("ip_neighbours_changed", self.neighbours_changed),
            ("ip_neighbours_failed", self.neighbours_failed),
            ("ip_neighbours_evicted", self.neighbours_evicted),
            ("ip_neighbours_refused", self.neighbours_refused),
            ("ip_neighbour_claims_ignored", self.neighbour_claims_ignored),
            ("ip_parked", self.parked),
            ("ip_parked_dropped", self.parked_dropped),
        ]
        .into_iter()
        .chain(DropReason::ALL.map(|reason| (reason.name(), self.drops(reason))))
    }

    /// Frames dropped for this reason.
    #[must_use]
    pub const fn drops(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Frames dropped for any reason.
    #[must_use]
    pub fn drops_all(&self) -> u64 {
        self.drops.iter().sum()
    }

    pub(crate) const fn count_drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let mut counters = Counters::default();
        let mut names = Vec::new();
        for (index, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            counters.count_drop(reason);
            assert_eq!(counters.drops(reason), 1);
            assert!(!names.contains(&reason.name()));
            names.push(reason.name());
        }
        assert_eq!(counters.drops_all(), 22);
    }
}
