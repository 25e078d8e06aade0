//! The map keys and values that the XDP program and its loader share: plain records and reasons.
//!
//! It makes no system call and knows no map: `loader` fills them, `ebpf/steer` reads them.
//!
//! # Why it is built this way
//!
//! The naive design writes each record twice, once in C and once in Rust. The day one of them gets
//! a field, the kernel still takes the bytes and the program reads an address where a length lies.
//! Here each record, bound and reason stands once, in a macro that is both the Rust type and the
//! lines of the C header [`c_header`]. The header is kept in the tree as `ebpf/steer/abi.h`, so
//! that who reads the C program finds it beside it, and the loader's build refuses a stale one.
//!
//! ```text
//! records!, reasons!, limits --c_header()--> ebpf/steer/abi.h --clang--> steer.o
//!        |                                                                 |
//!        +--------- Rust types ---------> loader -------- maps ------------+
//! ```
//!
//! - The program: `ebpf/steer/steer.c`.
//! - Its loader: `ebpf/loader`.
#![forbid(unsafe_code)]

mod header;
mod limits;
mod reason;
mod record;

pub use header::c_header;
pub use limits::{ADDRESSES_MAX, QUEUES_MAX, RULES_MAX, SEEN_SLOTS, SOURCES_MAX};
pub use limits::{RETRY_MS_MAX, RETRY_MS_MIN};
pub use reason::{Reason, Verdict};
pub use record::{Address, Bucket, PrefixV4, PrefixV6, RULE_ALLOW, RULE_DENY, Settings, Tally};
