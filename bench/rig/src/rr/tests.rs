//! Whole rounds of `rr`, in their quick form.

use super::*;

#[test]
fn any_loss_or_a_false_limit_makes_the_result_wrong_and_a_retransmission_does_not() {
    let right = RoundChecks { retransmits: 3, ..RoundChecks::default() };
    assert!(right.joined_with(&Checks::default()).is_ok());
    let bytes = RoundChecks { bytes_lost: 1, ..right };
    assert!(!bytes.joined_with(&Checks::default()).is_ok());
    let connections = RoundChecks { connections_lost: 1, ..right };
    assert!(!connections.joined_with(&Checks::default()).is_ok());
    let false_limit = Checks::default().must_be_zero("random_lines_per_s", 1);
    assert!(!right.joined_with(&false_limit).is_ok());
}

#[test]
fn displaced_rounds_are_told_unless_the_ends_share_a_core_on_purpose() {
    let mut args = RrArgs {
        queue: Queue::Kernel,
        cores: Cores::Two,
        connections: 4,
        size: 64,
        seconds: 0.1,
        rounds: 5,
        vs: vec![PeerName::Kernel],
        quick: false,
        json: false,
    };
    let is_told = |args: &RrArgs, share| notes(args, share).concat().contains("quiet machine");
    assert!(is_told(&args, 0.5) && !is_told(&args, 0.001));
    args.cores = Cores::One;
    assert!(!is_told(&args, 0.5));
}
