//! Whole rounds of our own stack.

use std::time::Duration;

use super::*;
use crate::args::RoundArgs;

fn args(connections: u32) -> ConnectArgs {
    let rounds = RoundArgs {
        queue: Queue::Mem,
        cores: Cores::One,
        seconds: 0.05,
        rounds: 1,
        vs: Vec::new(),
        attach: None,
        quick: true,
        json: false,
    };
    ConnectArgs { connections, rounds }
}

fn round(args: &ConnectArgs, stop: &Stop) -> Result<Round, Error> {
    Bench { args, cable: None, stop }.round(Side::Mem)
}

#[test]
fn every_connection_in_memory_is_whole_and_counted_at_both_ends() {
    for connections in [1, 4, 100, 1_000] {
        let round = round(&args(connections), &Stop::default()).expect("memory is there");
        assert_eq!((round.bytes_lost, round.connections_lost), (0, 0), "{connections} at once");
        assert!(round.recorded.transactions > 10, "{connections} at once: {round:?}");
        assert!(round.recorded.elapsed >= Duration::from_millis(50));
        assert_eq!(round.retransmits, 0, "{connections} at once");
    }
}

#[test]
fn interrupted_round_ends_without_a_result() {
    let stop = Stop::default();
    stop.raise();
    assert!(matches!(round(&args(4), &stop), Err(Error::Interrupted)));
}
