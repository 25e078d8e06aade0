//! Making memory present before it is needed, on a thread of its own.
//!
//! A page that is touched for the first time costs whoever touches it: a base page some
//! microseconds, a huge one some hundred. Here another thread pays, two megabytes at a time, and
//! the owner of the arena only reads how far it has come. An owner who is there first touches base
//! pages by itself: both may touch the same page, for the kernel gives it once.
//!
//! The thread begins with the first wish that is worth it: an arena that does not grow has none.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, getpid};

use super::map;
use crate::limits::{AHEAD_MIN, HUGE_PAGE_LEN};

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
    worker: Worker,
}

#[derive(Debug)]
enum Worker {
    /// Nothing worth it was asked for yet.
    None(Mapping),
    Running(JoinHandle<()>),
    /// The machine gave no thread: the owner touches everything by itself.
    Refused,
}

#[derive(Debug)]
struct Told {
    /// Bytes from the base that are present.
    present: AtomicUsize,
    /// Bytes that are to be; whole huge pages, or the end of the mapping.
    wanted: AtomicUsize,
    is_over: AtomicBool,
}

impl Ahead {
    /// For a mapping that begins where a huge page may and outlives this.
    pub(super) fn new(mapping: Mapping) -> Self {
        let told = Arc::new(Told {
            present: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        Self { told, wanted: 0, worker: Worker::None(mapping) }
    }

    /// Bytes from the base that are present.
    pub(super) fn present(&self) -> usize {
        self.told.present.load(Ordering::Acquire)
    }

    /// The owner has touched the first `len` bytes by itself.
    pub(super) fn on_touched(&self, len: usize) {
        self.told.present.fetch_max(len, Ordering::AcqRel);
    }

    /// Asks for the first `len` bytes of the mapping. False: no thread does it, for they are few, or
    /// the machine gave none.
    pub(super) fn ask(&mut self, len: usize) -> bool {
        if let (Worker::None(mapping), true) = (&self.worker, len >= AHEAD_MIN) {
            self.worker = start(*mapping, &self.told);
        }
        let Worker::Running(thread) = &self.worker else {
            return false;
        };
        if len > self.wanted {
            self.wanted = len.next_multiple_of(HUGE_PAGE_LEN);
            self.told.wanted.store(self.wanted, Ordering::Release);
            thread.thread().unpark();
        }
        true
    }

    /// Ends the thread, so that the mapping may go.
    pub(super) fn end(&mut self) {
        self.told.is_over.store(true, Ordering::Release);
        if let Worker::Running(thread) = std::mem::replace(&mut self.worker, Worker::Refused) {
            thread.thread().unpark();
            let ended = thread.join();
            debug_assert!(ended.is_ok(), "the thread only touches memory");
        }
    }
}

fn start(mapping: Mapping, told: &Arc<Told>) -> Worker {
    let told = Arc::clone(told);
    let named = thread::Builder::new().name("memory-ahead".to_owned());
    named.spawn(move || run(mapping, &told)).map_or(Worker::Refused, Worker::Running)
}

fn run(mapping: Mapping, told: &Told) {
    // The owner may be pinned to a core that has other work. Where this is refused the
    // thread shares that core.
    if let Ok(all) = sched_getaffinity(getpid()) {
        let _refused = sched_setaffinity(Pid::from_raw(0), &all);
    }
    while !told.is_over.load(Ordering::Acquire) {
        let present = told.present.load(Ordering::Acquire);
        let wanted = told.wanted.load(Ordering::Acquire).min(mapping.len);
        let end = (present + 1).next_multiple_of(HUGE_PAGE_LEN).min(mapping.len);
        // Where the machine has no memory left the owner finds out; a next wish tries again.
        if present < wanted && map::touch_huge(mapping, present, end) {
            told.present.fetch_max(end, Ordering::AcqRel);
        } else {
            thread::park();
        }
    }
}
