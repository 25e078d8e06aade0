//! `abele-gateway`: the configuration becomes a device, memory, a clock and cores that serve.
//!
//! It is no protocol and decides nothing about packets: that is `stack` and `gateway`, which know
//! neither files nor clocks. This is the one crate of the dataplane that touches the machine.
//!
//! # Why it is built this way
//!
//! The naive server reads its settings where it needs them, opens sockets as it goes, and tells of
//! the third error when the first two are mended. An operator then learns at the third restart, in
//! production, that a port was listed twice. Here the file is judged whole before anything is
//! taken, `check` prints what `run` would take, and everything is taken before `ready`: memory is
//! touched, documents are read, the device is up. From then on a core asks the kernel for
//! nothing but packets, the time, and sleep.
//!
//! ```text
//! FILE --config--> Plan --check--> printed
//!                   |
//!                   run: device, documents, frames --> workers, one a queue (pinned)
//!                                                        assembly: Stack + Gateway = Engine
//!                                                        serve: turn(now) ... idle? wait
//!                                                          ^ bell: another worker's hand-over
//!                                                        access log: records of all cores --> file
//! SIGHUP, abelectl --> control: reload --> an order for each worker, and back
//!                               capture --> copies of packets, to a thread of their own
//! signals --> Stop --asked--> drain: nobody in, what is under way ends --> all leave their loops
//!                                                                          the summary
//! ```
//!
//! Every key with its default: `docs/abele-gateway.example.toml`.
#![forbid(unsafe_code)]

mod access_log;
mod affinity;
mod args;
mod assembly;
mod bell;
mod capture;
mod clock;
mod config;
mod content_type;
mod control;
mod device;
mod documents;
mod drain;
mod echo;
mod entropy;
mod error;
mod host;
mod inquiry;
mod limits;
mod notify;
mod order;
mod plan;
mod ready;
mod reload;
mod run;
mod serve;
mod serving;
mod sight;
mod stop;
mod summary;
mod supervise;
mod tools;
mod wait;
mod workers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{CheckArgs, Cli, Command};
use crate::error::Error;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args),
    };
    // The last line says why it ended.
    logging::flush();
    done.map_or_else(fail, |()| ExitCode::SUCCESS)
}

/// Prints the plan of a configuration that is right.
fn check(args: &CheckArgs) -> Result<(), Error> {
    let plan = config::read(&args.file)?;
    match write!(io::stdout(), "{plan}") {
        // Whoever reads has enough, as `head` does: the file is right all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Error::io("print the plan")),
    }
}

fn fail(error: Error) -> ExitCode {
    // Editors and people jump to lines that begin with the file's name.
    let begins_with_file =
        matches!(error, Error::Configuration(_) | Error::File { .. } | Error::Document { .. });
    let name = if begins_with_file { "" } else { "abele-gateway: " };
    // With standard error gone there is nobody left to tell; the exit code stays.
    writeln!(io::stderr(), "{name}{error}").ok();
    error.exit_code()
}
