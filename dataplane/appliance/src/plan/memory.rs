//! The memory plan: every table with its records and their length, and the sum.

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
const SESSION_LEN: usize = 80;
/// A frame's references, in an array beside the frames.
const FRAME_COUNT_LEN: u64 = 4;

/// Every table that is taken at start and whose size the configuration decides.
pub(crate) fn rows(plan: &Plan) -> Vec<Row> {
    let stack::Config { tcp, timers, .. } = &plan.stack;
    let frames = plan.memory.frames;
    let row = |name, count: u32, each: usize| Row { name, count: count.into(), each: each as u64 };
    vec![
        row("records", tcp.records, size_of::<tcp::Record>()),
        row("extensions", tcp.extensions, size_of::<tcp::Extension>()),
        row("segment nodes", tcp.nodes, size_of::<tcp::Node>()),
        Row { name: "flow index", count: index_buckets(tcp), each: 64 },
        row("half-open", tcp.half_open, size_of::<tcp::HalfOpen>()),
        row("TIME-WAIT", tcp.time_wait, size_of::<tcp::TimeWait>()),
        Row { name: "timers", count: u64::from(*timers), each: TIMER_LEN },
        row("sessions", plan.service.sessions, SESSION_LEN),
        row("request heads", plan.service.heads, gateway::limits::HEAD_LEN_MAX),
        row("frames", frames.frames, frames.frame_len as usize),
        Row { name: "frame counts", count: u64::from(frames.frames), each: FRAME_COUNT_LEN },
        Row { name: "documents", count: plan.catalogue.len(), each: 1 },
    ]
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
