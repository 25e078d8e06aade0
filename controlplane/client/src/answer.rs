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
}

impl Answer {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, done: Done<PortGuard>) {
        let mut inside = self.lock();
        inside.done = Some(done);
        let waker = inside.waker.take();
        drop(inside);
        self.arrived.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sleeps until it is there; `None`: not in time.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Done<PortGuard>> {
        // A deadline that no clock reaches is as good as a year.
        let timeout = timeout.min(Duration::from_secs(365 * 86_400));
        let deadline = Instant::now() + timeout;
        let mut inside = self.lock();
        loop {
            if let Some(done) = inside.done.take() {
                return Some(done);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.arrived.wait_timeout(inside, left);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
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
