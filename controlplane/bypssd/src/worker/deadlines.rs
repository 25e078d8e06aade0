//! Connections that are to be done with something within a time: all of one kind have the same
//! time, so each kind is a queue. A half frame is looked at once in its time for as long as there is
//! one, so that a connection stands in its queue once, however many frames come.

use std::collections::VecDeque;

use base::{Duration, Instant};

use super::connection::Key;
use crate::limits::{HANDSHAKE, LINGER};

/// All kinds.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// How long a half frame may make no progress.
    partial: Duration,
    /// To have sent more of a half frame.
    partials: VecDeque<(Instant, Key)>,
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
    Partial(Key),
}

impl Deadlines {
    /// None yet, where a half frame may make no progress for so long.
    pub(super) fn new(partial: Duration) -> Self {
        let (partials, handshakes, ends) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { partial, partials, handshakes, ends }
    }

    /// A half frame begins, or has made progress.
    pub(super) fn partial(&mut self, key: Key, now: Instant) {
        self.partials.push_back((now + self.partial, key));
    }

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
        if is_due(&self.partials) {
            return self.partials.pop_front().map(|(_at, key)| Late::Partial(key));
        }
        None
    }

    /// When the next will be.
    pub(super) fn next(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, Key)>| queue.front().map(|(at, _)| *at);
        let firsts = [&self.handshakes, &self.ends, &self.partials].map(first);
        firsts.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_at_its_own_time() {
        let [first, second, third] = [0, 1, 2].map(|index| Key { index, generation: 0 });
        let start = Instant::from_nanos(7);
        let partial = HANDSHAKE + HANDSHAKE;
        let mut deadlines = Deadlines::new(partial);
        assert_eq!((deadlines.next(), deadlines.pop(start)), (None, None));
        deadlines.partial(third, start);
        deadlines.handshake(first, start);
        deadlines.end(second, start);
        assert_eq!((deadlines.next(), deadlines.pop(start)), (Some(start + LINGER), None));
        assert_eq!(deadlines.pop(start + LINGER), Some(Late::End(second)));
        assert_eq!(deadlines.pop(start + LINGER), None);
        assert_eq!(deadlines.pop(start + HANDSHAKE), Some(Late::Handshake(first)));
        assert_eq!(deadlines.next(), Some(start + partial));
        assert_eq!(deadlines.pop(start + partial), Some(Late::Partial(third)));
        assert_eq!(deadlines.next(), None);
    }
}
