//! The trait of a NIC's receive and transmit queue, and what such a pair can do.

use std::os::fd::BorrowedFd;

use base::{Instant, QueueId};
use memory::CoreArena;

use crate::burst::Burst;
use crate::counters::{DeviceCounters, QueueCounters};
use crate::limits::ETHERNET_HEADER_LEN;

/// One receive and one transmit queue, owned by one core.
///
/// Both calls are non-blocking, allocate nothing, and leave whole packets in a burst.
pub trait QueuePair {
    /// Receives packets into `out`, at most `out.free()` frames, and says how many frames came.
    ///
    /// The frames are unshared and belong to the caller. The frames that the device fills next
    /// are taken from `arena` without touching its reserve; an exhausted arena delays packets in
    /// the device and loses none here.
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize;

    /// Sends packets from the front of `frames` and says how many frames left it.
    ///
    /// What the device has no room for stays in `frames`, in order. The bytes of a sent frame are
    /// only read, so it may be shared; the reference is freed into `arena` once the device is done
    /// with it, in this call or a later one (an empty burst serves to collect completions). A
    /// packet the device can never take is dropped and counted, and counts as having left.
    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize;

    /// What this queue pair can do, as read back from the device.
    fn capabilities(&self) -> &Capabilities;

    /// The descriptor that becomes readable when a packet comes in, to sleep on when idle.
    fn wait_fd(&self) -> Option<BorrowedFd<'_>>;

    /// What it has done since it was made.
    fn counters(&self) -> &QueueCounters;

    /// What the kernel and the driver behind it count. It may take a system call: it is for who
    /// looks some times a second, not for each turn.
    fn device_counters(&self) -> DeviceCounters {
        DeviceCounters::default()
    }

    /// Whether the device was found to be gone: nothing will ever come in again. One that only
    /// receives may never find out.
    fn is_gone(&self) -> bool {
        false
    }

    /// Tells it the time, before each burst. Devices do not care; what delays or stamps packets
    /// does.
    fn set_now(&mut self, _now: Instant) {}

    /// When it must be called again although nothing comes in: the time at which a packet that it
    /// holds falls due.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

/// Who copies a packet's bytes between the stack's frame and the other side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copies {
    /// Nobody: the device reads and writes the stack's frames.
    Nobody,
    /// The core that sends, once, into the receiver's frame.
    Sender,
    /// The kernel, in both directions.
    Kernel,
}

impl Copies {
    /// As the log prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "zero-copy",
            Self::Sender => "one copy by the sender",
            Self::Kernel => "copied by the kernel",
        }
    }
}

/// What a queue pair can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The kind of queue pair, for the log: `mem`, `tap`, `af_xdp`.
    pub name: &'static str,
    /// The queue of the device this is.
    pub queue: QueueId,
    /// Bytes of the longest IP packet; a frame has an Ethernet header more.
    pub mtu: u16,
    /// Frames one sent packet may be gathered from; 1 if the device cannot gather.
    pub segments_max: u8,
    /// The device checks received checksums and sets [`crate::flags::CHECKSUM_VERIFIED`].
    pub checksum_rx: bool,
    /// The device fills in the checksums of what is sent.
    pub checksum_tx: bool,
    /// The device cuts a large TCP segment into packets.
    pub tso: bool,
    /// The device reads and writes the stack's frames themselves.
    pub zero_copy: bool,
    /// Who copies, where there is a copy.
    pub copies: Copies,
}

impl Capabilities {
    /// Bytes of the longest packet from the Ethernet header on.
    #[must_use]
    pub fn packet_len_max(&self) -> usize {
        usize::from(self.mtu) + ETHERNET_HEADER_LEN
    }
}
