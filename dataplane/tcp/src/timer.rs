//! Every timer of TCP.
//!
//! | timer | where | what it does |
//! |---|---|---|
//! | retransmission (`rto_at`) | wheel, per busy connection | goes back to `snd_una` with a window of one segment |
//! | delayed ACK (`ack_at`) | wheel | sends the acknowledgement that nothing carried |
//! | probe (`probe_at`) | wheel | sends one byte into a closed window |
//! | user time-out (`due_at`) | wheel | resets a peer that takes too little, `user_timeout.rs` |
//! | quiet (`busy_at` + max(RTO, 200 ms)) | wheel | gives the extension back |
//! | SYN-ACK | FIFO per class, `half_open.rs` | sends it again, then forgets the peer |
//! | TIME-WAIT | ring, `time_wait.rs` | lets the tuple go |
//! | keep-alive, FIN-WAIT-2, idle | sweep over the records, `sweep.rs` | probes, gives up, tells |
//!
//! The wheel holds one entry per extension, at the earliest deadline or earlier: a deadline that
//! moves out is only stored, and the entry is filed again when it falls due.

use base::Instant;
use wire::tcp::Flags as Bits;

use crate::congestion;
use crate::connections::{CloseReason, Found, Tcp};
use crate::extension::{Busy, Extension, Links};
use crate::half_open::Expired;
use crate::limits::{RETRANSMITS_MAX, SYN_RETRANSMITS_MAX};
use crate::state::State;
use crate::{Conn, Cx, Reply};

/// What time has brought about.
#[derive(Clone, Copy, Debug)]
pub enum Due {
    /// A segment to send at once.
    Reply(Reply),
    /// A service that was refused room to send may try again.
    Writable(Conn),
    /// A connection has been idle for as long as its listener allows ([`Tcp::set_idle`]). It is told
    /// of again with every walk over the records for as long as it is.
    Idle(Conn),
    /// Something changed inside; there may be more.
    Handled,
}

impl Tcp {
    /// One thing that is due at `cx.now`; `None` when there is no more. The caller bounds how many
    /// it takes in one turn.
    pub fn poll_due(&mut self, cx: &mut Cx<'_>) -> Option<Due> {
        if let Some(at) = self.wheel.poll_expired(&mut Links(&mut self.extensions), cx.now) {
            self.extensions[at].armed_at = 0;
            return Some(self.handle_expired(cx, at));
        }
        if let Some(expired) = self.half_open.poll_expired(cx.now) {
            return Some(self.handle_half_open_expired(cx, expired));
        }
        if let Some(index) = self.time_wait.expired(cx.now) {
            let tuple = self.time_wait.entry(index).tuple();
            self.index_remove(&tuple, Found::TimeWait(index));
            self.time_wait.remove(index);
            return Some(Due::Handled);
        }
        self.poll_sweep(cx).or_else(|| self.poll_scarcity(cx))
    }

    /// When [`Tcp::poll_due`] should be called next, at the latest.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadlines = [
            self.wheel.next_deadline(),
            self.half_open.next_deadline(),
            self.time_wait.next_deadline(now),
            self.sweep_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Files the extension in the wheel if something falls due before the wheel would look.
    pub(crate) fn rearm(&mut self, at: u32) {
        self.arm(at, Self::quiet_at(&self.extensions[at]));
    }

    /// The same, with a time of its own for the look at whether the connection is quiet.
    fn arm(&mut self, at: u32, quiet_at: Instant) {
        let extension = &self.extensions[at];
        let earliest = [extension.rto_at, extension.ack_at, extension.probe_at, extension.due_at]
            .into_iter()
            .filter(|&deadline| deadline != 0)
            .min();
        let armed = extension.armed_at;
        let deadline = match (earliest, armed) {
            (Some(earliest), 0) => earliest.min(quiet_at.as_nanos()),
            (None, 0) => quiet_at.as_nanos(),
            (Some(earliest), armed) if earliest < armed => earliest,
            (Some(_) | None, _) => return,
        };
        self.extensions[at].armed_at = deadline;
        let when = Instant::from_nanos(deadline);
        self.wheel.arm(&mut Links(&mut self.extensions), at, when);
    }

    fn handle_expired(&mut self, cx: &mut Cx<'_>, at: u32) -> Due {
        let now = cx.now.as_nanos();
        let is_due = |deadline: u64| deadline != 0 && deadline <= now;
        let Extension { rto_at, ack_at, probe_at, due_at, record: index, .. } = self.extensions[at];
        if is_due(due_at)
            && let Some(reset) = self.on_stretch_over(cx, index, at)
        {
            return Due::Reply(reset);
        }
        if is_due(ack_at) {
            self.extensions[at].ack_at = 0;
            self.owe_ack_now(at);
        }
        if is_due(probe_at) && !self.on_probe_due(cx, index, at) {
            return Due::Handled;
        }
        if is_due(rto_at) && !self.on_timeout(cx, index, at) {
            return Due::Handled;
        }
        if self.is_quiet(at) && Self::quiet_at(&self.extensions[at]) <= cx.now {
            self.give_back(at);
            self.counters.extensions_returned += 1;
            return Due::Handled;
        }
        let extension = &self.extensions[at];
        let quiet_at = Self::quiet_at(extension);
        // Not quiet, and nothing has happened: looked at again after the same time. The time of
        // the last activity stays, for keep-alive goes by it.
        let again_at = cx.now + (quiet_at - Instant::from_nanos(extension.busy_at));
        self.arm(at, if quiet_at > cx.now { quiet_at } else { again_at });
        Due::Handled
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //# MUST-37: send the first zero-window probe when a zero window has existed for the
    //# retransmission timeout period, and SHOULD increase exponentially the interval
    //# As long as the receiving TCP endpoint continues to send acknowledgments in response to the
    //# probe segments, the sending TCP endpoint MUST allow the connection to stay open
    /// A probe is due. False if the peer has answered none for too long: it is given up.
    fn on_probe_due(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> bool {
        let now = cx.now;
        let extension = &mut self.extensions[at];
        if extension.backoff >= RETRANSMITS_MAX {
            self.counters.timed_out += 1;
            self.end(cx.arena, index, CloseReason::TimedOut);
            return false;
        }
        extension.probe_at = 0;
        extension.backoff += 1;
        extension.snd_ptr = extension.snd_una;
        extension.ptr_node = extension.send_head;
        extension.set(Busy::PROBE);
        extension.rto_at = 0;
        extension.probe_at = (now + crate::rtt::timeout(extension)).as_nanos();
        self.counters.window_probes += 1;
        self.mark_dirty(at);
        true
    }

    /// The retransmission timer ran out. False if the connection was given up.
    fn on_timeout(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> bool {
        let state = self.records[index].state();
        let is_opening = state < State::Established;
        let retries_max = if is_opening { SYN_RETRANSMITS_MAX } else { RETRANSMITS_MAX };
        if self.extensions[at].backoff >= retries_max {
            self.counters.timed_out += 1;
            self.end(cx.arena, index, CloseReason::TimedOut);
            return false;
        }
        self.counters.timeouts += 1;
        let snd_nxt = self.records[index].snd_nxt;
        let extension = &mut self.extensions[at];
        let is_first = extension.backoff == 0;
        extension.backoff += 1;
        extension.rto_at = 0;
        if is_opening {
            extension.set(Busy::SYN_OWED);
            self.mark_dirty(at);
            return true;
        }
        let in_flight = snd_nxt.wrapping_sub(extension.snd_una);
        let mss = u32::from(extension.mss);
        congestion::controller(extension).on_timeout(in_flight, mss, is_first);
        //= https://www.rfc-editor.org/rfc/rfc6582#section-4
        //# After a retransmit timeout, record the highest sequence number transmitted in recover
        extension.recover = snd_nxt;
        extension.clear(Busy::RECOVERY);
        extension.clear(Busy::RESEND_HEAD);
        extension.inflation = 0;
        extension.dup_acks = 0;
        extension.snd_ptr = extension.snd_una;
        extension.ptr_node = extension.send_head;
        self.mark_dirty(at);
        true
    }

    fn handle_half_open_expired(&mut self, cx: &mut Cx<'_>, expired: Expired) -> Due {
        match expired {
            Expired::Resend(index) => {
                let entry = self.half_open.entry(index);
                let (tuple, hop) = (entry.tuple(), entry.hop);
                let repr = self.syn_ack(cx, index);
                self.counters.syn_ack_retransmits += 1;
                self.counters.segments_out += 1;
                debug_assert!(repr.flags.contains(Bits::SYN), "a SYN-ACK has a SYN");
                Due::Reply(Reply { tuple, hop, repr })
            }
            Expired::Ended(index) => {
                self.drop_half_open(index);
                self.counters.half_open_expired += 1;
                Due::Handled
            }
        }
    }
}
