//! HTTP/1.1 (RFC 9110, RFC 9112): GET, HEAD and OPTIONS of documents in memory.
//!
//! Requests of a connection are answered in order, and the next one is not looked at before the
//! answer to the last is wholly queued: what a client sends meanwhile stays in the stack, which
//! closes its window. Content that comes with a request is read to its end first, so that what is
//! wrong with it is answered too. After an error whose request has no certain end, and where the
//! client asks for it, the connection ends: our direction is finished, and what still comes is
//! thrown away for a while, as a reset would destroy the answer that the client has not read yet.
//!
//! ```text
//!              whole head in one segment, no content, answer fits the send queue
//!            +-------------------------------------------------------------------+
//!            v                                                                   |
//!   idle (no session) --half a head--> Head --its end--> Body --its end--> Answer --> idle
//!                                        |                 |                 |
//!                                        +-----refused-----+-----close-------+
//!                                                                            v
//!                                                     closed <--peer's end-- Linger
//! ```

mod access;
pub(crate) mod answer;
mod body;
mod condition;
mod date;
mod documents;
mod drain;
mod framing;
mod host;
mod ingress;
mod parts;
mod path;
mod push;
mod range;
mod request;
mod select;
mod session;
mod shelf;
mod slow;
mod stored;

use stack::{CloseReason, Conn, Context, Data, Datagram, Refuse, Service};

use base::NIL;
use memory::ArenaError;

use self::answer::{Answer, DateLine, Persistence, status_of};
use self::body::Body;
pub use self::documents::{Document, Documents, DocumentsError};
use self::ingress::Next;
use self::parts::Parts;
use self::path::PathBuffer;
use self::request::Rejection;
use self::select::closing;
use self::session::{Due, Phase, Sessions};
use self::shelf::Shelf;
use self::stored::Stored;
use crate::GatewayConfig;
use crate::access::AccessLog;
use crate::counters::{HttpCounters, Refusal, Status};
use crate::limits::{
    ANSWER_HEAD_LEN_MAX, EXPIRED_PER_SWEEP, HEAD_LEN_MAX, LINGER_LEN_MAX, SWEEP_EVERY,
};
use crate::timer::HTTP_SWEEP;

/// HTTP of one core.
#[derive(Debug)]
pub(crate) struct Http {
    documents: Shelf,
    sessions: Sessions,
    counters: HttpCounters,
    /// Seconds since 1970, and as a field; zero until somebody tells.
    date: DateLine,
    body_len_max: u32,
    is_sweeping: bool,
    /// Every answer is the last of its connection.
    is_draining: bool,
    /// What the request whose head was just read asks for, if it is several parts.
    parts: Parts,
    /// Where requests are told of, if anywhere.
    access: Option<Box<AccessLog>>,
    /// What was wrong with the request whose head was just read, if it is answered in order.
    refused: Option<Refusal>,
    /// Where paths are decoded and heads are written: one request at a time.
    path: Box<PathBuffer>,
    head: Box<[u8; ANSWER_HEAD_LEN_MAX]>,
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.2.1
//# 100 (Continue) ... the initial part of a request has been received and has not yet been rejected
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Whether the connection still has something to say to us.
#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

impl Http {
    pub(crate) fn new(config: GatewayConfig) -> Result<Self, ArenaError> {
        let GatewayConfig { sessions_max, heads_max, documents, http, pages } = config;
        Ok(Self {
            documents: Shelf::new(documents),
            sessions: Sessions::new(sessions_max, heads_max, pages, http)?,
            counters: HttpCounters::default(),
            date: DateLine::new(0),
            body_len_max: http.body_len_max,
            is_sweeping: false,
            is_draining: false,
            parts: Parts::NONE,
            access: None,
            refused: None,
            path: Box::new([0; HEAD_LEN_MAX]),
            head: Box::new([0; ANSWER_HEAD_LEN_MAX]),
        })
    }

    pub(crate) fn set_wall_time(&mut self, unix_seconds: u64) {
        if self.date.seconds != unix_seconds {
            self.date = DateLine::new(unix_seconds);
        }
    }

    pub(crate) fn counters(&self) -> HttpCounters {
        HttpCounters {
            sessions_used: self.sessions.used(),
            sessions_used_max: self.sessions.used_max(),
            heads_used: self.sessions.heads_used(),
            ..self.counters
        }
    }

    /// Content is to come: the client is told so if it waits for that.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
    //# A server that receives a 100-continue expectation ... MUST send either an immediate response
    //# containing the final status code or a 100 (Continue) response
    fn begin_body(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        (answer, body, is_awaited): (Answer, Body, bool),
    ) -> Flow {
        if session.is_none() && !self.sessions.has_free() {
            let refusal = Refusal::ResourceSessions;
            return self.refuse(cx, conn, session, Rejection { refusal, is_head: answer.is_head });
        }
        if is_awaited {
            if cx.send_room(conn) < CONTINUE.len() {
                return self.answer(cx, conn, session, closing(answer));
            }
            if cx.send(conn, CONTINUE) != Ok(CONTINUE.len()) {
                return self.drop_for(cx, conn, Refusal::SendRefused);
            }
            self.counters.continues += 1;
        }
        self.hold(cx, conn, session, Phase::Body { answer, body })
    }

    /// An answer that tells of a refusal and ends the connection.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        rejection: Rejection,
    ) -> Flow {
        let Rejection { refusal, is_head } = rejection;
        self.counters.refuse_for(refusal);
        self.note_refusal(cx, session, refusal);
        let status = status_of(refusal).expect("refusals of requests have a status");
        let answer = Answer {
            status,
            is_head,
            persistence: Persistence::Close,
            has_peer_ended: false,
            document: NIL,
            date: self.date.seconds,
            sent: 0,
            from: 0,
            to: 0,
            parts: NIL,
        };
        self.answer(cx, conn, session, answer)
    }

    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        answer: Answer,
    ) -> Flow {
        let mut answer = if self.is_draining { closing(answer) } else { answer };
        if session.is_none() && !self.sessions.has_free() && !self.fits(cx, conn, &answer) {
            // It would stop half-way with nobody to remember where. The refusal is short.
            self.counters.refuse_for(Refusal::ResourceSessions);
            self.note_refusal(cx, session, Refusal::ResourceSessions);
            let status = Status::ServiceUnavailable;
            answer = Answer { status, document: NIL, parts: NIL, ..closing(answer) };
        }
        let is_kept = answer.parts == NIL || self.sessions.has_parts_free();
        if !is_kept && !self.fits(cx, conn, &answer) {
            answer = self.whole(answer);
        }
        self.counters.answer_with(answer.status);
        match self.push(cx, conn, &mut answer) {
            Ok(true) => self.answered(cx, conn, session, answer),
            Ok(false) => self.hold_answer(cx, conn, session, answer),
            Err(_) => self.drop_for(cx, conn, Refusal::SendRefused),
        }
    }

    fn fits(&mut self, cx: &Context<'_>, conn: Conn, answer: &Answer) -> bool {
        let Self { documents, head, date, .. } = self;
        let document = document_of(documents, answer);
        let head_len = answer.write_head(document, date, head) as u64;
        head_len + answer.content_len(document) <= cx.send_room(conn) as u64
    }

    /// All of an answer is queued.
    fn answered(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        answer: Answer,
    ) -> Flow {
        self.log_answer(cx, conn, session, &answer);
        if answer.has_peer_ended {
            return self.close(cx, conn);
        }
        match answer.persistence {
            Persistence::Close => self.linger(cx, conn, session),
            Persistence::Keep | Persistence::KeepSaid => {
                self.release(cx, conn);
                Flow::Continue
            }
        }
    }

    /// Ends our direction and waits for the peer to end its own.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    //# To avoid the TCP reset problem, servers typically close a connection in stages. First, the
    //# server performs a half-close ... continues to read from the connection
    fn linger(&mut self, cx: &mut Context<'_>, conn: Conn, session: Option<u32>) -> Flow {
        if session.is_none() && !self.sessions.has_free() {
            self.counters.refuse_for(Refusal::LingerRefused);
            return self.close(cx, conn);
        }
        cx.finish(conn);
        self.hold(cx, conn, session, Phase::Linger { rest: LINGER_LEN_MAX })
    }

    /// Remembers what a connection is in the middle of; without a session it is reset.
    fn hold(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        phase: Phase,
    ) -> Flow {
        let now = cx.now();
        if let Some(index) = session {
            self.sessions.enter(index, phase, now);
            self.hold_note(index);
            return Flow::Continue;
        }
        match self.sessions.begin(conn, phase, now) {
            Some(index) => {
                self.hold_note(index);
                self.began(cx, conn, index);
                Flow::Continue
            }
            None => self.drop_for(cx, conn, Refusal::ResourceSessions),
        }
    }

    fn began(&mut self, cx: &mut Context<'_>, conn: Conn, index: u32) {
        cx.set_word(conn, index + 1);
        self.arm(cx);
    }

    fn arm(&mut self, cx: &mut Context<'_>) {
        if !self.is_sweeping {
            self.is_sweeping = cx.set_timer(SWEEP_EVERY, HTTP_SWEEP).is_ok();
            if !self.is_sweeping {
                self.counters.refuse_for(Refusal::ResourceTimers);
            }
        }
    }

    /// Gives back a connection's session, if it has one; returns what it was in the middle of.
    fn release(&mut self, cx: &mut Context<'_>, conn: Conn) -> Option<Phase> {
        let index = session_of(cx, conn)?;
        let phase = self.sessions.phase(index);
        self.sessions.end(index);
        cx.set_idle(conn);
        Some(phase)
    }

    fn close(&mut self, cx: &mut Context<'_>, conn: Conn) -> Flow {
        self.release(cx, conn);
        cx.close(conn);
        Flow::Stop
    }

    fn drop_for(&mut self, cx: &mut Context<'_>, conn: Conn, refusal: Refusal) -> Flow {
        self.counters.refuse_for(refusal);
        self.log_drop(cx, conn, refusal);
        self.release(cx, conn);
        cx.abort(conn);
        Flow::Stop
    }
}

impl Service for Http {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        self.counters.connections += 1;
        self.note_open(conn);
        cx.set_idle(conn);
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let total = data.bytes(cx).len();
        let now = cx.now();
        let mut taken = 0;
        while taken < total {
            let session = session_of(cx, conn);
            let (len, next) = self.read(conn, session, &data.bytes(cx)[taken..], now);
            taken += len;
            let flow = match next {
                Next::Wait => return taken,
                Next::Began(index) => {
                    self.began(cx, conn, index);
                    Flow::Continue
                }
                Next::Answer(answer) => self.answer(cx, conn, session, answer),
                Next::Body { answer, body, is_awaited } => {
                    self.begin_body(cx, conn, session, (answer, body, is_awaited))
                }
                Next::Refuse(rejection) => self.refuse(cx, conn, session, rejection),
                Next::Blank => {
                    self.release(cx, conn);
                    Flow::Continue
                }
                Next::Overrun => self.drop_for(cx, conn, Refusal::LingerTooLong),
            };
            if flow == Flow::Stop {
                return total;
            }
        }
        taken
    }

    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let session = session_of(cx, conn);
        if let Some(index) = session
            && let Phase::Answer(answer) = self.sessions.phase(index)
        {
            // The client sends no more, and still reads.
            let answer = Answer { has_peer_ended: true, ..answer };
            self.sessions.update(index, Phase::Answer(answer));
            return;
        }
        self.log_truncated(cx, conn);
        if let Some(Phase::Head { .. } | Phase::Body { .. }) = self.release(cx, conn) {
            self.counters.refuse_for(Refusal::PeerTruncated);
        }
        cx.close(conn);
    }

    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let Some(index) = session_of(cx, conn) else {
            return;
        };
        let Phase::Answer(mut answer) = self.sessions.phase(index) else {
            return;
        };
        let flow = match self.push(cx, conn, &mut answer) {
            Ok(true) => self.answered(cx, conn, Some(index), answer),
            Ok(false) => {
                self.sessions.update(index, Phase::Answer(answer));
                return;
            }
            Err(_) => self.drop_for(cx, conn, Refusal::SendRefused),
        };
        if flow == Flow::Continue {
            // What came behind the request, and the peer's end, wait in the stack.
            cx.resume(conn);
        }
    }

    fn on_idle(&mut self, cx: &mut Context<'_>, conn: Conn) {
        self.counters.refuse_for(Refusal::IdleTimeout);
        self.end_idle(cx, conn);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        self.log_close(cx, conn, why);
        let phase = self.release(cx, conn);
        self.closed(phase, why);
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _key: u64) {
        self.is_sweeping = false;
        for _ in 0..EXPIRED_PER_SWEEP {
            match self.sessions.poll_due(cx.now()) {
                None => break,
                Some(Due::Renewed) => {}
                Some(Due::Expired { index, conn, phase }) => self.expire(cx, conn, index, phase),
            }
        }
        if self.sessions.used() > 0 {
            self.arm(cx);
        }
    }

    fn on_datagram(&mut self, _cx: &mut Context<'_>, _from: Datagram, _data: &mut Data) {
        self.counters.refuse_for(Refusal::Datagram);
    }
}

/// The session of a connection, if it is in the middle of something.
fn session_of(cx: &Context<'_>, conn: Conn) -> Option<u32> {
    cx.word(conn)?.checked_sub(1)
}

/// The document that an answer is about.
fn document_of<'d>(documents: &'d Shelf, answer: &Answer) -> Option<&'d Stored> {
    (answer.document != NIL).then(|| documents.document(answer.document))
}
