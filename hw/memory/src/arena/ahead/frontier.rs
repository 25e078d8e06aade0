//! Who gives which huge page of a growing mapping: the thread or the owner, never both.

use super::Broken;
use crate::sync::{AtomicUsize, Ordering};

/// The thread is replacing the page at the frontier, which nobody may touch.
const IS_MOVING: usize = 1;
/// The thread does no more.
const IS_LEFT: usize = 2;
/// The page at the frontier is not mapped any more.
const IS_BROKEN: usize = 4;
/// One page, in front of the marks.
const PAGE: usize = 8;

/// How many huge pages from the beginning are given, and what happens to the next. The thread gives
/// one at a time: it begins, moves it in, finishes. The owner takes as many as it needs, and goes
/// past a page that is being moved only when that is done, which takes some microseconds.
#[derive(Debug)]
pub(super) struct Frontier(AtomicUsize);

impl Default for Frontier {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl Frontier {
    /// Pages from the beginning that are given.
    pub(super) fn pages(&self) -> usize {
        self.0.load(Ordering::Acquire) / PAGE
    }

    /// Whether the thread does no more.
    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Acquire) & IS_LEFT != 0
    }

    /// The owner takes what is not given of the first `pages`, and gets the first that it took:
    /// `pages` if there was nothing to take.
    pub(super) fn take_to(&self, pages: usize) -> Result<usize, Broken> {
        loop {
            let state = self.0.load(Ordering::Acquire);
            let given = state / PAGE;
            if given >= pages {
                return Ok(pages);
            }
            if state & IS_BROKEN != 0 {
                return Err(Broken);
            }
            if state & IS_MOVING != 0 {
                // The thread may wait for this very core.
                yield_now();
                continue;
            }
            let taken = (pages * PAGE) | (state & IS_LEFT);
            if self.replace(state, taken) {
                return Ok(given);
            }
        }
    }

    /// The thread begins to replace `page`. False if the owner has it.
    pub(super) fn begin(&self, page: usize) -> bool {
        self.replace(page * PAGE, (page * PAGE) | IS_MOVING)
    }

    /// The thread has given the page that it began with.
    pub(super) fn finish(&self, page: usize) {
        self.0.store((page + 1) * PAGE, Ordering::Release);
    }

    /// The thread could not replace the page that it began with, and does no more. The page is as
    /// it was, or, unless it is mapped, lost.
    pub(super) fn give_up(&self, page: usize, is_mapped: bool) {
        let broken = if is_mapped { 0 } else { IS_BROKEN };
        self.0.store((page * PAGE) | IS_LEFT | broken, Ordering::Release);
    }

    /// The thread, which replaces nothing now, does no more.
    pub(super) fn leave(&self) {
        self.0.fetch_or(IS_LEFT, Ordering::AcqRel);
    }

    fn replace(&self, from: usize, to: usize) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(not(loom))]
use std::thread::yield_now;

#[cfg(loom)]
use loom::thread::yield_now;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pages_are_given_in_their_order_and_each_by_one() {
        let frontier = Frontier::default();
        assert_eq!(frontier.take_to(2), Ok(0), "the owner takes two");
        assert_eq!(frontier.take_to(1), Ok(1), "which it has");
        assert!(!frontier.begin(1), "the thread comes too late");
        assert!(frontier.begin(2));
        assert_eq!(frontier.pages(), 2, "not before it is finished");
        frontier.finish(2);
        assert_eq!((frontier.pages(), frontier.take_to(3), frontier.take_to(5)), (3, Ok(3), Ok(3)));
    }

    #[test]
    fn thread_that_leaves_leaves_all_to_the_owner() {
        let frontier = Frontier::default();
        assert!(!frontier.is_left() && frontier.begin(0));
        frontier.give_up(0, true);
        assert!(frontier.is_left());
        assert_eq!((frontier.take_to(4), frontier.pages()), (Ok(0), 4));
        assert!(frontier.is_left() && !frontier.begin(4), "it stays so");
        let frontier = Frontier::default();
        frontier.leave();
        assert_eq!((frontier.is_left(), frontier.take_to(1)), (true, Ok(0)));
    }

    #[test]
    fn page_that_is_lost_is_nobodys() {
        let frontier = Frontier::default();
        assert_eq!(frontier.take_to(1), Ok(0));
        assert!(frontier.begin(1));
        frontier.give_up(1, false);
        assert_eq!((frontier.take_to(1), frontier.take_to(2)), (Ok(1), Err(Broken)));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;
    use crate::sync::UnsafeCell;

    const PAGES: usize = 3;

    /// The thread writes 1 in each page that it gives, while nobody may look at it; the owner takes
    /// page after page, and adds 2 to those that it took: loom finds whoever touches one together.
    #[test]
    fn loom_no_page_is_given_by_both_nor_touched_while_it_moves() {
        loom::model(|| {
            let frontier = Arc::new(Frontier::default());
            let pages: Arc<Vec<_>> = Arc::new((0..PAGES).map(|_| UnsafeCell::new(0)).collect());
            let (of_thread, its) = (Arc::clone(&frontier), Arc::clone(&pages));
            let thread = thread::spawn(move || {
                for _ in 0..PAGES {
                    let page = of_thread.pages();
                    if page < PAGES && of_thread.begin(page) {
                        its[page].with_mut(|page| {
                            // SAFETY: loom's cell tells whoever touches it meanwhile.
                            unsafe { *page = 1 }
                        });
                        of_thread.finish(page);
                    }
                }
                of_thread.leave();
            });
            for count in 1..=PAGES {
                let first = frontier.take_to(count).expect("nothing breaks");
                for (page, cell) in pages.iter().enumerate().take(count) {
                    cell.with_mut(|value| {
                        // SAFETY: as above.
                        let value = unsafe { &mut *value };
                        *value += if page >= first { 2 } else { 0 };
                        assert!(*value == 1 || *value == 2, "page {page} is {value}");
                    });
                }
            }
            thread.join().unwrap();
            assert!(frontier.is_left());
            assert_eq!(frontier.pages(), PAGES);
        });
    }
}
