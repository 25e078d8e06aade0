//! One request in flight: from one node to another's port, and the reply to a port of its own.
//!
//! The client is both nodes. It has one connection for each, and turns to the one that is to hear
//! next, so that what is timed is twice the way through the server and nothing of a scheduler.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::dialect::{Dialect, End, One, nonsense};
use super::ledger::{Last, Ledger, Wrong};
use super::line::Line;
use super::load::{Load, index};
use crate::error::Error;
use crate::limits::{LATENCY_NS_MAX, MESSAGES_SILENCE_MAX, WARM_UP_DIVISOR};
use crate::ports::single::Waiting;
use crate::stop::Stop;

/// The two nodes, who hold a port each.
#[derive(Debug)]
struct Pair<D> {
    lines: [Line; 2],
    dialect: D,
    ledger: Ledger,
    waiting: Waiting,
}

/// Who asks, and who replies.
const ASKER: u32 = 0;
const REPLIER: u32 = 1;

/// The load of two nodes with a port each.
pub(super) fn load(load: Load) -> Load {
    Load { ports: 2, senders: 2, receivers: 2, batch: 1, window: 1, ..load }
}

/// Asks one by one, after a warm-up of a tenth of the time; nanoseconds of each request with its
/// reply, and what was wrong. The dialect is of the load of [`load`].
pub(super) fn run<D: Dialect>(
    address: SocketAddr,
    load: Load,
    mut dialect: D,
    (waiting, length): (Waiting, Duration),
    stop: &Stop,
) -> Result<(Histogram<u64>, Wrong), Error> {
    let mut open = |number| {
        let line = Line::new(End::Receiver(number), dialect.open_receiver(address, number)?);
        line.set_blocks(waiting == Waiting::Block)?;
        Ok::<_, Error>(line)
    };
    let lines = [open(ASKER)?, open(REPLIER)?];
    let mut pair = Pair { lines, dialect, ledger: Ledger::new(load), waiting };
    let mut latency_ns = Histogram::new_with_max(LATENCY_NS_MAX, 3)
        .expect("three digits up to a minute are in its range");
    let begin = Instant::now();
    let warm_up = length / WARM_UP_DIVISOR;
    loop {
        let asked_at = Instant::now();
        pair.say(One { sender: ASKER, to: REPLIER, reply_to: Some(ASKER) })?;
        pair.say(One { sender: REPLIER, to: ASKER, reply_to: None })?;
        let now = Instant::now();
        if asked_at - begin >= warm_up {
            let nanos = u64::try_from((now - asked_at).as_nanos()).unwrap_or(u64::MAX);
            latency_ns.saturating_record(nanos);
        }
        if now - begin >= warm_up + length {
            break;
        }
        pair.keep(now)?;
        stop.check()?;
    }
    pair.ledger.close(Last::Read);
    Ok((latency_ns, pair.ledger.wrong))
}

impl<D: Dialect> Pair<D> {
    /// Sends one message and waits until it is there.
    fn say(&mut self, one: One) -> Result<(), Error> {
        let from = &mut self.lines[index(one.sender)];
        self.dialect.write_one(one, &mut self.ledger, from.out());
        flush::<D>(from)?;
        let sent_at = Instant::now();
        let mut looks = 0_u32;
        while self.ledger.missing_to(one.to) > 0 {
            looks = looks.wrapping_add(1);
            let is_late = looks.is_multiple_of(1 << 16) && sent_at.elapsed() > MESSAGES_SILENCE_MAX;
            let to = &mut self.lines[index(one.to)];
            let len = to.receive(&mut self.dialect, &mut self.ledger)?;
            // A read that blocks ends without anything only when it has waited as long as it may.
            if to.is_closed || is_late || (len == 0 && self.waiting == Waiting::Block) {
                return Err(nonsense::<D>("a single message did not come"));
            }
            flush::<D>(to)?;
        }
        Ok(())
    }

    fn keep(&mut self, now: Instant) -> Result<(), Error> {
        for (line, number) in self.lines.iter_mut().zip(0..) {
            self.dialect.keep(number, now, line.out());
            flush::<D>(line)?;
        }
        Ok(())
    }
}

/// So little always fits a socket.
fn flush<D: Dialect>(line: &mut Line) -> Result<(), Error> {
    while !line.is_flushed() {
        line.flush::<D>()?;
    }
    Ok(())
}
