//! The next segment of a connection: what the windows, Nagle and recovery let go.

use base::NIL;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Options, Repr, Timestamps};

use super::{Outgoing, Payload};
use crate::congestion;
use crate::connections::Tcp;
use crate::extension::{Busy, Extension};
use crate::node::Node;
use crate::record::Flags;
use crate::state::State;
use crate::{Conn, Cx, rtt};

/// A connection from the list of those with something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// The connection.
    pub conn: Conn,
    /// Its backlog is to be offered to the service before it is polled.
    pub has_offer: bool,
}

impl Tcp {
    /// The next connection with something to send; it is off the list, and is put back by
    /// [`Tcp::put_off`] if it could not be served to the end.
    pub fn poll_dirty(&mut self) -> Option<Dirty> {
        loop {
            let at = self.dirty.head;
            if at == NIL {
                return None;
            }
            let extension = &mut self.extensions[at];
            self.dirty.head = extension.dirty_next;
            if self.dirty.head == NIL {
                self.dirty.tail = NIL;
            }
            extension.clear(Busy::DIRTY);
            if extension.record == NIL {
                // Its connection has ended since.
                self.extensions.free(at);
                continue;
            }
            let has_offer = extension.has(Busy::OFFER);
            extension.clear(Busy::OFFER);
            let conn = self.conn(self.extensions[at].record);
            return Some(Dirty { conn, has_offer });
        }
    }

    /// Puts a connection back at the end of the list: others come first.
    pub fn put_off(&mut self, conn: Conn) {
        if self.record(conn).is_some()
            && let Some(at) = self.extension_of(conn.index)
        {
            self.mark_dirty(at);
        }
    }

    /// The next segment that the connection may send now; `None` when there is no more. The caller
    /// has room for it: a segment that was handed out counts as sent.
    pub fn poll_segment(&mut self, cx: &mut Cx<'_>, conn: Conn) -> Option<Outgoing> {
        self.record(conn)?;
        let at = self.extension_of(conn.index)?;
        let extension = &self.extensions[at];
        let outgoing = if extension.has(Busy::SYN_OWED) {
            Some(self.syn_segment(cx, conn.index, at))
        } else if self.records[conn.index].state() < State::Established {
            None
        } else if extension.has(Busy::RESEND_HEAD) {
            self.resend_head(cx, conn.index, at)
        } else {
            self.next_data(cx, conn.index, at)
        };
        let outgoing = match outgoing {
            None if self.extensions[at].has(Busy::ACK_NOW) => {
                // Behind all that will ever be sent: not in the place of a FIN that may not go yet.
                let behind = self.extensions[at].send_limit();
                Some(self.segment(cx, conn.index, at, behind, None))
            }
            other => other,
        };
        if outgoing.is_none() {
            self.after_last_segment(cx, conn, at);
        }
        outgoing
    }

    /// Nothing more leaves: the tuple may rest, or a closed window be probed.
    fn after_last_segment(&mut self, cx: &mut Cx<'_>, conn: Conn, at: u32) {
        let extension = &self.extensions[at];
        if extension.has(Busy::REST_OWED) && !extension.has(Busy::END_OWED) {
            if self.records[conn.index].state() == State::LastAck {
                self.finish(cx.arena, conn.index);
            } else {
                self.rest(cx.arena, conn.index, cx.now);
            }
            return;
        }
        self.arm_probe(cx, at);
        self.rearm(at);
    }

    fn syn_segment(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Outgoing {
        let record = &self.records[index];
        let tuple = record.tuple();
        let is_reply = record.state() == State::SynReceived;
        let extension = &mut self.extensions[at];
        extension.clear(Busy::SYN_OWED);
        extension.clear(Busy::ACK_NOW);
        let iss = extension.snd_una;
        let value = cx.now.as_millis_wrapped().wrapping_add(extension.ts_offset);
        extension.rto_at = (cx.now + rtt::timeout(extension)).as_nanos();
        extension.snd_ptr = iss.wrapping_add(1);
        let options = Options {
            mss: Some(self.mss_announced(&tuple)),
            window_scale: (!is_reply || record.receive_scale() > 0 || record.send_scale() > 0)
                .then_some(self.receive_scale),
            timestamps: (!is_reply || record.has(Flags::TIMESTAMPS))
                .then_some(Timestamps { value, echo: record.ts_recent }),
            ..Options::default()
        };
        let repr = Repr {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: SeqNum(iss),
            ack: if is_reply { SeqNum(record.rcv_nxt) } else { SeqNum(0) },
            flags: if is_reply { Bits::SYN | Bits::ACK } else { Bits::SYN },
            window: self.first_window(),
            options,
            ..Repr::default()
        };
        let hop = record.hop;
        self.records[index].snd_nxt = iss.wrapping_add(1);
        self.counters.segments_out += 1;
        self.rearm(at);
        Outgoing { tuple, hop, index, repr, payload: None }
    }

    /// The segment at `snd_una`, again.
    fn resend_head(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Option<Outgoing> {
        let extension = &mut self.extensions[at];
        extension.clear(Busy::RESEND_HEAD);
        let head = extension.send_head;
        let (una, mss) = (extension.snd_una, extension.mss);
        if una == self.records[index].snd_nxt {
            return self.next_data(cx, index, at);
        }
        self.counters.retransmits += 1;
        if head == NIL {
            // Only the FIN is out.
            return Some(self.segment(cx, index, at, una, None));
        }
        let len = self.nodes[head].frame.len.min(mss);
        Some(self.segment(cx, index, at, una, Some((head, len))))
    }

    /// The segment at the send pointer, if the windows and Nagle's algorithm let it go.
    fn next_data(&mut self, cx: &mut Cx<'_>, index: u32, at: u32) -> Option<Outgoing> {
        let usable = self.usable_window(at);
        let extension = &self.extensions[at];
        let seq = extension.snd_ptr;
        let is_probe = extension.has(Busy::PROBE);
        if seq == extension.send_limit() {
            return None;
        }
        let node = extension.ptr_node;
        if seq == extension.snd_end || node == NIL {
            // Only the FIN is left; it takes one number of the window.
            let goes = usable > 0 || is_probe;
            return goes.then(|| self.advance(cx, index, at, None));
        }
        let Node { seq: node_seq, frame, .. } = self.nodes[node];
        let done = u16::try_from(seq.wrapping_sub(node_seq)).expect("the pointer is in its node");
        let whole = (frame.len - done).min(extension.mss);
        let usable_len = u16::try_from(usable.min(u32::from(whole))).expect("at most a segment");
        let len = if is_probe { usable_len.max(1) } else { usable_len };
        if len == 0 || !(is_probe || self.may_go(index, at, seq, len, whole)) {
            return None;
        }
        Some(self.advance(cx, index, at, Some((node, len))))
    }

    /// Bytes that may still leave: the smaller of both windows less what is out.
    fn usable_window(&mut self, at: u32) -> u32 {
        let extension = &mut self.extensions[at];
        let in_flight = extension.in_flight();
        let inflation = extension.inflation;
        let cwnd = congestion::controller(extension).window().saturating_add(inflation);
        let by_cwnd = cwnd.saturating_sub(in_flight);
        let by_peer = extension.snd_wnd.saturating_sub(in_flight);
        if by_cwnd < u32::from(extension.mss) && by_cwnd <= by_peer {
            extension.set(Busy::CWND_LIMITED);
        }
        by_cwnd.min(by_peer)
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
    //# Sender's SWS avoidance: send data (1) if a maximum-sized segment can be sent; (2) if all
    //# queued data can be sent now (and Nagle's algorithm allows it); (3) if at least a fraction Fs
    //# of the maximum window can be sent; (4) if the override timeout occurs
    fn may_go(&self, index: u32, at: u32, seq: u32, len: u16, whole: u16) -> bool {
        let extension = &self.extensions[at];
        if len == extension.mss {
            return true;
        }
        let is_last = seq.wrapping_add(u32::from(len)) == extension.snd_end;
        if len == whole {
            // A node ends here. Nagle holds back only the last and short one while data is out.
            let is_nagled = is_last
                && !self.records[index].has(Flags::NODELAY)
                && !extension.has(Busy::FIN_QUEUED)
                && extension.in_flight() > 0;
            return !is_nagled;
        }
        u32::from(len) >= extension.snd_wnd_max / 2
            || extension.in_flight() == 0 && u32::from(len) * 2 >= u32::from(whole)
    }

    /// Sends at the pointer, and moves it on.
    fn advance(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        at: u32,
        data: Option<(u32, u16)>,
    ) -> Outgoing {
        let seq = self.extensions[at].snd_ptr;
        let is_again = SeqNum(seq).is_before(SeqNum(self.records[index].snd_nxt));
        self.counters.retransmits += u64::from(is_again);
        let outgoing = self.segment(cx, index, at, seq, data);
        let has_fin = outgoing.repr.flags.contains(Bits::FIN);
        let len = data.map_or(0, |(_, len)| u32::from(len));
        let extension = &mut self.extensions[at];
        extension.clear(Busy::PROBE);
        extension.snd_ptr = seq.wrapping_add(len + u32::from(has_fin));
        if let Some((node, _)) = data
            && SeqNum(self.nodes[node].end()).is_at_or_before(SeqNum(extension.snd_ptr))
        {
            extension.ptr_node = self.nodes[node].next;
        }
        let record = &mut self.records[index];
        if SeqNum(extension.snd_ptr).is_after(SeqNum(record.snd_nxt)) {
            record.snd_nxt = extension.snd_ptr;
        }
        if extension.rto_at == 0 && extension.probe_at == 0 {
            extension.rto_at = (cx.now + rtt::timeout(extension)).as_nanos();
        }
        self.rearm(at);
        outgoing
    }

    /// A segment that begins at `seq` with `data` (a node and a length), or without.
    fn segment(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        at: u32,
        seq: u32,
        data: Option<(u32, u16)>,
    ) -> Outgoing {
        let window = self.advance_edge(cx, index, at);
        let record = &self.records[index];
        let (tuple, hop) = (record.tuple(), record.hop);
        let extension = &mut self.extensions[at];
        let mut flags = Bits::ACK;
        let mut payload = None;
        let mut end = seq;
        if let Some((node, len)) = data {
            let node = &mut self.nodes[node];
            let done = seq.wrapping_sub(node.seq) as usize;
            node.sends = node.sends.saturating_add(1);
            node.sent_at_us = cx.now.as_micros_wrapped();
            let bytes = node.frame.range(done, usize::from(len));
            payload = Some(Payload { bytes, is_front_free: done == 0 });
            end = seq.wrapping_add(u32::from(len));
            self.counters.bytes_out += u64::from(len);
            flags |= if end == extension.snd_end { Bits::PSH } else { Bits::empty() };
        }
        // The FIN goes where the caller sends what begins at its number, and nowhere else: whoever
        // sends it must count it.
        let is_fin_due = extension.has(Busy::FIN_QUEUED)
            && end == extension.snd_end
            && (data.is_some() || seq != extension.send_limit());
        let is_pure = data.is_none() && !is_fin_due;
        // A byte that probes a shut window lies beyond it, and so does what follows the byte: there
        // an acknowledgement would not be acceptable.
        let is_shut = extension.probe_at != 0 && extension.snd_wnd == 0;
        if is_fin_due {
            flags |= Bits::FIN;
            extension.set(Busy::FIN_SENT);
        }
        let mut repr = Repr {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq: SeqNum(match (is_pure, is_shut) {
                (false, _) => seq,
                (true, true) => extension.snd_una,
                (true, false) => record.snd_nxt,
            }),
            ack: SeqNum(record.rcv_nxt),
            flags,
            window,
            ..Repr::default()
        };
        if record.has(Flags::TIMESTAMPS) {
            let value = cx.now.as_millis_wrapped().wrapping_add(extension.ts_offset);
            repr.options.timestamps = Some(Timestamps { value, echo: record.ts_recent });
        }
        extension.rcv_acked = record.rcv_nxt;
        extension.ack_at = 0;
        extension.ack_segments = 0;
        extension.clear(Busy::ACK_NOW);
        self.counters.segments_out += 1;
        Outgoing { tuple, hop, index, repr, payload }
    }

    /// Moves the right edge of the receive window as far as it may go; returns the window field.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.2
    //# keep RCV.NXT+RCV.WND fixed until RCV.BUFF - RCV.USER - RCV.WND >= min (Fr * RCV.BUFF, MSS)
    fn advance_edge(&mut self, cx: &Cx<'_>, index: u32, at: u32) -> u16 {
        let record = &self.records[index];
        let scale = record.receive_scale();
        let extension = &mut self.extensions[at];
        let rcv_nxt = SeqNum(record.rcv_nxt);
        let held = SeqNum(extension.rcv_edge).since(rcv_nxt);
        // Without scaling the field itself is the limit.
        let limit = self.config.window_len.min(u32::from(u16::MAX) << scale);
        let room = limit.saturating_sub(extension.backlog_len);
        let step = (limit / 2).min(u32::from(extension.mss));
        let has_frames = cx.arena.has_free(self.config.frames_free_min);
        if has_frames && room >= held.saturating_add(step) {
            extension.rcv_edge = (rcv_nxt + room).0;
        }
        let ahead = SeqNum(extension.rcv_edge).since(rcv_nxt);
        u16::try_from((ahead >> scale).min(u32::from(u16::MAX))).expect("just clamped")
    }

    /// Data waits, nothing is out and the window is shut: it must be probed.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //# MUST-36: the sender MUST probe zero windows even if the receiver has not opened them
    fn arm_probe(&mut self, cx: &Cx<'_>, at: u32) {
        let extension = &mut self.extensions[at];
        let is_waiting = extension.snd_ptr != extension.send_limit();
        // After a time-out nothing is out as far as the pointer has gone back.
        let is_idle = extension.in_flight() == 0;
        if is_waiting && is_idle && extension.rto_at == 0 && extension.probe_at == 0 {
            extension.probe_at = (cx.now + rtt::timeout(extension)).as_nanos();
        }
    }

    /// After a read of the backlog the window may have opened enough to tell the peer.
    pub fn after_read(&mut self, cx: &Cx<'_>, conn: Conn) {
        if self.record(conn).is_none() {
            return;
        }
        let Some(at) = self.extension_of(conn.index) else {
            return;
        };
        let Extension { rcv_edge, backlog_len, mss, .. } = self.extensions[at];
        let record = &self.records[conn.index];
        // After its FIN the peer has no use for a window, and may be gone.
        let may_receive = record.state().may_receive() && !record.has(Flags::FIN_RECEIVED);
        if !may_receive || !cx.arena.has_free(self.config.frames_free_min) {
            return;
        }
        let limit = self.config.window_len.min(u32::from(u16::MAX) << record.receive_scale());
        let held = SeqNum(rcv_edge).since(SeqNum(record.rcv_nxt));
        let room = limit.saturating_sub(backlog_len);
        let step = (limit / 2).min(2 * u32::from(mss));
        // While the peer still has half the window the update can ride on the next segment.
        if room >= held.saturating_add(step) && held < limit / 2 {
            self.owe_ack_now(at);
        }
    }
}
