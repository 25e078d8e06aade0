//! `bypssd`: the configuration becomes sockets, a clock and a thread around a port switch.
//!
//! It decides nothing about ports: that is `switch`, which knows neither files nor clocks. It moves
//! bytes, tells the time, and looks after the thread that does.
//!
//! # Why it is built this way
//!
//! The naive server reads its settings where it needs them, opens sockets as it goes, and tells of
//! the third error when the first two are mended. It then has a task for each connection, which all
//! fight for one table. Here the file is judged whole before anything is taken, `check` prints what
//! `run` would take, and everything is taken before `ready`. From then on one thread serves: it owns
//! the switch alone, so there is no lock; what others want of it they order. Where one core is not
//! enough, workers move the bytes, and reach the thread that holds the switch through rings.
//!
//! ```text
//! FILE --config--> Plan --check--> printed
//!                   |
//!                   run: doors, epoch, memory --> worker: sockets <--bytes--> switch
//!                                                   ^ orders: tell, let others in, leave
//!             metrics, reload (SIGHUP), watchdog ---+
//! SIGTERM --> leave: everybody is told, outboxes drain --> the summary
//! ```
//!
//! Every key with its default: `docs/bypssd.example.toml`.
#![forbid(unsafe_code)]

mod args;
mod assembly;
mod clock;
mod config;
mod dev;
mod entropy;
mod error;
mod identity;
mod keeper;
mod lane;
mod limits;
mod load;
mod metrics;
mod notify;
mod panel;
mod plan;
mod reload;
mod remote;
mod run;
mod stop;
mod summary;
mod threads;
mod tls;
mod traffic;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{CheckArgs, Cli, Command};
use crate::error::Error;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args),
        Command::Dev(args) => dev::run(&args),
    };
    // The last line says why it ended.
    logging::flush();
    done.map_or_else(fail, |()| ExitCode::SUCCESS)
}

/// Prints the plan of a configuration that is right.
fn check(args: &CheckArgs) -> Result<(), Error> {
    let plan = config::check(&args.file)?;
    match write!(io::stdout(), "{plan}") {
        // Whoever reads has enough, as `head` does: the file is right all the same.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Error::io("print the plan")),
    }
}

fn fail(error: Error) -> ExitCode {
    // Editors and people jump to lines that begin with the file's name.
    let begins_with_file =
        matches!(error, Error::Configuration(_) | Error::File { .. } | Error::State { .. });
    let name = if begins_with_file { "" } else { "bypssd: " };
    // With standard error gone there is nobody left to tell; the exit code stays.
    writeln!(io::stderr(), "{name}{error}").ok();
    error.exit_code()
}
