//! One queue of a NIC: its rings, its frames with the kernel, and how it ends.

mod rx;
#[cfg(test)]
mod tests;
mod tx;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant as Clock;

use base::Instant;
use memory::{CoreArena, Stowed};
use nic::{Burst, Capabilities, Copies, DeviceCounters, QueueCounters, QueuePair, SEGMENTS_MAX};
use nix::errno::Errno;

use crate::ledger::{Held, Ledger};
use crate::limits::{CLOSE_PAUSE, CLOSE_WAIT_MAX, ZERO_COPY_SEGMENTS_MIN};
use crate::open::Bound;
use crate::ring::{Consumer, Producer};
use crate::rings::Rings;
use crate::socket::Socket;
use crate::truth::Truth;
use crate::umem::Umem;

/// Whether the interface takes packets, as the last send found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Down,
    Gone,
}

/// A queue pair on a NIC's queue.
///
/// All its calls take the [`CoreArena`] of one core. Before a core sleeps on
/// [`QueuePair::wait_fd`], it calls `rx_burst` until nothing comes, which leaves the fill ring full
/// and the driver awake, and looks at [`QueuePair::next_deadline`], which is now while something
/// waits to be sent or no frame could be lent.
///
/// While the interface is down, packets are dropped by name; what was given to the kernel before
/// it noticed is sent once the interface is up again. Is the interface deleted, nothing comes in
/// any more, what is sent is dropped by name, and [`QueuePair::is_gone`] says so.
///
/// Dropped without [`Self::close`], its frames are lost to their arena.
#[derive(Debug)]
pub struct AfXdpQueue {
    fill: Producer<u64>,
    completion: Consumer<u64>,
    rx: Consumer<libc::xdp_desc>,
    tx: Producer<libc::xdp_desc>,
    socket: Socket,
    umem: Umem,
    ledger: Ledger,
    capabilities: Capabilities,
    truth: Truth,
    counters: QueueCounters,
    /// What is counted here of [`DeviceCounters`].
    device_counters: DeviceCounters,
    link: Link,
    /// Packets of the tx ring that the kernel dropped and that are yet to be counted.
    dropped_by_kernel: u64,
    /// The kernel has yet to take descriptors of the tx ring.
    tx_waits: bool,
    now: Instant,
}

impl AfXdpQueue {
    pub(crate) fn new(bound: Bound) -> Self {
        let Bound { socket, rings, umem, truth, mtu } = bound;
        let Rings { fill, completion, rx, tx } = rings;
        let segments_max = match (truth.multi_buffer, truth.zero_copy) {
            (false, _) => 1,
            (true, false) => SEGMENTS_MAX,
            (true, true) => ZERO_COPY_SEGMENTS_MIN,
        };
        let capabilities = Capabilities {
            name: "af_xdp",
            queue: truth.queue,
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            segments_max,
            checksum_rx: false,
            checksum_tx: false,
            tso: false,
            zero_copy: truth.zero_copy,
            copies: if truth.zero_copy { Copies::Nobody } else { Copies::Kernel },
        };
        Self {
            fill,
            completion,
            rx,
            tx,
            socket,
            ledger: Ledger::new(umem.frames()),
            umem,
            capabilities,
            truth,
            counters: QueueCounters::default(),
            device_counters: DeviceCounters::default(),
            link: Link::Up,
            dropped_by_kernel: 0,
            tx_waits: false,
            now: Instant::default(),
        }
    }

    /// What was got of what was wanted.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Frames that the kernel may receive into.
    #[must_use]
    pub fn frames_lent(&self) -> u32 {
        self.ledger.lent()
    }

    /// Descriptors on their way out, or sent and not yet collected.
    #[must_use]
    pub fn descriptors_in_flight(&self) -> u32 {
        self.ledger.in_flight()
    }

    /// Closes the socket and returns every frame to `arena`: the lent ones, what was received and
    /// not taken, and what is on its way out, which is waited for a tenth of a second at most.
    ///
    /// Returns how many references stay away for ever: none in copy mode. A driver with
    /// zero-copy may write into lent frames for a moment after the socket is closed, and no call
    /// says when it has stopped; so these frames stay lent, and their number is returned.
    ///
    /// The descriptor must not live on elsewhere: a duplicate keeps the kernel writing. Nothing
    /// here makes one.
    ///
    /// # Panics
    /// If `arena` is not the one that all calls had.
    #[must_use]
    pub fn close(mut self, arena: &mut CoreArena) -> u32 {
        self.check(arena);
        let deadline = Clock::now() + CLOSE_WAIT_MAX;
        loop {
            self.kick();
            self.reap(arena);
            let is_waiting = self.ledger.in_flight() > 0 && self.link == Link::Up;
            if !is_waiting || Clock::now() >= deadline {
                break;
            }
            std::thread::sleep(CLOSE_PAUSE);
        }
        let Self { fill, completion, rx, tx, socket, ledger, truth, .. } = self;
        drop((fill, completion, rx, tx));
        drop(socket);
        give_back(&ledger, truth.zero_copy, arena)
    }

    /// # Panics
    /// If `arena` is no view of the frames that the kernel knows: its addresses would name other
    /// frames than meant.
    #[inline]
    fn check(&self, arena: &CoreArena) {
        let is_ours = arena.is_of(self.umem.arena());
        assert!(is_ours, "queue {} is used with another arena", self.truth.queue.0);
    }
}

/// Returns what the kernel had, now that the socket is closed; how many references it may not.
fn give_back(ledger: &Ledger, zero_copy: bool, arena: &mut CoreArena) -> u32 {
    let mut away = 0;
    for held in ledger.held() {
        match held {
            Held::Lent { .. } if zero_copy => away += 1,
            Held::InFlight { times, .. } if zero_copy => away += u32::from(times),
            Held::Lent { index } => {
                // SAFETY: the socket is closed, and in copy mode the kernel writes into frames
                // only on behalf of a packet for an open socket, which closing has waited for.
                let lent = unsafe { arena.lent(index) };
                let frame = arena.reclaim(lent, 0, 0);
                arena.free(frame);
            }
            Held::InFlight { index, times } => {
                for _time in 0..times {
                    arena.release(Stowed { index, offset: 0, len: 0 });
                }
            }
        }
    }
    away
}

impl QueuePair for AfXdpQueue {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        self.check(arena);
        self.receive(arena, out)
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        self.check(arena);
        self.send(arena, frames)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn counters(&self) -> &QueueCounters {
        &self.counters
    }

    fn device_counters(&self) -> DeviceCounters {
        let own = self.device_counters;
        let answer = self.socket.read::<libc::xdp_statistics>(libc::SOL_XDP, libc::XDP_STATISTICS);
        // Kernels before 5.9 know the first three only and leave the others zero.
        let Ok((kernel, _len)) = answer else { return own };
        DeviceCounters {
            rx_dropped: kernel.rx_dropped,
            rx_invalid_descs: kernel.rx_invalid_descs,
            tx_invalid_descs: kernel.tx_invalid_descs,
            rx_ring_full: kernel.rx_ring_full,
            rx_fill_ring_empty: kernel.rx_fill_ring_empty_descs,
            tx_ring_empty: kernel.tx_ring_empty_descs,
            ..own
        }
    }

    fn is_gone(&self) -> bool {
        self.link == Link::Gone
    }

    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    fn next_deadline(&self) -> Option<Instant> {
        let is_due = self.tx_waits || self.ledger.lent() == 0;
        (is_due && self.link == Link::Up).then_some(self.now)
    }
}

impl AsFd for AfXdpQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Link {
    /// What a refused system call says of the interface; `None` if nothing.
    fn of(errno: Errno) -> Option<Self> {
        if errno == Errno::ENETDOWN {
            return Some(Self::Down);
        }
        matches!(errno, Errno::ENXIO | Errno::ENODEV).then_some(Self::Gone)
    }
}
