//! Half-open connections: a SYN has come, our SYN-ACK is out.
//!
//! One at most 64-byte record each, in a table of their own, so that a flood of SYNs costs neither
//! connection records nor extensions. Time-outs double with every SYN-ACK, so there is one FIFO
//! per number of retransmissions: within a class the deadlines are in order, and expiry costs only
//! what expires.

use base::{Duration, Instant, NIL};
use memory::{ArenaError, Linked, PageChoice, Reuse, Slab};
use wire::Address;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Tuple;
use crate::limits::{RTO_INITIAL, SYN_ACK_CLASSES, SYN_ACK_RETRANSMITS_MAX};

/// What a SYN has told and what our SYN-ACK has promised.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct HalfOpen {
    remote: [u8; 16],
    /// When this class's time-out ends, in nanoseconds.
    deadline: u64,
    /// The initial send sequence number.
    pub(crate) iss: u32,
    /// The peer's initial sequence number plus one.
    pub(crate) rcv_nxt: u32,
    pub(crate) ts_recent: u32,
    next: u32,
    prev: u32,
    remote_port: u16,
    local_port: u16,
    local: u16,
    pub(crate) hop: u16,
    pub(crate) listener: u16,
    pub(crate) mss: u16,
    /// The peer's window as its SYN gave it (never scaled).
    pub(crate) snd_wnd: u16,
    /// The peer's scale, or [`HalfOpen::NO_SCALE`].
    pub(crate) send_scale: u8,
    /// SYN-ACKs sent again; the class.
    retransmits: u8,
    flags: u8,
    spare: [u8; 3],
}

impl HalfOpen {
    /// The peer offered no window scale.
    pub(crate) const NO_SCALE: u8 = u8::MAX;
    const TIMESTAMPS: u8 = 1;

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

    /// What was promised.
    pub(crate) fn promise(&self) -> Promise {
        Promise {
            tuple: self.tuple(),
            iss: self.iss,
            rcv_nxt: self.rcv_nxt,
            ts_recent: self.has_timestamps().then_some(self.ts_recent),
            send_scale: (self.send_scale != Self::NO_SCALE).then_some(self.send_scale),
            mss: self.mss,
            snd_wnd: self.snd_wnd,
            hop: self.hop,
            listener: self.listener,
        }
    }

    pub(crate) fn has_timestamps(&self) -> bool {
        self.flags & Self::TIMESTAMPS != 0
    }

    /// Microseconds from our SYN-ACK to `now`: a round-trip time if it was sent once (Karn);
    /// zero, which is none, otherwise.
    pub(crate) fn handshake_us(&self, now: Instant) -> u32 {
        if self.retransmits > 0 {
            return 0;
        }
        let sent_at = self.deadline - RTO_INITIAL.as_nanos();
        let elapsed = now.as_nanos().saturating_sub(sent_at) / 1_000;
        u32::try_from(elapsed).unwrap_or(u32::MAX).max(1)
    }
}

impl Linked for HalfOpen {
    fn link(&self) -> u32 {
        self.next
    }
    fn set_link(&mut self, next: u32) {
        self.next = next;
    }
}

/// What a SYN has told and our SYN-ACK promises; [`HalfOpens::insert`] keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    pub(crate) tuple: Tuple,
    pub(crate) iss: u32,
    pub(crate) rcv_nxt: u32,
    pub(crate) ts_recent: Option<u32>,
    pub(crate) send_scale: Option<u8>,
    pub(crate) mss: u16,
    pub(crate) snd_wnd: u16,
    pub(crate) hop: u16,
    pub(crate) listener: u16,
}

/// What [`HalfOpens::poll_expired`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The SYN-ACK of this entry is to be sent again; it has moved to the next class.
    Resend(u32),
    /// The last time-out is over: the caller removes the entry.
    Ended(u32),
}

#[derive(Clone, Copy, Debug)]
struct Class {
    head: u32,
    tail: u32,
}

/// The table.
#[derive(Debug)]
pub(crate) struct HalfOpens {
    slab: Slab<HalfOpen>,
    classes: [Class; SYN_ACK_CLASSES],
}

impl HalfOpens {
    pub(crate) fn new(capacity: u32, pages: PageChoice) -> Result<Self, ArenaError> {
        let slab = Slab::new(capacity, Reuse::Lifo, pages)?;
        Ok(Self { slab, classes: [Class { head: NIL, tail: NIL }; SYN_ACK_CLASSES] })
    }

    pub(crate) fn used(&self) -> u32 {
        self.slab.used()
    }

    pub(crate) fn entry(&self, index: u32) -> &HalfOpen {
        &self.slab[index]
    }

    /// Entry `index`, if it is in use. A free one has no remote port.
    pub(crate) fn live(&self, index: u32) -> Option<&HalfOpen> {
        self.slab.get(index).filter(|entry| entry.remote_port != 0)
    }

    /// Entries that were ever used.
    pub(crate) fn high_water(&self) -> u32 {
        self.slab.high_water()
    }

    pub(crate) fn prefetch(&self, index: u32) {
        self.slab.prefetch(index);
    }

    /// Keeps a promise until it is met, times out, or is removed; `None` when the table is full.
    pub(crate) fn insert(&mut self, promise: &Promise, now: Instant) -> Option<u32> {
        let index = self.slab.allocate()?;
        let flags = u8::from(promise.ts_recent.is_some()) * HalfOpen::TIMESTAMPS;
        self.slab[index] = HalfOpen {
            remote: promise.tuple.remote.octets(),
            deadline: 0,
            iss: promise.iss,
            rcv_nxt: promise.rcv_nxt,
            ts_recent: promise.ts_recent.unwrap_or(0),
            next: NIL,
            prev: NIL,
            remote_port: promise.tuple.remote_port,
            local_port: promise.tuple.local_port,
            local: promise.tuple.local,
            hop: promise.hop,
            listener: promise.listener,
            mss: promise.mss,
            snd_wnd: promise.snd_wnd,
            send_scale: promise.send_scale.unwrap_or(HalfOpen::NO_SCALE),
            retransmits: 0,
            flags,
            spare: [0; 3],
        };
        self.append(index, 0, now);
        Some(index)
    }

    pub(crate) fn remove(&mut self, index: u32) {
        self.unlink(index);
        self.slab[index].remote_port = 0;
        self.slab.free(index);
    }

    /// One entry whose time-out is over at `now`; resent entries are moved on.
    pub(crate) fn poll_expired(&mut self, now: Instant) -> Option<Expired> {
        for class in 0..SYN_ACK_CLASSES {
            let head = self.classes[class].head;
            if head == NIL || self.slab[head].deadline > now.as_nanos() {
                continue;
            }
            if self.slab[head].retransmits >= SYN_ACK_RETRANSMITS_MAX {
                return Some(Expired::Ended(head));
            }
            self.unlink(head);
            self.slab[head].retransmits += 1;
            self.append(head, class + 1, now);
            return Some(Expired::Resend(head));
        }
        None
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let heads = self.classes.iter().filter(|class| class.head != NIL);
        heads.map(|class| Instant::from_nanos(self.slab[class.head].deadline)).min()
    }

    fn append(&mut self, index: u32, class: usize, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-5
        //# (5.5) The host MUST set RTO <- RTO * 2 ("back off the timer")
        let timeout = Duration::from_nanos(RTO_INITIAL.as_nanos() << class);
        let tail = self.classes[class].tail;
        let entry = &mut self.slab[index];
        entry.deadline = (now + timeout).as_nanos();
        entry.next = NIL;
        entry.prev = tail;
        if tail == NIL {
            self.classes[class].head = index;
        } else {
            self.slab[tail].next = index;
        }
        self.classes[class].tail = index;
    }

    fn unlink(&mut self, index: u32) {
        let HalfOpen { next, prev, retransmits, .. } = self.slab[index];
        let class = &mut self.classes[usize::from(retransmits)];
        if prev == NIL {
            class.head = next;
        }
        if next == NIL {
            class.tail = prev;
        }
        if prev != NIL {
            self.slab[prev].next = next;
        }
        if next != NIL {
            self.slab[next].prev = prev;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expired, HalfOpens, Promise};
    use crate::Tuple;
    use base::{Duration, Instant};
    use memory::PageChoice;
    use wire::Address;

    fn promise(port: u16) -> Promise {
        let remote = Address::from(core::net::Ipv4Addr::new(10, 0, 0, 9));
        Promise {
            tuple: Tuple { remote, remote_port: port, local_port: 80, local: 0 },
            iss: 1,
            rcv_nxt: 2,
            ts_recent: None,
            send_scale: Some(7),
            mss: 1_460,
            snd_wnd: 1_000,
            hop: 0,
            listener: 0,
        }
    }

    #[test]
    fn syn_ack_is_resent_with_doubling_and_then_given_up() {
        let mut table = HalfOpens::new(8, PageChoice::Base).unwrap();
        let start = Instant::from_nanos(5);
        let index = table.insert(&promise(1), start).unwrap();
        let mut at = Vec::new();
        loop {
            let now = table.next_deadline().expect("an entry waits");
            let seconds = (now - start).as_millis() / 1_000;
            match table.poll_expired(now).expect("its time-out is over") {
                Expired::Resend(found) => assert_eq!(found, index),
                Expired::Ended(found) => {
                    table.remove(found);
                    at.push(seconds);
                    break;
                }
            }
            at.push(seconds);
        }
        assert_eq!(at, [1, 3, 7, 15, 31, 63]);
        assert_eq!(table.used(), 0);
    }

    #[test]
    fn entries_leave_from_the_middle_and_a_full_table_refuses() {
        let mut table = HalfOpens::new(3, PageChoice::Base).unwrap();
        let now = Instant::ZERO;
        let indices: Vec<u32> =
            (0..3).map(|port| table.insert(&promise(port), now).unwrap()).collect();
        assert!(table.insert(&promise(9), now).is_none());
        table.remove(indices[1]);
        let later = now + Duration::from_secs(1);
        assert_eq!(table.poll_expired(later), Some(Expired::Resend(indices[0])));
        assert_eq!(table.poll_expired(later), Some(Expired::Resend(indices[2])));
        assert_eq!(table.poll_expired(later), None);
        assert!(table.entry(indices[0]).is_for(&promise(0).tuple));
    }
}
