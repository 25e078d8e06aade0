//! The way of a capture from the core to who reads it: blocks that go back and forth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::{Duration, Instant};
use memory::{Consumer, CoreArena, Frame, Producer, ring};

use crate::filter::Filter;
use crate::limits::{CAPTURE_BLOCK_LEN, CAPTURE_BLOCKS, CAPTURE_HOLD, SNAP_LEN_MAX};
use crate::pcap::{RECORD_HEADER_LEN, record_header};

/// Which packets by the way they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directions {
    /// Both.
    #[default]
    Both,
    /// What the queue pair receives.
    Received,
    /// What it sends.
    Sent,
}

/// What is captured, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureTerms {
    /// Which packets.
    pub filter: Filter,
    /// Which way they go.
    pub directions: Directions,
    /// Bytes kept of each, from the Ethernet header on; at most [`SNAP_LEN_MAX`].
    pub snap_len: usize,
    /// The time of day at which the core's clock was zero, since 1970.
    pub clock_offset: Duration,
}

/// Whole records of a pcap file. It has all its memory from the beginning.
type Block = Vec<u8>;

/// What both sides see. Each number is written by the core alone.
#[derive(Debug, Default)]
struct Tally {
    captured: AtomicU64,
    dropped: AtomicU64,
    /// The reader wants no more.
    is_over: AtomicBool,
}

/// The core's side.
#[derive(Debug)]
pub struct Tap {
    terms: CaptureTerms,
    full: Producer<Block>,
    empty: Consumer<Block>,
    /// Which is being filled, and since when.
    current: Option<(Block, Instant)>,
    tally: Arc<Tally>,
}

/// The side of who reads. Dropped, it ends the capture.
#[derive(Debug)]
pub struct CaptureReader {
    full: Consumer<Block>,
    empty: Producer<Block>,
    tally: Arc<Tally>,
}

/// Both sides, with all memory that they will ever use, touched.
///
/// # Panics
/// If `snap_len` of the terms is above its bound.
#[must_use]
pub fn tap(terms: CaptureTerms) -> (Box<Tap>, CaptureReader) {
    assert!(terms.snap_len <= SNAP_LEN_MAX, "at most {SNAP_LEN_MAX} bytes of a packet");
    let (full, filled) = ring(CAPTURE_BLOCKS);
    let (mut emptied, empty) = ring(CAPTURE_BLOCKS);
    for _block in 0..CAPTURE_BLOCKS {
        // Written once, so that the core does not wait for the kernel to find a page.
        let mut block: Block = vec![0xff; CAPTURE_BLOCK_LEN];
        block.clear();
        emptied.push(block).expect("the ring has a place for each");
    }
    let tally = Arc::new(Tally::default());
    let reader = CaptureReader { full: filled, empty: emptied, tally: Arc::clone(&tally) };
    (Box::new(Tap { terms, full, empty, current: None, tally }), reader)
}

impl Tap {
    pub(super) fn wants_received(&self) -> bool {
        self.terms.directions != Directions::Sent
    }

    pub(super) fn wants_sent(&self) -> bool {
        self.terms.directions != Directions::Received
    }

    /// Copies the packet of these frames if it is meant.
    pub(super) fn note<'a>(
        &mut self,
        now: Instant,
        arena: &CoreArena,
        frames: impl Iterator<Item = &'a Frame> + Clone,
    ) {
        let Some(first) = frames.clone().next() else { return };
        if self.tally.is_over.load(Ordering::Relaxed)
            || !self.terms.filter.matches(arena.bytes(first))
        {
            return;
        }
        let len: usize = frames.clone().map(Frame::len).sum();
        let kept = len.min(self.terms.snap_len);
        let at = now + self.terms.clock_offset;
        let Some(block) = self.block(RECORD_HEADER_LEN + kept, now) else { return self.miss(1) };
        block.extend_from_slice(&record_header(at, kept, len));
        let end = block.len() + kept;
        for frame in frames {
            let bytes = arena.bytes(frame);
            block.extend_from_slice(&bytes[..bytes.len().min(end - block.len())]);
        }
        add(&self.tally.captured, 1);
    }

    /// Counts packets that are not copied for want of room.
    pub(super) fn miss(&mut self, packets: usize) {
        add(&self.tally.dropped, packets as u64);
    }

    /// A block with room for `len` bytes.
    fn block(&mut self, len: usize, now: Instant) -> Option<&mut Block> {
        let has_room =
            self.current.as_ref().is_some_and(|(block, _)| CAPTURE_BLOCK_LEN - block.len() >= len);
        if !has_room {
            self.hand_over();
            self.current = self.empty.pop().map(|block| (block, now));
        }
        self.current.as_mut().map(|(block, _)| block)
    }

    /// Hands over what was copied.
    pub(super) fn hand_over(&mut self) {
        if let Some((block, _)) = self.current.take() {
            self.full.push(block).expect("the ring has a place for each block");
        }
    }

    /// The same, once it has lain for long enough.
    #[inline]
    pub(super) fn hand_over_if_due(&mut self, now: Instant) {
        if self.next_deadline().is_some_and(|due| now >= due) {
            self.hand_over();
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.current.as_ref().map(|(_, begun)| *begun + CAPTURE_HOLD)
    }
}

impl Drop for Tap {
    /// A core that ends has seen its last packets too.
    fn drop(&mut self) {
        self.hand_over();
    }
}

impl CaptureReader {
    /// Takes the oldest block that was handed over: whole records of a pcap file, in order.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.full.pop()
    }

    /// Gives a block back to be filled again.
    ///
    /// # Panics
    /// If it is none of those that were taken.
    pub fn give_back(&mut self, mut block: Vec<u8>) {
        assert!(block.capacity() >= CAPTURE_BLOCK_LEN, "it came from the core");
        block.clear();
        self.empty.push(block).expect("the ring has a place for each block");
    }

    /// Wants no more packets.
    pub fn end(&self) {
        self.tally.is_over.store(true, Ordering::Relaxed);
    }

    /// Packets that were copied, also those in the block that is being filled.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.tally.captured.load(Ordering::Acquire)
    }

    /// Packets that were meant and for which there was no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for CaptureReader {
    fn drop(&mut self) {
        self.end();
    }
}

/// Only the core writes, so that there is nothing to lock.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Release);
}
