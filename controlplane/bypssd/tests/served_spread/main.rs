//! Everything that `served` tests, of a switch with several shards and several workers.

#[path = "../served/client.rs"]
mod client;
#[path = "../served/daemon.rs"]
mod daemon;

#[path = "../served/access.rs"]
mod access;
#[path = "../served/cli.rs"]
mod cli;
#[path = "../served/ends.rs"]
mod ends;
#[path = "../served/history.rs"]
mod history;
#[path = "../served/operated.rs"]
mod operated;
#[path = "../served/ports.rs"]
mod ports;
#[path = "../served/python.rs"]
mod python;
#[path = "../served/slow.rs"]
mod slow;
#[path = "../served/wrong.rs"]
mod wrong;
