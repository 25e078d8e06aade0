//! Questions: who holds names, and taking wishes back.

use super::{Asker, CHUNK, Shard};
use crate::interests::{Added, Kind};
use crate::table::Port;

/// The session has as many subscriptions as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPlace;

impl Shard {
    /// Looks names up; `tell` hears of each, in order.
    pub(crate) fn find<'a>(
        &self,
        names: impl Iterator<Item = &'a [u8]>,
        mut tell: impl FnMut(&'a [u8], Option<Port>),
    ) {
        let mut names = names.peekable();
        while names.peek().is_some() {
            let mut chunk: [&[u8]; CHUNK] = [&[]; CHUNK];
            let mut count = 0;
            for (place, name) in chunk.iter_mut().zip(&mut names) {
                *place = name;
                count += 1;
            }
            let chunk = &chunk[..count];
            self.table.find(chunk, &self.slots, &mut |at, found| tell(chunk[at], found));
        }
    }

    /// Subscribes a session to what it was answered, to all of it or to nothing. Gives how many
    /// subscriptions it had not.
    pub(crate) fn subscribe(&mut self, ports: &[Port], asker: &Asker<'_>) -> Result<u32, NoPlace> {
        let session = asker.session;
        let before = self.interests.count(Kind::Subscriber, session);
        for (index, &port) in ports.iter().enumerate() {
            if self.follow(Kind::Subscriber, port, asker) != Added::Full {
                continue;
            }
            let added = self.interests.count(Kind::Subscriber, session) - before;
            debug_assert!(added as usize <= index);
            self.unsubscribe_newest(session, added);
            return Err(NoPlace);
        }
        Ok(self.interests.count(Kind::Subscriber, session) - before)
    }

    /// Takes back the subscriptions that the session got last, which are at the end of its list.
    pub(crate) fn unsubscribe_newest(&mut self, session: u32, count: u32) {
        for _ in 0..count {
            let grant = self.interests.take_newest(Kind::Subscriber, session);
            self.unmark(grant.expect("it came a moment ago"), Kind::Subscriber);
        }
    }

    /// Takes places of the session away and says how many it had.
    pub(crate) fn unfollow<'a>(
        &mut self,
        kind: Kind,
        names: impl Iterator<Item = &'a [u8]>,
        session: u32,
    ) -> u32 {
        let mut removed = 0;
        let mut names = names.peekable();
        while names.peek().is_some() {
            let mut ports = [None; CHUNK];
            let mut count = 0;
            self.find(names.by_ref().take(CHUNK), |_, found| {
                ports[count] = found;
                count += 1;
            });
            for port in ports[..count].iter().flatten() {
                if self.interests.remove(kind, port.sequence, session) {
                    removed += 1;
                    self.unmark(Self::grant_of(*port), kind);
                }
            }
        }
        removed
    }
}
