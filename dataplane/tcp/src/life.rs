//! The life of a record: made busy, quiet again, ended; and the lists it stands in meanwhile.

use base::{Duration, Instant, NIL};
use memory::CoreArena;

use crate::congestion::{self, initial_window};
use crate::connections::{CloseReason, Ended, Found, Tcp};
use crate::extension::{Busy, Extension, Links};
use crate::limits::{GIVE_BACK_STEP, QUICK_ACKS, QUIET_MIN, TIMESTAMPS_LEN};
use crate::node::Node;
use crate::record::{Estimates, Flags};
use crate::rtt;
use crate::state::{Event, State, Transition};
use crate::time_wait::Rest;

impl Tcp {
    /// The extension of record `index`, borrowed if it has none; `None` when the pool is empty.
    pub(crate) fn busy(&mut self, index: u32, now: Instant) -> Option<u32> {
        let record = &self.records[index];
        if record.has(Flags::BUSY) {
            return Some(record.extension);
        }
        self.reclaim(now);
        let at = self.extensions.allocate()?;
        self.counters.extensions_borrowed += 1;
        let record = &mut self.records[index];
        let idle_since_s = record.extension;
        let tuple = record.tuple();
        let extension = &mut self.extensions[at];
        extension.start(index);
        extension.snd_una = record.snd_nxt;
        extension.snd_ptr = record.snd_nxt;
        extension.snd_end = record.snd_nxt;
        extension.snd_wnd = u32::from(record.snd_wnd) << record.send_scale();
        extension.snd_wnd_max = extension.snd_wnd;
        extension.snd_wl1 = record.rcv_nxt;
        extension.snd_wl2 = record.snd_nxt;
        extension.rcv_edge = record.quiet_edge().0;
        extension.rcv_acked = record.rcv_nxt;
        extension.recover = record.snd_nxt;
        extension.ts_offset = self.hashes.timestamp_offset(&tuple);
        extension.ts_recent_at_s = idle_since_s;
        let options_len = if record.has(Flags::TIMESTAMPS) { TIMESTAMPS_LEN } else { 0 };
        extension.mss = record.mss() - options_len;
        let Estimates { srtt_us, rttvar_us, ssthresh, cwnd } = record.estimates();
        extension.srtt_us = srtt_us;
        extension.rttvar_us = rttvar_us;
        extension.busy_at = now.as_nanos();
        extension.moved_ms = now.as_millis_wrapped();
        extension.quick_acks = QUICK_ACKS;
        //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
        //# cwnd to no more than RW before transmission begins if the TCP has not sent data
        let initial = initial_window(u32::from(extension.mss));
        let window = if cwnd == 0 { initial } else { initial.min(cwnd) };
        congestion::start(extension, self.config.algorithm, window, ssthresh.max(1));
        if record.state() == State::FinWait2 {
            // Our FIN is sent and acknowledged: it lies below `snd_una`.
            extension.snd_end = record.snd_nxt.wrapping_sub(1);
            extension.set(Busy::FIN_QUEUED);
            extension.set(Busy::FIN_SENT);
        }
        record.set(Flags::BUSY, true);
        record.extension = at;
        self.lru_append(at, now);
        Some(at)
    }

    /// Whether all that a busy connection is fits into its record.
    pub(crate) fn is_quiet(&self, at: u32) -> bool {
        let extension = &self.extensions[at];
        let record = &self.records[extension.record];
        let pending = Busy::DIRTY
            | Busy::ACK_NOW
            | Busy::RESEND_HEAD
            | Busy::PROBE
            | Busy::SYN_OWED
            | Busy::END_OWED
            | Busy::REST_OWED;
        record.state().may_be_quiet()
            && extension.snd_una == record.snd_nxt
            && extension.snd_una == extension.send_limit()
            && extension.rcv_acked == record.rcv_nxt
            && extension.backlog_head == NIL
            && extension.ooo_head == NIL
            && !extension.has_any(pending)
    }

    /// When the extension may go back if nothing happens until then.
    pub(crate) fn quiet_at(extension: &Extension) -> Instant {
        let wait =
            Duration::from_nanos(rtt::timeout(extension).as_nanos().max(QUIET_MIN.as_nanos()));
        Instant::from_nanos(extension.busy_at) + wait
    }

    /// Gives the extension back: the record is all there is again.
    pub(crate) fn give_back(&mut self, at: u32) {
        debug_assert!(self.is_quiet(at), "extension {at} is not quiet");
        let threshold = congestion::controller(&mut self.extensions[at]).threshold();
        let window = congestion::controller(&mut self.extensions[at]).window();
        let extension = &self.extensions[at];
        let record = &mut self.records[extension.record];
        record.snd_wnd = u16::try_from(extension.snd_wnd >> record.send_scale())
            .expect("a window is 16 bits, scaled");
        record.set_quiet_edge(wire::SeqNum(extension.rcv_edge));
        record.keep_estimates(Estimates {
            srtt_us: extension.srtt_us,
            rttvar_us: extension.rttvar_us,
            ssthresh: threshold,
            cwnd: window,
        });
        record.set(Flags::BUSY, false);
        let busy_at = extension.busy_at;
        record.touch(Instant::from_nanos(busy_at));
        if record.is_idle() {
            // What was still under way for the service's last answer has ended now.
            record.set_idle(Instant::from_nanos(busy_at));
        }
        self.free_extension(at);
    }

    /// Takes quiet extensions back early while the pool stands below its mark.
    fn reclaim(&mut self, now: Instant) {
        for _ in 0..GIVE_BACK_STEP {
            let free = self.extensions.capacity() - self.extensions.used();
            let at = self.lru.head;
            if free >= self.config.extensions_free_min.max(1) || at == NIL {
                return;
            }
            let used_at = lru_stamp(Instant::from_nanos(self.extensions[at].busy_at));
            if self.is_quiet(at) && used_at <= self.extensions[at].lru_at {
                self.give_back(at);
                self.counters.extensions_reclaimed += 1;
            } else {
                // Used since it took its place: it takes a new one, and the next is looked at.
                self.lru_remove(at);
                self.lru_append(at, now);
                self.extensions[at].lru_at = used_at;
            }
        }
    }

    fn lru_append(&mut self, at: u32, now: Instant) {
        let tail = self.lru.tail;
        let extension = &mut self.extensions[at];
        extension.lru_prev = tail;
        extension.lru_next = NIL;
        extension.lru_at = lru_stamp(now);
        if tail == NIL {
            self.lru.head = at;
        } else {
            self.extensions[tail].lru_next = at;
        }
        self.lru.tail = at;
    }

    fn lru_remove(&mut self, at: u32) {
        let Extension { lru_prev, lru_next, .. } = self.extensions[at];
        if lru_prev == NIL {
            self.lru.head = lru_next;
        } else {
            self.extensions[lru_prev].lru_next = lru_next;
        }
        if lru_next == NIL {
            self.lru.tail = lru_prev;
        } else {
            self.extensions[lru_next].lru_prev = lru_prev;
        }
    }

    /// Frees an extension whose record no longer names it. One in the list of connections with
    /// something to send is freed when that list comes to it.
    fn free_extension(&mut self, at: u32) {
        self.lru_remove(at);
        self.wheel.disarm(&mut Links(&mut self.extensions), at);
        if self.extensions[at].has(Busy::DIRTY) {
            self.extensions[at].record = NIL;
        } else {
            self.extensions.free(at);
        }
    }

    /// Puts the connection into the list of those with something to send or to offer.
    pub(crate) fn mark_dirty(&mut self, at: u32) {
        if self.extensions[at].has(Busy::DIRTY) {
            return;
        }
        self.extensions[at].set(Busy::DIRTY);
        self.extensions[at].dirty_next = NIL;
        if self.dirty.tail == NIL {
            self.dirty.head = at;
        } else {
            let tail = self.dirty.tail;
            self.extensions[tail].dirty_next = at;
        }
        self.dirty.tail = at;
    }

    /// Releases the list of nodes that begins at `head`.
    pub(crate) fn release_nodes(&mut self, arena: &mut CoreArena, head: u32) {
        let mut at = head;
        while at != NIL {
            let Node { next, frame, .. } = self.nodes[at];
            arena.release(frame);
            self.nodes.free(at);
            at = next;
        }
    }

    /// Does to a connection what `event` means in its state.
    pub(crate) fn apply(&mut self, arena: &mut CoreArena, index: u32, event: Event) -> Transition {
        let transition = self.records[index].state().on(event);
        match transition {
            Transition::Stay => {}
            Transition::Enter(state) => self.records[index].set_state(state),
            Transition::TimeWait => {
                // The last acknowledgement is still to be sent, and perhaps data to be read:
                // egress lets the tuple rest once neither is owed.
                if let Some(at) = self.extension_of(index) {
                    self.extensions[at].set(Busy::REST_OWED);
                    self.mark_dirty(at);
                }
            }
            Transition::Finish => {
                // What came before the peer's FIN may still wait for its reader: egress ends the
                // connection once the service has been told.
                if let Some(at) = self.extension_of(index)
                    && self.extensions[at].has(Busy::END_OWED)
                {
                    self.extensions[at].set(Busy::REST_OWED);
                } else {
                    self.finish(arena, index);
                }
            }
        }
        transition
    }

    /// Ends a connection both of whose directions have ended, the peer's first.
    pub(crate) fn finish(&mut self, arena: &mut CoreArena, index: u32) {
        self.counters.finished += 1;
        self.end(arena, index, CloseReason::Finished);
    }

    /// Ends a connection whose tuple rests from now on.
    pub(crate) fn rest(&mut self, arena: &mut CoreArena, index: u32, now: Instant) {
        if let Some(oldest) = self.time_wait.oldest_if_full() {
            let tuple = self.time_wait.entry(oldest).tuple();
            self.index_remove(&tuple, Found::TimeWait(oldest));
            self.time_wait.remove(oldest);
            self.counters.time_wait_recycled += 1;
        }
        let record = &self.records[index];
        let tuple = record.tuple();
        let rest = Rest {
            tuple,
            hop: record.hop,
            snd_nxt: record.snd_nxt,
            rcv_nxt: record.rcv_nxt,
            ts_recent: record.has(Flags::TIMESTAMPS).then_some(record.ts_recent),
        };
        let resting = self.time_wait.insert(&rest, now);
        self.index_replace(&tuple, Found::Record(index), Found::TimeWait(resting));
        self.counters.finished += 1;
        self.strip(arena, index);
        self.list_ended(index, CloseReason::Finished);
    }

    /// Ends a connection at once: its flow leaves the index, its memory goes back, and its service
    /// is told by [`Tcp::poll_ended`].
    pub(crate) fn end(&mut self, arena: &mut CoreArena, index: u32, reason: CloseReason) {
        let tuple = self.records[index].tuple();
        self.index_remove(&tuple, Found::Record(index));
        self.strip(arena, index);
        self.list_ended(index, reason);
    }

    /// Gives back all that a record has borrowed.
    fn strip(&mut self, arena: &mut CoreArena, index: u32) {
        if let Some(at) = self.extension_of(index) {
            let Extension { send_head, backlog_head, ooo_head, .. } = self.extensions[at];
            self.release_nodes(arena, send_head);
            self.release_nodes(arena, backlog_head);
            self.release_nodes(arena, ooo_head);
            self.free_extension(at);
            self.records[index].set(Flags::BUSY, false);
        }
        let listener = self.records[index].listener;
        if let Some(listener) = self.listeners.entry_mut(listener) {
            listener.connections -= 1;
        }
    }

    fn list_ended(&mut self, index: u32, reason: CloseReason) {
        let record = &mut self.records[index];
        record.set_state(State::Closed);
        record.extension = NIL;
        record.rcv_edge = reason as u16;
        if self.ended.tail == NIL {
            self.ended.head = index;
        } else {
            let tail = self.ended.tail;
            self.records[tail].extension = index;
        }
        self.ended.tail = index;
    }

    /// The next connection whose service is to be told that it has ended. It stays until
    /// [`Tcp::release_ended`].
    #[must_use]
    pub fn poll_ended(&self) -> Option<Ended> {
        if self.ended.head == NIL {
            return None;
        }
        let index = self.ended.head;
        let reason = CloseReason::ALL[usize::from(self.records[index].rcv_edge)];
        let record = &self.records[index];
        let is_told = record.has(Flags::OPENED) || record.has(Flags::ACTIVE);
        Some(Ended { conn: self.conn(index), reason, is_told })
    }

    /// Frees the record that [`Tcp::poll_ended`] named.
    pub fn release_ended(&mut self) {
        let index = self.ended.head;
        if index == NIL {
            return;
        }
        self.ended.head = self.records[index].extension;
        if self.ended.head == NIL {
            self.ended.tail = NIL;
        }
        self.records[index].end();
        self.records.free(index);
    }
}

/// Half-seconds, wrapped: fine enough to tell a used extension from an unused one.
fn lru_stamp(at: Instant) -> u32 {
    at.as_millis_wrapped() / 512
}
