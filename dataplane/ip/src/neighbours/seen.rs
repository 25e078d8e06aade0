//! A neighbour, as who asks is told of it: read only, an entry at a time.

use base::Instant;
use wire::{Address, MacAddress};

use super::entry::State;
use super::{HopIndex, Neighbours};
use crate::Ip;

/// What is known about a neighbour (RFC 4861 7.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NeighbourState {
    /// A gateway that nobody has needed yet.
    Idle,
    /// It is being looked for.
    Incomplete,
    /// It has answered a short time ago.
    Reachable,
    /// Where it is is known, but not whether it is still there.
    Stale,
    /// It is being used, and may soon be asked whether it is still there.
    Delay,
    /// It is asked whether it is still there.
    Probe,
    /// It did not answer.
    Failed,
}

impl NeighbourState {
    /// The word that tools print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Failed => "failed",
        }
    }
}

/// A neighbour, as it was when it was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Neighbour {
    /// Its address.
    pub address: Address,
    /// Its Ethernet address, while it is known.
    pub mac: Option<MacAddress>,
    /// What is known about it.
    pub state: NeighbourState,
    /// When a packet last went there; `None` if none did.
    pub used_at: Option<Instant>,
    /// Whether a route leads through it, so that it is never evicted.
    pub is_gateway: bool,
}

impl Neighbours {
    /// How many entries there are, free ones included.
    fn len(&self) -> u16 {
        u16::try_from(self.entries.len()).expect("made with a number of 16 bits")
    }

    fn seen(&self, hop: HopIndex, now: Instant) -> Option<Neighbour> {
        let entry = self.entries.get(hop.as_usize())?;
        let state = match entry.state_at(now) {
            State::Free => return None,
            State::Idle => NeighbourState::Idle,
            State::Incomplete => NeighbourState::Incomplete,
            State::Reachable => NeighbourState::Reachable,
            State::Stale => NeighbourState::Stale,
            State::Delay => NeighbourState::Delay,
            State::Probe => NeighbourState::Probe,
            State::Failed => NeighbourState::Failed,
        };
        Some(Neighbour {
            address: entry.address,
            mac: entry.has_mac().then_some(entry.mac),
            state,
            used_at: (entry.used_at != Instant::ZERO).then_some(entry.used_at),
            is_gateway: hop.0 < self.gateways_len,
        })
    }
}

impl Ip {
    /// The neighbour at `hop`, if there is one. Whoever asks for every index below
    /// [`Ip::neighbours_max`] sees each neighbour that was there all the time once.
    #[must_use]
    pub fn neighbour_at(&self, hop: HopIndex, now: Instant) -> Option<Neighbour> {
        self.neighbours.seen(hop, now)
    }

    /// How many neighbours are remembered at most.
    #[must_use]
    pub fn neighbours_max(&self) -> u16 {
        self.neighbours.len()
    }
}
