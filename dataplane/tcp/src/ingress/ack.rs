//! The acknowledgement of a segment: what it frees, what it says of the path, what it opens.

use base::{Duration, Instant, NIL};
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr};

use super::{Arrival, Held, Outcome};
use crate::congestion::{self, Acked};
use crate::connections::Tcp;
use crate::extension::Busy;
use crate::limits::{DUP_ACKS, PROBE_BACKOFF_ANSWERED, TS_ECHO_AGE_MAX_MS};
use crate::node::Node;
use crate::record::Flags;
use crate::{Cx, rtt};

impl Tcp {
    /// Takes in the acknowledgement and the window. False if the connection is over.
    pub(super) fn handle_ack(
        &mut self,
        cx: &mut Cx<'_>,
        held: Held,
        arrival: &Arrival,
        payload_len: usize,
        outcome: &mut Outcome,
    ) -> bool {
        let Held { index, at } = held;
        let ack = arrival.repr.ack;
        let una = SeqNum(self.extensions[at].snd_una);
        let window_before = self.extensions[at].snd_wnd;
        self.update_window(index, at, &arrival.repr);
        if self.extensions[at].probe_at != 0 {
            // The peer lives: only probes without an answer count towards giving it up.
            let backoff = self.extensions[at].backoff;
            self.extensions[at].backoff = backoff.min(PROBE_BACKOFF_ANSWERED);
        }
        if ack.is_after(una) {
            let is_fin_acked = self.acknowledge(cx, held, &arrival.repr);
            self.offer_room(index, at, outcome);
            outcome.has_progress = true;
            if is_fin_acked {
                return self.acked_fin(cx, index);
            }
        } else if ack == una && payload_len == 0 {
            let is_bare = !arrival.repr.flags.intersects(Bits::FIN | Bits::SYN)
                && self.extensions[at].snd_wnd == window_before;
            // What answers a probe of a shut window repeats itself, and nothing is lost.
            let is_probing = self.extensions[at].probe_at != 0;
            if is_bare && !is_probing && self.extensions[at].in_flight() > 0 {
                self.duplicate_ack(cx, index, at);
            }
        }
        let extension = &self.extensions[at];
        if extension.snd_ptr != extension.send_limit() {
            self.mark_dirty(at);
        }
        true
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND
    fn update_window(&mut self, index: u32, at: u32, repr: &Repr) {
        let &Repr { seq, ack, window, .. } = repr;
        let scale = self.records[index].send_scale();
        let extension = &mut self.extensions[at];
        let (wl1, wl2) = (SeqNum(extension.snd_wl1), SeqNum(extension.snd_wl2));
        let is_newer = wl1.is_before(seq) || (wl1 == seq && wl2.is_at_or_before(ack));
        // What acknowledges new data is newer too, though it be a segment that was sent again: the
        // window it names begins there, and an older one would reach too far from there.
        let una = SeqNum(extension.snd_una);
        if !(is_newer || ack.is_after(una)) || ack.is_before(una) {
            return;
        }
        extension.snd_wnd = u32::from(window) << scale;
        extension.snd_wnd_max = extension.snd_wnd_max.max(extension.snd_wnd);
        extension.snd_wl1 = seq.0;
        extension.snd_wl2 = ack.0;
        if extension.probe_at != 0 && extension.snd_wnd > 0 {
            // The window is open again. A probe byte that was not taken is sent again at once.
            extension.probe_at = 0;
            extension.backoff = 0;
            extension.clear(Busy::PROBE);
            extension.snd_ptr = extension.snd_una;
            extension.ptr_node = extension.send_head;
        }
    }

    /// New data is acknowledged up to `ack`. True if our FIN is among it.
    fn acknowledge(&mut self, cx: &mut Cx<'_>, held: Held, repr: &Repr) -> bool {
        let Held { index, at } = held;
        let ack = repr.ack;
        let snd_nxt = SeqNum(self.records[index].snd_nxt);
        let in_flight = snd_nxt.since(SeqNum(self.extensions[at].snd_una));
        let sample = match self.release_acked(cx, at, ack) {
            Sample::Measured(us) => Some(us),
            Sample::None => None,
            Sample::Ambiguous { resent_at_us } => {
                let since_us = now_us(cx.now).wrapping_sub(resent_at_us);
                self.echoed_sample(cx, held, repr).filter(|&us| us <= since_us + 1_000)
            }
        };
        let extension = &mut self.extensions[at];
        let bytes = ack.since(SeqNum(extension.snd_una));
        extension.snd_una = ack.0;
        if SeqNum(extension.snd_ptr).is_at_or_before(ack) {
            extension.snd_ptr = ack.0;
            extension.ptr_node = extension.send_head;
        }
        extension.backoff = 0;
        extension.dup_acks = 0;
        extension.moved_ms = cx.now.as_millis_wrapped();
        if ack.0 == extension.send_limit() {
            extension.due_at = 0;
        }
        if let Some(sample_us) = sample {
            rtt::on_sample(extension, sample_us);
        }
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.2) When all outstanding data has been acknowledged, turn off the retransmission timer
        //# (5.3) When an ACK is received that acknowledges new data, restart the timer
        extension.rto_at =
            if ack == snd_nxt { 0 } else { (cx.now + rtt::timeout(extension)).as_nanos() };
        let acked = Acked {
            now: cx.now,
            bytes,
            in_flight,
            rtt: sample.map(|us| Duration::from_micros(u64::from(us))),
            is_cwnd_limited: extension.has(Busy::CWND_LIMITED),
            mss: u32::from(extension.mss),
        };
        self.after_new_ack(at, ack, snd_nxt, &acked);
        let extension = &self.extensions[at];
        extension.has(Busy::FIN_SENT) && ack.0 == extension.send_limit()
    }

    /// Recovery goes on or ends; outside of it the window may grow.
    fn after_new_ack(&mut self, at: u32, ack: SeqNum, snd_nxt: SeqNum, acked: &Acked) {
        let extension = &mut self.extensions[at];
        if !extension.has(Busy::RECOVERY) {
            extension.clear(Busy::CWND_LIMITED);
            congestion::controller(extension).on_acked(acked);
            return;
        }
        if ack.is_at_or_after(SeqNum(extension.recover)) {
            //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
            //# If this ACK acknowledges all of the data up to and including recover ... exit
            extension.clear(Busy::RECOVERY);
            extension.clear(Busy::RESEND_HEAD);
            extension.inflation = 0;
            let in_flight = snd_nxt.since(ack);
            congestion::controller(extension).on_recovered(in_flight, acked.mss, acked.now);
        } else {
            //# Partial acknowledgment: retransmit the first unacknowledged segment. Deflate the
            //# congestion window by the amount of new data acknowledged
            extension.set(Busy::RESEND_HEAD);
            let deflated = extension.inflation.saturating_sub(acked.bytes);
            let regained = if acked.bytes >= acked.mss { acked.mss } else { 0 };
            extension.inflation = deflated + regained;
        }
    }

    /// The round-trip time that the peer's echo of our timestamp tells, in microseconds. The
    /// caller takes it only if the echo is of the retransmission: an older one measures how long
    /// an acknowledgement that was lost had to be waited for, which is no property of the path.
    //= https://www.rfc-editor.org/rfc/rfc7323#section-4.1
    //# RTTM: a TSecr value received in a segment MAY be used to update the averaged RTT if the
    //# segment advances the left edge of the send window
    fn echoed_sample(&self, cx: &Cx<'_>, held: Held, repr: &Repr) -> Option<u32> {
        let Held { index, at } = held;
        let timestamps = repr.options.timestamps?;
        if !self.records[index].has(Flags::TIMESTAMPS) {
            return None;
        }
        let sent_ms = timestamps.echo.wrapping_sub(self.extensions[at].ts_offset);
        let elapsed_ms = cx.now.as_millis_wrapped().wrapping_sub(sent_ms);
        // An echo that is not of our clock, or nonsense, measures nothing.
        (elapsed_ms < TS_ECHO_AGE_MAX_MS).then(|| elapsed_ms.max(1) * 1_000)
    }

    /// Frees the nodes that lie below `ack`, and measures the round-trip time by them.
    fn release_acked(&mut self, cx: &mut Cx<'_>, at: u32, ack: SeqNum) -> Sample {
        let mut sample = Sample::None;
        loop {
            let head = self.extensions[at].send_head;
            if head == NIL {
                return sample;
            }
            let Node { next, seq, frame, sent_at_us, sends, .. } = self.nodes[head];
            let end = SeqNum(self.nodes[head].end());
            if end.is_after(ack) {
                let done = ack.since(SeqNum(seq));
                if ack.is_after(SeqNum(seq)) {
                    let node = &mut self.nodes[head];
                    node.frame.trim_front(done as usize);
                    node.seq = ack.0;
                }
                return sample;
            }
            //= https://www.rfc-editor.org/rfc/rfc6298#section-3
            //# RTT samples MUST NOT be made using segments that were retransmitted
            // One that was is enough: what follows it may have waited for it at the receiver.
            sample = match sample {
                Sample::Ambiguous { resent_at_us } => Sample::Ambiguous { resent_at_us },
                Sample::None | Sample::Measured(_) if sends > 1 => {
                    Sample::Ambiguous { resent_at_us: sent_at_us }
                }
                Sample::None | Sample::Measured(_) => {
                    Sample::Measured(now_us(cx.now).wrapping_sub(sent_at_us))
                }
            };
            cx.arena.release(frame);
            self.nodes.free(head);
            let extension = &mut self.extensions[at];
            extension.frames -= 1;
            extension.send_head = next;
            if next == NIL {
                extension.send_tail = NIL;
            }
            if extension.ptr_node == head {
                extension.ptr_node = next;
            }
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //# The fast retransmit algorithm uses the arrival of 3 duplicate ACKs
    fn duplicate_ack(&mut self, cx: &Cx<'_>, index: u32, at: u32) {
        self.counters.duplicate_acks += 1;
        let snd_nxt = SeqNum(self.records[index].snd_nxt);
        let extension = &mut self.extensions[at];
        let mss = u32::from(extension.mss);
        if extension.has(Busy::RECOVERY) {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //# 4. For each additional duplicate ACK received, cwnd MUST be incremented by SMSS
            let cap = extension.snd_wnd.max(mss);
            extension.inflation = extension.inflation.saturating_add(mss).min(cap);
            self.mark_dirty(at);
            return;
        }
        extension.dup_acks = extension.dup_acks.saturating_add(1);
        //= https://www.rfc-editor.org/rfc/rfc6582#section-3.2
        //# If the Cumulative Acknowledgment field covers more than recover, enter fast retransmit
        let una = SeqNum(extension.snd_una);
        if extension.dup_acks < DUP_ACKS || una.is_before(SeqNum(extension.recover)) {
            return;
        }
        extension.dup_acks = 0;
        extension.recover = snd_nxt.0;
        extension.set(Busy::RECOVERY);
        extension.set(Busy::RESEND_HEAD);
        extension.inflation = u32::from(DUP_ACKS) * mss;
        congestion::controller(extension).on_loss(snd_nxt.since(una), mss, cx.now);
        self.counters.fast_retransmits += 1;
        self.mark_dirty(at);
    }

    /// Tells a service that was refused room that there is some again.
    fn offer_room(&mut self, index: u32, at: u32, outcome: &mut Outcome) {
        if !self.records[index].has(Flags::WANTS_WRITE) {
            return;
        }
        let extension = &self.extensions[at];
        let queued = extension.snd_end.wrapping_sub(extension.snd_una);
        if queued <= self.config.send_len_max / 2 {
            self.records[index].set(Flags::WANTS_WRITE, false);
            outcome.is_writable = true;
        }
    }
}

/// What an acknowledgement says of the round-trip time.
enum Sample {
    /// No segment was acknowledged whole.
    None,
    /// Microseconds since the last segment it covers was sent.
    Measured(u32),
    /// One of the segments was sent again: only timestamps can tell which was acknowledged.
    Ambiguous {
        /// When that one was last sent, in microseconds, wrapped.
        resent_at_us: u32,
    },
}

fn now_us(now: Instant) -> u32 {
    now.as_micros_wrapped()
}
