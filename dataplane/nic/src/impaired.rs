//! A queue pair behind a bad link: what is sent through it is lost, doubled, damaged, late.
//!
//! Only sending is impaired: one wrapper at each end impairs both directions, each by its own
//! seed. One seed is one run, on every machine. Time comes by `set_now`, and held packets leave
//! with the next burst in either direction once they are due; without `set_now` no time passes.

mod config;
mod corrupt;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use arrayvec::ArrayVec;
use base::{Duration, Instant, Rng};
use memory::{CoreArena, Frame};

use crate::burst::Burst;
use crate::counters::{DeviceCounters, FaultCounters, QueueCounters};
use crate::limits::{BURST_FRAMES_MAX, HELD_BACK_MAX, SEGMENTS_MAX};
use crate::queue::{Capabilities, QueuePair};

pub use config::{ImpairError, Impairments};

type Frames = ArrayVec<Frame, { SEGMENTS_MAX as usize }>;

/// A packet on the link.
#[derive(Debug)]
struct Held {
    /// Its place among all packets that entered the link.
    order: u64,
    due: Instant,
    frames: Frames,
}

/// A packet that waits to be overtaken.
#[derive(Debug)]
struct HeldBack {
    packet: Held,
    /// How many packets have yet to pass.
    packets_left: u16,
    /// When it leaves although they have not.
    latest: Instant,
}

/// A queue pair whose sent packets meet [`Impairments`].
///
/// Without any it hands each burst straight to the queue pair behind. With some it takes packets
/// as long as the queue pair behind takes them, and holds those that are not due. Frames it holds
/// when it is dropped are lost to their arena: end it with [`Self::into_inner`].
#[derive(Debug)]
pub struct Impaired<Q> {
    inner: Q,
    config: Impairments,
    is_none: bool,
    rng: Rng,
    now: Instant,
    /// When the rate limit lets the next packet begin.
    link_free: Instant,
    /// When the last packet is due: no later one is due earlier.
    last_due: Instant,
    /// Packets that entered the link.
    entered: u64,
    /// In the order they are due.
    line: VecDeque<Held>,
    /// In the order they were held back.
    held_back: VecDeque<HeldBack>,
    /// Due, and offered to the queue pair behind.
    ready: Burst,
    faults: FaultCounters,
    /// One frame's bytes on their way into its copy.
    bounce: Box<[u8]>,
}

impl<Q: QueuePair> Impaired<Q> {
    /// Puts `config` in front of `inner`. All memory is taken now.
    ///
    /// # Errors
    /// See [`ImpairError`].
    pub fn new(inner: Q, config: Impairments) -> Result<Self, ImpairError> {
        config.check(inner.capabilities())?;
        let is_none = config.is_none();
        let held_max = if is_none { 0 } else { config.held_packets_max as usize };
        Ok(Self {
            inner,
            config,
            is_none,
            rng: Rng::seeded(config.seed),
            now: Instant::ZERO,
            link_free: Instant::ZERO,
            last_due: Instant::ZERO,
            entered: 0,
            line: VecDeque::with_capacity(held_max),
            held_back: VecDeque::with_capacity(HELD_BACK_MAX),
            ready: Burst::with_capacity(if is_none { 0 } else { BURST_FRAMES_MAX }),
            faults: FaultCounters::default(),
            bounce: vec![0; if is_none { 0 } else { usize::from(u16::MAX) }].into_boxed_slice(),
        })
    }

    /// What was done to the packets so far.
    #[must_use]
    pub fn faults(&self) -> &FaultCounters {
        &self.faults
    }

    /// The queue pair behind.
    #[must_use]
    pub fn inner(&self) -> &Q {
        &self.inner
    }

    /// The queue pair behind, to be changed.
    pub fn inner_mut(&mut self) -> &mut Q {
        &mut self.inner
    }

    /// Packets on the link or held back. Those offered to the queue pair behind are not counted.
    #[must_use]
    pub fn packets_held(&self) -> usize {
        self.line.len() + self.held_back.len()
    }

    /// Frees what is held into `arena` and gives the queue pair back.
    pub fn into_inner(mut self, arena: &mut CoreArena) -> Q {
        let back = self.held_back.drain(..).map(|held| held.packet);
        for frame in self.line.drain(..).chain(back).flat_map(|held| held.frames) {
            arena.free(frame);
        }
        self.ready.clear_into(arena);
        self.inner
    }

    /// Packets that may be held in addition.
    fn room(&self) -> usize {
        self.config.held_packets_max as usize - self.packets_held()
    }

    /// Takes the first packet of `frames`, `segments` frames and `len` bytes, through the faults.
    fn admit(&mut self, arena: &mut CoreArena, frames: &mut Burst, segments: usize, len: usize) {
        self.faults.offered += 1;
        if segments > usize::from(SEGMENTS_MAX) {
            self.faults.too_many_segments += 1;
            return frames.free_front(segments, arena);
        }
        if self.rng.chance_ppm(self.config.loss_ppm) {
            self.faults.lost += 1;
            return frames.free_front(segments, arena);
        }
        let mut packet = Frames::new();
        for _segment in 0..segments {
            packet.push(frames.pop_front().expect("the packet has this many frames"));
        }
        if self.rng.chance_ppm(self.config.corrupt_ppm) {
            self.corrupt(arena, &mut packet);
        }
        if self.rng.chance_ppm(self.config.duplicate_ppm) {
            self.faults.duplicated += 1;
            let twin = packet.iter().map(|frame| arena.share(frame)).collect();
            self.enter_link(arena, twin, len);
        }
        self.enter_link(arena, packet, len);
    }

    fn corrupt(&mut self, arena: &mut CoreArena, packet: &mut Frames) {
        if corrupt::flip_covered_bit(arena, packet, &mut self.rng, &mut self.bounce) {
            self.faults.corrupted += 1;
        } else {
            self.faults.corruption_spared += 1;
        }
    }

    /// Puts a packet on the link, or drops it where its queue or this wrapper is full.
    fn enter_link(&mut self, arena: &mut CoreArena, frames: Frames, len: usize) {
        let dropped = if self.room() == 0 {
            Some(&mut self.faults.held_dropped)
        } else if self.queue_overflows(len) {
            Some(&mut self.faults.link_dropped)
        } else {
            None
        };
        if let Some(counter) = dropped {
            *counter += 1;
            for frame in frames {
                arena.free(frame);
            }
            return;
        }
        self.entered += 1;
        let packet = Held { order: self.entered, due: self.next_due(len), frames };
        let is_chosen = self.rng.chance_ppm(self.config.reorder_ppm);
        if is_chosen && self.held_back.len() < HELD_BACK_MAX {
            self.faults.reordered += 1;
            self.held_back.push_back(HeldBack {
                packets_left: self.config.reorder_packets,
                latest: packet.due + self.config.reorder_hold_max,
                packet,
            });
        } else {
            self.line.push_back(packet);
        }
    }

    /// Whether `len` bytes more do not fit into the queue before the rate limit.
    fn queue_overflows(&self, len: usize) -> bool {
        let rate = self.config.rate_bits_per_s;
        if rate == 0 {
            return false;
        }
        let backlog = self.link_free.saturating_since(self.now).as_nanos();
        let waiting_bytes = u128::from(backlog) * u128::from(rate) / 8_000_000_000;
        waiting_bytes + len as u128 > u128::from(self.config.queue_bytes_max)
    }

    /// When a packet of `len` bytes that is sent now comes out of the link.
    fn next_due(&mut self, len: usize) -> Instant {
        let mut due = self.now;
        let serialising = (len as u64 * 8_000_000_000).checked_div(self.config.rate_bits_per_s);
        if let Some(nanos) = serialising {
            self.link_free = self.link_free.max(self.now) + Duration::from_nanos(nanos);
            due = self.link_free;
        }
        due += self.config.delay;
        let jitter = self.config.jitter.as_nanos();
        if jitter > 0 {
            due += Duration::from_nanos(self.rng.below(jitter + 1));
        }
        self.last_due = self.last_due.max(due);
        self.last_due
    }

    /// Offers the queue pair behind what is due, as long as it takes it all.
    fn release(&mut self, arena: &mut CoreArena) {
        loop {
            self.fill_ready();
            let (frames, packets) = (self.ready.len(), self.ready_packets());
            // With nothing to offer too: it may have completions to collect.
            self.inner.tx_burst(arena, &mut self.ready);
            self.faults.passed += packets - self.ready_packets();
            if self.ready.len() == frames {
                return;
            }
        }
    }

    fn ready_packets(&self) -> u64 {
        let ends = self.ready.iter().filter(|frame| !crate::flags::continues(frame));
        ends.count() as u64
    }

    /// Moves packets that are due behind those that wait for the queue pair, as many as fit.
    fn fill_ready(&mut self) {
        while self.ready.free() >= usize::from(SEGMENTS_MAX) {
            let overtaken = |held: &HeldBack| held.packets_left == 0 && held.packet.due <= self.now;
            let leaving = |held: &HeldBack| overtaken(held) || held.latest <= self.now;
            let place = self.held_back.iter().position(leaving);
            let packet = if let Some(place) = place {
                self.held_back.remove(place).map(|held| held.packet)
            } else {
                self.pop_due()
            };
            let Some(packet) = packet else {
                return;
            };
            for frame in packet.frames {
                self.ready.push(frame).expect("there is room for every segment");
            }
        }
    }

    /// The next packet of the line that is due; it overtakes what is held back.
    fn pop_due(&mut self) -> Option<Held> {
        if self.line.front()?.due > self.now {
            return None;
        }
        let packet = self.line.pop_front()?;
        for held in &mut self.held_back {
            if packet.order > held.packet.order {
                held.packets_left = held.packets_left.saturating_sub(1);
            }
        }
        Some(packet)
    }
}

impl<Q: QueuePair> QueuePair for Impaired<Q> {
    #[inline]
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        if self.packets_held() > 0 || !self.ready.is_empty() {
            self.release(arena);
        }
        self.inner.rx_burst(arena, out)
    }

    #[inline]
    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        if self.is_none {
            return self.inner.tx_burst(arena, frames);
        }
        let frames_before = frames.len();
        loop {
            // A packet and its duplicate must find room, unless it is taken by what is not due.
            if self.room() < 2 || !self.ready.is_empty() {
                self.release(arena);
            }
            // While the queue pair behind is full nothing more is taken: the caller keeps it.
            let packet = frames.front_packet().filter(|_| self.ready.is_empty());
            let Some((segments, len)) = packet else {
                break;
            };
            self.admit(arena, frames, segments, len);
        }
        self.release(arena);
        frames_before - frames.len()
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

    fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.inner.set_now(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let line = self.line.front().map(|held| held.due);
        let back = self.held_back.iter().map(|held| held.latest).min();
        // What the queue pair behind had no room for is offered again as soon as anybody calls.
        let ready = (!self.ready.is_empty()).then_some(self.now);
        let own = [line, back, ready, self.inner.next_deadline()];
        own.into_iter().flatten().min()
    }
}
