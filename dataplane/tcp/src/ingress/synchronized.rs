//! Segments of a connection that both sides know: judged, then taken in step by step.

use memory::Frame;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr};

use super::judge::{Recent, Variables, Verdict, judge};
use super::listen::payload_len;
use super::{Arrival, Held, Outcome};
use crate::connections::{CloseReason, Tcp};
use crate::counters::DropReason;
use crate::extension::Busy;
use crate::limits::TS_RECENT_AGE_S;
use crate::record::Flags;
use crate::state::{Event, State};
use crate::{Cx, Reply};

impl Tcp {
    /// A segment for a connection record.
    pub(super) fn handle_known(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let mut arrival = *arrival;
        match (self.records[index].state(), self.extension_of(index)) {
            (State::Closed, _) => {
                return self.discard(cx, payload, DropReason::NoConnection);
            }
            (State::SynSent, Some(at)) => {
                return self.handle_syn_sent(cx, index, at, &arrival, payload);
            }
            (State::SynReceived, _) => self.uncross(index, &mut arrival.repr),
            (_, _) => {}
        }
        let verdict = judge(&self.variables(cx, index), &arrival.repr, payload_len(&payload));
        match verdict {
            Verdict::Accept => self.accept(cx, index, &arrival, payload),
            Verdict::Drop(reason) => self.discard(cx, payload, reason),
            Verdict::Acknowledge(reason) => {
                let mut outcome = self.discard(cx, payload, reason);
                outcome.reply = self.tell(cx, index);
                outcome
            }
            Verdict::Challenge(reason) => {
                if !self.challenges.allow(arrival.hash, cx.now) {
                    return self.discard(cx, payload, DropReason::ChallengeBudget);
                }
                self.counters.challenge_acks += 1;
                let repr = self.acknowledgement(cx, index);
                self.refuse(cx, &arrival, payload, reason, repr)
            }
            Verdict::Reset if self.is_over(index) => {
                self.discard(cx, payload, DropReason::RstInTimeWait)
            }
            Verdict::Reset => {
                cx.arena.free(payload);
                self.counters.resets_received += 1;
                self.end(cx.arena, index, CloseReason::PeerReset);
                Outcome::default()
            }
        }
    }

    /// Both directions have ended and are acknowledged; only the service has yet to read. This is
    /// TIME-WAIT already, or CLOSED, and nothing that arrives takes away what was received.
    //= https://www.rfc-editor.org/rfc/rfc1337#section-3
    //# (F1) Ignore RST segments in TIME-WAIT state.
    fn is_over(&self, index: u32) -> bool {
        self.extension_of(index).is_some_and(|at| self.extensions[at].has(Busy::REST_OWED))
    }

    /// The peer's SYN-ACK of a simultaneous open counts as the acknowledgement it carries.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.5
    //# Figure 8: Simultaneous Connection Synchronization, line 6
    fn uncross(&self, index: u32, repr: &mut Repr) {
        let is_theirs = repr.seq + 1 == SeqNum(self.records[index].rcv_nxt);
        if is_theirs && repr.flags.contains(Bits::SYN | Bits::ACK) {
            repr.flags.remove(Bits::SYN);
            repr.seq += 1;
        }
    }

    /// What the connection knows, from its record or from its extension.
    fn variables(&self, cx: &Cx<'_>, index: u32) -> Variables {
        let record = &self.records[index];
        let rcv_nxt = SeqNum(record.rcv_nxt);
        let snd_nxt = SeqNum(record.snd_nxt);
        let (rcv_edge, snd_una, snd_wnd_max, recent_at_s) = match self.extension_of(index) {
            Some(at) => {
                let extension = &self.extensions[at];
                let edge = SeqNum(extension.rcv_edge);
                let una = SeqNum(extension.snd_una);
                (edge, una, extension.snd_wnd_max, extension.ts_recent_at_s)
            }
            None => {
                let window = u32::from(record.snd_wnd) << record.send_scale();
                (record.quiet_edge(), snd_nxt, window, record.extension)
            }
        };
        let timestamps = record.has(Flags::TIMESTAMPS).then(|| Recent {
            value: record.ts_recent,
            is_expired: cx.now.as_secs_wrapped().wrapping_sub(recent_at_s) > TS_RECENT_AGE_S,
        });
        Variables { rcv_nxt, rcv_edge, snd_una, snd_nxt, snd_wnd_max, timestamps }
    }

    /// Tells the peer where we stand: by the next burst if the connection is busy, else at once.
    fn tell(&mut self, cx: &Cx<'_>, index: u32) -> Option<Reply> {
        if let Some(at) = self.extension_of(index) {
            self.extensions[at].set(Busy::ACK_NOW);
            self.mark_dirty(at);
            return None;
        }
        let record = &mut self.records[index];
        record.touch(cx.now);
        let (tuple, hop) = (record.tuple(), record.hop);
        self.counters.segments_out += 1;
        Some(Reply { tuple, hop, repr: self.acknowledgement(cx, index) })
    }

    /// An acceptable segment with an acceptable acknowledgement.
    fn accept(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let Repr { ack, flags, .. } = arrival.repr;
        let record = &self.records[index];
        let has_text = !payload.is_empty() || flags.contains(Bits::FIN);
        if !record.has(Flags::BUSY) && !has_text {
            // A quiet record answers for itself: a window update, an echo of a keep-alive probe.
            cx.arena.free(payload);
            self.accept_quietly(cx, index, arrival);
            return Outcome { conn: Some(self.conn(index)), ..Outcome::default() };
        }
        if has_text && self.nodes.used() >= self.nodes.capacity() {
            return self.discard(cx, payload, DropReason::NoNode);
        }
        let Some(at) = self.busy(index, cx.now) else {
            return self.discard(cx, payload, DropReason::NoExtension);
        };
        let mut outcome = Outcome::default();
        if self.records[index].state() == State::SynReceived {
            if ack != SeqNum(self.records[index].snd_nxt) {
                let reset = Self::reset_for(arrival, payload_len(&payload));
                return self.refuse(cx, arrival, payload, DropReason::AckUnacceptable, reset);
            }
            outcome = self.acked_syn(cx, index, at);
        }
        let held = Held { index, at };
        self.extensions[at].busy_at = cx.now.as_nanos();
        self.records[index].set_probes_sent(0);
        self.records[index].hop = arrival.hop;
        self.note_timestamp(cx, index, at, arrival);
        if !self.handle_ack(cx, held, arrival, payload.len(), &mut outcome) {
            cx.arena.free(payload);
            return outcome;
        }
        outcome.conn = Some(self.conn(index));
        self.handle_text(cx, held, arrival, payload, &mut outcome);
        // The connection may be gone by now; its extension with it.
        if self.extension_of(index) == Some(at) {
            self.rearm(at);
        }
        outcome
    }

    /// The acknowledgement that ends a simultaneous open.
    fn acked_syn(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Outcome {
        let extension = &mut self.extensions[at];
        extension.snd_una = self.records[index].snd_nxt;
        extension.snd_ptr = extension.snd_una;
        extension.recover = extension.snd_una;
        extension.ptr_node = extension.send_head;
        extension.backoff = 0;
        extension.rto_at = 0;
        extension.clear(Busy::SYN_OWED);
        self.opened(cx, index, at)
    }

    fn accept_quietly(&mut self, cx: &Cx<'_>, index: u32, arrival: &Arrival) {
        let record = &mut self.records[index];
        if SeqNum(record.snd_nxt) == arrival.repr.ack {
            record.snd_wnd = arrival.repr.window;
        }
        if let Some(timestamps) = arrival.repr.options.timestamps
            && record.has(Flags::TIMESTAMPS)
            && SeqNum(timestamps.value).is_at_or_after(SeqNum(record.ts_recent))
        {
            record.ts_recent = timestamps.value;
        }
        record.hop = arrival.hop;
        record.touch(cx.now);
    }

    //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
    //# (2) If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is copied to
    //# TS.Recent
    fn note_timestamp(&mut self, cx: &Cx<'_>, index: u32, at: u32, arrival: &Arrival) {
        let record = &mut self.records[index];
        let extension = &mut self.extensions[at];
        let Some(timestamps) = arrival.repr.options.timestamps else {
            return;
        };
        if record.has(Flags::TIMESTAMPS)
            && SeqNum(timestamps.value).is_at_or_after(SeqNum(record.ts_recent))
            && arrival.repr.seq.is_at_or_before(SeqNum(extension.rcv_acked))
        {
            record.ts_recent = timestamps.value;
            extension.ts_recent_at_s = cx.now.as_secs_wrapped();
        }
    }

    /// Our FIN is acknowledged. False if that was the end of the connection.
    pub(super) fn acked_fin(&mut self, cx: &mut Cx<'_>, index: u32) -> bool {
        self.apply(cx.arena, index, Event::FinAcked);
        self.records[index].state() != State::Closed
    }
}
