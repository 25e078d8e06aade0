//! `cargo xtask fuzz`: every bolero target under libFuzzer, with its corpus in the tree.
//!
//! The same harnesses run in the ordinary tests over the corpus and some random inputs; here they
//! run with coverage feedback and AddressSanitizer, and the corpus grows.

mod report;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::DependencyKind;

use crate::error::Error;
use crate::miri::host;
use crate::process::{answer, cargo, missing, succeeds};
use crate::workspace::{self, Workspace};
use report::Report;

/// Which targets, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Minutes per target; parts are allowed.
    #[arg(long, default_value_t = 1.0, value_parser = minutes)]
    minutes: f64,
    /// Only the targets whose `crate::module::test` contains this.
    target: Option<String>,
}

/// Seconds of one input after which it counts as a hang; our parsers take microseconds.
const INPUT_TIMEOUT: &str = "10s";

/// The entropic schedule sorts every feature of every input into a list. The whole stack has
/// thousands in each: four fifths of the time went there.
const SCHEDULE: &str = "--engine-args=-entropic=0";

/// A day; more is a slip of the hand.
const MINUTES_MAX: f64 = 1_440.0;

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if minutes > 0.0 && minutes <= MINUTES_MAX {
        return Ok(minutes);
    }
    Err(format!("more than 0 and at most {MINUTES_MAX}"))
}

/// One harness.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    package: String,
    test: String,
}

/// Runs the targets one after another, all of them even if one fails.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Error> {
    let workspace = workspace::read()?;
    let path = path_with_bolero(&workspace)?;
    require_nightly()?;
    let targets = list(&workspace, &path, arguments.target.as_deref().unwrap_or_default())?;
    if targets.is_empty() {
        let message = "no target of that name; `cargo xtask fuzz` alone runs every one".to_owned();
        return Err(Error::Answer { program: "cargo bolero list".to_owned(), message });
    }
    let mut reports = Vec::new();
    for (number, target) in (1..).zip(&targets) {
        println!("\n==== {number}/{}: {}::{} ====", targets.len(), target.package, target.test);
        reports.push(fuzz(&workspace, &path, target, arguments.minutes)?);
    }
    print!("\n{}", report::table(&reports));
    Ok(reports.iter().all(|report| report.passed))
}

/// The search path with the project's own cargo-bolero at its end, installed if there is none.
fn path_with_bolero(workspace: &Workspace) -> Result<OsString, Error> {
    let tools = workspace.target.join("tools");
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(tools.join("bin"));
    if answer(cargo(&["bolero", "--version"]).env("PATH", &path)).is_some() {
        return Ok(path);
    }
    eprintln!("cargo-bolero is missing; it goes to {}", tools.display());
    let mut install = cargo(&["install", "--locked", "cargo-bolero", "--root"]);
    if succeeds(install.arg(&tools))? {
        return Ok(path);
    }
    let message = "cargo install failed; see above".to_owned();
    Err(Error::Answer { program: "cargo install cargo-bolero".to_owned(), message })
}

/// The sanitizer's flags are accepted by a nightly compiler only.
fn require_nightly() -> Result<(), Error> {
    if answer(&mut cargo(&["+nightly", "--version"])).is_some() {
        return Ok(());
    }
    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    let mend = "rustup toolchain install nightly --profile minimal";
    Err(Error::Missing { program: "cargo +nightly".to_owned(), source, mend })
}

fn bolero(workspace: &Workspace, path: &OsString, command: &str) -> Command {
    let mut bolero = cargo(&["bolero", command, "--toolchain", "nightly", "--target-dir"]);
    let folder = workspace.target.join("fuzz");
    // Listing builds without the fuzzer, in the folder that cargo would take.
    bolero.arg(&folder).env("CARGO_TARGET_DIR", &folder).env("PATH", path);
    bolero
}

/// All targets of the crates that name bolero, in order.
fn list(workspace: &Workspace, path: &OsString, part: &str) -> Result<BTreeSet<Target>, Error> {
    let host = host()?;
    let mut targets = BTreeSet::new();
    let members = workspace.members.iter().filter(|member| {
        let mut names = member.dependencies.iter().filter(|d| d.kind != DependencyKind::Build);
        names.any(|dependency| dependency.name == "bolero")
    });
    for member in members {
        let mut command = bolero(workspace, path, "list");
        command.args(["--target", &host, "--package", &member.name]);
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| missing(&command, source))?;
        if !output.status.success() {
            let message = format!("package {} does not build", member.name);
            return Err(Error::Answer { program: "cargo bolero list".to_owned(), message });
        }
        targets.extend(parse_list(&String::from_utf8_lossy(&output.stdout)));
    }
    targets.retain(|target| format!("{}::{}", target.package, target.test).contains(part));
    Ok(targets)
}

/// A line of the list is `{"package":"wire","test":"tcp::tests::any_bytes"}`.
fn parse_list(text: &str) -> Vec<Target> {
    text.lines()
        .filter_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            let field = |name: &str| value.get(name)?.as_str().map(str::to_owned);
            Some(Target { package: field("package")?, test: field("test")? })
        })
        .collect()
}

fn fuzz(
    workspace: &Workspace,
    path: &OsString,
    target: &Target,
    minutes: f64,
) -> Result<Report, Error> {
    let mut command = bolero(workspace, path, "test");
    let duration = format!("{:.0}s", (minutes * 60.0).max(1.0));
    command
        .args(["--target", &host()?, "--package", &target.package, "--engine", "libfuzzer"])
        .args(["-T", &duration, "--timeout", INPUT_TIMEOUT, SCHEDULE, &target.test])
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().map_err(|source| missing(&command, source))?;
    let mut report = Report::new(&format!("{}::{}", target.package, target.test));
    let stderr = child.stderr.take().into_iter();
    for line in stderr.flat_map(|stderr| BufReader::new(stderr).split(b'\n')).map_while(Result::ok)
    {
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        report.read(&line);
    }
    let status = child.wait().map_err(|source| missing(&command, source))?;
    // A run without one input has shown nothing.
    report.passed = status.success() && report.executions > 0;
    report.corpus_files = report.corpus.as_deref().map_or(0, files_in);
    remove_if_empty(report.crashes.as_deref());
    Ok(report)
}

fn files_in(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// The fuzzer makes the folder for what it may find; without a find it says nothing.
fn remove_if_empty(folder: Option<&Path>) {
    if let Some(folder) = folder.map(PathBuf::from)
        && files_in(&folder) == 0
        && let Err(error) = fs::remove_dir(&folder)
    {
        eprintln!("{}: {error}", folder.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_read_and_other_lines_are_not() {
        let text = "\n{\"package\":\"wire\",\"test\":\"tcp::tests::any\"}\n\nnoise {\n{\"a\":1}\n";
        let expected = Target { package: "wire".to_owned(), test: "tcp::tests::any".to_owned() };
        assert_eq!(parse_list(text), [expected]);
    }

    #[test]
    fn minutes_are_positive_and_bounded() {
        assert_eq!(minutes("0.5"), Ok(0.5));
        for text in ["0", "-1", "nan", "inf", "1441", "x"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }
}
