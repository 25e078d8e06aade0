//! What all inputs together have reached: which flow received which segment, and every counter.

use std::cell::RefCell;
use std::collections::BTreeMap;

use stack::Core;
use tcp::{CloseReason, Flow, State, Tuple};
use wire::tcp::Flags;

use crate::bed::Bed;
use crate::frame::Seen;
use crate::service::PORTS;

/// Kinds of segments, in the order of the columns.
const KINDS: [&str; 7] = ["SYN", "SYN-ACK", "RST", "FIN", "data", "ACK", "other"];
/// Rows before those of the states of a record.
const NO_FLOW: usize = 0;
const LISTEN: usize = 1;
const HALF_OPEN: usize = 2;
const RESTING: usize = 3;
const STATES: usize = 4;
const ROWS: usize = STATES + State::ALL.len();

const REASONS: [CloseReason; 9] = [
    CloseReason::Finished,
    CloseReason::PeerReset,
    CloseReason::PeerRefused,
    CloseReason::TimedOut,
    CloseReason::KeepAlive,
    CloseReason::Aborted,
    CloseReason::DataAfterClose,
    CloseReason::UserTimeout,
    CloseReason::FramesScarce,
];

#[derive(Debug, Default)]
struct Reached {
    inputs: u64,
    segments: [[u64; KINDS.len()]; ROWS],
    counters: BTreeMap<&'static str, u64>,
    ended: [u64; 9],
    timers_full: u64,
}

thread_local! {
    static REACHED: RefCell<Reached> = RefCell::default();
}

/// The flow of a segment, if it is for one of our addresses.
pub(crate) fn tuple_of(core: &Core, seen: &Seen) -> Option<Tuple> {
    let local = core.ip().local_index(seen.destination)?;
    Some(Tuple {
        remote: seen.source,
        remote_port: seen.repr.src_port,
        local_port: seen.repr.dst_port,
        local: local.0,
    })
}

/// The flow of a segment that the stack has sent.
pub(crate) fn tuple_of_sent(core: &Core, seen: &Seen) -> Option<Tuple> {
    let local = core.ip().local_index(seen.source)?;
    Some(Tuple {
        remote: seen.destination,
        remote_port: seen.repr.dst_port,
        local_port: seen.repr.src_port,
        local: local.0,
    })
}

/// Counts a segment that is about to arrive.
pub(crate) fn count_segment(core: &Core, seen: &Seen) {
    let Some(tuple) = tuple_of(core, seen) else { return };
    let row = match core.tcp().flow(&tuple) {
        None if PORTS.contains(&tuple.local_port) => LISTEN,
        None => NO_FLOW,
        Some(Flow::HalfOpen) => HALF_OPEN,
        Some(Flow::Resting) => RESTING,
        Some(Flow::Connection(_, state)) => STATES + state as usize,
    };
    let kind = if seen.has(Flags::RST) {
        2
    } else if seen.has(Flags::SYN) {
        usize::from(seen.has(Flags::ACK))
    } else if seen.has(Flags::FIN) {
        3
    } else if seen.payload_len > 0 {
        4
    } else if seen.has(Flags::ACK) {
        5
    } else {
        6
    };
    REACHED.with_borrow_mut(|reached| reached.segments[row][kind] += 1);
}

/// Adds what one run has counted.
pub(crate) fn take(bed: &Bed) {
    let core = bed.stack.core();
    let ip = ip::DropReason::ALL
        .iter()
        .map(|&reason| (reason.name(), core.ip().counters().drops(reason)));
    let counters = core.tcp().counters().iter().chain(core.udp().counters().iter());
    let counters = counters.chain(core.counters().iter()).chain(ip);
    REACHED.with_borrow_mut(|reached| {
        reached.inputs += 1;
        for (name, value) in counters {
            *reached.counters.entry(name).or_default() += value;
        }
        for (sum, count) in reached.ended.iter_mut().zip(bed.service.ended) {
            *sum += count;
        }
        reached.timers_full += bed.service.timers_full;
    });
}

/// Prints the tables, and fails if a state or a way to end was not reached.
pub(crate) fn report() {
    REACHED.with_borrow(|reached| {
        println!("{} inputs; segments that arrived, by the state they met:\n", reached.inputs);
        print!("{:<14}", "");
        KINDS.iter().for_each(|kind| print!("{kind:>10}"));
        println!();
        for (row, counts) in reached.segments.iter().enumerate() {
            print!("{:<14}", name_of(row));
            counts.iter().for_each(|count| print!("{count:>10}"));
            println!();
        }
        println!("\nconnections ended:");
        for (reason, count) in REASONS.iter().zip(reached.ended) {
            println!("  {:<16}{count:>10}", format!("{reason:?}"));
        }
        println!("  timers refused  {:>10}\n\ncounters:", reached.timers_full);
        for (name, value) in reached.counters.iter().filter(|(_, value)| **value > 0) {
            println!("  {name:<34}{value:>12}");
        }
        let missed = reached.counters.iter().filter(|(_, value)| **value == 0);
        let missed: Vec<_> = missed.map(|(name, _)| *name).collect();
        println!("never counted: {}", missed.join(", "));
        for (row, counts) in reached.segments.iter().enumerate() {
            // A closed record is freed before the next segment can come.
            let is_left_out = row == STATES + State::Closed as usize;
            assert!(is_left_out || counts.iter().any(|&count| count > 0), "{}", name_of(row));
        }
        for (reason, count) in REASONS.iter().zip(reached.ended) {
            assert!(count > 0, "no connection ended by {reason:?}");
        }
    });
}

fn name_of(row: usize) -> &'static str {
    match row {
        NO_FLOW => "no flow",
        LISTEN => "LISTEN",
        HALF_OPEN => "half-open",
        RESTING => "TIME-WAIT",
        _ => State::ALL[row - STATES].name(),
    }
}
