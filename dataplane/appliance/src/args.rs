//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::limits::SECONDS_MAX;

/// Abele's gateway: its own TCP/IP on a device of its own.
///
/// Exit code 0: right; 1: failed while it ran; 2: bad arguments or configuration; 3: the machine
/// lacks something, which the message names with what mends it.
#[derive(Debug, Parser)]
#[command(name = "abele-gateway", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the gateway; `ready: ...` on standard output says that it serves
    Run(RunArgs),
    /// Judge a configuration: print the plan, or everything that is wrong
    Check(CheckArgs),
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration; docs/abele-gateway.example.toml has every key
    pub(crate) file: PathBuf,
    /// End by itself after so many seconds, counted from ready
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) run_for: Option<Duration>,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration; docs/abele-gateway.example.toml has every key
    pub(crate) file: PathBuf,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Ok(_) | Err(_) => {
            Err(format!("expected a number of seconds above 0 and at most {SECONDS_MAX}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_manual_and_the_completions_name_every_option() {
        let pages = pages::Pages::of_environment();
        let others = ["abele-gateway(8)", "abele-gateway.toml(5)", "abelectl(8)"];
        pages.program(Cli::command(), "8", &others);
        let example = include_str!("../../../docs/abele-gateway.example.toml");
        pages.configuration("abele-gateway", example);
    }

    #[test]
    fn seconds_are_bounded() {
        let parse = |text: &str| Cli::try_parse_from(["abele-gateway", "run", "f", "--for", text]);
        let Command::Run(args) = parse("1.5").unwrap().command else { panic!("it is run") };
        assert_eq!(args.run_for, Some(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
