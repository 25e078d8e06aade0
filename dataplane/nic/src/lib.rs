//! What a NIC queue is to the rest of the dataplane: bursts of frames in, bursts of frames out.
//!
//! It drives no device and opens no file: the backends that do live under `hw/`, and this crate
//! holds what they have in common, the queue pairs that need no device, and the suite that every
//! queue pair passes.
//!
//! # Why it is built this way
//!
//! The naive design gives the stack a `send(&[u8])` and a `recv(&mut [u8])`. Each call is then one
//! packet, one copy and one indirect jump, a full device can only block or lose, and nobody can
//! say where a missing packet went. Here a call is a burst: the caller keeps what the device did
//! not take, in order, frames change hands without their bytes being touched where the device
//! allows it, and each drop has a name in [`QueueCounters`].
//!
//! ```text
//!   stack    rx_burst(arena, out)            tx_burst(arena, frames): the rest stays in `frames`
//!              ^                                |
//!              |        QueuePair               v
//!   +-----+---------+------------------+---------------------+--------+
//!   | mem | tap ... | impaired::<Q>    | recorded::<Q, W>    | Replay |
//!   | two ends, one | loss, delay, ... | pcap out            | pcap in|
//!   +-----+---------+------------------+---------------------+--------+
//!                                      | captured::<Q>: pcap to another thread, if asked
//!                                      +--------------------
//! ```
//!
//! A packet is one frame or several: every frame but its last carries [`flags::CONTINUES`].
//! A [`Burst`] between two calls holds whole packets only.
//!
//! A device's queue pairs: `hw/af_xdp`, `hw/tap`. The suite: [`conformance`].
#![forbid(unsafe_code)]

mod burst;
mod captured;
pub mod conformance;
mod counters;
mod filter;
pub mod flags;
mod impaired;
mod limits;
pub mod mem;
pub mod pcap;
mod queue;
mod recorded;
mod replay;

pub use burst::Burst;
pub use captured::{CaptureReader, CaptureTerms, Captured, Directions, Tap, tap};
pub use counters::{DeviceCounters, DropReason, FaultCounters, QueueCounters};
pub use filter::{Filter, FilterError};
pub use impaired::{ImpairError, Impaired, Impairments};
pub use limits::{BURST_FRAMES_MAX, CAPTURE_LEN, ETHERNET_HEADER_LEN, SEGMENTS_MAX, SNAP_LEN_MAX};
pub use mem::{MemError, MemQueue};
pub use queue::{Capabilities, Copies, QueuePair};
pub use recorded::{RecordCounters, RecordLimits, Recorded};
pub use replay::{Pace, Replay};
