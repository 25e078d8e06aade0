//! One neighbour: a cache line.

use base::Instant;
use wire::{Address, MacAddress};

use super::HopIndex;
use super::queue::QueueKind;
use crate::addresses::LocalIndex;

/// What is known about a neighbour (RFC 4861 7.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum State {
    /// The slot belongs to nobody.
    Free,
    /// A gateway that nobody has needed yet.
    Idle,
    /// It is being looked for.
    Incomplete,
    /// It has answered a short time ago.
    Reachable,
    /// Where it is is known, but not whether it is still there.
    Stale,
    /// It is being used, and the upper layer may soon say that it is there.
    Delay,
    /// It is asked whether it is still there.
    Probe,
    /// It did not answer.
    Failed,
}

/// One neighbour.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Entry {
    pub(super) address: Address,
    /// Reachable: when it becomes stale. Failed: when it may be asked again. In a queue: when that
    /// has something to do.
    pub(super) until: Instant,
    /// When a packet last went there.
    pub(super) used_at: Instant,
    /// Zero while it is not known.
    pub(super) mac: MacAddress,
    /// The own address that asks.
    pub(super) local: LocalIndex,
    pub(super) state: State,
    pub(super) queue: QueueKind,
    /// Solicitations since the state was entered.
    pub(super) asked: u8,
    /// Links of the queue.
    pub(super) previous: HopIndex,
    pub(super) next: HopIndex,
}

const _: () = assert!(size_of::<Entry>() == 64, "a neighbour is one cache line");

impl Entry {
    /// A slot that belongs to nobody.
    pub(super) const FREE: Self = Self {
        // Nobody looks for the unspecified address, so a hint to a free slot is never good.
        address: Address::UNSPECIFIED_V6,
        until: Instant::ZERO,
        used_at: Instant::ZERO,
        mac: MacAddress::ZERO,
        local: LocalIndex(0),
        state: State::Free,
        queue: QueueKind::None,
        asked: 0,
        previous: HopIndex::NONE,
        next: HopIndex::NONE,
    };

    /// The state, with the time that makes the reachable stale taken into account.
    #[inline]
    pub(super) fn state_at(&self, now: Instant) -> State {
        if self.state == State::Reachable && now >= self.until { State::Stale } else { self.state }
    }

    /// Whether the Ethernet address is known.
    #[inline]
    pub(super) fn has_mac(&self) -> bool {
        match self.state {
            State::Reachable | State::Stale | State::Delay | State::Probe => true,
            State::Free | State::Idle | State::Incomplete | State::Failed => false,
        }
    }
}
