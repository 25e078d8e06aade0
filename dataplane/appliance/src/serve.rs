//! The loop of one core, over any queue pair.

use base::{Duration, Instant};
use engine::Engine;
use gateway::Gateway;
use nic::QueuePair;

use crate::clock::{Clock, WallClock};
use crate::error::Error;
use crate::idle::Idle;
use crate::stop::Stop;
use crate::wait::{Wait, Woken};

/// How the loop runs.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) clock: Clock,
    pub(crate) stop: &'a Stop,
    /// When the loop ends by itself.
    pub(crate) until: Option<Instant>,
    /// How long the core spins before it sleeps.
    pub(crate) spin: Duration,
}

/// What ended the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
) -> Result<End, Error> {
    let Terms { clock, stop, until, spin } = terms;
    let wait = Wait::new(engine.stack().queue().wait_fd(), stop)?;
    let mut idle = Idle::new(*spin, clock.now());
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
        }
        let turn = engine.turn(now);
        if idle.should_sleep(now, turn.is_busy) {
            let deadline = [engine.next_deadline(), *until].into_iter().flatten().min();
            if wait.sleep(now, deadline)? == Woken::DeviceGone {
                return Ok(End::DeviceGone);
            }
        }
    }
}

#[cfg(test)]
mod tests;
