//! The poll loop of one core, one turn at a time.
//!
//! It makes no thread, reads no clock and sleeps nowhere: whoever owns the core calls
//! [`Engine::turn`] with the time, and learns whether it was worth it and when to call again.
//!
//! The naive design reacts to each packet as it comes: one packet, one look-up, one answer, one
//! system call. A turn runs at its own pace instead: a burst in, everything that follows from it,
//! a burst out, so that cache misses overlap, acknowledgements are shared, and the device is
//! asked once.
//!
//! ```text
//! turn(now):  receive a burst -> handle it -> timers, service -> segments -> send the burst
//! ```
#![forbid(unsafe_code)]

mod turn;

pub use turn::{Engine, Turn};
