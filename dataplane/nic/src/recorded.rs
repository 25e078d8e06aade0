//! A queue pair whose traffic is written down as pcap, in both directions.

use std::io::Write;
use std::os::fd::BorrowedFd;

use base::Instant;
use memory::{CoreArena, Frame};

use crate::burst::Burst;
use crate::counters::{DeviceCounters, QueueCounters};
use crate::flags::continues;
use crate::limits::BURST_FRAMES_MAX;
use crate::pcap::{FILE_HEADER_LEN, RECORD_HEADER_LEN, file_header, record_header};
use crate::queue::{Capabilities, QueuePair};

#[cfg(test)]
mod tests;

/// How much is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Packets, both directions together.
    pub packets_max: u64,
    /// Bytes of the capture, its headers included.
    pub bytes_max: u64,
}

/// What became of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounters {
    /// Packets written down.
    pub packets: u64,
    /// Bytes of the capture.
    pub bytes: u64,
    /// Packets that passed after the limits were reached or the writer had failed.
    pub packets_unrecorded: u64,
    /// Errors of the writer. The first ends the recording.
    pub write_errors: u64,
}

/// A queue pair that writes every packet, in and out, to `W` as it passes.
///
/// What is written is a pcap file (Ethernet, nanoseconds) with the time of `set_now`. The traffic
/// never waits for it and never sees its errors: an error of the writer ends the recording and is
/// counted. Received packets are written when they are handed over; sent ones when the queue pair
/// behind has taken them, also those it then dropped.
///
/// Each packet is one `write_all`: wrap a file into a `BufWriter`.
#[derive(Debug)]
pub struct Recorded<Q, W> {
    inner: Q,
    writer: W,
    now: Instant,
    limits: RecordLimits,
    is_stopped: bool,
    counters: RecordCounters,
    /// What is offered to the queue pair behind at once.
    chunk: Burst,
    /// One more reference to each frame of `chunk`: the queue pair behind frees its own.
    watched: Burst,
    /// One record before it is written.
    record: Vec<u8>,
}

impl<Q: QueuePair, W: Write> Recorded<Q, W> {
    /// Writes down what passes through `inner`, beginning with the file's header.
    #[must_use]
    pub fn new(inner: Q, writer: W, limits: RecordLimits) -> Self {
        let record_len = RECORD_HEADER_LEN + inner.capabilities().packet_len_max();
        let mut recorded = Self {
            inner,
            writer,
            now: Instant::ZERO,
            limits,
            is_stopped: limits.bytes_max < FILE_HEADER_LEN as u64,
            counters: RecordCounters::default(),
            chunk: Burst::with_capacity(BURST_FRAMES_MAX),
            watched: Burst::with_capacity(BURST_FRAMES_MAX),
            record: Vec::with_capacity(record_len.max(FILE_HEADER_LEN)),
        };
        if !recorded.is_stopped {
            recorded.record.extend_from_slice(&file_header());
            recorded.write();
        }
        recorded
    }

    /// What has been written, and what not.
    #[must_use]
    pub fn recorded(&self) -> &RecordCounters {
        &self.counters
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

    /// Ends the recording. The writer is not flushed.
    #[must_use]
    pub fn into_parts(self) -> (Q, W) {
        (self.inner, self.writer)
    }

    /// Writes down the packet of these frames.
    fn note<'a>(&mut self, arena: &CoreArena, frames: impl Iterator<Item = &'a Frame> + Clone) {
        let len: usize = frames.clone().map(Frame::len).sum();
        // A packet that the device will refuse may be longer than any; it is cut, as snaplen says.
        let kept = len.min(self.record.capacity() - RECORD_HEADER_LEN);
        let record_len = (RECORD_HEADER_LEN + kept) as u64;
        let is_full = self.counters.packets == self.limits.packets_max
            || self.counters.bytes + record_len > self.limits.bytes_max;
        self.is_stopped |= is_full;
        if self.is_stopped {
            self.counters.packets_unrecorded += 1;
            return;
        }
        self.record.clear();
        let header = record_header(self.now, kept, len);
        self.record.extend_from_slice(&header);
        for frame in frames {
            let room = RECORD_HEADER_LEN + kept - self.record.len();
            let bytes = arena.bytes(frame);
            self.record.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        if self.write() {
            self.counters.packets += 1;
        } else {
            self.counters.packets_unrecorded += 1;
        }
    }

    fn write(&mut self) -> bool {
        let outcome = self.writer.write_all(&self.record);
        if outcome.is_ok() {
            self.counters.bytes += self.record.len() as u64;
        } else {
            self.counters.write_errors += 1;
            self.is_stopped = true;
        }
        outcome.is_ok()
    }

    /// Moves whole packets into `chunk`, and a second reference to each frame into `watched`.
    fn fill_chunk(&mut self, arena: &mut CoreArena, frames: &mut Burst) {
        while let Some((segments, _len)) = frames.front_packet() {
            if segments > self.chunk.free() {
                return;
            }
            for _segment in 0..segments {
                let frame = frames.pop_front().expect("the packet has this many frames");
                let twin = arena.share(&frame);
                self.watched.push(twin).expect("as large as the chunk");
                self.chunk.push(frame).expect("its room was counted");
            }
        }
    }

    /// Writes down the first `count` frames of `watched`, packet by packet, and lets go of all.
    fn note_sent(&mut self, arena: &mut CoreArena, count: usize) {
        let mut watched = core::mem::replace(&mut self.watched, Burst::with_capacity(0));
        let mut left = count;
        while left > 0 {
            let (segments, _len) = watched.front_packet().expect("what left was watched");
            self.note(arena, watched.iter().take(segments));
            watched.free_front(segments, arena);
            left = left.checked_sub(segments).expect("whole packets leave");
        }
        watched.clear_into(arena);
        self.watched = watched;
    }
}

impl<Q: QueuePair, W: Write> QueuePair for Recorded<Q, W> {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        let count = self.inner.rx_burst(arena, out);
        let mut first = before;
        for end in before..out.len() {
            let is_last = out.iter().nth(end).is_some_and(|frame| !continues(frame));
            if is_last {
                self.note(arena, out.iter().skip(first).take(end + 1 - first));
                first = end + 1;
            }
        }
        count
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        if self.is_stopped {
            let packets = |burst: &Burst| burst.iter().filter(|frame| !continues(frame)).count();
            let before = packets(frames);
            let count = self.inner.tx_burst(arena, frames);
            self.counters.packets_unrecorded += (before - packets(frames)) as u64;
            return count;
        }
        let mut sent = 0;
        loop {
            self.fill_chunk(arena, frames);
            let offered = self.chunk.len();
            if offered == 0 && !frames.is_empty() {
                // More frames than any device takes: it is refused by name, and not written down.
                return sent + self.inner.tx_burst(arena, frames);
            }
            let count = self.inner.tx_burst(arena, &mut self.chunk);
            self.note_sent(arena, count);
            sent += count;
            if count < offered || frames.is_empty() || offered == 0 {
                break;
            }
        }
        while let Some(frame) = self.chunk.pop_back() {
            frames.put_back(frame);
        }
        sent
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
