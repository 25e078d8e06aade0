//! What a core shows the tools: its counters and its connections, in the file of `counters`.
//!
//! It counts nothing, makes no file and reads no clock but the processor's cycles: every crate has
//! its own counters, the layout is that of `counters`, and whoever owns the core makes the file.
//!
//! # Why it is built this way
//!
//! The naive design leaves this to the program that serves. Then a benchmark that asks what the
//! tools cost has a second version of it, and measures that. So there is one: the gateway and the
//! benchmark turn their cores through the same [`Publisher`]. It publishes when that is due and
//! before a sleep, and gives a tool that lists connections its share of the time; it never waits
//! for a tool, and a tool needs no frame and no socket of the core.
//!
//! ```text
//! whoever owns the core: turn(now) --> Engine::turn_with: receive ... egress, by the Stopwatch
//!                                  --> publish, if it is due: stages, Counted, gauges -> the file
//!                                  --> a step of the tool's walk: look -> Row         -> the file
//! ```
#![forbid(unsafe_code)]

mod board;
mod counted;
mod limits;
mod publisher;
mod row;
mod stopwatch;

pub use board::Board;
pub use counted::{Counted, DEVICE_FACTS, schema};
pub use publisher::{Facts, Publisher};
