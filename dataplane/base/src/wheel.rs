//! A hierarchical timer wheel whose entries live in their owners' records.
//!
//! The wheel stores no entry: it keeps one list head per slot, and the links lie in the record
//! that the timer belongs to, reached by index through [`WheelStore`]. Arming and disarming are
//! O(1), a tick costs what falls due in it, and ten million timers cost no memory of their own.
//! Timers are meant to be *lazy*: an owner that pushes its deadline out only stores the new
//! deadline, and arms again when the old entry falls due.
//!
//! ```text
//! level 0: 64 slots of 1 tick | level 1: 64 of 64 | level 2: 64 of 4,096 | level 3: 64 of 262,144
//! ```

use crate::time::Instant;

/// The index that names nothing.
pub const NIL: u32 = u32::MAX;

const LEVELS: usize = 4;
const SLOTS: usize = 64;
/// One tick is 2^20 ns, 1.05 ms: finer than every TCP timer, and a shift away from nanoseconds.
const TICK_SHIFT: u32 = 20;
/// 64^4 - 1: the longest delay an entry is filed under, in ticks (about 4.9 hours); longer ones come back
/// at this horizon and are filed again by their lazy owner.
const TICKS_MAX: u64 = (1 << 24) - 1;

/// The links of one timer: 16 bytes inside the owner's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WheelLinks {
    /// The next entry of the same slot, or [`NIL`].
    pub next: u32,
    /// The entry before, or [`NIL`] for the first of its slot.
    pub prev: u32,
    /// The slot (level * 64 + slot), or [`NIL`] while the timer is not armed.
    pub slot: u32,
    /// The low half of the tick the entry falls due at.
    pub tick: u32,
}

impl WheelLinks {
    /// Links of a timer that is not armed.
    pub const UNARMED: Self = Self { next: NIL, prev: NIL, slot: NIL, tick: 0 };

    /// Whether the timer is in a wheel.
    #[must_use]
    pub const fn is_armed(&self) -> bool {
        self.slot != NIL
    }
}

/// Where the wheel finds the links of entry `index`.
pub trait WheelStore {
    /// The links of entry `index`.
    fn links(&self, index: u32) -> WheelLinks;
    /// Replaces the links of entry `index`.
    fn set_links(&mut self, index: u32, links: WheelLinks);
}

/// The list heads of a timer wheel. Times are exact to one tick (1.05 ms), never early.
#[derive(Debug)]
pub struct Wheel {
    heads: [u32; LEVELS * SLOTS],
    occupied: [u64; LEVELS],
    /// The first tick that has not been served yet.
    current: u64,
    armed_count: u32,
}

impl Wheel {
    /// An empty wheel that starts at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            heads: [NIL; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            current: tick_of(now),
            armed_count: 0,
        }
    }

    /// Timers in the wheel.
    #[must_use]
    pub fn armed_count(&self) -> u32 {
        self.armed_count
    }

    /// Files entry `index` to fall due at `deadline`, rounded up to a tick; moves it if armed.
    pub fn arm(&mut self, store: &mut impl WheelStore, index: u32, deadline: Instant) {
        if store.links(index).is_armed() {
            self.disarm(store, index);
        }
        let due = tick_of(deadline) + 1;
        self.file(store, index, due.clamp(self.current, self.current + TICKS_MAX));
        self.armed_count += 1;
    }

    /// Takes entry `index` out; nothing happens if it is not armed.
    pub fn disarm(&mut self, store: &mut impl WheelStore, index: u32) {
        let links = store.links(index);
        if !links.is_armed() {
            return;
        }
        self.unlink(store, index, links);
        self.armed_count -= 1;
    }

    /// Takes out one entry that is due at `now`, or says that there is none left.
    ///
    /// The caller bounds how many it takes in one turn; what is left falls due in the next.
    pub fn poll_expired(&mut self, store: &mut impl WheelStore, now: Instant) -> Option<u32> {
        let target = tick_of(now);
        loop {
            if self.armed_count == 0 {
                self.current = self.current.max(target);
                return None;
            }
            let head = self.heads[slot_at(self.current, 0)];
            if self.current <= target && head != NIL {
                let links = store.links(head);
                self.unlink(store, head, links);
                self.armed_count -= 1;
                return Some(head);
            }
            if self.current >= target {
                return None;
            }
            self.step(store, target);
        }
    }

    /// When [`Self::poll_expired`] should be called next: never later than the first deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.armed_count > 0).then(|| Instant::from_nanos(self.next_tick() << TICK_SHIFT))
    }

    /// Moves to the next tick at which anything may happen, but not past `target`.
    fn step(&mut self, store: &mut impl WheelStore, target: u64) {
        self.current = (self.current + 1).max(self.next_tick()).min(target);
        // A level is cascaded when the one below has come round; several may come round at once.
        for level in (1..LEVELS).rev() {
            if self.current.trailing_zeros() >= level_shift(level) {
                self.cascade(store, level);
            }
        }
    }

    /// The earliest tick at which an entry falls due or a slot of a higher level must be spread.
    fn next_tick(&self) -> u64 {
        let mut earliest = u64::MAX;
        for level in 0..LEVELS {
            if self.occupied[level] == 0 {
                continue;
            }
            let shift = level_shift(level);
            let position = self.current >> shift;
            let here = u32::try_from(position % SLOTS as u64).expect("below 64");
            let ahead = u64::from(self.occupied[level].rotate_right(here).trailing_zeros());
            // On a higher level the slot of this very moment has been spread already, unless the
            // moment is its beginning: what lies in it belongs to the next round.
            let begun = level > 0 && (self.current & ((1 << shift) - 1)) != 0;
            let ahead = if begun && ahead == 0 { self.next_round(level, here) } else { ahead };
            earliest = earliest.min((position + ahead) << shift);
        }
        earliest.max(self.current)
    }

    /// Slots until the next occupied one of `level`, when the present one counts as a full round.
    fn next_round(&self, level: usize, here: u32) -> u64 {
        let others = self.occupied[level].rotate_right(here) & !1;
        if others == 0 { SLOTS as u64 } else { u64::from(others.trailing_zeros()) }
    }

    /// Files again, lower down, what lies in the present slot of `level`.
    fn cascade(&mut self, store: &mut impl WheelStore, level: usize) {
        let slot = slot_at(self.current, level);
        let mut index = self.heads[slot];
        self.heads[slot] = NIL;
        self.occupied[level] &= !(1 << (slot % SLOTS));
        while index != NIL {
            let links = store.links(index);
            let due = self.current + u64::from(links.tick.wrapping_sub(low_half(self.current)));
            self.file(store, index, due);
            index = links.next;
        }
    }

    fn file(&mut self, store: &mut impl WheelStore, index: u32, due: u64) {
        let delay = due - self.current;
        let level = (1..LEVELS).rev().find(|&l| delay >= 1 << level_shift(l)).unwrap_or(0);
        let slot = slot_at(due, level);
        let next = self.heads[slot];
        if next != NIL {
            let neighbour = store.links(next);
            store.set_links(next, WheelLinks { prev: index, ..neighbour });
        }
        let slot_name = u32::try_from(slot).expect("there are 256 slots");
        let links = WheelLinks { next, prev: NIL, slot: slot_name, tick: low_half(due) };
        store.set_links(index, links);
        self.heads[slot] = index;
        self.occupied[level] |= 1 << (slot % SLOTS);
    }

    fn unlink(&mut self, store: &mut impl WheelStore, index: u32, links: WheelLinks) {
        let slot = links.slot as usize;
        if links.prev == NIL {
            self.heads[slot] = links.next;
            if links.next == NIL {
                self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
            }
        } else {
            let before = store.links(links.prev);
            store.set_links(links.prev, WheelLinks { next: links.next, ..before });
        }
        if links.next != NIL {
            let after = store.links(links.next);
            store.set_links(links.next, WheelLinks { prev: links.prev, ..after });
        }
        store.set_links(index, WheelLinks::UNARMED);
    }
}

fn tick_of(at: Instant) -> u64 {
    at.as_nanos() >> TICK_SHIFT
}

fn level_shift(level: usize) -> u32 {
    6 * u32::try_from(level).expect("there are four levels")
}

fn slot_at(tick: u64, level: usize) -> usize {
    let within = (tick >> level_shift(level)) % SLOTS as u64;
    level * SLOTS + usize::try_from(within).expect("below 64")
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low_half(tick: u64) -> u32 {
    tick as u32
}

#[cfg(test)]
mod tests;
