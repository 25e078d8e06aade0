//! What is under way between two calls: a bounded pool, by age.
//!
//! A session exists while its connection is in the middle of something, and only then. All
//! sessions of one phase have the same time-out, so each phase is a queue in the order of age:
//! only its first can be the next to run out, whatever the number of sessions.

use base::{Duration, Instant, NIL};
use memory::{ArenaError, Array, PageChoice};
use stack::Conn;

use super::answer::Answer;
use crate::limits::{
    ANSWER_TIMEOUT, BODY_TIMEOUT, HEAD_LEN_MAX, HEAD_TIMEOUT, LINGER_TIMEOUT, SESSIONS_MAX,
};

// The word of a connection is its session's number plus one.
const _: () = assert!(SESSIONS_MAX < u32::MAX);
const _: () = assert!(size_of::<Session>() <= 80);

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A head has begun and not ended: so many bytes of it are in a buffer.
    Head { buffer: u32, len: u32 },
    /// An answer waits for room in the send queue.
    Answer(Answer),
    /// The answer is queued, and of the request's body so much is still to be thrown away.
    Body { rest: u32 },
    /// Our direction is finished; what still comes is thrown away, up to so much.
    Linger { rest: u32 },
}

/// Time-outs, in the order of [`Phase::queue`].
const TIMEOUTS: [Duration; 4] = [HEAD_TIMEOUT, ANSWER_TIMEOUT, BODY_TIMEOUT, LINGER_TIMEOUT];

impl Phase {
    const fn queue(self) -> usize {
        match self {
            Self::Head { .. } => 0,
            Self::Answer(_) => 1,
            Self::Body { .. } => 2,
            Self::Linger { .. } => 3,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Session {
    conn: Conn,
    /// `None` while the session is free.
    phase: Option<Phase>,
    since: Instant,
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
    queues: [Queue; TIMEOUTS.len()],
    heads: Array<[u8; HEAD_LEN_MAX]>,
    heads_free: Vec<u32>,
}

impl Sessions {
    pub(crate) fn new(
        sessions_max: u32,
        heads_max: u32,
        pages: PageChoice,
    ) -> Result<Self, ArenaError> {
        let slots = (1..=sessions_max).map(|next| Session {
            conn: Conn { index: NIL, generation: 0 },
            phase: None,
            since: Instant::ZERO,
            prev: NIL,
            next: if next == sessions_max { NIL } else { next },
        });
        Ok(Self {
            slots: slots.collect(),
            free: 0,
            used: 0,
            used_max: 0,
            queues: [Queue { oldest: NIL, youngest: NIL }; TIMEOUTS.len()],
            heads: Array::new(heads_max as usize, pages)?,
            heads_free: (0..heads_max).rev().collect(),
        })
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
        *slot = Session { conn, phase: Some(phase), since: now, prev: NIL, next: NIL };
        self.used += 1;
        self.used_max = self.used_max.max(self.used);
        self.append(index, phase.queue());
        Some(index)
    }

    /// The phase of a session in use.
    pub(crate) fn phase(&self, index: u32) -> Phase {
        self.slots[index as usize].phase.expect("a connection's word names a session in use")
    }

    /// Begins another phase, or the same again: its time begins now. A head's buffer goes back.
    pub(crate) fn enter(&mut self, index: u32, phase: Phase, now: Instant) {
        self.leave(index);
        let slot = &mut self.slots[index as usize];
        slot.phase = Some(phase);
        slot.since = now;
        self.append(index, phase.queue());
    }

    /// Changes what a phase holds; its time goes on.
    pub(crate) fn update(&mut self, index: u32, phase: Phase) {
        let slot = &mut self.slots[index as usize];
        assert_eq!(slot.phase.map(Phase::queue), Some(phase.queue()), "session {index}");
        slot.phase = Some(phase);
    }

    /// Gives a session back.
    pub(crate) fn end(&mut self, index: u32) {
        self.leave(index);
        let slot = &mut self.slots[index as usize];
        slot.phase = None;
        slot.next = self.free;
        self.free = index;
        self.used -= 1;
    }

    /// The oldest session of a phase whose time is over.
    pub(crate) fn poll_expired(&self, now: Instant) -> Option<(u32, Conn, Phase)> {
        self.queues.iter().zip(TIMEOUTS).find_map(|(queue, timeout)| {
            let slot = self.slots.get(queue.oldest as usize)?;
            let phase = slot.phase.expect("queues hold sessions in use");
            (now.saturating_since(slot.since) >= timeout).then_some((
                queue.oldest,
                slot.conn,
                phase,
            ))
        })
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
        let Session { conn: _, phase, since: _, prev, next } = self.slots[index as usize];
        let phase = phase.expect("a session leaves a phase once");
        if let Phase::Head { buffer, len: _ } = phase {
            self.free_head(buffer);
        }
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
mod tests {
    use super::{Phase, Sessions};
    use crate::limits::{BODY_TIMEOUT, HEAD_TIMEOUT, LINGER_TIMEOUT};
    use base::{Duration, Instant, Rng};
    use memory::PageChoice;
    use stack::Conn;

    fn conn(index: u32) -> Conn {
        Conn { index, generation: 1 }
    }

    #[test]
    fn the_pool_has_an_end_and_comes_back() {
        let mut sessions = Sessions::new(2, 1, PageChoice::Base).unwrap();
        let buffer = sessions.allocate_head().unwrap();
        assert_eq!((sessions.allocate_head(), sessions.heads_used()), (None, 1));
        let now = Instant::ZERO;
        let head = sessions.begin(conn(1), Phase::Head { buffer, len: 3 }, now).unwrap();
        let body = sessions.begin(conn(2), Phase::Body { rest: 3 }, now).unwrap();
        assert!(!sessions.has_free());
        assert_eq!(sessions.begin(conn(3), Phase::Body { rest: 3 }, now), None);
        sessions.enter(head, Phase::Linger { rest: 1 }, now);
        assert_eq!(sessions.heads_used(), 0, "another phase gives the buffer back");
        sessions.end(head);
        sessions.end(body);
        assert_eq!((sessions.used(), sessions.used_max()), (0, 2));
    }

    #[test]
    fn each_phase_runs_out_by_its_own_time() {
        let mut sessions = Sessions::new(8, 1, PageChoice::Base).unwrap();
        let start = Instant::from_nanos(5);
        let body = sessions.begin(conn(1), Phase::Body { rest: 3 }, start).unwrap();
        let linger = sessions.begin(conn(2), Phase::Linger { rest: 3 }, start).unwrap();
        let later = start + Duration::from_millis(1);
        let younger = sessions.begin(conn(3), Phase::Linger { rest: 3 }, later).unwrap();
        assert_eq!(sessions.poll_expired(start + Duration::from_secs(4)), None);
        let due = sessions.poll_expired(start + LINGER_TIMEOUT);
        assert_eq!(due, Some((linger, conn(2), Phase::Linger { rest: 3 })));
        sessions.update(younger, Phase::Linger { rest: 1 });
        sessions.end(linger);
        assert_eq!(sessions.poll_expired(start + LINGER_TIMEOUT), None);
        let due = sessions.poll_expired(later + LINGER_TIMEOUT);
        assert_eq!(due, Some((younger, conn(3), Phase::Linger { rest: 1 })));
        sessions.enter(younger, Phase::Linger { rest: 1 }, start + BODY_TIMEOUT);
        let due = sessions.poll_expired(start + BODY_TIMEOUT);
        assert_eq!(due, Some((body, conn(1), Phase::Body { rest: 3 })));
    }

    /// Random operations against a list of (phase, since, conn).
    #[test]
    fn the_queues_stay_in_order_of_age() {
        let seed = 0x5e55;
        println!("seed {seed:#x}");
        let mut rng = Rng::seeded(seed);
        let mut sessions = Sessions::new(16, 16, PageChoice::Base).unwrap();
        let mut model: Vec<(u32, usize, Instant)> = Vec::new();
        let mut now = Instant::ZERO;
        for step in 0..20_000_u32 {
            now += Duration::from_millis(rng.below(400));
            let phase = match rng.below(2) {
                0 => Phase::Body { rest: step },
                _ => Phase::Linger { rest: step },
            };
            let pick = usize::try_from(rng.below(16)).unwrap();
            match (rng.below(3), model.get(pick).copied()) {
                (0, Some((index, ..))) => {
                    sessions.end(index);
                    model.remove(pick);
                }
                (1, Some((index, ..))) => {
                    sessions.enter(index, phase, now);
                    model[pick] = (index, phase.queue(), now);
                }
                _ => {
                    let begun = sessions.begin(conn(step), phase, now);
                    assert_eq!(begun.is_some(), model.len() < 16);
                    model.extend(begun.map(|index| (index, phase.queue(), now)));
                }
            }
            while let Some((index, _, phase)) = sessions.poll_expired(now) {
                let queue = phase.queue();
                let oldest = model.iter().filter(|it| it.1 == queue).min_by_key(|it| it.2);
                let since = oldest.expect("the model has it").2;
                let at = model.iter().position(|it| it.0 == index).expect("it is in use");
                assert_eq!(model[at].2, since, "step {step}");
                assert!(now.saturating_since(since) >= super::TIMEOUTS[queue]);
                sessions.end(index);
                model.remove(at);
            }
            let is_due =
                |it: &&(u32, usize, Instant)| now.saturating_since(it.2) >= super::TIMEOUTS[it.1];
            assert_eq!(model.iter().find(is_due), None, "step {step}");
            assert_eq!(sessions.used() as usize, model.len());
        }
        assert!(HEAD_TIMEOUT < BODY_TIMEOUT);
    }
}
