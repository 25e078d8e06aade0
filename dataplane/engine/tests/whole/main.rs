//! Whole engines against each other: many connections, long streams, and nothing allocated.

// The models of loom are in the crate; its rings work in a model only.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test")]

mod allocation;
mod bulk;
mod many;
mod pair;
