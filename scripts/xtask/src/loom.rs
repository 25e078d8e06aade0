//! `cargo xtask loom`: every interleaving of the rings, pools and mailboxes, up to a bound.

use cargo_metadata::DependencyKind;

use crate::error::Error;
use crate::process::{Outcome, cargo, skip, succeeds};
use crate::workspace;

/// Preemptions per thread that are tried unless `LOOM_MAX_PREEMPTIONS` says otherwise. Nearly all
/// real races need two; each one more multiplies the time.
const PREEMPTIONS_MAX: &str = "3";

/// Runs the tests of every crate that names loom, built with `--cfg loom`.
pub(crate) fn run() -> Result<Outcome, Error> {
    let workspace = workspace::read()?;
    let members = workspace.members.iter().filter(|member| {
        let mut names = member.dependencies.iter().filter(|d| d.kind != DependencyKind::Build);
        names.any(|dependency| dependency.name == "loom")
    });
    let names: Vec<&str> = members.map(|member| member.name.as_str()).collect();
    if names.is_empty() {
        return Ok(skip("loom", "no crate depends on it", "name it in a crate with rings"));
    }
    let mut command = cargo(&["test", "--locked", "--release", "--lib", "--tests"]);
    for name in &names {
        command.args(["--package", name]);
    }
    // Its own folder: another RUSTFLAGS would build the whole workspace again, both ways.
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace.target.join("loom"));
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        command.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS_MAX);
    }
    Ok(succeeds(&mut command)?.into())
}
