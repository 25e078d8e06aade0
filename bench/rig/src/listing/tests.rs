//! Tests of the verdict.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::*;
use crate::recorder::Recorded;
use crate::round::Round;

fn recorded(transactions: u64) -> Recorded {
    let latency_ns = Histogram::new(3).expect("three digits");
    let (elapsed, displaced) = (Duration::from_secs(1), Duration::ZERO);
    Recorded { transactions, elapsed, displaced, latency_ns }
}

fn outcome(listing: Listing) -> Outcome {
    let pair = Pair { quiet: recorded(1_000), listed: recorded(990), listings: vec![listing; 2] };
    let totals =
        Round { recorded: recorded(0), bytes_lost: 0, connections_lost: 0, retransmits: 0 };
    Outcome { pairs: vec![pair], totals, looks_max: WALK_LOOKS_MAX }
}

fn is_ok(outcome: &Outcome) -> bool {
    checks(outcome, 0.5, &Checks::default()).is_ok()
}

#[test]
fn any_listing_that_is_not_exactly_all_makes_the_result_wrong_and_a_missed_goal_does_not() {
    assert!(is_ok(&outcome(Listing::default())));
    for wrong in [
        Listing { missing: 1, ..Listing::default() },
        Listing { twice: 1, ..Listing::default() },
        Listing { wrong: 1, ..Listing::default() },
        Listing { failed: true, ..Listing::default() },
    ] {
        assert!(!is_ok(&outcome(wrong)), "{wrong:?}");
    }
}

#[test]
fn rounds_without_a_listing_or_an_answer_losses_and_long_walks_are_wrong() {
    let right = || outcome(Listing::default());
    let mut unlisted = right();
    unlisted.pairs[0].listings.clear();
    let mut empty = right();
    empty.pairs[0].quiet.transactions = 0;
    let mut lost = right();
    lost.totals.bytes_lost = 1;
    let mut ended = right();
    ended.totals.connections_lost = 1;
    let long = Outcome { looks_max: WALK_LOOKS_MAX + 1, ..right() };
    for wrong in [unlisted, empty, lost, ended, long] {
        assert!(!is_ok(&wrong), "{wrong:?}");
    }
}

#[test]
fn ratio_is_of_the_rounds_of_a_pair() {
    let mut figures = Figures::default();
    let listing = Listing { nanos: 2_000_000_000, rows: 100, ..Listing::default() };
    record_pair(&mut figures, &outcome(listing).pairs[0]);
    assert_eq!(figures.median(RATE_RATIO), Some(0.99));
    assert_eq!(figures.median("listing_ms"), Some(2_000.0));
    assert_eq!(figures.median("rows_per_s"), Some(50.0));
    assert!(is_met(0.0199) && !is_met(0.02));
}
