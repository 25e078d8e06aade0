//! `sim`: runs many seeds on all cores, and says what was violated and how to see it again.
//!
//! Exit status: 0 right, 1 a violation, 2 bad arguments.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool prints")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use sim::{Options, Report, SEEDS_MAX, Scenario, run};

/// Seeded networks of stacks in virtual time.
#[derive(Debug, Parser)]
#[command(name = "sim", version)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=SEEDS_MAX))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// All seeds in this scenario; otherwise each in its turn.
    #[arg(long)]
    scenario: Option<Scenario>,
    /// Packets of each host that a violation shows.
    #[arg(long)]
    trace: Option<usize>,
    /// Print one line for each seed.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let workers = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let mut report = Report::default();
    thread::scope(|scope| {
        let parts: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn({
                    let arguments = &arguments;
                    move || part(arguments, worker, workers)
                })
            })
            .collect();
        for part in parts {
            report.merge(part.join().expect("a worker catches the panics of its seeds"));
        }
    });
    report.violations.sort_by_key(|violation| violation.seed);
    for violation in &report.violations {
        let (seed, scenario) = (violation.seed, violation.scenario.name());
        println!("seed {seed} ({scenario}): {}", violation.message);
        println!("  again: cargo xtask sim --seeds 1 --first {seed} --scenario {scenario}\n");
    }
    println!(
        "connections {}, bytes checked {}, packets handed over {}",
        report.connections, report.bytes, report.handed_over
    );
    println!("{report}");
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Every `workers`-th seed.
fn part(arguments: &Arguments, worker: u64, workers: u64) -> Report {
    let mut options = Options::default();
    if let Some(trace) = arguments.trace {
        options.trace_len = trace;
    }
    let mut report = Report::default();
    let first = arguments.first;
    for seed in
        (first..first.saturating_add(arguments.seeds)).filter(|seed| seed % workers == worker)
    {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed, arguments.scenario, &options)));
        match result {
            Ok(outcome) => {
                if arguments.verbose {
                    let (turns, elapsed) = (outcome.turns, outcome.elapsed);
                    println!("seed {seed}: hash {:016x}, {turns} turns, {elapsed}", outcome.hash);
                }
                report.add(outcome);
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let message = text.unwrap_or("without a message").to_owned();
                report.add_panic(seed, arguments.scenario, message);
            }
        }
    }
    report
}
