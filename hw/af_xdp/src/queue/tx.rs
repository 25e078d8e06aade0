//! Sending: collect what was sent, give descriptors, make the kernel look.

use std::sync::atomic::{Ordering, fence};

use memory::{CoreArena, Stowed};
use nic::{Burst, DropReason, ETHERNET_HEADER_LEN};
use nix::errno::Errno;

use super::{AfXdpQueue, Link};
use crate::limits::TX_BUDGET_MIN;
use crate::truth::Truth;

impl AfXdpQueue {
    pub(super) fn send(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        self.reap(arena);
        if self.link != Link::Up && !frames.is_empty() {
            // Looks whether the interface is up again.
            self.call_kernel();
        }
        let before = frames.len();
        let mut taken = 0;
        while let Some((segments, len)) = frames.front_packet() {
            if let Some(reason) = self.refusal(segments, len) {
                self.counters.count_drop(reason);
                frames.free_front(segments, arena);
                continue;
            }
            if !self.has_room(segments) && !self.make_room(segments, arena) {
                self.counters.tx_backpressure += 1;
                break;
            }
            self.stage_packet(arena, frames, segments);
            taken += 1;
            self.counters.tx_bytes += len as u64;
            if !self.truth.zero_copy {
                self.counters.copied_bytes += len as u64;
            }
        }
        self.kick();
        self.count_taken(taken);
        before - frames.len()
    }

    /// Counts packets that the tx ring took in this call: sent, or dropped by the kernel if it said
    /// so meanwhile. A drop that is one of an earlier call's counts against a packet of this one.
    fn count_taken(&mut self, taken: u64) {
        let dropped = taken.min(self.dropped_by_kernel);
        self.dropped_by_kernel -= dropped;
        self.counters.tx_packets += taken - dropped;
        for _packet in 0..dropped {
            self.counters.count_drop(DropReason::TxKernel);
        }
    }

    /// Frees the references of what was sent.
    pub(super) fn reap(&mut self, arena: &mut CoreArena) {
        if self.ledger.in_flight() == 0 {
            return;
        }
        for _completion in 0..self.completion.ready(self.completion.size()) {
            let (index, _offset) = self.umem.place(self.completion.take());
            if self.ledger.complete(index) {
                // Which of a frame's references it is makes no difference.
                arena.release(Stowed { index, offset: 0, len: 0 });
            } else {
                self.device_counters.tx_bad_completions += 1;
            }
        }
        self.completion.release();
    }

    /// Makes the kernel take what lies in the tx ring. What it leaves there, the next call sends.
    pub(super) fn kick(&mut self) {
        self.tx.publish();
        // Each call of the kernel's copying sends at least its smallest budget.
        let tries_max = self.tx.size() / TX_BUDGET_MIN + 2;
        let mut waiting = self.waiting();
        for _try in 0..tries_max {
            if waiting == 0 || !self.must_call() {
                break;
            }
            self.call_kernel();
            let waited = waiting;
            waiting = self.waiting();
            // A driver that copies nothing works by itself once it was woken.
            if waiting == waited || self.truth.zero_copy {
                break;
            }
        }
        self.tx_waits = waiting > 0;
    }

    /// Descriptors that the kernel has not taken; costs nothing where nothing is on its way.
    #[inline]
    fn waiting(&mut self) -> u32 {
        if self.ledger.in_flight() == 0 { 0 } else { self.tx.waiting() }
    }

    /// Whether the kernel looks at the tx ring only when it is called.
    #[inline]
    fn must_call(&self) -> bool {
        // Under busy polling the driver works within our calls, whatever its flag says.
        let Truth { zero_copy, need_wakeup, ref busy_poll, .. } = self.truth;
        if !zero_copy || !need_wakeup || busy_poll.is_some() {
            return true;
        }
        // The driver raises its flag and then looks at the ring; here the ring is written and then
        // the flag looked at. Without the fence both could miss the other's write.
        fence(Ordering::SeqCst);
        self.tx.needs_wakeup()
    }

    /// One system call, and what it says of the interface.
    fn call_kernel(&mut self) {
        self.device_counters.tx_kicks += 1;
        match self.socket.kick() {
            Ok(()) => self.link = Link::Up,
            // Copying, the kernel says so of one packet that it completed and did not send; a driver
            // with zero-copy, that it is being set up anew and has taken nothing.
            Err(Errno::EBUSY) => {
                self.link = Link::Up;
                self.dropped_by_kernel += u64::from(!self.truth.zero_copy);
            }
            // The budget is used up, the socket's memory is, the device's ring is full: what waits
            // is tried again, here or in the next call.
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::EINTR) => {
                self.link = Link::Up;
            }
            Err(errno) => match Link::of(errno) {
                Some(link) => self.link = link,
                None => self.device_counters.tx_odd_refusals += 1,
            },
        }
    }

    /// Why the device cannot take such a packet, if it cannot.
    #[inline]
    fn refusal(&self, segments: usize, len: usize) -> Option<DropReason> {
        if len > self.capabilities.packet_len_max() {
            return Some(DropReason::TxTooLong);
        }
        if len < ETHERNET_HEADER_LEN {
            return Some(DropReason::TxTooShort);
        }
        if segments > usize::from(self.capabilities.segments_max) {
            return Some(DropReason::TxTooManySegments);
        }
        match self.link {
            Link::Up => None,
            Link::Down => Some(DropReason::TxLinkDown),
            Link::Gone => Some(DropReason::TxDevice),
        }
    }

    /// Whether the tx ring takes that many descriptors, and the completion ring their return.
    #[inline]
    fn has_room(&mut self, segments: usize) -> bool {
        let returns = self.completion.size() - self.ledger.in_flight();
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        returns >= segments && self.tx.free(segments) >= segments
    }

    /// Lets the kernel take what it was given and collects what it is done with.
    #[cold]
    fn make_room(&mut self, segments: usize, arena: &mut CoreArena) -> bool {
        self.kick();
        self.reap(arena);
        self.has_room(segments)
    }

    /// Writes the descriptors of the first packet of `frames`, for which there is room.
    #[inline]
    fn stage_packet(&mut self, arena: &mut CoreArena, frames: &mut Burst, segments: usize) {
        // The kernel refuses a descriptor of no bytes, so an empty frame has none; the last one
        // with bytes ends the packet.
        let has_bytes = |frame: &memory::Frame| !frame.is_empty();
        let mut left = frames.iter().take(segments).filter(|frame| has_bytes(frame)).count();
        for _segment in 0..segments {
            let frame = frames.pop_front().expect("the packet was counted a moment ago");
            if !has_bytes(&frame) {
                arena.free(frame);
                continue;
            }
            left -= 1;
            let Stowed { index, offset, len } = arena.stow(frame);
            self.ledger.send(index);
            self.tx.stage(libc::xdp_desc {
                addr: self.umem.address(index, usize::from(offset)),
                len: u32::from(len),
                options: if left > 0 { libc::XDP_PKT_CONTD } else { 0 },
            });
        }
    }
}
