//! What a queue pair counts, and a name for every packet it drops.

/// Why a packet that a queue pair had taken, or should have taken, went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// Sending: longer than the device's MTU and an Ethernet header.
    TxTooLong,
    /// Sending: shorter than an Ethernet header.
    TxTooShort,
    /// Sending: gathered from more frames than the device takes.
    TxTooManySegments,
    /// Sending: the interface is down.
    TxLinkDown,
    /// Sending: the device refused this packet for another reason.
    TxDevice,
    /// Sending: the kernel took the packet and then dropped it, as it does where the other end of
    /// the cable is down or the device's own queue is full.
    TxKernel,
    /// Receiving: longer than the room of a frame, so it came cut off.
    RxTooLong,
    /// Receiving: shorter than an Ethernet header.
    RxTooShort,
}

impl DropReason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 8] = [
        Self::TxTooLong,
        Self::TxTooShort,
        Self::TxTooManySegments,
        Self::TxLinkDown,
        Self::TxDevice,
        Self::TxKernel,
        Self::RxTooLong,
        Self::RxTooShort,
    ];

    /// The name of the counter, as metrics print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TxTooLong => "tx_drop_too_long",
            Self::TxTooShort => "tx_drop_too_short",
            Self::TxTooManySegments => "tx_drop_too_many_segments",
            Self::TxLinkDown => "tx_drop_link_down",
            Self::TxDevice => "tx_drop_device",
            Self::TxKernel => "tx_drop_kernel",
            Self::RxTooLong => "rx_drop_too_long",
            Self::RxTooShort => "rx_drop_too_short",
        }
    }

    /// Whether the packet was on its way out.
    #[must_use]
    pub const fn is_tx(self) -> bool {
        match self {
            Self::TxTooLong
            | Self::TxTooShort
            | Self::TxTooManySegments
            | Self::TxLinkDown
            | Self::TxDevice
            | Self::TxKernel => true,
            Self::RxTooLong | Self::RxTooShort => false,
        }
    }
}

/// What one queue pair has done since it was made. Every count only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Packets handed to the stack.
    pub rx_packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub rx_bytes: u64,
    /// Packets the device took.
    pub tx_packets: u64,
    /// Their bytes, from the Ethernet header on, and those of [`DropReason::TxKernel`], whose
    /// lengths nobody tells.
    pub tx_bytes: u64,
    /// Bytes a processor copied between the stack's frames and the device's, both directions,
    /// whoever copied them.
    pub copied_bytes: u64,
    /// Calls of `rx_burst` that wanted a frame for the device and found the arena empty. Not
    /// a drop: the device keeps what it has.
    pub rx_starved: u64,
    /// Calls of `tx_burst` that left packets behind because the device had no room.
    pub tx_backpressure: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl QueueCounters {
    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Packets dropped for any reason on their way out.
    #[must_use]
    pub fn tx_dropped(&self) -> u64 {
        self.sum(true)
    }

    /// Packets dropped for any reason on their way in.
    #[must_use]
    pub fn rx_dropped(&self) -> u64 {
        self.sum(false)
    }

    /// Counts one packet dropped for `reason`.
    pub fn count_drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// Counts one packet of `len` bytes handed to the stack.
    pub fn count_rx(&mut self, len: usize) {
        self.rx_packets += 1;
        self.rx_bytes += len as u64;
    }

    /// Counts one packet of `len` bytes that the device took.
    pub fn count_tx(&mut self, len: usize) {
        self.tx_packets += 1;
        self.tx_bytes += len as u64;
    }

    /// Every counter by name, for metrics and logs.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let totals = [
            ("rx_packets", self.rx_packets),
            ("rx_bytes", self.rx_bytes),
            ("tx_packets", self.tx_packets),
            ("tx_bytes", self.tx_bytes),
            ("copied_bytes", self.copied_bytes),
            ("rx_starved", self.rx_starved),
            ("tx_backpressure", self.tx_backpressure),
        ];
        let drops = DropReason::ALL.map(|reason| (reason.name(), self.dropped(reason)));
        totals.into_iter().chain(drops)
    }

    fn sum(&self, tx: bool) -> u64 {
        let of_direction = DropReason::ALL.iter().filter(|reason| reason.is_tx() == tx);
        of_direction.map(|&reason| self.dropped(reason)).sum()
    }
}

/// What an [`Impaired`](crate::Impaired) did to the packets it was given to send.
///
macro_rules! device_counters {
    ($($(#[$doc:meta])* $field:ident $is_drop:literal,)*) => {
        /// What the kernel and the driver behind a queue pair count, and what the pair counts of
        /// its dealings with them. All zero where nobody counts.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct DeviceCounters {
            $($(#[$doc])* pub $field: u64,)*
        }
        impl DeviceCounters {
            /// Every counter by name, with whether it counts packets that were dropped.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64, bool)> + use<> {
                [$((stringify!($field), self.$field, $is_drop),)*].into_iter()
            }
        }
    };
}

device_counters! {
    /// Packets that the kernel dropped: longer than a frame's room, or for other reasons.
    rx_dropped true,
    /// Packets that the kernel dropped: the ring of received packets was full.
    rx_ring_full true,
    /// Times that the kernel wanted a frame to receive into and had none.
    rx_fill_ring_empty false,
    /// Frames lent to the kernel that it took for none.
    rx_invalid_descs false,
    /// Packets to be sent that the kernel took for none.
    tx_invalid_descs true,
    /// Times that the kernel looked for something to send and there was nothing.
    tx_ring_empty false,
    /// System calls that made the kernel send.
    tx_kicks false,
    /// System calls that woke or polled the driver to receive.
    rx_wakeups false,
    /// Received descriptors that name no frame of this queue, or bytes beyond a frame. Not zero is
    /// an error of the kernel or the driver.
    rx_bad_descriptors true,
    /// Completions that name no frame on its way out. Not zero is an error of the kernel.
    tx_bad_completions false,
    /// Sends that the kernel refused for a reason that nobody knows.
    tx_odd_refusals false,
}

/// Nothing goes missing: `offered + duplicated` is `passed`, `lost`, `link_dropped`,
/// `held_dropped`, `too_many_segments` and what it holds, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounters {
    /// Packets taken from the caller.
    pub offered: u64,
    /// Packets, duplicates among them, that the queue pair behind took.
    pub passed: u64,
    /// Injected: lost.
    pub lost: u64,
    /// Injected: sent once more.
    pub duplicated: u64,
    /// Injected: one bit flipped.
    pub corrupted: u64,
    /// Injected: held back, so that later packets overtake.
    pub reordered: u64,
    /// Dropped: the queue before the rate limit was full.
    pub link_dropped: u64,
    /// Dropped: as many packets were held as may be.
    pub held_dropped: u64,
    /// Dropped: gathered from more frames than any queue pair takes.
    pub too_many_segments: u64,
    /// Chosen for corruption and left whole: no checksum covers such a packet, or no frame was
    /// free to copy a shared one into.
    pub corruption_spared: u64,
}

impl FaultCounters {
    /// Every counter by name, for metrics and logs.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self {
            offered,
            passed,
            lost,
            duplicated,
            corrupted,
            reordered,
            link_dropped,
            held_dropped,
            too_many_segments,
            corruption_spared,
        } = *self;
        [
            ("impaired_offered", offered),
            ("impaired_passed", passed),
            ("impaired_lost", lost),
            ("impaired_duplicated", duplicated),
            ("impaired_corrupted", corrupted),
            ("impaired_reordered", reordered),
            ("impaired_link_dropped", link_dropped),
            ("impaired_held_dropped", held_dropped),
            ("impaired_too_many_segments", too_many_segments),
            ("impaired_corruption_spared", corruption_spared),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{DropReason, QueueCounters};

    #[test]
    fn every_drop_has_its_own_row() {
        let mut counters = QueueCounters::default();
        for (place, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "ALL follows the order of the variants");
            for _ in 0..=place {
                counters.count_drop(reason);
            }
        }
        let rows: Vec<_> = counters.rows().collect();
        for reason in DropReason::ALL {
            let named: Vec<_> = rows.iter().filter(|row| row.0 == reason.name()).collect();
            assert_eq!(named, [&(reason.name(), reason as u64 + 1)]);
        }
        assert_eq!(counters.tx_dropped(), 1 + 2 + 3 + 4 + 5 + 6);
        assert_eq!(counters.rx_dropped(), 7 + 8);
    }
}
