//! How a worker that sleeps is woken by another one: a flag that says so, and a descriptor. And what
//! each of them shows the others: when it turned last, and whether it has nobody left.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::Instant;
use memory::Doze;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::Error;

/// One worker's bell, which all others may ring.
#[derive(Debug)]
pub(crate) struct Bell {
    doze: Doze,
    /// Readable once it was rung.
    wake: EventFd,
    /// Nanoseconds at which it said last that it turns; [`NEVER`] before it first did.
    turned_at: AtomicU64,
    has_drained: AtomicBool,
}

const NEVER: u64 = u64::MAX;

impl Bell {
    /// The bell of a worker that is awake.
    pub(crate) fn new() -> Result<Self, Error> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let wake = EventFd::from_flags(flags).map_err(Error::errno("make an eventfd"))?;
        let (turned_at, has_drained) = (AtomicU64::new(NEVER), AtomicBool::new(false));
        Ok(Self { doze: Doze::default(), wake, turned_at, has_drained })
    }

    /// Something was put before the worker: wakes it if it sleeps. One who is awake, which the
    /// busy are, costs no system call.
    pub(crate) fn ring(&self) {
        if self.doze.must_be_woken() {
            // It fails only where it was rung 2^64 - 2 times and nobody has risen.
            self.wake.write(1).ok();
        }
    }

    /// The worker will sleep, unless it now finds that something waits for it.
    pub(crate) fn lie_down(&self) {
        self.doze.lie_down();
    }

    /// The worker is awake.
    pub(crate) fn rise(&self) {
        self.doze.rise();
    }

    /// Makes the descriptor silent again, after it has woken the worker.
    pub(crate) fn hush(&self) {
        // It was rung, or another call was first: either way it is silent now.
        self.wake.read().ok();
    }

    /// The worker says that it turns: once a second and after each long sleep.
    pub(crate) fn show_turn(&self, now: Instant) {
        self.turned_at.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When it said so last, if it ever did.
    pub(crate) fn turned_at(&self) -> Option<Instant> {
        let nanos = self.turned_at.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| Instant::from_nanos(nanos))
    }

    /// The worker, which was asked to stop, says whether it has no connection left.
    pub(crate) fn show_drained(&self, has_drained: bool) {
        self.has_drained.store(has_drained, Ordering::Relaxed);
    }

    /// Whether it has none left, as it said last.
    pub(crate) fn has_drained(&self) -> bool {
        self.has_drained.load(Ordering::Relaxed)
    }

    /// What to sleep on.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
