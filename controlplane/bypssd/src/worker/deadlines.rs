//! Connections that are to be done with something within a time: all of one kind have the same
//! time, so each kind is a queue.

use std::collections::VecDeque;

use base::Instant;

use super::connection::Key;
use crate::limits::{HANDSHAKE, LINGER};

/// Both kinds.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// To have agreed on TLS.
    handshakes: VecDeque<(Instant, Key)>,
    /// To be gone, after there is nothing more to say.
    ends: VecDeque<(Instant, Key)>,
}

/// Who is late, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Handshake(Key),
    End(Key),
}

impl Deadlines {
    /// A handshake begins.
    pub(super) fn handshake(&mut self, key: Key, now: Instant) {
        self.handshakes.push_back((now + HANDSHAKE, key));
    }

    /// An end begins.
    pub(super) fn end(&mut self, key: Key, now: Instant) {
        self.ends.push_back((now + LINGER, key));
    }

    /// The next whose time is over, whether it was done in time or not.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Late> {
        let is_due =
            |queue: &VecDeque<(Instant, Key)>| queue.front().is_some_and(|(at, _)| *at <= now);
        if is_due(&self.handshakes) {
            return self.handshakes.pop_front().map(|(_at, key)| Late::Handshake(key));
        }
        if is_due(&self.ends) {
            return self.ends.pop_front().map(|(_at, key)| Late::End(key));
        }
        None
    }

    /// When the next will be.
    pub(super) fn next(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, Key)>| queue.front().map(|(at, _)| *at);
        [first(&self.handshakes), first(&self.ends)].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_at_its_own_time() {
        let [first, second] = [0, 1].map(|index| Key { index, generation: 0 });
        let start = Instant::from_nanos(7);
        let mut deadlines = Deadlines::default();
        assert_eq!((deadlines.next(), deadlines.pop(start)), (None, None));
        deadlines.handshake(first, start);
        deadlines.end(second, start);
        assert_eq!((deadlines.next(), deadlines.pop(start)), (Some(start + LINGER), None));
        assert_eq!(deadlines.pop(start + LINGER), Some(Late::End(second)));
        assert_eq!(deadlines.pop(start + LINGER), None);
        assert_eq!(deadlines.pop(start + HANDSHAKE), Some(Late::Handshake(first)));
        assert_eq!(deadlines.next(), None);
    }
}
