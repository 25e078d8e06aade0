//! A port that is held, for as long as it is.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::Token;

use crate::authority::Ended;
use crate::clock;
use crate::event::Grant;
use crate::shell::Shared;

/// A port that this process holds. Dropped, it stops being an owner first and is then released.
///
/// It closes by itself: when the lease's deadline passes on this machine's clock, when the session
/// is evicted, with a new master at once or, if that waits for leases of before, with the lease. Nobody is asked, and a guard that has closed never opens again.
/// In a forked child it is closed from the beginning.
#[derive(Debug)]
pub struct PortGuard {
    grant: Grant,
    is_closed: AtomicBool,
    /// Whether it releases its port when it is dropped.
    is_armed: bool,
}

/// Whom guards tell that they were dropped.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// The process that the ports were granted to.
    pub(crate) pid: u32,
    pub(crate) shared: Weak<Shared>,
}

impl PortGuard {
    pub(crate) fn new(grant: Grant, home: &Home) -> Self {
        // All ports of a lot were granted to the same client.
        grant.name.lot().home().get_or_init(|| home.clone());
        Self { grant, is_closed: AtomicBool::new(false), is_armed: true }
    }

    /// Where it is at home, if this process is there.
    fn home(&self) -> Option<&Home> {
        let home = self.grant.name.lot().home().get();
        home.filter(|home| home.pid == std::process::id())
    }

    /// The name of the port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.grant.name
    }

    /// The fencing token: for whatever the owner writes to, which refuses lower ones.
    #[must_use]
    pub const fn token(&self) -> Token {
        self.grant.token
    }

    /// Whether this process may act as the owner now.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.remaining() > Duration::ZERO
    }

    /// How long a side effect that begins now may take; zero: it may not begin.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        if self.is_closed.load(Ordering::Acquire) || self.home().is_none() {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.grant.authority().remaining(clock::now()).as_nanos())
    }

    /// Why it closed by itself; `None` if it did not, or was released.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.grant.authority().ended()
    }

    /// Whether there is a new master: it waits until the lease is over, which nothing extends any more,
    /// and who wants the port after that asks for it again now.
    #[must_use]
    pub fn is_running_out(&self) -> bool {
        self.grant.authority().is_running_out()
    }

    /// Stops being an owner, without releasing the port yet.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Drops it without a release of its own: who calls it releases it.
    pub(crate) fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for PortGuard {
    fn drop(&mut self) {
        self.close();
        // Of a session or an epoch that is over there is nothing to release.
        if self.is_armed
            && self.grant.authority().ended().is_none()
            && let Some(home) = self.home()
            && let Some(shared) = home.shared.upgrade()
        {
            shared.release(self.grant.name.clone(), self.grant.token);
        }
    }
}
