//! Signals that every daemon understands in the same way.
//!
//! It decides nothing: what a signal asks for is done by the program that looks at it.
//!
//! # Why it is built this way
//!
//! A handler may do next to nothing, and a signal interrupts `poll` only in the thread that the
//! kernel chose for the handler, which need not be the one that sleeps. So the handler writes a byte
//! into a pair of sockets, and whoever waits for the signal sleeps on the other end, with whatever
//! else it sleeps on.
//!
//! ```text
//! SIGHUP --handler: a byte--> pair of sockets --wake_fd--> poll --take--> reload
//! ```
#![forbid(unsafe_code)]

mod hangup;

pub use hangup::Hangup;
