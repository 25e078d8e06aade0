//! The tables of one core: how they are made, and how a flow is found in them.

use base::{Instant, NIL, Wheel};
use memory::{ArenaError, PageChoice, Reuse, Slab};
use thiserror::Error;

use crate::challenge::Challenges;
use crate::congestion::Algorithm;
use crate::cookie::Cookies;
use crate::counters::{Counters, DropReason};
use crate::extension::Extension;
use crate::half_open::HalfOpens;
use crate::index::{FlowIndex, Full};
use crate::keys::{Hashes, Keys};
use crate::limits::RECORDS_MAX;
use crate::listener::{ListenError, ListenerId, ListenerOptions, Listeners};
use crate::node::Node;
use crate::record::{Flags, IDLE, Record};
use crate::sweep::Sweep;
use crate::time_wait::TimeWaits;
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
    /// A SYN is admitted, and data is kept, only while so many frames are free. A connection that
    /// holds frames already needs as many more.
    pub frames_free_min: u32,
    /// While fewer frames than this are free, a connection holds twice what may be in flight at most;
    /// zero for never.
    pub frames_short: u32,
    /// While fewer frames than this are free, those who hold some and take nothing are reset; zero
    /// for never.
    pub frames_scarce: u32,
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
            frames_short: 0,
            frames_scarce: 128,
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
    /// The peer took what was sent to it slower than its listener's [`crate::UserTimeout`] asks for.
    UserTimeout = 7,
    /// It held frames, and its peer took nothing, while hardly any were free.
    FramesScarce = 8,
}

impl CloseReason {
    pub(crate) const ALL: [Self; 9] = [
        Self::Finished,
        Self::PeerReset,
        Self::PeerRefused,
        Self::TimedOut,
        Self::KeepAlive,
        Self::Aborted,
        Self::DataAfterClose,
        Self::UserTimeout,
        Self::FramesScarce,
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
    pub(crate) cookies: Cookies,
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
    /// The extension at which the next look for those who hold frames begins.
    pub(crate) scarcity_next: u32,
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
            cookies: Cookies::new(&keys.cookie),
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
            scarcity_next: 0,
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
    #[inline(always)]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Second pass over a burst: brings what the bucket names towards the cache.
    #[inline(always)]
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
    #[inline(always)]
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

    /// The service's word of a live handle; zero while the connection is idle.
    #[must_use]
    pub fn word(&self, conn: Conn) -> Option<u32> {
        self.record(conn).map(|record| if record.is_idle() { 0 } else { record.word })
    }

    /// Sets the service's word, of 31 bits; nothing happens for a stale handle.
    pub fn set_word(&mut self, conn: Conn, word: u32) {
        debug_assert!(word & IDLE == 0, "a word has 31 bits: {word:#x}");
        if self.record(conn).is_some() {
            self.records[conn.index].word = word & !IDLE;
        }
    }

    /// Says that the service has nothing under way on a connection: its word is zero, and where its
    /// listener has a [`ListenerOptions::idle_s`], [`crate::Due::Idle`] follows after that time.
    /// The time begins again whenever data has moved.
    pub fn set_idle(&mut self, conn: Conn, now: Instant) {
        if self.record(conn).is_some() {
            self.records[conn.index].set_idle(now);
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

    /// Whether a connection has something to send.
    #[must_use]
    pub fn has_dirty(&self) -> bool {
        self.dirty.head != NIL
    }

    pub(crate) fn drop_for(&mut self, reason: DropReason) {
        self.counters.drop_for(reason);
    }
}

/// The smallest scale under which `window_len` fits 16 bits.
fn scale_for(window_len: u32) -> u8 {
    let mut scale = 0;
    while scale < crate::limits::WINDOW_SCALE_MAX && window_len >> scale > u32::from(u16::MAX) {
        scale += 1;
    }
    scale
}
