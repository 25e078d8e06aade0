//! The data and the FIN of a segment: trimmed to the window, put in order, owed an answer.

use base::NIL;
use memory::Frame;
use wire::SeqNum;
use wire::tcp::Flags as Bits;

use super::listen::payload_len;
use super::{Arrival, Held, Outcome};
use crate::connections::{CloseReason, Tcp};
use crate::counters::DropReason;
use crate::extension::Busy;
use crate::limits::{ACK_DELAY, OUT_OF_ORDER_NODES_MAX};
use crate::node::Node;
use crate::record::Flags;
use crate::state::{Event, State};
use crate::{Conn, Cx, Reply};

/// A stretch of the peer's stream on its way in.
struct Text {
    seq: SeqNum,
    frame: Frame,
    has_fin: bool,
}

impl Tcp {
    /// Takes in the data and the FIN of an acceptable segment.
    pub(super) fn handle_text(
        &mut self,
        cx: &mut Cx<'_>,
        held: Held,
        arrival: &Arrival,
        payload: Frame,
        outcome: &mut Outcome,
    ) {
        let Held { index, at } = held;
        let has_fin = arrival.repr.flags.contains(Bits::FIN);
        if payload.is_empty() && !has_fin {
            cx.arena.free(payload);
            return;
        }
        if !self.records[index].state().may_receive() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //# This should not occur since a FIN has been received from the remote side. Ignore
            cx.arena.free(payload);
            self.drop_for(DropReason::AfterFin);
            self.owe_ack_now(at);
            return;
        }
        if self.records[index].has(Flags::RECEIVE_CLOSED) && !payload.is_empty() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
            //# if data arrives after CLOSE has been called, its TCP SHOULD send a RST
            cx.arena.free(payload);
            let repr = self.reset(index);
            outcome.reply = Some(self.reply(arrival, repr));
            outcome.conn = None;
            self.end(cx.arena, index, CloseReason::DataAfterClose);
            return;
        }
        let text = Text { seq: arrival.repr.seq, frame: payload, has_fin };
        let Some(text) = self.trim(cx, index, at, text) else {
            return;
        };
        if text.seq != SeqNum(self.records[index].rcv_nxt) {
            outcome.reply = self.out_of_order(cx, index, at, text);
        } else if text.frame.is_empty() || self.may_take(cx, at) {
            self.in_order(cx, index, at, text, outcome);
        } else {
            // The windows of all peers together promise more than there is. Data without an
            // acknowledgement comes again; what it would hold is what hears ACK, FIN and RST.
            cx.arena.free(text.frame);
            self.drop_for(DropReason::DataNoFrames);
            self.owe_ack_now(at);
        }
    }

    /// Whether the next bytes of the stream may be taken in: mostly the service takes them at once.
    fn may_take(&mut self, cx: &Cx<'_>, at: u32) -> bool {
        if self.extensions[at].backlog_head == NIL {
            cx.arena.has_free(self.config.frames_free_min)
        } else {
            self.may_hold(cx.arena, at)
        }
    }

    /// Cuts off what was received before and what lies beyond the window.
    fn trim(&mut self, cx: &mut Cx<'_>, index: u32, at: u32, mut text: Text) -> Option<Text> {
        let rcv_nxt = SeqNum(self.records[index].rcv_nxt);
        if text.seq.is_before(rcv_nxt) {
            let old = rcv_nxt.since(text.seq);
            let len = payload_len(&text.frame);
            if old > len || (old == len && !text.has_fin) {
                cx.arena.free(text.frame);
                self.drop_for(DropReason::Duplicate);
                self.owe_ack_now(at);
                return None;
            }
            text.frame.trim_front(old as usize);
            text.seq = rcv_nxt;
        }
        let room = SeqNum(self.extensions[at].rcv_edge).since(text.seq);
        if room == 0 && !text.frame.is_empty() {
            cx.arena.free(text.frame);
            self.drop_for(DropReason::OutOfWindow);
            self.owe_ack_now(at);
            return None;
        }
        if payload_len(&text.frame) > room {
            text.frame.truncate(room as usize);
            text.has_fin = false;
        }
        Some(text)
    }

    /// The next bytes of the stream.
    fn in_order(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        at: u32,
        text: Text,
        outcome: &mut Outcome,
    ) {
        let Text { seq: _, frame, has_fin } = text;
        let len = payload_len(&frame);
        let record = &mut self.records[index];
        record.rcv_nxt = record.rcv_nxt.wrapping_add(len);
        self.counters.bytes_in += u64::from(len);
        let has_gap = self.extensions[at].ooo_head != NIL;
        let has_backlog = self.extensions[at].backlog_head != NIL;
        if self.extensions[at].send_head == NIL {
            // Who has something to take is judged by that alone: bytes are cheap to send.
            self.extensions[at].moved_ms = cx.now.as_millis_wrapped();
        }
        if len == 0 {
            cx.arena.free(frame);
        } else if has_backlog || has_gap {
            self.keep_in_backlog(cx, at, frame);
        } else {
            outcome.data = Some(frame);
        }
        if has_fin {
            self.take_fin(cx, index, at, outcome);
        } else if has_gap {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
            //# a TCP receiver SHOULD send an immediate ACK when the incoming segment fills in a gap
            self.owe_ack_now(at);
            self.fill_from_out_of_order(cx, index, at, outcome);
        } else {
            self.owe_ack(cx, at, len);
        }
        // The connection may rest by now.
        if self.extension_of(index) == Some(at) {
            outcome.has_backlog = self.extensions[at].backlog_head != NIL;
        }
    }

    /// Moves what the gap held back into the backlog.
    fn fill_from_out_of_order(
        &mut self,
        cx: &mut Cx<'_>,
        index: u32,
        at: u32,
        outcome: &mut Outcome,
    ) {
        loop {
            let head = self.extensions[at].ooo_head;
            if head == NIL {
                return;
            }
            let rcv_nxt = SeqNum(self.records[index].rcv_nxt);
            let Node { next, seq, frame, flags, .. } = self.nodes[head];
            if SeqNum(seq).is_after(rcv_nxt) {
                return;
            }
            let extension = &mut self.extensions[at];
            extension.ooo_head = next;
            extension.ooo_count -= 1;
            extension.frames -= 1;
            if next == NIL {
                extension.ooo_tail = NIL;
            }
            let end = SeqNum(self.nodes[head].end());
            let has_fin = flags & Node::FIN != 0 && end.is_at_or_after(rcv_nxt);
            if end.is_after(rcv_nxt) {
                let mut frame = frame;
                frame.trim_front(rcv_nxt.since(SeqNum(seq)) as usize);
                self.counters.bytes_in += u64::from(frame.len);
                self.nodes[head] = Node::new(rcv_nxt.0, frame);
                self.records[index].rcv_nxt = end.0;
                self.append_to_backlog(at, head);
            } else {
                cx.arena.release(frame);
                self.nodes.free(head);
            }
            if has_fin {
                self.take_fin(cx, index, at, outcome);
                return;
            }
        }
    }

    /// The peer's FIN, in order: everything out of order beyond it is void.
    fn take_fin(&mut self, cx: &mut Cx<'_>, index: u32, at: u32, outcome: &mut Outcome) {
        let extension = &mut self.extensions[at];
        let head = core::mem::replace(&mut extension.ooo_head, NIL);
        extension.ooo_tail = NIL;
        extension.frames -= u32::from(core::mem::take(&mut extension.ooo_count));
        self.release_nodes(cx.arena, head);
        let record = &mut self.records[index];
        record.rcv_nxt = record.rcv_nxt.wrapping_add(1);
        record.set(Flags::FIN_RECEIVED, true);
        let is_read = !record.has(Flags::RECEIVE_CLOSED);
        self.owe_ack_now(at);
        if is_read {
            self.extensions[at].set(Busy::END_OWED);
            outcome.has_end = true;
        }
        self.apply(cx.arena, index, Event::FinReceived);
    }

    /// A segment beyond a gap: kept in its place, and answered at once, each one.
    fn out_of_order(&mut self, cx: &mut Cx<'_>, index: u32, at: u32, text: Text) -> Option<Reply> {
        self.counters.out_of_order += 1;
        let Text { seq, frame, has_fin } = text;
        if self.records[index].has(Flags::RECEIVE_CLOSED) {
            // A FIN behind data that will never be read: kept, it would let FIN-WAIT-2 last for
            // as long as the data does not come.
            cx.arena.free(frame);
        } else if self.extensions[at].ooo_count >= OUT_OF_ORDER_NODES_MAX {
            cx.arena.free(frame);
            self.drop_for(DropReason::OutOfOrderLimit);
        } else if !self.may_hold(cx.arena, at) {
            cx.arena.free(frame);
            self.drop_for(DropReason::DataNoFrames);
        } else {
            self.insert_out_of_order(cx, at, Text { seq, frame, has_fin });
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
        //# A TCP receiver SHOULD send an immediate duplicate ACK when an out-of-order segment arrives
        let record = &self.records[index];
        let (tuple, hop) = (record.tuple(), record.hop);
        let repr = self.acknowledgement(cx, index);
        self.counters.segments_out += 1;
        Some(Reply { tuple, hop, repr })
    }

    fn insert_out_of_order(&mut self, cx: &mut Cx<'_>, at: u32, text: Text) {
        let Text { seq, frame, has_fin } = text;
        let end = seq + payload_len(&frame);
        let mut before = NIL;
        let tail = self.extensions[at].ooo_tail;
        let mut next = self.extensions[at].ooo_head;
        if tail != NIL && SeqNum(self.nodes[tail].seq).is_before(seq) {
            // The usual case: everything after one hole arrives in order.
            (before, next) = (tail, NIL);
        }
        while next != NIL && SeqNum(self.nodes[next].seq).is_at_or_before(seq) {
            before = next;
            next = self.nodes[next].next;
        }
        if before != NIL {
            let other = &self.nodes[before];
            let is_covered = end.is_at_or_before(SeqNum(other.end()));
            if is_covered && !(has_fin && other.flags & Node::FIN == 0) {
                cx.arena.free(frame);
                self.drop_for(DropReason::Duplicate);
                return;
            }
        }
        let Some(new) = self.nodes.allocate() else {
            cx.arena.free(frame);
            self.drop_for(DropReason::NoNode);
            return;
        };
        let mut node = Node::new(seq.0, cx.arena.stow(frame));
        node.next = next;
        node.flags = if has_fin { Node::FIN } else { 0 };
        self.nodes[new] = node;
        let extension = &mut self.extensions[at];
        extension.ooo_count += 1;
        extension.frames += 1;
        if next == NIL {
            extension.ooo_tail = new;
        }
        if before == NIL {
            extension.ooo_head = new;
        } else {
            self.nodes[before].next = new;
        }
    }

    fn keep_in_backlog(&mut self, cx: &mut Cx<'_>, at: u32, frame: Frame) {
        let node = self.nodes.allocate().expect("ingress checked that a node is free");
        self.nodes[node] = Node::new(0, cx.arena.stow(frame));
        self.append_to_backlog(at, node);
    }

    fn append_to_backlog(&mut self, at: u32, node: u32) {
        self.nodes[node].next = NIL;
        let len = u32::from(self.nodes[node].frame.len);
        let tail = self.extensions[at].backlog_tail;
        if tail == NIL {
            self.extensions[at].backlog_head = node;
        } else {
            self.nodes[tail].next = node;
        }
        self.extensions[at].backlog_tail = node;
        self.extensions[at].backlog_len += len;
        self.extensions[at].frames += 1;
    }

    /// Whether the service still wants data of this connection.
    #[must_use]
    pub fn is_read(&self, conn: Conn) -> bool {
        self.record(conn).is_some_and(|record| {
            record.state() != State::Closed && !record.has(Flags::RECEIVE_CLOSED)
        })
    }

    /// The next data in order that the service has not taken; the caller owns the frame and hands
    /// what is left of it to [`Tcp::put_back`].
    pub fn take_backlog(&mut self, cx: &mut Cx<'_>, conn: Conn) -> Option<Frame> {
        self.record(conn)?;
        let at = self.extension_of(conn.index)?;
        let head = self.extensions[at].backlog_head;
        if head == NIL {
            return None;
        }
        let Node { next, frame, .. } = self.nodes[head];
        let extension = &mut self.extensions[at];
        extension.backlog_head = next;
        extension.backlog_len -= u32::from(frame.len);
        extension.frames -= 1;
        if next == NIL {
            extension.backlog_tail = NIL;
        }
        self.nodes.free(head);
        Some(cx.arena.unstow(frame))
    }

    /// Puts the rest of a frame back at the front of the backlog: the service took less than all.
    pub fn put_back(&mut self, cx: &mut Cx<'_>, conn: Conn, rest: Frame) {
        let at = if self.record(conn).is_some() { self.extension_of(conn.index) } else { None };
        let Some(at) = at else {
            // The service ended the connection while it was reading.
            cx.arena.free(rest);
            return;
        };
        if rest.is_empty() || self.records[conn.index].has(Flags::RECEIVE_CLOSED) {
            cx.arena.free(rest);
            return;
        }
        let Some(node) = self.nodes.allocate() else {
            // Acknowledged data cannot be kept: the stream has a hole and must not go on.
            cx.arena.free(rest);
            self.drop_for(DropReason::NoNode);
            self.end(cx.arena, conn.index, CloseReason::Aborted);
            return;
        };
        let len = payload_len(&rest);
        self.nodes[node] = Node::new(0, cx.arena.stow(rest));
        let extension = &mut self.extensions[at];
        self.nodes[node].next = extension.backlog_head;
        extension.backlog_head = node;
        extension.backlog_len += len;
        extension.frames += 1;
        if extension.backlog_tail == NIL {
            extension.backlog_tail = node;
        }
    }

    /// Whether the service is to be told now that the peer sends no more. True once.
    pub fn take_end(&mut self, conn: Conn) -> bool {
        if self.record(conn).is_none() {
            return false;
        }
        let Some(at) = self.extension_of(conn.index) else {
            return false;
        };
        let extension = &mut self.extensions[at];
        if !extension.has(Busy::END_OWED) || extension.backlog_head != NIL {
            return false;
        }
        extension.clear(Busy::END_OWED);
        if extension.has(Busy::REST_OWED) {
            self.mark_dirty(at);
        }
        true
    }

    /// An acknowledgement of `len` new bytes is owed: at once for every second full segment and at
    /// the start of a connection, else within the delay.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //# an ACK SHOULD be generated for at least every second full-sized segment
    fn owe_ack(&mut self, cx: &Cx<'_>, at: u32, len: u32) {
        let extension = &mut self.extensions[at];
        let is_full = len >= u32::from(extension.mss);
        extension.ack_segments = extension.ack_segments.saturating_add(if is_full { 1 } else { 0 });
        if extension.quick_acks > 0 {
            extension.quick_acks -= 1;
            self.owe_ack_now(at);
        } else if extension.ack_segments >= 2 {
            self.owe_ack_now(at);
        } else if extension.ack_at == 0 {
            extension.ack_at = (cx.now + ACK_DELAY).as_nanos();
        }
    }

    pub(crate) fn owe_ack_now(&mut self, at: u32) {
        self.extensions[at].set(Busy::ACK_NOW);
        self.mark_dirty(at);
    }
}
