//! HTTP/1.1 (RFC 9110, RFC 9112): GET and HEAD of documents in memory.
//!
//! Requests of a connection are answered in order, and the next one is not looked at before the
//! answer to the last is wholly queued: what a client sends meanwhile stays in the stack, which
//! closes its window. After an error whose request has no certain end, and where the client asks
//! for it, the connection ends: our direction is finished, and what still comes is thrown away for
//! a while, as a reset would destroy the answer that the client has not read yet.
//!
//! ```text
//!              whole head in one segment, answer fits the send queue
//!            +------------------------------------------------------+
//!            v                                                      |
//!   idle (no session) --half a head--> Head --its end--> Answer --> +--> Body --its end--> idle
//!                                        |                  |
//!                                        +--refused---------+--> Linger --peer's end--> closed
//! ```

pub(crate) mod answer;
mod date;
mod documents;
mod path;
mod request;
mod session;

use stack::{CloseReason, Conn, Context, Data, Datagram, Refuse, SendError, Service};

use base::{Instant, NIL};
use memory::ArenaError;

use self::answer::{Answer, Persistence, status_of};
pub use self::documents::{Document, Documents, DocumentsError};
use self::path::PathBuffer;
use self::request::{Request, find_end, parse};
use self::session::{Phase, Sessions};
use crate::GatewayConfig;
use crate::counters::{HttpCounters, Refusal, Status};
use crate::limits::{
    ANSWER_HEAD_LEN_MAX, EXPIRED_PER_SWEEP, HEAD_LEN_MAX, LINGER_LEN_MAX, SWEEP_EVERY,
};
use crate::timer::HTTP_SWEEP;

/// HTTP of one core.
#[derive(Debug)]
pub(crate) struct Http {
    documents: Documents,
    sessions: Sessions,
    counters: HttpCounters,
    /// Seconds since 1970; zero until somebody tells.
    date: u64,
    is_sweeping: bool,
    /// Where paths are decoded and heads are written: one request at a time.
    path: Box<PathBuffer>,
    head: Box<[u8; ANSWER_HEAD_LEN_MAX]>,
}

/// What the next bytes of a connection bring.
enum Next {
    /// Nothing to be done until more come, or until there is room.
    Wait,
    /// A session has begun.
    Began(u32),
    /// A request to be answered.
    Answer(Answer),
    /// A request that ends the connection.
    Refuse(Refusal),
    /// The body is through: the next request begins.
    BodyEnd,
    /// More than a connection that lingers is worth.
    Overrun,
}

/// Whether the connection still has something to say to us.
#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

impl Http {
    pub(crate) fn new(config: GatewayConfig) -> Result<Self, ArenaError> {
        let GatewayConfig { sessions_max, heads_max, documents, pages } = config;
        Ok(Self {
            documents,
            sessions: Sessions::new(sessions_max, heads_max, pages)?,
            counters: HttpCounters::default(),
            date: 0,
            is_sweeping: false,
            path: Box::new([0; HEAD_LEN_MAX]),
            head: Box::new([0; ANSWER_HEAD_LEN_MAX]),
        })
    }

    pub(crate) fn set_wall_time(&mut self, unix_seconds: u64) {
        self.date = unix_seconds;
    }

    pub(crate) fn counters(&self) -> HttpCounters {
        HttpCounters {
            sessions_used: self.sessions.used(),
            sessions_used_max: self.sessions.used_max(),
            heads_used: self.sessions.heads_used(),
            ..self.counters
        }
    }

    /// Looks at bytes in order: how many of them are taken, and what they bring.
    fn read(
        &mut self,
        conn: Conn,
        session: Option<u32>,
        bytes: &[u8],
        now: Instant,
    ) -> (usize, Next) {
        let Some(index) = session else { return self.read_idle(conn, bytes, now) };
        match self.sessions.phase(index) {
            Phase::Head { buffer, len } => self.read_head(index, buffer, len as usize, bytes),
            Phase::Answer(answer) => {
                let (len, body_rest) = self.discard(bytes, answer.body_rest);
                self.sessions.update(index, Phase::Answer(Answer { body_rest, ..answer }));
                (len, Next::Wait)
            }
            Phase::Body { rest } => {
                let (len, rest) = self.discard(bytes, rest);
                self.sessions.update(index, Phase::Body { rest });
                (len, if rest == 0 { Next::BodyEnd } else { Next::Wait })
            }
            Phase::Linger { rest } => {
                let (len, rest) = self.discard(bytes, rest);
                self.sessions.update(index, Phase::Linger { rest });
                (len, if len < bytes.len() { Next::Overrun } else { Next::Wait })
            }
        }
    }

    /// Throws away at most `rest` of `bytes`: how many, and what is left of `rest`.
    fn discard(&mut self, bytes: &[u8], rest: u32) -> (usize, u32) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(rest);
        self.counters.bytes_discarded += u64::from(len);
        (len as usize, rest - len)
    }

    /// Between two requests: mostly a whole head, which is read where it lies.
    fn read_idle(&mut self, conn: Conn, bytes: &[u8], now: Instant) -> (usize, Next) {
        //= https://www.rfc-editor.org/rfc/rfc9112#section-2.2
        //# a server that is expecting to receive and parse a request-line SHOULD ignore at least
        //# one empty line (CRLF) received prior to the request-line
        let is_blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let blank = bytes.iter().take_while(is_blank).count();
        let head = &bytes[blank..];
        if head.is_empty() {
            return (blank, Next::Wait);
        }
        if let Some((len, result)) = parse(head, &mut self.path) {
            return (blank + len, next_of(result, &self.documents, self.date, &mut self.counters));
        }
        let Some(buffer) = self.sessions.allocate_head() else {
            return (bytes.len(), Next::Refuse(Refusal::ResourceHeads));
        };
        self.sessions.head_mut(buffer)[..head.len()].copy_from_slice(head);
        let len = u32::try_from(head.len()).expect("shorter than a head may be");
        match self.sessions.begin(conn, Phase::Head { buffer, len }, now) {
            Some(index) => (bytes.len(), Next::Began(index)),
            None => {
                self.sessions.free_head(buffer);
                (bytes.len(), Next::Refuse(Refusal::ResourceSessions))
            }
        }
    }

    /// A head that arrives in pieces; it is parsed once, when its end is there.
    fn read_head(&mut self, index: u32, buffer: u32, known: usize, bytes: &[u8]) -> (usize, Next) {
        let count = bytes.len().min(HEAD_LEN_MAX - known);
        let head = self.sessions.head_mut(buffer);
        head[known..known + count].copy_from_slice(&bytes[..count]);
        let len = known + count;
        // The end has at most three bytes that may be cut apart.
        if let Some(end) = find_end(&head[..len], known.saturating_sub(3)) {
            let parsed = parse(&self.sessions.head(buffer)[..end], &mut self.path);
            let result = parsed.map_or(Err(Refusal::HeadMalformed), |(_, result)| result);
            let next = next_of(result, &self.documents, self.date, &mut self.counters);
            return (end - known, next);
        }
        if len == HEAD_LEN_MAX {
            return (count, Next::Refuse(Refusal::HeadTooLong));
        }
        let len = u32::try_from(len).expect("shorter than a head may be");
        self.sessions.update(index, Phase::Head { buffer, len });
        (count, Next::Wait)
    }

    /// An answer that tells of a refusal and ends the connection.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        refusal: Refusal,
    ) -> Flow {
        self.counters.refuse_for(refusal);
        let status = status_of(refusal).expect("refusals of requests have a status");
        let answer = Answer {
            status,
            document: NIL,
            is_head: false,
            persistence: Persistence::Close,
            has_peer_ended: false,
            date: self.date,
            sent: 0,
            body_rest: 0,
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
        let mut answer = answer;
        if session.is_none() && !self.sessions.has_free() && !self.fits(cx, conn, &answer) {
            // It would stop half-way with nobody to remember where. The refusal is short.
            self.counters.refuse_for(Refusal::ResourceSessions);
            answer.status = Status::ServiceUnavailable;
            answer.persistence = Persistence::Close;
        }
        self.counters.answer_with(answer.status);
        match self.push(cx, conn, &mut answer) {
            Ok(true) => self.answered(cx, conn, session, answer),
            Ok(false) => self.hold(cx, conn, session, Phase::Answer(answer)),
            Err(_) => self.drop_for(cx, conn, Refusal::SendRefused),
        }
    }

    fn fits(&mut self, cx: &Context<'_>, conn: Conn, answer: &Answer) -> bool {
        let document = self.document(answer);
        let body_len = if answer.is_head { 0 } else { answer.body(document).len() };
        body_len + ANSWER_HEAD_LEN_MAX <= cx.send_room(conn)
    }

    fn document(&self, answer: &Answer) -> Option<&Document> {
        (answer.status == Status::Ok).then(|| self.documents.document(answer.document))
    }

    /// Queues as much of an answer as there is room for. True once all of it is queued.
    fn push(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        answer: &mut Answer,
    ) -> Result<bool, SendError> {
        let Self { documents, head, counters, .. } = self;
        let document = (answer.status == Status::Ok).then(|| documents.document(answer.document));
        let head_len = answer.write_head(document, head);
        let body = if answer.is_head { &[] } else { answer.body(document) };
        for (start, part) in [(0, &head[..head_len]), (head_len, body)] {
            let from = usize::try_from(answer.sent).expect("within head and body") - start;
            if from < part.len() {
                let len = cx.send(conn, &part[from..])?;
                answer.sent += len as u64;
                counters.bytes_out += len as u64;
                if from + len < part.len() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// All of an answer is queued.
    fn answered(
        &mut self,
        cx: &mut Context<'_>,
        conn: Conn,
        session: Option<u32>,
        answer: Answer,
    ) -> Flow {
        if answer.has_peer_ended {
            return self.close(cx, conn);
        }
        match answer.persistence {
            Persistence::Close => self.linger(cx, conn, session),
            Persistence::Keep | Persistence::KeepSaid if answer.body_rest > 0 => {
                self.hold(cx, conn, session, Phase::Body { rest: answer.body_rest })
            }
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
            return Flow::Continue;
        }
        match self.sessions.begin(conn, phase, now) {
            Some(index) => {
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
        cx.set_word(conn, 0);
        Some(phase)
    }

    fn close(&mut self, cx: &mut Context<'_>, conn: Conn) -> Flow {
        self.release(cx, conn);
        cx.close(conn);
        Flow::Stop
    }

    fn drop_for(&mut self, cx: &mut Context<'_>, conn: Conn, refusal: Refusal) -> Flow {
        self.counters.refuse_for(refusal);
        self.release(cx, conn);
        cx.abort(conn);
        Flow::Stop
    }

    fn expire(&mut self, cx: &mut Context<'_>, conn: Conn, index: u32, phase: Phase) {
        // Each of these ends the phase or the session, so that the next look finds another.
        match phase {
            Phase::Head { .. } => {
                //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
                //# the server did not receive a complete request message within the time that it was
                //# prepared to wait
                self.refuse(cx, conn, Some(index), Refusal::HeadTimeout)
            }
            Phase::Answer(_) => self.drop_for(cx, conn, Refusal::AnswerTimeout),
            Phase::Body { .. } => {
                self.counters.refuse_for(Refusal::BodyTimeout);
                self.linger(cx, conn, Some(index))
            }
            Phase::Linger { .. } => {
                self.counters.refuse_for(Refusal::LingerTimeout);
                self.close(cx, conn)
            }
        };
    }
}

impl Service for Http {
    fn on_open(&mut self, _cx: &mut Context<'_>, _conn: Conn) -> Result<(), Refuse> {
        self.counters.connections += 1;
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
                Next::Refuse(refusal) => self.refuse(cx, conn, session, refusal),
                Next::BodyEnd => {
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
            if answer.body_rest > 0 {
                self.counters.refuse_for(Refusal::PeerTruncated);
            }
            let answer = Answer { has_peer_ended: true, body_rest: 0, ..answer };
            self.sessions.update(index, Phase::Answer(answer));
            return;
        }
        if let Some(Phase::Head { .. } | Phase::Body { .. }) = self.release(cx, conn) {
            self.counters.refuse_for(Refusal::PeerTruncated);
        }
        cx.close(conn);
    }

    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let Some(index) = session_of(cx, conn) else { return };
        let Phase::Answer(mut answer) = self.sessions.phase(index) else { return };
        let sent_before = answer.sent;
        let flow = match self.push(cx, conn, &mut answer) {
            Ok(true) => self.answered(cx, conn, Some(index), answer),
            Ok(false) => {
                if answer.sent > sent_before {
                    self.sessions.enter(index, Phase::Answer(answer), cx.now());
                }
                return;
            }
            Err(_) => self.drop_for(cx, conn, Refusal::SendRefused),
        };
        if flow == Flow::Continue {
            // What came behind the request, and the peer's end, wait in the stack.
            cx.resume(conn);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, _why: CloseReason) {
        self.counters.closed += 1;
        if let Some(Phase::Answer(_)) = self.release(cx, conn) {
            self.counters.refuse_for(Refusal::AnswerCut);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, _key: u64) {
        self.is_sweeping = false;
        for _ in 0..EXPIRED_PER_SWEEP {
            let Some((index, conn, phase)) = self.sessions.poll_expired(cx.now()) else { break };
            self.expire(cx, conn, index, phase);
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

/// What a parsed head asks for.
fn next_of(
    result: Result<Request<'_>, Refusal>,
    documents: &Documents,
    date: u64,
    counters: &mut HttpCounters,
) -> Next {
    let Request { is_head, persistence, body_len: body_rest, path } = match result {
        Ok(request) => request,
        Err(refusal) => return Next::Refuse(refusal),
    };
    let found = path.and_then(|path| documents.find(path).ok_or(Refusal::NotFound));
    let (status, document) = match found {
        Ok(document) => (Status::Ok, document),
        Err(refusal) => {
            counters.refuse_for(refusal);
            (status_of(refusal).expect("refusals of requests have a status"), NIL)
        }
    };
    // Whoever sends a malformed request once is not trusted with where the next one begins.
    let persistence = if status == Status::BadRequest { Persistence::Close } else { persistence };
    Next::Answer(Answer {
        status,
        document,
        is_head,
        persistence,
        has_peer_ended: false,
        date,
        sent: 0,
        body_rest,
    })
}
