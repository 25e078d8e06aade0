//! A connection, and the place that one connection after the other has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::{Duration, Instant, Rng};
use protocol::{Epoch, Limits, RequestKind};

use super::batch::{Batch, Lanes};
use super::requests::Pending;
use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX};
use crate::numbers::NumberMap;
use crate::trouble::Trouble;

/// A connection; its number is never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId {
    pub(super) slot: usize,
    pub(super) generation: u64,
}

/// What a shell is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// To connect, and to say what came of it by `handle_connected` or `handle_closed`.
    Connect {
        /// The connection's name from now on.
        conn: ConnId,
        /// `host:port`.
        endpoint: Arc<str>,
    },
    /// To close, after an attempt to send what is left.
    Close {
        /// Which.
        conn: ConnId,
        /// What is left to be sent.
        rest: Vec<u8>,
    },
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Phase {
    Dialing,
    Greeting,
    Hello,
    Ready,
}

/// What is under way on a connection.
#[derive(Debug)]
pub(super) enum Flight {
    Hello,
    WaitMsg { sent: Instant },
    Relet { sent: Instant },
    Batch(Batch),
    Solo(Solo),
    Yield,
    Bye,
}

impl Flight {
    /// Messages in it.
    pub(super) fn messages(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.messages(),
            Self::Solo(solo) => solo.messages(),
            Self::Hello | Self::WaitMsg { .. } | Self::Relet { .. } | Self::Yield | Self::Bye => 0,
        }
    }
}

/// A request with a frame of its own.
#[derive(Debug)]
pub(super) struct Solo {
    pub(super) request: u64,
    pub(super) kind: RequestKind,
    /// With any id.
    pub(super) frame: Vec<u8>,
    /// The nodes that are asked for.
    pub(super) nodes: Vec<String>,
    /// Items of the frame; 1 where it has no list.
    pub(super) items: u32,
    pub(super) deferrals: u32,
}

impl Solo {
    /// Messages of which what becomes is counted; of one to all the switch alone knows how many it is.
    pub(super) fn messages(&self) -> u64 {
        use RequestKind::{Broadcast, Send, SendMany};
        let is_sent = matches!(self.kind, Broadcast | Send | SendMany);
        u64::from(if is_sent { self.items } else { 0 })
    }

    /// Whether it has still to be sent. Who has given up a call, or was told that it fails, is not to
    /// be surprised by it; a watch is the client's.
    pub(super) fn is_wanted(&self, calls: &NumberMap<u64, Pending>) -> bool {
        self.kind == RequestKind::Watch || calls.contains_key(&self.request)
    }
}

/// Requests with frames of their own that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Solos {
    queue: VecDeque<Solo>,
    len: usize,
}

impl Solos {
    /// Bytes of their frames.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn count(&self) -> usize {
        self.queue.len()
    }

    /// Messages in those that are wanted.
    pub(super) fn messages(&self, calls: &NumberMap<u64, Pending>) -> u64 {
        let wanted = self.queue.iter().filter(|solo| solo.is_wanted(calls));
        wanted.map(Solo::messages).sum()
    }

    /// Leaves out others.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Solo) -> bool) {
        self.queue.retain(is_kept);
        self.len = self.queue.iter().map(|solo| solo.frame.len()).sum();
    }

    pub(super) fn push_back(&mut self, solo: Solo) {
        self.len += solo.frame.len();
        self.queue.push_back(solo);
    }

    pub(super) fn push_front(&mut self, solo: Solo) {
        self.len += solo.frame.len();
        self.queue.push_front(solo);
    }

    pub(super) fn pop_front(&mut self) -> Option<Solo> {
        let solo = self.queue.pop_front()?;
        self.len -= solo.frame.len();
        Some(solo)
    }

    pub(super) fn has(&self, kind: RequestKind) -> bool {
        self.queue.iter().any(|solo| solo.kind == kind)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) endpoint: Arc<str>,
    pub(super) phase: Phase,
    pub(super) since: Instant,
    pub(super) heard: Instant,
    pub(super) inbox: Vec<u8>,
    pub(super) out: Vec<u8>,
    pub(super) sent: usize,
    pub(super) limits: Limits,
    pub(super) shards: u8,
    pub(super) epoch: Epoch,
    /// By number, so that what is sent again keeps its order.
    pub(super) flights: BTreeMap<u32, Flight>,
}

/// A place for a connection.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) conn: Option<Conn>,
    pub(super) lanes: Lanes,
    pub(super) solos: Solos,
    pub(super) retry_at: Instant,
    failures: u32,
    generation: u64,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            conn: None,
            lanes: Lanes::new(),
            solos: Solos::default(),
            retry_at: Instant::ZERO,
            failures: 0,
            generation: 0,
        }
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.len() == 0 && self.solos.count() == 0
    }

    /// A new connection begins.
    pub(super) fn dial(&mut self, slot: usize, endpoint: Arc<str>, now: Instant) -> ConnId {
        self.generation += 1;
        let id = ConnId { slot, generation: self.generation };
        self.conn = Some(Conn {
            id,
            endpoint,
            phase: Phase::Dialing,
            since: now,
            heard: now,
            inbox: Vec::new(),
            out: Vec::new(),
            sent: 0,
            limits: Limits::BEFORE_WELCOME,
            shards: 1,
            epoch: Epoch::default(),
            flights: BTreeMap::new(),
        });
        id
    }

    /// A connection stood for a while. One that ends at once after its welcome is no success.
    pub(super) const fn on_lasted(&mut self) {
        self.failures = 0;
    }

    /// The next dial waits: twice as long each time, and somewhere between half of that and all of
    /// it, so that the clients of a switch that ended do not come back together.
    pub(super) fn back_off(&mut self, now: Instant, least: Duration, rng: &mut Rng) {
        let doubled = BACKOFF_FIRST.as_nanos() << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let half = doubled.min(BACKOFF_MAX.as_nanos()) / 2;
        let pause = Duration::from_nanos(half + rng.below(half + 1));
        // What the switch says it says to all, so they are spread behind it.
        self.retry_at = now + least + pause;
    }
}

impl Conn {
    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// What is to be told of it if no greeting comes.
    pub(super) fn silent(&self) -> Trouble {
        Trouble::Silent { endpoint: self.endpoint.to_string() }
    }

    /// What is to be told of it if it takes too long.
    pub(super) fn late(&self) -> Trouble {
        let endpoint = self.endpoint.to_string();
        match self.phase {
            Phase::Dialing => {
                Trouble::Unreachable { endpoint, why: "nobody answers there".to_owned() }
            }
            Phase::Greeting | Phase::Hello | Phase::Ready => self.silent(),
        }
    }

    /// Messages that are under way.
    pub(super) fn messages(&self) -> u64 {
        self.flights.values().map(Flight::messages).sum()
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }
}
