//! Two queue pairs joined in memory: what the stack itself can do, with no device in the way.
//!
//! It behaves as a NIC behind a paused link does. Each end posts empty frames of its own core for
//! receiving; the sender copies a packet once into such a frame, as a device's DMA would, frees
//! its own reference and hands the filled frame over. Where no empty frame is posted the packet
//! stays with the sender: nothing is ever lost here.
//!
//! Handing over the sender's own frame would save the copy and be wrong twice: a shared frame
//! (a retransmission, a message for many) has references that the sender's core counts, and the
//! pools of the two cores would drift apart as one sends more than the other.
//!
//! ```text
//!            posted: empty frames of B's core
//!    A   <---------------------------------------   B
//!    A   --------------------------------------->   B
//!            filled: the same frames with a packet       (and the same the other way round)
//! ```

use std::iter;
use std::os::fd::BorrowedFd;

use base::QueueId;
use memory::{Consumer, CoreArena, DetachedFrame, Frame, Producer, ring};

use crate::burst::Burst;
use crate::counters::{DropReason, QueueCounters};
use crate::limits::{BURST_FRAMES_MAX, ETHERNET_HEADER_LEN, MEM_DEPTH_MAX, MTU_MIN, SEGMENTS_MAX};
use crate::queue::{Capabilities, Copies, QueuePair};

#[cfg(test)]
mod tests;

/// Why an in-memory pair was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemError {
    /// The rings mask their cursors.
    #[error("a ring of {depth} slots; use a power of two from 1 to {MEM_DEPTH_MAX}")]
    ConfigDepth {
        /// The slots that were asked for.
        depth: usize,
    },
    /// IPv6 would not work over it.
    #[error("an MTU of {mtu}; use {MTU_MIN} or more")]
    ConfigMtu {
        /// The bytes that were asked for.
        mtu: u16,
    },
}

/// One end of an in-memory pair. It is `Send`: the ends may run on two threads.
///
/// Each end must be used with the same [`CoreArena`] in every call, and the arenas of both ends
/// must be views of one `FrameArena` (or the same view, where both ends run on one core): a posted
/// frame is attached to the sender's arena while the packet is written into it.
///
/// An end holds at most `2 * depth` frames of its own arena in the rings, and the peer's frames
/// that it fetched to write into, at most 64. Dropped with frames inside, these are lost to the
/// arena: see [`Self::drain`].
#[derive(Debug)]
pub struct MemQueue {
    /// Our empty frames, towards the peer.
    posted: Producer<DetachedFrame>,
    /// Packets from the peer, in frames that we posted.
    received: Consumer<DetachedFrame>,
    /// The peer's empty frames.
    peer_posted: Consumer<DetachedFrame>,
    /// Packets towards the peer, in frames that it posted.
    sent: Producer<DetachedFrame>,
    /// The peer's empty frames that were fetched and not used yet.
    stock: Vec<DetachedFrame>,
    /// Packets written and not yet shown to the peer; empty between two calls.
    outgoing: Vec<DetachedFrame>,
    capabilities: Capabilities,
    counters: QueueCounters,
}

/// Two joined ends with rings of `depth` packets and an MTU of `mtu` bytes. All memory is taken
/// now.
///
/// # Errors
/// See [`MemError`].
pub fn pair(depth: usize, mtu: u16) -> Result<(MemQueue, MemQueue), MemError> {
    if !depth.is_power_of_two() || depth > MEM_DEPTH_MAX {
        return Err(MemError::ConfigDepth { depth });
    }
    if mtu < MTU_MIN {
        return Err(MemError::ConfigMtu { mtu });
    }
    let (a_posted, b_peer_posted) = ring(depth);
    let (b_posted, a_peer_posted) = ring(depth);
    let (a_sent, b_received) = ring(depth);
    let (b_sent, a_received) = ring(depth);
    let a = MemQueue::new(a_posted, a_received, a_peer_posted, a_sent, mtu);
    let b = MemQueue::new(b_posted, b_received, b_peer_posted, b_sent, mtu);
    Ok((a, b))
}

impl MemQueue {
    fn new(
        posted: Producer<DetachedFrame>,
        received: Consumer<DetachedFrame>,
        peer_posted: Consumer<DetachedFrame>,
        sent: Producer<DetachedFrame>,
        mtu: u16,
    ) -> Self {
        let capabilities = Capabilities {
            name: "mem",
            queue: QueueId(0),
            mtu,
            segments_max: SEGMENTS_MAX,
            checksum_rx: false,
            checksum_tx: false,
            tso: false,
            zero_copy: false,
            copies: Copies::Sender,
        };
        Self {
            stock: Vec::with_capacity(BURST_FRAMES_MAX.min(posted.capacity())),
            outgoing: Vec::with_capacity(BURST_FRAMES_MAX),
            posted,
            received,
            peer_posted,
            sent,
            capabilities,
            counters: QueueCounters::default(),
        }
    }

    /// Gives this end the number of a queue, where several pairs make one device.
    #[must_use]
    pub fn with_queue(mut self, queue: QueueId) -> Self {
        self.capabilities.queue = queue;
        self
    }

    /// Whether the other end is gone. What is sent then is lost to its arena.
    #[must_use]
    pub fn is_peer_gone(&self) -> bool {
        self.sent.is_abandoned()
    }

    /// Ends this side and puts every frame that it can reach into `arena`: packets that came and
    /// were not received, and the peer's empty frames. Says how many.
    ///
    /// Once neither end sends or receives any more, draining both, in any order, leaves no frame
    /// in the rings.
    pub fn drain(mut self, arena: &mut CoreArena) -> usize {
        let mut count = 0;
        let mut give_back = |detached| {
            let frame = arena.attach(detached);
            arena.free(frame);
            count += 1;
        };
        self.stock.drain(..).for_each(&mut give_back);
        self.received.pop_into(usize::MAX, &mut give_back);
        self.peer_posted.pop_into(usize::MAX, &mut give_back);
        count
    }

    /// Posts empty frames until the ring is full or the arena has none to spare.
    fn post(&mut self, arena: &mut CoreArena) {
        let wanted = self.posted.free();
        if wanted == 0 {
            return;
        }
        let (room, longest) =
            (arena.frame_len() - arena.headroom(), self.capabilities.packet_len_max());
        assert!(
            room >= longest,
            "frames with room for {room} bytes under an MTU that makes packets of {longest}"
        );
        let posted = self.posted.push_from(&mut iter::from_fn(|| {
            let frame = arena.allocate()?;
            Some(arena.detach(frame).expect("a new frame has one reference"))
        }));
        if posted < wanted {
            self.counters.rx_starved += 1;
        }
    }

    /// An empty frame of the peer, if it has posted one.
    #[inline]
    fn next_posted(&mut self) -> Option<DetachedFrame> {
        if self.stock.is_empty() {
            let stock = &mut self.stock;
            let room = stock.capacity();
            self.peer_posted.pop_into(room, |frame| stock.push(frame));
        }
        self.stock.pop()
    }

    /// Why the peer could not take such a packet, if it could not.
    #[inline]
    fn refusal(&self, segments: usize, len: usize) -> Option<DropReason> {
        if len > self.capabilities.packet_len_max() {
            return Some(DropReason::TxTooLong);
        }
        if len < ETHERNET_HEADER_LEN {
            return Some(DropReason::TxTooShort);
        }
        (segments > usize::from(SEGMENTS_MAX)).then_some(DropReason::TxTooManySegments)
    }

    /// Shows the peer what has been written; there is room for all of it.
    fn flush(&mut self) {
        let count = self.outgoing.len();
        let pushed = self.sent.push_from(&mut self.outgoing.drain(..));
        assert_eq!(pushed, count, "room was counted before the packets were written");
    }
}

/// Moves the bytes of the first packet of `frames`, `segments` frames, into `target`, which is as
/// long as the packet.
#[inline]
fn copy_packet(arena: &mut CoreArena, frames: &mut Burst, segments: usize, target: &mut Frame) {
    let mut at = 0;
    for _segment in 0..segments {
        let frame = frames.pop_front().expect("the packet has this many frames");
        let (from, to) = arena.bytes_pair(&frame, target);
        to[at..at + from.len()].copy_from_slice(from);
        at += from.len();
        arena.free(frame);
    }
}

impl QueuePair for MemQueue {
    #[inline]
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let counters = &mut self.counters;
        let count = self.received.pop_into(out.free(), |detached| {
            let frame = arena.attach(detached);
            counters.count_rx(frame.len());
            out.push(frame).expect("no more are taken than fit");
        });
        self.post(arena);
        count
    }

    #[inline]
    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        let frames_before = frames.len();
        let mut room = if frames_before == 0 { 0 } else { self.sent.free() };
        while let Some((segments, len)) = frames.front_packet() {
            if let Some(reason) = self.refusal(segments, len) {
                frames.free_front(segments, arena);
                self.counters.count_drop(reason);
                continue;
            }
            let posted = if room == 0 { None } else { self.next_posted() };
            let Some(posted) = posted else {
                self.counters.tx_backpressure += 1;
                break;
            };
            room -= 1;
            let mut target = arena.attach(posted);
            arena.set_len(&mut target, len);
            copy_packet(arena, frames, segments, &mut target);
            self.counters.count_tx(len);
            self.counters.copied_bytes += len as u64;
            let filled = arena.detach(target).expect("a posted frame has one reference");
            self.outgoing.push(filled);
            if self.outgoing.len() == BURST_FRAMES_MAX {
                self.flush();
            }
        }
        self.flush();
        frames_before - frames.len()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> &QueueCounters {
        &self.counters
    }
}
