//! Making memory present before it is needed, on a thread of its own.
//!
//! A page that is touched for the first time costs whoever touches it: a base page some
//! microseconds, a huge one from a hundred to some thousand, where a host must find its memory.
//! Here another thread pays. It touches a huge page at a place that nobody else knows, and the
//! kernel moves it into the mapping as a whole, which takes some microseconds. What the owner needs
//! sooner it takes as base pages: it never waits for a huge page that is being zeroed, nor begins
//! the same one. Pages are given out in their order, each to one of the two: see [`Frontier`].
//!
//! The thread is there from the start, where there may be something for it to do: to begin one takes
//! some 50 us, which nobody should wait for who registers a name. It sleeps until it is asked.

mod frontier;

use std::{
    num::NonZeroUsize,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, getpid};

use self::frontier::Frontier;
use super::{Arena, map};
use crate::limits::{AHEAD_MIN, HUGE_PAGE_LEN, RACES_LOST_MAX};

/// How often a thread of this process was too late.
static RACES_LOST: AtomicUsize = AtomicUsize::new(0);

/// The address of a mapping's first byte: a number, because the thread holds no reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    pub(super) base: NonZeroUsize,
    pub(super) len: usize,
}

/// The thread and what is told between it and the owner.
#[derive(Debug)]
pub(super) struct Ahead {
    told: Arc<Told>,
    /// The last that was asked for.
    wanted: usize,
    /// Bytes to the end of the last page that the owner took. Of those it has not touched all yet.
    own_end: usize,
    worker: Worker,
}

#[derive(Debug)]
enum Worker {
    Running(JoinHandle<()>),
    /// It is not worth one, or the machine gave none, or it has ended: the owner touches everything
    /// by itself.
    None,
}

#[derive(Debug)]
struct Told {
    frontier: Frontier,
    /// Bytes that are to be present; whole huge pages.
    wanted: AtomicUsize,
    is_over: AtomicBool,
}

/// A page of the mapping was lost: it can neither be used nor be mapped anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Ahead {
    /// For a mapping that begins where a huge page may, is whole huge pages and outlives this. The
    /// thread begins here.
    pub(super) fn new(mapping: Mapping) -> Self {
        let told = Arc::new(Told {
            frontier: Frontier::default(),
            wanted: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let is_worth_it = mapping.len >= AHEAD_MIN && map::may_move();
        let worker = if is_worth_it { start(mapping, &told) } else { Worker::None };
        Self { told, wanted: 0, own_end: 0, worker }
    }

    /// Makes all of `touched..end` the owner's to use, where it has touched everything below
    /// `touched`, and gives the parts that it must touch by itself first.
    pub(super) fn take(&mut self, touched: usize, end: usize) -> Result<[Range<usize>; 2], Broken> {
        let rest = touched..self.own_end.clamp(touched, end);
        let pages = end.div_ceil(HUGE_PAGE_LEN);
        let first = self.told.frontier.take_to(pages)?;
        if first == pages {
            return Ok([rest, end..end]);
        }
        self.own_end = pages * HUGE_PAGE_LEN;
        Ok([rest, (first * HUGE_PAGE_LEN).clamp(touched, end)..end])
    }

    /// Asks for the first `len` bytes of the mapping, of which the owner has touched `touched`.
    /// Whether they are present. `None`: what comes next is the owner's to touch, for it is little,
    /// or the machine gave no thread, or the owner was faster.
    pub(super) fn ask(&mut self, touched: usize, len: usize) -> Option<bool> {
        let Worker::Running(thread) = &self.worker else {
            return None;
        };
        // What has begun goes on, however little is asked for.
        if self.wanted == 0 && len < AHEAD_MIN {
            return None;
        }
        if len > self.wanted {
            self.wanted = len.next_multiple_of(HUGE_PAGE_LEN);
            self.told.wanted.store(self.wanted, Ordering::Release);
            thread.thread().unpark();
        }
        let given = self.told.frontier.pages() * HUGE_PAGE_LEN;
        if len <= touched || (touched >= self.own_end && len <= given) {
            return Some(true);
        }
        let is_own = touched < self.own_end || self.told.frontier.is_left();
        (!is_own).then_some(false)
    }

    /// Ends the thread, so that the mapping may go.
    pub(super) fn end(&mut self) {
        self.told.is_over.store(true, Ordering::Release);
        if let Worker::Running(thread) = std::mem::replace(&mut self.worker, Worker::None) {
            thread.thread().unpark();
            let ended = thread.join();
            debug_assert!(ended.is_ok(), "the thread only touches memory");
        }
    }
}

fn start(mapping: Mapping, told: &Arc<Told>) -> Worker {
    let told = Arc::clone(told);
    let named = thread::Builder::new().name("memory-ahead".to_owned());
    let thread = named.spawn(move || match map::source(mapping.len) {
        Some(source) => Installer { mapping, source, ready: None }.run(&told),
        None => told.frontier.leave(),
    });
    thread.map_or(Worker::None, Worker::Running)
}

/// The thread's side.
struct Installer {
    mapping: Mapping,
    /// Address space as long as the mapping's. What is moved lies at the same distance from the
    /// beginning in both, so that the kernel sees one mapping in all that was moved.
    source: Arena,
    /// The page of the source that is present and not moved yet.
    ready: Option<usize>,
}

impl Installer {
    fn run(mut self, told: &Told) {
        // The owner may be pinned to a core that has other work. Where this is refused the thread
        // shares that core.
        if let Ok(all) = sched_getaffinity(getpid()) {
            let _refused = sched_setaffinity(Pid::from_raw(0), &all);
        }
        while !told.is_over.load(Ordering::Acquire) {
            let wanted = told.wanted.load(Ordering::Acquire).min(self.mapping.len);
            let page = told.frontier.pages();
            if page * HUGE_PAGE_LEN >= wanted {
                thread::park();
            } else if !self.make(page, &told.frontier) {
                return;
            }
        }
    }

    /// Makes one page present, and moves it to `page` unless the owner was faster. False: it is the
    /// last, and all others are the owner's.
    fn make(&mut self, page: usize, frontier: &Frontier) -> bool {
        let ready = *self.ready.get_or_insert(page);
        map::touch_source(&self.source, ready);
        if !frontier.begin(page) {
            if RACES_LOST.fetch_add(1, Ordering::Relaxed) < RACES_LOST_MAX {
                return true;
            }
            frontier.leave();
            return false;
        }
        match map::install(&self.source, ready, self.mapping, page) {
            Ok(()) => {
                self.ready = None;
                frontier.finish(page);
                true
            }
            Err(is_mapped) => {
                frontier.give_up(page, is_mapped);
                false
            }
        }
    }
}
