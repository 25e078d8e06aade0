//! The room for bytes of frames in a worker's lane, which all of its connections share.

use crate::limits::LANE_LEN;

/// What of it is taken, or given to somebody who will.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: usize,
    /// Somebody waits for some: nobody else gets any meanwhile.
    is_awaited: bool,
}

impl Room {
    /// Those who wait are asked anew, in their order.
    pub(super) fn begin_turn(&mut self) {
        self.is_awaited = false;
    }

    /// Whether there is some for `len` bytes, before which nobody waits. If not, somebody does.
    pub(super) fn has(&mut self, len: usize) -> bool {
        self.is_awaited |= !fits(self.taken, len, LANE_LEN);
        !self.is_awaited
    }

    /// Gives somebody room for `len` bytes, if there is some.
    pub(super) fn reserve(&mut self, len: usize, reserved: &mut usize) -> bool {
        let has_room = self.has(len);
        if has_room {
            self.take(len);
            *reserved += len;
        }
        has_room
    }

    /// So many bytes are put in.
    pub(super) fn take(&mut self, len: usize) {
        self.taken += len;
    }

    /// So many bytes were taken out.
    pub(super) fn free(&mut self, len: usize) {
        self.taken -= len;
    }

    /// How much is taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken
    }
}

/// Whether `len` bytes more are not too many; alone they never are.
pub(super) fn fits(taken: usize, len: usize, most: usize) -> bool {
    taken == 0 || taken + len <= most
}
