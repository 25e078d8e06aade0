//! A network in virtual time: streams that are late, are cut anywhere, stall, break and go dark.

use std::collections::VecDeque;

use base::{Duration, Instant, Rng};
use protocol::Epoch;

use super::super::super::ConnId;
use super::post::{Frames, MESSAGES};

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
#[derive(Debug)]
pub(super) struct Pipe {
    /// What it takes before its writer has to wait.
    size: usize,
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
    const fn new(size: usize) -> Self {
        Self {
            size,
            pieces: VecDeque::new(),
            waiting: 0,
            put: 0,
            taken: 0,
            last: Instant::ZERO,
            stalled: Instant::ZERO,
            end: None,
            is_dark: false,
            is_broken: false,
        }
    }

    pub(super) const fn room(&self) -> usize {
        if self.is_broken { usize::MAX } else { self.size.saturating_sub(self.waiting) }
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
    /// Whether it is for what is pushed to a session.
    pub(super) is_receive: bool,
    pub(super) dial: Option<(Instant, Dial)>,
    pub(super) is_open: bool,
    /// The switch's side, as long as that is open.
    pub(super) server: Option<switch::ConnId>,
    /// Of the switch that it was had with.
    pub(super) epoch: Epoch,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// What the switch has received and not taken.
    pub(super) partial: Vec<u8>,
    pub(super) marks: Marks,
    pub(super) lies: Option<Lies>,
    /// Bytes that the client has written, though not all have left.
    pub(super) written: u64,
    /// What leaves the switch, and what comes to the client.
    pub(super) mouth: Frames,
    pub(super) ear: Frames,
}

impl Wire {
    pub(super) fn new(
        user: usize,
        (conn, is_receive): (ConnId, bool),
        dial: (Instant, Dial),
        pipe_len: usize,
    ) -> Self {
        Self {
            user,
            conn,
            is_receive,
            epoch: Epoch::default(),
            written: 0,
            mouth: Frames::default(),
            ear: Frames::default(),
            dial: Some(dial),
            is_open: true,
            server: None,
            up: Pipe::new(pipe_len),
            down: Pipe::new(pipe_len),
            partial: Vec::new(),
            marks: Marks::default(),
            lies: None,
        }
    }

    /// The client has written all this, and what has left before. Each frame that is new is looked at.
    pub(super) fn on_written(
        &mut self,
        unsent: &[u8],
        mut each: impl FnMut(u8, &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let known = usize::try_from(self.written - self.up.put).expect("it is in memory");
        self.written = self.up.put + unsent.len() as u64;
        let mut outcome = Ok(());
        Frames::new().pass(&unsent[known..], |kind, frame| {
            if outcome.is_ok() {
                outcome = each(kind, frame);
            }
        });
        outcome
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

/// What the network makes of what a switch says, so that its reader is as one that is wrong itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A `FLUSH` is a push of a later version.
    Flush,
    /// The last port of a `PORT_GONE` is another.
    Gone,
    /// Messages come twice.
    Twice,
    /// Messages come after what follows them.
    Late,
    /// Messages are left out.
    Lost,
    /// A message for a port comes for the grant of the one before.
    Astray,
    /// What was delivered is told to be for nobody, and the other way round.
    Untrue,
    /// A switch that was set back says that its epoch is the latest.
    Epoch,
}

/// What changes frames on their way.
#[derive(Debug)]
pub(super) struct Lies {
    kind: Lie,
    frames: Frames,
    /// A frame that is kept back.
    kept: Vec<u8>,
    /// The grant of the last message.
    last: Option<[u8; 8]>,
    /// The epoch that is told, if it is another.
    epoch: Option<Epoch>,
}

impl Lies {
    pub(super) const fn new(kind: Lie, epoch: Option<Epoch>) -> Self {
        Self { kind, frames: Frames::new(), kept: Vec::new(), last: None, epoch }
    }

    /// What leaves of what came, and how many frames were changed in it.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (Vec<u8>, u64) {
        let mut frames = std::mem::take(&mut self.frames);
        let (mut out, mut told) = (Vec::new(), 0);
        frames.pass(bytes, |kind, frame| told += u64::from(self.tell(kind, frame, &mut out)));
        self.frames = frames;
        (out, told)
    }

    /// Passes a frame on, and says whether it was changed.
    fn tell(&mut self, kind: u8, frame: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.extend_from_slice(frame);
        let told = &mut out[start..];
        match (self.kind, kind) {
            (Lie::Flush, 0x44) => told[4] = 0x7e,
            (Lie::Gone, 0x43) => told[frame.len() - 1] = b'!',
            (Lie::Twice, MESSAGES) => out.extend_from_slice(frame),
            (Lie::Lost, MESSAGES) => out.truncate(start),
            (Lie::Late, MESSAGES) if self.kept.is_empty() => self.kept = out.split_off(start),
            (Lie::Late, _) if !self.kept.is_empty() => out.append(&mut self.kept),
            (Lie::Astray, MESSAGES) if told[16..24] != [0; 8] => {
                let own = told[16..24].try_into().expect("eight bytes");
                let last = self.last.replace(own).unwrap_or(own);
                told[16..24].copy_from_slice(&last);
            }
            // 12 bytes of header, then `delivered` and `nobody`.
            (Lie::Untrue, 0x87 | 0x88) => told[12..20].rotate_left(4),
            (Lie::Epoch, 0x40 | 0x81) if self.epoch.is_some() => {
                let at = if kind == 0x40 { 44 } else { 40 };
                let epoch = self.epoch.unwrap_or_default().0;
                told[at..at + 8].copy_from_slice(&epoch.to_le_bytes());
            }
            _ => return false,
        }
        true
    }
}
