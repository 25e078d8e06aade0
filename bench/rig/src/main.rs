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
//! args ---> rr --------> Side::run(round) ... alternating ... ---> report: table, JSON
//!       \                  kernel: client | epoll server           figures, checks, limits,
//!        > machine_limits  pattern and recorder are shared         peers, ratios, machine
//! ```
//!
//! The last line of standard output under `--json` is one object of [`report::Report`]'s fields.
#![forbid(unsafe_code)]

mod args;
mod cores;
mod error;
mod limits;
mod machine;
mod machine_limits;
mod report;
mod rr;
mod stop;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use crate::args::{Cli, Command};
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
            finish(&machine_limits::run(args.settled(), &Stop::on_signals()?)?, is_json)
        }
        Command::Rr(args) => {
            let is_json = args.json;
            finish(&rr::run(args.settled()?, &Stop::on_signals()?)?, is_json)
        }
        Command::RrKernelServer(args) => rr::serve_kernel(&args).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints the report; a wrong result is exit code 1, and it is printed all the same.
fn finish<A: Serialize>(report: &Report<A>, is_json: bool) -> Result<ExitCode, Error> {
    report.print(is_json)?;
    Ok(if report.checks.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
