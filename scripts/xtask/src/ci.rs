//! `cargo xtask ci`: every check that must pass before a change lands, as named stages with their
//! times, the quick ones first.

mod stage;

use std::process::Command;

use crate::error::Error;
use crate::process::{Outcome, answer, cargo, skip, succeeds};
use crate::{loom, miri, sim, tidy, workspace};
use stage::{Stage, run_all};

/// Which stages.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only format, tidy, clippy, the tests that need no rights and those of the scripts.
    #[arg(long)]
    quick: bool,
}

/// Test binaries that need rights or devices; they run alone and last. The same filter as in
/// `.config/nextest.toml`, where it says why it names `xtask`.
const LAB: &str = "kind(test) & binary(/^(lab_|xtask$)/)";

/// Before each change.
const QUICK: &[Stage] = &[
    Stage { name: "format", run: || judged(format()) },
    Stage { name: "tidy", run: || judged(tidy::run()) },
    Stage { name: "clippy", run: || judged(clippy()) },
    Stage { name: "tests", run: || judged(tests()) },
    Stage { name: "scripts", run: scripts },
];

/// Before a change lands, after the quick ones.
const FULL: &[Stage] = &[
    Stage { name: "docs", run: || judged(docs()) },
    Stage { name: "doc tests", run: || judged(doc_tests()) },
    Stage { name: "simulated networks", run: || judged(sim::stage()) },
    Stage { name: "loom", run: loom::run },
    Stage { name: "miri", run: miri::run },
    Stage { name: "dependencies", run: dependencies },
    Stage { name: "release build", run: || judged(release()) },
    Stage { name: "lab tests", run: || judged(lab_tests()) },
];

/// For the stages that every machine can run.
fn judged(is_right: Result<bool, Error>) -> Result<Outcome, Error> {
    is_right.map(Outcome::from)
}

/// Runs the stages up to the first that fails, and prints their times and what was skipped.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Error> {
    let stages: Vec<&Stage> =
        if arguments.quick { QUICK.iter().collect() } else { QUICK.iter().chain(FULL).collect() };
    run_all(&stages)
}

fn format() -> Result<bool, Error> {
    succeeds(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<bool, Error> {
    let flags = ["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    succeeds(cargo(&["clippy"]).args(flags))
}

fn tests() -> Result<bool, Error> {
    let filter = format!("not ({LAB})");
    let flags = ["--workspace", "--locked", "--profile", "ci", "-E", &filter];
    succeeds(cargo(&["nextest", "run"]).args(flags))
}

/// The client of the switch checks itself against the bytes of `docs/PROTOCOL.md`.
fn scripts() -> Result<Outcome, Error> {
    if answer(Command::new("python3").arg("--version")).is_none() {
        return Ok(skip("python3", "not installed", "apt-get install python3"));
    }
    let client = workspace::read()?.root.join("scripts/bypss.py");
    judged(succeeds(Command::new("python3").arg(client).arg("selftest")))
}

fn lab_tests() -> Result<bool, Error> {
    let flags = ["--workspace", "--locked", "--profile", "ci", "--no-tests", "warn", "-E", LAB];
    succeeds(cargo(&["nextest", "run"]).args(flags))
}

fn docs() -> Result<bool, Error> {
    let flags = ["--workspace", "--no-deps", "--locked", "--document-private-items"];
    succeeds(cargo(&["doc"]).args(flags).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Nextest runs no examples of the documentation.
fn doc_tests() -> Result<bool, Error> {
    succeeds(&mut cargo(&["test", "--doc", "--workspace", "--locked"]))
}

fn dependencies() -> Result<Outcome, Error> {
    if answer(&mut cargo(&["deny", "--version"])).is_none() {
        return Ok(skip("cargo-deny", "not installed", "cargo install --locked cargo-deny"));
    }
    judged(succeeds(&mut cargo(&["deny", "--locked", "check"])))
}

fn release() -> Result<bool, Error> {
    succeeds(&mut cargo(&["build", "--release", "--workspace", "--locked"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lab_tests_of_ci_are_those_of_nextest() {
        let config = include_str!("../../../.config/nextest.toml");
        let filters = config.lines().filter(|line| line.starts_with("filter = "));
        let filters = filters.filter(|line| line.contains("lab_"));
        let expected = format!("filter = \"{LAB}\"");
        assert_eq!(filters.collect::<Vec<_>>(), [expected.as_str(); 2]);
    }
}
