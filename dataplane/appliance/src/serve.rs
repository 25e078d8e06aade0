//! The loop of one core, over any queue pair.

use base::{Duration, Instant};
use engine::Engine;
use gateway::Gateway;
use nic::QueuePair;
use publisher::Publisher;

use crate::bell::Bell;
use crate::clock::{Clock, WallClock};
use crate::error::Error;
use crate::idle::{Idle, IdlePolicy};
use crate::order::Desk;
use crate::serving::Serving;
use crate::stop::Stop;
use crate::wait::{Wait, Woken};

/// How the loop runs.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) clock: Clock,
    pub(crate) stop: &'a Stop,
    /// When the loop ends by itself.
    pub(crate) until: Option<Instant>,
    /// What the core does when it is idle.
    pub(crate) idle: IdlePolicy,
    /// How long an adaptive one spins before it sleeps.
    pub(crate) spin: Duration,
    /// Every core's, by its number; and which of them is this one's.
    pub(crate) bells: &'a [Bell],
    pub(crate) bell: usize,
}

/// What the core serves, and where it is told to change that.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) serving: Serving,
    pub(crate) desk: Desk,
}

/// What ended the loop. Where it differs from worker to worker, the last in this order counts: one
/// that ends stops the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// SIGINT or SIGTERM.
    Signal,
    /// The time of `--for` is over.
    Time,
    /// The device vanished.
    DeviceGone,
}

/// Turns until something ends it. The clock is read once per turn.
pub(crate) fn serve<Q: QueuePair>(
    engine: &mut Engine<Q, Gateway>,
    terms: &Terms<'_>,
    tools: &mut Option<Publisher>,
    ordered: &mut Ordered,
) -> Result<End, Error> {
    let end = turns(engine, terms, tools, ordered);
    if let Some(tools) = tools {
        tools.end(terms.clock.now(), engine);
    }
    end
}

fn turns<Q: QueuePair>(
    engine: &mut Engine<Q, Gateway>,
    terms: &Terms<'_>,
    tools: &mut Option<Publisher>,
    ordered: &mut Ordered,
) -> Result<End, Error> {
    let Terms { clock, stop, until, idle, spin, bells, bell } = terms;
    let bell = &bells[*bell];
    let wait = Wait::new(engine.stack().queue().wait_fd(), bell, stop)?;
    let mut idle = Idle::new(*idle, *spin, clock.now());
    let mut wall = WallClock::new();
    loop {
        if stop.is_raised() {
            return Ok(End::Signal);
        }
        let now = clock.now();
        if until.is_some_and(|until| now >= until) {
            return Ok(End::Time);
        }
        if let Some(seconds) = wall.poll(now) {
            engine.service_mut().set_wall_time(seconds);
            bell.show_turn(now);
        }
        if ordered.desk.has_order() {
            ordered.desk.work(engine, &mut ordered.serving);
        }
        let is_busy = one_turn(engine, now, tools);
        if engine.stack().queue().is_gone() {
            return Ok(End::DeviceGone);
        }
        let reached = engine.take_reached();
        if !reached.is_empty() {
            reached.iter().for_each(|core| bells[usize::from(core.0)].ring());
        }
        if !idle.should_sleep(now, is_busy) {
            continue;
        }
        // First it says that it sleeps, then it looks: what is handed over from here on rings.
        bell.lie_down();
        let seen = tools.as_mut().map(|tools| tools.doze(now, engine));
        let deadline = [engine.next_deadline(), *until, seen].into_iter().flatten().min();
        let has_work = engine.has_waiting() || ordered.desk.has_order();
        let woken = if has_work { Ok(Woken::Work) } else { wait.sleep(bell, now, deadline) };
        bell.rise();
        if woken? == Woken::DeviceGone {
            return Ok(End::DeviceGone);
        }
    }
}

/// A turn, as the tools see it: whether the next one should follow at once.
#[inline]
fn one_turn<Q: QueuePair>(
    engine: &mut Engine<Q, Gateway>,
    now: Instant,
    tools: &mut Option<Publisher>,
) -> bool {
    match tools {
        Some(tools) => tools.turn(engine, now),
        None => engine.turn(now).is_busy,
    }
}

#[cfg(test)]
mod tests;
