//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::limits::SECONDS_MAX;

/// The port switch of BYPSS: who owns which name, who is alive, and messages between them.
///
/// Exit code 0: right; 1: failed while it ran; 2: bad arguments or configuration; 3: the machine
/// lacks something, which the message names with what mends it.
#[derive(Debug, Parser)]
#[command(name = "bypssd", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the switch; `ready: ...` on standard output says that it serves
    Run(RunArgs),
    /// Judge a configuration: print the plan, or everything that is wrong
    Check(CheckArgs),
    /// Start a switch for trying things out: this machine only, no file, no grace after a start
    Dev(DevArgs),
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration; docs/bypssd.example.toml has every key
    pub(crate) file: PathBuf,
    /// End by itself after so many seconds, counted from ready
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) run_for: Option<Duration>,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration; docs/bypssd.example.toml has every key
    pub(crate) file: PathBuf,
}

/// Arguments of `dev`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    /// Where to listen: a loopback address; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400", value_parser = loopback)]
    pub(crate) listen: SocketAddr,
    /// Where to tell metrics: a loopback address
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Ports that memory is taken for at start
    #[arg(long, value_name = "COUNT", default_value_t = crate::limits::PORTS_PLANNED)]
    pub(crate) ports: u64,
    /// Never sleep, for the shortest answers
    #[arg(long)]
    pub(crate) spin: bool,
    /// Keep the worker on this core
    #[arg(long, value_name = "NUMBER")]
    pub(crate) core: Option<usize>,
    /// End by itself after so many seconds, counted from ready
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) run_for: Option<Duration>,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_elsewhere) => {
            Err("`dev` asks nobody who they are: use a loopback address, or `run` with a file"
                .to_owned())
        }
        Err(_none) => Err("expected an address with a port, such as 127.0.0.1:7400".to_owned()),
    }
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
        pages.program(Cli::command(), "8", &["bypssd(8)", "bypssd.toml(5)", "abelectl(8)"]);
        pages.configuration("bypssd", include_str!("../../../docs/bypssd.example.toml"));
    }

    #[test]
    fn seconds_are_bounded() {
        let parse = |text: &str| Cli::try_parse_from(["bypssd", "run", "f", "--for", text]);
        let Command::Run(args) = parse("1.5").unwrap().command else { panic!("it is run") };
        assert_eq!(args.run_for, Some(Duration::from_millis(1500)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dev_is_for_this_machine() {
        let parse = |address: &str| Cli::try_parse_from(["bypssd", "dev", "--listen", address]);
        assert!(parse("127.0.0.1:0").is_ok() && parse("[::1]:7400").is_ok());
        for wrong in ["0.0.0.0:7400", "192.0.2.7:1", "127.0.0.1", "x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
