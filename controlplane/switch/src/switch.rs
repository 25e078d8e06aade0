//! The switch as its daemon sees it: bytes and time come in, bytes go out.

mod hello;
mod life;
mod notices;
mod operate;
mod ports;
mod reign;
mod route;
#[cfg(test)]
mod tests;
mod timer;
mod watch;

use std::hash::Hasher as _;
use std::sync::Arc;

use base::{Duration, Instant};
use protocol::{
    ErrorFrame, FrameError, Framing, Grants, Greeting, Header, LeavingReason, Nonce, Request,
    RequestBody, Role, Sequence, VERSION,
};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::access::Peer;
use crate::config::{Identity, SwitchConfig, SwitchError};
use crate::connection::{ConnId, Connections, Phase};
use crate::counters::Counters;
use crate::lease::Leases;
use crate::limits::{ANSWERS_LEN_MAX, HELLO_TIMEOUT, NIL, SLOTS_BESIDE, SLOTS_PER_SESSION};
use crate::outbox::Pushed;
use crate::owners::Owners;
use crate::pool::Behind;
use crate::refusal;
use crate::sessions::{End, Eviction, Sessions, State};
use crate::shard::{Failure, NotReleased, Size};
use crate::shards::Shards;
use crate::table::{Plan, Port};
use reign::Reign;

/// See the crate's first words.
#[derive(Debug)]
pub struct Switch {
    config: SwitchConfig,
    identity: Identity,
    exclusion: Duration,
    key: [u8; 32],
    greeted: u64,
    /// The latest instant that it was ever told.
    now: Instant,
    connections: Connections,
    /// Connections that have so long: to say who they are, or to take what waits before the end.
    deadlines: Leases,
    sessions: Sessions,
    shards: Shards,
    owners: Owners,
    watchers: Vec<ConnId>,
    counters: Counters,
    /// It stops, and another switch may be there.
    leaving: Option<Arc<str>>,
    reign: Reign,
    lists: Lists,
    #[cfg(test)]
    forgets: Option<notices::Forgets>,
}

/// Lists that one request needs, kept for the next.
#[derive(Debug, Default)]
struct Lists {
    failures: Vec<Failure>,
    grants: Vec<Grants>,
    not_released: Vec<NotReleased>,
    holders: Vec<(Sequence, protocol::Holder)>,
    ports: Vec<Port>,
    /// Nodes whose swept slots no longer keep them.
    left: Vec<u32>,
}

/// What a connection is to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It has none, or one that has not begun.
    Without,
    /// The session lives.
    Live(u32),
    /// The session was evicted, and holds ports still.
    Draining(u32, Eviction),
    /// The session is over, or goes on without this connection.
    Refused(ErrorFrame<'static>),
}

impl Switch {
    /// A switch without connections. `key` is secret and random.
    ///
    /// # Errors
    /// What of the configuration makes no sense, or the memory is not there.
    pub fn new(
        config: SwitchConfig,
        identity: Identity,
        key: [u8; 32],
        now: Instant,
    ) -> Result<Self, SwitchError> {
        config.check(&identity)?;
        let exclusion = config.exclusion();
        let slots = config.sessions_max * SLOTS_PER_SESSION + SLOTS_BESIDE;
        let plan = Plan {
            shard: 0,
            ports_planned: config.ports_planned,
            ports_max: config.ports_max,
            slots,
            key,
        };
        let size = Size { plan, sessions_max: config.sessions_max, places_max: config.places_max };
        Ok(Self {
            exclusion,
            key,
            greeted: 0,
            now,
            connections: Connections::new(config.connections_max),
            deadlines: Leases::new(config.connections_max, HELLO_TIMEOUT),
            sessions: Sessions::new(config.sessions_max, exclusion),
            shards: Shards::new(&size, config.shards, config.pages)?,
            owners: Owners::new(config.sessions_max),
            watchers: Vec::new(),
            counters: Counters::default(),
            leaving: None,
            reign: Reign::new(now + config.grace),
            lists: Lists::default(),
            #[cfg(test)]
            forgets: None,
            config,
            identity,
        })
    }

    /// A connection was accepted: the greeting goes to it.
    ///
    /// # Panics
    /// If the number is not below the configured most, or belongs to a connection that is not
    /// closed.
    pub fn handle_opened(&mut self, conn: ConnId, peer: Peer, now: Instant) {
        let now = self.advance(now);
        let nonce = self.nonce();
        self.connections.open(conn, peer, nonce, self.config.limits);
        self.counters.connections_opened += 1;
        if let Some(hint) = self.leaving.clone() {
            self.refuse(conn, 0, &refusal::leaving(&hint));
            return;
        }
        self.deadlines.renew(conn.0, now);
        let greeting = Greeting {
            version_min: VERSION,
            version_max: VERSION,
            features: self.features(),
            cluster: self.identity.cluster,
            epoch: self.identity.epoch,
            nonce,
        };
        self.connections.answer(conn, |out| greeting.write(out));
    }

    /// Takes the whole frames at the front of what a connection has received, and says how many
    /// bytes those were. It takes fewer while too many answers wait: the daemon calls again, with
    /// the rest, once some have left.
    ///
    /// # Panics
    /// If the connection is closed.
    pub fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8], now: Instant) -> usize {
        let now = self.advance(now);
        let mut rest = bytes;
        loop {
            let connection = self.connections.at(conn);
            match connection.phase {
                Phase::Closed => panic!("{conn:?} is closed and receives"),
                // What it says is not looked at any more.
                Phase::Closing => return bytes.len(),
                Phase::Greeted | Phase::Open => {}
            }
            if self.is_held_back(conn) {
                self.counters.held_back += 1;
                break;
            }
            let limits = connection.limits;
            match Framing::find(rest, limits.frame_len_max()) {
                Ok(Framing::Whole { header, frame, rest: behind }) => {
                    rest = behind;
                    self.counters.frames_in += 1;
                    self.counters.bytes_in += u64::from(header.len);
                    match Request::parse(frame, &limits) {
                        Ok(request) => self.handle_request(conn, &request, now),
                        Err(error) => self.refuse_frame(conn, &header, error),
                    }
                }
                Ok(Framing::Part { .. }) => break,
                Err(error) => {
                    let id = rest.get(8..12).and_then(|id| id.try_into().ok());
                    let id = id.map_or(0, u32::from_le_bytes);
                    self.refuse(conn, id, &error.to_frame());
                }
            }
        }
        bytes.len() - rest.len()
    }

    /// A connection is gone, whoever ended it. Its number may be used again.
    ///
    /// # Panics
    /// If it is closed already.
    pub fn handle_closed(&mut self, conn: ConnId, now: Instant) {
        self.advance(now);
        self.detach(conn);
        self.count_lost(conn);
        let connection = self.connections.close(conn);
        self.deadlines.end(conn.0);
        if connection.node != NIL {
            self.sessions.leave(connection.node);
        }
        self.counters.connections_closed += 1;
    }

    /// The next connection that has something to send or is to be closed; each once until that
    /// changes again.
    pub fn next_dirty(&mut self) -> Option<ConnId> {
        self.connections.next_dirty()
    }

    /// What is to be sent on a connection next. More may follow once it has left.
    #[must_use]
    pub fn outgoing(&self, conn: ConnId) -> &[u8] {
        self.connections.at(conn).outbox.outgoing()
    }

    /// The first `len` bytes of [`Switch::outgoing`] have left.
    ///
    /// # Panics
    /// If there were not as many.
    pub fn handle_sent(&mut self, conn: ConnId, len: usize, now: Instant) {
        self.advance(now);
        self.counters.bytes_out += len as u64;
        self.connections.handle_sent(conn, len);
        self.catch_up(conn);
    }

    /// Whether a connection is to be closed once nothing is outgoing on it.
    #[must_use]
    pub fn is_closing(&self, conn: ConnId) -> bool {
        self.connections.at(conn).phase == Phase::Closing
    }

    /// The node that a connection has come in as: a number that may be another's once the last of
    /// its connections and sessions is gone. None before its `WELCOME`.
    #[must_use]
    pub fn node(&self, conn: ConnId) -> Option<u32> {
        let node = self.connections.at(conn).node;
        (node != NIL).then_some(node)
    }

    /// Whether so many answers wait on a connection that its requests stay where they are. The
    /// daemon need not read it.
    #[must_use]
    pub fn is_held_back(&self, conn: ConnId) -> bool {
        self.connections.at(conn).outbox.answers_len() > ANSWERS_LEN_MAX
    }

    /// The switch stops: everybody is told, and every connection ends. `hint` is where another
    /// switch may be, as `host:port`; empty where that is not known.
    ///
    /// # Panics
    /// If the hint is longer than a text may be.
    pub fn leave(&mut self, hint: &str, now: Instant) {
        self.advance(now);
        self.leaving = Some(Arc::from(hint));
        let leaving = protocol::Leaving { reason: LeavingReason::Stopping, hint };
        for conn in (0..self.connections.end()).map(ConnId) {
            match self.connections.at(conn).phase {
                Phase::Closed | Phase::Closing => continue,
                Phase::Greeted => self.refuse(conn, 0, &refusal::leaving(hint)),
                Phase::Open => {
                    self.connections.push(conn, Pushed::Leaving(leaving));
                    self.shut(conn);
                }
            }
        }
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How long a silent session's ports are kept.
    #[must_use]
    pub fn exclusion(&self) -> Duration {
        self.exclusion
    }

    fn handle_request(&mut self, conn: ConnId, request: &Request<'_>, now: Instant) {
        let Request { header, body } = request;
        let id = header.id;
        if self.connections.at(conn).phase == Phase::Greeted {
            if let RequestBody::Hello(hello) = body {
                self.handle_hello(conn, id, hello);
            } else {
                let error = refusal::state("HELLO comes first");
                self.refuse(conn, id, &ErrorFrame { closes: true, ..error });
            }
            return;
        }
        if let Err(error) = self.handle_body(conn, id, body, now) {
            self.refuse(conn, id, &error);
        }
    }

    fn handle_body(
        &mut self,
        conn: ConnId,
        id: u32,
        body: &RequestBody<'_>,
        now: Instant,
    ) -> Result<(), ErrorFrame<'static>> {
        match body {
            RequestBody::Hello(_) => Err(refusal::state("HELLO was answered")),
            RequestBody::WaitMsg => self.handle_wait_msg(conn, id, now),
            RequestBody::Relet { relet } => self.handle_relet(conn, id, *relet, now),
            RequestBody::Yield => self.handle_yield(conn, id),
            RequestBody::Bye { ends } => self.handle_bye(conn, id, *ends),
            RequestBody::RegPort(reg) => self.handle_reg(conn, id, reg),
            RequestBody::UnregPort(unreg) => self.handle_unreg(conn, id, unreg),
            RequestBody::QueryPort(query) => self.handle_query(conn, id, query),
            RequestBody::CancelWait(names) => self.handle_cancel(conn, id, *names),
            RequestBody::Unsubscribe(names) => self.handle_unsubscribe(conn, id, *names),
            RequestBody::Send(items) => self.handle_send(conn, id, *items),
            RequestBody::SendMany(many) => self.handle_send_many(conn, id, many),
            RequestBody::Broadcast(blob) => self.handle_broadcast(conn, id, blob),
            RequestBody::QueryNode(names) => self.handle_query_node(conn, id, *names),
            RequestBody::Ping => self.handle_ping(conn, id),
            RequestBody::Status => self.handle_status(conn, id),
            RequestBody::ListNodes(list) => self.handle_list_nodes(conn, id, list),
            RequestBody::ListPorts(list) => self.handle_list_ports(conn, id, list),
            RequestBody::DropNode { node } => self.handle_drop_node(conn, id, node),
            RequestBody::Watch { prefix } => self.handle_watch(conn, id, prefix),
        }
    }

    /// The live session of a connection, if it has one. Whoever's session was evicted or is over is
    /// told so, whatever it asks.
    #[inline]
    fn session_or_none(&mut self, conn: ConnId) -> Result<Option<u32>, ErrorFrame<'static>> {
        match self.standing(conn) {
            Standing::Live(session) => Ok(Some(session)),
            Standing::Without => Ok(None),
            Standing::Draining(_, eviction) => Err(refusal::evicted(eviction)),
            Standing::Refused(error) => Err(error),
        }
    }

    /// The live session of a connection that may act for it.
    #[inline]
    fn session_of(&mut self, conn: ConnId) -> Result<u32, ErrorFrame<'static>> {
        let session = self.session_or_none(conn)?;
        self.require_acting(conn)?;
        session.ok_or(refusal::NO_SESSION)
    }

    /// What the connection is to its session now.
    #[inline]
    fn standing(&mut self, conn: ConnId) -> Standing {
        let connection = self.connections.at(conn);
        let (node, id) = (connection.node, connection.session_id.0);
        let index = match connection.session {
            Some(known) if self.sessions.is_same(known) => known.index,
            Some(_) => {
                let end = self.sessions.ended(node, &id).unwrap_or(End::Lapsed);
                return Standing::Refused(refusal::ended(end));
            }
            None if connection.session_id.is_none() => return Standing::Without,
            None => match self.sessions.find(node, &id) {
                Some(index) => match self.join(conn, index) {
                    Ok(()) => index,
                    Err(error) => return Standing::Refused(error),
                },
                None => {
                    let ended = self.sessions.ended(node, &id).map(refusal::ended);
                    return ended.map_or(Standing::Without, Standing::Refused);
                }
            },
        };
        match self.sessions.session(index).state {
            State::Live => Standing::Live(index),
            State::Draining(eviction) => Standing::Draining(index, eviction),
            State::Free => unreachable!("session {index} is over and its generation is not"),
        }
    }

    /// The connection is one of the session from now on, and the one that it follows is none any more.
    fn join(&mut self, conn: ConnId, session: u32) -> Result<(), ErrorFrame<'static>> {
        let connection = self.connections.at(conn);
        let (index, generation) = (connection.index, connection.generation);
        let pool = &mut self.sessions.session_mut(session).pool;
        let older = pool.enter(index, generation, conn).map_err(|Behind| refusal::BEHIND)?;
        self.connections.at_mut(conn).session = Some(self.sessions.refer(session));
        if let Some(older) = older {
            self.counters.connections_followed += 1;
            self.refuse(older, 0, &refusal::NEWER_CONNECTION);
        }
        Ok(())
    }

    /// An observer looks, and does nothing.
    #[inline]
    fn require_acting(&self, conn: ConnId) -> Result<(), ErrorFrame<'static>> {
        match self.connections.at(conn).role {
            Role::Node | Role::Operator => Ok(()),
            Role::Observer => Err(refusal::FORBIDDEN),
        }
    }

    /// Answers an error, and ends the connection if it says so.
    fn refuse(&mut self, conn: ConnId, id: u32, error: &ErrorFrame<'_>) {
        self.counters.error(error.code);
        self.connections.answer(conn, |out| error.write(out, id));
        if error.closes {
            self.shut(conn);
        }
    }

    /// Answers that a frame is wrong. Before `WELCOME` that ends the connection.
    fn refuse_frame(&mut self, conn: ConnId, header: &Header, error: FrameError) {
        let frame = error.to_frame();
        let closes = frame.closes || self.connections.at(conn).phase == Phase::Greeted;
        self.refuse(conn, header.id, &ErrorFrame { closes, ..frame });
    }

    /// The connection ends once what waits has left.
    fn shut(&mut self, conn: ConnId) {
        self.detach(conn);
        // Who does not read in this time loses what waits.
        self.deadlines.renew(conn.0, self.now);
        self.connections.at_mut(conn).phase = Phase::Closing;
        self.connections.touch(conn);
    }

    /// Nothing is pushed to the connection any more.
    fn detach(&mut self, conn: ConnId) {
        let connection = self.connections.at_mut(conn);
        if connection.watch.take().is_some() {
            self.watchers.retain(|&watcher| watcher != conn);
            self.shards.set_watched(!self.watchers.is_empty());
        }
        if let Some(known) = self.connections.at(conn).session
            && self.sessions.is_same(known)
        {
            let index = self.connections.at(conn).index;
            let session = self.sessions.session_mut(known.index);
            session.conn = session.conn.filter(|&receiver| receiver != conn);
            session.pool.leave(index, conn);
        }
    }

    /// Counts the messages that a connection will not carry any more.
    fn count_lost(&mut self, conn: ConnId) {
        let outbox = &mut self.connections.at_mut(conn).outbox;
        self.counters.messages_receiver_gone += outbox.messages_unsent();
    }

    /// 32 bytes that were never said before and that nobody can foresee: `SipHash` under either half
    /// of the key.
    fn nonce(&mut self) -> Nonce {
        self.greeted += 1;
        let mut nonce = [0; 32];
        for (half, part) in self.key.as_chunks::<16>().0.iter().zip(nonce.as_chunks_mut::<16>().0) {
            let mut hasher = SipHasher24::new_with_key(half);
            hasher.write(b"bypss nonce");
            hasher.write_u64(self.greeted);
            *part = hasher.finish128().as_bytes();
        }
        Nonce(nonce)
    }
}
