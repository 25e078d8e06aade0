//! The access log of a core: what is noted of a request, how it ended, and the ring by which that
//! leaves the core.
//!
//! The naive log formats a line and writes it where the request is answered. A disk that is slow
//! then is a gateway that is slow, and a pipe that nobody reads stops it. Here a core copies the
//! request's first line into a record of fixed size and puts it into a ring; another thread makes
//! text of it. Where the ring is full the record is dropped and counted.

mod ending;

use base::{Duration, Instant};
use memory::Producer;
use wire::Address;

pub use self::ending::{Cause, Ending, Place};
use crate::counters::{Refusal, Status};
use crate::limits::ACCESS_LINE_LEN_MAX;

/// Which requests are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessTerms {
    /// One request in so many; at least 1.
    pub sample: u32,
    /// Every request that ended otherwise than it should, or whose status is 400 or above, whatever
    /// the sample.
    pub is_every_error: bool,
}

/// The beginning of a request: its first line, as it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestLine {
    bytes: [u8; ACCESS_LINE_LEN_MAX],
    len: u16,
    is_cut: bool,
}

impl RequestLine {
    const EMPTY: Self = Self { bytes: [0; ACCESS_LINE_LEN_MAX], len: 0, is_cut: false };

    /// The first line of `head`, as far as there is room, without its end.
    fn of(head: &[u8]) -> Self {
        let seen = &head[..head.len().min(ACCESS_LINE_LEN_MAX + 1)];
        let end = seen.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let len = end.unwrap_or(seen.len()).min(ACCESS_LINE_LEN_MAX);
        let mut line = Self::EMPTY;
        line.bytes[..len].copy_from_slice(&head[..len]);
        line.len = u16::try_from(len).expect("ACCESS_LINE_LEN_MAX fits");
        line.is_cut = end.is_none() && head.len() > len;
        line
    }

    /// Its bytes, which may be anything.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether more of it came than there was room for.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl std::fmt::Debug for RequestLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

/// A request that has ended, or a connection that ended without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessRecord {
    /// When it ended, on the core's clock.
    pub ended_at: Instant,
    /// From the head's end, or from what of it there was, to the answer's last byte in the queue.
    pub took: Duration,
    /// The client; unknown where the connection is forgotten already.
    pub peer: Option<(Address, u16)>,
    /// Our TCP port.
    pub local_port: Option<u16>,
    /// Empty if no request was under way.
    pub line: RequestLine,
    /// Of the answer, if one was begun.
    pub status: Option<Status>,
    /// Bytes of the answer, its head included, that were queued to be sent.
    pub bytes: u64,
    /// How it ended.
    pub ending: Ending,
}

/// What is noted while a request is under way.
#[derive(Clone, Copy, Debug)]
struct Note {
    since: Instant,
    line: RequestLine,
    refusal: Option<Refusal>,
    is_sampled: bool,
}

/// Who and when: what a record takes from the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) now: Instant,
    pub(crate) peer: Option<(Address, u16)>,
    pub(crate) local_port: Option<u16>,
}

/// The answer as it stood at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: Option<Status>,
    pub(crate) bytes: u64,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was not one of those that are told of.
    Passed,
    /// It is on its way.
    Given,
    /// The ring was full.
    Lost,
}

/// The access log of one core. It takes its memory when it is made.
#[derive(Debug)]
pub struct AccessLog {
    out: Producer<AccessRecord>,
    terms: AccessTerms,
    /// Requests until the next one of the sample.
    left: u32,
    /// Of the request that is being looked at.
    current: Option<Note>,
    /// Of requests that are under way, by their session.
    held: Box<[Option<Note>]>,
}

impl AccessLog {
    /// A log for a gateway with `sessions_max` sessions, whose records leave by `out`.
    #[must_use]
    pub fn new(terms: AccessTerms, sessions_max: u32, out: Producer<AccessRecord>) -> Self {
        let held = vec![None; sessions_max as usize].into_boxed_slice();
        Self { out, terms, left: terms.sample, current: None, held }
    }

    /// A head has ended, or what there is of it has been given up.
    pub(crate) fn begin(&mut self, head: &[u8], now: Instant) {
        let is_sampled = self.draw();
        let line = RequestLine::of(head);
        self.current = Some(Note { since: now, line, refusal: None, is_sampled });
    }

    /// What is under way has a session now.
    pub(crate) fn hold(&mut self, session: u32) {
        if let Some(note) = self.current.take() {
            self.held[session as usize] = Some(note);
        }
    }

    /// The request that is under way is refused.
    pub(crate) fn refuse(&mut self, session: Option<u32>, refusal: Refusal, now: Instant) {
        if self.current.is_none() && self.held(session).is_none() {
            self.begin(b"", now);
        }
        let note = match &mut self.current {
            Some(note) => note,
            None => match session.and_then(|index| self.held[index as usize].as_mut()) {
                Some(note) => note,
                None => return,
            },
        };
        note.refusal = Some(refusal);
    }

    /// An answer is wholly queued.
    pub(crate) fn answered(&mut self, session: Option<u32>, scene: Scene, told: Told) -> Kept {
        let Some(note) = self.take(session) else { return Kept::Passed };
        self.give(note, scene, told, Ending::of_answer(note.refusal))
    }

    /// A request ends otherwise; where none is under way, the connection does.
    pub(crate) fn ended(
        &mut self,
        session: Option<u32>,
        scene: Scene,
        told: Told,
        ending: Ending,
    ) -> Kept {
        let note = self.take(session).unwrap_or_else(|| {
            let is_sampled = self.draw();
            Note { since: scene.now, line: RequestLine::EMPTY, refusal: None, is_sampled }
        });
        self.give(note, scene, told, ending)
    }

    fn held(&self, session: Option<u32>) -> Option<&Note> {
        self.held[session? as usize].as_ref()
    }

    fn take(&mut self, session: Option<u32>) -> Option<Note> {
        let held = session.and_then(|index| self.held[index as usize].take());
        self.current.take().or(held)
    }

    /// Whether the next one is of the sample.
    fn draw(&mut self) -> bool {
        self.left -= 1;
        let is_sampled = self.left == 0;
        if is_sampled {
            self.left = self.terms.sample;
        }
        is_sampled
    }

    fn give(&mut self, note: Note, scene: Scene, told: Told, ending: Ending) -> Kept {
        let Note { since, line, refusal: _, is_sampled } = note;
        let Told { status, bytes } = told;
        let is_error = ending.is_error() || status.is_some_and(Status::is_error);
        if !(is_sampled || (self.terms.is_every_error && is_error)) {
            return Kept::Passed;
        }
        let Scene { now, peer, local_port } = scene;
        let took = now.saturating_since(since);
        let record =
            AccessRecord { ended_at: now, took, peer, local_port, line, status, bytes, ending };
        match self.out.push(record) {
            Ok(()) => Kept::Given,
            Err(_full) => Kept::Lost,
        }
    }
}
