//! What a queue counts beside the packets, and what the kernel counts for its socket.

/// What this side of the queue counts beside [`nic::QueueCounters`]. Every count only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketCounters {
    /// System calls that made the kernel send.
    pub tx_kicks: u64,
    /// System calls that woke or polled the driver to receive.
    pub rx_wakeups: u64,
    /// Received descriptors that name no frame of this queue, or bytes beyond a frame. Not zero
    /// is an error of the kernel or the driver.
    pub rx_bad_descriptors: u64,
    /// Completions that name no frame on its way out. Not zero is an error of the kernel.
    pub tx_bad_completions: u64,
    /// Sends that the kernel refused for a reason that this crate does not know.
    pub tx_odd_refusals: u64,
}

impl SocketCounters {
    /// Every counter by name, for metrics and logs.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self { tx_kicks, rx_wakeups, rx_bad_descriptors, tx_bad_completions, tx_odd_refusals } =
            *self;
        [
            ("xsk_tx_kicks", tx_kicks),
            ("xsk_rx_wakeups", rx_wakeups),
            ("xsk_rx_bad_descriptors", rx_bad_descriptors),
            ("xsk_tx_bad_completions", tx_bad_completions),
            ("xsk_tx_odd_refusals", tx_odd_refusals),
        ]
        .into_iter()
    }
}

/// What the kernel counts for a socket (`XDP_STATISTICS`). Kernels before 5.9 know the first,
/// second and third only and leave the others zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStatistics {
    /// Packets dropped: longer than a frame's room, or for other reasons.
    pub rx_dropped: u64,
    /// Entries of the fill ring that named no frame.
    pub rx_invalid_descs: u64,
    /// Descriptors of the tx ring that named no bytes of a frame.
    pub tx_invalid_descs: u64,
    /// Packets dropped: the rx ring was full.
    pub rx_ring_full: u64,
    /// Times that the kernel wanted a frame to receive into and the fill ring was empty.
    pub rx_fill_ring_empty_descs: u64,
    /// Times that the kernel looked for something to send and the tx ring was empty.
    pub tx_ring_empty_descs: u64,
}

impl KernelStatistics {
    /// Every counter by name, for metrics and logs.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self {
            rx_dropped,
            rx_invalid_descs,
            tx_invalid_descs,
            rx_ring_full,
            rx_fill_ring_empty_descs,
            tx_ring_empty_descs,
        } = *self;
        [
            ("xsk_kernel_rx_dropped", rx_dropped),
            ("xsk_kernel_rx_invalid_descs", rx_invalid_descs),
            ("xsk_kernel_tx_invalid_descs", tx_invalid_descs),
            ("xsk_kernel_rx_ring_full", rx_ring_full),
            ("xsk_kernel_rx_fill_ring_empty", rx_fill_ring_empty_descs),
            ("xsk_kernel_tx_ring_empty", tx_ring_empty_descs),
        ]
        .into_iter()
    }
}

impl From<libc::xdp_statistics> for KernelStatistics {
    fn from(answer: libc::xdp_statistics) -> Self {
        Self {
            rx_dropped: answer.rx_dropped,
            rx_invalid_descs: answer.rx_invalid_descs,
            tx_invalid_descs: answer.tx_invalid_descs,
            rx_ring_full: answer.rx_ring_full,
            rx_fill_ring_empty_descs: answer.rx_fill_ring_empty_descs,
            tx_ring_empty_descs: answer.tx_ring_empty_descs,
        }
    }
}
