//! What UDP counts.

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The header is malformed, or its length does not fit the packet.
    Malformed,
    /// The checksum is wrong, or missing over IPv6.
    Checksum,
    /// Nobody is bound to the port; answered by ICMP unless it came by multicast.
    PortUnbound,
}

impl DropReason {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Malformed, Self::Checksum, Self::PortUnbound];

    /// The name that tools print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "udp_malformed",
            Self::Checksum => "udp_checksum",
            Self::PortUnbound => "udp_port_unbound",
        }
    }
}

/// What UDP has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed to the service.
    pub delivered: u64,
    /// Datagrams sent.
    pub sent: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// How often `reason` dropped a datagram.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Each counter's name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        [("udp_delivered", self.delivered), ("udp_sent", self.sent)]
            .into_iter()
            .chain(DropReason::ALL.iter().map(|&reason| (reason.name(), self.dropped(reason))))
    }

    pub(crate) fn drop_for(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }
}
