//! Messages: to the session that holds a port, to several, to everybody.

use base::Instant;
use protocol::{
    ErrorFrame, Message, RequestKind, SendAnswer, SendItem, SendItems, SendMany, Sequence,
};

use super::Switch;
use super::ports::entry_of;
use crate::connection::{ConnId, Connections};
use crate::counters::Counters;
use crate::limits::BURST;
use crate::outbox::Pushed;
use crate::refusal;
use crate::sessions::{Sessions, State};
use crate::shard::Shard;
use crate::shards::Shards;
use crate::split::Entry;
use crate::table::Port;

type Outcome = Result<(), ErrorFrame<'static>>;

/// Messages that are looked at together: four bursts of the table, and 4 KiB of stack.
const CHUNK: usize = 4 * BURST;

/// Bytes that a message takes beside its blob: a sequence, a length, and its part of a frame.
const MESSAGE_OVERHEAD: usize = 12;

impl Switch {
    pub(super) fn handle_send(&mut self, conn: ConnId, id: u32, items: SendItems<'_>) -> Outcome {
        self.session_or_none(conn)?;
        self.require_acting(conn)?;
        let access = &entry_of(&self.config.access, self.connections.at(conn).access).send;
        if !access.is_any() && !items.iter().all(|item| access.allows(item.name)) {
            return Err(refusal::FORBIDDEN);
        }
        let allowed = self.within_rate(conn, items.len());
        let mut routes = Routes::new(items.len() - allowed);
        let (shards, mut ends) = self.ends();
        let (mut items, allowed) = (items.iter(), allowed as usize);
        let mut chunk = [SendItem { name: &[], blob: &[] }; CHUNK];
        for first in (0..allowed).step_by(CHUNK) {
            // Lengths are walked once, for names and messages together.
            let count = items.fill(&mut chunk[..CHUNK.min(allowed - first)]);
            let names = chunk[..count].iter().map(|item| item.name);
            let blobs = chunk[..count].iter();
            let blobs = blobs.map(|&SendItem { blob, .. }| Entry { blob, ..Entry::default() });
            shards.find(names, blobs, |entry, shard, found| {
                routes.count(found.map(|port| ends.deliver(shard, port, entry.blob)));
            });
        }
        self.finish_sending(conn, RequestKind::Send, id, routes);
        Ok(())
    }

    pub(super) fn handle_send_many(
        &mut self,
        conn: ConnId,
        id: u32,
        many: &SendMany<'_>,
    ) -> Outcome {
        self.session_or_none(conn)?;
        self.require_acting(conn)?;
        let access = &entry_of(&self.config.access, self.connections.at(conn).access).send;
        if !access.is_any() && !many.names.iter().all(|name| access.allows(name)) {
            return Err(refusal::FORBIDDEN);
        }
        let allowed = self.within_rate(conn, many.names.len());
        let mut routes = Routes::new(many.names.len() - allowed);
        let (shards, mut ends) = self.ends();
        let names = many.names.iter().take(allowed as usize);
        shards.find(names, std::iter::repeat(Entry::default()), |_entry, shard, found| {
            routes.count(found.map(|port| ends.deliver(shard, port, many.blob)));
        });
        self.finish_sending(conn, RequestKind::SendMany, id, routes);
        Ok(())
    }

    pub(super) fn handle_broadcast(&mut self, conn: ConnId, id: u32, blob: &[u8]) -> Outcome {
        let session = self.session_or_none(conn)?;
        self.require_acting(conn)?;
        // It reaches whoever holds anything, so who may send to some names only may not.
        if !entry_of(&self.config.access, self.connections.at(conn).access).send.is_any() {
            return Err(refusal::FORBIDDEN);
        }
        let is_allowed = self.within_rate(conn, 1) > 0;
        let mut routes = Routes::new(0);
        let (_, mut ends) = self.ends();
        for index in 0..ends.sessions.index_end() {
            if ends.sessions.session(index).state != State::Live || Some(index) == session {
                continue;
            }
            if is_allowed {
                routes.count(Some(ends.put(index, Sequence::NONE, blob)));
            } else {
                routes.over_rate += 1;
            }
        }
        self.finish_sending(conn, RequestKind::Broadcast, id, routes);
        Ok(())
    }

    /// How many of so many messages the node may send now; the others are dropped.
    fn within_rate(&mut self, conn: ConnId, wanted: u32) -> u32 {
        let connection = self.connections.at(conn);
        let rate = entry_of(&self.config.access, connection.access).quota.messages_per_second;
        if rate == 0 {
            return wanted;
        }
        let now: Instant = self.now;
        self.sessions.node_mut(connection.node).bucket.take(wanted, rate, now)
    }

    fn ends(&mut self) -> (&mut Shards, Ends<'_>) {
        let ends = Ends { connections: &mut self.connections, sessions: &self.sessions };
        (&mut self.shards, ends)
    }

    fn finish_sending(&mut self, conn: ConnId, kind: RequestKind, id: u32, routes: Routes) {
        routes.add_to(&mut self.counters);
        if id != 0 {
            let answer = routes.answer();
            self.connections.answer(conn, |out| answer.write(out, kind, id));
        }
    }
}

/// Where a message for a session that is there ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Delivered,
    QueueFull,
    NoReceiver,
}

/// How many messages ended where.
#[derive(Clone, Copy, Debug)]
struct Routes {
    delivered: u32,
    nobody: u32,
    queue_full: u32,
    no_receiver: u32,
    over_rate: u32,
}

impl Routes {
    fn new(over_rate: u32) -> Self {
        Self { delivered: 0, nobody: 0, queue_full: 0, no_receiver: 0, over_rate }
    }

    #[inline]
    fn count(&mut self, route: Option<Route>) {
        let counter = match route {
            Some(Route::Delivered) => &mut self.delivered,
            Some(Route::QueueFull) => &mut self.queue_full,
            Some(Route::NoReceiver) => &mut self.no_receiver,
            None => &mut self.nobody,
        };
        *counter += 1;
    }

    fn answer(self) -> SendAnswer {
        let Self { delivered, nobody, queue_full, no_receiver, over_rate } = self;
        SendAnswer { delivered, nobody, dropped: queue_full + no_receiver + over_rate }
    }

    fn add_to(self, counters: &mut Counters) {
        let Self { delivered, nobody, queue_full, no_receiver, over_rate } = self;
        counters.messages_delivered += u64::from(delivered);
        counters.messages_nobody += u64::from(nobody);
        counters.messages_queue_full += u64::from(queue_full);
        counters.messages_no_receiver += u64::from(no_receiver);
        counters.messages_over_rate += u64::from(over_rate);
    }
}

/// Where messages go.
struct Ends<'a> {
    connections: &'a mut Connections,
    sessions: &'a Sessions,
}

impl Ends<'_> {
    /// Puts a message into the queue of who holds a port.
    #[inline]
    fn deliver(&mut self, shard: &Shard, port: Port, blob: &[u8]) -> Route {
        self.put(shard.session(port.slot), Sequence::from_bits(port.sequence), blob)
    }

    #[inline]
    fn put(&mut self, session: u32, sequence: Sequence, blob: &[u8]) -> Route {
        let Some(conn) = self.sessions.session(session).conn else {
            return Route::NoReceiver;
        };
        let connection = self.connections.at(conn);
        let len = connection.outbox.pushes_len() + blob.len() + MESSAGE_OVERHEAD;
        if len > connection.queue_len_max as usize {
            return Route::QueueFull;
        }
        self.connections.push(conn, Pushed::Message(Message { sequence, blob }));
        Route::Delivered
    }
}
