//! A network in virtual time: streams that are late, are cut anywhere, stall, break and go dark.

use std::collections::VecDeque;

use base::{Duration, Instant, Rng};
use protocol::Framing;

use super::super::super::ConnId;

/// What one direction of a connection takes before its writer has to wait: less than a burst of
/// notices, so that the switch's own bounds are reached.
const PIPE_LEN: usize = 64 << 10;

/// How the network is at the moment.
#[derive(Debug)]
pub(super) struct Weather {
    pub(super) rng: Rng,
    /// Nothing is late, and nothing is cut.
    pub(super) is_fair: bool,
}

impl Weather {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).expect("below a usize")
    }

    /// Up to so long.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.rng.below(most.as_nanos() + 1))
    }

    fn delay(&mut self) -> Duration {
        let most = match self.rng.below(40) {
            _ if self.is_fair => 300,
            0 => 60_000,
            1..5 => 4_000,
            _ => 300,
        };
        Duration::from_micros(20 + self.rng.below(most))
    }
}

/// What comes out of a pipe.
#[derive(Debug)]
pub(super) enum Arrived {
    Bytes(Vec<u8>),
    /// The other side has closed it, or it broke.
    End,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    waiting: usize,
    /// Bytes that were ever put in, and that came out.
    pub(super) put: u64,
    pub(super) taken: u64,
    last: Instant,
    stalled: Instant,
    end: Option<Instant>,
    /// Nothing comes out of it any more but its end.
    is_dark: bool,
    /// What is put in is lost.
    is_broken: bool,
}

impl Pipe {
    pub(super) const fn room(&self) -> usize {
        if self.is_broken { usize::MAX } else { PIPE_LEN.saturating_sub(self.waiting) }
    }

    /// Bytes go on their way, perhaps in several pieces. Says how many pieces it were.
    pub(super) fn put(&mut self, bytes: &[u8], now: Instant, weather: &mut Weather) -> usize {
        self.put += bytes.len() as u64;
        if self.is_broken || bytes.is_empty() {
            return 0;
        }
        let mut rest = bytes;
        let mut pieces = 0;
        while !rest.is_empty() {
            let is_cut = !weather.is_fair && pieces < 3 && weather.below(3) == 0;
            let len = if is_cut { 1 + weather.below(rest.len()) } else { rest.len() };
            let (piece, after) = rest.split_at(len);
            rest = after;
            pieces += 1;
            self.last = self.last.max(now + weather.delay());
            self.pieces.push_back((self.last, piece.to_vec()));
            self.waiting += len;
        }
        pieces
    }

    /// When something comes out.
    pub(super) fn due(&self) -> Option<Instant> {
        let piece = self.pieces.front().filter(|_| !self.is_dark).map(|(at, _bytes)| *at);
        piece.or(self.end).map(|at| at.max(self.stalled))
    }

    pub(super) fn take(&mut self) -> Arrived {
        match self.pieces.pop_front().filter(|_| !self.is_dark) {
            Some((_at, bytes)) => {
                self.waiting -= bytes.len();
                self.taken += bytes.len() as u64;
                Arrived::Bytes(bytes)
            }
            None => {
                self.end = None;
                Arrived::End
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.end.is_none()
    }

    /// It ends behind what is in it.
    pub(super) fn finish(&mut self, now: Instant, weather: &mut Weather) {
        let at = self.last.max(now + weather.delay());
        self.end.get_or_insert(at);
    }

    /// It ends at `at`, and some of what is in it never comes out.
    pub(super) fn break_off(&mut self, at: Instant, weather: &mut Weather) {
        let kept = weather.below(self.pieces.len() + 1);
        self.pieces.truncate(kept);
        self.waiting = self.pieces.iter().map(|(_at, bytes)| bytes.len()).sum();
        self.is_broken = true;
        self.end = Some(at.max(self.last));
    }

    /// Nothing comes out before `until`.
    pub(super) fn stall(&mut self, until: Instant) {
        self.stalled = self.stalled.max(until);
    }

    /// Nothing comes out any more, and whoever waits for it finds that out at `until`.
    pub(super) fn go_dark(&mut self, until: Instant) {
        self.is_dark = true;
        self.end = Some(until);
    }

    /// As it should be from now on. What was lost stays lost.
    pub(super) fn clear_up(&mut self, now: Instant) {
        self.stalled = now;
        if self.is_dark {
            self.end = Some(now);
        }
    }
}

/// What comes of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    Accepted,
    Refused,
    /// Nobody ever answers.
    Unanswered,
}

/// A connection of a client.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) user: usize,
    pub(super) conn: ConnId,
    pub(super) dial: Option<(Instant, Dial)>,
    pub(super) is_open: bool,
    /// The switch's side, as long as that is open.
    pub(super) server: Option<switch::ConnId>,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// What the switch has received and not taken.
    pub(super) partial: Vec<u8>,
    pub(super) marks: Marks,
    pub(super) lies: Option<Lies>,
}

impl Wire {
    pub(super) fn new(user: usize, conn: ConnId, dial: (Instant, Dial)) -> Self {
        Self {
            user,
            conn,
            dial: Some(dial),
            is_open: true,
            server: None,
            up: Pipe::default(),
            down: Pipe::default(),
            partial: Vec::new(),
            marks: Marks::default(),
            lies: None,
        }
    }

    /// Nobody has it any more.
    pub(super) const fn is_over(&self) -> bool {
        !self.is_open && self.server.is_none()
    }
}

/// Up to which step of the switch the reader of a stream has heard all that there was to say.
#[derive(Debug, Default)]
pub(super) struct Marks {
    marks: VecDeque<(u64, u64)>,
    /// Bytes after which the stream was the session's receive connection.
    from: Option<u64>,
    heard: Option<u64>,
}

impl Marks {
    /// All that the switch has said up to `step` are the first `bytes` bytes.
    pub(super) fn put(&mut self, step: u64, bytes: u64) {
        match self.marks.back_mut() {
            Some(last) if last.1 == bytes => last.0 = step,
            _ => self.marks.push_back((step, bytes)),
        }
    }

    /// So many have been read, by a client that is attached with this connection.
    pub(super) fn hear(&mut self, bytes: u64) -> Option<u64> {
        let from = *self.from.get_or_insert(bytes);
        while let Some(&(step, end)) = self.marks.front().filter(|(_, end)| *end <= bytes) {
            if end >= from {
                self.heard = Some(step);
            }
            // The last may be moved on.
            if self.marks.len() == 1 {
                break;
            }
            self.marks.pop_front();
        }
        self.heard
    }
}

/// A notice that the network changes into another of the same length and number, so that its reader is
/// as one that forgets what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A `FLUSH` is a push of a later version.
    Flush,
    /// The last port of a `PORT_GONE` is another.
    Gone,
}

/// What changes notices on their way, frame by frame.
#[derive(Debug)]
pub(super) struct Lies {
    kind: Lie,
    part: Vec<u8>,
}

impl Lies {
    pub(super) const fn new(kind: Lie) -> Self {
        Self { kind, part: Vec::new() }
    }

    /// What leaves of what came, and how many notices were changed in it.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (Vec<u8>, u64) {
        self.part.extend_from_slice(bytes);
        let (mut out, mut told) = (Vec::new(), 0);
        while let Ok(Framing::Whole { header, frame, .. }) = Framing::find(&self.part, u32::MAX) {
            let (start, len) = (out.len(), frame.len());
            out.extend_from_slice(frame);
            match (self.kind, header.kind) {
                (Lie::Flush, 0x44) => out[start + 4] = 0x7e,
                (Lie::Gone, 0x43) => out[start + len - 1] = b'!',
                _ => told -= 1,
            }
            told += 1;
            self.part.drain(..len);
        }
        (out, u64::try_from(told).unwrap_or(0))
    }
}
