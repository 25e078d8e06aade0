//! Bytes of a connection in order: a head, its content, or what is thrown away.

use base::Instant;
use stack::Conn;

use super::Http;
use super::answer::Answer;
use super::body::{Body, Progress};
use super::request::{Rejection, find_end, parse, slots, too_long};
use super::select::decide;
use super::session::Phase;
use crate::counters::Refusal;
use crate::limits::HEAD_LEN_MAX;

/// What the next bytes of a connection bring.
pub(super) enum Next {
    /// Nothing to be done until more come, or until there is room.
    Wait,
    /// A session has begun.
    Began(u32),
    /// A request to be answered.
    Answer(Answer),
    /// A request whose content comes first; the client may wait to be told that it should.
    Body { answer: Answer, body: Body, is_awaited: bool },
    /// A request that ends the connection.
    Refuse(Rejection),
    /// An empty line that came in two pieces: there is nothing to remember of it.
    Blank,
    /// More than a connection that lingers is worth.
    Overrun,
}

impl Http {
    /// Looks at bytes in order: how many of them are taken, and what they bring.
    pub(super) fn read(
        &mut self,
        conn: Conn,
        session: Option<u32>,
        bytes: &[u8],
        now: Instant,
    ) -> (usize, Next) {
        let Some(index) = session else {
            return self.read_idle(conn, bytes, now);
        };
        match self.sessions.phase(index) {
            Phase::Head { buffer, len } => {
                let known = len as usize;
                let (taken, next) = self.read_head(index, buffer, known, bytes);
                if let Next::Answer(_) | Next::Body { .. } | Next::Refuse(_) = next {
                    let refused = self.refused.take();
                    self.note_buffered(index, known + taken, refused);
                }
                (taken, next)
            }
            // The next request waits in the stack.
            Phase::Answer(_) => (0, Next::Wait),
            Phase::Body { answer, body } => self.read_body(index, answer, body, bytes),
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
        let mut head = bytes;
        while let Some(after) = head.strip_prefix(b"\r\n") {
            head = after;
        }
        let blank = bytes.len() - head.len();
        match head {
            [] => return (blank, Next::Wait),
            [b'\n', ..] | [b'\r', _, ..] => {
                let rejection = Rejection { refusal: Refusal::HeadMalformed, is_head: false };
                self.note(head, None, now);
                return (blank, Next::Refuse(rejection));
            }
            _ => {}
        }
        let mut slots = slots();
        if let Some((len, parsed)) = parse(head, &mut slots, &mut self.path, self.body_len_max) {
            let seconds = self.date.seconds;
            let Self { documents, counters, refused, parts, .. } = self;
            let next = decide(parsed, documents, seconds, counters, refused, parts);
            let refused = self.refused.take();
            self.note(head, refused, now);
            return (blank + len, next);
        }
        self.keep_head(conn, head, bytes.len(), now)
    }

    /// The beginning of a head, of which more must come.
    fn keep_head(&mut self, conn: Conn, head: &[u8], taken: usize, now: Instant) -> (usize, Next) {
        let is_head = head.starts_with(b"HEAD ");
        let lacks = |refusal| (taken, Next::Refuse(Rejection { refusal, is_head }));
        let Some(buffer) = self.sessions.allocate_head() else {
            self.note(head, None, now);
            return lacks(Refusal::ResourceHeads);
        };
        self.sessions.head_mut(buffer)[..head.len()].copy_from_slice(head);
        let len = u32::try_from(head.len()).expect("shorter than a head may be");
        match self.sessions.begin(conn, Phase::Head { buffer, len }, now) {
            Some(index) => (taken, Next::Began(index)),
            None => {
                self.sessions.free_head(buffer);
                self.note(head, None, now);
                lacks(Refusal::ResourceSessions)
            }
        }
    }

    /// A head that arrives in pieces; it is parsed once, when its end is there.
    fn read_head(&mut self, index: u32, buffer: u32, known: usize, bytes: &[u8]) -> (usize, Next) {
        let count = bytes.len().min(HEAD_LEN_MAX - known);
        let head = self.sessions.head_mut(buffer);
        head[known..known + count].copy_from_slice(&bytes[..count]);
        let len = known + count;
        let malformed = Rejection { refusal: Refusal::HeadMalformed, is_head: false };
        if head[0] == b'\r' {
            // Only as the first half of an empty line before the request it came this far.
            return if head[1] == b'\n' { (1, Next::Blank) } else { (0, Next::Refuse(malformed)) };
        }
        // The end has at most three bytes that may be cut apart.
        if let Some(end) = find_end(&head[..len], known.saturating_sub(3)) {
            let head = &self.sessions.head(buffer)[..end];
            let mut slots = slots();
            let parsed = parse(head, &mut slots, &mut self.path, self.body_len_max);
            let parsed = parsed.map_or(Err(malformed), |(_, parsed)| parsed);
            let now = self.date.seconds;
            let Self { documents, counters, refused, parts, .. } = self;
            return (end - known, decide(parsed, documents, now, counters, refused, parts));
        }
        if len == HEAD_LEN_MAX {
            let refusal = too_long(head);
            let is_head = head.starts_with(b"HEAD ");
            return (count, Next::Refuse(Rejection { refusal, is_head }));
        }
        let len = u32::try_from(len).expect("shorter than a head may be");
        self.sessions.update(index, Phase::Head { buffer, len });
        (count, Next::Wait)
    }

    /// Content: it is taken and thrown away; at its end the answer is due.
    fn read_body(
        &mut self,
        index: u32,
        answer: Answer,
        mut body: Body,
        bytes: &[u8],
    ) -> (usize, Next) {
        let (len, progress) = body.take(bytes, self.body_len_max);
        self.counters.bytes_discarded += len as u64;
        let next = match progress {
            Progress::More => {
                self.sessions.update(index, Phase::Body { answer, body });
                Next::Wait
            }
            Progress::End => Next::Answer(answer),
            Progress::Wrong(refusal) => {
                Next::Refuse(Rejection { refusal, is_head: answer.is_head })
            }
        };
        (len, next)
    }
}
