//! The cores' copies in the order of their times.
//!
//! Each core hands over whole blocks, a millisecond old at most, so that what one core saw first may
//! come last. A record waits until every core has had time to hand over what is older.

use std::collections::VecDeque;

use nic::CaptureReader;
use nic::pcap::RECORD_HEADER_LEN;

/// One core's records that wait.
#[derive(Debug)]
struct Lane {
    reader: CaptureReader,
    blocks: VecDeque<Vec<u8>>,
    /// Bytes of the first block that are done with.
    done: usize,
    taken: u64,
}

/// All cores' records.
#[derive(Debug)]
pub(super) struct Merge {
    lanes: Vec<Lane>,
}

impl Merge {
    pub(super) fn new(readers: Vec<CaptureReader>) -> Self {
        let lane = |reader| Lane { reader, blocks: VecDeque::new(), done: 0, taken: 0 };
        Self { lanes: readers.into_iter().map(lane).collect() }
    }

    /// Takes in what the cores have handed over.
    pub(super) fn fetch(&mut self) {
        for Lane { reader, blocks, .. } in &mut self.lanes {
            while let Some(block) = reader.take() {
                blocks.push_back(block);
            }
        }
    }

    /// Appends the oldest record to `out` if it is of `until` or before, in nanoseconds since 1970;
    /// whether there was one.
    pub(super) fn next(&mut self, until: u64, out: &mut Vec<u8>) -> bool {
        let times = self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.time()?, at)));
        match times.min() {
            Some((time, at)) if time <= until => {
                self.lanes[at].move_first(out);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Lets the cores copy no more.
    pub(super) fn end(&self) {
        self.lanes.iter().for_each(|lane| lane.reader.end());
    }

    /// Whether everything that the cores have copied was taken in.
    pub(super) fn is_whole(&self) -> bool {
        self.lanes.iter().all(|lane| lane.taken + lane.waiting() == lane.reader.captured())
    }

    /// Packets for which a core had no room.
    pub(super) fn dropped(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.reader.dropped()).sum()
    }
}

impl Lane {
    /// What is left of the first block.
    fn rest(&self) -> Option<&[u8]> {
        self.blocks.front()?.get(self.done..)
    }

    /// When the first record that waits was seen.
    fn time(&self) -> Option<u64> {
        let &[a, b, c, d, e, f, g, h] = self.rest()?.first_chunk()?;
        let seconds = u32::from_le_bytes([a, b, c, d]);
        let nanos = u32::from_le_bytes([e, f, g, h]);
        Some(u64::from(seconds) * 1_000_000_000 + u64::from(nanos))
    }

    fn move_first(&mut self, out: &mut Vec<u8>) {
        let Some(rest) = self.rest() else { return };
        let len = record_len(rest);
        out.extend_from_slice(&rest[..len]);
        let is_empty = len == rest.len();
        self.done += len;
        self.taken += 1;
        if is_empty {
            self.done = 0;
            let emptied = self.blocks.pop_front();
            emptied.into_iter().for_each(|block| self.reader.give_back(block));
        }
    }

    fn waiting(&self) -> u64 {
        let mut count = 0;
        for (place, block) in self.blocks.iter().enumerate() {
            let mut rest = &block[if place == 0 { self.done } else { 0 }..];
            while !rest.is_empty() {
                rest = &rest[record_len(rest)..];
                count += 1;
            }
        }
        count
    }
}

/// Bytes of the record that begins `bytes`: our own cores wrote it.
fn record_len(bytes: &[u8]) -> usize {
    let header: &[u8; RECORD_HEADER_LEN] =
        bytes.first_chunk().expect("a core writes whole records");
    let kept = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    RECORD_HEADER_LEN + usize::try_from(kept).expect("a packet has at most 65,535 bytes")
}
