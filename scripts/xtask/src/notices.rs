//! `cargo xtask notices`: a million ports change hands under the eyes of a thousand subscribers.

use crate::error::Error;
use crate::process::{cargo, succeeds};

/// Which history.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The seed, if not the one that always runs.
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the switch's tests in the simulator's profile, fast and with every assertion, and runs the
/// whole history, and the one that must fail because a notice is forgotten.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Error> {
    let mut command = cargo(COMMAND);
    if let Some(seed) = arguments.seed {
        command.env("ABELE_SEED", seed.to_string());
    }
    succeeds(&mut command)
}

const COMMAND: &[&str] = &[
    "test",
    "--locked",
    "--profile",
    "sim",
    "--package",
    "switch",
    "--lib",
    "--",
    "--ignored",
    "--nocapture",
    "--test-threads=1",
    "tests::changing::",
];
