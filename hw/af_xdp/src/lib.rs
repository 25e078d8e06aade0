//! A queue pair on a queue of a NIC that stays with the kernel's driver: AF_XDP.
//!
//! It loads no XDP program and steers nothing: whoever does hands packets to the queue's
//! descriptor ([`AfXdpQueue`] has `AsFd`).
//!
//! # Why it is built this way
//!
//! The naive design takes a library that owns the packet memory. Then a packet is copied once more
//! on its way into the stack's frames, or two owners count one frame; and the library's answer to
//! a driver without zero-copy is a copy that nobody is told of. Here the kernel is given the
//! stack's own arena, and what it has of it stands in one ledger: lent to be filled, or on its way
//! out and how many times. What the kernel names, an index or an address, is looked up before it
//! is used. The system calls are made directly; `docs/adr/0009-own-af-xdp-on-raw-system-calls.md`
//! says why no crate is underneath.
//!
//! ```text
//!   CoreArena --lend--> fill ring --> [ kernel, driver, NIC ] --> rx ring --reclaim--> stack
//!   CoreArena <-release- completion ring <-- [   the same   ] <-- tx ring <---stow---- stack
//!                 ledger: who has which frame, checked at each return
//! ```
//!
//! # What it costs the kernel
//!
//! In copy mode the kernel sends only when it is called: one call for each burst, or for each 32
//! descriptors ([`Config::tx_budget`] raises that), and counts as [`nic::Copies::Kernel`]. With
//! zero-copy and `need_wakeup` there is a call only when the driver sleeps. A core that wants to
//! sleep itself polls [`nic::QueuePair::wait_fd`]; see [`AfXdpQueue`] for when it may.
//!
//! # No silent fallback
//!
//! [`CopyMode::ZeroCopy`] is had or refused. Where something is automatic, [`Truth`] says what was
//! got and why not more, read back from the kernel. Each [`AfXdpError`] is one line: what, why,
//! and the command that mends it.
//!
//! # Soundness
//!
//! No answer of the kernel's makes safe calls here undefined: ring indices are checked, addresses
//! are looked up, entries are integers. Two things are trusted: the kernel writes into no frame
//! that it has given back, and nobody keeps a duplicate of the descriptor beyond
//! [`AfXdpQueue::close`].
//!
//! Kernel documentation: <https://docs.kernel.org/networking/af_xdp.html>.
#![allow(unsafe_code, reason = "system calls, and rings in memory that the kernel shares")]

mod config;
mod error;
mod interface;
mod ledger;
mod limits;
mod mapping;
mod open;
mod queue;
mod refusal;
mod ring;
mod rings;
mod socket;
mod sync;
mod truth;
mod uapi;
mod umem;

pub use config::{BusyPoll, Config, CopyMode, InterfaceId, MultiBuffer, RingSizes};
pub use error::AfXdpError;
pub use limits::{RING_SIZE_MAX, RING_SIZE_MIN, TX_BUDGET_MIN};
pub use open::open;
pub use queue::AfXdpQueue;
pub use truth::{Truth, TxBudget};
