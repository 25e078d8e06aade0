//! Rounds of several sides, alternating, so that whatever else the machine does falls on all alike.

use crate::error::Error;
use crate::limits::{COMPARISON_ROUNDS_MIN, DISPLACED_SHARE_MAX};
use crate::recorder::Recorded;
use crate::report::{Checks, Figures, Peer};

/// What one round of one side gave.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) recorded: Recorded,
    /// Bytes that did not arrive as they were sent, either way.
    pub(crate) bytes_lost: u64,
    /// Connections that were not whole, from their first byte to their last, at both ends.
    pub(crate) connections_lost: u64,
    /// Segments sent again by any end.
    pub(crate) retransmits: u64,
}

/// All rounds of all sides.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Figures,
    pub(crate) peers: Vec<Peer>,
    pub(crate) checks: RoundChecks,
}

impl Rounds {
    /// Runs `count` rounds of `ours` and each of `theirs` by turns; `record` makes figures of what
    /// a round recorded.
    pub(crate) fn alternate<S: Copy>(
        count: u32,
        ours: S,
        theirs: Vec<(S, Peer)>,
        mut run: impl FnMut(S) -> Result<Round, Error>,
        record: impl Fn(&mut Figures, &Recorded),
    ) -> Result<Self, Error> {
        let (sides, peers): (Vec<S>, Vec<Peer>) = theirs.into_iter().unzip();
        let mut rounds = Self { peers, ..Self::default() };
        for _round in 0..count {
            let round = run(ours)?;
            rounds.checks.add(&round);
            record(&mut rounds.ours, &round.recorded);
            for (side, peer) in sides.iter().zip(&mut rounds.peers) {
                let round = run(*side)?;
                rounds.checks.add(&round);
                record(&mut peer.figures, &round.recorded);
            }
        }
        Ok(rounds)
    }

    /// What makes the comparison weaker than it should be.
    pub(crate) fn notes(&self, count: u32, is_one_core: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.peers.is_empty() && count < COMPARISON_ROUNDS_MIN {
            notes.push(format!(
                "{count} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}"
            ));
        }
        // On one core the two ends displace each other, as they should.
        let share = self.checks.displaced_share_max;
        if !is_one_core && share > DISPLACED_SHARE_MAX {
            notes.push(format!(
                "other programs held a measured core for up to {:.0} % of a round: run this again \
                 on a quiet machine",
                share * 100.0
            ));
        }
        notes
    }
}

/// What all rounds of all sides lost together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundChecks {
    pub(crate) bytes_lost: u64,
    pub(crate) connections_lost: u64,
    pub(crate) retransmits: u64,
    /// Rounds in which nothing was completed: nothing was lost, and nothing was measured.
    pub(crate) rounds_empty: u64,
    /// The largest share of a round in which something else had the asking end's core.
    pub(crate) displaced_share_max: f64,
}

impl RoundChecks {
    /// Adds one round's.
    pub(crate) fn add(&mut self, round: &Round) {
        self.bytes_lost += round.bytes_lost;
        self.connections_lost += round.connections_lost;
        self.retransmits += round.retransmits;
        let Recorded { transactions, displaced, elapsed, .. } = &round.recorded;
        self.rounds_empty += u64::from(*transactions == 0);
        let share = displaced.as_secs_f64() / elapsed.as_secs_f64();
        self.displaced_share_max = self.displaced_share_max.max(share);
    }

    /// A wrong limit makes the whole result wrong, for the figures are judged by it.
    pub(crate) fn joined_with(self, limits: &Checks) -> Checks {
        let Self {
            bytes_lost,
            connections_lost,
            retransmits,
            rounds_empty,
            displaced_share_max: _,
        } = self;
        let checks = Checks::default()
            .must_be_zero("bytes_lost", bytes_lost)
            .must_be_zero("connections_lost", connections_lost)
            .note("retransmits", retransmits)
            .and(limits);
        if rounds_empty == 0 { checks } else { checks.must_be_zero("rounds_empty", rounds_empty) }
    }
}

/// Transactions of the measured time per second. Both ends are pinned and never idle, so the
/// server's core is busy for all of it, and its rate is the rate.
pub(crate) fn per_second(recorded: &Recorded) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "2^53 transactions take a thousand years")]
    let transactions = recorded.transactions as f64;
    transactions / recorded.elapsed.as_secs_f64()
}

/// A quantile of the recorded latencies, in nanoseconds.
pub(crate) fn latency_ns(recorded: &Recorded, quantile: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "LATENCY_NS_MAX is far below 2^53")]
    let ns = recorded.latency_ns.value_at_quantile(quantile) as f64;
    ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_loss_an_empty_round_or_a_false_limit_makes_the_result_wrong_and_a_retransmission_does_not()
     {
        let right = RoundChecks { retransmits: 3, ..RoundChecks::default() };
        assert!(right.joined_with(&Checks::default()).is_ok());
        let bytes = RoundChecks { bytes_lost: 1, ..right };
        assert!(!bytes.joined_with(&Checks::default()).is_ok());
        let empty = RoundChecks { rounds_empty: 1, ..right };
        assert!(!empty.joined_with(&Checks::default()).is_ok());
        let connections = RoundChecks { connections_lost: 1, ..right };
        assert!(!connections.joined_with(&Checks::default()).is_ok());
        let false_limit = Checks::default().must_be_zero("random_lines_per_s", 1);
        assert!(!right.joined_with(&false_limit).is_ok());
    }

    #[test]
    fn displaced_rounds_are_told_unless_the_ends_share_a_core_on_purpose() {
        let is_told = |share, is_one_core| {
            let checks = RoundChecks { displaced_share_max: share, ..RoundChecks::default() };
            let rounds = Rounds { checks, ..Rounds::default() };
            rounds.notes(5, is_one_core).concat().contains("quiet machine")
        };
        assert!(is_told(0.5, false) && !is_told(0.001, false) && !is_told(0.5, true));
    }
}
