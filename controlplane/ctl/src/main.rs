//! `abelectl`: what a gateway does, told from its tools' file.
//!
//! For figures it is no client of the gateway's: where it asks for connections it asks in the same
//! file. What it cannot find there, such as routes and listeners, it asks the process itself, over a
//! socket beside the file. It changes nothing about a gateway but by `reload`; of dead ones it removes
//! the files if asked.
//!
//! # Why it is built this way
//!
//! The naive tool connects to the process and waits for its answer. It then fails with the process
//! that it is to tell of. Here everything is read from a mapped file, so that a gateway without a
//! free frame, one that is stuck and one that has died are told of alike; and what is wrong with
//! them is said in the same breath, on standard error and as the exit code.
//!
//! ```text
//! args --> instance (which file?) --> counters::View --> sample --> stats, top, drops, export
//!                                     counters::Listing ----------> connections
//!                                     control, a socket ----------> reload, addresses, routes,
//!                                                                   neighbours, listeners, access, ping
//!                                     the same, a stream ---------> capture
//!               (whose are dead?) --> memory::SharedFile ---------> clean
//!
//! client --> switch: what a BYPSS switch knows, and its ports
//!
//! topology, ethtool --> doctor (facts --> rules --> report): the machine, and no gateway
//! ```
//!
//! One file per command. The layout of the file is the `counters` crate's.
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod args;
mod capture;
mod clean;
mod clock;
mod connections;
mod control;
mod doctor;
mod drops;
mod error;
mod export;
mod instance;
mod interrupt;
mod limits;
mod listeners;
mod neighbours;
mod pattern;
mod ping;
mod reload;
mod rights;
mod routes;
mod sample;
mod shown;
mod stats;
mod switch;
mod table;
mod top;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::Error;
use crate::interrupt::Interrupt;

fn main() -> ExitCode {
    if let Some(code) = switch::run_if_asked() {
        return code;
    }
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::Interrupted | Error::CommandFailed { .. }) {
                // With standard error gone there is nobody left to tell; the exit code stays.
                writeln!(io::stderr(), "abelectl: {error}").ok();
            }
            error.exit_code()
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    let interrupt = Interrupt::catch()?;
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let mut out = BufWriter::new(stdout.lock());
    let done = match command {
        Command::Stats(args) => stats::run(args, &mut out),
        Command::Top(args) => top::run(args, &interrupt, is_terminal, &mut out),
        Command::Export(args) => export::run(args, &interrupt, &mut out),
        Command::Drops(args) => drops::run(args, &interrupt, &mut out),
        Command::Reload(args) => reload::run(args, &interrupt, &mut out),
        Command::Addresses(args) => addresses::run(args, &interrupt, &mut out),
        Command::Routes(args) => routes::run(args, &interrupt, &mut out),
        Command::Neighbours(args) => neighbours::run(args, &interrupt, &mut out),
        Command::Listeners(args) => listeners::run(args, &interrupt, &mut out),
        Command::Capture(args) => capture::run(args, &interrupt, is_terminal, &mut out),
        Command::Ping(args) => ping::run(args, &interrupt, &mut out),
        Command::Access(args) => access::run(args, &interrupt, &mut out),
        Command::Connections(args) => connections::run(args, &interrupt, &mut out),
        Command::Clean(args) => clean::run(args, &mut out),
        Command::Doctor(args) => doctor::run(args, &mut out),
        Command::Switch(args) => switch::run(args, &interrupt, &mut out),
    };
    out.flush()?;
    done
}
