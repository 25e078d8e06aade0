//! `abele-bench`: one subcommand per benchmark, each of which checks what it measures.
//!
//! It is not a load generator for other people's servers, and no profiler: it answers one question
//! per command with a ratio, beside the limit that the machine itself sets.
//!
//! # Why it is built this way
//!
//! The naive bench runs ours for a minute, the other for a minute, and divides. On a shared machine
//! the second minute is not the first; the other was left at its defaults; and a program that drops
//! or garbles what it is sent is the fastest of all. So here rounds alternate and medians are
//! compared, the peer runs as its own people would run it, every byte is checked at both ends, and
//! the exit code says whether the result was right.
//!
//! ```text
//! args ---> rr, connect ---> round: ours, theirs, alternating ---> report: table, JSON
//!      \                     ends: our stack, over mem or veth      figures, checks, limits,
//!       \                    kernel: client | epoll server         peers, ratios, machine
//!        > http, idle        pattern and recorder are shared
//!        > listing           ends over mem, and abelectl beside them
//!        > table             the switch's ports, alone
//!        > ports             a client of the switch's daemon, and of Redis
//!        > messages          the same daemon, and nats-server
//!        > death             many clients of the switch's daemon, one of which dies
//!        > machine_limits    l2: frames there and back
//!        > forwarder         the impaired wire; measures nothing
//! ```
//!
//! The last line of standard output under `--json` is one object of [`report::Report`]'s fields.
#![forbid(unsafe_code)]

mod args;
mod cable;
mod child;
mod connect;
mod cores;
mod cpu;
mod ends;
mod error;
mod forwarder;
mod http;
mod l2;
mod lab;
mod limits;
mod listing;
mod machine;
mod machine_limits;
mod messages;
mod pattern;
mod ports;
mod process;
mod recorder;
mod report;
mod round;
mod rr;
mod sockets;
mod stop;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use crate::args::{Cli, Command, Queue};
use crate::error::Error;
use crate::report::Report;
use crate::stop::Stop;

fn main() -> ExitCode {
    run(Cli::parse()).unwrap_or_else(|error| {
        // With standard error gone there is nobody left to tell; the exit code stays.
        writeln!(io::stderr(), "abele-bench: {error}").ok();
        error.exit_code()
    })
}

fn run(cli: Cli) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Limits(args) => {
            let is_json = args.json;
            let (args, stop) = (args.settled(), Stop::on_signals()?);
            // The lab is for one figure of many: without it the others are still worth having.
            let lab = if lab::is_entered() {
                lab::settle()
            } else {
                match lab::enter(&stop) {
                    Err(error @ Error::Lacks { .. }) => Err(error),
                    ended => return ended,
                }
            };
            finish(&machine_limits::run(args, lab, &stop)?, is_json)
        }
        Command::Rr(args) => {
            let (args, stop) = (args.settled()?, Stop::on_signals()?);
            let is_json = args.rounds.json;
            in_place(args.rounds.queue, &stop, || finish(&rr::run(args, &stop)?, is_json))
        }
        Command::Connect(args) => {
            let (args, stop) = (args.settled()?, Stop::on_signals()?);
            let is_json = args.rounds.json;
            in_place(args.rounds.queue, &stop, || finish(&connect::run(args, &stop)?, is_json))
        }
        Command::Wire(args) => forwarder::run(&args.settled()?, &Stop::on_signals()?),
        Command::Http(args) => {
            let (args, stop) = (args.settled()?, Stop::on_signals()?);
            in_lab(&stop, || finish(&http::run(args.clone(), &stop)?, args.json))
        }
        Command::Idle(args) => {
            let (args, stop) = (args.settled(), Stop::on_signals()?);
            in_lab(&stop, || finish(&http::idle::run(args.clone(), &stop)?, args.json))
        }
        Command::Listing(args) => {
            let (args, stop) = (args.settled(), Stop::on_signals()?);
            let is_json = args.json;
            finish(&listing::run(args, &stop)?, is_json)
        }
        Command::Table(args) => {
            let (args, stop) = (args.settled(), Stop::on_signals()?);
            let is_json = args.json;
            finish(&table::run(args, &stop)?, is_json)
        }
        Command::Ports(args) => {
            let (args, stop) = (args.settled()?, Stop::on_signals()?);
            let is_json = args.json;
            finish(&ports::run(args, &stop)?, is_json)
        }
        Command::Messages(args) => {
            let (args, stop) = (args.settled()?, Stop::on_signals()?);
            let is_json = args.json;
            finish(&messages::run(args, &stop)?, is_json)
        }
        Command::Death(args) => {
            let (args, stop) = (args.settled(), Stop::on_signals()?);
            let is_json = args.json;
            finish(&ports::death::run(args, &stop)?, is_json)
        }
        Command::Lister(args) => listing::list(&args).map(|()| ExitCode::SUCCESS),
        Command::IdleHolder(args) => http::idle::hold(&args).map(|()| ExitCode::SUCCESS),
        Command::ConnectKernelServer(args) => {
            connect::serve_kernel(&args).map(|()| ExitCode::SUCCESS)
        }
        Command::VethServer(args) if args.l2 => l2::veth::serve(&args).map(|()| ExitCode::SUCCESS),
        Command::VethServer(args) => ends::veth::serve(&args).map(|()| ExitCode::SUCCESS),
        Command::RrKernelServer(args) => rr::serve_kernel(&args).map(|()| ExitCode::SUCCESS),
    }
}

/// Runs `bench` here, or where the queue needs namespaces of its own, in the lab.
fn in_place(
    queue: Queue,
    stop: &Stop,
    bench: impl FnOnce() -> Result<ExitCode, Error>,
) -> Result<ExitCode, Error> {
    match queue {
        Queue::Kernel | Queue::Mem => bench(),
        Queue::Veth => in_lab(stop, bench),
    }
}

/// Runs `work` in namespaces that nobody else sees; this process only waits for it.
fn in_lab(stop: &Stop, work: impl FnOnce() -> Result<ExitCode, Error>) -> Result<ExitCode, Error> {
    if !lab::is_entered() {
        return lab::enter(stop);
    }
    lab::settle()?;
    work()
}

/// Prints the report; a wrong result is exit code 1, and it is printed all the same.
fn finish<A: Serialize>(report: &Report<A>, is_json: bool) -> Result<ExitCode, Error> {
    report.print(is_json)?;
    Ok(if report.checks.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
