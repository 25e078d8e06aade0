//! A queue pair that somebody listens to, forges packets into, and can cut.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use base::Instant;
use memory::CoreArena;
use nic::{Burst, Capabilities, DeviceCounters, QueueCounters, QueuePair};

use crate::stream::mix;
use crate::trace::{Mark, Note, Trace};

/// The wrapper: between the stack and everything else.
#[derive(Debug)]
pub(crate) struct Tapped<Q> {
    inner: Q,
    now: Instant,
    /// What is sent goes nowhere.
    is_cut: bool,
    /// Packets that are received before any other.
    forged: VecDeque<Vec<u8>>,
    counts: Counts,
    /// Of every packet that was sent or received, in order.
    hash: u64,
    trace: Trace,
    /// What is known of a burst that is being sent.
    pending: Vec<(Note, u64)>,
}

/// What a tapped queue pair has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) cut: u64,
    pub(crate) forged: u64,
}

impl<Q: QueuePair> Tapped<Q> {
    pub(crate) fn new(inner: Q, trace_len: usize) -> Self {
        Self {
            inner,
            now: Instant::ZERO,
            is_cut: false,
            forged: VecDeque::new(),
            counts: Counts::default(),
            hash: 0,
            trace: Trace::new(trace_len),
            pending: Vec::new(),
        }
    }

    pub(crate) fn inner(&self) -> &Q {
        &self.inner
    }

    pub(crate) fn into_inner(self) -> Q {
        self.inner
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(crate) fn set_cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
    }

    /// Lets the stack receive `bytes`, before anything else.
    pub(crate) fn forge(&mut self, bytes: Vec<u8>) {
        self.forged.push_back(bytes);
    }

    pub(crate) fn has_forged(&self) -> bool {
        !self.forged.is_empty()
    }

    fn note(&mut self, note: Note, hash: u64) {
        self.hash = mix(self.hash.rotate_left(1) ^ hash ^ self.now.as_nanos());
        self.trace.push(note);
    }

    fn receive_forged(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let mut received = 0;
        while out.free() > 0 && !self.forged.is_empty() {
            let Some(mut frame) = arena.allocate() else { break };
            let Some(bytes) = self.forged.pop_front() else {
                arena.free(frame);
                break;
            };
            arena.set_len(&mut frame, bytes.len());
            arena.bytes_mut(&mut frame).copy_from_slice(&bytes);
            self.note(Note::new(self.now, Mark::Forged, &bytes), hash_of(&bytes));
            self.counts.forged += 1;
            received += 1;
            out.push(frame).expect("there is room for one");
        }
        received
    }
}

impl<Q: QueuePair> QueuePair for Tapped<Q> {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        let forged = self.receive_forged(arena, out);
        let received = self.inner.rx_burst(arena, out);
        for frame in out.iter().skip(before + forged) {
            let bytes = arena.bytes(frame);
            self.note(Note::new(self.now, Mark::Received, bytes), hash_of(bytes));
        }
        forged + received
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        self.pending.clear();
        for frame in frames.iter() {
            let bytes = arena.bytes(frame);
            self.pending.push((Note::new(self.now, Mark::Sent, bytes), hash_of(bytes)));
        }
        let (left, mark) = if self.is_cut {
            let count = frames.len();
            frames.clear_into(arena);
            self.counts.cut += count as u64;
            // What it holds of before is still to leave.
            self.inner.tx_burst(arena, frames);
            (count, Mark::Cut)
        } else {
            (self.inner.tx_burst(arena, frames), Mark::Sent)
        };
        self.counts.sent += left as u64;
        for place in 0..left {
            let (note, hash) = self.pending[place];
            self.note(note.with_mark(mark), hash);
        }
        left
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
        self.now = now;
        self.inner.set_now(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.inner.next_deadline()
    }
}

/// Eight bytes at a time; two packets that differ in a bit differ here.
fn hash_of(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash =
            (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    for &byte in rest {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    hash
}
