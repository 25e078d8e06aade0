//! What waits to leave on one connection: answers and pushes as whole frames in their order.
//!
//! There are two buffers. One is being sent, front to back; the other takes what is new, and its
//! last push takes more items until the first is empty and they change places. That makes batches
//! without a delay, and nothing is moved. How much of it is pushes is known, since only those are
//! bounded here; answers hold back the requests instead. A connection with nothing to send has no
//! buffer at all: buffers come from a few that all connections share, and go back there.

#[cfg(test)]
mod tests;

use protocol::{
    Event, Flush, Gone, Granted, Leaving, Limits, Message, PushBuffer, messages_unsent,
};

use crate::limits::{SPARE_LEN_MAX, SPARES_MAX};

/// Buffers that nobody uses at the moment. The one used last comes first: it is in the cache.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    buffers: Vec<Vec<u8>>,
}

impl Spares {
    fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    fn put(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= SPARE_LEN_MAX && self.buffers.len() < SPARES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

/// One push.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pushed<'a> {
    Message(Message<'a>),
    Granted(u64, Granted<'a>),
    Gone(u64, Gone<'a>),
    Flush(Flush),
    Leaving(Leaving<'a>),
    Event(u32, Event<'a>),
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Outbox {
    sending: Vec<u8>,
    /// Bytes at the front of it that have left.
    sent: usize,
    /// Bytes of pushes that it had when it came.
    sending_pushes: usize,
    waiting: PushBuffer,
    waiting_pushes: usize,
    /// `waiting` has no memory of its own.
    is_bare: bool,
}

impl Outbox {
    /// An empty one for a connection of these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            sending: Vec::new(),
            sent: 0,
            sending_pushes: 0,
            waiting: PushBuffer::new(limits),
            waiting_pushes: 0,
            is_bare: true,
        }
    }

    /// What is to leave next.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.sending[self.sent..]
    }

    /// All that waits, in its order. The last push takes no more items.
    #[cfg(test)]
    pub(crate) fn peek(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.sending[self.sent..]);
        into.extend_from_slice(self.waiting.sealed());
    }

    /// Messages that wait, or of which only a part has left.
    pub(crate) fn messages_unsent(&mut self) -> u64 {
        messages_unsent(&self.sending, self.sent) + messages_unsent(self.waiting.sealed(), 0)
    }

    /// Whether nothing is to leave, now or later.
    pub(crate) fn is_empty(&self) -> bool {
        self.outgoing().is_empty() && self.waiting.is_empty()
    }

    /// Bytes that wait and are pushes, at most: of a buffer that is being sent the pushes count as
    /// the last to leave.
    #[inline]
    pub(crate) fn pushes_len(&self) -> usize {
        self.sending_pushes.min(self.sending.len() - self.sent) + self.waiting_pushes
    }

    /// Bytes that wait and are answers, at most.
    pub(crate) fn answers_len(&self) -> usize {
        let answers = self.sending.len() - self.sending_pushes;
        answers.min(self.sending.len() - self.sent) + self.waiting.len() - self.waiting_pushes
    }

    /// Appends an answer, which is what `write` appends, whole frames.
    #[inline]
    pub(crate) fn answer(&mut self, spares: &mut Spares, write: impl FnOnce(&mut Vec<u8>)) {
        self.dress(spares);
        write(self.waiting.frames());
    }

    /// Appends a push; the last frame takes it if it is of the same kind.
    #[inline]
    pub(crate) fn push(&mut self, spares: &mut Spares, pushed: Pushed<'_>) {
        self.dress(spares);
        let before = self.waiting.len();
        match pushed {
            Pushed::Message(message) => self.waiting.message(message),
            Pushed::Granted(notice, granted) => self.waiting.grant(notice, granted),
            Pushed::Gone(notice, gone) => self.waiting.port_gone(notice, gone),
            Pushed::Flush(flush) => self.waiting.flush(flush),
            Pushed::Leaving(leaving) => self.waiting.leaving(leaving),
            Pushed::Event(watch, event) => self.waiting.event(watch, event),
        }
        self.waiting_pushes += self.waiting.len() - before;
    }

    /// Shows what waits, if nothing is being sent.
    pub(crate) fn turn(&mut self, spares: &mut Spares) {
        if self.sent < self.sending.len() || self.waiting.is_empty() {
            return;
        }
        let sending = self.waiting.take(Vec::new());
        spares.put(std::mem::replace(&mut self.sending, sending));
        self.sent = 0;
        self.sending_pushes = std::mem::take(&mut self.waiting_pushes);
        self.is_bare = true;
    }

    /// `len` bytes have left.
    pub(crate) fn handle_sent(&mut self, len: usize, spares: &mut Spares) {
        let left = self.sending.len() - self.sent;
        assert!(len <= left, "{len} bytes were sent of {left}");
        self.sent += len;
        if self.sent == self.sending.len() {
            spares.put(std::mem::take(&mut self.sending));
            (self.sent, self.sending_pushes) = (0, 0);
            self.turn(spares);
        }
    }

    /// Drops everything; the connection is gone.
    pub(crate) fn clear(&mut self, spares: &mut Spares) {
        spares.put(std::mem::take(&mut self.sending));
        spares.put(self.waiting.take(Vec::new()));
        (self.sent, self.sending_pushes, self.waiting_pushes) = (0, 0, 0);
        self.is_bare = true;
    }

    #[inline]
    fn dress(&mut self, spares: &mut Spares) {
        if self.is_bare {
            // What it gives back is the buffer without memory that it had.
            let bare = self.waiting.take(spares.take());
            debug_assert!(bare.is_empty(), "{} bytes waited in a bare buffer", bare.len());
            self.is_bare = false;
        }
    }
}
