//! The user time-out: how slowly a peer may take what is sent to it before it is given up.
//!
//! Retransmissions bound how long a peer may be silent, and nothing else: one that shuts its window
//! and answers every probe may do so for ever, and what is queued for it lies in frames meanwhile.
//! So time is cut into *stretches*. One begins when the first byte begins to wait; at its end the
//! peer must have acknowledged what waited at its beginning, or as many bytes as the listener asks
//! for, if more than that waited. Then the next stretch begins, if something waits.
//!
//! A stretch is a number and a time in the extension. Nothing is filed for it: the wheel looks at a
//! connection with something in flight anyway.

use base::{Duration, Instant};
use wire::SeqNum;

use crate::connections::{CloseReason, Tcp};
use crate::{Cx, Reply};

/// How slowly a peer may take what is sent to it.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//# MUST-21 ... An application MUST be able to set the value for R2 for a particular connection
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTimeout {
    /// The length of a stretch.
    pub stretch: Duration,
    /// Bytes that are acknowledged in a stretch at least, if so many waited at its beginning.
    /// Zero counts as one: then it is the plain user time-out of RFC 5482.
    pub acked_min: u32,
}

impl Tcp {
    /// The terms of a record's listener; `None` for a connection that we opened.
    fn user_timeout(&self, index: u32) -> Option<UserTimeout> {
        self.listeners.entry(self.records[index].listener)?.options.user_timeout
    }

    /// Something is queued: a stretch begins if none has and something waits.
    pub(crate) fn begin_stretch(&mut self, now: Instant, at: u32) {
        let extension = &self.extensions[at];
        let waiting = extension.send_limit().wrapping_sub(extension.snd_una);
        if extension.due_at != 0 || waiting == 0 {
            return;
        }
        let Some(UserTimeout { stretch, acked_min }) = self.user_timeout(extension.record) else {
            return;
        };
        let extension = &mut self.extensions[at];
        extension.due_una = extension.snd_una.wrapping_add(waiting.min(acked_min.max(1)));
        extension.due_at = (now + stretch).as_nanos();
    }

    /// A stretch is over. Returns the reset of a peer that has not taken enough in it.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
    //# USER TIMEOUT ... flush all queues, signal the user ... delete the TCB, enter the CLOSED state
    pub(crate) fn on_stretch_over(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        at: u32,
    ) -> Option<Reply> {
        let extension = &mut self.extensions[at];
        extension.due_at = 0;
        let is_kept = SeqNum(extension.due_una).is_at_or_before(SeqNum(extension.snd_una));
        if is_kept || self.user_timeout(index).is_none() {
            self.begin_stretch(cx.now, at);
            return None;
        }
        self.counters.user_timeouts += 1;
        Some(self.reset_and_end(cx, index, CloseReason::UserTimeout))
    }

    /// Ends a connection at once, and says so to its peer, which may well be there.
    pub(crate) fn reset_and_end(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        reason: CloseReason,
    ) -> Reply {
        let record = &self.records[index];
        let reply = Reply { tuple: record.tuple(), hop: record.hop, repr: self.reset(index) };
        self.counters.segments_out += 1;
        self.counters.resets_sent += 1;
        self.end(cx.arena, index, reason);
        reply
    }
}
