//! What the stack itself counts; `ip`, `udp`, `tcp` and the queue pair count for themselves.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// Why the stack dropped a packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DropReason { $($(#[$doc])* $variant,)* }
        impl DropReason {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The name that tools print.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    /// A received packet of several frames; packets are at most one frame long here.
    Scattered => "stack_scattered",
    /// No room in the ring towards the core that owns the flow.
    HandOverFull => "stack_hand_over_full",
    /// A TCP checksum is wrong.
    TcpChecksum => "stack_tcp_checksum",
    /// A TCP header is malformed.
    TcpMalformed => "stack_tcp_malformed",
    /// TCP to a broadcast or multicast address.
    TcpNotUnicast => "stack_tcp_not_unicast",
    /// An IP protocol that nobody here speaks.
    ProtocolUnknown => "stack_protocol_unknown",
    /// No frame for a packet to send.
    NoFrame => "stack_no_frame",
    /// No room in the transmit backlog for a reply.
    BacklogFull => "stack_backlog_full",
    /// No route, or a neighbour that does not answer.
    Unreachable => "stack_unreachable",
    /// Too many packets wait for a neighbour.
    ParkedFull => "stack_parked_full",
}

/// What one core's stack has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets received.
    pub packets_in: u64,
    /// Packets given to the queue pair.
    pub packets_out: u64,
    /// Payload bytes that had to be copied into a fresh frame to be sent again.
    pub bytes_copied_again: u64,
    /// Bursts received.
    pub bursts_in: u64,
    /// Received packets of flows that another core owns; those that found no room on the way to it
    /// are counted here and as drops.
    pub rx_handed_over: u64,
    /// Packets of flows of this core that another one received.
    pub rx_taken_over: u64,
    /// News of neighbours that were told to another core, counted once for each core.
    pub neighbours_told: u64,
    /// News of neighbours that were not told, for want of room.
    pub neighbours_untold: u64,
    /// News of neighbours that came from another core.
    pub neighbours_heard: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// How often `reason` dropped something.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Each counter's name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let Self {
            packets_in,
            packets_out,
            bytes_copied_again,
            bursts_in,
            rx_handed_over,
            rx_taken_over,
            neighbours_told,
            neighbours_untold,
            neighbours_heard,
            drops: _,
        } = self;
        [
            ("packets_in", *packets_in),
            ("packets_out", *packets_out),
            ("bytes_copied_again", *bytes_copied_again),
            ("bursts_in", *bursts_in),
            ("rx_handed_over", *rx_handed_over),
            ("rx_taken_over", *rx_taken_over),
            ("neighbours_told", *neighbours_told),
            ("neighbours_untold", *neighbours_untold),
            ("neighbours_heard", *neighbours_heard),
        ]
        .into_iter()
        .chain(DropReason::ALL.iter().map(|&reason| (reason.name(), self.dropped(reason))))
    }

    pub(crate) fn drop_for(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }
}
