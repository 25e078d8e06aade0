//! TIME-WAIT: tuples that rest for two maximum segment lifetimes, 40 bytes each.
//!
//! The time-out is the same for all, so the table is a ring in the order of expiry: entering
//! appends, expiry takes from the front, and a full ring recycles its oldest entry. An entry that
//! restarts its rest (a FIN came again) or ends early (RFC 6191) leaves a hole behind.

use base::Instant;
use memory::{ArenaError, Array, PageChoice};
use wire::Address;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Tuple;
use crate::limits::TIME_WAIT;

/// What is left of a connection that we closed first.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct TimeWait {
    remote: [u8; 16],
    remote_port: u16,
    local_port: u16,
    local: u16,
    pub(crate) hop: u16,
    pub(crate) snd_nxt: u32,
    pub(crate) rcv_nxt: u32,
    /// The peer's last timestamp, where timestamps are used.
    pub(crate) ts_recent: u32,
    /// When the rest ends, in milliseconds, wrapped; the low bit says that timestamps are used.
    deadline_ms: u32,
}

const TIMESTAMPS: u32 = 1;

impl TimeWait {
    pub(crate) fn tuple(&self) -> Tuple {
        Tuple {
            remote: Address::from_octets(self.remote),
            remote_port: self.remote_port,
            local_port: self.local_port,
            local: self.local,
        }
    }

    pub(crate) fn is_for(&self, tuple: &Tuple) -> bool {
        self.remote == tuple.remote.octets()
            && self.remote_port == tuple.remote_port
            && self.local_port == tuple.local_port
            && self.local == tuple.local
    }

    pub(crate) fn has_timestamps(&self) -> bool {
        self.deadline_ms & TIMESTAMPS != 0
    }

    /// When the rest ends, in milliseconds, wrapped.
    pub(crate) fn deadline_ms(&self) -> u32 {
        self.deadline_ms & !TIMESTAMPS
    }
}

/// A remote port of zero: no TCP connection has one, so it marks a hole.
const HOLE: u16 = 0;

/// What a connection leaves behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub(crate) tuple: Tuple,
    pub(crate) hop: u16,
    pub(crate) snd_nxt: u32,
    pub(crate) rcv_nxt: u32,
    pub(crate) ts_recent: Option<u32>,
}

/// The ring.
#[derive(Debug)]
pub(crate) struct TimeWaits {
    ring: Array<TimeWait>,
    capacity: u32,
    head: u32,
    /// Entries and holes between head and tail.
    len: u32,
    used: u32,
}

impl TimeWaits {
    pub(crate) fn new(capacity: u32, pages: PageChoice) -> Result<Self, ArenaError> {
        let ring = Array::new(capacity as usize, pages)?;
        Ok(Self { ring, capacity, head: 0, len: 0, used: 0 })
    }

    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn entry(&self, index: u32) -> &TimeWait {
        &self.ring[index as usize]
    }

    pub(crate) fn prefetch(&self, index: u32) {
        self.ring.prefetch(index as usize);
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Entry `index`, if a tuple rests there.
    pub(crate) fn live(&self, index: u32) -> Option<&TimeWait> {
        let ahead = (index + self.capacity - self.head) % self.capacity;
        Some(self.entry(index)).filter(|entry| ahead < self.len && entry.remote_port != HOLE)
    }

    /// The entry that [`Self::insert`] would need recycled, if the ring is full.
    pub(crate) fn oldest_if_full(&mut self) -> Option<u32> {
        self.drop_holes();
        (self.len == self.capacity).then_some(self.head)
    }

    /// Lets a tuple rest from `now`.
    ///
    /// # Panics
    /// If the ring is full: the caller removes [`Self::oldest_if_full`] first.
    pub(crate) fn insert(&mut self, rest: &Rest, now: Instant) -> u32 {
        assert!(self.len < self.capacity, "{} tuples rest, and no more fit", self.len);
        let index = self.position(self.len);
        let deadline_ms = (now + TIME_WAIT).as_millis_wrapped() & !TIMESTAMPS;
        self.ring[index as usize] = TimeWait {
            remote: rest.tuple.remote.octets(),
            remote_port: rest.tuple.remote_port,
            local_port: rest.tuple.local_port,
            local: rest.tuple.local,
            hop: rest.hop,
            snd_nxt: rest.snd_nxt,
            rcv_nxt: rest.rcv_nxt,
            ts_recent: rest.ts_recent.unwrap_or(0),
            deadline_ms: deadline_ms | if rest.ts_recent.is_some() { TIMESTAMPS } else { 0 },
        };
        self.len += 1;
        self.used += 1;
        index
    }

    /// Ends a rest; what it leaves is a hole until the ring comes round.
    pub(crate) fn remove(&mut self, index: u32) {
        let entry = &mut self.ring[index as usize];
        assert!(entry.remote_port != HOLE, "TIME-WAIT entry {index} is a hole already");
        entry.remote_port = HOLE;
        self.used -= 1;
        self.drop_holes();
    }

    /// The entry whose rest is over at `now`; the caller removes it.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<u32> {
        self.drop_holes();
        if self.len == 0 {
            return None;
        }
        let left = self.entry(self.head).deadline_ms.wrapping_sub(now.as_millis_wrapped());
        (left == 0 || left > u32::MAX / 2).then_some(self.head)
    }

    /// When the oldest rest ends.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        let left = self.entry(self.head).deadline_ms.wrapping_sub(now.as_millis_wrapped());
        let left = if left > u32::MAX / 2 { 0 } else { left };
        Some(now + base::Duration::from_millis(u64::from(left)))
    }

    fn drop_holes(&mut self) {
        // Each hole was an insertion once, so this is constant per insertion.
        while self.len > 0 && self.entry(self.head).remote_port == HOLE {
            self.head = self.position(1);
            self.len -= 1;
        }
    }

    fn position(&self, ahead: u32) -> u32 {
        let at = self.head + ahead;
        if at >= self.capacity { at - self.capacity } else { at }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rest, TimeWaits};
    use crate::Tuple;
    use base::{Duration, Instant};
    use memory::PageChoice;
    use wire::Address;

    fn rest(port: u16) -> Rest {
        let remote = Address::from(core::net::Ipv4Addr::new(10, 0, 0, 9));
        let tuple = Tuple { remote, remote_port: port, local_port: 80, local: 0 };
        Rest { tuple, hop: 0, snd_nxt: 1, rcv_nxt: 2, ts_recent: Some(3) }
    }

    #[test]
    fn tuples_rest_for_a_minute_in_order() {
        let mut table = TimeWaits::new(4, PageChoice::Base).unwrap();
        let start = Instant::from_nanos(u64::from(u32::MAX) * 1_000_000 - 7);
        let first = table.insert(&rest(1), start);
        let second = table.insert(&rest(2), start + Duration::from_secs(1));
        assert_eq!(table.expired(start + Duration::from_secs(59)), None);
        let due = table.next_deadline(start + Duration::from_secs(30)).unwrap();
        assert_eq!(table.expired(due), Some(first));
        table.remove(first);
        assert_eq!(table.expired(due), None);
        assert_eq!(table.expired(due + Duration::from_secs(2)), Some(second));
    }

    #[test]
    fn full_ring_names_its_oldest_and_holes_are_passed_over() {
        let mut table = TimeWaits::new(3, PageChoice::Base).unwrap();
        let indices: Vec<u32> =
            (1..=3).map(|port| table.insert(&rest(port), Instant::ZERO)).collect();
        assert_eq!(table.oldest_if_full(), Some(indices[0]));
        table.remove(indices[1]);
        assert_eq!(table.oldest_if_full(), Some(indices[0]), "a hole inside frees no room yet");
        table.remove(indices[0]);
        assert_eq!(table.oldest_if_full(), None);
        table.insert(&rest(4), Instant::ZERO);
        table.insert(&rest(5), Instant::ZERO);
        assert_eq!((table.used(), table.oldest_if_full()), (3, Some(indices[2])));
        assert!(table.entry(indices[2]).is_for(&rest(3).tuple));
    }
}
