//! The wire of a host with several cores: whatever one sends may come in at any core of the other.
//!
//! It is how veth and a NIC without a stable hash behave, and worse: not even two packets of one
//! flow, or a SYN and the same SYN sent again, need come by the same queue.

use std::iter;
use std::os::fd::BorrowedFd;

use base::{Instant, Rng};
use memory::CoreArena;
use nic::{Burst, Capabilities, MemQueue, QueueCounters, QueuePair, SEGMENTS_MAX};

/// The queue pair of one core: an in-memory pair to each core of the other host. Each packet leaves
/// by one of them, chosen at random.
#[derive(Debug)]
pub struct Spread {
    queues: Vec<MemQueue>,
    rng: Rng,
    /// One packet that the chosen queue has no room for yet.
    held: Burst,
    chosen: usize,
    /// Where every packet goes, if not at random.
    only: Option<usize>,
    /// The queue that is asked first.
    first: usize,
    now: Instant,
    counters: QueueCounters,
}

impl Spread {
    /// One queue pair over all of `queues`.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn new(queues: Vec<MemQueue>, seed: u64) -> Self {
        assert!(!queues.is_empty(), "a host without a wire");
        Self {
            queues,
            rng: Rng::seeded(seed),
            held: Burst::with_capacity(usize::from(SEGMENTS_MAX)),
            chosen: 0,
            only: None,
            first: 0,
            now: Instant::ZERO,
            counters: QueueCounters::default(),
        }
    }

    /// Joins `cores.0` cores of one host with `cores.1` of another: what each core has, by host.
    /// `seed` decides which packet goes where.
    ///
    /// # Panics
    ///
    /// If `depth` is no power of two, or the MTU is too small.
    #[must_use]
    pub fn between(cores: (usize, usize), depth: usize, mtu: u16, seed: u64) -> [Vec<Self>; 2] {
        let mut ends = [Vec::new(), Vec::new()];
        let mut theirs: Vec<Vec<MemQueue>> = (0..cores.1).map(|_| Vec::new()).collect();
        let mut seeds = Rng::seeded(seed);
        for _ in 0..cores.0 {
            let mut ours = Vec::new();
            for queues in &mut theirs {
                let (a, b) = nic::mem::pair(depth, mtu).expect("a power of two, and an MTU");
                ours.push(a);
                queues.push(b);
            }
            ends[0].push(Self::new(ours, seeds.next_u64()));
        }
        ends[1].extend(theirs.into_iter().map(|queues| Self::new(queues, seeds.next_u64())));
        ends
    }

    /// Sends every packet to that core of the other host from now on; `None` is at random.
    pub fn send_to(&mut self, core: Option<usize>) {
        self.only = core;
    }

    /// Ends it and puts every frame that it can reach into `arena`.
    pub fn drain(mut self, arena: &mut CoreArena) {
        self.held.clear_into(arena);
        for queue in self.queues {
            queue.drain(arena);
        }
    }
}

impl QueuePair for Spread {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        for step in 0..self.queues.len() {
            let place = (self.first + step) % self.queues.len();
            self.queues[place].rx_burst(arena, out);
        }
        self.first = (self.first + 1) % self.queues.len();
        for frame in out.iter().skip(before) {
            self.counters.count_rx(frame.len());
        }
        out.len() - before
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        let before = frames.len();
        loop {
            if self.held.is_empty() {
                let Some((segments, len)) = frames.front_packet() else { break };
                for frame in iter::from_fn(|| frames.pop_front()).take(segments) {
                    self.held.push(frame).expect("a packet has at most so many frames");
                }
                let count = self.queues.len() as u64;
                let drawn = usize::try_from(self.rng.below(count)).expect("one of them");
                self.chosen = self.only.unwrap_or(drawn);
                self.counters.count_tx(len);
            }
            self.queues[self.chosen].tx_burst(arena, &mut self.held);
            if !self.held.is_empty() {
                break;
            }
        }
        before - frames.len()
    }

    fn capabilities(&self) -> &Capabilities {
        self.queues[0].capabilities()
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> &QueueCounters {
        &self.counters
    }

    fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    fn next_deadline(&self) -> Option<Instant> {
        (!self.held.is_empty()).then_some(self.now)
    }
}
