//! What one core hears of a neighbour and tells the others.
//!
//! Each core asks for the neighbours that it needs, but the answer is one frame and the device gives
//! it to one core, which need not be the one that asked. So a core tells the others whatever taught
//! it something, or would have, had it known the neighbour; and they learn from it by the same rules
//! as if the frame had come to them. Nothing that was learnt so is told again: there is no loop.

use base::Instant;
use wire::{Address, MacAddress};

use crate::Ip;
use crate::addresses::LocalIndex;
use crate::neighbours::Claim;

/// What a frame said about a neighbour, without the frame; see [`Ip::take_heard`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heard(pub(crate) News);

/// The kinds of it. Addresses are octets, which lie anywhere: two fit on a cache line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum News {
    /// A station asked, and said where it is; for our address `local`, or for another's.
    Question { octets: [u8; 16], mac: MacAddress, local: Option<LocalIndex> },
    /// A station said where an address is.
    Claim { octets: [u8; 16], mac: Option<MacAddress>, is_solicited: bool, overrides: bool },
    /// A station claims an address of ours, and has just been told better.
    Defended,
}

impl Ip {
    /// What the frame that [`Ip::handle_frame`] saw last has taught, once: for [`Ip::learn`] of
    /// every other core. A frame for a transport teaches nothing.
    pub fn take_heard(&mut self) -> Option<Heard> {
        self.heard.take()
    }

    /// Learns what another core has heard.
    pub fn learn(&mut self, heard: Heard, now: Instant) {
        match heard.0 {
            News::Question { octets, mac, local } => {
                let address = Address::from_octets(octets);
                self.neighbours.on_question(address, mac, local, now, &mut self.counters);
            }
            News::Claim { octets, mac, is_solicited, overrides } => {
                let address = Address::from_octets(octets);
                let claim = Claim { address, mac, is_solicited, overrides };
                self.neighbours.on_claim(claim, now, &mut self.counters);
            }
            News::Defended => self.announcer.on_defended(now),
        }
    }

    /// Learns what this core has heard itself, and keeps it for the others.
    pub(crate) fn hear(&mut self, news: News, now: Instant) {
        self.heard = Some(Heard(news));
        self.learn(Heard(news), now);
    }

    /// Another station claims our address `own`.
    pub(crate) fn hear_conflict(&mut self, own: LocalIndex, now: Instant) {
        if self.announcer.on_conflict(own, now) {
            self.heard = Some(Heard(News::Defended));
        }
    }
}
