//! What the program counted, by reason.

use abi::{Reason, Verdict};
use zerocopy::FromBytes;

/// Packets and bytes of one reason, over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Their bytes, Ethernet header included.
    pub bytes: u64,
}

/// What was counted since the program was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    tallies: [Tally; Reason::ALL.len()],
}

impl Counters {
    /// What was counted for one reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> Tally {
        self.tallies[reason as usize]
    }

    /// Every reason with what was counted for it, in the order of [`Reason::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Reason, Tally)> + '_ {
        Reason::ALL.iter().copied().zip(self.tallies.iter().copied())
    }

    /// What was counted for one verdict.
    #[must_use]
    pub fn total(&self, verdict: Verdict) -> Tally {
        let mut total = Tally::default();
        for (_, tally) in self.iter().filter(|(reason, _)| reason.verdict() == verdict) {
            total.packets += tally.packets;
            total.bytes += tally.bytes;
        }
        total
    }

    /// Adds what one CPU counted for a reason.
    pub(crate) fn add(&mut self, reason: Reason, cpu: &[u8]) {
        let counted = abi::Tally::read_from_bytes(cpu).expect("the map's values have this size");
        let tally = &mut self.tallies[reason as usize];
        tally.packets += counted.packets;
        tally.bytes += counted.bytes;
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    #[test]
    fn cpus_add_up_and_verdicts_add_up() {
        let mut counters = Counters::default();
        let counted = abi::Tally { packets: 2, bytes: 100 };
        counters.add(Reason::DropDenied, counted.as_bytes());
        counters.add(Reason::DropDenied, counted.as_bytes());
        counters.add(Reason::DropSynSource, counted.as_bytes());
        counters.add(Reason::PassVlan, counted.as_bytes());
        assert_eq!(counters.of(Reason::DropDenied), Tally { packets: 4, bytes: 200 });
        assert_eq!(counters.total(Verdict::Drop), Tally { packets: 6, bytes: 300 });
        assert_eq!(counters.total(Verdict::Redirect), Tally::default());
    }
}
