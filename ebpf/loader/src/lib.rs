//! Loads the XDP program of `ebpf/steer`, attaches it to an interface, and fills its maps.
//!
//! It opens no socket and sees no packet: frames go from the kernel to the sockets that
//! [`Steering::set_socket`] names.
//!
//! # Why it is built this way
//!
//! The naive design attaches the program with `ip link set dev X xdp obj steer.o`. The attachment
//! then outlives the process: after a `kill -9` the program still takes every packet for the
//! gateway and gives it to nobody, and the next start finds an interface that is taken. Here the
//! attachment is a link, which is an open file: the kernel removes it with the process, however
//! that ends. Nothing is pinned.
//!
//! What the kernel refuses, it refuses by a number. Every refusal becomes a [`LoadError`] of one
//! line: what, why, and the command that mends it. Nothing falls back in silence: whether the
//! program runs in the driver or behind it is read back and said as [`Attached`].
//!
//! ```text
//!   Config --load--> Steering --attach--> link ....... gone with the process
//!                    |  set_socket(queue, socket)
//!                    |  set_rule, remove_rule, set_syn_budget: at any time, from any thread
//!                    `- counters: packets and bytes by reason
//! ```
//!
//! ```no_run
//! use loader::{Config, LoadError, Mode, SynBudget};
//!
//! fn start() -> Result<loader::Steering, LoadError> {
//!     let mut steering = loader::load(&Config {
//!         interface: "eth0".to_owned(),
//!         mode: Mode::Auto,
//!         queues: 2,
//!         addresses: vec!["192.0.2.2".parse().expect("an address")],
//!         mac: None,
//!         syn_budget: SynBudget::default(),
//!     })?;
//!     // First the sockets, then the program: no frame is lost in between.
//!     println!("XDP runs {}", steering.attach()?);
//!     Ok(steering)
//! }
//! ```
//!
//! The object file is compiled by `build.rs` and lies inside this crate. The program touches no
//! structure of the kernel, so neither the kernel's types nor its headers are needed to load it.
//!
//! - The program, and what its budgets defend against: `ebpf/steer/steer.c`, `budget.h`.
//! - Why there is no generated skeleton: `docs/adr/0010-budgets-and-loader.md`.
//! - The kernel's documentation: <https://docs.kernel.org/bpf/map_xskmap.html>,
//!   <https://docs.kernel.org/bpf/bpf_prog_run.html>.
#![allow(unsafe_code, reason = "three calls of libbpf have no safe wrapper: see `sys`")]

mod access;
mod attach;
mod budget;
mod config;
mod counters;
mod error;
mod foreign;
mod limits;
mod machine;
mod object;
mod prefix;
mod steering;
mod sys;

pub use abi::{Reason, Verdict};
pub use attach::Attached;
pub use budget::{Rate, SynBudget};
pub use config::{Config, Mode};
pub use counters::{Counters, Tally};
pub use error::LoadError;
pub use foreign::Foreign;
pub use prefix::{ParsePrefixError, Prefix, Rule};
pub use steering::{Action, Rehearsal, Steering, load, load_to_take_all};
