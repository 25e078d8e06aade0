//! The forwarding itself, over any two queue pairs of one arena.

use base::Instant;
use memory::CoreArena;
use nic::{
    BURST_FRAMES_MAX, Burst, DropReason, FaultCounters, ImpairError, Impaired, Impairments,
    QueuePair, flags,
};

/// The difference between the seeds of the two directions: 2^64 divided by the golden ratio.
const SEEDS_APART: u64 = 0x9e37_79b9_7f4a_7c15;

/// Two queue pairs and what is on its way between them.
#[derive(Debug)]
pub(crate) struct Forwarder<A, B> {
    arena: CoreArena,
    /// Impairs what is sent to a, so the way from b to a.
    a: Impaired<A>,
    b: Impaired<B>,
    /// Received at a, not yet taken by b.
    there: Burst,
    back: Burst,
}

/// What one direction has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) rx_packets: u64,
    pub(crate) rx_bytes: u64,
    pub(crate) rx_dropped: u64,
    pub(crate) tx_packets: u64,
    pub(crate) tx_bytes: u64,
    pub(crate) tx_dropped: u64,
    /// Of those dropped, how many were longer than the MTU: an end leaves the cutting to its device.
    pub(crate) super_frames: u64,
    pub(crate) faults: FaultCounters,
    /// Packets on their way.
    pub(crate) held: u64,
}

impl Direction {
    /// Packets that came in, doubles added, and are in no other count; 0 in a right book.
    pub(crate) fn unaccounted(&self) -> u64 {
        let FaultCounters { lost, duplicated, link_dropped, held_dropped, .. } = self.faults;
        let came = self.rx_packets + duplicated;
        let went = self.tx_packets + self.tx_dropped;
        let stayed = lost + link_dropped + held_dropped + self.faults.too_many_segments + self.held;
        came.abs_diff(went + stayed)
    }
}

impl<A: QueuePair, B: QueuePair> Forwarder<A, B> {
    /// Both directions have the same faults, each by a seed of its own that follows from one.
    pub(crate) fn new(
        a: A,
        b: B,
        arena: CoreArena,
        faults: Impairments,
    ) -> Result<Self, ImpairError> {
        let back = Impairments { seed: faults.seed ^ SEEDS_APART, ..faults };
        Ok(Self {
            arena,
            a: Impaired::new(a, back)?,
            b: Impaired::new(b, faults)?,
            there: Burst::with_capacity(BURST_FRAMES_MAX),
            back: Burst::with_capacity(BURST_FRAMES_MAX),
        })
    }

    /// Forwards what has come at both sides, and what is due; says how many frames came.
    pub(crate) fn turn(&mut self, now: Instant) -> usize {
        let Self { arena, a, b, there, back } = self;
        a.set_now(now);
        b.set_now(now);
        let came = a.rx_burst(arena, there) + b.rx_burst(arena, back);
        b.tx_burst(arena, there);
        a.tx_burst(arena, back);
        came
    }

    /// Sends what is due and receives nothing more.
    pub(crate) fn drain(&mut self, now: Instant) {
        let Self { arena, a, b, there, back } = self;
        a.set_now(now);
        b.set_now(now);
        b.tx_burst(arena, there);
        a.tx_burst(arena, back);
    }

    /// Whether a packet is on its way.
    pub(crate) fn is_holding(&self) -> bool {
        self.directions().iter().any(|direction| direction.held > 0)
    }

    /// When the next packet falls due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.a.next_deadline(), self.b.next_deadline()].into_iter().flatten().min()
    }

    /// The queue pairs.
    pub(crate) fn queues(&self) -> (&A, &B) {
        (self.a.inner(), self.b.inner())
    }

    /// From a to b, and from b to a.
    pub(crate) fn directions(&self) -> [Direction; 2] {
        let Self { arena: _, a, b, there, back } = self;
        [direction(a, b, there), direction(b, a, back)]
    }
}

fn direction<F: QueuePair, T: QueuePair>(
    from: &Impaired<F>,
    to: &Impaired<T>,
    between: &Burst,
) -> Direction {
    let (rx, tx) = (from.counters(), to.counters());
    let super_frames = rx.dropped(DropReason::RxTooLong) + tx.dropped(DropReason::TxTooLong);
    let waiting = between.iter().filter(|frame| !flags::continues(frame)).count();
    // What the device behind has no room for is neither held nor sent.
    let offered = to.faults().passed.saturating_sub(tx.tx_packets + tx.tx_dropped());
    Direction {
        rx_packets: rx.rx_packets,
        rx_bytes: rx.rx_bytes,
        rx_dropped: rx.rx_dropped(),
        tx_packets: tx.tx_packets,
        tx_bytes: tx.tx_bytes,
        tx_dropped: tx.tx_dropped(),
        super_frames,
        faults: to.faults().clone(),
        held: to.packets_held() as u64 + waiting as u64 + offered,
    }
}
