//! The simulator's own proof: it repeats itself, and it finds what is broken on purpose.

use crate::run::Sabotage;
use crate::{Options, Outcome, Scenario, campaign, run};

fn sabotaged(seed: u64, sabotage: Sabotage) -> Outcome {
    run(seed, Some(Scenario::Clean), &Options { sabotage: Some(sabotage), ..Options::default() })
}

/// Says of every seed what was seen; at least one of them must show `what`.
fn assert_seen(sabotage: Sabotage, what: &str) {
    let outcomes: Vec<Outcome> = (0..8).map(|seed| sabotaged(seed, sabotage)).collect();
    let messages: Vec<&str> = outcomes
        .iter()
        .flat_map(|outcome| &outcome.violations)
        .map(|violation| violation.message.as_str())
        .collect();
    assert!(messages.iter().any(|message| message.contains(what)), "{messages:#?}");
}

#[test]
fn two_seeds_of_every_scenario_have_no_violation() {
    let count = Scenario::ALL.len() as u64;
    let report = campaign(0, 2 * count, None);
    println!("{report}");
    assert_eq!(report.seeds, 2 * count);
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.connections > 100 && report.bytes > 1_000_000, "{report:?}");
    for (kind, count) in report.faults.rows() {
        assert!(count > 0, "no {kind} was injected: {report}");
    }
}

#[test]
fn one_seed_is_one_run() {
    let mut hashes = Vec::new();
    for seed in 100..112 {
        let first = run(seed, None, &Options::default());
        let second = run(seed, None, &Options::default());
        assert_eq!(first, second, "seed {seed}");
        hashes.push(first.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 12, "two seeds are the same run");
}

#[test]
fn wrong_byte_is_found() {
    assert_seen(Sabotage::WrongByte, "a wrong byte at ");
}

#[test]
fn missing_tail_is_found() {
    assert_seen(Sabotage::MissingTail, "was told of the end after ");
}

#[test]
fn frames_that_are_kept_are_found() {
    assert_seen(Sabotage::Leak, "frames are held");
}

#[test]
fn frames_that_are_lost_do_not_come_back() {
    assert_seen(Sabotage::Leak, "frames did not come back");
}

#[test]
fn connection_that_hangs_is_found() {
    assert_seen(Sabotage::SleepyReader, "never ends");
}

#[test]
fn forged_reset_with_the_exact_number_is_believed() {
    // It is the one forged packet that may end a connection; nothing else of the scenario does.
    let report = campaign(0, 12, Some(Scenario::Spoof));
    assert!(report.faults.spoof > 500, "{report}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

#[test]
fn hosts_of_several_cores_hand_over_and_lose_nothing_by_it() {
    let report = campaign(0, 24, Some(Scenario::Cores));
    println!("{report}");
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.handed_over > 1_000, "{report:?}");
}
