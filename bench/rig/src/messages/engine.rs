//! The client: one thread that keeps a window of messages under way and checks each that comes.
//!
//! The naive load generator has a process that sends and another that receives, which then share one
//! core and measure its scheduler. Here one thread never blocks: it writes a batch wherever the
//! window has room, reads whatever came, and counts the turns in which there was nothing to do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::dialect::{Dialect, End, nonsense};
use super::ledger::{Last, Ledger};
use super::line::Line;
use super::load::{Load, index};
use crate::error::Error;
use crate::limits::{MESSAGES_SILENCE_MAX, MESSAGES_TURNS_PER_LOOK, WARM_UP_DIVISOR};
use crate::stop::Stop;

/// The client.
#[derive(Debug)]
pub(super) struct Engine<D> {
    load: Load,
    senders: Vec<Line>,
    receivers: Vec<Line>,
    dialect: D,
    pub(super) ledger: Ledger,
    turns: u32,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Messages that came, and of those the ones to the receivers that always read.
    pub(super) messages: u64,
    pub(super) to_others: u64,
    pub(super) elapsed: Duration,
    /// Of it, what passed in turns in which nothing came and nothing could be sent.
    pub(super) idle: Duration,
}

impl<D: Dialect> Engine<D> {
    /// Opens all connections; the receivers hold their ports then.
    pub(super) fn connect(address: SocketAddr, load: Load, mut dialect: D) -> Result<Self, Error> {
        let mut open = |end| {
            let stream = match end {
                End::Receiver(number) => dialect.open_receiver(address, number)?,
                End::Sender(number) => dialect.open_sender(address, number)?,
            };
            let line = Line::new(end, stream);
            line.set_blocks(false)?;
            Ok(line)
        };
        let receivers: Result<_, Error> =
            (0..load.receivers).map(End::Receiver).map(&mut open).collect();
        let senders: Result<_, Error> = (0..load.senders).map(End::Sender).map(&mut open).collect();
        let (receivers, senders, ledger) = (receivers?, senders?, Ledger::new(load));
        Ok(Self { load, senders, receivers, dialect, ledger, turns: 0 })
    }

    /// Sends for so long after a warm-up, `measured` of which hears of the beginning and the end.
    pub(super) fn run(
        &mut self,
        length: Duration,
        last: Last,
        stop: &Stop,
        mut at_edge: impl FnMut() -> Result<(), Error>,
    ) -> Result<Span, Error> {
        self.send_until(Instant::now() + length / WARM_UP_DIVISOR, last, stop)?;
        at_edge()?;
        let begin = Instant::now();
        let before = (self.ledger.received(), self.ledger.received_by_others());
        let idle = self.send_until(begin + length, last, stop)?;
        let elapsed = begin.elapsed();
        at_edge()?;
        Ok(Span {
            messages: self.ledger.received() - before.0,
            to_others: self.ledger.received_by_others() - before.1,
            elapsed,
            idle,
        })
    }

    /// Takes all that is still under way, also what the stalled receiver has left, and judges it. How
    /// the last receiver fared.
    pub(super) fn drain(&mut self, last: Last, stop: &Stop) -> Result<Last, Error> {
        let mut moved = Instant::now();
        while self.is_awaited() && moved.elapsed() < MESSAGES_SILENCE_MAX {
            if self.turn(false, Last::Read)? > 0 {
                moved = Instant::now();
            }
            stop.check()?;
        }
        let is_cut_off = self.receivers[index(self.load.last())].is_closed;
        let last = if is_cut_off && last == Last::Stalled { Last::CutOff } else { last };
        self.ledger.close(last);
        Ok(last)
    }

    /// Whether something is to come, as far as that is known.
    fn is_awaited(&self) -> bool {
        let Ledger { told, .. } = &self.ledger;
        let is_told = !D::TELLS || told.messages == self.ledger.sent();
        let is_cut_off = self.receivers[index(self.load.last())].is_closed;
        let missing_to_last = self.ledger.missing_to(self.load.last());
        let excused = if is_cut_off { missing_to_last } else { told.dropped + told.nobody };
        let has_unsent = self.senders.iter().any(|line| !line.is_flushed());
        has_unsent || !is_told || self.ledger.received() + excused < self.ledger.sent()
    }

    /// Turns until that instant; the time in which nothing moved.
    fn send_until(&mut self, end: Instant, last: Last, stop: &Stop) -> Result<Duration, Error> {
        let mut before = Instant::now();
        let (mut idle, mut moved) = (Duration::ZERO, before);
        while before < end {
            let bytes = self.turn(true, last)?;
            let now = Instant::now();
            if bytes == 0 {
                idle += now - before;
                if now - moved > MESSAGES_SILENCE_MAX {
                    let left = self.ledger.under_way();
                    return Err(nonsense::<D>(format!(
                        "{left} messages are under way and none comes"
                    )));
                }
            } else {
                moved = now;
            }
            before = now;
            stop.check()?;
        }
        Ok(idle)
    }

    /// Looks at each connection once; how many bytes moved.
    fn turn(&mut self, is_sending: bool, last: Last) -> Result<usize, Error> {
        let Self { load, senders, receivers, dialect, ledger, turns } = self;
        *turns = turns.wrapping_add(1);
        let is_look = turns.is_multiple_of(MESSAGES_TURNS_PER_LOOK);
        let mut bytes = 0;
        for (line, number) in senders.iter_mut().zip(0..) {
            bytes += line.flush::<D>()?;
            let has_room = ledger.under_way() + u64::from(load.batch) <= load.window;
            if is_sending && has_room && line.is_flushed() {
                dialect.write(number, ledger, line.out());
                bytes += line.flush::<D>()?;
            }
            // What a server says to who sends is little, and may wait for a moment.
            if is_look || !is_sending {
                bytes += line.receive(dialect, ledger)?;
                closed_is_wrong::<D>(line)?;
            }
        }
        for (line, number) in receivers.iter_mut().zip(0..) {
            if is_look {
                dialect.keep(number, Instant::now(), line.out());
            }
            let may_stall = index(number) >= load.others();
            if may_stall && last == Last::Stalled {
                line.flush::<D>()?;
                continue;
            }
            if !line.is_closed {
                line.flush::<D>()?;
                bytes += line.receive(dialect, ledger)?;
            }
            if !may_stall {
                closed_is_wrong::<D>(line)?;
            }
        }
        Ok(bytes)
    }
}

fn closed_is_wrong<D: Dialect>(line: &Line) -> Result<(), Error> {
    if line.is_closed { Err(nonsense::<D>("it closed a connection")) } else { Ok(()) }
}
