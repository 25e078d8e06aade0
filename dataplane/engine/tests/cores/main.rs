//! Several cores of one host in one thread, behind a wire that brings everything to any of them.

// The rings of a loom build work in a model only.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test")]

mod bed;
mod neighbours;
mod services;
mod streams;
