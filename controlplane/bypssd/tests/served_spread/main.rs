//! Everything that `served` tests, of a switch that spreads its names over several shards.

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
#[path = "../served/operated.rs"]
mod operated;
#[path = "../served/ports.rs"]
mod ports;
#[path = "../served/python.rs"]
mod python;
#[path = "../served/wrong.rs"]
mod wrong;
