//! The last seconds of a core that is asked to stop: nobody comes in, what is under way ends, and
//! then the core does.
//!
//! The naive end closes every connection at the signal. A client whose request is on its way
//! then reads a reset where another gateway could have answered. Here the listeners are
//! closed, every answer of HTTP says that it is the last, and a connection that says nothing
//! for a while is ended; so one that asks again and again learns it from an answer, and one that is
//! asleep from our end. No core ends before all of them have nobody left: what one owns, another
//! may receive.
//!
//! A connection has ended for us when the peer has acknowledged all that we said with our end behind
//! it, whether it says its own or sleeps on.

use base::{Duration, Instant};
use engine::Engine;
use gateway::Gateway;
use nic::QueuePair;
use stack::Conn;
use tcp::{Listed, Phase, Seen, State};

use crate::clock::Clock;
use crate::limits::{CUT_PATIENCE, DRAIN_EVERY, DRAIN_HANDSHAKE, DRAIN_IDLE_S, DRAIN_STEP};
use crate::serving::Serving;

/// What became of the connections of a core that was asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Those that ended in time.
    pub(crate) finished: u64,
    /// Those that did not, and were reset.
    pub(crate) cut: u64,
}

/// A core that ends.
#[derive(Debug)]
pub(crate) struct Drain {
    began_at: Instant,
    /// What it had then, and had accepted.
    connections: u64,
    accepted: u64,
    /// Where the walk over the connections stands, and how many it has found that are left.
    cursor: u64,
    left: u64,
    /// When the walk goes on.
    next_at: Instant,
}

impl Drain {
    /// Takes nobody in any more.
    pub(crate) fn begin<Q: QueuePair>(
        engine: &mut Engine<Q, Gateway>,
        serving: &mut Serving,
        now: Instant,
    ) -> Self {
        serving.close_all(engine);
        engine.service_mut().begin_drain();
        let tcp = engine.stack().core().tcp();
        let (connections, accepted) = (tcp.usage().records.into(), tcp.counters().accepted);
        Self { began_at: now, connections, accepted, cursor: 0, left: 0, next_at: now }
    }

    /// For how long it has ended.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_since(self.began_at)
    }

    /// When it must be polled next.
    pub(crate) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// Goes on with the walk; how many connections are left, whenever it has come to its end.
    pub(crate) fn poll<Q: QueuePair>(
        &mut self,
        engine: &mut Engine<Q, Gateway>,
        now: Instant,
    ) -> Option<u64> {
        if now < self.next_at {
            return None;
        }
        for _ in 0..DRAIN_STEP {
            let Some(seen) = look(engine, &mut self.cursor, now) else {
                return Some(self.end_of_walk(engine, now));
            };
            let Some((conn, listed)) = seen else { continue };
            self.left += 1;
            if is_idle(&listed) {
                engine.with_context(now, |gateway, cx| gateway.end_idle(cx, conn));
            }
        }
        None
    }

    fn end_of_walk<Q: QueuePair>(&mut self, engine: &Engine<Q, Gateway>, now: Instant) -> u64 {
        let mut left = std::mem::take(&mut self.left);
        self.cursor = 0;
        self.next_at = now + DRAIN_EVERY;
        if self.age(now) < DRAIN_HANDSHAKE {
            // Who was promised a connection may still come. Those of a flood never do.
            left += u64::from(engine.stack().core().tcp().usage().half_open);
        }
        left
    }

    /// Resets who is left, and says what became of all. The resets of very many would take longer
    /// than anybody waits; those left then hear nothing.
    pub(crate) fn end<Q: QueuePair>(
        self,
        engine: &mut Engine<Q, Gateway>,
        clock: Clock,
    ) -> Drained {
        let begun = clock.now();
        let accepted = engine.stack().core().tcp().counters().accepted - self.accepted;
        let (mut cursor, mut cut) = (0, 0);
        'walk: loop {
            let now = clock.now();
            let is_in_time = now.saturating_since(begun) < CUT_PATIENCE;
            for _ in 0..DRAIN_STEP {
                let Some(seen) = look(engine, &mut cursor, now) else { break 'walk };
                let Some((conn, _)) = seen else { continue };
                cut += 1;
                if is_in_time {
                    engine.with_context(now, |gateway, cx| gateway.cut(cx, conn));
                }
            }
            engine.turn(now);
        }
        engine.turn(clock.now());
        Drained { finished: (self.connections + accepted).saturating_sub(cut), cut }
    }
}

/// What lies at a cursor of the walk: nobody, or a connection that is left; `None` at its end.
#[expect(clippy::option_option, reason = "outside: the end of the walk; inside: a free place")]
fn look<Q: QueuePair>(
    engine: &Engine<Q, Gateway>,
    cursor: &mut u64,
    now: Instant,
) -> Option<Option<(Conn, Listed)>> {
    match engine.stack().core().tcp().look(*cursor, now) {
        Seen::Connection(next, listed) => {
            *cursor = next;
            let Phase::Record(state) = listed.phase else { return None };
            let conn = Conn { index: listed.index, generation: listed.generation };
            Some((state != State::FinWait2).then_some((conn, listed)))
        }
        // The other tables have no connections that somebody waits for.
        Seen::Nothing(next) if next > u64::from(u32::MAX) => None,
        Seen::Nothing(next) => {
            *cursor = next;
            Some(None)
        }
        Seen::End => None,
    }
}

/// Whether a connection lies still: nothing has come or gone for a while, and nothing waits.
fn is_idle(listed: &Listed) -> bool {
    listed.phase == Phase::Record(State::Established)
        && listed.idle_s >= DRAIN_IDLE_S
        && listed.bytes_in_flight == 0
        && listed.bytes_queued == 0
        && listed.bytes_unread == 0
}

#[cfg(test)]
mod tests;
