//! A queue pair that plays a capture in, for tests and for looking at what a peer once sent.

use std::os::fd::BorrowedFd;

use base::{Instant, QueueId};
use memory::CoreArena;

use crate::burst::Burst;
use crate::counters::{DropReason, QueueCounters};
use crate::limits::{ETHERNET_HEADER_LEN, SEGMENTS_MAX};
use crate::pcap::{PcapError, Reader, Record};
use crate::queue::{Capabilities, Copies, QueuePair};

/// When a packet of the capture comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As soon as there is room for it.
    AtOnce,
    /// As long after the first `set_now` as it came after the first packet of the capture.
    AsRecorded,
}

/// Receives the packets of a capture in order; what is sent is counted and goes nowhere.
///
/// A packet that was cut when it was captured, or that fits no frame, is dropped and counted as
/// [`DropReason::RxTooLong`]. A capture that breaks off ends there: see [`Self::error`].
#[derive(Debug)]
pub struct Replay<'a> {
    reader: Reader<'a>,
    next: Option<Record<'a>>,
    error: Option<PcapError>,
    pace: Pace,
    /// The capture's zero: the time of its first packet.
    first_at: Instant,
    started: Option<Instant>,
    now: Instant,
    capabilities: Capabilities,
    counters: QueueCounters,
}

impl<'a> Replay<'a> {
    /// Plays `capture`, a whole pcap file, on a link with an MTU of `mtu` bytes.
    ///
    /// # Errors
    /// See [`PcapError`].
    pub fn new(capture: &'a [u8], mtu: u16, pace: Pace) -> Result<Self, PcapError> {
        let mut reader = Reader::new(capture)?;
        let first = reader.next().transpose()?;
        Ok(Self {
            reader,
            next: first,
            error: None,
            pace,
            first_at: first.map_or(Instant::ZERO, |record| record.at),
            started: None,
            now: Instant::ZERO,
            capabilities: Capabilities {
                name: "replay",
                queue: QueueId(0),
                mtu,
                segments_max: SEGMENTS_MAX,
                checksum_rx: false,
                checksum_tx: false,
                tso: false,
                zero_copy: false,
                copies: Copies::Sender,
            },
            counters: QueueCounters::default(),
        })
    }

    /// Whether every packet has been played or dropped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.next.is_none()
    }

    /// What ended the capture before its end.
    #[must_use]
    pub fn error(&self) -> Option<PcapError> {
        self.error
    }

    /// When `record` comes in. Earlier than the first packet counts as with it.
    fn due(&self, record: &Record<'_>) -> Instant {
        match self.pace {
            Pace::AtOnce => Instant::ZERO,
            Pace::AsRecorded => {
                let started = self.started.unwrap_or(self.now);
                started + record.at.saturating_since(self.first_at)
            }
        }
    }

    fn advance(&mut self) {
        self.next = match self.reader.next() {
            None => None,
            Some(Ok(record)) => Some(record),
            Some(Err(error)) => {
                self.error = Some(error);
                None
            }
        };
    }

    /// Why the packet cannot come in through frames with `room` bytes.
    fn refusal(&self, record: &Record<'_>, room: usize) -> Option<DropReason> {
        let longest = room.min(self.capabilities.packet_len_max());
        if record.bytes.len() < record.wire_len as usize || record.bytes.len() > longest {
            return Some(DropReason::RxTooLong);
        }
        (record.bytes.len() < ETHERNET_HEADER_LEN).then_some(DropReason::RxTooShort)
    }
}

impl QueuePair for Replay<'_> {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let before = out.len();
        let room = arena.frame_len() - arena.headroom();
        while out.free() > 0
            && let Some(record) = self.next.filter(|record| self.due(record) <= self.now)
        {
            if let Some(reason) = self.refusal(&record, room) {
                self.counters.count_drop(reason);
                self.advance();
                continue;
            }
            let Some(mut frame) = arena.allocate() else {
                self.counters.rx_starved += 1;
                break;
            };
            arena.set_len(&mut frame, record.bytes.len());
            arena.bytes_mut(&mut frame).copy_from_slice(record.bytes);
            self.counters.count_rx(record.bytes.len());
            self.counters.copied_bytes += record.bytes.len() as u64;
            out.push(frame).expect("its room was looked at");
            self.advance();
        }
        out.len() - before
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        let before = frames.len();
        while let Some((segments, len)) = frames.front_packet() {
            self.counters.count_tx(len);
            frames.free_front(segments, arena);
        }
        before
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> &QueueCounters {
        &self.counters
    }

    fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.started.get_or_insert(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next.map(|record| self.due(&record))
    }
}
