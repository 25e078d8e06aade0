//! What the access log is told of HTTP, and when.

use base::Instant;
use stack::{CloseReason, Conn, Context};

use super::answer::{Answer, Persistence};
use super::session::Phase;
use super::{Http, session_of};
use crate::access::{AccessLog, Cause, Ending, Kept, Place, Scene, Told};
use crate::counters::Refusal;

impl Http {
    /// Logs by `log` from now on, or not at all. What was there before comes back; what it has noted
    /// of requests that are under way goes on with the new one.
    pub(crate) fn set_access_log(
        &mut self,
        mut log: Option<Box<AccessLog>>,
    ) -> Option<Box<AccessLog>> {
        if let (Some(new), Some(old)) = (&mut log, &mut self.access) {
            new.take_notes(old);
        }
        std::mem::replace(&mut self.access, log)
    }

    /// A connection begins.
    #[inline]
    pub(super) fn note_open(&mut self, conn: Conn) {
        if let Some(log) = &mut self.access {
            log.open(conn.index);
        }
    }

    /// A head has ended, or as much of it as is read; `refused` says what was wrong with its
    /// request, if that is answered.
    #[inline]
    pub(super) fn note(&mut self, head: &[u8], refused: Option<Refusal>, now: Instant) {
        if let Some(log) = &mut self.access {
            log.begin(head, now);
            refused.into_iter().for_each(|refusal| log.refuse(None, refusal, now));
        }
    }

    /// The same of a session's head, of which `len` bytes came in pieces.
    pub(super) fn note_buffered(&mut self, index: u32, len: usize, refused: Option<Refusal>) {
        let Phase::Head { buffer, len: _ } = self.sessions.phase(index) else { return };
        if let Some(log) = &mut self.access {
            let since = self.sessions.since(index);
            log.begin(&self.sessions.head(buffer)[..len], since);
            refused.into_iter().for_each(|refusal| log.refuse(None, refusal, since));
        }
    }

    /// The request that is under way has a session from now on.
    #[inline]
    pub(super) fn hold_note(&mut self, session: u32) {
        if let Some(log) = &mut self.access {
            log.hold(session);
        }
    }

    /// The request that is under way is refused, and will be answered so.
    pub(super) fn note_refusal(
        &mut self,
        cx: &Context<'_>,
        session: Option<u32>,
        refusal: Refusal,
    ) {
        if let Some(log) = &mut self.access {
            log.refuse(session, refusal, cx.now());
        }
    }

    /// An answer is wholly queued.
    #[inline]
    pub(super) fn log_answer(
        &mut self,
        cx: &Context<'_>,
        conn: Conn,
        session: Option<u32>,
        answer: &Answer,
    ) {
        if let Some(log) = &mut self.access {
            let next = match answer.persistence {
                _ if answer.has_peer_ended => Place::HalfClosed,
                Persistence::Keep | Persistence::KeepSaid => Place::Kept,
                Persistence::Close if self.is_draining => Place::Draining,
                Persistence::Close => Place::Closed,
            };
            if matches!(next, Place::Closed | Place::Draining)
                && session.is_none()
                && !self.sessions.has_free()
            {
                // What of it is not read yet may be lost with the connection.
                log.refuse(None, Refusal::LingerRefused, cx.now());
            }
            let kept = log.answered(session, scene(cx, conn), told(answer), next);
            self.count_kept(kept);
        }
    }

    /// A connection is about to be dropped, whatever is under way on it.
    pub(super) fn log_drop(&mut self, cx: &Context<'_>, conn: Conn, refusal: Refusal) {
        if let Some(ending) = Ending::of_refusal(refusal) {
            self.log_end(cx, conn, (ending, Some(refusal)));
        }
    }

    /// The client has ended its direction, before its request was whole or between two.
    pub(super) fn log_truncated(&mut self, cx: &Context<'_>, conn: Conn) {
        let session = session_of(cx, conn);
        let place = self.place(session);
        let refusal = (place != Place::Idle).then_some(Refusal::PeerTruncated);
        // A client that has what it asked for ends so: its requests were told of.
        let has_asked = self.access.as_ref().is_some_and(|log| log.has_asked(conn.index));
        if place != Place::Linger && !(place == Place::Idle && has_asked) {
            self.log_end(cx, conn, (Ending::new(Cause::Client, place), refusal));
        }
    }

    /// A connection has ended, for a reason that the stack gives.
    pub(super) fn log_close(&mut self, cx: &Context<'_>, conn: Conn, why: CloseReason) {
        if self.access.is_none() {
            return;
        }
        if let Some(ending) = Ending::of_close(why, self.place(session_of(cx, conn))) {
            self.log_end(cx, conn, ending);
        }
    }

    /// A connection ends with whatever is under way on it, for a reason of the gateway's.
    pub(crate) fn log_left(&mut self, cx: &Context<'_>, conn: Conn, cause: Cause) {
        if self.access.is_some() {
            let place = self.place(session_of(cx, conn));
            self.log_end(cx, conn, (Ending::new(cause, place), None));
        }
    }

    /// The gateway ends with these requests under way.
    pub(crate) fn log_all_left(&mut self, cx: &Context<'_>, cause: Cause) {
        if self.access.is_none() {
            return;
        }
        for index in 0..self.sessions.len() {
            if let Some(conn) = self.sessions.conn(index) {
                self.log_left(cx, conn, cause);
            }
        }
    }

    /// What a connection is in the middle of.
    fn place(&self, session: Option<u32>) -> Place {
        let Some(index) = session else { return Place::Idle };
        match self.sessions.phase(index) {
            Phase::Head { .. } => Place::Head,
            Phase::Body { .. } => Place::Body,
            Phase::Answer(_) => Place::Answer,
            Phase::Linger { .. } => Place::Linger,
        }
    }

    fn log_end(&mut self, cx: &Context<'_>, conn: Conn, ending: (Ending, Option<Refusal>)) {
        let session = session_of(cx, conn);
        let Some(log) = &mut self.access else { return };
        let told = match session.map(|index| (index, self.sessions.phase(index))) {
            Some((_, Phase::Answer(answer))) => told(&answer),
            Some((index, Phase::Head { buffer, len })) => {
                // The head was not noted: it has not ended.
                let head = &self.sessions.head(buffer)[..len as usize];
                log.begin(head, self.sessions.since(index));
                Told::default()
            }
            Some((_, Phase::Body { .. } | Phase::Linger { .. })) | None => Told::default(),
        };
        let kept = log.ended(session, scene(cx, conn), told, ending);
        self.count_kept(kept);
    }

    fn count_kept(&mut self, kept: Kept) {
        match kept {
            Kept::Passed => {}
            Kept::Given => self.counters.access_given += 1,
            Kept::Lost => self.counters.access_lost += 1,
        }
    }
}

fn scene(cx: &Context<'_>, conn: Conn) -> Scene {
    let (peer, local_port) = (cx.peer(conn), cx.local_port(conn));
    Scene { now: cx.now(), conn: conn.index, peer, local_port }
}

fn told(answer: &Answer) -> Told {
    Told { status: Some(answer.status), bytes: answer.sent }
}
