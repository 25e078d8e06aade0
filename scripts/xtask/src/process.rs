//! How commands are run: with no standard input, with their output on ours, and always `--locked`.

use std::process::{Command, Stdio};

use crate::error::Error;

/// `cargo` with `arguments`.
///
/// It is the one of the path and not the one that runs us, because only rustup's understands
/// `+nightly`.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs `command` to its end; whether it ended well.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, Error> {
    let status = command.status().map_err(|source| missing(command, source))?;
    Ok(status.success())
}

/// Runs `command` to its end and gives its standard output, or nothing if it failed.
///
/// For questions to the machine: what the command prints of its failure is not shown.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// What failed has been printed.
    Failed,
    /// This machine lacks what it takes; a reader must not overlook it.
    Skipped {
        /// As `ABELE_REQUIRE` names it.
        what: &'static str,
        /// Why, and what ran instead.
        because: String,
    },
}

impl From<bool> for Outcome {
    fn from(is_right: bool) -> Self {
        if is_right { Self::Passed } else { Self::Failed }
    }
}

/// Says on standard error that something is not checked, and with what it would be. Where
/// `ABELE_REQUIRE` names it that is a failure.
pub(crate) fn skip(what: &'static str, because: &str, mend: &str) -> Outcome {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    skip_unless(&required, what, because, mend)
}

fn skip_unless(required: &str, what: &'static str, because: &str, mend: &str) -> Outcome {
    if required.split(',').any(|name| name.trim() == what) {
        eprintln!("\n*** ABELE_REQUIRE names {what}: {because}; mend it: {mend} ***\n");
        return Outcome::Failed;
    }
    eprintln!("\n*** SKIPPED: {what}: {because}; mend it: {mend} ***\n");
    Outcome::Skipped { what, because: because.to_owned() }
}

/// The error for a command that does not start.
pub(crate) fn missing(command: &Command, source: std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    Error::Missing { program, source, mend: "run scripts/setup, which installs what is missing" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_command_is_false_and_missing_command_is_an_error() {
        assert!(succeeds(&mut Command::new("true")).expect("it starts"));
        assert!(!succeeds(&mut Command::new("false")).expect("it starts"));
        let error = succeeds(&mut Command::new("no-such-program")).expect_err("it is not there");
        assert_eq!(error.status(), 3);
    }

    #[test]
    fn skip_of_what_is_required_is_a_failure() {
        let skip = |required| skip_unless(required, "miri", "not installed", "install it");
        let skipped = Outcome::Skipped { what: "miri", because: "not installed".to_owned() };
        assert_eq!(skip(""), skipped);
        assert_eq!(skip("root,tap"), skipped);
        assert_eq!(skip("root, miri"), Outcome::Failed);
    }

    #[test]
    fn answer_of_a_failed_command_is_none() {
        assert_eq!(answer(Command::new("echo").arg("a")), Some("a\n".to_owned()));
        assert_eq!(answer(&mut Command::new("false")), None);
    }
}
