//! Active opens: what may answer our SYN (RFC 9293 section 3.10.7.3).

use memory::Frame;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr};

use super::listen::payload_len;
use super::{Arrival, Outcome};
use crate::connections::{CloseReason, Tcp};
use crate::counters::DropReason;
use crate::extension::Busy;
use crate::record::Flags;
use crate::state::Event;
use crate::{Cx, congestion, rtt};

impl Tcp {
    pub(super) fn handle_syn_sent(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        at: u32,
        arrival: &Arrival,
        payload: Frame,
    ) -> Outcome {
        let Repr { ack, flags, .. } = arrival.repr;
        let snd_nxt = SeqNum(self.records[index].snd_nxt);
        //# If the ACK bit is set: If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset
        let acks_syn = flags.contains(Bits::ACK);
        if acks_syn && ack != snd_nxt {
            if flags.contains(Bits::RST) {
                return self.discard(cx, payload, DropReason::RstInexact);
            }
            let reset = Self::reset_for(arrival, payload_len(&payload));
            return self.refuse(cx, arrival, payload, DropReason::AckUnacceptable, reset);
        }
        //# second, check the RST bit: If the ACK was acceptable, signal "connection reset"
        if flags.contains(Bits::RST) {
            cx.arena.free(payload);
            if !acks_syn {
                self.drop_for(DropReason::RstInexact);
                return Outcome::default();
            }
            self.counters.resets_received += 1;
            self.end(cx.arena, index, CloseReason::PeerRefused);
            return Outcome::default();
        }
        if !flags.contains(Bits::SYN) {
            return self.discard(cx, payload, DropReason::AckMissing);
        }
        self.learn_from_syn(index, at, arrival);
        // Data on a SYN is not kept: the peer sends it again.
        cx.arena.free(payload);
        if acks_syn { self.establish(cx, index, at) } else { self.cross(cx, index, at) }
    }

    /// Takes over what the peer's SYN announced.
    fn learn_from_syn(&mut self, index: u32, at: u32, arrival: &Arrival) {
        let Repr { seq, ack, window, options, .. } = arrival.repr;
        let mss = self.mss_towards(&arrival.tuple, options.mss);
        let receive_scale = self.receive_scale;
        let record = &mut self.records[index];
        record.rcv_nxt = (seq + 1).0;
        record.hop = arrival.hop;
        record.set_mss(mss);
        let mss = record.mss();
        match options.window_scale {
            Some(scale) => record.set_scales(scale, receive_scale),
            None => record.set_scales(0, 0),
        }
        record.set(Flags::TIMESTAMPS, options.timestamps.is_some());
        record.ts_recent = options.timestamps.map_or(0, |timestamps| timestamps.value);
        let options_len =
            if options.timestamps.is_some() { crate::limits::TIMESTAMPS_LEN } else { 0 };
        let first_window = u32::from(u16::try_from(self.config.window_len).unwrap_or(u16::MAX));
        let extension = &mut self.extensions[at];
        extension.mss = mss - options_len;
        extension.snd_wnd = u32::from(window);
        extension.snd_wnd_max = extension.snd_wnd;
        extension.snd_wl1 = seq.0;
        extension.snd_wl2 = ack.0;
        extension.rcv_edge = (seq + 1 + first_window).0;
        extension.rcv_acked = seq.0;
        let initial = congestion::initial_window(u32::from(extension.mss));
        // RFC 5681 section 3.1: a lost SYN starts from one segment.
        let window = if extension.backoff > 0 { u32::from(extension.mss) } else { initial };
        congestion::start(extension, self.config.algorithm, window, u32::MAX);
    }

    fn establish(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Outcome {
        let now_us = cx.now.as_micros_wrapped();
        let extension = &mut self.extensions[at];
        if extension.backoff == 0 {
            rtt::on_sample(extension, now_us.wrapping_sub(extension.syn_at_us));
        }
        extension.backoff = 0;
        extension.rto_at = 0;
        extension.snd_una = self.records[index].snd_nxt;
        extension.snd_ptr = extension.snd_una;
        extension.recover = extension.snd_una;
        extension.ptr_node = extension.send_head;
        extension.clear(Busy::SYN_OWED);
        extension.set(Busy::ACK_NOW);
        extension.ts_recent_at_s = cx.now.as_secs_wrapped();
        self.opened(cx, index, at)
    }

    /// Both SYNs are acknowledged: the service hears of it, and a close that waited goes ahead.
    pub(super) fn opened(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Outcome {
        self.counters.connected += 1;
        self.records[index].set(Flags::OPENED, true);
        let mut transition = self.apply(cx.arena, index, Event::SynAcked);
        if self.extensions[at].has(Busy::FIN_QUEUED) {
            transition = self.apply(cx.arena, index, Event::SendClosed);
        }
        debug_assert!(transition != crate::state::Transition::TimeWait, "no FIN was received yet");
        self.mark_dirty(at);
        self.rearm(at);
        Outcome { conn: Some(self.conn(index)), opened: true, ..Outcome::default() }
    }

    /// Simultaneous open: our SYN goes again, with an acknowledgement of theirs.
    fn cross(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Outcome {
        self.apply(cx.arena, index, Event::SynCrossed);
        let extension = &mut self.extensions[at];
        extension.set(Busy::SYN_OWED);
        self.mark_dirty(at);
        self.rearm(at);
        Outcome { conn: Some(self.conn(index)), ..Outcome::default() }
    }
}
