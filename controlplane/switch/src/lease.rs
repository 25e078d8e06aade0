//! The leases of all sessions, in the order in which they end.
//!
//! Every session has the same exclusion, so who renewed last ends last: a list suffices. A renewal
//! moves a session to the back, and what is due stands at the front.

use base::{Duration, Instant};

use crate::limits::NIL;

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
    renewed_at: Instant,
    is_linked: bool,
}

const UNLINKED: Link = Link { prev: NIL, next: NIL, renewed_at: Instant::ZERO, is_linked: false };

/// See the file's first words. Sessions are named by their index.
#[derive(Debug)]
pub(crate) struct Leases {
    links: Vec<Link>,
    first: u32,
    last: u32,
    exclusion: Duration,
}

impl Leases {
    /// Room for `sessions_max` sessions whose ports are kept for `exclusion` of silence.
    pub(crate) fn new(sessions_max: u32, exclusion: Duration) -> Self {
        Self { links: vec![UNLINKED; sessions_max as usize], first: NIL, last: NIL, exclusion }
    }

    /// `session` was heard at `now`: its lease ends `exclusion` later.
    pub(crate) fn renew(&mut self, session: u32, now: Instant) {
        self.end(session);
        if self.last == NIL {
            self.first = session;
        } else {
            self.links[self.last as usize].next = session;
        }
        let link = Link { prev: self.last, next: NIL, renewed_at: now, is_linked: true };
        self.links[session as usize] = link;
        self.last = session;
    }

    /// Takes `session` out, whether or not it is in.
    pub(crate) fn end(&mut self, session: u32) {
        let Link { prev, next, renewed_at: _, is_linked } = self.links[session as usize];
        if !is_linked {
            return;
        }
        match prev {
            NIL => self.first = next,
            _ => self.links[prev as usize].next = next,
        }
        match next {
            NIL => self.last = prev,
            _ => self.links[next as usize].prev = prev,
        }
        self.links[session as usize] = UNLINKED;
    }

    /// The session that has been silent for the whole exclusion, if there is one.
    pub(crate) fn due(&self, now: Instant) -> Option<u32> {
        (self.first != NIL && self.ends_at(self.first) <= now).then_some(self.first)
    }

    /// When the first lease ends.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        (self.first != NIL).then(|| self.ends_at(self.first))
    }

    /// When the ports of `session`, which is in, become free if it stays silent.
    pub(crate) fn ends_at(&self, session: u32) -> Instant {
        self.links[session as usize].renewed_at + self.exclusion
    }
}

#[cfg(test)]
mod tests {
    use base::{Duration, Instant};

    use super::Leases;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn leases_end_in_the_order_of_their_renewal_and_exactly_at_the_bound() {
        let mut leases = Leases::new(4, Duration::from_millis(100));
        leases.renew(2, at(0));
        leases.renew(1, at(10));
        leases.renew(3, at(20));
        leases.renew(2, at(30));
        assert_eq!(leases.next_end(), Some(at(110)));
        assert_eq!(leases.due(Instant::from_nanos(at(110).as_nanos() - 1)), None);
        assert_eq!(leases.due(at(110)), Some(1));
        leases.end(1);
        leases.end(1);
        assert_eq!(leases.due(at(119)), None);
        assert_eq!(leases.due(at(120)), Some(3));
        leases.end(3);
        assert_eq!(leases.due(at(130)), Some(2));
        leases.end(2);
        assert_eq!((leases.due(at(1_000)), leases.next_end()), (None, None));
    }
}
