//! `cargo xtask sim`: seeded networks of stacks in virtual time, many of them.

use crate::error::Error;
use crate::process::{cargo, succeeds};

/// Which seeds.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// All seeds in this scenario; otherwise each in its turn.
    #[arg(long)]
    scenario: Option<String>,
    /// Packets of each host that a violation shows.
    #[arg(long)]
    trace: Option<usize>,
}

/// What `ci` runs, and what runs unless it is said: some seconds.
const SEEDS: u64 = 100;

/// Builds the simulator in a profile of its own, fast and with every assertion, and runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<bool, Error> {
    succeeds(cargo(COMMAND).args(forwarded(arguments)))
}

/// The stage of `ci`.
pub(crate) fn stage() -> Result<bool, Error> {
    run(&Arguments { seeds: SEEDS, first: 0, scenario: None, trace: None })
}

const COMMAND: &[&str] =
    &["run", "--quiet", "--locked", "--profile", "sim", "--package", "sim", "--"];

fn forwarded(arguments: &Arguments) -> Vec<String> {
    let Arguments { seeds, first, scenario, trace } = arguments;
    let mut words = vec![format!("--seeds={seeds}"), format!("--first={first}")];
    words.extend(scenario.iter().map(|name| format!("--scenario={name}")));
    words.extend(trace.iter().map(|len| format!("--trace={len}")));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_is_handed_on() {
        let scenario = Some("tiny".to_owned());
        let arguments = Arguments { seeds: 7, first: 3, scenario, trace: Some(9) };
        let expected = ["--seeds=7", "--first=3", "--scenario=tiny", "--trace=9"];
        assert_eq!(forwarded(&arguments), expected);
    }
}
