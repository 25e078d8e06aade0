//! Neighbours: which Ethernet address an address on the link has, and whether it still answers.
//!
//! ARP and neighbour discovery differ in their packets only; both drive the states of RFC 4861.
//!
//! ```text
//! (absent) --needed--> Incomplete --claim--> Reachable --time--> Stale --used--> Delay --5 s--> Probe
//!                          |                  ^   ^ ^                              |              |
//!                       3 x 1 s               |   | +------ upper layer confirms --+              |
//!                          v                  |   +------------ claim, confirmation --------------+
//!                        Failed               +- claim that answers us                         3 x 1 s: Failed
//! ```
//!
//! *Reachable* becomes *Stale* by the clock alone, when somebody looks; only the states that must
//! act by themselves (Incomplete, Delay, Probe) stand in a queue, and since each waits for a time
//! of constant length, a queue is a list in order of time and nothing is searched.
//!
//! The first entries are the gateways. They are never evicted, so that a connection to a host
//! behind one can keep the index without asking again.

mod entry;
mod index;
mod parked;
mod queue;
mod seen;

use base::{Duration, Instant, Rng};
use memory::{KeyedHash, Stowed};
use wire::{Address, MacAddress};

use crate::addresses::LocalIndex;
use crate::counters::Counters;
use crate::limits::{
    DELAY_FIRST_PROBE, EVICTION_LOOKS, FAILED_HOLD, MULTICAST_SOLICIT_MAX, REACHABLE, RETRANSMIT,
    UNICAST_SOLICIT_MAX,
};
use entry::{Entry, State};
use index::Index;
use parked::Parked;
pub use parked::Released;
use queue::{Queue, QueueKind};
pub use seen::{Neighbour, NeighbourState};

/// Which neighbour: what a connection keeps to find its way without a search.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HopIndex(pub u16);

impl HopIndex {
    /// No neighbour is known.
    pub const NONE: Self = Self(u16::MAX);

    #[inline]
    pub(crate) fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for HopIndex {
    fn default() -> Self {
        Self::NONE
    }
}

/// How a neighbour can be used now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// Its Ethernet address is known.
    Known,
    /// It is being asked.
    Wait,
    /// It did not answer.
    Failed,
}

/// A solicitation that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Solicitation {
    /// Who is looked for.
    pub(crate) address: Address,
    /// The own address that asks.
    pub(crate) local: LocalIndex,
    /// Where it was last; `None` asks all.
    pub(crate) known_at: Option<MacAddress>,
}

/// What a station says about its own address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    /// The address.
    pub(crate) address: Address,
    /// Where the station is; an advertisement may leave it out.
    pub(crate) mac: Option<MacAddress>,
    /// Whether it answers a question of ours, so that both directions work.
    pub(crate) is_solicited: bool,
    /// Whether it may replace what is known.
    pub(crate) overrides: bool,
}

/// The neighbours of one interface.
#[derive(Debug)]
pub(crate) struct Neighbours {
    entries: Vec<Entry>,
    free: Vec<HopIndex>,
    index: Index,
    parked: Parked,
    /// Never asked yet.
    due: Queue,
    /// Asked, and to be asked again.
    retransmit: Queue,
    /// Used, and to be asked unless the upper layer confirms.
    delay: Queue,
    gateways_len: u16,
    incomplete_len: u16,
    eviction_hand: u16,
    reachable: Duration,
}

impl Neighbours {
    /// An empty table for `neighbours_max` neighbours, the first of which are the gateways.
    pub(crate) fn new(
        gateways: &[(Address, LocalIndex)],
        neighbours_max: u16,
        parked_max: u16,
        hash: KeyedHash,
        rng: &mut Rng,
    ) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc4861#section-6.3.2
        //# a random value between MIN_RANDOM_FACTOR and MAX_RANDOM_FACTOR
        let half = REACHABLE.as_nanos() / 2;
        let reachable = Duration::from_nanos(half + rng.below(2 * half));
        let mut neighbours = Self {
            entries: vec![Entry::FREE; usize::from(neighbours_max)],
            free: (0..neighbours_max).rev().map(HopIndex).collect(),
            index: Index::new(neighbours_max, hash),
            parked: Parked::new(neighbours_max, parked_max),
            due: Queue::new(QueueKind::Due),
            retransmit: Queue::new(QueueKind::Retransmit),
            delay: Queue::new(QueueKind::Delay),
            gateways_len: 0,
            incomplete_len: 0,
            eviction_hand: 0,
            reachable,
        };
        for (address, local) in gateways {
            let hop = neighbours.free.pop().expect("there are more neighbours than gateways");
            neighbours.occupy(hop, *address, *local);
            neighbours.gateways_len += 1;
        }
        neighbours
    }

    /// Whether `hop` leads to `remote`, or to a gateway, which the caller had for `remote` before.
    #[inline]
    pub(crate) fn is_hint_good(&self, hop: HopIndex, remote: Address) -> bool {
        hop.0 < self.gateways_len
            || self.entries.get(hop.as_usize()).is_some_and(|entry| entry.address == remote)
    }

    /// The entry of the neighbour with this address.
    #[inline]
    pub(crate) fn find(&self, address: Address) -> Option<HopIndex> {
        self.index.find(address, |hop| self.entries[hop.as_usize()].address)
    }

    /// The Ethernet address to which frames for `hop` go; zero while it is not known.
    #[inline]
    pub(crate) fn mac(&self, hop: HopIndex) -> MacAddress {
        self.entries.get(hop.as_usize()).map_or(MacAddress::ZERO, |entry| entry.mac)
    }

    /// Makes an entry for a neighbour that has none, if there is room or something to evict.
    pub(crate) fn insert(
        &mut self,
        address: Address,
        local: LocalIndex,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<HopIndex> {
        // Someone who makes us ask for absent hosts must not push out those that are there.
        let room_for_unknown = self.entries.len().div_ceil(2);
        if usize::from(self.incomplete_len) >= room_for_unknown {
            counters.neighbours_refused += 1;
            return None;
        }
        let hop = self.free.pop().or_else(|| self.evict(now, counters));
        match hop {
            Some(hop) => self.occupy(hop, address, local),
            None => counters.neighbours_refused += 1,
        }
        hop
    }

    /// A packet is to go through `hop`: what state that finds, and what it sets in motion.
    #[inline]
    pub(crate) fn on_use(&mut self, hop: HopIndex, now: Instant) -> Use {
        let entry = &mut self.entries[hop.as_usize()];
        entry.used_at = now;
        match entry.state_at(now) {
            State::Reachable | State::Delay | State::Probe => Use::Known,
            State::Stale => {
                self.enter_delay(hop, now);
                Use::Known
            }
            State::Incomplete => Use::Wait,
            State::Failed if now < entry.until => Use::Failed,
            State::Failed | State::Idle | State::Free => {
                self.enter_incomplete(hop);
                Use::Wait
            }
        }
    }

    /// The upper layer has seen its own data acknowledged: both directions work.
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.3.1
    //# a hint is received from the upper layer
    #[inline]
    pub(crate) fn confirm(&mut self, hop: HopIndex, now: Instant) {
        let until = now + self.reachable;
        let Some(entry) = self.entries.get_mut(hop.as_usize()) else {
            return;
        };
        match entry.state {
            State::Reachable => entry.until = until,
            State::Stale | State::Delay | State::Probe => self.enter_reachable(hop, now),
            State::Incomplete | State::Failed | State::Idle | State::Free => {}
        }
    }

    /// A station asked us, and said where it is.
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.2.3
    //# the cached link-layer address differs from the one in the received Source Link-Layer option
    pub(crate) fn on_question(
        &mut self,
        address: Address,
        mac: MacAddress,
        local: Option<LocalIndex>,
        now: Instant,
        counters: &mut Counters,
    ) {
        match (self.find(address), local) {
            (Some(hop), _) => {
                let entry = &self.entries[hop.as_usize()];
                if !entry.has_mac() || entry.mac != mac {
                    self.learn(hop, mac, counters);
                    self.enter_stale(hop);
                }
            }
            // Who asks will be answered, but nothing is evicted for one who only asks.
            (None, Some(local)) => {
                if let Some(hop) = self.free.pop() {
                    self.occupy(hop, address, local);
                    self.entries[hop.as_usize()].used_at = now;
                    self.learn(hop, mac, counters);
                    self.enter_stale(hop);
                }
            }
            (None, None) => {}
        }
    }

    /// A station said where an address is: an ARP reply or a neighbour advertisement.
    //= https://www.rfc-editor.org/rfc/rfc4861#section-7.2.5
    //# If no entry exists, the advertisement SHOULD be silently discarded.
    pub(crate) fn on_claim(&mut self, claim: Claim, now: Instant, counters: &mut Counters) {
        let Claim { address, mac, is_solicited, overrides } = claim;
        let Some(hop) = self.find(address) else {
            counters.neighbour_claims_ignored += 1;
            return;
        };
        let entry = &self.entries[hop.as_usize()];
        let differs = mac.is_some_and(|mac| mac != entry.mac);
        match (entry.state_at(now), mac) {
            (State::Incomplete, Some(mac)) => {
                self.learn(hop, mac, counters);
                if is_solicited {
                    self.enter_reachable(hop, now);
                } else {
                    self.enter_stale(hop);
                }
            }
            // Nobody is looked for, or it is not said where the neighbour is.
            (State::Incomplete | State::Failed | State::Idle | State::Free, _) => {
                counters.neighbour_claims_ignored += 1;
            }
            (state, _) if differs && !overrides => {
                counters.neighbour_claims_ignored += 1;
                if state == State::Reachable {
                    self.enter_stale(hop);
                }
            }
            (_, mac) => {
                if let Some(mac) = mac {
                    self.learn(hop, mac, counters);
                }
                if is_solicited {
                    self.enter_reachable(hop, now);
                } else if differs {
                    self.enter_stale(hop);
                }
            }
        }
    }

    /// The next solicitation that is due, and what happens to those that nobody answered.
    pub(crate) fn poll_due(
        &mut self,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<Solicitation> {
        if let Some(hop) = self.due.pop(&mut self.entries) {
            return Some(self.ask(hop, now));
        }
        if let Some(hop) = self.delay.pop_due(&mut self.entries, now) {
            self.entries[hop.as_usize()].state = State::Probe;
            return Some(self.ask(hop, now));
        }
        // Each turn takes an entry out of the queue; those that stay in return at once.
        while let Some(hop) = self.retransmit.pop_due(&mut self.entries, now) {
            let entry = &self.entries[hop.as_usize()];
            let is_probe = entry.state == State::Probe;
            let asked_max = if is_probe { UNICAST_SOLICIT_MAX } else { MULTICAST_SOLICIT_MAX };
            if entry.asked < asked_max {
                return Some(self.ask(hop, now));
            }
            counters.neighbours_failed += 1;
            self.enter_failed(hop, now);
        }
        None
    }

    /// When [`Neighbours::poll_due`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(Instant::ZERO);
        }
        let delay = self.delay.first_deadline(&self.entries);
        let retransmit = self.retransmit.first_deadline(&self.entries);
        delay.into_iter().chain(retransmit).min()
    }

    /// Keeps `frame` until `hop` is known; gives back the one for which there is no room.
    pub(crate) fn park(
        &mut self,
        hop: HopIndex,
        frame: Stowed,
        counters: &mut Counters,
    ) -> Option<Stowed> {
        let is_waiting =
            self.entries.get(hop.as_usize()).is_some_and(|entry| entry.state == State::Incomplete);
        let returned = if is_waiting { self.parked.park(hop, frame) } else { Some(frame) };
        counters.parked += 1;
        counters.parked_dropped += u64::from(returned.is_some());
        returned
    }

    /// A parked frame whose neighbour has answered or failed.
    #[inline]
    pub(crate) fn poll_released(&mut self) -> Option<(HopIndex, Released)> {
        let (hop, released) = self.parked.poll_released()?;
        match released {
            // It was found, and lost again before anybody asked.
            Released::Send(frame) if !self.entries[hop.as_usize()].has_mac() => {
                Some((hop, Released::Failed(frame)))
            }
            Released::Send(_) | Released::Failed(_) => Some((hop, released)),
        }
    }

    /// Writes the solicitation down as sent.
    fn ask(&mut self, hop: HopIndex, now: Instant) -> Solicitation {
        let entry = &mut self.entries[hop.as_usize()];
        entry.asked += 1;
        entry.until = now + RETRANSMIT;
        let known_at = (entry.state == State::Probe).then_some(entry.mac);
        let solicitation = Solicitation { address: entry.address, local: entry.local, known_at };
        self.retransmit.push(&mut self.entries, hop);
        solicitation
    }

    fn learn(&mut self, hop: HopIndex, mac: MacAddress, counters: &mut Counters) {
        let entry = &mut self.entries[hop.as_usize()];
        counters.neighbours_changed += u64::from(entry.has_mac() && entry.mac != mac);
        entry.mac = mac;
    }

    fn enter_incomplete(&mut self, hop: HopIndex) {
        self.leave(hop);
        let entry = &mut self.entries[hop.as_usize()];
        entry.state = State::Incomplete;
        entry.mac = MacAddress::ZERO;
        entry.asked = 0;
        self.incomplete_len += 1;
        self.due.push(&mut self.entries, hop);
    }

    fn enter_reachable(&mut self, hop: HopIndex, now: Instant) {
        self.leave(hop);
        let entry = &mut self.entries[hop.as_usize()];
        entry.state = State::Reachable;
        entry.until = now + self.reachable;
        self.parked.release(hop, true);
    }

    fn enter_stale(&mut self, hop: HopIndex) {
        self.leave(hop);
        self.entries[hop.as_usize()].state = State::Stale;
        self.parked.release(hop, true);
    }

    fn enter_delay(&mut self, hop: HopIndex, now: Instant) {
        self.leave(hop);
        let entry = &mut self.entries[hop.as_usize()];
        entry.state = State::Delay;
        entry.until = now + DELAY_FIRST_PROBE;
        entry.asked = 0;
        self.delay.push(&mut self.entries, hop);
    }

    /// Nobody answered. What was parked comes back; after a probe the neighbour may be looked for
    /// anew at once, after a search only when the network has had some rest.
    fn enter_failed(&mut self, hop: HopIndex, now: Instant) {
        let was_probe = self.entries[hop.as_usize()].state == State::Probe;
        let hold = if was_probe { Duration::ZERO } else { FAILED_HOLD };
        self.leave(hop);
        let entry = &mut self.entries[hop.as_usize()];
        entry.state = State::Failed;
        entry.mac = MacAddress::ZERO;
        entry.until = now + hold;
        self.parked.release(hop, false);
    }

    /// Takes the entry out of its queue and of the count of its state.
    fn leave(&mut self, hop: HopIndex) {
        let entry = &self.entries[hop.as_usize()];
        self.incomplete_len -= u16::from(entry.state == State::Incomplete);
        match entry.queue {
            QueueKind::None => {}
            QueueKind::Due => self.due.remove(&mut self.entries, hop),
            QueueKind::Retransmit => self.retransmit.remove(&mut self.entries, hop),
            QueueKind::Delay => self.delay.remove(&mut self.entries, hop),
        }
    }

    fn occupy(&mut self, hop: HopIndex, address: Address, local: LocalIndex) {
        self.entries[hop.as_usize()] = Entry { address, local, state: State::Idle, ..Entry::FREE };
        self.index.insert(address, hop);
    }

    /// Frees the entry of a neighbour that failed, else that of the stale one that was used longest
    /// ago, among those that are looked at.
    fn evict(&mut self, now: Instant, counters: &mut Counters) -> Option<HopIndex> {
        let evictable = self.gateways_len..u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        let looks = EVICTION_LOOKS.min(evictable.end - evictable.start);
        let mut best: Option<((bool, Instant), HopIndex)> = None;
        for _ in 0..looks {
            if !evictable.contains(&self.eviction_hand) {
                self.eviction_hand = evictable.start;
            }
            let hop = HopIndex(self.eviction_hand);
            self.eviction_hand += 1;
            let entry = &self.entries[hop.as_usize()];
            let state = entry.state_at(now);
            let rank = (state != State::Failed, entry.used_at);
            let is_evictable =
                matches!(state, State::Failed | State::Stale) && !self.parked.has_frames(hop);
            if is_evictable && best.is_none_or(|(known, _)| rank < known) {
                best = Some((rank, hop));
            }
        }
        let (_, hop) = best?;
        counters.neighbours_evicted += 1;
        let address = self.entries[hop.as_usize()].address;
        let entries = &self.entries;
        self.index.remove(address, |hop| entries[hop.as_usize()].address);
        self.entries[hop.as_usize()] = Entry::FREE;
        Some(hop)
    }
}
