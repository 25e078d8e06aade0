//! Whole networks of stacks in virtual time: one seed is one run, with its traffic, its faults and
//! its verdict.
//!
//! It is no model of TCP and no benchmark: what runs here is `engine`, `stack`, `tcp`, `ip` and
//! `nic` themselves, byte for byte, and the time that passes is only a number.
//!
//! # Why it is built this way
//!
//! The naive test opens a connection over loopback, sends a file and compares. It meets no loss in
//! the handshake, no window that shuts in the last segment, no RST that a SYN overtakes; and when
//! it fails once in a night, nobody can make it fail again. Here every choice (when to open, how
//! much to write, when to stop reading, which packet is lost) follows from the seed, so that a
//! failure is a number that anybody can run again; time jumps to the next deadline, so that a
//! minute of TIME-WAIT costs nothing; and the content of a stream is a function of its place, so
//! that each byte is checked when it arrives, against nothing that was kept.
//!
//! ```text
//!  plan (seed) -> Player -- Engine -- Tapped -- Impaired -- Spread ==== Spread -- ... -- Player
//!                   |   (per core)      |         loss, ...     any core to any core           |
//!                   |                 notes, forged packets, cuts                            |
//!                   +------------------------- verdict ---------------------------------------+
//!     each byte in its place; on_open, on_end, on_close in order and once; ends that agree;
//!     at last no frame, node, record, extension, timer or flow that is still held
//! ```
//!
//! `cargo xtask sim --seeds N` runs many; `--first S --seeds 1 --trace 200` shows one.
#![forbid(unsafe_code)]

mod attack;
mod campaign;
mod host;
mod limits;
mod network;
mod plan;
mod player;
mod run;
mod scenario;
mod settings;
mod spread;
mod stream;
mod tapped;
mod trace;
mod verdict;

pub use campaign::{Report, campaign};
pub use limits::SEEDS_MAX;
pub use run::{Faults, Options, Outcome, Violation, run};
pub use scenario::{Scenario, UnknownScenario};
pub use spread::Spread;

#[cfg(test)]
mod tests;
