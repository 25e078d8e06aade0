//! Answers on their way into the send queue, from wherever they stopped.

use base::NIL;
use stack::{Conn, Context, SendError};

use super::answer::Answer;
use super::parts::{JUST_READ, write_end, write_part_head};
use super::session::Phase;
use super::{Flow, Http, document_of};
use crate::counters::{HttpCounters, Refusal, Status};

/// Where an answer goes, and how much of it has gone by.
struct Queue<'q, 'c> {
    cx: &'q mut Context<'c>,
    conn: Conn,
    counters: &'q mut HttpCounters,
    /// Bytes of the answer that are queued.
    sent: &'q mut u64,
    /// Bytes of the answer that stand before the next piece.
    before: u64,
}

impl Queue<'_, '_> {
    /// Queues as much of the next piece as is not there and there is room for. True once all of it
    /// is queued.
    fn put(&mut self, piece: &[u8]) -> Result<bool, SendError> {
        let start = usize::try_from(self.sent.saturating_sub(self.before));
        let start = start.unwrap_or(piece.len()).min(piece.len());
        self.before += piece.len() as u64;
        if start == piece.len() {
            return Ok(true);
        }
        let len = self.cx.send(self.conn, &piece[start..])?;
        *self.sent += len as u64;
        self.counters.bytes_out += len as u64;
        Ok(start + len == piece.len())
    }
}

impl Http {
    /// Queues as much of an answer as there is room for. True once all of it is queued.
    pub(super) fn push(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        answer: &mut Answer,
    ) -> Result<bool, SendError> {
        let Self { documents, head, counters, date, sessions, parts, .. } = self;
        let document = document_of(documents, answer);
        let head_len = answer.write_head(document, date, head);
        let (is_head, number, body) = (answer.is_head, answer.parts, answer.body(document));
        let mut queue = Queue { cx, conn, counters, sent: &mut answer.sent, before: 0 };
        if !queue.put(&head[..head_len])? {
            return Ok(false);
        }
        let Some(document) = document.filter(|_| number != NIL && !is_head) else {
            return if is_head { Ok(true) } else { queue.put(body) };
        };
        let parts = if number == JUST_READ { &*parts } else { sessions.parts(number) };
        for &(start, end) in parts.stretches() {
            let head_len = write_part_head(document, (start, end), head);
            let at = |place| usize::try_from(place).expect("within a document in memory");
            if !queue.put(&head[..head_len])? || !queue.put(&document.body[at(start)..at(end)])? {
                return Ok(false);
            }
        }
        let end_len = write_end(document, head);
        queue.put(&head[..end_len])
    }

    /// The same document in one piece.
    pub(super) fn whole(&self, answer: Answer) -> Answer {
        let document = document_of(&self.documents, &answer);
        let to = document.map_or(0, |document| document.body.len() as u64);
        Answer { status: Status::Ok, from: 0, to, parts: NIL, ..answer }
    }

    /// Remembers an answer that waits for room, with its parts.
    pub(super) fn hold_answer(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        mut answer: Answer,
    ) -> Flow {
        if answer.parts == JUST_READ {
            let has_session = session.is_some() || self.sessions.has_free();
            let kept = if has_session { self.sessions.keep_parts(&self.parts) } else { None };
            let Some(number) = kept else {
                return self.drop_for(cx, conn, Refusal::ResourceSessions);
            };
            answer.parts = number;
        }
        self.hold(cx, conn, session, Phase::Answer(answer))
    }
}
