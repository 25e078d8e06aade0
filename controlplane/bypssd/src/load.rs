//! How busy a thread is.
//!
//! What the kernel counts does not say it: a thread that spins takes its core whole, also when nobody
//! asks anything. Here each round that did something counts from where it began, with the times that
//! the loop reads anyway.

use std::thread;

use base::{Duration, Instant};

use crate::clock;

/// Counts the time in which a thread had something to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Busy(Duration);

/// What a thread has taken since its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Its name, as `top -H` shows it.
    pub(crate) thread: String,
    /// So long it had something to do, or stood still while it had.
    pub(crate) busy: Duration,
    /// So much of a core it took, spinning included.
    pub(crate) cpu: Duration,
}

impl Busy {
    /// Counts a round, if it did anything.
    #[inline]
    pub(crate) fn note(&mut self, did_something: bool, from: Instant, to: Instant) {
        if did_something {
            self.0 = self.0 + to.saturating_since(from);
        }
    }

    /// What the calling thread, whose this is, has taken.
    pub(crate) fn load(self) -> Load {
        let thread = thread::current().name().unwrap_or("unnamed").to_owned();
        Load { thread, busy: self.0, cpu: clock::cpu_time() }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use base::{Duration, Instant};

    use super::Busy;

    #[test]
    fn only_rounds_that_did_something_count() {
        let at = |micros| Instant::ZERO + Duration::from_micros(micros);
        let mut busy = Busy::default();
        busy.note(true, at(10), at(15));
        busy.note(false, at(15), at(1_000));
        busy.note(true, at(1_000), at(1_002));
        let named = thread::Builder::new().name("worker-7".to_owned());
        let load = named.spawn(move || busy.load()).unwrap().join().unwrap();
        assert_eq!((load.thread.as_str(), load.busy), ("worker-7", Duration::from_micros(7)));
    }

    #[test]
    fn the_core_that_is_taken_is_that_of_the_thread_itself() {
        let spins = |millis: u64| {
            let before = Busy::default().load().cpu;
            let mut now = before;
            while now < before + Duration::from_millis(millis) {
                now = Busy::default().load().cpu;
            }
            now
        };
        let spun = thread::spawn(move || spins(20)).join().unwrap();
        let fresh = thread::spawn(|| Busy::default().load().cpu).join().unwrap();
        assert!(spun >= Duration::from_millis(20) && fresh < spun, "{fresh} of {spun}");
    }
}
