//! A port that is held, for as long as it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
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
    /// The process that it was granted to.
    pid: u32,
    shared: Weak<Shared>,
}

impl PortGuard {
    pub(crate) fn new(grant: Grant, pid: u32, shared: Weak<Shared>) -> Self {
        Self { grant, is_closed: AtomicBool::new(false), pid, shared }
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
        if self.is_closed.load(Ordering::Acquire) || std::process::id() != self.pid {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.grant.authority.remaining(clock::now()).as_nanos())
    }

    /// Why it closed by itself; `None` if it did not, or was released.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.grant.authority.ended()
    }

    /// Whether there is a new master: it waits until the lease is over, which nothing extends any more,
    /// and who wants the port after that asks for it again now.
    #[must_use]
    pub fn is_running_out(&self) -> bool {
        self.grant.authority.is_running_out()
    }

    /// Stops being an owner, without releasing the port yet.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Drops it without a release of its own: who calls it releases it.
    pub(crate) fn disarm(mut self) {
        self.shared = Weak::new();
    }
}

impl Drop for PortGuard {
    fn drop(&mut self) {
        self.close();
        // Of a session or an epoch that is over there is nothing to release.
        if std::process::id() == self.pid
            && self.grant.authority.ended().is_none()
            && let Some(shared) = self.shared.upgrade()
        {
            shared.release(Arc::clone(&self.grant.name), self.grant.token);
        }
    }
}
