//! The life of a session: it begins, goes on elsewhere, gives back, is evicted, ends.

use base::Instant;
use protocol::{Ends, ErrorFrame, ReletAnswer, RequestKind, SessionState, WaitMsgAnswer};

use super::{Standing, Switch};
use crate::connection::ConnId;
use crate::refusal;
use crate::sessions::{End, Eviction, Lost, State};
use crate::slots::Over;

type Outcome = Result<(), ErrorFrame<'static>>;

impl Switch {
    pub(super) fn handle_wait_msg(&mut self, conn: ConnId, id: u32, now: Instant) -> Outcome {
        self.require_acting(conn)?;
        if self.connections.at(conn).session_id.is_none() {
            return Err(refusal::NO_SESSION);
        }
        let (session, state) = match self.standing(conn) {
            Standing::Refused(error) => return Err(error),
            Standing::Draining(_, eviction) => return Err(refusal::evicted(eviction)),
            Standing::Live(session) => {
                self.resume(session, conn);
                (session, SessionState::Resumed)
            }
            Standing::Without => (self.begin(conn)?, SessionState::New),
        };
        self.sessions.renew(session, now);
        let notice = self.sessions.session(session).notice;
        let answer = WaitMsgAnswer { state, notice };
        self.connections.answer(conn, |out| answer.write(out, id));
        if self.sessions.session(session).lost.is_some() {
            self.flush(session, conn);
        }
        Ok(())
    }

    pub(super) fn handle_relet(
        &mut self,
        conn: ConnId,
        id: u32,
        relet: u64,
        now: Instant,
    ) -> Outcome {
        let session = self.session_of(conn)?;
        if self.sessions.session(session).conn != Some(conn) {
            return Err(refusal::state("RELET comes on the receive connection"));
        }
        self.sessions.renew(session, now);
        self.counters.relets += 1;
        let lease_ms = u32::try_from(self.config.lease.as_millis()).expect("at most a day");
        let answer = ReletAnswer { relet, lease_ms };
        self.connections.answer(conn, |out| answer.write(out, id));
        Ok(())
    }

    pub(super) fn handle_yield(&mut self, conn: ConnId, id: u32) -> Outcome {
        match self.standing(conn) {
            Standing::Without => return Err(refusal::NO_SESSION),
            Standing::Refused(error) => return Err(error),
            Standing::Live(session) => {
                let node = self.sessions.session(session).node;
                let holds_any = self.shards.ports_of(session) > 0;
                if holds_any && !self.may_open_slot(node) {
                    return Err(refusal::BUSY);
                }
                let swept = self.shards.give_up(session, node);
                (0..swept).for_each(|_slot| self.sessions.hold(node));
            }
            Standing::Draining(session, eviction) => {
                self.end(session, End::Evicted(eviction), Over::Released);
            }
        }
        self.counters.yields += 1;
        let kind = RequestKind::Yield;
        self.connections.answer(conn, |out| protocol::write_bare_answer(out, kind, id));
        Ok(())
    }

    pub(super) fn handle_bye(&mut self, conn: ConnId, id: u32, ends: Ends) -> Outcome {
        match ends {
            Ends::Connection => {}
            Ends::Session => match self.standing(conn) {
                Standing::Without => return Err(refusal::NO_SESSION),
                Standing::Refused(error) => return Err(error),
                Standing::Live(session) => self.end_live(session, conn),
                Standing::Draining(session, eviction) => {
                    self.end(session, End::Evicted(eviction), Over::Released);
                }
            },
        }
        let kind = RequestKind::Bye;
        self.connections.answer(conn, |out| protocol::write_bare_answer(out, kind, id));
        self.shut(conn);
        Ok(())
    }

    /// A live session ends itself at `conn`; another connection that it is pushed to is told.
    fn end_live(&mut self, session: u32, conn: ConnId) {
        self.counters.sessions_ended += 1;
        let receiver = self.sessions.session(session).conn;
        if let Some(receiver) = receiver.filter(|&receiver| receiver != conn) {
            self.refuse(receiver, 0, &refusal::ENDED);
        }
        self.end(session, End::Said, Over::Released);
    }

    /// The session is evicted. It drains, or is over at once if it holds nothing.
    pub(super) fn evict(&mut self, session: u32, eviction: Eviction) {
        match eviction {
            Eviction::Replaced => self.counters.sessions_replaced += 1,
            Eviction::Dropped => self.counters.sessions_dropped += 1,
        }
        self.sessions.evict(session, eviction);
        self.shards.drain(session);
        if let Some(conn) = self.sessions.session(session).conn {
            self.refuse(conn, 0, &refusal::evicted(eviction));
        }
        self.end_if_drained(session, eviction);
    }

    /// An evicted session that holds nothing any more is over.
    pub(super) fn end_if_drained(&mut self, session: u32, eviction: Eviction) {
        if self.shards.ports_of(session) == 0 {
            self.end(session, End::Evicted(eviction), Over::Released);
        }
    }

    /// The session was silent for the whole exclusion.
    pub(super) fn lapse(&mut self, session: u32) {
        match self.sessions.session(session).state {
            State::Free => unreachable!("session {session} has no lease"),
            State::Live => {
                self.counters.sessions_lapsed += 1;
                if let Some(conn) = self.sessions.session(session).conn {
                    self.refuse(conn, 0, &refusal::LAPSED);
                }
                self.end(session, End::Lapsed, Over::Lost);
            }
            State::Draining(eviction) => {
                let over = match eviction {
                    Eviction::Replaced => Over::Replaced,
                    Eviction::Dropped => Over::Lost,
                };
                self.end(session, End::Evicted(eviction), over);
            }
        }
    }

    /// The session is over: its ports are free, and who follows one is told in time.
    fn end(&mut self, session: u32, end: End, over: Over) {
        self.shards.forget_wishes(session);
        let node = self.sessions.session(session).node;
        let swept = self.shards.kill(session, over);
        self.sessions.end(session, end);
        // The others do not name it any more.
        let others = u32::from(self.shards.count()) - swept;
        (0..others).for_each(|_slot| self.sessions.leave(node));
    }

    /// The session goes on at `conn`.
    fn resume(&mut self, index: u32, conn: ConnId) {
        let session = self.sessions.session_mut(index);
        let before = session.conn.replace(conn);
        session.address.clone_from(&self.connections.at(conn).address);
        if before == Some(conn) {
            return;
        }
        self.counters.sessions_resumed += 1;
        // Whether what was sent on the other connection was read is not known.
        if session.is_noticed && session.lost.is_none() {
            session.lost = Some(Lost::Away);
        }
        if let Some(before) = before {
            self.refuse(before, 0, &refusal::NEWER_CONNECTION);
        }
    }

    /// The session of `conn` begins, and evicts the one before it.
    fn begin(&mut self, conn: ConnId) -> Result<u32, ErrorFrame<'static>> {
        let node = self.connections.at(conn).node;
        if !self.sessions.has_room(node) || !self.may_open_slot(node) {
            return Err(refusal::BUSY);
        }
        if let Some(before) = self.sessions.live(node) {
            self.evict(before, Eviction::Replaced);
        }
        let connection = self.connections.at(conn);
        let session = self.sessions.begin(node, connection.session_id.0, &connection.address);
        self.shards.open(session, node);
        self.hold_for_slots(node);
        self.sessions.session_mut(session).conn = Some(conn);
        self.join(conn, session).expect("nobody came before it");
        self.counters.sessions_begun += 1;
        Ok(session)
    }

    /// Whether the node may have another slot in each shard, and there is one.
    fn may_open_slot(&self, node: u32) -> bool {
        self.shards.may_open(node)
    }

    /// The slot of each shard names its node until the last of its ports is swept.
    fn hold_for_slots(&mut self, node: u32) {
        (0..self.shards.count()).for_each(|_shard| self.sessions.hold(node));
    }
}
