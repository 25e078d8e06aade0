//! Whether a core sleeps, so that who hands something over knows whom to wake.
//!
//! The naive design wakes the other core by a system call with every hand-over, or looks at a flag
//! and loses a wake-up: the sleeper looks at its rings, finds nothing, and lies down while the other
//! one pushes, looks at the flag, and finds nobody asleep. Each side must *first* say what it does
//! and *then* look what the other one did, with a full fence between the two. Then at least one of
//! them sees the other (Dekker): the sleeper finds the item, or the waker finds the flag.
//!
//! ```text
//!   sleeper: flag := asleep ; fence ; rings empty? -> sleep       waker: push ; fence ; flag? -> ring
//! ```

use crate::sync::{AtomicBool, Ordering, fence};

/// Whether one core is asleep, or about to be. Its own and all others' to look at.
#[derive(Debug, Default)]
pub struct Doze {
    is_asleep: AtomicBool,
}

impl Doze {
    /// The sleeper says that it will sleep. After this, and not before, it looks whether something
    /// waits for it; if so it calls [`Self::rise`] instead of sleeping.
    pub fn lie_down(&self) {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The sleeper is awake.
    pub fn rise(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }

    /// Somebody has put something before the core: whether it must be woken, by whatever wakes it.
    /// Of several who ask, one is told so.
    #[must_use]
    pub fn must_be_woken(&self) -> bool {
        fence(Ordering::SeqCst);
        // Looked at first: a core that is awake, which is the common case, keeps its line.
        let (asleep, awake) = (true, false);
        self.is_asleep.load(Ordering::Relaxed)
            && self
                .is_asleep
                .compare_exchange(asleep, awake, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Doze;

    #[test]
    fn only_a_sleeping_core_is_woken_and_only_once() {
        let doze = Doze::default();
        assert!(!doze.must_be_woken());
        doze.lie_down();
        assert!(doze.must_be_woken());
        assert!(!doze.must_be_woken());
        doze.lie_down();
        doze.rise();
        assert!(!doze.must_be_woken());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::{Consumer, ring};

    fn all_empty(rings: &[Consumer<usize>]) -> bool {
        rings.iter().all(Consumer::is_empty)
    }

    /// Threads that each put one item before a core and ask whether to wake it, while it does `nap`,
    /// which says whether it ends asleep. Nobody really sleeps: a wake-up is lost if the core would
    /// sleep before what waits, and nobody was told to wake it.
    fn check(wakers: usize, nap: fn(&Doze, &mut [Consumer<usize>]) -> bool) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let doze = Arc::new(Doze::default());
            let (mut rings, mut threads) = (Vec::new(), Vec::new());
            for waker in 0..wakers {
                let (mut producer, consumer) = ring(2);
                rings.push(consumer);
                let doze = Arc::clone(&doze);
                threads.push(thread::spawn(move || {
                    producer.push(waker).expect("there is room");
                    doze.must_be_woken()
                }));
            }
            let is_asleep = nap(&doze, &mut rings);
            let told = threads.into_iter().map(|thread| thread.join().unwrap());
            let is_rung = told.fold(false, |rung, told| rung | told);
            let has_missed = is_asleep && !all_empty(&rings);
            assert!(!has_missed || is_rung, "it sleeps, and something waits");
        });
    }

    fn once(doze: &Doze, rings: &mut [Consumer<usize>]) -> bool {
        doze.lie_down();
        all_empty(rings)
    }

    #[test]
    fn loom_a_core_that_lies_down_misses_no_hand_over() {
        check(1, once);
    }

    #[test]
    fn loom_a_core_that_lies_down_misses_neither_of_two() {
        check(2, once);
    }

    #[test]
    fn loom_a_core_that_rose_for_one_and_lies_down_again_does_not_miss_the_other() {
        check(2, |doze, rings| {
            if once(doze, rings) {
                // It sleeps, as in the tests above.
                return true;
            }
            doze.rise();
            for ring in rings.iter_mut() {
                ring.pop();
            }
            once(doze, rings)
        });
    }
}
