//! Answers and errors, matched with what was asked.

use std::sync::Arc;

use base::{Duration, Instant};
use protocol::{Answer, ErrorCode, ErrorFrame, EvictedReason, QueryPortAnswer, RegisterCode};
use protocol::{RequestKind, Sequence, Token, UnregPortAnswer, UnregisterFailure};

use super::Core;
use super::batch::{Batch, Kind, Tag, text_of};
use super::conn::{ConnId, Flight, Solo};
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
                if answer.sequences.len() == batch.count() =>
            {
                self.on_queried(&batch, subscribe, answer, now);
            }
            (Kind::Send, Answer::Send(answer)) => self.count_sent(*answer),
            (Kind::Unsubscribe, Answer::Unsubscribe { .. }) => {}
            (Kind::CancelWait, Answer::CancelWait { count }) => {
                if usize::try_from(*count).is_ok_and(|count| count < batch.count()) {
                    batch.texts().for_each(|name| self.recover_for_nobody(name, now));
                }
            }
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

    pub(super) fn on_outcome(
        &mut self,
        name: &str,
        tag: Tag,
        port: Registered<Grant>,
        now: Instant,
    ) {
        let is_waiting = matches!(port, Registered::Failed { code: RegisterCode::Waiting, .. });
        let is_short = matches!(port, Registered::Failed { code: RegisterCode::Subscriptions, .. })
            && self.waits.call_of(name) == Some(tag.call());
        if is_short {
            // It may have its place in the queue, and only not be told besides.
            self.push_cancel(name, now);
        }
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

    fn on_unregistered(&mut self, batch: &Batch, answer: &UnregPortAnswer<'_>) {
        let mut failures = answer.failures.iter().peekable();
        let mut first = 0;
        for run in batch.runs() {
            let place =
                |item| usize::try_from(item).map_or(usize::MAX, |item| item.wrapping_sub(first));
            let is_here = |failure: &UnregisterFailure| place(failure.item) < run.count;
            let failed = std::iter::from_fn(|| failures.next_if(is_here));
            self.settle_unregistered(
                run,
                failed.map(|failure| (place(failure.item), failure.code)),
            );
            first += run.count;
        }
    }

    fn on_queried(
        &mut self,
        batch: &Batch,
        subscribe: bool,
        answer: &QueryPortAnswer<'_>,
        now: Instant,
    ) {
        let owners: Vec<Owner> =
            answer.owners.iter().map(|owner| owner_of(owner, Token::default())).collect();
        let epoch = self.epoch;
        let holder = |(sequence, holder)| match holder {
            protocol::Holder::Owner(index) => {
                let owner = usize::try_from(index).ok().and_then(|index| owners.get(index));
                let token = Token { epoch, sequence };
                owner.map_or(Holder::Unknown, |owner| {
                    Holder::Owner(Owner { token, ..owner.clone() })
                })
            }
            protocol::Holder::Free => Holder::Free,
            protocol::Holder::Unknown => Holder::Unknown,
        };
        let mut answers = answer.iter();
        let mut names = batch.names();
        for run in batch.runs() {
            if run.of_call().is_some() && !subscribe {
                self.settle_holders(run, answers.by_ref().map(&holder));
                names.by_ref().take(run.count).for_each(drop);
                continue;
            }
            let items = run.tags().zip(names.by_ref().map(text_of)).zip(answers.by_ref());
            for ((tag, name), (sequence, answer)) in items {
                let is_right = !subscribe || self.cache.on_answered(name, batch.asked, sequence);
                self.on_holder((name, tag), holder((sequence, answer)), (subscribe, is_right), now);
            }
        }
    }

    /// The holder of one port; `is_right`: nothing that ends it has overtaken the answer.
    fn on_holder(
        &mut self,
        (name, tag): (&str, Tag),
        holder: Holder,
        (subscribe, is_right): (bool, bool),
        now: Instant,
    ) {
        if let Tag::Recover { .. } | Tag::RecoverWait { .. } = tag {
            self.on_recovered(name, tag, holder, now);
            return;
        }
        if let (true, Holder::Owner(owner)) = (subscribe, &holder) {
            if !is_right {
                self.counters.queries_overtaken += 1;
                let kind = Kind::Query { subscribe };
                self.push(kind, (name, tag, Sequence::NONE, &[]), now);
                return;
            }
            self.on_followed(name, tag.call(), owner.token.sequence);
            self.keep(name, owner.clone(), now);
        } else if subscribe {
            // A port that is free cannot be subscribed to.
            self.told.on_unfollowed(name, tag.call());
        }
        self.settle_holder(tag, holder);
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
        let flight = self.take_refused(id, number, error.code);
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
            // Not by this client: what it gives up is older than what it has.
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

    /// What an error is the answer to. A request that is refused with its session is under way yet: it is
    /// made again in the next session, or ends with the client.
    fn take_refused(&mut self, id: ConnId, number: u32, code: ErrorCode) -> Option<Flight> {
        let flights = &mut self.conn_mut(id)?.flights;
        let is_request = matches!(flights.get(&number)?, Flight::Batch(_) | Flight::Solo(_));
        let is_of_session =
            matches!(code, ErrorCode::Evicted | ErrorCode::Lapsed | ErrorCode::Ended);
        if is_request && is_of_session {
            return None;
        }
        flights.remove(&number)
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
        for (name, tag) in batch.items() {
            if self.told.on_unfollowed(name, tag.call()) {
                self.fail(tag.call(), RequestError::refused(error), now);
            } else {
                self.counters.cache_refused += 1;
                let kind = Kind::Query { subscribe: false };
                self.push(kind, (name, tag, Sequence::NONE, &[]), now);
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

/// Whether a registration that asked for a subscription may have left one.
pub(super) const fn is_followed(port: &Registered<Grant>) -> bool {
    use RegisterCode::{Draining, Held, Waiting};
    matches!(port, Registered::Failed { code: Held | Draining | Waiting, .. })
}

fn refused(error: &ErrorFrame<'_>) -> Over {
    Over::Refused { code: error.code, message: error.message.to_owned() }
}

pub(super) fn owner_of(owner: protocol::Owner<'_>, token: Token) -> Owner {
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
