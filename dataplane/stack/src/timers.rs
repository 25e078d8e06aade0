//! The service's timers: a key each, in a wheel of their own.

use base::{Instant, NIL, Wheel, WheelLinks, WheelStore};
use memory::{ArenaError, Linked, PageChoice, Reuse, Slab};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Too many timers are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no more timers can be set: all are running")]
pub struct TimersFull;

#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
struct Timer {
    key: u64,
    next: u32,
    prev: u32,
    slot: u32,
    tick: u32,
}

impl Linked for Timer {
    fn link(&self) -> u32 {
        self.next
    }
    fn set_link(&mut self, next: u32) {
        self.next = next;
    }
}

struct Links<'a>(&'a mut Slab<Timer>);

impl WheelStore for Links<'_> {
    fn links(&self, index: u32) -> WheelLinks {
        let Timer { key: _, next, prev, slot, tick } = self.0[index];
        WheelLinks { next, prev, slot, tick }
    }
    fn set_links(&mut self, index: u32, links: WheelLinks) {
        let WheelLinks { next, prev, slot, tick } = links;
        let timer = &mut self.0[index];
        *timer = Timer { key: timer.key, next, prev, slot, tick };
    }
}

/// The timers of one core's service.
#[derive(Debug)]
pub(crate) struct Timers {
    slab: Slab<Timer>,
    wheel: Wheel,
}

impl Timers {
    pub(crate) fn new(capacity: u32, pages: PageChoice, now: Instant) -> Result<Self, ArenaError> {
        Ok(Self { slab: Slab::new(capacity, Reuse::Lifo, pages)?, wheel: Wheel::new(now) })
    }

    pub(crate) fn set(&mut self, key: u64, deadline: Instant) -> Result<(), TimersFull> {
        let index = self.slab.allocate().ok_or(TimersFull)?;
        self.slab[index] = Timer { key, next: NIL, prev: NIL, slot: NIL, tick: 0 };
        self.wheel.arm(&mut Links(&mut self.slab), index, deadline);
        Ok(())
    }

    /// The key of one timer that is due.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<u64> {
        let index = self.wheel.poll_expired(&mut Links(&mut self.slab), now)?;
        let key = self.slab[index].key;
        self.slab.free(index);
        Some(key)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.wheel.next_deadline()
    }

    pub(crate) fn set_count(&self) -> u32 {
        self.slab.used()
    }
}

#[cfg(test)]
mod tests {
    use super::{Timers, TimersFull};
    use base::{Duration, Instant};
    use memory::PageChoice;

    #[test]
    fn timers_run_out_in_order_and_make_room() {
        let start = Instant::from_nanos(77);
        let mut timers = Timers::new(2, PageChoice::Base, start).unwrap();
        timers.set(1, start + Duration::from_millis(20)).unwrap();
        timers.set(2, start + Duration::from_millis(10)).unwrap();
        assert_eq!(timers.set(3, start), Err(TimersFull));
        assert_eq!(timers.poll(start + Duration::from_millis(5)), None);
        let late = start + Duration::from_millis(30);
        assert_eq!((timers.poll(late), timers.poll(late)), (Some(2), Some(1)));
        assert_eq!((timers.poll(late), timers.set_count()), (None, 0));
    }
}
