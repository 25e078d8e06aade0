//! What the service manager is told: that the gateway serves, that every core still turns, that it
//! ends.
//!
//! The naive watchdog is a thread that says "alive" for as long as it runs itself; a core that hangs
//! goes unseen. Here each core shows when it turned last, with the time of day that it looks up once
//! a second anyway, and the main thread, which has nothing else to do, speaks for them only
//! while all of them do. Without a service manager nothing of this runs.

use base::{Duration, Instant};
use core_affinity::CoreId;
use nix::poll::PollTimeout;
use sd_notify::NotifyState;
use tracing::{error, info, warn};

use crate::bell::Bell;
use crate::clock::Clock;
use crate::error::Error;
use crate::limits::{DRAIN_SLACK, FIRST_TURNS_LOOK, TURN_LATE_MIN};
use crate::stop::Stop;

/// How the service manager is told, where there is one.
#[derive(Clone, Debug)]
pub(crate) struct Notify {
    is_heard: bool,
    /// What it shows of a gateway that serves.
    status: String,
    /// How often the cores are looked at; `None` if nobody waits for a sign of life.
    look_every: Option<Duration>,
    /// A core that has not turned for so long hangs.
    late: Duration,
}

/// What is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) cores: &'a [CoreId],
    /// One for each of them.
    pub(crate) bells: &'a [Bell],
    pub(crate) stop: &'a Stop,
    pub(crate) clock: &'a Clock,
    /// How long connections have to end once the gateway is asked to.
    pub(crate) drain: Duration,
}

impl Notify {
    /// The service manager of the environment: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if it wants
    /// signs of life. `status` is what it shows once the gateway serves.
    pub(crate) fn of_environment(status: String) -> Self {
        let is_heard = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled().filter(|_watchdog| is_heard);
        let nanos = watchdog.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        // Four signs of life fit into the time after which it gives up, so that a late one is none.
        let look_every = nanos.map(|nanos| Duration::from_nanos(nanos / 4));
        let late = nanos.map_or(TURN_LATE_MIN, |nanos| Duration::from_nanos(nanos / 2));
        Self { is_heard, status, look_every, late: late.max(TURN_LATE_MIN) }
    }

    /// Tells of the cores until the stop flag is raised, and then that the gateway ends. It returns at
    /// once where nobody listens.
    pub(crate) fn watch(&self, watched: &Watched<'_>) -> Result<(), Error> {
        if !self.is_heard {
            return Ok(());
        }
        let Watched { bells, stop, clock, drain, .. } = watched;
        // Ready is who has turned once, and not who was told to.
        while bells.iter().any(|bell| bell.turned_at().is_none()) {
            if is_raised_within(stop, false, Some(FIRST_TURNS_LOOK))? {
                return self.tell_end();
            }
        }
        self.tell(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
        let (mut hangs, mut drains) = (false, false);
        while !is_raised_within(stop, !drains, self.look_every)? {
            if stop.is_asked() && !std::mem::replace(&mut drains, true) {
                self.tell_drain(*drain);
            }
            let hung = self.hung(watched, clock.now());
            if hung.is_none() {
                self.tell(&[NotifyState::Watchdog]);
            }
            if hangs != hung.is_some() {
                hangs = hung.is_some();
                self.tell_change(hung);
            }
        }
        self.tell_end()
    }

    /// The first core that hangs.
    fn hung(&self, watched: &Watched<'_>, now: Instant) -> Option<CoreId> {
        let mut pairs = watched.cores.iter().zip(watched.bells);
        let is_late = |bell: &Bell| {
            bell.turned_at().is_none_or(|turned_at| now.saturating_since(turned_at) > self.late)
        };
        pairs.find_map(|(core, bell)| is_late(bell).then_some(*core))
    }

    fn tell_change(&self, hung: Option<CoreId>) {
        let Some(CoreId { id: core }) = hung else {
            info!("every core turns again");
            return self.tell(&[NotifyState::Status(&self.status)]);
        };
        let seconds = self.late.as_millis() / 1_000;
        error!(core, seconds, "a core does not turn: it hangs");
        self.tell(&[NotifyState::Status(&format!("core {core} does not turn: it hangs"))]);
    }

    /// The service manager would not wait for longer than its own time.
    fn tell_drain(&self, drain: Duration) {
        let most = (drain + DRAIN_SLACK).as_nanos() / 1_000;
        let most = NotifyState::ExtendTimeoutUsec(u32::try_from(most).unwrap_or(u32::MAX));
        let status = "takes nobody in; what is under way may end";
        self.tell(&[NotifyState::Stopping, NotifyState::Status(status), most]);
    }

    fn tell_end(&self) -> Result<(), Error> {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("ends")]);
        Ok(())
    }

    /// That it cannot be told is its loss: the gateway goes on.
    fn tell(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            warn!("the service manager cannot be told: {error}; mend it: NOTIFY_SOCKET");
        }
    }
}

/// Whether they are told to stop within a time; without one, when they are. It says so earlier where
/// they are asked to, if that is to be told.
fn is_raised_within(stop: &Stop, or_asked: bool, time: Option<Duration>) -> Result<bool, Error> {
    let timeout = time.map_or(PollTimeout::NONE, |time| {
        PollTimeout::try_from(time.as_millis().max(1)).unwrap_or(PollTimeout::MAX)
    });
    stop.sleep(or_asked, timeout)?;
    Ok(stop.is_raised())
}

#[cfg(test)]
mod tests;
