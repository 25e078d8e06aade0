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
//!                                |    ^
//!                   what others  v    |  what others have
//!                   own: to them      received for us
//! ```
//!
//! Several cores are several engines. One that has put something before another says so
//! ([`Engine::take_reached`]), and a `Doze` of the crate `memory` is how their owners agree on
//! who has to be woken.
#![forbid(unsafe_code)]

mod meter;
mod turn;

pub use meter::{Meter, Stage};
pub use turn::{Engine, Turn};
