//! Segments for a tuple that rests: acknowledged again, reopened (RFC 6191), or dropped (RFC 1337).

use memory::Frame;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr, Timestamps};

use super::{Arrival, Outcome};
use crate::Cx;
use crate::connections::{Found, Tcp};
use crate::counters::DropReason;
use crate::time_wait::Rest;

impl Tcp {
    pub(super) fn handle_time_wait(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let flags = arrival.repr.flags;
        //= https://www.rfc-editor.org/rfc/rfc1337#section-3
        //# (F1) Ignore RST segments in TIME-WAIT state.
        if flags.contains(Bits::RST) {
            return self.discard(cx, payload, DropReason::RstInTimeWait);
        }
        if flags & (Bits::SYN | Bits::ACK | Bits::FIN) == Bits::SYN {
            if let Some(listener) = self.may_reopen(index, arrival) {
                return self.reopen(cx, index, listener, arrival, payload);
            }
            return self.answer_resting(cx, index, arrival, payload);
        }
        let is_fin = flags.contains(Bits::FIN);
        if is_fin {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //# TIME-WAIT STATE: Remain in the TIME-WAIT state. Restart the 2 MSL timeout
            self.rest_again(cx, index);
            let Some(Found::TimeWait(again)) = self.find(&arrival.tuple, arrival.hash) else {
                return self.discard(cx, payload, DropReason::NoConnection);
            };
            return self.answer_resting(cx, again, arrival, payload);
        }
        if payload.is_empty() {
            return self.discard(cx, payload, DropReason::Duplicate);
        }
        self.answer_resting(cx, index, arrival, payload)
    }

    /// The listener of a SYN that may open a new connection on a resting tuple.
    //= https://www.rfc-editor.org/rfc/rfc6191#section-2
    //# If the timestamp of the incoming SYN is greater than the last timestamp seen, honour it;
    //# without timestamps, if the sequence number is greater than the last one seen
    fn may_reopen(&self, index: u32, arrival: &Arrival) -> Option<u16> {
        let entry = self.time_wait.entry(index);
        let Repr { seq, options, .. } = arrival.repr;
        let is_newer = match options.timestamps {
            Some(timestamps) if entry.has_timestamps() => {
                SeqNum(timestamps.value).is_after(SeqNum(entry.ts_recent))
                    || (timestamps.value == entry.ts_recent && seq.is_after(SeqNum(entry.rcv_nxt)))
            }
            Some(_) | None => seq.is_after(SeqNum(entry.rcv_nxt)),
        };
        let tuple = &arrival.tuple;
        is_newer.then(|| self.listeners.find(tuple.local, tuple.local_port)).flatten()
    }

    fn reopen(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        listener: u16,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let old_end = self.time_wait.entry(index).snd_nxt;
        self.index_remove(&arrival.tuple, Found::TimeWait(index));
        self.time_wait.remove(index);
        self.counters.time_wait_reopened += 1;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# MAY-2: assigns its initial sequence number larger than the largest it used before
        let fresh = self.hashes.initial_sequence(&arrival.tuple, cx.now);
        let least = old_end.wrapping_add(1 << 17);
        let iss = if SeqNum(fresh).is_after(SeqNum(least)) { fresh } else { least };
        self.handle_syn(cx, listener, arrival, payload, Some(iss))
    }

    fn rest_again(&mut self, cx: &Cx<'_>, index: u32) {
        let entry = *self.time_wait.entry(index);
        let tuple = entry.tuple();
        let rest = Rest {
            tuple,
            hop: entry.hop,
            snd_nxt: entry.snd_nxt,
            rcv_nxt: entry.rcv_nxt,
            ts_recent: entry.has_timestamps().then_some(entry.ts_recent),
        };
        self.time_wait.remove(index);
        if let Some(oldest) = self.time_wait.oldest_if_full() {
            let tuple = self.time_wait.entry(oldest).tuple();
            self.index_remove(&tuple, Found::TimeWait(oldest));
            self.time_wait.remove(oldest);
            self.counters.time_wait_recycled += 1;
        }
        let again = self.time_wait.insert(&rest, cx.now);
        self.index_replace(&tuple, Found::TimeWait(index), Found::TimeWait(again));
    }

    fn answer_resting(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        if !self.challenges.allow(arrival.hash, cx.now) {
            return self.discard(cx, payload, DropReason::ChallengeBudget);
        }
        let entry = self.time_wait.entry(index);
        let offset = self.hashes.timestamp_offset(&arrival.tuple);
        let mut repr = Repr {
            src_port: arrival.tuple.local_port,
            dst_port: arrival.tuple.remote_port,
            seq: SeqNum(entry.snd_nxt),
            ack: SeqNum(entry.rcv_nxt),
            flags: Bits::ACK,
            window: 0,
            ..Repr::default()
        };
        if entry.has_timestamps() {
            let value = cx.now.as_millis_wrapped().wrapping_add(offset);
            repr.options.timestamps = Some(Timestamps { value, echo: entry.ts_recent });
        }
        self.refuse(cx, arrival, payload, DropReason::Duplicate, repr)
    }
}
