//! The tables of one core, and the life of a record: found, made busy, quiet again, ended.

use base::{Duration, Instant, NIL, Wheel};
use memory::{ArenaError, CoreArena, PageChoice, Reuse, Slab};
use thiserror::Error;

use crate::challenge::Challenges;
use crate::congestion::{self, Algorithm, initial_window};
use crate::counters::{Counters, DropReason};
use crate::extension::{Busy, Extension, Links};
use crate::half_open::HalfOpens;
use crate::index::{FlowIndex, Full};
use crate::keys::{Hashes, Keys};
use crate::limits::{GIVE_BACK_STEP, QUICK_ACKS, QUIET_MIN, RECORDS_MAX, TIMESTAMPS_LEN};
use crate::listener::{ListenError, ListenerId, ListenerOptions, Listeners};
use crate::node::Node;
use crate::record::{Estimates, Flags, Record};
use crate::rtt;
use crate::state::{Event, State, Transition};
use crate::sweep::Sweep;
use crate::time_wait::{Rest, TimeWaits};
use crate::{Conn, Tuple};

/// Sizes of one core's tables. Memory is taken and touched when [`Tcp`] is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connections.
    pub records: u32,
    /// Connections busy at once.
    pub extensions: u32,
    /// Segments in flight, queued or out of order, of all connections.
    pub nodes: u32,
    /// Half-open connections.
    pub half_open: u32,
    /// Tuples in TIME-WAIT.
    pub time_wait: u32,
    /// The receive window of a connection, in bytes.
    pub window_len: u32,
    /// Bytes that a connection may have queued and in flight.
    pub send_len_max: u32,
    /// The MTU of the link, in bytes: what our MSS is made of.
    pub mtu: u16,
    /// A SYN is admitted, and data is kept, only while more frames than this are free.
    pub frames_free_min: u32,
    /// Extensions that are kept free by taking back the least recently used quiet ones.
    pub extensions_free_min: u32,
    /// The congestion control of new connections.
    pub algorithm: Algorithm,
    /// Pages of the tables.
    pub pages: PageChoice,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            records: 1 << 16,
            extensions: 1 << 12,
            nodes: 1 << 15,
            half_open: 1 << 12,
            time_wait: 1 << 14,
            window_len: 256 * 1024,
            send_len_max: 1 << 20,
            mtu: 1_500,
            frames_free_min: 64,
            extensions_free_min: 64,
            algorithm: Algorithm::NewReno,
            pages: PageChoice::Best,
        }
    }
}

/// Why the tables could not be made.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A table of impossible size.
    #[error("{what} = {given} is out of range: {least} to {most}")]
    ConfigRange {
        /// The setting.
        what: &'static str,
        /// Its value.
        given: u32,
        /// The least value.
        least: u32,
        /// The greatest value.
        most: u32,
    },
    /// The machine has not enough memory.
    #[error(transparent)]
    ResourceMemory(#[from] ArenaError),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseReason {
    /// Both sides closed, and everything sent was acknowledged.
    Finished = 0,
    /// The peer reset it.
    PeerReset = 1,
    /// The peer refused our SYN.
    PeerRefused = 2,
    /// Retransmissions went unanswered.
    TimedOut = 3,
    /// Keep-alive probes went unanswered.
    KeepAlive = 4,
    /// We aborted it.
    Aborted = 5,
    /// Data arrived that the service, having closed, would never read.
    DataAfterClose = 6,
}

impl CloseReason {
    const ALL: [Self; 7] = [
        Self::Finished,
        Self::PeerReset,
        Self::PeerRefused,
        Self::TimedOut,
        Self::KeepAlive,
        Self::Aborted,
        Self::DataAfterClose,
    ];
}

/// A connection that has ended and whose service is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The handle, valid until [`Tcp::release_ended`].
    pub conn: Conn,
    /// Why.
    pub reason: CloseReason,
    /// The service knows of the connection: it accepted it, or asked for it.
    pub is_told: bool,
}

/// How full the tables are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections.
    pub records: u32,
    /// Busy connections.
    pub extensions: u32,
    /// Segment nodes.
    pub nodes: u32,
    /// Half-open connections.
    pub half_open: u32,
    /// Tuples in TIME-WAIT.
    pub time_wait: u32,
    /// Flows in the index.
    pub flows: u32,
    /// Armed timers.
    pub timers: u32,
}

/// A singly linked list of extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) head: u32,
    pub(crate) tail: u32,
}

/// TCP of one core.
#[derive(Debug)]
pub struct Tcp {
    pub(crate) config: Config,
    pub(crate) hashes: Hashes,
    pub(crate) records: Slab<Record>,
    pub(crate) extensions: Slab<Extension>,
    pub(crate) nodes: Slab<Node>,
    pub(crate) half_open: HalfOpens,
    pub(crate) time_wait: TimeWaits,
    pub(crate) index: FlowIndex,
    pub(crate) listeners: Listeners,
    pub(crate) wheel: Wheel,
    pub(crate) challenges: Challenges,
    pub(crate) counters: Counters,
    pub(crate) dirty: List,
    /// Ended records, linked through their `extension` field.
    pub(crate) ended: List,
    pub(crate) lru: List,
    pub(crate) sweep: Sweep,
    pub(crate) port_next: u32,
    /// The scale of our windows.
    pub(crate) receive_scale: u8,
}

/// Which table an index entry names: two bits above the number.
const KIND_SHIFT: u32 = 30;
const KIND_HALF_OPEN: u32 = 1 << KIND_SHIFT;
const KIND_TIME_WAIT: u32 = 2 << KIND_SHIFT;
const NUMBER: u32 = KIND_HALF_OPEN - 1;

/// What the index knows of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Record(u32),
    HalfOpen(u32),
    TimeWait(u32),
}

impl Found {
    fn decode(value: u32) -> Self {
        let number = value & NUMBER;
        match value & !NUMBER {
            KIND_HALF_OPEN => Self::HalfOpen(number),
            KIND_TIME_WAIT => Self::TimeWait(number),
            _ => Self::Record(number),
        }
    }

    fn encode(self) -> u32 {
        match self {
            Self::Record(number) => number,
            Self::HalfOpen(number) => number | KIND_HALF_OPEN,
            Self::TimeWait(number) => number | KIND_TIME_WAIT,
        }
    }
}

impl Tcp {
    /// Takes the memory of all tables.
    ///
    /// # Errors
    /// A table of impossible size, or a machine without the memory.
    pub fn new(config: Config, keys: &Keys, now: Instant) -> Result<Self, ConfigError> {
        let ranges = [
            ("records", config.records, 1, RECORDS_MAX - 1),
            ("extensions", config.extensions, 1, RECORDS_MAX - 1),
            ("nodes", config.nodes, 2, RECORDS_MAX - 1),
            ("half_open", config.half_open, 1, RECORDS_MAX - 1),
            ("time_wait", config.time_wait, 1, RECORDS_MAX - 1),
            ("window_len", config.window_len, 2_048, 1 << 30),
            ("send_len_max", config.send_len_max, 2_048, 1 << 30),
            ("mtu", u32::from(config.mtu), 576, 9_216),
        ];
        for (what, given, least, most) in ranges {
            if !(least..=most).contains(&given) {
                return Err(ConfigError::ConfigRange { what, given, least, most });
            }
        }
        let pages = config.pages;
        let flows = config.records as usize + config.half_open as usize + config.time_wait as usize;
        let empty = List { head: NIL, tail: NIL };
        Ok(Self {
            hashes: Hashes::new(keys),
            records: Slab::new(config.records, Reuse::Fifo, pages)?,
            extensions: Slab::new(config.extensions, Reuse::Lifo, pages)?,
            nodes: Slab::new(config.nodes, Reuse::Lifo, pages)?,
            half_open: HalfOpens::new(config.half_open, pages)?,
            time_wait: TimeWaits::new(config.time_wait, pages)?,
            index: FlowIndex::new(flows, pages)?,
            listeners: Listeners::new(),
            wheel: Wheel::new(now),
            challenges: Challenges::new(),
            counters: Counters::default(),
            dirty: empty,
            ended: empty,
            lru: empty,
            sweep: Sweep::new(now),
            port_next: 0,
            receive_scale: scale_for(config.window_len),
            config,
        })
    }

    /// Accepts connections on `port`.
    ///
    /// # Errors
    /// The port is taken, zero, or one too many.
    pub fn listen(
        &mut self,
        port: u16,
        options: ListenerOptions,
    ) -> Result<ListenerId, ListenError> {
        self.listeners.open(port, options)
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How full the tables are.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            records: self.records.used(),
            extensions: self.extensions.used(),
            nodes: self.nodes.used(),
            half_open: self.half_open.used(),
            time_wait: self.time_wait.used(),
            flows: u32::try_from(self.index.len()).expect("fewer flows than indices"),
            timers: self.wheel.armed_count(),
        }
    }

    /// Where a flow lies: to be handed back with its segment.
    #[inline]
    #[must_use]
    pub fn flow_hash(&self, tuple: &Tuple) -> u64 {
        self.hashes.flow(tuple)
    }

    /// First pass over a burst: brings the flow's bucket towards the cache.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Second pass over a burst: brings what the bucket names towards the cache.
    #[inline]
    pub fn prefetch_record(&self, hash: u64) {
        let Some(value) = self.index.candidate(hash) else {
            return;
        };
        match Found::decode(value) {
            Found::Record(index) => self.records.prefetch(index),
            Found::HalfOpen(index) => self.half_open.prefetch(index),
            Found::TimeWait(index) => self.time_wait.prefetch(index),
        }
    }

    /// Third pass: brings the extension of a busy connection towards the cache.
    #[inline]
    pub fn prefetch_extension(&self, hash: u64) {
        let Some(Found::Record(index)) = self.index.candidate(hash).map(Found::decode) else {
            return;
        };
        if let Some(record) = self.records.get(index)
            && record.has(Flags::BUSY)
        {
            self.extensions.prefetch(record.extension);
        }
    }

    /// The record of a live handle.
    #[must_use]
    pub fn record(&self, conn: Conn) -> Option<&Record> {
        let record = self.records.get(conn.index)?;
        (record.is_live() && record.generation == conn.generation).then_some(record)
    }

    /// The service's word of a live handle.
    #[must_use]
    pub fn word(&self, conn: Conn) -> Option<u32> {
        self.record(conn).map(|record| record.word)
    }

    /// Sets the service's word; nothing happens for a stale handle.
    pub fn set_word(&mut self, conn: Conn, word: u32) {
        if self.record(conn).is_some() {
            self.records[conn.index].word = word;
        }
    }

    /// Remembers the neighbour through which a connection's segments leave.
    pub fn set_hop(&mut self, index: u32, hop: u16) {
        self.records[index].hop = hop;
    }

    /// The listener a connection came in by; `None` for one we opened or a stale handle.
    #[must_use]
    pub fn listener_of(&self, conn: Conn) -> Option<ListenerId> {
        let listener = self.record(conn)?.listener;
        (listener != u16::MAX).then_some(ListenerId(listener))
    }

    pub(crate) fn conn(&self, index: u32) -> Conn {
        Conn { index, generation: self.records[index].generation }
    }

    pub(crate) fn find(&self, tuple: &Tuple, hash: u64) -> Option<Found> {
        let value = self.index.find(hash, |value| match Found::decode(value) {
            Found::Record(index) => self.records[index].is_for(tuple),
            Found::HalfOpen(index) => self.half_open.entry(index).is_for(tuple),
            Found::TimeWait(index) => self.time_wait.entry(index).is_for(tuple),
        });
        value.map(Found::decode)
    }

    pub(crate) fn index_insert(&mut self, hash: u64, found: Found) -> Result<(), Full> {
        let Self { index, records, half_open, time_wait, hashes, .. } = self;
        index.insert(hash, found.encode(), &|value| {
            hashes.flow(&match Found::decode(value) {
                Found::Record(at) => records[at].tuple(),
                Found::HalfOpen(at) => half_open.entry(at).tuple(),
                Found::TimeWait(at) => time_wait.entry(at).tuple(),
            })
        })
    }

    pub(crate) fn index_remove(&mut self, tuple: &Tuple, found: Found) {
        self.index.remove(self.hashes.flow(tuple), found.encode());
    }

    pub(crate) fn index_replace(&mut self, tuple: &Tuple, old: Found, new: Found) {
        self.index.replace(self.hashes.flow(tuple), old.encode(), new.encode());
    }

    /// The extension of a busy record.
    pub(crate) fn extension_of(&self, index: u32) -> Option<u32> {
        let record = &self.records[index];
        record.has(Flags::BUSY).then_some(record.extension)
    }

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

    /// Whether a connection has something to send.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        self.dirty.head != NIL
    }

    pub(crate) fn drop_for(&mut self, reason: DropReason) {
        self.counters.drop_for(reason);
    }
}

/// Half-seconds, wrapped: fine enough to tell a used extension from an unused one.
fn lru_stamp(at: Instant) -> u32 {
    at.as_millis_wrapped() / 512
}

/// The smallest scale under which `window_len` fits 16 bits.
fn scale_for(window_len: u32) -> u8 {
    let mut scale = 0;
    while scale < crate::limits::WINDOW_SCALE_MAX && window_len >> scale > u32::from(u16::MAX) {
        scale += 1;
    }
    scale
}
