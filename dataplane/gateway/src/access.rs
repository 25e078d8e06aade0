//! The access log of a core: what is noted of a request, how it ended, and the ring by which that
//! leaves the core.
//!
//! The naive log formats a line and writes it where the request is answered. A disk that is slow
//! then is a gateway that is slow, and a pipe that nobody reads stops it. Here a core copies the
//! request's first line into a record of fixed size and puts it into a ring; another thread makes
//! text of it. Where the ring is full the record is dropped and counted.

mod ending;

use base::{Duration, Instant};
use memory::{ArenaError, Array, PageChoice, Producer};
use wire::Address;

pub use self::ending::{Cause, Ending, Place};
use crate::counters::{Refusal, Status};
use crate::limits::{ACCESS_LINE_LEN_MAX, ACCESS_NOTE_LEN};

/// Which requests are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessTerms {
    /// Of those that ended in order, one in so many; at least 1.
    pub sample: u32,
    /// Every one that ended otherwise ([`Ending::is_error`]), whatever the sample.
    pub is_every_error: bool,
}

/// What the log of a core has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessSizes {
    /// Sessions of the core, see [`crate::GatewayConfig::sessions_max`].
    pub sessions_max: u32,
    /// Records of connections that the core's TCP has; 4 bytes each.
    pub connections_max: u32,
    /// Pages of these.
    pub pages: PageChoice,
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
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
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
    /// From the request's first byte to the answer's last one in the queue; zero if no request was
    /// under way.
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
    /// Requests of the connection that have ended, with this one. A log that is new to a connection
    /// begins with zero.
    pub requests: u32,
    /// How it ended.
    pub ending: Ending,
    /// The exact reason, by the name of its counter, where something was refused.
    pub refusal: Option<Refusal>,
}

/// What is noted while a request is under way.
#[derive(Clone, Copy, Debug)]
struct Note {
    since: Instant,
    line: RequestLine,
    refusal: Option<Refusal>,
}

const _: () = assert!(size_of::<Option<Note>>() <= ACCESS_NOTE_LEN);

/// What is known of requests under way, and of connections.
#[derive(Debug)]
struct Notes {
    /// Of the request that is being looked at.
    current: Option<Note>,
    /// Of requests that are under way, by their session.
    held: Box<[Option<Note>]>,
    /// Requests that have ended, by the number of the connection's record.
    requests: Array<u32>,
}

/// Who and when: what a record takes from the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) now: Instant,
    /// The number of the connection's record.
    pub(crate) conn: u32,
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
    /// Ends in order until the next one of the sample.
    left: u32,
    notes: Notes,
}

impl AccessLog {
    /// A log whose records leave by `out`.
    ///
    /// # Errors
    /// The machine has not enough memory.
    pub fn new(
        terms: AccessTerms,
        sizes: AccessSizes,
        out: Producer<AccessRecord>,
    ) -> Result<Box<Self>, ArenaError> {
        let AccessSizes { sessions_max, connections_max, pages } = sizes;
        let held = vec![None; sessions_max as usize].into_boxed_slice();
        let requests = Array::new(connections_max as usize, pages)?;
        let notes = Notes { current: None, held, requests };
        Ok(Box::new(Self { out, terms, left: 1, notes }))
    }

    /// Goes on with what an older log has noted.
    pub(crate) fn take_notes(&mut self, older: &mut Self) {
        let (new, old) = (&self.notes, &older.notes);
        if new.held.len() == old.held.len() && new.requests.len() == old.requests.len() {
            std::mem::swap(&mut self.notes, &mut older.notes);
        }
    }

    /// A connection begins, of which no request has ended.
    pub(crate) fn open(&mut self, conn: u32) {
        if let Some(requests) = self.notes.requests.get_mut(conn as usize) {
            *requests = 0;
        }
    }

    /// A head has ended, or what there is of it has been given up. It began at `since`.
    pub(crate) fn begin(&mut self, head: &[u8], since: Instant) {
        let line = RequestLine::of(head);
        self.notes.current = Some(Note { since, line, refusal: None });
    }

    /// What is under way has a session now.
    pub(crate) fn hold(&mut self, session: u32) {
        if let Some(note) = self.notes.current.take()
            && let Some(held) = self.notes.held.get_mut(session as usize)
        {
            *held = Some(note);
        }
    }

    /// The request that is under way is refused. The first
    /// reason that ends something is the one that is told.
    pub(crate) fn refuse(&mut self, session: Option<u32>, refusal: Refusal, now: Instant) {
        let Notes { current, held, requests: _ } = &mut self.notes;
        let held = session.and_then(|index| held.get_mut(index as usize)?.as_mut());
        let empty = Note { since: now, line: RequestLine::EMPTY, refusal: None };
        let note = match (current, held) {
            (Some(current), _) => current,
            (None, Some(held)) => held,
            (current, None) => current.insert(empty),
        };
        if note.refusal.and_then(Ending::of_refusal).is_none() {
            note.refusal = Some(refusal);
        }
    }

    /// An answer is wholly queued, and the connection goes on like this.
    pub(crate) fn answered(
        &mut self,
        session: Option<u32>,
        scene: Scene,
        told: Told,
        next: Place,
    ) -> Kept {
        let note = self.take(session);
        let refusal = note.and_then(|note| note.refusal);
        let refused = refusal.and_then(Ending::of_refusal);
        let refusal = refusal.filter(|_| refused.is_some());
        let ending = refused.unwrap_or(Ending::new(Cause::None, next));
        self.count(scene);
        self.give(note, refusal, scene, told, ending)
    }

    /// A request ends otherwise; where none is under way, the connection does.
    pub(crate) fn ended(
        &mut self,
        session: Option<u32>,
        scene: Scene,
        told: Told,
        (ending, refusal): (Ending, Option<Refusal>),
    ) -> Kept {
        let note = self.take(session);
        if note.is_some() {
            self.count(scene);
        }
        self.give(note, refusal, scene, told, ending)
    }

    /// Whether a request of a connection has ended.
    pub(crate) fn has_asked(&self, conn: u32) -> bool {
        self.requests(conn) > 0
    }

    fn requests(&self, conn: u32) -> u32 {
        self.notes.requests.get(conn as usize).copied().unwrap_or(0)
    }

    fn count(&mut self, scene: Scene) {
        if let Some(requests) = self.notes.requests.get_mut(scene.conn as usize) {
            *requests = requests.saturating_add(1);
        }
    }

    fn take(&mut self, session: Option<u32>) -> Option<Note> {
        let Notes { current, held, requests: _ } = &mut self.notes;
        let held = session.and_then(|index| held.get_mut(index as usize)?.take());
        current.take().or(held)
    }

    /// Whether this one is told of.
    fn draw(&mut self, ending: Ending) -> bool {
        if self.terms.is_every_error && ending.is_error() {
            return true;
        }
        self.left -= 1;
        let is_sampled = self.left == 0;
        if is_sampled {
            self.left = self.terms.sample.max(1);
        }
        is_sampled
    }

    fn give(
        &mut self,
        note: Option<Note>,
        refusal: Option<Refusal>,
        scene: Scene,
        told: Told,
        ending: Ending,
    ) -> Kept {
        if !self.draw(ending) {
            return Kept::Passed;
        }
        let Scene { now, conn, peer, local_port } = scene;
        let Told { status, bytes } = told;
        let requests = self.requests(conn);
        let took = note.map_or(Duration::ZERO, |note| now.saturating_since(note.since));
        let line = note.map_or(RequestLine::EMPTY, |note| note.line);
        let record = AccessRecord {
            ended_at: now,
            took,
            peer,
            local_port,
            line,
            status,
            bytes,
            requests,
            ending,
            refusal,
        };
        match self.out.push(record) {
            Ok(()) => Kept::Given,
            Err(_full) => Kept::Lost,
        }
    }
}

#[cfg(test)]
mod tests;
