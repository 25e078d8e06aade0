//! The core's part of a listing: a few records now and then, into its own rows.
//!
//! The naive tool asks over a socket, or stops the core to read its tables. The one needs frames
//! just when there are none, the other stops everybody. Here a tool writes what it wants into the
//! file; a core that sees it looks at some records in a turn and never at more than its share of
//! the time allows; and where the tool is slow, the core goes on with its work.

use base::Instant;
#[cfg(not(loom))]
use memory::SharedFile;

use crate::{
    layout::request_at,
    limits::{
        LOOK_NANOS, ROW_NANOS, WALK_INTERVAL, WALK_LATE, WALK_SHARE, WALK_STEP_NANOS,
        WALK_STEP_NANOS_MAX,
    },
    row::{Filter, Row},
    rows::{Ending, Outbox, Shape},
    sync::{AtomicU64, Ordering, fence},
};

/// What is found where a cursor points. What a cursor means is the caller's: a table and an index
/// in it, say. The first one is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A connection, and where to look next.
    Row(u64, Row),
    /// Nothing, and where to look next.
    Free(u64),
    /// There is no more.
    End,
}

/// One core's walks, one after another.
#[derive(Debug)]
#[cfg(not(loom))]
pub struct Walk {
    file: std::sync::Arc<SharedFile>,
    request: usize,
    channel: usize,
    walker: Walker,
}

#[cfg(not(loom))]
impl Walk {
    pub(crate) fn new(
        file: std::sync::Arc<SharedFile>,
        request: usize,
        channel: usize,
        shape: Shape,
    ) -> Self {
        Self { file, request, channel, walker: Walker::new(shape) }
    }

    /// Call it in every turn. Nearly always it is one load; while a tool lists, `look` is called
    /// for some records. Returns whether it was. It never waits and never allocates.
    #[inline]
    pub fn poll(&mut self, now: Instant, look: impl FnMut(u64) -> Look) -> bool {
        let words = self.file.words();
        self.walker.poll(&words[self.request..], &words[self.channel..], now, look)
    }

    /// When to call [`Walk::poll`] next, while something is listed: a core that has nothing else
    /// to do may sleep until then. A core with nothing to list that sleeps sees a request when it
    /// wakes up.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.walker.deadline()
    }

    /// The most entries that one [`Walk::poll`] has looked at: never more than
    /// [`WALK_LOOKS_MAX`](crate::limits::WALK_LOOKS_MAX).
    #[must_use]
    pub fn looks_max(&self) -> u64 {
        self.walker.looks_max
    }
}

/// The walk as a state machine over words.
#[derive(Debug)]
pub(crate) struct Walker {
    /// The request that was seen last.
    seen: u64,
    outbox: Outbox,
    walking: Option<Walking>,
    /// The most entries that one step has looked at.
    looks_max: u64,
}

#[derive(Debug)]
struct Walking {
    filter: Filter,
    cursor: u64,
    /// Nanoseconds that may be spent.
    credit: u64,
    credited_at: Instant,
    /// Since when there is no room.
    full_since: Option<Instant>,
}

impl Walker {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { seen: 0, outbox: Outbox::new(shape), walking: None, looks_max: 0 }
    }

    #[inline]
    pub(crate) fn poll(
        &mut self,
        request: &[AtomicU64],
        channel: &[AtomicU64],
        now: Instant,
        mut look: impl FnMut(u64) -> Look,
    ) -> bool {
        let wanted = request[request_at::REQUEST].load(Ordering::Relaxed);
        if wanted != self.seen {
            self.turn_to(request, channel, wanted, now);
        }
        let Some(walking) = &mut self.walking else { return false };
        if !walking.earn(now) {
            return false;
        }
        let mut looks = 0;
        let counted = |cursor| {
            looks += 1;
            look(cursor)
        };
        if let Some(ending) = walking.step(&mut self.outbox, channel, now, counted) {
            self.outbox.end(channel, ending);
            self.walking = None;
        }
        self.looks_max = self.looks_max.max(looks);
        true
    }

    /// A tool has asked for another listing, or for none any more.
    #[cold]
    fn turn_to(&mut self, request: &[AtomicU64], channel: &[AtomicU64], wanted: u64, now: Instant) {
        fence(Ordering::Acquire);
        let words = std::array::from_fn(|index| {
            request[request_at::FILTER + index].load(Ordering::Relaxed)
        });
        fence(Ordering::Acquire);
        if request[request_at::REQUEST].load(Ordering::Relaxed) != wanted {
            // It is being written: the next turn will see it.
            return;
        }
        self.seen = wanted;
        self.walking = None;
        if let Ok(id @ 1..) = u32::try_from(wanted) {
            self.outbox.begin(channel, id);
            self.walking = Some(Walking {
                filter: Filter::from_words(words),
                cursor: 0,
                credit: WALK_STEP_NANOS,
                credited_at: now,
                full_since: None,
            });
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.walking.as_ref().map(|walking| walking.credited_at + WALK_INTERVAL)
    }
}

impl Walking {
    /// Adds the core's share of the time that has passed; whether it is enough for a step.
    fn earn(&mut self, now: Instant) -> bool {
        let earned = now.saturating_since(self.credited_at).as_nanos() / WALK_SHARE;
        if self.credit + earned < WALK_STEP_NANOS {
            return false;
        }
        self.credit = (self.credit + earned).min(WALK_STEP_NANOS_MAX);
        self.credited_at = now;
        true
    }

    /// Looks at records until the credit is spent, the rows are full or there is no more.
    fn step(
        &mut self,
        outbox: &mut Outbox,
        channel: &[AtomicU64],
        now: Instant,
        mut look: impl FnMut(u64) -> Look,
    ) -> Option<Ending> {
        let mut ending = None;
        while self.credit > 0 {
            if !outbox.has_room(channel) {
                let since = *self.full_since.get_or_insert(now);
                let is_late = now.saturating_since(since) > WALK_LATE;
                ending = is_late.then_some(Ending::GivenUp);
                break;
            }
            self.full_since = None;
            let cost = match look(self.cursor) {
                Look::Row(next, row) => {
                    self.cursor = next;
                    let is_wanted = self.filter.takes(&row);
                    if is_wanted {
                        outbox.push(channel, &row.to_words());
                    }
                    if is_wanted { ROW_NANOS } else { LOOK_NANOS }
                }
                Look::Free(next) => {
                    self.cursor = next;
                    LOOK_NANOS
                }
                Look::End => {
                    ending = Some(Ending::Complete);
                    break;
                }
            };
            self.credit = self.credit.saturating_sub(cost);
        }
        outbox.show(channel);
        ending
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
