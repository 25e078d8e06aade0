//! One queue of a TAP device: a read for each packet in, a write for each packet out.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use arrayvec::ArrayVec;
use base::QueueId;
use memory::{CoreArena, Frame};
use nic::{
    Burst, Capabilities, Copies, DropReason, ETHERNET_HEADER_LEN, QueueCounters, QueuePair,
    SEGMENTS_MAX,
};
use nix::errno::Errno;
use nix::sys::uio::writev;
use nix::unistd::{read, write};

/// A queue pair on a TAP device.
///
/// The kernel's end gone (`ip link delete`), nothing comes in any more, what is sent is dropped by
/// name, and [`QueuePair::is_gone`] says so.
#[derive(Debug)]
pub struct TapQueue {
    descriptor: OwnedFd,
    is_gone: bool,
    capabilities: Capabilities,
    counters: QueueCounters,
}

/// What became of one packet that was offered to the kernel.
enum Sent {
    Taken,
    NoRoom,
    Dropped(DropReason),
}

impl TapQueue {
    pub(crate) fn new(descriptor: OwnedFd, queue: QueueId, mtu: u16) -> Self {
        Self {
            descriptor,
            is_gone: false,
            capabilities: Capabilities {
                name: "tap",
                queue,
                mtu,
                segments_max: SEGMENTS_MAX,
                checksum_rx: false,
                checksum_tx: false,
                tso: false,
                zero_copy: false,
                copies: Copies::Kernel,
            },
            counters: QueueCounters::default(),
        }
    }

    /// Reads one packet into `frame`; its length, or `None` if none waits.
    fn read_into(&mut self, arena: &mut CoreArena, frame: &mut Frame) -> Option<usize> {
        let room = arena.tailroom(frame);
        let longest = self.capabilities.packet_len_max();
        // A packet that fills the whole room may have been longer: one byte tells them apart.
        assert!(
            room > longest,
            "frames with room for {room} bytes under an MTU that makes packets of {longest}"
        );
        arena.set_len(frame, room);
        let outcome = read(&self.descriptor, arena.bytes_mut(frame));
        self.is_gone |= outcome == Err(Errno::EBADFD);
        let len = outcome.ok().filter(|&len| len > 0)?;
        arena.set_len(frame, len);
        Some(len)
    }

    /// Why the device could not take such a packet, if it could not.
    fn refusal(&self, segments: usize, len: usize) -> Option<DropReason> {
        if len > self.capabilities.packet_len_max() {
            return Some(DropReason::TxTooLong);
        }
        if len < ETHERNET_HEADER_LEN {
            return Some(DropReason::TxTooShort);
        }
        (segments > usize::from(SEGMENTS_MAX)).then_some(DropReason::TxTooManySegments)
    }

    /// Offers the first packet of `frames` to the kernel.
    fn write_packet(&mut self, arena: &CoreArena, frames: &Burst, segments: usize) -> Sent {
        let mut pieces = frames.iter().take(segments).map(|frame| arena.bytes(frame));
        let outcome = if segments == 1 {
            write(&self.descriptor, pieces.next().unwrap_or_default())
        } else {
            let gathered: ArrayVec<_, { SEGMENTS_MAX as usize }> =
                pieces.map(IoSlice::new).collect();
            writev(&self.descriptor, &gathered)
        };
        match outcome {
            Ok(_len) => Sent::Taken,
            Err(Errno::EAGAIN | Errno::EINTR) => Sent::NoRoom,
            Err(Errno::EIO) => Sent::Dropped(DropReason::TxLinkDown),
            Err(errno) => {
                self.is_gone |= errno == Errno::EBADFD;
                Sent::Dropped(DropReason::TxDevice)
            }
        }
    }
}

impl QueuePair for TapQueue {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        while out.free() > 0 {
            let Some(mut frame) = arena.allocate() else {
                self.counters.rx_starved += 1;
                break;
            };
            let Some(len) = self.read_into(arena, &mut frame) else {
                arena.free(frame);
                break;
            };
            let refusal = if len > self.capabilities.packet_len_max() {
                Some(DropReason::RxTooLong)
            } else {
                (len < ETHERNET_HEADER_LEN).then_some(DropReason::RxTooShort)
            };
            if let Some(reason) = refusal {
                self.counters.count_drop(reason);
                arena.free(frame);
                continue;
            }
            self.counters.count_rx(len);
            self.counters.copied_bytes += len as u64;
            out.push(frame).expect("its room was looked at");
        }
        out.len() - before
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        let before = frames.len();
        while let Some((segments, len)) = frames.front_packet() {
            let sent = match self.refusal(segments, len) {
                Some(reason) => Sent::Dropped(reason),
                None => self.write_packet(arena, frames, segments),
            };
            match sent {
                Sent::NoRoom => {
                    self.counters.tx_backpressure += 1;
                    break;
                }
                Sent::Taken => {
                    self.counters.count_tx(len);
                    self.counters.copied_bytes += len as u64;
                }
                Sent::Dropped(reason) => self.counters.count_drop(reason),
            }
            frames.free_front(segments, arena);
        }
        before - frames.len()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.descriptor.as_fd())
    }

    fn counters(&self) -> &QueueCounters {
        &self.counters
    }

    fn is_gone(&self) -> bool {
        self.is_gone
    }
}
