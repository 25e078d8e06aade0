//! Whole engines against each other: many connections, long streams, and nothing allocated.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test")]

mod allocation;
mod bulk;
mod many;
mod pair;
