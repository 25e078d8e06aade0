//! Answers and errors, matched with what was asked.

use std::sync::Arc;

use base::{Duration, Instant};
use protocol::{Answer, ErrorCode, ErrorFrame, EvictedReason, Outcome, QueryPortAnswer};
use protocol::{RegPortAnswer, RegisterCode, RequestKind, Sequence, Token, UnregPortAnswer};

use super::Core;
use super::batch::{Batch, Kind, Tag};
use super::conn::{ConnId, Flight, Solo};
use crate::authority::Ended;
use crate::error::{Over, RequestError};
use crate::event::{Done, Event, Grant, Holder, NodeInfo, Owner, PortInfo, Registered};
use protocol::SendAnswer;

impl Core {
    pub(super) fn handle_answer(
        &mut self,
        id: ConnId,
        number: u32,
        answer: &Answer<'_>,
        now: Instant,
    ) {
        let Some(flight) = self.conn_mut(id).and_then(|conn| conn.flights.remove(&number)) else {
            self.counters.answers_unknown += 1;
            return;
        };
        match (flight, answer) {
            (Flight::Hello, Answer::Welcome(welcome)) => self.on_welcome(id, welcome, now),
            (Flight::WaitMsg { sent }, Answer::WaitMsg(answer)) => {
                self.on_wait_msg(*answer, sent, now);
            }
            (Flight::Relet { sent }, Answer::Relet(answer)) => self.on_relet(answer, sent, now),
            (Flight::Yield, Answer::Yield) => {}
            (Flight::Bye, Answer::Bye) => {
                if self.closing.is_some() {
                    self.finish(Over::Closed);
                }
            }
            (Flight::Batch(batch), answer) => self.on_batch(id, batch, answer, now),
            (Flight::Solo(solo), answer) => self.on_solo(solo, answer),
            (flight, _nonsense) => self.on_nonsense(id, &flight, now),
        }
    }

    /// The switch answers something else than was asked: nothing that it says is to be believed.
    fn on_nonsense(&mut self, id: ConnId, flight: &Flight, now: Instant) {
        self.counters.frames_malformed += 1;
        self.note_nonsense(id, "it answered something else than was asked".to_owned());
        self.fail_flight(flight, &RequestError::Nonsense, now);
        self.drop_conn(id, now, Duration::ZERO);
    }

    fn on_batch(&mut self, id: ConnId, batch: Batch, answer: &Answer<'_>, now: Instant) {
        match (batch.kind, answer) {
            (Kind::Register(_), Answer::RegPort(answer)) => {
                self.registrations -= 1;
                self.on_registered(id, &batch, answer, now);
            }
            (Kind::Unregister, Answer::UnregPort(answer)) => {
                self.on_unregistered(&batch, answer);
            }
            (Kind::Query { subscribe }, Answer::QueryPort(answer))
                if answer.sequences.len() == batch.tags.len() =>
            {
                self.on_queried(&batch, subscribe, answer, now);
            }
            (Kind::Send, Answer::Send(answer)) => self.count_sent(*answer),
            (Kind::Unsubscribe, Answer::Unsubscribe { .. })
            | (Kind::CancelWait, Answer::CancelWait { .. }) => {}
            (_, _nonsense) => {
                self.on_landed(&batch);
                self.on_nonsense(id, &Flight::Batch(batch), now);
            }
        }
    }

    fn count_sent(&mut self, answer: SendAnswer) {
        let SendAnswer { delivered, nobody, dropped } = answer;
        self.counters.sent_delivered += u64::from(delivered);
        self.counters.sent_nobody += u64::from(nobody);
        self.counters.sent_dropped += u64::from(dropped);
    }

    fn on_registered(
        &mut self,
        id: ConnId,
        batch: &Batch,
        answer: &RegPortAnswer<'_>,
        now: Instant,
    ) {
        let shards = self.conn(id).map_or(1, |conn| conn.shards);
        let owners: Vec<Owner> =
            answer.owners.iter().map(|owner| owner_of(owner, Token::default())).collect();
        let mut outcomes = answer.outcomes(batch.names(), shards);
        let items = batch.texts().zip(&batch.tags);
        for ((name, tag), outcome) in items.zip(outcomes.by_ref()) {
            let port = match outcome {
                Outcome::Granted(sequence) => match self.grant(name, sequence) {
                    Some(grant) => Registered::Granted(grant),
                    None => continue,
                },
                Outcome::Failed(failure) => {
                    let is_lost_grant = failure.code == RegisterCode::Mine
                        && (batch.is_again || matches!(tag, Tag::Wait { .. }))
                        && !self.held.contains_key(name);
                    if is_lost_grant {
                        self.recover(name, *tag, now);
                        continue;
                    }
                    let index = failure.owner.and_then(|owner| usize::try_from(owner).ok());
                    let owner = index.and_then(|index| owners.get(index)).cloned();
                    Registered::Failed { code: failure.code, owner }
                }
                Outcome::Unanswered => {
                    let code = RegisterCode::Other(0);
                    self.counters.frames_malformed += 1;
                    Registered::Failed { code, owner: None }
                }
            };
            let is_followed = is_followed(&port);
            self.on_outcome(name, *tag, port, now);
            if batch.kind.subscribes() && is_followed {
                self.on_followed(name, tag.call(), Sequence::NONE);
            } else if batch.kind.subscribes() {
                self.told.on_unfollowed(name, tag.call());
            }
        }
        if self.registrations == 0 {
            self.counters.messages_stale += self.early.clear();
        }
    }

    /// A port that is held already, by a grant whose answer was lost: its sequence is asked for.
    fn recover(&mut self, name: &str, tag: Tag, now: Instant) {
        let tag = match tag {
            Tag::Call { request, item } => Tag::Recover { request, item },
            Tag::Wait { request } => Tag::RecoverWait { request },
            Tag::Recover { .. } | Tag::RecoverWait { .. } | Tag::Nobody => return,
        };
        let kind = Kind::Query { subscribe: false };
        self.push(kind, (name, tag, Sequence::NONE, &[]), now);
    }

    fn on_outcome(&mut self, name: &str, tag: Tag, port: Registered<Grant>, now: Instant) {
        let is_waiting = matches!(port, Registered::Failed { code: RegisterCode::Waiting, .. });
        if is_waiting && self.waits.call_of(name).is_none() {
            // It was given up before it was answered, and the cancel may have come before it. Or its
            // grant was pushed before, and then the cancel ends nothing.
            self.push_cancel(name, now);
        }
        match (tag, port) {
            (Tag::Call { request, item } | Tag::Recover { request, item }, port) => {
                if !is_waiting {
                    self.waits.remove_of(request, name);
                }
                if let Some(Registered::Granted(grant)) =
                    self.settle_registered(request, item, port)
                {
                    self.hand_over(grant, now);
                }
            }
            (Tag::Wait { .. } | Tag::RecoverWait { .. }, Registered::Granted(grant)) => {
                self.hand_over(grant, now);
            }
            (
                Tag::Wait { request } | Tag::RecoverWait { request },
                Registered::Failed { code, owner: _ },
            ) => {
                if !is_waiting && self.waits.remove_of(request, name) {
                    let failed = Event::WaitFailed { name: Arc::from(name), code };
                    self.waited.push_back((request, failed));
                }
            }
            (Tag::Nobody, _port) => {}
        }
    }

    /// This session holds a port from now on.
    pub(super) fn grant(&mut self, name: &str, sequence: Sequence) -> Option<Grant> {
        let authority = self.authority.clone()?;
        // Something is granted, so every lease of before is over as the switch counts them.
        self.end_outlived(Ended::Lapsed);
        self.counters.grants += 1;
        let name: Arc<str> = Arc::from(name);
        let token = Token { epoch: self.epoch, sequence };
        if let Some(old) = self.held.insert(Arc::clone(&name), sequence) {
            self.names.remove(&old);
        }
        self.names.insert(sequence, Arc::clone(&name));
        // Whoever had it before has it no more; the notice of it may come later than this answer.
        let before = Sequence::from_bits(sequence.to_bits().saturating_sub(1));
        if self.cache.on_gone(&name, before) {
            self.counters.cache_gone += 1;
        }
        for blob in self.early.take(sequence) {
            self.on_message(Some((Arc::clone(&name), token)), blob);
        }
        Some(Grant { name, token, authority })
    }

    fn on_unregistered(&mut self, batch: &Batch, answer: &UnregPortAnswer<'_>) {
        let mut failures = answer.failures.iter().peekable();
        for (item, tag) in (0..).zip(&batch.tags) {
            let failure = failures.next_if(|failure| failure.item == item);
            self.settle_unregistered(*tag, failure.map(|failure| failure.code));
        }
    }

    fn on_queried(
        &mut self,
        batch: &Batch,
        subscribe: bool,
        answer: &QueryPortAnswer<'_>,
        now: Instant,
    ) {
        let owners: Vec<_> = answer.owners.iter().collect();
        let items = batch.texts().zip(&batch.tags);
        for ((name, tag), (sequence, holder)) in items.zip(answer.iter()) {
            let is_right = !subscribe || self.cache.on_answered(name, sequence);
            let token = Token { epoch: self.epoch, sequence };
            let holder = match holder {
                protocol::Holder::Owner(index) => {
                    let index = usize::try_from(index).unwrap_or(usize::MAX);
                    owners
                        .get(index)
                        .map_or(Holder::Unknown, |owner| Holder::Owner(owner_of(*owner, token)))
                }
                protocol::Holder::Free => Holder::Free,
                protocol::Holder::Unknown => Holder::Unknown,
            };
            if let Tag::Recover { .. } | Tag::RecoverWait { .. } = tag {
                self.on_recovered(name, *tag, holder, now);
                continue;
            }
            if let (true, Holder::Owner(owner)) = (subscribe, &holder) {
                if !is_right {
                    self.counters.queries_overtaken += 1;
                    let kind = Kind::Query { subscribe };
                    self.push(kind, (name, *tag, Sequence::NONE, &[]), now);
                    continue;
                }
                self.on_followed(name, tag.call(), owner.token.sequence);
                self.keep(name, owner.clone(), now);
            } else if subscribe {
                // A port that is free cannot be subscribed to.
                self.told.on_unfollowed(name, tag.call());
            }
            self.settle_holder(*tag, holder);
        }
    }

    fn keep(&mut self, name: &str, owner: Owner, now: Instant) {
        if let Some(left) = self.cache.insert(name, owner) {
            self.counters.cache_evicted += 1;
            if !self.told.contains(&left) {
                let item = (&*left, Tag::Nobody, Sequence::NONE, &[][..]);
                self.push(Kind::Unsubscribe, item, now);
            }
        }
    }

    fn on_recovered(&mut self, name: &str, tag: Tag, holder: Holder, now: Instant) {
        let port = match holder {
            Holder::Owner(owner) if *owner.node == *self.config.node => {
                match self.grant(name, owner.token.sequence) {
                    Some(grant) => Registered::Granted(grant),
                    None => return,
                }
            }
            Holder::Owner(owner) => {
                Registered::Failed { code: RegisterCode::Held, owner: Some(owner) }
            }
            Holder::Free | Holder::Unknown => {
                Registered::Failed { code: RegisterCode::Mine, owner: None }
            }
        };
        // Whether the registration has left a subscription is not known.
        let is_untold = self.told.on_unfollowed(name, tag.call());
        if is_untold && is_followed(&port) {
            self.tell(Event::SubscriptionsLost);
        }
        self.on_outcome(name, tag, port, now);
    }

    fn on_solo(&mut self, solo: Solo, answer: &Answer<'_>) {
        let Solo { request, kind, nodes, .. } = solo;
        let done = match (kind, answer) {
            (RequestKind::Send, Answer::Send(answer))
            | (RequestKind::SendMany, Answer::SendMany(answer))
            | (RequestKind::Broadcast, Answer::Broadcast(answer)) => {
                self.count_sent(*answer);
                Done::Sent(*answer)
            }
            (RequestKind::QueryNode, Answer::QueryNode(statuses)) => {
                let node = |(node, status): (String, protocol::NodeStatus<'_>)| NodeInfo {
                    node,
                    address: status.address.to_owned(),
                    session: None,
                    state: status.state,
                    lease_ms: status.lease_ms,
                    ports: status.ports,
                    queued_bytes: 0,
                };
                Done::Nodes(nodes.into_iter().zip(statuses.iter()).map(node).collect(), 0)
            }
            (RequestKind::Ping, Answer::Ping) => Done::Nothing,
            (RequestKind::Watch, Answer::Watch) => {
                if request == 0 {
                    self.on_watched(&protocol::Event::MISSING);
                }
                Done::Nothing
            }
            (RequestKind::Status, Answer::Status(figures)) => Done::Figures(
                figures.iter().map(|figure| (figure.key.to_owned(), figure.value)).collect(),
            ),
            (RequestKind::ListNodes, Answer::ListNodes(page)) => {
                Done::Nodes(page.entries.iter().map(node_of).collect(), page.cursor)
            }
            (RequestKind::ListPorts, Answer::ListPorts(page)) => {
                Done::Ports(page.entries.iter().map(port_of).collect(), page.cursor)
            }
            (RequestKind::DropNode, Answer::DropNode { state }) => Done::Dropped(*state),
            (_, _nonsense) => Done::Failed(RequestError::Nonsense),
        };
        self.settle_solo(request, done);
    }

    /// An error ends a request, a connection, or the client.
    pub(super) fn handle_error(
        &mut self,
        id: ConnId,
        number: u32,
        error: &ErrorFrame<'_>,
        now: Instant,
    ) {
        self.note_error(id, error);
        let flight = self.conn_mut(id).and_then(|conn| conn.flights.remove(&number));
        let is_hello = self.conn(id).is_some_and(|conn| !conn.is_ready());
        match error.code {
            ErrorCode::Evicted => self.on_evicted(error.number),
            // By this client's own word.
            ErrorCode::Ended if self.closing.is_some() => self.drop_conn(id, now, Duration::ZERO),
            ErrorCode::Lapsed | ErrorCode::Ended => self.lapse(now),
            ErrorCode::WrongCluster => self.finish(Over::WrongCluster),
            ErrorCode::Unauthenticated | ErrorCode::WrongGroup | ErrorCode::Version => {
                self.finish(refused(error));
            }
            ErrorCode::Forbidden if is_hello => self.finish(refused(error)),
            ErrorCode::NotMaster => {
                self.take_hint(error.hint);
                self.end_with(id, flight, Duration::ZERO, now);
            }
            ErrorCode::Quarantine => {
                self.end_with(id, flight, Duration::from_millis(error.number.min(60_000)), now);
            }
            ErrorCode::Grace | ErrorCode::Busy if !error.closes => {
                if let Some(flight) = flight {
                    self.put_off(id, flight, error, now);
                }
            }
            ErrorCode::Quota if !error.closes => {
                if let Some(flight) = flight {
                    self.on_quota(id, flight, error, now);
                }
            }
            ErrorCode::Grace
            | ErrorCode::Busy
            | ErrorCode::Quota
            | ErrorCode::Unsupported
            | ErrorCode::Forbidden
            | ErrorCode::TooLarge
            | ErrorCode::Malformed
            | ErrorCode::BadName
            | ErrorCode::NoSession
            | ErrorCode::State
            | ErrorCode::Leaving
            | ErrorCode::Other(_) => self.on_refused(id, flight, error, now),
        }
    }

    fn on_evicted(&mut self, number: u64) {
        self.finish(match EvictedReason::try_from(number) {
            Ok(EvictedReason::NewerConnection) => Over::Copied,
            Ok(EvictedReason::Dropped) => Over::Dropped,
            Ok(EvictedReason::NewerSession) | Err(_) => {
                Over::Replaced { node: self.config.node.clone() }
            }
        });
    }

    /// The connection ends; what was under way on it is sent again elsewhere.
    fn end_with(&mut self, id: ConnId, flight: Option<Flight>, pause: Duration, now: Instant) {
        if let (Some(flight), Some(conn)) = (flight, self.conn_mut(id)) {
            conn.flights.insert(0, flight);
        }
        self.drop_conn(id, now, pause);
    }

    fn put_off(&mut self, id: ConnId, flight: Flight, error: &ErrorFrame<'_>, now: Instant) {
        if let Flight::Batch(batch) = &flight {
            self.on_landed(batch);
        }
        if let Flight::WaitMsg { .. } = flight {
            self.drop_conn(id, now, Duration::ZERO);
            return;
        }
        let least = if error.code == ErrorCode::Grace { error.number } else { 0 };
        self.defer(id.slot, flight, Duration::from_millis(least.min(60_000)), now);
    }

    /// Owners that cannot be subscribed to are asked for without being kept; who asked to be told
    /// is refused.
    fn on_quota(&mut self, id: ConnId, flight: Flight, error: &ErrorFrame<'_>, now: Instant) {
        let Flight::Batch(batch) = flight else {
            self.on_refused(id, Some(flight), error, now);
            return;
        };
        if batch.kind != (Kind::Query { subscribe: true }) {
            self.on_refused(id, Some(Flight::Batch(batch)), error, now);
            return;
        }
        self.on_landed(&batch);
        for (name, tag) in batch.texts().zip(&batch.tags) {
            if self.told.on_unfollowed(name, tag.call()) {
                self.fail(tag.call(), RequestError::refused(error), now);
            } else {
                self.counters.cache_refused += 1;
                let kind = Kind::Query { subscribe: false };
                self.push(kind, (name, *tag, Sequence::NONE, &[]), now);
            }
        }
    }

    fn on_refused(
        &mut self,
        id: ConnId,
        flight: Option<Flight>,
        error: &ErrorFrame<'_>,
        now: Instant,
    ) {
        if let Some(flight) = flight {
            if let Flight::Batch(batch) = &flight {
                self.on_landed(batch);
            }
            self.fail_flight(&flight, &RequestError::refused(error), now);
            if !matches!(flight, Flight::Batch(_) | Flight::Solo(_)) {
                // Without it the connection is good for nothing.
                self.drop_conn(id, now, Duration::ZERO);
            }
        }
        if error.closes {
            self.take_hint(error.hint);
            self.drop_conn(id, now, Duration::ZERO);
        }
    }
}

/// Whether a registration that asks for a subscription has left one.
const fn is_followed(port: &Registered<Grant>) -> bool {
    use RegisterCode::{Draining, Held, Waiting};
    matches!(port, Registered::Failed { code: Held | Draining | Waiting, .. })
}

fn refused(error: &ErrorFrame<'_>) -> Over {
    Over::Refused { code: error.code, message: error.message.to_owned() }
}

fn owner_of(owner: protocol::Owner<'_>, token: Token) -> Owner {
    Owner { node: Arc::from(owner.node), address: Arc::from(owner.address), token }
}

fn node_of(entry: protocol::NodeEntry<'_>) -> NodeInfo {
    let protocol::NodeEntry { node, address, session, state, lease_ms, ports, queued_bytes } =
        entry;
    NodeInfo {
        node: node.to_owned(),
        address: address.to_owned(),
        session: Some(session),
        state,
        lease_ms,
        ports,
        queued_bytes,
    }
}

fn port_of(entry: protocol::PortEntry<'_>) -> PortInfo {
    let protocol::PortEntry { sequence, node, name } = entry;
    PortInfo { sequence, node: node.to_owned(), name: String::from_utf8_lossy(name).into_owned() }
}
