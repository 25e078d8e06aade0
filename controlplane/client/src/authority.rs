//! How long a session is the owner of what it holds, in one word that threads share.
//!
//! The naive design is a flag that a timer clears. A thread that was paused between the deadline
//! and the timer then acts as an owner, and an answer that arrives late sets the flag again. Here
//! the word is the deadline itself and whoever looks compares it with the clock; the first who
//! finds it passed makes it zero, and an extension is a compare-and-exchange that zero refuses. So
//! authority that anybody saw end never comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use base::{Duration, Instant};

/// Why authority ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Ended {
    /// The lease's deadline passed.
    Lapsed = 1,
    /// A newer session, another connection or an operator ended the session.
    Evicted = 2,
    /// There is a new master, which knows of no grant of the old one, and does not wait for its leases.
    NewEpoch = 3,
    /// The client was closed, or is over.
    Closed = 4,
}

/// The authority of a session in one epoch. Clones share it.
#[derive(Clone, Debug)]
pub struct Authority(Arc<Words>);

#[derive(Debug)]
struct Words {
    /// Nanoseconds of the library's clock; 0: over.
    deadline: AtomicU64,
    /// An `Ended`, or 0.
    ended: AtomicU8,
    /// Whether nothing will extend it, for there is a new master.
    is_left: AtomicBool,
}

impl Authority {
    /// Until `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        let deadline = AtomicU64::new(deadline.as_nanos());
        Self(Arc::new(Words { deadline, ended: AtomicU8::new(0), is_left: AtomicBool::new(false) }))
    }

    /// What is left of it at `now`; zero: it is over, for ever.
    #[inline]
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Duration {
        let deadline = self.0.deadline.load(Ordering::Acquire);
        if now.as_nanos() < deadline {
            return Duration::from_nanos(deadline - now.as_nanos());
        }
        self.on_passed(now)
    }

    /// The deadline was passed when it was read; it may have been moved meanwhile.
    #[cold]
    fn on_passed(&self, now: Instant) -> Duration {
        let mut left = 0;
        let look = self.0.deadline.fetch_update(Ordering::AcqRel, Ordering::Acquire, |deadline| {
            left = deadline.saturating_sub(now.as_nanos());
            (left == 0 && deadline != 0).then_some(0)
        });
        if look.is_ok() {
            self.set_reason(Ended::Lapsed);
        }
        Duration::from_nanos(left)
    }

    /// Whether it was over before `deadline` could be reached; a deadline never moves back.
    pub(crate) fn extend(&self, deadline: Instant, now: Instant) -> bool {
        if self.remaining(now) == Duration::ZERO || self.is_running_out() {
            return false;
        }
        let extend = |old| (old != 0).then_some(deadline.as_nanos().max(old));
        self.0.deadline.fetch_update(Ordering::AcqRel, Ordering::Acquire, extend).is_ok()
    }

    /// Ends it now. The first reason stays.
    pub(crate) fn end(&self, why: Ended) {
        if self.0.deadline.swap(0, Ordering::AcqRel) != 0 {
            self.set_reason(why);
        }
    }

    /// It runs out, and is extended no more.
    pub(crate) fn leave(&self) {
        self.0.is_left.store(true, Ordering::Release);
    }

    /// Whether it runs out in any case: there is a new master, which waits for its end.
    #[must_use]
    pub fn is_running_out(&self) -> bool {
        self.0.is_left.load(Ordering::Acquire)
    }

    fn set_reason(&self, why: Ended) {
        // Only who made the word zero comes here, so there is one writer.
        self.0.ended.store(why as u8, Ordering::Release);
    }

    /// When it ends if nothing extends it; `None`: it is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.0.deadline.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Instant::from_nanos(nanos)),
        }
    }

    /// Why it ended; `None` while it has not, or nobody has looked since.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        match self.0.ended.load(Ordering::Acquire) {
            1 => Some(Ended::Lapsed),
            2 => Some(Ended::Evicted),
            3 => Some(Ended::NewEpoch),
            4 => Some(Ended::Closed),
            _none => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn authority_that_was_seen_to_end_is_not_extended() {
        let authority = Authority::until(at(100));
        assert_eq!(authority.remaining(at(99)), Duration::from_nanos(1));
        assert_eq!(authority.remaining(at(100)), Duration::ZERO);
        assert!(
            !authority.extend(at(200), at(50)),
            "a clock that was read earlier changes nothing"
        );
        assert_eq!(authority.remaining(at(50)), Duration::ZERO);
        assert_eq!(authority.ended(), Some(Ended::Lapsed));
    }

    #[test]
    fn authority_moves_forward_only() {
        let authority = Authority::until(at(100));
        assert!(authority.extend(at(300), at(50)));
        assert!(authority.extend(at(200), at(60)));
        assert_eq!(authority.remaining(at(250)), Duration::from_nanos(50));
        authority.end(Ended::NewEpoch);
        authority.end(Ended::Closed);
        assert_eq!((authority.deadline(), authority.ended()), (None, Some(Ended::NewEpoch)));
    }
}
