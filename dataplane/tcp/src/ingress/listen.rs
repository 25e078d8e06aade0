//! Passive opens: SYNs to listeners, and the acknowledgements that complete them.

use memory::Frame;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Options, Repr, Timestamps};

use super::{Arrival, Outcome};
use crate::connections::{Found, Tcp};
use crate::cookie::timestamp_with;
use crate::counters::DropReason;
use crate::half_open::Promise;
use crate::limits::{MSS_DEFAULT_V4, MSS_DEFAULT_V6, MSS_MIN};
use crate::record::{Estimates, Flags};
use crate::state::State;
use crate::{Cx, Tuple};

impl Tcp {
    /// A segment of a flow that nothing is known of.
    pub(super) fn handle_unknown(
        &mut self,
        cx: &mut Cx<'_>,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let flags = arrival.repr.flags;
        let len = payload_len(&payload);
        let Some(listener) = self.listeners.find(arrival.tuple.local, arrival.tuple.local_port)
        else {
            let is_syn = flags & (Bits::SYN | Bits::ACK) == Bits::SYN;
            let reason = if is_syn { DropReason::NoListener } else { DropReason::NoConnection };
            if flags.contains(Bits::RST) {
                return self.discard(cx, payload, reason);
            }
            return self.refuse(cx, arrival, payload, reason, Self::reset_for(arrival, len));
        };
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
        //# first, check for a RST: An incoming RST segment ... should be ignored. Return.
        if flags.contains(Bits::RST) {
            return self.discard(cx, payload, DropReason::ListenerUnfit);
        }
        //# second, check for an ACK: Any acknowledgment is bad if it arrives on a connection still
        //# in the LISTEN state. An acceptable reset segment should be formed
        if flags.contains(Bits::ACK) {
            if self.cookies.are_out(cx.now) && !flags.contains(Bits::SYN) {
                return self.handle_cookie(cx, listener, arrival, payload);
            }
            let reset = Self::reset_for(arrival, len);
            return self.refuse(cx, arrival, payload, DropReason::NoConnection, reset);
        }
        //# third, check for a SYN
        if !flags.contains(Bits::SYN) || flags.contains(Bits::FIN) {
            return self.discard(cx, payload, DropReason::ListenerUnfit);
        }
        self.handle_syn(cx, listener, arrival, payload, None)
    }

    /// A SYN that a listener may admit; `iss` where the number is not ours to choose (RFC 6191).
    pub(super) fn handle_syn(
        &mut self,
        cx: &mut Cx<'_>,
        listener: u16,
        arrival: &Arrival,
        payload: Frame,
        iss: Option<u32>,
    ) -> Outcome {
        if let Some(reason) = self.refusal_of_syn(cx, listener) {
            return self.discard(cx, payload, reason);
        }
        let Repr { seq, window, options, .. } = arrival.repr;
        let tuple = arrival.tuple;
        let promise = Promise {
            tuple,
            iss: iss.unwrap_or_else(|| self.hashes.initial_sequence(&tuple, cx.now)),
            rcv_nxt: (seq + 1).0,
            ts_recent: options.timestamps.map(|timestamps| timestamps.value),
            send_scale: options.window_scale,
            mss: self.mss_towards(&tuple, options.mss),
            snd_wnd: window,
            hop: arrival.hop,
            listener,
        };
        let Some(index) = self.half_open.insert(&promise, cx.now) else {
            if iss.is_some() {
                return self.discard(cx, payload, DropReason::HalfOpenFull);
            }
            return self.give_cookie(cx, promise, arrival, payload);
        };
        if self.index_insert(arrival.hash, Found::HalfOpen(index)).is_err() {
            self.half_open.remove(index);
            return self.discard(cx, payload, DropReason::IndexFull);
        }
        if let Some(listener) = self.listeners.entry_mut(listener) {
            listener.connections += 1;
        }
        // Data on a SYN is not kept: the peer sends it again.
        cx.arena.free(payload);
        let repr = self.syn_ack(cx, index);
        Outcome { reply: Some(self.reply(arrival, repr)), ..Outcome::default() }
    }

    /// Why a SYN may not be admitted now: a promise that cannot be kept is not made.
    fn refusal_of_syn(&self, cx: &Cx<'_>, listener: u16) -> Option<DropReason> {
        let listener = self.listeners.entry(listener)?;
        if listener.connections >= listener.options.connections_max {
            return Some(DropReason::ListenerLimit);
        }
        if self.records.used() + self.half_open.used() >= self.records.capacity() {
            return Some(DropReason::NoRecord);
        }
        if !cx.arena.has_free(self.config.frames_free_min) {
            return Some(DropReason::SynNoFrames);
        }
        None
    }

    /// Answers a SYN for which the table has no place: the peer keeps the promise for us.
    //= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
    //# no state is generated from a received SYN
    fn give_cookie(
        &mut self,
        cx: &mut Cx<'_>,
        mut promise: Promise,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        cx.arena.free(payload);
        let Promise { tuple, rcv_nxt, mss, .. } = promise;
        promise.iss = self.cookies.give(&tuple, rcv_nxt, mss, cx.now);
        let mut repr = self.syn_ack_of(cx, &promise);
        match &mut repr.options.timestamps {
            Some(ours) => ours.value = timestamp_with(ours.value, promise.send_scale),
            // Nothing brings the peer's scale back.
            None => repr.options.window_scale = None,
        }
        self.counters.syn_cookies_sent += 1;
        Outcome { reply: Some(self.reply(arrival, repr)), ..Outcome::default() }
    }

    /// An acknowledgement to a listener while cookies are out: it may bring one back.
    fn handle_cookie(
        &mut self,
        cx: &mut Cx<'_>,
        listener: u16,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let Some(promise) = self.promise_of_cookie(cx, listener, arrival) else {
            // It may be data behind a lost acknowledgement that had the cookie. A reset would end
            // what that one, sent again, still opens.
            return self.discard(cx, payload, DropReason::CookieUnfit);
        };
        if let Some(reason) = self.refusal_of_syn(cx, listener) {
            return self.discard(cx, payload, reason);
        }
        let Some(index) = self.record_of(cx, &promise, arrival, 0) else {
            return self.discard(cx, payload, DropReason::NoRecord);
        };
        if self.index_insert(arrival.hash, Found::Record(index)).is_err() {
            self.records[index].end();
            self.records.free(index);
            return self.discard(cx, payload, DropReason::IndexFull);
        }
        if let Some(listener) = self.listeners.entry_mut(listener) {
            listener.connections += 1;
        }
        self.counters.syn_cookies_accepted += 1;
        self.accepted(cx, index, arrival, payload)
    }

    /// What our SYN-ACK promised, if `arrival` brings back the cookie that it was.
    fn promise_of_cookie(&self, cx: &Cx<'_>, listener: u16, arrival: &Arrival) -> Option<Promise> {
        let Arrival { tuple, hop, repr, .. } = *arrival;
        let (rcv_nxt, iss) = (repr.seq.0, repr.ack.0.wrapping_sub(1));
        let timestamps = repr.options.timestamps;
        let echo = timestamps.map(|timestamps| timestamps.echo);
        let said = self.cookies.read(&tuple, rcv_nxt, iss, echo, cx.now)?;
        Some(Promise {
            tuple,
            iss,
            rcv_nxt,
            ts_recent: timestamps.map(|timestamps| timestamps.value),
            send_scale: said.send_scale,
            mss: said.mss.min(self.mss_announced(&tuple)),
            snd_wnd: repr.window,
            hop,
            listener,
        })
    }

    /// The SYN-ACK of a half-open connection.
    pub(crate) fn syn_ack(&self, cx: &Cx<'_>, index: u32) -> Repr {
        self.syn_ack_of(cx, &self.half_open.entry(index).promise())
    }

    fn syn_ack_of(&self, cx: &Cx<'_>, promise: &Promise) -> Repr {
        let tuple = promise.tuple;
        let timestamps = promise.ts_recent.map(|ts_recent| Timestamps {
            value: cx.now.as_millis_wrapped().wrapping_add(self.hashes.timestamp_offset(&tuple)),
            echo: ts_recent,
        });
        let options = Options {
            mss: Some(self.mss_announced(&tuple)),
            window_scale: promise.send_scale.map(|_| self.receive_scale),
            timestamps,
            // Not permitted until blocks are sent: a peer that counts on them does not count our
            // duplicate acknowledgements, and would mend every loss by a time-out.
            sack_permitted: false,
            ..Options::default()
        };
        Repr {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: SeqNum(promise.iss),
            ack: SeqNum(promise.rcv_nxt),
            flags: Bits::SYN | Bits::ACK,
            window: self.first_window(),
            options,
            ..Repr::default()
        }
    }

    /// A segment for a half-open connection (SYN-RECEIVED after a passive open).
    pub(super) fn handle_half_open(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let entry = *self.half_open.entry(index);
        let Repr { seq, ack, flags, options, .. } = arrival.repr;
        let expected = SeqNum(entry.rcv_nxt);
        if flags.contains(Bits::SYN) && !flags.contains(Bits::ACK) && seq + 1 == expected {
            // The peer's SYN again: our SYN-ACK was lost.
            cx.arena.free(payload);
            let repr = self.syn_ack(cx, index);
            return Outcome { reply: Some(self.reply(arrival, repr)), ..Outcome::default() };
        }
        if flags.contains(Bits::RST) {
            if seq == expected {
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
                //# If this connection was initiated with a passive OPEN, then return to LISTEN
                self.drop_half_open(index);
                self.counters.resets_received += 1;
                cx.arena.free(payload);
                return Outcome::default();
            }
            return self.discard(cx, payload, DropReason::RstInexact);
        }
        let is_old = entry.has_timestamps()
            && options.timestamps.is_some_and(|timestamps| {
                SeqNum(timestamps.value).is_before(SeqNum(entry.ts_recent))
            });
        let is_in_window = seq.in_window(expected, u32::from(self.first_window()));
        if is_old || !is_in_window || flags.contains(Bits::SYN) {
            return self.challenge_half_open(cx, index, arrival, payload);
        }
        if !flags.contains(Bits::ACK) {
            return self.discard(cx, payload, DropReason::AckMissing);
        }
        if ack != SeqNum(entry.iss) + 1 {
            // The table had no place when the peer's SYN came first, and has one for its second.
            if self.promise_of_cookie(cx, entry.listener, arrival).is_some() {
                self.drop_half_open(index);
                return self.handle_cookie(cx, entry.listener, arrival, payload);
            }
            //# If the segment acknowledgment is not acceptable, form a reset segment
            let reset = Self::reset_for(arrival, payload_len(&payload));
            return self.refuse(cx, arrival, payload, DropReason::AckUnacceptable, reset);
        }
        self.complete(cx, index, arrival, payload)
    }

    fn challenge_half_open(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        if !self.challenges.allow(arrival.hash, cx.now) {
            return self.discard(cx, payload, DropReason::ChallengeBudget);
        }
        self.counters.challenge_acks += 1;
        let mut repr = self.syn_ack(cx, index);
        repr.flags = Bits::ACK;
        repr.seq += 1;
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
        //# The window field in a segment where the SYN bit is set MUST NOT be scaled
        // This is no SYN: its window is scaled as those of the connection will be.
        repr.window >>= repr.options.window_scale.unwrap_or(0);
        repr.options = Options { timestamps: repr.options.timestamps, ..Options::default() };
        self.refuse(cx, arrival, payload, DropReason::OutOfWindow, repr)
    }

    /// The handshake is complete: the half-open record becomes a connection record, quiet at once.
    fn complete(
        &mut self,
        cx: &mut Cx<'_>,
        half_open: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let entry = *self.half_open.entry(half_open);
        let sample_us = entry.handshake_us(cx.now);
        let Some(index) = self.record_of(cx, &entry.promise(), arrival, sample_us) else {
            return self.discard(cx, payload, DropReason::NoRecord);
        };
        self.index_replace(&arrival.tuple, Found::HalfOpen(half_open), Found::Record(index));
        self.half_open.remove(half_open);
        self.accepted(cx, index, arrival, payload)
    }

    /// A connection record for what was promised; the index does not know it yet.
    fn record_of(
        &mut self,
        cx: &Cx<'_>,
        promise: &Promise,
        arrival: &Arrival,
        sample_us: u32,
    ) -> Option<u32> {
        let index = self.records.allocate()?;
        let first_window = u32::from(self.first_window());
        let options = self.listeners.entry(promise.listener).map(|listener| listener.options);
        let record = &mut self.records[index];
        record.start(&promise.tuple, State::Established);
        record.rcv_nxt = promise.rcv_nxt;
        record.snd_nxt = promise.iss.wrapping_add(1);
        record.ts_recent = promise.ts_recent.unwrap_or(0);
        record.hop = arrival.hop;
        record.listener = promise.listener;
        let receive_scale = promise.send_scale.map_or(0, |_| self.receive_scale);
        record.set_scales(promise.send_scale.unwrap_or(0), receive_scale);
        record.set_mss(promise.mss);
        record.snd_wnd = arrival.repr.window;
        record.set_quiet_edge(SeqNum(promise.rcv_nxt) + first_window);
        record.set(Flags::TIMESTAMPS, promise.ts_recent.is_some());
        record.set(Flags::NODELAY, options.is_none_or(|options| options.is_nodelay));
        record.set(Flags::KEEP_ALIVE, options.is_some_and(|options| options.keep_alive.is_some()));
        record.set(Flags::OPENED, true);
        record.keep_estimates(Estimates {
            srtt_us: sample_us,
            rttvar_us: sample_us / 2,
            ssthresh: u32::MAX,
            cwnd: 0,
        });
        record.touch(cx.now);
        Some(index)
    }

    /// An established record takes in the segment that completed its handshake.
    fn accepted(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        self.counters.accepted += 1;
        let mut outcome = self.handle_known(cx, index, arrival, payload);
        outcome.opened = true;
        outcome.conn = Some(self.conn(index));
        outcome
    }

    /// Forgets a half-open connection.
    pub(crate) fn drop_half_open(&mut self, index: u32) {
        let entry = self.half_open.entry(index);
        let (tuple, listener) = (entry.tuple(), entry.listener);
        self.index_remove(&tuple, Found::HalfOpen(index));
        self.half_open.remove(index);
        if let Some(listener) = self.listeners.entry_mut(listener) {
            listener.connections -= 1;
        }
    }

    /// The window of a SYN or SYN-ACK, which is never scaled.
    pub(crate) fn first_window(&self) -> u16 {
        u16::try_from(self.config.window_len).unwrap_or(u16::MAX)
    }

    /// The MSS that we announce.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
    //# The maximum segment size is equal to the MTU less the fixed IP and TCP headers
    pub(crate) fn mss_announced(&self, tuple: &Tuple) -> u16 {
        self.config.mtu - if tuple.remote.is_v4() { 40 } else { 60 }
    }

    /// The MSS to use towards a peer that announced `offered`.
    pub(crate) fn mss_towards(&self, tuple: &Tuple, offered: Option<u16>) -> u16 {
        let default = if tuple.remote.is_v4() { MSS_DEFAULT_V4 } else { MSS_DEFAULT_V6 };
        offered.unwrap_or(default).clamp(MSS_MIN, self.mss_announced(tuple))
    }
}

/// Payload bytes of a frame.
pub(super) fn payload_len(payload: &Frame) -> u32 {
    u32::try_from(payload.len()).expect("a frame has at most 4096 bytes")
}
