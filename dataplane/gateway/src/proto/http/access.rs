//! What the access log is told of HTTP, and when.

use base::Instant;
use stack::{CloseReason, Conn, Context};

use super::answer::Answer;
use super::session::Phase;
use super::{Http, session_of};
use crate::access::{AccessLog, Cause, Ending, Kept, Place, Scene, Told};
use crate::counters::Refusal;

impl Http {
    /// Logs by `log` from now on, or not at all. What was there before comes back; requests that
    /// are under way are told of without what was noted of them.
    pub(crate) fn set_access_log(&mut self, log: Option<Box<AccessLog>>) -> Option<Box<AccessLog>> {
        std::mem::replace(&mut self.access, log)
    }

    /// A head has ended, or as much of it as is read.
    #[inline]
    pub(super) fn note(&mut self, head: &[u8], now: Instant) {
        if let Some(log) = &mut self.access {
            log.begin(head, now);
        }
    }

    /// The same of a head of `len` bytes that came in pieces.
    pub(super) fn note_buffered(&mut self, buffer: u32, len: usize, now: Instant) {
        if let Some(log) = &mut self.access {
            log.begin(&self.sessions.head(buffer)[..len], now);
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
            let kept = log.answered(session, scene(cx, conn), told(answer));
            self.count_kept(kept);
        }
    }

    /// A connection is about to be dropped, whatever is under way on it.
    pub(super) fn log_drop(&mut self, cx: &Context<'_>, conn: Conn, refusal: Refusal) {
        self.log_end(cx, conn, Ending::of_refusal(refusal));
    }

    /// A connection is about to end between two requests.
    pub(super) fn log_idle(&mut self, cx: &Context<'_>, conn: Conn, cause: Cause) {
        self.log_end(cx, conn, Ending::new(cause, Place::Idle));
    }

    /// The client has ended its direction in the middle of a request.
    pub(super) fn log_truncated(&mut self, cx: &Context<'_>, conn: Conn) {
        let Some(place) = self.place(session_of(cx, conn)) else { return };
        self.log_end(cx, conn, Ending::new(Cause::Client, place));
    }

    /// A connection has ended, for a reason that the stack gives.
    pub(super) fn log_close(&mut self, cx: &Context<'_>, conn: Conn, why: CloseReason) {
        if self.access.is_none() {
            return;
        }
        let cause = Cause::of_close(why, self.is_draining);
        let place = match (self.place(session_of(cx, conn)), cause) {
            (Some(place), _) => place,
            // The end of an answer that was wholly queued waited in the stack.
            (None, Cause::Timeout | Cause::Resource) => Place::Answer,
            (None, Cause::Vanished) => Place::Idle,
            // Told of when it was dropped, or as a client ends what it is done with.
            (None, _) => return,
        };
        self.log_end(cx, conn, Ending::new(cause, place));
    }

    /// What a session is in the middle of, if it is a request.
    fn place(&self, session: Option<u32>) -> Option<Place> {
        match self.sessions.phase(session?) {
            Phase::Head { .. } => Some(Place::Head),
            Phase::Body { .. } => Some(Place::Body),
            Phase::Answer(_) => Some(Place::Answer),
            Phase::Linger { .. } => None,
        }
    }

    fn log_end(&mut self, cx: &Context<'_>, conn: Conn, ending: Ending) {
        let session = session_of(cx, conn);
        let Some(log) = &mut self.access else { return };
        let told = match session.map(|index| self.sessions.phase(index)) {
            Some(Phase::Answer(answer)) => told(&answer),
            Some(Phase::Head { buffer, len }) => {
                // The head was not noted: it has not ended.
                log.begin(&self.sessions.head(buffer)[..len as usize], cx.now());
                Told::default()
            }
            Some(Phase::Body { .. } | Phase::Linger { .. }) | None => Told::default(),
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
    Scene { now: cx.now(), peer: cx.peer(conn), local_port: cx.local_port(conn) }
}

fn told(answer: &Answer) -> Told {
    Told { status: Some(answer.status), bytes: answer.sent }
}
