//! `cargo xtask miri`: the crates that hold the hard `unsafe`, under miri where there is one,
//! under AddressSanitizer where there is only a nightly compiler.

use std::process::Command;

use crate::error::Error;
use crate::process::{Outcome, answer, cargo, skip, succeeds};
use crate::workspace;

/// Crates whose `unsafe` is about memory and not about the kernel: miri runs no system calls of
/// rings and devices.
const CRATES: &[&str] = &["memory", "af_xdp"];

/// Runs what this machine has, or says loudly that it has nothing. AddressSanitizer is no miri: it
/// stands for it only where miri is not required.
pub(crate) fn run() -> Result<Outcome, Error> {
    if answer(&mut cargo(&["+nightly", "miri", "--version"])).is_some() {
        return Ok(miri()?.into());
    }
    let skipped = skip("miri", "not installed", "rustup +nightly component add miri rust-src");
    let Outcome::Skipped { what, because } = skipped else { return Ok(skipped) };
    let instead = if answer(&mut cargo(&["+nightly", "--version"])).is_none() {
        "and no nightly compiler for AddressSanitizer; rustup toolchain add nightly"
    } else if address_sanitizer()? {
        "AddressSanitizer ran instead"
    } else {
        return Ok(Outcome::Failed);
    };
    Ok(Outcome::Skipped { what, because: format!("{because}; {instead}") })
}

fn miri() -> Result<bool, Error> {
    let workspace = workspace::read()?;
    let mut command = cargo(&["+nightly", "miri", "test", "--locked", "--lib", "--tests"]);
    add_packages(&mut command);
    command.env("CARGO_TARGET_DIR", workspace.target.join("miri"));
    succeeds(&mut command)
}

fn address_sanitizer() -> Result<bool, Error> {
    let workspace = workspace::read()?;
    let host = host()?;
    // With a target, build scripts and procedural macros are built without the sanitizer.
    let mut command =
        cargo(&["+nightly", "test", "--locked", "--lib", "--tests", "--target", &host]);
    add_packages(&mut command);
    command
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("CARGO_TARGET_DIR", workspace.target.join("asan"));
    succeeds(&mut command)
}

fn add_packages(command: &mut Command) {
    for name in CRATES {
        command.args(["--package", name]);
    }
}

/// The triple that the compiler runs on.
pub(crate) fn host() -> Result<String, Error> {
    let text = answer(Command::new("rustc").arg("-vV")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).ok_or_else(|| {
        Error::Answer { program: "rustc -vV".to_owned(), message: "no line `host:`".to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_a_triple() {
        let host = host().expect("rustc builds this test");
        assert!(host.split('-').count() >= 3, "{host}");
    }
}
