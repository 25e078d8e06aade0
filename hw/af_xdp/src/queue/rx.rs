//! Receiving: lend frames, wake the driver where it sleeps, take packets.

use arrayvec::ArrayVec;
use memory::{CoreArena, Frame};
use nic::{Burst, DropReason, ETHERNET_HEADER_LEN, SEGMENTS_MAX, flags};

use super::{AfXdpQueue, Link};
use crate::limits::{LENT_MIN, UNLENT_MIN};

impl AfXdpQueue {
    pub(super) fn receive(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        self.refill(arena);
        if self.rx.ready(1) == 0 {
            self.wake_receiver();
        }
        while out.free() > 0
            && let Some(segments) = self.chain()
        {
            let fits = segments <= out.free();
            // A chain that no burst of this size takes would block the queue for ever.
            let never_fits = out.is_empty() && segments > out.capacity();
            if !fits && !never_fits {
                break;
            }
            self.receive_packet(arena, out, segments);
        }
        self.rx.release();
        out.len() - before
    }

    /// Lends frames until the kernel has as many as the fill ring holds. What it has beyond the
    /// ring lies in the rx ring or in the driver, so the ring always has room.
    fn refill(&mut self, arena: &mut CoreArena) {
        let wanted = self.fill.size() - self.ledger.lent();
        if wanted == 0 {
            return;
        }
        let room = self.fill.free(wanted).min(wanted);
        for _frame in 0..room {
            let frame = arena.allocate().or_else(|| self.of_the_reserve(arena));
            let Some(frame) = frame else {
                self.counters.rx_starved += 1;
                break;
            };
            let lent = arena.lend(frame).expect("nobody shares a frame just allocated");
            let index = lent.into_index();
            self.ledger.lend(index);
            self.fill.stage(self.umem.address(index, 0));
        }
        self.fill.publish();
    }

    /// A frame of the arena's reserve, while the kernel has next to none.
    #[cold]
    fn of_the_reserve(&self, arena: &mut CoreArena) -> Option<Frame> {
        let may_take = self.ledger.lent() < LENT_MIN && arena.frames_free() > UNLENT_MIN;
        may_take.then(|| arena.allocate_reserved()).flatten()
    }

    /// Nothing waits: polls the device, or wakes a driver that sleeps for want of frames.
    #[inline]
    fn wake_receiver(&mut self) {
        let outcome = if self.truth.busy_poll.is_some() {
            self.socket.busy_poll()
        } else if self.truth.zero_copy && self.ledger.lent() > 0 && self.fill.needs_wakeup() {
            self.socket.wake()
        } else {
            return;
        };
        self.device_counters.rx_wakeups += 1;
        if let Err(errno) = outcome
            && Link::of(errno) == Some(Link::Gone)
        {
            self.link = Link::Gone;
        }
    }

    /// Frames of the next packet, if all of it is there.
    #[inline]
    fn chain(&mut self) -> Option<usize> {
        let mut count = 1;
        loop {
            let ready = self.rx.ready(count);
            if ready < count {
                // A ring full of a packet without an end: no end will ever fit.
                return (ready == self.rx.size()).then_some(ready as usize);
            }
            if self.rx.peek(count - 1).options & libc::XDP_PKT_CONTD == 0 {
                return Some(count as usize);
            }
            count += 1;
        }
    }

    /// Takes one packet of the ring, into `out` or into the drop counters.
    #[inline]
    fn receive_packet(&mut self, arena: &mut CoreArena, out: &mut Burst, segments: usize) {
        let mut frames = ArrayVec::<Frame, { SEGMENTS_MAX as usize }>::new();
        let mut is_whole = segments <= usize::from(SEGMENTS_MAX) && segments <= out.free();
        let mut len = 0;
        let mut is_named = true;
        for _segment in 0..segments {
            let descriptor = self.rx.take();
            let Some(frame) = self.reclaim(arena, descriptor) else {
                is_named = false;
                continue;
            };
            len += frame.len();
            if let Err(refused) = frames.try_push(frame) {
                is_whole = false;
                arena.free(refused.element());
            }
        }
        let refusal = if !is_named {
            // Counted where it was found.
            None
        } else if !is_whole || len > self.capabilities.packet_len_max() {
            Some(DropReason::RxTooLong)
        } else if len < ETHERNET_HEADER_LEN {
            Some(DropReason::RxTooShort)
        } else {
            self.hand_over(frames, len, out);
            return;
        };
        if let Some(reason) = refusal {
            self.counters.count_drop(reason);
        }
        for frame in frames {
            arena.free(frame);
        }
    }

    /// Puts a whole packet into the burst, which has room for it.
    #[inline]
    fn hand_over(
        &mut self,
        frames: ArrayVec<Frame, { SEGMENTS_MAX as usize }>,
        len: usize,
        out: &mut Burst,
    ) {
        let last = frames.len() - 1;
        for (place, mut frame) in frames.into_iter().enumerate() {
            frame.set_flags(if place < last { flags::CONTINUES } else { 0 });
            out.push(frame).expect("its room was looked at");
        }
        self.counters.count_rx(len);
        if !self.truth.zero_copy {
            self.counters.copied_bytes += len as u64;
        }
    }

    /// The frame that a received descriptor names, over the bytes that were written; `None`,
    /// counted, if it names no frame that this queue lent.
    #[inline]
    fn reclaim(&mut self, arena: &mut CoreArena, descriptor: libc::xdp_desc) -> Option<Frame> {
        let (index, offset) = self.umem.place(descriptor.addr);
        let range = self.umem.range(offset, descriptor.len);
        if !self.ledger.take_back(index) {
            self.device_counters.rx_bad_descriptors += 1;
            return None;
        }
        // SAFETY: this queue lent the frame (the ledger says so), and the kernel has put it into
        // the rx ring: it is done with it.
        let lent = unsafe { arena.lent(index) };
        let Some((offset, len)) = range else {
            self.device_counters.rx_bad_descriptors += 1;
            let frame = arena.reclaim(lent, 0, 0);
            arena.free(frame);
            return None;
        };
        Some(arena.reclaim(lent, offset, len))
    }
}
