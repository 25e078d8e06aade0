//! The loop of one core, over any queue pair.

use base::{Duration, Idle, IdlePolicy, Instant};
use engine::Engine;
use gateway::{Cause, Gateway};
use nic::{Captured, QueuePair};
use publisher::Publisher;

use crate::bell::Bell;
use crate::clock::{Clock, WallClock};
use crate::drain::{Drain, Drained};
use crate::error::Error;
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
    /// How long connections have to end once it is asked to.
    pub(crate) drain: Duration,
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

/// Turns until something ends it; what it was, and what became of the connections that there were
/// when a signal asked it to end. The clock is read once per turn.
pub(crate) fn serve<Q: QueuePair>(
    engine: &mut Engine<Captured<Q>, Gateway>,
    terms: &Terms<'_>,
    tools: &mut Option<Publisher>,
    ordered: &mut Ordered,
) -> Result<(End, Drained), Error> {
    let mut drain = None;
    let end = turns(engine, terms, tools, ordered, &mut drain);
    // Nobody can be told anything over a device that is gone.
    let is_gone = end.is_err() || engine.stack().queue().is_gone();
    let drained = match drain.filter(|_| !is_gone) {
        Some(drain) => drain.end(engine, terms.clock),
        None => {
            let cause = if is_gone { Cause::Device } else { Cause::Stop };
            let now = terms.clock.now();
            engine.with_context(now, |gateway, cx| gateway.tell_left(cx, cause));
            Drained::default()
        }
    };
    if let Some(tools) = tools {
        tools.end(terms.clock.now(), engine);
    }
    Ok((end?, drained))
}

fn turns<Q: QueuePair>(
    engine: &mut Engine<Captured<Q>, Gateway>,
    terms: &Terms<'_>,
    tools: &mut Option<Publisher>,
    ordered: &mut Ordered,
    drain: &mut Option<Drain>,
) -> Result<End, Error> {
    let Terms { clock, stop, until, drain: _, idle, spin, bells, bell } = terms;
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
        if stop.is_asked() && drain.is_none() {
            *drain = Some(Drain::begin(engine, &mut ordered.serving, now));
            wait.forget_asked(stop)?;
        }
        if drain.as_mut().is_some_and(|drain| is_over(drain, engine, terms, now)) {
            return Ok(End::Signal);
        }
        if let Some(seconds) = wall.poll(now) {
            engine.service_mut().set_wall_time(seconds);
            bell.show_turn(now);
        }
        if ordered.desk.has_order() {
            ordered.desk.work(engine, &mut ordered.serving, now);
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
        let walk = drain.as_ref().map(Drain::next_at);
        let deadline = [engine.next_deadline(), *until, seen, walk].into_iter().flatten().min();
        let has_work = engine.has_waiting() || ordered.desk.has_order();
        let woken = if has_work { Ok(Woken::Work) } else { wait.sleep(bell, now, deadline) };
        bell.rise();
        if woken? == Woken::DeviceGone {
            return Ok(End::DeviceGone);
        }
    }
}

/// Whether a core that was asked to end has nothing left to wait for: no connection on any core, or
/// no time.
#[cold]
fn is_over<Q: QueuePair>(
    drain: &mut Drain,
    engine: &mut Engine<Q, Gateway>,
    terms: &Terms<'_>,
    now: Instant,
) -> bool {
    let Terms { bells, bell, .. } = terms;
    if let Some(left) = drain.poll(engine, now) {
        bells[*bell].show_drained(left == 0);
        if bells.iter().all(Bell::has_drained) {
            return true;
        }
    }
    drain.age(now) >= terms.drain
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
