//! What was sent and what came of it: each message is counted at both ends.

use super::content::Stamp;
use super::load::{Load, index};

/// What the server says of messages that it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Of so many messages it has said something.
    pub(super) messages: u64,
    /// They did not find room in the queue of their receiver.
    pub(super) dropped: u64,
    /// Nobody held the port.
    pub(super) nobody: u64,
}

/// Messages that are not as they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Their bytes are not those of any message that was sent.
    pub(super) garbled: u64,
    /// They came to another receiver than the port's, or under another grant.
    pub(super) misrouted: u64,
    /// They came after a later one of the same sender to the same port, or twice.
    pub(super) disordered: u64,
    /// They did not come, and nobody has told of it.
    pub(super) lost: u64,
    /// They were dropped on the way to somebody who reads, or found nobody.
    pub(super) dropped: u64,
}

impl Wrong {
    pub(super) fn add(&mut self, other: Self) {
        let Self { garbled, misrouted, disordered, lost, dropped } = other;
        self.garbled += garbled;
        self.misrouted += misrouted;
        self.disordered += disordered;
        self.lost += lost;
        self.dropped += dropped;
    }
}

/// What the last receiver did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Read,
    Stalled,
    /// It stalled, and the server has closed its connection.
    CutOff,
}

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Ledger {
    load: Load,
    /// By port.
    owners: Vec<u32>,
    /// By sender: the port that is next, and which message to it that will be.
    next: Vec<(u32, u64)>,
    /// By sender and port: the least that the next message may be.
    expected: Vec<u64>,
    /// By receiver.
    sent: Vec<u64>,
    received: Vec<u64>,
    pub(super) told: Told,
    pub(super) wrong: Wrong,
}

impl Ledger {
    pub(super) fn new(load: Load) -> Self {
        let (senders, receivers) = (index(load.senders), index(load.receivers));
        Self {
            owners: (0..load.ports).map(|port| load.receiver_of(port)).collect(),
            next: vec![(0, 0); senders],
            expected: vec![0; senders * index(load.ports)],
            sent: vec![0; receivers],
            received: vec![0; receivers],
            told: Told::default(),
            wrong: Wrong::default(),
            load,
        }
    }

    /// The next message of a sender, which is sent now: to each port in turn.
    #[inline]
    pub(super) fn send(&mut self, sender: u32) -> Stamp {
        let (port, count) = &mut self.next[index(sender)];
        let stamp = Stamp { sender, port: *port, count: *count };
        *port += 1;
        if *port == self.load.ports {
            (*port, *count) = (0, *count + 1);
        }
        self.sent[index(self.owners[index(stamp.port)])] += 1;
        stamp
    }

    /// The next message of a sender to one port, where it sends to no other.
    pub(super) fn send_to(&mut self, sender: u32, port: u32) -> Stamp {
        let (_, count) = &mut self.next[index(sender)];
        let stamp = Stamp { sender, port, count: *count };
        *count += 1;
        self.sent[index(self.owners[index(port)])] += 1;
        stamp
    }

    /// A message came; the port that it was for, if it is one.
    #[inline]
    pub(super) fn receive(&mut self, receiver: u32, message: &[u8]) -> Option<u32> {
        self.received[index(receiver)] += 1;
        let stamp = Stamp::read(message, self.load.size)
            .filter(|stamp| stamp.sender < self.load.senders && stamp.port < self.load.ports);
        let Some(Stamp { sender, port, count }) = stamp else {
            self.wrong.garbled += 1;
            return None;
        };
        self.wrong.misrouted += u64::from(self.owners[index(port)] != receiver);
        let expected = &mut self.expected[index(sender) * index(self.load.ports) + index(port)];
        if count < *expected {
            self.wrong.disordered += 1;
        } else {
            *expected = count + 1;
        }
        Some(port)
    }

    /// Messages under way to those that always read.
    #[inline]
    pub(super) fn under_way(&self) -> u64 {
        let sent: u64 = self.sent[..self.load.others()].iter().sum();
        sent.saturating_sub(self.received_by_others())
    }

    /// Messages that came to those that always read.
    #[inline]
    pub(super) fn received_by_others(&self) -> u64 {
        self.received[..self.load.others()].iter().sum()
    }

    /// All that came.
    pub(super) fn received(&self) -> u64 {
        self.received.iter().sum()
    }

    /// All that was sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// What was sent to one and has not come.
    pub(super) fn missing_to(&self, receiver: u32) -> u64 {
        self.sent[index(receiver)].saturating_sub(self.received[index(receiver)])
    }

    /// Judges what did not come, once nothing more comes. Of a stalled receiver's messages some may
    /// be dropped, and each of those was told, unless the server has cut it off.
    pub(super) fn close(&mut self, last_one: Last) {
        let Told { dropped, nobody, .. } = self.told;
        let missing_to_last = self.missing_to(self.load.last());
        let missing = self.sent().saturating_sub(self.received());
        let (excused, may_drop) = match last_one {
            Last::Read => (0, 0),
            Last::Stalled => (0, missing_to_last),
            Last::CutOff => (missing_to_last, missing_to_last),
        };
        self.wrong.lost += missing.saturating_sub(excused.max(dropped + nobody));
        self.wrong.dropped += (dropped + nobody).saturating_sub(may_drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load =
        Load { ports: 3, name_len: 4, size: 24, batch: 1, senders: 2, receivers: 2, window: 10 };

    fn message(stamp: Stamp) -> [u8; 24] {
        let mut message = [0; 24];
        stamp.write(&mut message);
        message
    }

    /// Both senders' first message to each port, with who is to have it.
    fn all(ledger: &mut Ledger) -> Vec<(u32, [u8; 24])> {
        let senders = [0, 0, 0, 1, 1, 1];
        let stamps = senders.map(|sender| ledger.send(sender));
        stamps.map(|stamp| (LOAD.receiver_of(stamp.port), message(stamp))).to_vec()
    }

    #[test]
    fn every_message_that_comes_once_in_its_order_is_right() {
        let mut ledger = Ledger::new(LOAD);
        for _time in 0..2 {
            for (receiver, message) in all(&mut ledger) {
                assert!(ledger.receive(receiver, &message).is_some());
            }
        }
        ledger.close(Last::Read);
        assert_eq!((ledger.sent(), ledger.received(), ledger.under_way()), (12, 12, 0));
        assert_eq!((ledger.missing_to(0), ledger.missing_to(1)), (0, 0));
        assert_eq!(ledger.wrong, Wrong::default());
    }

    #[test]
    fn a_message_twice_late_elsewhere_or_changed_is_counted() {
        let mut ledger = Ledger::new(LOAD);
        let (first, second) = (all(&mut ledger), all(&mut ledger));
        ledger.receive(second[0].0, &second[0].1);
        ledger.receive(second[0].0, &second[0].1);
        ledger.receive(first[0].0, &first[0].1);
        assert_eq!(ledger.wrong, Wrong { disordered: 2, ..Wrong::default() });
        ledger.receive(1 - first[1].0, &first[1].1);
        assert_eq!(ledger.wrong, Wrong { disordered: 2, misrouted: 1, ..Wrong::default() });
        let mut changed = first[2].1;
        changed[23] ^= 1;
        assert_eq!(ledger.receive(first[2].0, &changed), None);
        ledger.receive(0, &message(Stamp { sender: 9, port: 0, count: 0 }));
        assert_eq!(ledger.wrong.garbled, 2);
    }

    #[test]
    fn what_does_not_come_is_lost_unless_it_was_told_and_told_only_of_who_stalls() {
        let closed = |told, last| {
            let mut ledger = Ledger::new(LOAD);
            for (receiver, message) in all(&mut ledger) {
                if receiver == 0 {
                    ledger.receive(receiver, &message);
                }
            }
            ledger.told.dropped = told;
            ledger.close(last);
            ledger.wrong
        };
        assert_eq!(closed(2, Last::Stalled), Wrong::default());
        assert_eq!(closed(1, Last::Stalled), Wrong { lost: 1, ..Wrong::default() });
        assert_eq!(closed(0, Last::Read), Wrong { lost: 2, ..Wrong::default() });
        assert_eq!(closed(2, Last::Read), Wrong { dropped: 2, ..Wrong::default() });
        assert_eq!(closed(3, Last::Stalled), Wrong { dropped: 1, ..Wrong::default() });
        assert_eq!(closed(0, Last::CutOff), Wrong::default());
    }
}
