//! The binary over real sockets of this machine: what clients, operators and scripts see of it.

mod client;
mod daemon;

mod access;
mod cli;
mod ends;
mod history;
mod memory;
mod operated;
mod ports;
mod python;
mod slow;
mod wrong;
