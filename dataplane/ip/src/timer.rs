//! Every timer of this crate. None is an object of its own: each is a time that
//! [`crate::Ip::poll_transmit`] compares with `now`.
//!
//! - *Solicitation*: a neighbour that is looked for or probed is asked again every second, three
//!   times, then it has failed ([`crate::neighbours`]).
//! - *Delay*: a stale neighbour that is used is probed after five seconds without confirmation.
//! - *Announcement*: own addresses are announced twice at start, two seconds apart.
//! - *Defence*: an address that another station claims is announced at most every ten seconds.
//!
//! What only ends by time, and does nothing then, has no timer: reachability, the rest after a
//! failure, the tokens of the error limit.

use base::Instant;

use crate::addresses::LocalIndex;
use crate::limits::{ANNOUNCE_INTERVAL, ANNOUNCE_ROUNDS, DEFEND_INTERVAL};

/// Which own address is to be announced, and when.
#[derive(Debug)]
pub(crate) struct Announcer {
    rounds_left: u8,
    /// The next address of this round.
    next: u16,
    count: u16,
    round_at: Instant,
    defence: Option<LocalIndex>,
    defended_at: Option<Instant>,
}

impl Announcer {
    /// Announces `count` addresses at start, if that is wanted.
    pub(crate) const fn new(count: u16, at_start: bool) -> Self {
        Self {
            rounds_left: if at_start { ANNOUNCE_ROUNDS } else { 0 },
            next: 0,
            count,
            round_at: Instant::ZERO,
            defence: None,
            defended_at: None,
        }
    }

    /// Another station claims `local`; whether it will be told better.
    //= https://www.rfc-editor.org/rfc/rfc5227#section-2.4
    //# if it has not seen any other conflicting ARP packets within the last DEFEND_INTERVAL seconds
    pub(crate) fn on_conflict(&mut self, local: LocalIndex, now: Instant) -> bool {
        let is_resting = self
            .defended_at
            .is_some_and(|defended_at| now.saturating_since(defended_at) < DEFEND_INTERVAL);
        if !is_resting {
            self.defence = Some(local);
            self.defended_at = Some(now);
        }
        !is_resting
    }

    /// Another core of this host defends an address: one defence is enough.
    pub(crate) fn on_defended(&mut self, now: Instant) {
        self.defended_at = Some(now);
    }

    /// The next address that is to be announced now.
    pub(crate) fn poll_due(&mut self, now: Instant) -> Option<LocalIndex> {
        if let Some(local) = self.defence.take() {
            return Some(local);
        }
        if self.rounds_left == 0 || now < self.round_at {
            return None;
        }
        let local = LocalIndex(self.next);
        self.next += 1;
        if self.next == self.count {
            self.next = 0;
            self.rounds_left -= 1;
            self.round_at = now + ANNOUNCE_INTERVAL;
        }
        Some(local)
    }

    /// When [`Announcer::poll_due`] has something.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.defence.is_some() {
            return Some(Instant::ZERO);
        }
        (self.rounds_left > 0).then_some(self.round_at)
    }
}
