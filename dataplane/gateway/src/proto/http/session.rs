//! What is under way between two calls: a bounded pool, by age.
//!
//! A session exists while its connection is in the middle of something, and only then. All
//! sessions of one phase have the same time-out, so each phase is a queue in the order of age:
//! only its first can be the next to run out, whatever the number of sessions.
//!
//! A time-out that begins again with every byte is no bound: a client that sends one a minute holds
//! its session for ever. So where bytes have a least rate, the time goes on, and at its end a
//! session in which enough has moved gets another stretch and goes to the end of the queue.

use base::{Duration, Instant, NIL};
use memory::{ArenaError, Array, PageChoice};
use stack::Conn;

use super::answer::Answer;
use super::body::Body;
use super::parts::Parts;
use super::shelf::{Users, set_of};
use crate::HttpLimits;
use crate::limits::{HEAD_LEN_MAX, SESSIONS_MAX, SESSIONS_PER_PARTS};

// The word of a connection is its session's number plus one.
const _: () = assert!(SESSIONS_MAX < u32::MAX);
const _: () = assert!(size_of::<Session>() <= 96);

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A head has begun and not ended: so many bytes of it are in a buffer.
    Head { buffer: u32, len: u32 },
    /// An answer waits for room in the send queue.
    Answer(Answer),
    /// A request's body comes and is thrown away; its answer is sent when it has ended.
    Body { answer: Answer, body: Body },
    /// Our direction is finished; what still comes is thrown away, up to so much.
    Linger { rest: u32 },
}

/// How long a phase lasts, and how much must have moved in that time for it to last again.
#[derive(Clone, Copy, Debug)]
struct Pace {
    timeout: Duration,
    /// Bytes; `None` where the time is all there is.
    moved_min: Option<u64>,
}

const PHASES: usize = 4;

/// In the order of [`Phase::queue`].
fn paces(limits: HttpLimits) -> [Pace; PHASES] {
    let HttpLimits {
        head_timeout,
        body_timeout,
        body_rate_min,
        body_len_max: _,
        answer_timeout,
        answer_rate_min,
        linger_timeout,
        idle_timeout: _,
    } = limits;
    let once = |timeout| Pace { timeout, moved_min: None };
    let at_rate = |timeout: Duration, rate: u32| {
        let bytes = u64::from(rate) * timeout.as_millis() / 1_000;
        Pace { timeout, moved_min: Some(bytes.max(1)) }
    };
    [
        once(head_timeout),
        at_rate(answer_timeout, answer_rate_min),
        at_rate(body_timeout, body_rate_min),
        once(linger_timeout),
    ]
}

impl Phase {
    const fn queue(self) -> usize {
        match self {
            Self::Head { .. } => 0,
            Self::Answer(_) => 1,
            Self::Body { .. } => 2,
            Self::Linger { .. } => 3,
        }
    }

    /// The set of the document that its answer is about, if it has one.
    fn document_set(self) -> Option<usize> {
        match self {
            Self::Answer(answer) | Self::Body { answer, body: _ } => set_of(answer.document),
            Self::Head { .. } | Self::Linger { .. } => None,
        }
    }

    /// The number of the list of its answer's parts, or `NIL`.
    const fn parts(self) -> u32 {
        match self {
            Self::Answer(answer) => answer.parts,
            Self::Head { .. } | Self::Body { .. } | Self::Linger { .. } => NIL,
        }
    }

    /// Bytes that have moved since the phase began, or since before.
    fn moved(self) -> u64 {
        match self {
            Self::Answer(answer) => answer.sent,
            Self::Body { answer: _, body } => u64::from(body.received),
            Self::Head { .. } | Self::Linger { .. } => 0,
        }
    }
}

/// A session whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Enough has moved: it has another stretch of time.
    Renewed,
    /// It is to be ended.
    Expired { index: u32, conn: Conn, phase: Phase },
}

#[derive(Clone, Copy, Debug)]
struct Session {
    conn: Conn,
    /// `None` while the session is free.
    phase: Option<Phase>,
    since: Instant,
    /// What had moved then.
    moved: u64,
    prev: u32,
    /// The next younger one of the same phase, or the next free one.
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Queue {
    oldest: u32,
    youngest: u32,
}

/// The sessions of a core.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Box<[Session]>,
    free: u32,
    used: u32,
    used_max: u32,
    queues: [Queue; PHASES],
    /// Sessions whose answer is about a document of each set.
    document_users: Users,
    paces: [Pace; PHASES],
    heads: Array<[u8; HEAD_LEN_MAX]>,
    heads_free: Vec<u32>,
    parts: Box<[Parts]>,
    parts_free: Vec<u32>,
}

impl Sessions {
    pub(crate) fn new(
        sessions_max: u32,
        heads_max: u32,
        pages: PageChoice,
        limits: HttpLimits,
    ) -> Result<Self, ArenaError> {
        let slots = (1..=sessions_max).map(|next| Session {
            conn: Conn { index: NIL, generation: 0 },
            phase: None,
            since: Instant::ZERO,
            moved: 0,
            prev: NIL,
            next: if next == sessions_max { NIL } else { next },
        });
        let parts_max = sessions_max.div_ceil(SESSIONS_PER_PARTS);
        Ok(Self {
            slots: slots.collect(),
            free: 0,
            used: 0,
            used_max: 0,
            queues: [Queue { oldest: NIL, youngest: NIL }; PHASES],
            document_users: Users::default(),
            paces: paces(limits),
            heads: Array::new(heads_max as usize, pages)?,
            heads_free: (0..heads_max).rev().collect(),
            parts: (0..parts_max).map(|_| Parts::NONE).collect(),
            parts_free: (0..parts_max).rev().collect(),
        })
    }

    /// Holds what is under way to other bounds from now on.
    pub(crate) fn set_limits(&mut self, limits: HttpLimits) {
        self.paces = paces(limits);
    }

    /// How many sessions are in the middle of an answer about a document of each set.
    pub(crate) fn document_users(&self) -> &Users {
        &self.document_users
    }

    /// Counts a session whose phase was one and is the other.
    fn count_users(&mut self, before: Option<Phase>, after: Option<Phase>) {
        if let Some(set) = before.and_then(Phase::document_set) {
            self.document_users[set] -= 1;
        }
        if let Some(set) = after.and_then(Phase::document_set) {
            self.document_users[set] += 1;
        }
    }

    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn used_max(&self) -> u32 {
        self.used_max
    }

    pub(crate) fn heads_used(&self) -> u32 {
        let free = u32::try_from(self.heads_free.len()).expect("as many as heads_max");
        u32::try_from(self.heads.len()).expect("as many as heads_max") - free
    }

    pub(crate) fn has_free(&self) -> bool {
        self.free != NIL
    }

    /// Takes a session; `None` if all are in use.
    pub(crate) fn begin(&mut self, conn: Conn, phase: Phase, now: Instant) -> Option<u32> {
        let index = self.free;
        if index == NIL {
            return None;
        }
        let slot = &mut self.slots[index as usize];
        self.free = slot.next;
        let moved = phase.moved();
        *slot = Session { conn, phase: Some(phase), since: now, moved, prev: NIL, next: NIL };
        self.used += 1;
        self.used_max = self.used_max.max(self.used);
        self.append(index, phase.queue());
        self.count_users(None, Some(phase));
        Some(index)
    }

    /// The phase of a session in use.
    pub(crate) fn phase(&self, index: u32) -> Phase {
        self.slots[index as usize].phase.expect("a connection's word names a session in use")
    }

    /// When the phase of a session in use began, or its last stretch.
    pub(crate) fn since(&self, index: u32) -> Instant {
        self.slots[index as usize].since
    }

    /// Sessions that there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("at most SESSIONS_MAX")
    }

    /// The connection of a session, if it is in use.
    pub(crate) fn conn(&self, index: u32) -> Option<Conn> {
        let Session { conn, phase, .. } = self.slots[index as usize];
        phase.map(|_| conn)
    }

    /// Begins another phase, or the same again: its time begins now. A head's buffer goes back.
    pub(crate) fn enter(&mut self, index: u32, phase: Phase, now: Instant) {
        if self.phase(index).parts() != phase.parts() {
            self.free_parts(index);
        }
        self.leave(index);
        let slot = &mut self.slots[index as usize];
        slot.phase = Some(phase);
        slot.since = now;
        slot.moved = phase.moved();
        self.append(index, phase.queue());
        self.count_users(None, Some(phase));
    }

    /// Changes what a phase holds; its time goes on.
    pub(crate) fn update(&mut self, index: u32, phase: Phase) {
        let slot = &mut self.slots[index as usize];
        assert_eq!(slot.phase.map(Phase::queue), Some(phase.queue()), "session {index}");
        let before = slot.phase.replace(phase);
        self.count_users(before, Some(phase));
    }

    /// Gives a session back.
    pub(crate) fn end(&mut self, index: u32) {
        self.free_parts(index);
        self.leave(index);
        let slot = &mut self.slots[index as usize];
        slot.phase = None;
        slot.next = self.free;
        self.free = index;
        self.used -= 1;
    }

    /// Looks at the oldest session of a phase whose time is over, if there is one.
    pub(crate) fn poll_due(&mut self, now: Instant) -> Option<Due> {
        let (index, moved_min) = self.queues.iter().zip(self.paces).find_map(|(queue, pace)| {
            let slot = self.slots.get(queue.oldest as usize)?;
            let is_due = now.saturating_since(slot.since) >= pace.timeout;
            is_due.then_some((queue.oldest, pace.moved_min))
        })?;
        let Session { conn, moved, .. } = self.slots[index as usize];
        let phase = self.phase(index);
        if moved_min.is_some_and(|moved_min| phase.moved() - moved >= moved_min) {
            self.enter(index, phase, now);
            return Some(Due::Renewed);
        }
        Some(Due::Expired { index, conn, phase })
    }

    /// Whether an answer in parts could be kept.
    pub(crate) fn has_parts_free(&self) -> bool {
        !self.parts_free.is_empty()
    }

    /// Keeps the parts of an answer that a session will own: their number.
    pub(crate) fn keep_parts(&mut self, parts: &Parts) -> Option<u32> {
        let number = self.parts_free.pop()?;
        self.parts[number as usize] = *parts;
        Some(number)
    }

    /// The parts of this number.
    pub(crate) fn parts(&self, number: u32) -> &Parts {
        &self.parts[number as usize]
    }

    /// Lists of parts in use now.
    #[cfg(test)]
    pub(crate) fn parts_used(&self) -> usize {
        self.parts.len() - self.parts_free.len()
    }

    /// Gives back the parts of a session's answer.
    fn free_parts(&mut self, index: u32) {
        let number = self.phase(index).parts();
        if number != NIL {
            self.parts_free.push(number);
        }
    }

    /// A buffer for a head that has begun.
    pub(crate) fn allocate_head(&mut self) -> Option<u32> {
        self.heads_free.pop()
    }

    /// Gives back a buffer that no session came to own.
    pub(crate) fn free_head(&mut self, buffer: u32) {
        self.heads_free.push(buffer);
    }

    pub(crate) fn head(&self, buffer: u32) -> &[u8; HEAD_LEN_MAX] {
        &self.heads[buffer as usize]
    }

    pub(crate) fn head_mut(&mut self, buffer: u32) -> &mut [u8; HEAD_LEN_MAX] {
        &mut self.heads[buffer as usize]
    }

    fn append(&mut self, index: u32, queue: usize) {
        let Queue { oldest: _, youngest } = self.queues[queue];
        let slot = &mut self.slots[index as usize];
        slot.prev = youngest;
        slot.next = NIL;
        self.queues[queue].youngest = index;
        if youngest == NIL {
            self.queues[queue].oldest = index;
        } else {
            self.slots[youngest as usize].next = index;
        }
    }

    /// Takes a session out of its queue, and its buffer from it.
    fn leave(&mut self, index: u32) {
        let Session { conn: _, phase, since: _, moved: _, prev, next } = self.slots[index as usize];
        let phase = phase.expect("a session leaves a phase once");
        if let Phase::Head { buffer, len: _ } = phase {
            self.free_head(buffer);
        }
        self.count_users(Some(phase), None);
        let queue = &mut self.queues[phase.queue()];
        if prev == NIL {
            queue.oldest = next;
        }
        if next == NIL {
            queue.youngest = prev;
        }
        if prev != NIL {
            self.slots[prev as usize].next = next;
        }
        if next != NIL {
            self.slots[next as usize].prev = prev;
        }
    }
}

#[cfg(test)]
mod tests;
