//! What leaves: batches when they are due, and what is sent again.

use std::sync::Arc;

use base::{Duration, Instant};
use protocol::{RegisterCode, RegisterFlags, write_watch};

use super::Core;
use super::batch::{Batch, Kind, Tag};
use super::conn::{Action, ConnId, Flight, Solo};
use crate::error::{CallError, Over, RequestError};
use crate::event::Event;
use crate::limits::{
    BACKOFF_MAX, BATCH_DELAY, DEFERRED_MAX, FLIGHTS_MAX, FLUSH_LEN, OUTGOING_LEN_MAX, RETRY_FIRST,
    RETRY_MAX,
};

/// A request that waits because the switch could not take it yet.
#[derive(Debug)]
pub(super) struct Deferred {
    at: Instant,
    slot: usize,
    flight: Flight,
}

impl Deferred {
    /// Messages in it.
    pub(super) fn messages(&self) -> u64 {
        self.flight.messages()
    }

    /// As of what waits to be sent.
    pub(super) fn may_have_granted(&self) -> bool {
        let is_registration = |batch: &Batch| matches!(batch.kind, Kind::Register(_));
        matches!(&self.flight, Flight::Batch(batch) if batch.is_again && is_registration(batch))
    }
}

impl Core {
    /// Does what is due, and says when to come again; `now` was read before anything is sent.
    /// `None`: not before something arrives.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        if self.over.is_some() {
            return None;
        }
        if self.closing.is_some_and(|closing| closing <= now) {
            self.say_bye();
            self.finish(Over::Closed);
            return None;
        }
        self.poll_lease(now);
        self.poll_deferred(now);
        self.poll_dials(now);
        for index in 0..self.slots.len() {
            self.flush(index, now);
        }
        self.poll_closing();
        self.due(now)
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        let slots = self.slots.iter().filter_map(|slot| match &slot.conn {
            None => Some(slot.retry_at.max(now)).filter(|_at| self.closing.is_none()),
            Some(conn) if !conn.is_ready() => Some(conn.since + crate::limits::CONNECT_MAX),
            // A full connection is looked at when it has sent or heard something.
            Some(conn) if conn.flights.len() >= FLIGHTS_MAX => None,
            Some(conn) if conn.unsent().len() >= OUTGOING_LEN_MAX => None,
            Some(_conn) => slot.lanes.due(BATCH_DELAY),
        });
        // What may not be dialled yet waits for another connection.
        let slots = slots.filter(|at| *at > now);
        let deferred = self.deferred.iter().map(|deferred| deferred.at);
        slots.chain(deferred).chain(self.lease_due()).chain(self.closing).min()
    }

    /// Sends what waits: at once if nothing is under way, else when it is enough or old enough.
    fn flush(&mut self, index: usize, now: Instant) {
        let slot = &self.slots[index];
        let Some(conn) = slot.conn.as_ref().filter(|conn| conn.is_ready()) else {
            return;
        };
        let is_due = conn.flights.is_empty()
            || slot.lanes.len() >= FLUSH_LEN
            || slot.lanes.due(BATCH_DELAY).is_some_and(|due| due <= now);
        let id = conn.id;
        if is_due {
            while self.has_room(id) {
                let Some(batch) = self.slots[index].lanes.pop() else {
                    break;
                };
                self.fly_batch(id, batch, now);
            }
        }
        while self.has_room(id) {
            let Some(solo) = self.slots[index].solos.pop_front() else {
                break;
            };
            if !solo.is_wanted(&self.requests) {
                continue;
            }
            let frame = solo.frame.clone();
            self.fly(id, Flight::Solo(solo), |out, id| {
                let start = out.len();
                out.extend_from_slice(&frame);
                out[start + 8..start + 12].copy_from_slice(&id.to_le_bytes());
            });
        }
    }

    fn has_room(&self, id: ConnId) -> bool {
        self.conn(id).is_some_and(|conn| {
            conn.flights.len() < FLIGHTS_MAX && conn.unsent().len() < OUTGOING_LEN_MAX
        })
    }

    /// Writes a frame, and notes what is under way.
    pub(super) fn fly(
        &mut self,
        id: ConnId,
        flight: Flight,
        write: impl FnOnce(&mut Vec<u8>, u32),
    ) {
        let number = self.next_number();
        if let Some(conn) = self.conn_mut(id) {
            write(&mut conn.out, number);
            conn.flights.insert(number, flight);
        }
    }

    fn next_number(&mut self) -> u32 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }

    fn fly_batch(&mut self, id: ConnId, mut batch: Batch, now: Instant) {
        let number = self.next_number();
        let Some(conn) = self.slots[id.slot].conn.as_mut() else {
            return;
        };
        let limits = conn.limits;
        match batch.write(&mut conn.out, number, &limits) {
            Ok(None) => {}
            Ok(Some(rest)) => self.slots[id.slot].lanes.push_front(rest, now),
            Err(_too_long) => {
                let rest = batch.split_off(1);
                let limit = limits.frame_len_max();
                self.fail_batch(&batch, &CallError::TooLong { limit }.into(), now);
                if !rest.is_empty() {
                    self.slots[id.slot].lanes.push_front(rest, now);
                }
                return;
            }
        }
        self.counters.batches_sent += 1;
        self.counters.items_sent += u64::try_from(batch.count()).unwrap_or(0);
        match batch.kind {
            Kind::Register(flags) => {
                self.registrations += 1;
                if flags.subscribe {
                    let items = batch.items();
                    items.for_each(|(name, tag)| self.told.on_sent(name, tag.call()));
                }
                if flags.wait {
                    let asked =
                        batch.items().filter(|(_name, tag)| matches!(tag, Tag::Wait { .. }));
                    asked.for_each(|(name, tag)| self.waits.on_asked(name, tag.call()));
                }
            }
            Kind::Query { subscribe: true } => {
                batch.asked = self.cache.stamp();
                batch.texts().for_each(|name| self.cache.on_asked(name));
            }
            Kind::Unsubscribe => batch.texts().for_each(|name| self.cache.on_unsubscribed(name)),
            Kind::Query { subscribe: false } | Kind::CancelWait | Kind::Unregister | Kind::Send => {
            }
        }
        if let Some(conn) = self.slots[id.slot].conn.as_mut() {
            conn.flights.insert(number, Flight::Batch(batch));
        }
    }

    /// Ends the calls of a batch. What they would have waited for and been told of ends too.
    pub(super) fn fail_batch(&mut self, batch: &Batch, error: &RequestError, now: Instant) {
        if batch.kind == Kind::Send {
            self.counters.sent_refused += u64::try_from(batch.count()).unwrap_or(0);
        }
        let flags = match batch.kind {
            Kind::Register(flags) => flags,
            Kind::Unsubscribe
            | Kind::Unregister
            | Kind::CancelWait
            | Kind::Query { .. }
            | Kind::Send => RegisterFlags::default(),
        };
        for (name, tag) in batch.items() {
            // Where nothing of a call is waited for any more, there is nothing to cancel.
            if let (true, Tag::Call { request, .. } | Tag::Recover { request, .. }) =
                (flags.wait, tag)
            {
                self.waits.remove_of(request, name);
            }
        }
        for (name, tag) in batch.items() {
            match self.end_recovery(name, tag) {
                Tag::Call { request, .. } | Tag::Recover { request, .. } => {
                    self.told.on_unfollowed(name, request);
                    self.fail(request, error.clone(), now);
                }
                Tag::Wait { request } | Tag::RecoverWait { request } => {
                    if self.waits.remove_of(request, name) {
                        let name = Arc::from(name);
                        let failed = Event::WaitFailed { name, code: RegisterCode::Other(0) };
                        self.waited.push_back((request, failed));
                    }
                }
                Tag::Nobody => {}
            }
        }
    }

    /// Closes a connection of the client's own will.
    pub(super) fn drop_conn(&mut self, id: ConnId, now: Instant, pause: Duration) {
        if let Some(conn) = self.conn(id) {
            let rest = conn.unsent().to_vec();
            self.actions.push_back(Action::Close { conn: id, rest });
            self.lose(id, now, pause);
        }
    }

    /// A connection is gone: what was under way is sent again, but for messages, which arrive at
    /// most once.
    pub(super) fn lose(&mut self, id: ConnId, now: Instant, pause: Duration) {
        let Some(conn) = self.slots[id.slot].conn.take_if(|conn| conn.id == id) else {
            return;
        };
        if conn.is_ready() {
            self.counters.connections_lost += 1;
        } else {
            self.counters.connections_failed += 1;
        }
        let lasted = now.saturating_since(conn.since);
        if conn.is_ready() && lasted >= BACKOFF_MAX {
            self.slots[id.slot].on_lasted();
        }
        self.slots[id.slot].back_off(now, pause, &mut self.rng);
        if self.closing.is_some() && id.slot == 0 {
            self.counters.sent_lost += conn.messages();
            self.finish(Over::Closed);
            return;
        }
        let flights: Vec<Flight> = conn.flights.into_values().collect();
        for flight in flights.into_iter().rev() {
            match flight {
                Flight::Batch(batch) => self.resend(id.slot, batch, now),
                Flight::Solo(solo) => self.resend_solo(id.slot, solo, now),
                Flight::Hello
                | Flight::WaitMsg { .. }
                | Flight::Relet { .. }
                | Flight::Yield
                | Flight::Bye => {}
            }
        }
        if self.is_receive(id) && self.is_attached {
            self.is_attached = false;
            self.tell(Event::Disconnected);
        }
    }

    fn resend(&mut self, slot: usize, mut batch: Batch, now: Instant) {
        self.on_landed(&batch);
        if batch.kind == Kind::Send {
            self.counters.sent_lost += u64::try_from(batch.count()).unwrap_or(0);
            return;
        }
        let is_over = matches!(batch.kind, Kind::Unregister | Kind::Unsubscribe | Kind::CancelWait);
        if is_over && self.authority.is_none() {
            batch.runs().iter().for_each(|run| self.settle_run(run));
            return;
        }
        self.counters.requests_resent += 1;
        batch.is_again = true;
        self.requeue(slot, batch, now);
    }

    /// Puts a batch back into its queue, before what came later.
    fn requeue(&mut self, slot: usize, mut batch: Batch, now: Instant) {
        match batch.kind {
            // A registration that left meanwhile waits by right.
            Kind::CancelWait => batch.retain(|name, _tag| self.waits.call_of(name).is_none()),
            // And so does one that subscribed.
            Kind::Unsubscribe => {
                batch.retain(|name, _tag| !self.cache.has(name) && !self.told.contains(name))
            }
            Kind::Register(flags) if flags.wait => batch.retain(|name, tag| {
                // What waits is asked for once, however often its connection is lost.
                !matches!(tag, Tag::Wait { .. }) || self.waits.on_queued(name, tag.call())
            }),
            Kind::Register(_) | Kind::Unregister | Kind::Query { .. } | Kind::Send => {}
        }
        if !batch.is_empty() {
            self.slots[slot].lanes.push_front(batch, now);
        }
    }

    fn resend_solo(&mut self, slot: usize, solo: Solo, now: Instant) {
        if solo.messages() > 0 {
            self.counters.sent_lost += solo.messages();
            self.fail(solo.request, RequestError::Lost, now);
            return;
        }
        self.counters.requests_resent += 1;
        self.slots[slot].solos.push_front(solo);
    }

    /// A batch is not under way any more, answered or not.
    pub(super) fn on_landed(&mut self, batch: &Batch) {
        match batch.kind {
            Kind::Register(_) => self.registrations -= 1,
            Kind::Query { subscribe: true } => {
                for name in batch.texts() {
                    self.cache.on_answered(name, batch.asked, protocol::Sequence::NONE);
                }
            }
            Kind::Query { subscribe: false }
            | Kind::Unsubscribe
            | Kind::CancelWait
            | Kind::Unregister
            | Kind::Send => {}
        }
    }

    /// Tries again later, twice as late each time; `least` is what the switch says.
    pub(super) fn defer(&mut self, slot: usize, flight: Flight, least: Duration, now: Instant) {
        let Some((deferrals, flight)) = deferrable(flight) else {
            return;
        };
        if self.deferred.len() >= DEFERRED_MAX {
            let full = CallError::Full { what: "the list of what the switch was too busy for" };
            self.fail_flight(&flight, &full.into(), now);
            return;
        }
        self.counters.requests_deferred += 1;
        // Not before the switch says; then twice as late each time, and not all clients at once.
        let pause = (RETRY_FIRST.as_nanos() << deferrals.min(10)).min(RETRY_MAX.as_nanos());
        let jittered = Duration::from_nanos(pause / 2 + self.rng.below(pause / 2 + 1));
        let at = now + least.min(RETRY_MAX) + jittered;
        self.deferred.push(Deferred { at, slot, flight });
    }

    pub(super) fn fail_flight(&mut self, flight: &Flight, error: &RequestError, now: Instant) {
        match flight {
            Flight::Batch(batch) => self.fail_batch(batch, error, now),
            Flight::Solo(solo) => {
                // One that was watched before is asked for again with the next connection.
                if solo.kind == protocol::RequestKind::Watch && solo.request != 0 {
                    self.watch = None;
                }
                self.counters.sent_refused += solo.messages();
                self.fail(solo.request, error.clone(), now);
            }
            Flight::Hello
            | Flight::WaitMsg { .. }
            | Flight::Relet { .. }
            | Flight::Yield
            | Flight::Bye => {}
        }
    }

    fn poll_deferred(&mut self, now: Instant) {
        let due: Vec<Deferred> = self.deferred.extract_if(.., |each| each.at <= now).collect();
        for Deferred { slot, flight, .. } in due {
            match flight {
                Flight::Batch(batch) => self.requeue(slot, batch, now),
                Flight::Solo(solo) => self.slots[slot].solos.push_back(solo),
                Flight::Hello
                | Flight::WaitMsg { .. }
                | Flight::Relet { .. }
                | Flight::Yield
                | Flight::Bye => {}
            }
        }
    }

    /// Watches what was watched before the connection was lost.
    pub(super) fn watch_again(&mut self) {
        let kind = protocol::RequestKind::Watch;
        if self.slots[0].solos.has(kind) {
            return;
        }
        if let Some(prefix) = &self.watch {
            let mut frame = Vec::new();
            write_watch(&mut frame, 0, prefix);
            let nodes = Vec::new();
            let solo = Solo { request: 0, kind, frame, nodes, items: 1, deferrals: 0 };
            self.slots[0].solos.push_back(solo);
        }
    }
}

/// Counts a deferral of a request; another flight is none.
fn deferrable(flight: Flight) -> Option<(u32, Flight)> {
    match flight {
        Flight::Batch(mut batch) => {
            batch.deferrals = batch.deferrals.saturating_add(1);
            Some((batch.deferrals - 1, Flight::Batch(batch)))
        }
        Flight::Solo(mut solo) => {
            solo.deferrals = solo.deferrals.saturating_add(1);
            Some((solo.deferrals - 1, Flight::Solo(solo)))
        }
        Flight::Hello
        | Flight::WaitMsg { .. }
        | Flight::Relet { .. }
        | Flight::Yield
        | Flight::Bye => None,
    }
}
