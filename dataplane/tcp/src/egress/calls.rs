//! What a service may ask of TCP: connect, send, close, abort.

use base::NIL;
use memory::Frame;
use wire::SeqNum;
use wire::tcp::{Flags as Bits, Repr};

use super::SendError;
use crate::connections::{CloseReason, Found, Tcp};
use crate::counters::DropReason;
use crate::extension::Busy;
use crate::limits::{EPHEMERAL_FIRST, PORT_ATTEMPTS};
use crate::node::Node;
use crate::record::Flags;
use crate::state::{Event, State};
use crate::{Conn, Cx, Reply, Tuple};

/// Why a connection could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No free record, extension or index entry.
    #[error("no room for another connection")]
    ResourceRecords,
    /// There is no route to the peer's address.
    #[error("no route to that address")]
    Unroutable,
    /// Every port towards this peer that was tried is in use, or does not suit.
    #[error("no free local port towards this peer")]
    ResourcePorts,
}

impl Tcp {
    /// Opens a connection from our address `local` to `remote`; with `local_port` zero from a free
    /// ephemeral port that `suits`: among several cores, one whose answers belong to this one.
    /// `Service::on_open` or `on_close` follows.
    ///
    /// # Errors
    /// No record, no extension or no port is free.
    pub fn connect(
        &mut self,
        cx: &mut Cx<'_>,
        tuple: Tuple,
        word: u32,
        suits: impl Fn(&Tuple) -> bool,
    ) -> Result<Conn, ConnectError> {
        let tuple = self.with_local_port(tuple, suits)?;
        let hash = self.flow_hash(&tuple);
        let index = self.records.allocate().ok_or(ConnectError::ResourceRecords)?;
        let record = &mut self.records[index];
        record.start(&tuple, State::SynSent);
        let iss = self.hashes.initial_sequence(&tuple, cx.now);
        record.snd_nxt = iss;
        record.word = word;
        record.set(Flags::ACTIVE | Flags::NODELAY, true);
        record.set_mss(crate::limits::MSS_DEFAULT_V4);
        record.extension = cx.now.as_secs_wrapped();
        if self.index_insert(hash, Found::Record(index)).is_err() {
            self.forget(index);
            return Err(ConnectError::ResourceRecords);
        }
        let Some(at) = self.busy(index, cx.now) else {
            self.index_remove(&tuple, Found::Record(index));
            self.forget(index);
            return Err(ConnectError::ResourceRecords);
        };
        let extension = &mut self.extensions[at];
        // The SYN takes the first number; data begins after it.
        extension.snd_una = iss;
        extension.snd_ptr = iss;
        extension.snd_end = iss.wrapping_add(1);
        extension.syn_at_us = cx.now.as_micros_wrapped();
        extension.set(Busy::SYN_OWED);
        self.mark_dirty(at);
        Ok(self.conn(index))
    }

    fn forget(&mut self, index: u32) {
        self.records[index].end();
        self.records.free(index);
    }

    /// Chooses the local port.
    //= https://www.rfc-editor.org/rfc/rfc6056#section-3.3.3
    //# Algorithm 3: Simple Hash-Based Port Selection Algorithm
    fn with_local_port(
        &mut self,
        tuple: Tuple,
        suits: impl Fn(&Tuple) -> bool,
    ) -> Result<Tuple, ConnectError> {
        if tuple.local_port != 0 {
            let is_taken = self.find(&tuple, self.flow_hash(&tuple)).is_some();
            return if is_taken || !suits(&tuple) {
                Err(ConnectError::ResourcePorts)
            } else {
                Ok(tuple)
            };
        }
        let offset = self.hashes.port_offset(&tuple);
        let range = u32::from(u16::MAX - EPHEMERAL_FIRST) + 1;
        for _ in 0..PORT_ATTEMPTS.min(range) {
            let at = offset.wrapping_add(self.port_next) % range;
            self.port_next = self.port_next.wrapping_add(1);
            let local_port = EPHEMERAL_FIRST + u16::try_from(at).expect("below the range");
            let candidate = Tuple { local_port, ..tuple };
            if suits(&candidate) && self.find(&candidate, self.flow_hash(&candidate)).is_none() {
                return Ok(candidate);
            }
        }
        Err(ConnectError::ResourcePorts)
    }

    /// Bytes that [`Tcp::send`] would take now, frames permitting.
    #[must_use]
    pub fn send_room(&self, conn: Conn) -> usize {
        let Some(record) = self.record(conn) else {
            return 0;
        };
        if record.has(Flags::SEND_CLOSED) || !record.state().may_send() {
            return 0;
        }
        let queued = self.extension_of(conn.index).map_or(0, |at| self.queued(at));
        self.config.send_len_max.saturating_sub(queued) as usize
    }

    fn queued(&self, at: u32) -> u32 {
        let extension = &self.extensions[at];
        extension.snd_end.wrapping_sub(extension.snd_una)
    }

    /// Queues a copy of `bytes`, as much as there is room for; returns how much. If that is less
    /// than all, `on_writable` follows when there is room again.
    ///
    /// # Errors
    /// The connection has ended, or its sending direction is closed.
    pub fn send(&mut self, cx: &mut Cx<'_>, conn: Conn, bytes: &[u8]) -> Result<usize, SendError> {
        let Some(at) = self.sender(cx, conn)? else {
            return Ok(0);
        };
        let mut taken = 0;
        while taken < bytes.len() {
            let appended = self.append_to_tail(cx, at, &bytes[taken..]);
            taken += appended;
            if appended == 0 && !self.append_node(cx, at, bytes, &mut taken) {
                break;
            }
        }
        if taken < bytes.len() {
            self.records[conn.index].set(Flags::WANTS_WRITE, true);
        }
        if taken > 0 {
            self.counters.bytes_copied += taken as u64;
            self.begin_stretch(cx.now, at);
            self.mark_dirty(at);
        }
        Ok(taken)
    }

    /// Queues a frame's data without copying it.
    ///
    /// # Errors
    /// The frame comes back with the reason: ended, closed, or no room now (`on_writable` follows).
    pub fn send_frame(
        &mut self,
        cx: &mut Cx<'_>,
        conn: Conn,
        frame: Frame,
    ) -> Result<(), (SendError, Frame)> {
        let at = match self.sender(cx, conn) {
            Ok(Some(at)) => at,
            Ok(None) => return Err((SendError::ResourceRoom, frame)),
            Err(error) => return Err((error, frame)),
        };
        if frame.is_empty() {
            cx.arena.free(frame);
            return Ok(());
        }
        let len = u32::try_from(frame.len()).expect("a frame has at most 4096 bytes");
        // The frame is there already; the first one of a connection takes nobody's place.
        let may_hold = self.extensions[at].frames == 0 || self.may_hold(cx.arena, at);
        let has_room = may_hold && self.queued(at) + len <= self.config.send_len_max;
        let node = if has_room { self.allocate_send_node() } else { None };
        let Some(node) = node else {
            self.records[conn.index].set(Flags::WANTS_WRITE, true);
            return Err((SendError::ResourceRoom, frame));
        };
        self.link_node(cx, at, node, frame);
        self.begin_stretch(cx.now, at);
        self.mark_dirty(at);
        Ok(())
    }

    /// The extension of a connection that may send; `None` if there is no room for one now.
    fn sender(&mut self, cx: &Cx<'_>, conn: Conn) -> Result<Option<u32>, SendError> {
        let record = self.record(conn).ok_or(SendError::Ended)?;
        if record.state() == State::Closed {
            return Err(SendError::Ended);
        }
        if record.has(Flags::SEND_CLOSED) || !record.state().may_send() {
            return Err(SendError::Closed);
        }
        let at = self.busy(conn.index, cx.now);
        match at {
            None => self.records[conn.index].set(Flags::WANTS_WRITE, true),
            Some(at) => {
                self.extensions[at].busy_at = cx.now.as_nanos();
            }
        }
        Ok(at)
    }

    /// A node for data to send; some are kept back for data that arrives.
    fn allocate_send_node(&mut self) -> Option<u32> {
        let reserve = (self.nodes.capacity() / 16).max(1);
        if self.nodes.used() + reserve >= self.nodes.capacity() {
            return None;
        }
        self.nodes.allocate()
    }

    /// Fills up the last segment, as long as no part of it has been sent.
    fn append_to_tail(&mut self, cx: &mut Cx<'_>, at: u32, bytes: &[u8]) -> usize {
        let extension = &self.extensions[at];
        let tail = extension.send_tail;
        if tail == NIL {
            return 0;
        }
        let room_in_queue = self.config.send_len_max.saturating_sub(self.queued(at)) as usize;
        let mss = usize::from(extension.mss);
        let Node { seq, mut frame, sends, .. } = self.nodes[tail];
        let is_untouched = sends == 0 && SeqNum(extension.snd_ptr).is_at_or_before(SeqNum(seq));
        let old_len = usize::from(frame.len);
        if !is_untouched || old_len >= mss || !cx.arena.stowed_is_unshared(frame) {
            return 0;
        }
        let tailroom = cx.arena.stowed_tailroom(frame);
        let len = bytes.len().min(mss - old_len).min(tailroom).min(room_in_queue);
        if len == 0 {
            return 0;
        }
        frame.len += u16::try_from(len).expect("fits the frame");
        let Some(target) = cx.arena.stowed_bytes_mut(frame) else {
            return 0;
        };
        target[old_len..].copy_from_slice(&bytes[..len]);
        self.nodes[tail].frame = frame;
        let extension = &mut self.extensions[at];
        extension.snd_end = extension.snd_end.wrapping_add(u32::try_from(len).expect("small"));
        len
    }

    /// Puts the next segment's worth of `bytes` into a node of its own. False if there is no room.
    fn append_node(&mut self, cx: &mut Cx<'_>, at: u32, bytes: &[u8], taken: &mut usize) -> bool {
        let room = self.config.send_len_max.saturating_sub(self.queued(at)) as usize;
        let mss = usize::from(self.extensions[at].mss);
        let len = (bytes.len() - *taken).min(mss).min(room);
        // Frames are credits: what is queued must leave enough to receive by.
        if len == 0 || !self.may_hold(cx.arena, at) {
            return false;
        }
        let Some(node) = self.allocate_send_node() else {
            return false;
        };
        let Some(mut frame) = cx.arena.allocate() else {
            self.nodes.free(node);
            return false;
        };
        let len = len.min(cx.arena.tailroom(&frame));
        cx.arena.set_len(&mut frame, len);
        cx.arena.bytes_mut(&mut frame).copy_from_slice(&bytes[*taken..*taken + len]);
        self.link_node(cx, at, node, frame);
        *taken += len;
        true
    }

    fn link_node(&mut self, cx: &mut Cx<'_>, at: u32, node: u32, frame: Frame) {
        let extension = &mut self.extensions[at];
        let seq = extension.snd_end;
        let stowed = cx.arena.stow(frame);
        extension.snd_end = seq.wrapping_add(u32::from(stowed.len));
        self.nodes[node] = Node::new(seq, stowed);
        extension.frames += 1;
        if extension.send_tail == NIL {
            extension.send_head = node;
            extension.moved_ms = cx.now.as_millis_wrapped();
        } else {
            self.nodes[extension.send_tail].next = node;
        }
        extension.send_tail = node;
        if extension.ptr_node == NIL {
            extension.ptr_node = node;
        }
    }

    /// Ends our direction after what is queued; the peer may still send.
    pub fn close_send(&mut self, cx: &mut Cx<'_>, conn: Conn) {
        let Some(record) = self.record(conn) else {
            return;
        };
        if record.state() == State::Closed || record.has(Flags::SEND_CLOSED) {
            return;
        }
        let Some(at) = self.busy(conn.index, cx.now) else {
            // Without an extension the FIN waits for the sweep.
            self.records[conn.index].set(Flags::WANTS_CLOSE, true);
            return;
        };
        let record = &mut self.records[conn.index];
        record.set(Flags::SEND_CLOSED, true);
        record.set(Flags::WANTS_WRITE, false);
        record.set(Flags::WANTS_CLOSE, false);
        self.extensions[at].set(Busy::FIN_QUEUED);
        self.extensions[at].busy_at = cx.now.as_nanos();
        self.apply(cx.arena, conn.index, Event::SendClosed);
        self.begin_stretch(cx.now, at);
        self.mark_dirty(at);
        self.rearm(at);
    }

    /// Ends the connection for the service: what is queued is still sent; what still arrives, or
    /// has arrived and was not read, resets it. `on_close` follows.
    pub fn close(&mut self, cx: &mut Cx<'_>, conn: Conn) -> Option<Reply> {
        let record = self.record(conn)?;
        if record.state() == State::Closed || record.has(Flags::RECEIVE_CLOSED) {
            return None;
        }
        // What waits behind a hole is lost as well, and would keep the connection busy for ever.
        let has_unread = self.extension_of(conn.index).is_some_and(|at| {
            self.extensions[at].backlog_len > 0 || self.extensions[at].ooo_head != NIL
        });
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
        //# If ... there is still data in TCP, its TCP SHOULD send a RST to show that data was lost
        if has_unread || record.state() == State::SynSent {
            return self.abort(cx, conn);
        }
        self.records[conn.index].set(Flags::RECEIVE_CLOSED, true);
        if let Some(at) = self.extension_of(conn.index) {
            self.extensions[at].clear(Busy::END_OWED);
            if self.extensions[at].has(Busy::REST_OWED) {
                self.mark_dirty(at);
            }
        }
        self.close_send(cx, conn);
        None
    }

    /// Ends the connection at once with a RST, which is returned to be sent. `on_close` follows.
    pub fn abort(&mut self, cx: &mut Cx<'_>, conn: Conn) -> Option<Reply> {
        let record = self.record(conn)?;
        let state = record.state();
        if state == State::Closed {
            return None;
        }
        let reply = Reply { tuple: record.tuple(), hop: record.hop, repr: self.reset(conn.index) };
        self.end(cx.arena, conn.index, CloseReason::Aborted);
        if state == State::SynSent {
            return None;
        }
        self.counters.segments_out += 1;
        self.counters.resets_sent += 1;
        Some(reply)
    }

    /// Resets a connection that the service refused in `on_open`; it hears no more of it.
    pub fn refuse_open(&mut self, cx: &mut Cx<'_>, conn: Conn) -> Option<Reply> {
        self.record(conn)?;
        self.records[conn.index].set(Flags::OPENED | Flags::ACTIVE, false);
        self.drop_for(DropReason::ServiceRefused);
        self.abort(cx, conn)
    }

    /// The RST of a connection as it stands.
    pub(crate) fn reset(&self, index: u32) -> Repr {
        let record = &self.records[index];
        let tuple = record.tuple();
        // A RST counts only at the number that the peer expects: a byte that probes a shut window
        // lies beyond it.
        let nxt = SeqNum(record.snd_nxt);
        let seq = self.extension_of(index).map_or(nxt, |at| {
            let extension = &self.extensions[at];
            nxt.min(SeqNum(extension.snd_una) + extension.snd_wnd)
        });
        Repr {
            src_port: tuple.local_port,
            dst_port: tuple.remote_port,
            seq,
            ack: SeqNum(record.rcv_nxt),
            flags: Bits::RST | Bits::ACK,
            ..Repr::default()
        }
    }

    /// Asks for the backlog to be offered to the service again, in this turn.
    pub fn resume(&mut self, conn: Conn) {
        if self.record(conn).is_none() {
            return;
        }
        let Some(at) = self.extension_of(conn.index) else {
            return;
        };
        if self.extensions[at].backlog_head != NIL || self.extensions[at].has(Busy::END_OWED) {
            self.extensions[at].set(Busy::OFFER);
            self.mark_dirty(at);
        }
    }
}
