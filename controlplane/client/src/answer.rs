//! The place where an answer arrives, for a thread that sleeps or a task that is polled.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::event::Done;
use crate::guard::PortGuard;

/// What a call is answered, once.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    inside: Mutex<Inside>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    done: Option<Done<PortGuard>>,
    waker: Option<Waker>,
    /// Whether a thread sleeps until it is there: to wake nobody costs a call of the kernel too.
    is_slept_for: bool,
}

impl Answer {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, done: Done<PortGuard>) {
        let mut inside = self.lock();
        inside.done = Some(done);
        let (waker, is_slept_for) = (inside.waker.take(), inside.is_slept_for);
        drop(inside);
        if is_slept_for {
            self.arrived.notify_one();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sleeps until it is there; `None`: not in time.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Done<PortGuard>> {
        let mut inside = self.lock();
        // What is there already needs no clock.
        if let Some(done) = inside.done.take() {
            return Some(done);
        }
        // A deadline that no clock reaches is as good as a year.
        let deadline = Instant::now() + timeout.min(Duration::from_secs(365 * 86_400));
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            inside.is_slept_for = true;
            let waited = self.arrived.wait_timeout(inside, left);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
            inside.is_slept_for = false;
            if let Some(done) = inside.done.take() {
                return Some(done);
            }
        }
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Done<PortGuard>> {
        let mut inside = self.lock();
        if let Some(done) = inside.done.take() {
            return Poll::Ready(done);
        }
        inside.waker = Some(waker.clone());
        Poll::Pending
    }
}
