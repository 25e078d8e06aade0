//! The project's own checks as one command, so that a machine and a person run the same ones.
//!
//! It is no build system: it calls cargo, git and bash and reads what they say. The naive design
//! is a folder of shell scripts; they cannot be tested, and a rule that cannot fail is not seen.
//!
//! ```text
//! cargo xtask tidy      rules over manifests and text          (seconds)
//! cargo xtask ci        every check, stage by stage, with times
//! cargo xtask loom      all interleavings of the rings
//! cargo xtask miri      undefined behaviour, or AddressSanitizer
//! cargo xtask fuzz      every fuzz target for some minutes
//! cargo xtask sim       seeded networks of stacks in virtual time
//! cargo xtask notices   a million ports change hands, and nobody is left with an old owner
//! cargo xtask deb       the Debian packages, with manual and completions
//! ```
//!
//! Exit status: 0 right, 1 a check failed, 2 bad arguments, 3 the machine lacks something.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]

mod ci;
mod deb;
mod error;
mod fuzz;
mod loom;
mod miri;
mod notices;
mod process;
mod sim;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::Error;
use process::Outcome;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own checks", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules of docs/STYLE.md and docs/ARCHITECTURE.md over manifests and text.
    Tidy,
    /// Run every check, stage by stage; stop at the first that fails.
    Ci(ci::Arguments),
    /// Run the models of the rings under loom.
    Loom,
    /// Run the tests of the crates with unsafe code under miri, or else AddressSanitizer.
    Miri,
    /// Run the fuzz targets with libFuzzer; the corpus stays in the tree.
    Fuzz(fuzz::Arguments),
    /// Run seeded networks of stacks in virtual time; exit 1 on any violation.
    Sim(sim::Arguments),
    /// Let a million ports of the switch change hands; exit 1 if a subscriber is not told.
    Notices(notices::Arguments),
    /// Make the Debian packages of gateway, abelectl and benchmarks, with manual and completions.
    Deb,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Tidy => tidy::run(),
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Loom => loom::run().map(|outcome| outcome != Outcome::Failed),
        Command::Miri => miri::run().map(|outcome| outcome != Outcome::Failed),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Notices(arguments) => notices::run(&arguments),
        Command::Deb => deb::run(),
    };
    exit(&result)
}

/// `Ok(true)` is right, `Ok(false)` a failed check that has been printed, and an error is
/// something that kept the command from checking.
fn exit(result: &Result<bool, Error>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(error.status())
        }
    }
}
