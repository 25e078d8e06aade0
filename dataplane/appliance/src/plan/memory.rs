//! The memory plan: every table with its records and their length, and the sum.

use gateway::limits::{ACCESS_NOTE_LEN, PARTS_LEN, SESSIONS_PER_PARTS};

use super::Plan;

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
    /// Bytes of one record.
    pub(crate) each: u64,
}

impl Row {
    /// Bytes of the table.
    pub(crate) fn bytes(&self) -> u64 {
        self.count * self.each
    }
}

/// The stack's timers: key, two links, slot and tick.
const TIMER_LEN: u64 = 24;
/// A session of the gateway, as its documentation has it.
const SESSION_LEN: usize = 96;
/// A frame's references, in an array beside the frames.
const FRAME_COUNT_LEN: usize = 4;

/// An entry of each of a queue's four rings: an address to fill, one that is sent, and a descriptor
/// in each direction.
const RING_ENTRY_LEN: usize = 8 + 8 + 16 + 16;
/// Whether the kernel has a frame, in each queue's own array.
const FRAME_MARK_LEN: usize = 2;

/// What one core says to another, and the words that a ring keeps it in.
const HAND_OVER_ENTRY_LEN: u64 = 32;

/// Every table that is taken at start and whose size the configuration decides.
pub(crate) fn rows(plan: &Plan) -> Vec<Row> {
    let stack::Config { tcp, timers, .. } = &plan.stack;
    let (frames, workers) = (plan.memory.frames, u64::from(plan.workers.count));
    // Each worker has its own.
    let row = |name, count: u32, each: usize| {
        let count = u64::from(count) * workers;
        Row { name, count, each: each as u64 }
    };
    let mut rows = vec![
        row("records", tcp.records, size_of::<tcp::Record>()),
        row("extensions", tcp.extensions, size_of::<tcp::Extension>()),
        row("segment nodes", tcp.nodes, size_of::<tcp::Node>()),
        Row { name: "flow index", count: index_buckets(tcp) * workers, each: 64 },
        row("half-open", tcp.half_open, size_of::<tcp::HalfOpen>()),
        row("TIME-WAIT", tcp.time_wait, size_of::<tcp::TimeWait>()),
        Row { name: "timers", count: u64::from(*timers) * workers, each: TIMER_LEN },
        row("sessions", plan.service.sessions, SESSION_LEN),
        row("answer parts", plan.service.sessions.div_ceil(SESSIONS_PER_PARTS), PARTS_LEN),
        row("request heads", plan.service.heads, gateway::limits::HEAD_LEN_MAX),
        Row { name: "frames", count: frames.frames.into(), each: frames.frame_len.into() },
        // Each worker counts its references to any frame.
        row("frame counts", frames.frames, FRAME_COUNT_LEN),
        Row { name: "documents", count: plan.catalogue.len(), each: 1 },
    ];
    if let Some(ring_size) = plan.interface.ring_size() {
        rows.push(row("rings", ring_size, RING_ENTRY_LEN));
        rows.push(row("frame marks", frames.frames, FRAME_MARK_LEN));
    }
    if let Some(log) = &plan.access_log {
        rows.push(row("access records", log.queue, size_of::<gateway::AccessRecord>()));
        rows.push(row("access notes", plan.service.sessions, ACCESS_NOTE_LEN));
        rows.push(row("access counts", tcp.records, size_of::<u32>()));
    }
    if workers > 1 {
        // A ring from each to each other.
        let count = workers * (workers - 1) * stack::HAND_OVER_LEN as u64;
        rows.push(Row { name: "hand-over", count, each: HAND_OVER_ENTRY_LEN });
    }
    rows
}

/// Bytes of all tables.
pub(crate) fn sum(rows: &[Row]) -> u64 {
    rows.iter().map(Row::bytes).sum()
}

/// Pages of 2 MiB that all tables take: each lies on pages of its own.
pub(crate) fn huge_pages(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.bytes().div_ceil(2 << 20)).sum()
}

/// Cache lines of the flow index, as `tcp` makes it: nine flows each at a load of four fifths, and
/// the room into which the last bucket's flows may be displaced.
fn index_buckets(tcp: &tcp::Config) -> u64 {
    const ENTRIES: u64 = 9;
    const BUCKETS_MIN: u64 = 32;
    const DISPLACEMENT_MAX: u64 = 15;
    let flows = u64::from(tcp.records) + u64::from(tcp.half_open) + u64::from(tcp.time_wait);
    (flows * 5 / 4).div_ceil(ENTRIES).max(BUCKETS_MIN) + DISPLACEMENT_MAX
}
