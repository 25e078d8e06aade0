//! What the machine says of itself: cores, their speed and sleep, memory, interrupts, the kernel,
//! and the counter of a core's cycles.
//!
//! It decides nothing about threads and judges nothing: who pins what where is the binaries' to
//! say, and what is good or bad is `abelectl doctor`'s.
//!
//! # Why it is built this way
//!
//! A core that wants to know where its time goes asks several times in each turn of a microsecond.
//! The naive meter asks the kernel's clock, which costs 25 to 60 ns a time even without a system
//! call; the processor's own counter costs a third of it and is the same on all cores of every
//! machine of the last fifteen years. What it counts is not told, so it is held against the clock
//! once, at start.
//!
//! The naive reader of the machine takes a file that is not there for a zero, and then advises
//! what is not so. Here every value is a [`Reading`]: where it comes from, and the value or why
//! there is none. The root of the tree of files is a parameter, so that machines that nobody has
//! are read in tests.
//!
//! ```text
//!   Tree --> Machine::read      cores, power, pages, process, kernel
//!        --> BusDevice::read    a card's node and interrupts, by its place on the bus
//!   cycles(), cycles_per_s()    the counter
//! ```
//!
//! The instruction: "RDTSC", Intel's manual, volume 2B; "invariant TSC", volume 3B, 19.17.1. The
//! files: <https://docs.kernel.org/admin-guide/abi.html>,
//! <https://docs.kernel.org/filesystems/proc.html>.
#![allow(unsafe_code, reason = "one instruction")]

mod core_list;
mod cores;
mod cycles;
mod device;
mod interrupts;
mod kernel;
mod limits;
mod machine;
#[cfg(test)]
mod made_up;
mod pages;
mod power;
mod process;
mod tree;

pub use core_list::CoreList;
pub use cores::Cores;
pub use cycles::{cycles, cycles_per_s};
pub use device::BusDevice;
pub use interrupts::{Interrupt, interrupts};
pub use kernel::{Kernel, Ticks, Weakness, release_number};
pub use machine::Machine;
pub use pages::{Node, Pages, Pool};
pub use power::{CorePower, IdleState, Power};
pub use process::{CAP_IPC_LOCK, Limit, Process};
pub use tree::{Reading, Tree, Unread};
