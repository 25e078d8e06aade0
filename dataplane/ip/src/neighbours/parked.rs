//! Frames that wait for a neighbour's Ethernet address.

use memory::Stowed;

use super::HopIndex;
use crate::limits::PARKED_PER_NEIGHBOUR;

/// A parked frame that waits no longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Released {
    /// Its neighbour is known: fill in the destination and send it.
    Send(Stowed),
    /// Its neighbour did not answer: release it.
    Failed(Stowed),
}

/// The frames of one neighbour, oldest first.
#[derive(Clone, Copy, Debug)]
struct Slot {
    frames: [Stowed; PARKED_PER_NEIGHBOUR],
    count: u8,
    outcome: Outcome,
    next: HopIndex,
}

/// Whether the frames of a slot are to leave, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Waiting,
    Send,
    Failed,
}

/// The frames of all neighbours.
#[derive(Debug)]
pub(super) struct Parked {
    slots: Vec<Slot>,
    count: u16,
    count_max: u16,
    /// The neighbours whose frames are to leave, linked through `Slot::next`.
    head: HopIndex,
    tail: HopIndex,
}

impl Parked {
    pub(super) fn new(neighbours_max: u16, count_max: u16) -> Self {
        let slot = Slot {
            frames: [Stowed { index: 0, offset: 0, len: 0 }; PARKED_PER_NEIGHBOUR],
            count: 0,
            outcome: Outcome::Waiting,
            next: HopIndex::NONE,
        };
        Self {
            slots: vec![slot; usize::from(neighbours_max)],
            count: 0,
            count_max,
            head: HopIndex::NONE,
            tail: HopIndex::NONE,
        }
    }

    /// Whether frames of this neighbour are here, waiting or about to leave.
    pub(super) fn has_frames(&self, hop: HopIndex) -> bool {
        self.slots[hop.as_usize()].count > 0
    }

    /// Keeps a frame; gives back the neighbour's oldest if it has its share already, or the frame
    /// itself if there is no room at all or older ones are about to leave.
    pub(super) fn park(&mut self, hop: HopIndex, frame: Stowed) -> Option<Stowed> {
        let slot = &mut self.slots[hop.as_usize()];
        if slot.outcome != Outcome::Waiting {
            return Some(frame);
        }
        //= https://www.rfc-editor.org/rfc/rfc4861#section-7.2.2
        //# the new arrival SHOULD replace the oldest entry
        if usize::from(slot.count) == PARKED_PER_NEIGHBOUR {
            let oldest = slot.frames[0];
            slot.frames.rotate_left(1);
            slot.frames[PARKED_PER_NEIGHBOUR - 1] = frame;
            return Some(oldest);
        }
        if self.count == self.count_max {
            return Some(frame);
        }
        slot.frames[usize::from(slot.count)] = frame;
        slot.count += 1;
        self.count += 1;
        None
    }

    /// Lets the frames of a neighbour leave, to be sent or to be dropped.
    pub(super) fn release(&mut self, hop: HopIndex, is_known: bool) {
        let slot = &mut self.slots[hop.as_usize()];
        if slot.count == 0 || slot.outcome != Outcome::Waiting {
            return;
        }
        slot.outcome = if is_known { Outcome::Send } else { Outcome::Failed };
        slot.next = HopIndex::NONE;
        match self.slots.get_mut(self.tail.as_usize()) {
            Some(last) => last.next = hop,
            None => self.head = hop,
        }
        self.tail = hop;
    }

    /// The next frame that leaves.
    #[inline]
    pub(super) fn poll_released(&mut self) -> Option<(HopIndex, Released)> {
        let hop = self.head;
        let slot = self.slots.get_mut(hop.as_usize())?;
        let frame = slot.frames[0];
        let released = match slot.outcome {
            Outcome::Send => Released::Send(frame),
            Outcome::Failed | Outcome::Waiting => Released::Failed(frame),
        };
        slot.frames.rotate_left(1);
        slot.count -= 1;
        self.count -= 1;
        if slot.count == 0 {
            slot.outcome = Outcome::Waiting;
            self.head = slot.next;
            if self.head == HopIndex::NONE {
                self.tail = HopIndex::NONE;
            }
        }
        Some((hop, released))
    }
}
