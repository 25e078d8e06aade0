//! What the machine runs on: as yet the counter of a core's cycles.
//!
//! It decides nothing about threads: who pins what where is the binaries' to say.
//!
//! # Why it is built this way
//!
//! A core that wants to know where its time goes asks several times in each turn of a microsecond.
//! The naive meter asks the kernel's clock, which costs 25 to 60 ns a time even without a system
//! call; the processor's own counter costs a third of it and is the same on all cores of every
//! machine of the last fifteen years. What it counts is not told, so it is held against the clock
//! once, at start.
//!
//! The instruction: "RDTSC", Intel's manual, volume 2B; "invariant TSC", volume 3B, 19.17.1.
#![allow(unsafe_code, reason = "one instruction")]

mod cycles;

pub use cycles::{cycles, cycles_per_s};
