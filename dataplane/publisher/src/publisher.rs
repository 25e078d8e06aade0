//! A core's end of the tools' file, and a turn as the tools see it.

use std::sync::Arc;

use abi::Reason;
use base::Instant;
use counters::{CoreState, CoreWriter, Look, Walk};
use engine::{Engine, Stage, Turn};
use gateway::Gateway;
use nic::{Capabilities, QueuePair};
use tcp::Seen;

use crate::board::Board;
use crate::counted::{Counted, DEVICE_FACTS, FACTS};
use crate::limits::SEEN_WITHIN;
use crate::row::row;
use crate::stopwatch::{Stages, Stopwatch};

/// What a core says of itself.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What its packets come from.
    pub queue: &'a Capabilities,
    /// The name of the interface.
    pub interface: &'a str,
    /// What the frames lie on.
    pub pages: memory::Pages,
    /// The machine's number of the core.
    pub cpu: usize,
    /// What the device says of its queue, each by one of the names in [`DEVICE_FACTS`].
    pub device: Vec<(&'static str, String)>,
    /// What is nobody's core's, for the one that shows it; the others show zero, so that sums over
    /// the cores are right.
    pub board: Option<Arc<Board>>,
}

/// A core's end of the file.
#[derive(Debug)]
pub struct Publisher {
    out: CoreWriter,
    walk: Walk,
    board: Option<Arc<Board>>,
    turns: u64,
    stages: Stages,
    /// When the last turn ended, in cycles.
    ended_at: u64,
}

impl Publisher {
    /// Takes the part of the file that is this core's, and writes its facts. The file has the
    /// [`schema`](crate::schema) of this crate.
    #[must_use]
    pub fn new(out: CoreWriter, facts: Facts<'_>) -> Self {
        let Facts { queue, interface, pages, cpu, device, board } = facts;
        let own = [
            queue.name.to_owned(),
            interface.to_owned(),
            queue.queue.0.to_string(),
            queue.copies.name().to_owned(),
            pages.to_string(),
            cpu.to_string(),
        ];
        for (place, text) in own.iter().enumerate() {
            out.set_fact(place, text);
        }
        let walk = out.walk();
        let ended_at = topology::cycles();
        let mut publisher =
            Self { out, walk, board, turns: 0, stages: [0; Stage::ALL.len()], ended_at };
        device.iter().for_each(|(name, text)| publisher.set_device_fact(name, text));
        publisher
    }

    /// Says something of the device that was not known at the beginning.
    ///
    /// # Panics
    /// If `name` is none of [`DEVICE_FACTS`].
    pub fn set_device_fact(&mut self, name: &str, text: &str) {
        let place = DEVICE_FACTS.iter().position(|known| *known == name);
        let place = place.expect("the names of facts are written in the program");
        self.out.set_fact(FACTS.len() + place, text);
    }

    /// A turn of the core and what the tools want of it: whether the next one should follow at
    /// once.
    #[inline]
    pub fn turn<Q: QueuePair>(&mut self, engine: &mut Engine<Q, Gateway>, now: Instant) -> bool {
        let mut stages = Stopwatch::start();
        let turn = engine.turn_with(now, &mut stages);
        self.keep(&stages, turn);
        turn.is_busy | self.poll(now, engine)
    }

    /// Before a sleep: until when it may last.
    pub fn doze<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) -> Instant {
        self.publish(now, engine);
        self.out.mark(CoreState::Asleep);
        let latest = now + SEEN_WITHIN;
        self.walk.deadline().map_or(latest, |walk| walk.min(latest))
    }

    /// The core serves no more.
    pub fn end<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) {
        self.publish(now, engine);
        self.out.mark(CoreState::Ended);
    }

    /// The most entries of the tables that one turn has looked at for a tool.
    #[must_use]
    pub fn looks_max(&self) -> u64 {
        self.walk.looks_max()
    }

    /// Keeps what a turn took. What passed since the one before was idle, and so was asking the
    /// device, the service and other cores in a turn in which nothing came and nothing went.
    #[inline]
    fn keep(&mut self, watch: &Stopwatch, turn: Turn) {
        let (marked_at, spent_by_stage) = watch.read();
        let whole = marked_at.saturating_sub(self.ended_at);
        self.ended_at = marked_at;
        self.turns += 1;
        let mut spent = spent_by_stage[Stage::Timers as usize];
        if turn.is_busy || turn.received > 0 || turn.sent > 0 {
            spent = 0;
            for (stage, cycles) in self.stages.iter_mut().zip(spent_by_stage) {
                *stage += cycles;
                spent += cycles;
            }
        } else {
            self.stages[Stage::Timers as usize] += spent;
        }
        self.stages[Stage::Idle as usize] += whole.saturating_sub(spent);
    }

    /// Publishes if it is due, and goes on with a tool's walk: whether there was something to walk.
    #[inline]
    fn poll<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) -> bool {
        let is_due = self.out.is_due(now);
        if is_due {
            self.publish(now, engine);
        }
        let core = engine.stack().core();
        let has_walked = self.walk.poll(now, |cursor| match core.tcp().look(cursor, now) {
            Seen::Connection(next, listed) => Look::Row(next, row(&listed, core.ip())),
            Seen::Nothing(next) => Look::Free(next),
            Seen::End => Look::End,
        });
        if is_due || has_walked {
            let ended_at = topology::cycles();
            self.stages[Stage::Tools as usize] += ended_at.saturating_sub(self.ended_at);
            self.ended_at = ended_at;
        }
        has_walked
    }

    fn publish<Q: QueuePair>(&mut self, now: Instant, engine: &Engine<Q, Gateway>) {
        let core = engine.stack().core();
        let (usage, arena, stages) = (core.tcp().usage(), core.arena(), &self.stages);
        self.out.publish(now, self.turns, |values| {
            for cycles in stages {
                values.value(*cycles);
            }
            Counted::of(engine).each(|_group, name, value| {
                values.rows([(name, value)]);
            });
            let gauges = [
                usage.records,
                usage.half_open,
                usage.time_wait,
                usage.extensions,
                usage.nodes,
                // Those that are this core's now: the home pool is nobody's.
                arena.frames_free() + arena.frames_held() + arena.frames_lent(),
                arena.frames_free(),
                arena.frames_held(),
                arena.frames_lent(),
            ];
            for gauge in gauges {
                values.value(gauge.into());
            }
            let board = self.board.as_deref();
            for value in [arena.frames_home(), arena.frames_total()] {
                values.value(board.map_or(0, |_leads| value.into()));
            }
            for lines in board.map_or([0; 2], Board::access_lines) {
                values.value(lines);
            }
            for reason in Reason::ALL {
                values.value(board.map_or(0, |board| board.packets(*reason)));
            }
        });
    }
}

#[cfg(test)]
mod tests;
