//! A queue pair whose packets another thread may look at while it serves.
//!
//! The naive capture writes each packet down where it passes, as `Recorded` does for tests, and a
//! full disk or a slow reader then stops the core. Here the core copies what is meant into blocks
//! of memory that came with the order to do so, and hands over each block when it is full or a
//! millisecond old. Where there is no empty block the copy is dropped and counted; the packet goes
//! its way. Without a capture it costs one comparison a burst.
//!
//! ```text
//!   core    Captured --full blocks--> reader     another thread: writes, and gives them back
//!                    <--empty ones---
//! ```
//!
//! A received packet is seen as it came off this queue, also if it is handed over to another core;
//! a sent one once the queue pair behind has taken it. What the device drops before the queue, or
//! does not hand to it, is not seen.

mod tap;
#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;

use base::Instant;
use memory::CoreArena;

use crate::burst::Burst;
use crate::counters::{DeviceCounters, QueueCounters};
use crate::flags::continues;
use crate::limits::CAPTURE_WATCHED_MAX;
use crate::queue::{Capabilities, QueuePair};

pub use tap::{CaptureReader, CaptureTerms, Directions, Tap, tap};

/// A queue pair whose packets are copied to a [`CaptureReader`] while there is a [`Tap`].
#[derive(Debug)]
pub struct Captured<Q> {
    inner: Q,
    now: Instant,
    tap: Option<Box<Tap>>,
    /// One more reference to each frame that is offered: the queue pair behind frees its own.
    watched: Burst,
}

impl<Q: QueuePair> Captured<Q> {
    /// Nothing is copied yet.
    #[must_use]
    pub fn new(inner: Q) -> Self {
        let watched = Burst::with_capacity(CAPTURE_WATCHED_MAX);
        Self { inner, now: Instant::ZERO, tap: None, watched }
    }

    /// The queue pair behind.
    #[must_use]
    pub fn into_inner(self) -> Q {
        self.inner
    }

    /// Begins to copy by `tap`, or ends it; what was there until now, whose last block is handed
    /// over. It allocates and frees nothing.
    pub fn exchange_tap(&mut self, tap: Option<Box<Tap>>) -> Option<Box<Tap>> {
        let mut before = core::mem::replace(&mut self.tap, tap);
        if let Some(before) = &mut before {
            before.hand_over();
        }
        before
    }

    /// Takes one more reference to each frame of whole packets, as many as there is room for.
    fn watch(&mut self, arena: &mut CoreArena, frames: &Burst) {
        for frame in frames {
            if self.watched.free() == 0 {
                break;
            }
            let twin = arena.share(frame);
            self.watched.push(twin).expect("it has room");
        }
        while let Some(frame) = self.watched.pop_back() {
            if !continues(&frame) {
                self.watched.push(frame).expect("it was taken from there");
                return;
            }
            arena.free(frame);
        }
    }

    /// Copies the first `count` frames that were watched, and lets go of all.
    fn note_sent(&mut self, arena: &mut CoreArena, count: usize) {
        let Self { now, tap, watched, .. } = self;
        let Some(tap) = tap else { return };
        tap.miss(count.saturating_sub(watched.len()));
        let mut left = count.min(watched.len());
        while left > 0 {
            let Some((segments, _len)) = watched.front_packet() else { break };
            tap.note(*now, arena, watched.iter().take(segments));
            watched.free_front(segments, arena);
            left = left.saturating_sub(segments);
        }
        watched.clear_into(arena);
    }

    #[cold]
    fn tx_burst_watched(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        self.watch(arena, frames);
        let count = self.inner.tx_burst(arena, frames);
        self.note_sent(arena, count);
        count
    }

    #[cold]
    fn note_received(&mut self, arena: &CoreArena, out: &Burst, before: usize) {
        let Some(tap) = &mut self.tap else { return };
        let mut rest = out.iter().skip(before);
        while rest.len() > 0 {
            let packet = rest.clone();
            let frames = 1 + rest.by_ref().take_while(|frame| continues(frame)).count();
            tap.note(self.now, arena, packet.take(frames));
        }
    }
}

impl<Q: QueuePair> QueuePair for Captured<Q> {
    #[inline]
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        let count = self.inner.rx_burst(arena, out);
        if self.tap.as_ref().is_some_and(|tap| tap.wants_received()) {
            self.note_received(arena, out, before);
        }
        count
    }

    #[inline]
    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        if self.tap.as_ref().is_some_and(|tap| tap.wants_sent()) {
            return self.tx_burst_watched(arena, frames);
        }
        self.inner.tx_burst(arena, frames)
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wait_fd()
    }

    fn counters(&self) -> &QueueCounters {
        self.inner.counters()
    }

    fn device_counters(&self) -> DeviceCounters {
        self.inner.device_counters()
    }

    fn is_gone(&self) -> bool {
        self.inner.is_gone()
    }

    #[inline]
    fn set_now(&mut self, now: Instant) {
        self.inner.set_now(now);
        self.now = now;
        if let Some(tap) = &mut self.tap {
            tap.hand_over_if_due(now);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let due = self.tap.as_ref().and_then(|tap| tap.next_deadline());
        [self.inner.next_deadline(), due].into_iter().flatten().min()
    }
}
