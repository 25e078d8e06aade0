//! What the service manager is told: that the switch serves, that its worker still turns, that it
//! ends.
//!
//! The naive watchdog is a thread that says "alive" for as long as it runs itself; a worker that
//! hangs goes unseen. Here the main thread asks the worker, and speaks for it only when it has
//! answered. Without a service manager nothing of this runs.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

/// How the service manager is told, where there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notify {
    is_heard: bool,
    /// How often the worker is asked; `None` if nobody waits for a sign of life.
    pub(crate) look_every: Option<Duration>,
}

impl Notify {
    /// The service manager of the environment: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if it wants
    /// signs of life.
    pub(crate) fn of_environment() -> Self {
        let is_heard = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled().filter(|_watchdog| is_heard);
        // Four signs of life fit into the time after which it gives up, so that a late one is none.
        Self { is_heard, look_every: watchdog.map(|time| time / 4) }
    }

    /// The switch serves.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The worker turns.
    pub(crate) fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// What is shown of it.
    pub(crate) fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// The switch ends, within so long.
    pub(crate) fn stopping(&self, within: base::Duration) {
        let most = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
        let status = NotifyState::Status("tells everybody that it ends");
        self.tell(&[NotifyState::Stopping, status, NotifyState::ExtendTimeoutUsec(most)]);
    }

    /// That it cannot be told is its loss: the switch goes on.
    fn tell(&self, states: &[NotifyState<'_>]) {
        if !self.is_heard {
            return;
        }
        if let Err(error) = sd_notify::notify(states) {
            warn!("the service manager cannot be told: {error}; mend it: NOTIFY_SOCKET");
        }
    }
}
