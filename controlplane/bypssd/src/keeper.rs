//! The thread that holds the switch while several workers move the bytes.
//!
//! # Why it is built this way
//!
//! Where requests are small most of a server's time goes to sockets: the calls, the copies, TCP
//! itself; and with TLS to ciphers. The naive way to use more cores is a lock around the table. Here
//! the switch stays one state machine with one writer, so that everything it promises (who is told
//! before whom, which session is over, in which order messages arrive) holds as it does with one
//! thread, and the rest is given away: workers own the connections, and reach the switch through
//! bounded lanes.
//!
//! ```text
//! for each worker: lane --Up--> service --dirty--> part of what is outgoing --Down--> lane
//! ```
//!
//! The clock is read after an item was taken out of its lane, so a renewal counts from when it was
//! seen and never from before.

mod line;

use std::os::fd::AsFd as _;

use base::{Duration, Idle, IdlePolicy, Instant};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::warn;

use crate::clock::Clock;
use crate::config::Ending;
use crate::error::Error;
use crate::lane::Sleeper;
use crate::limits::{KEEPER_OUTLIVES, LEAVE_LOOK, SLEEP_MAX, STALL_MIN, UPS_PER_ROUND};
use crate::load::Busy;
use crate::traffic::{KeeperEnds, Up};
use crate::worker::{Counters, Order, Ordered, Service, Told};
use line::{Line, Numbers};

/// What it is made of.
#[derive(Debug)]
pub(crate) struct Parts<S> {
    pub(crate) service: S,
    /// Towards each worker.
    pub(crate) ends: Vec<KeeperEnds>,
    pub(crate) sleeper: Sleeper,
    pub(crate) ordered: Ordered,
    /// Connections at a time, of all workers.
    pub(crate) connections: u32,
    pub(crate) idle: IdlePolicy,
    /// How long an adaptive one spins.
    pub(crate) spin: Duration,
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Keeper<S> {
    service: S,
    lines: Vec<Line>,
    numbers: Numbers,
    sleeper: Sleeper,
    ordered: Ordered,
    counters: Counters,
    clock: Clock,
    idle: Idle,
    busy: Busy,
    /// When something is due, as far as is known.
    due: Option<Instant>,
    /// When it ends at the latest, once it was told to.
    leaves_at: Option<Instant>,
}

impl<S: Service> Keeper<S> {
    /// One that has not begun.
    pub(crate) fn new(parts: Parts<S>) -> Self {
        let Parts { service, ends, sleeper, ordered, connections, idle, spin } = parts;
        let mut clock = Clock::new();
        let idle = Idle::new(idle, spin, clock.now());
        Self {
            service,
            lines: ends.into_iter().map(Line::new).collect(),
            numbers: Numbers::new(connections),
            sleeper,
            ordered,
            counters: Counters::default(),
            clock,
            idle,
            busy: Busy::default(),
            due: None,
            leaves_at: None,
        }
    }

    /// Serves until it was told to leave and all workers have. Returns what it has counted.
    pub(crate) fn run(mut self) -> Result<Counters, Error> {
        let mut is_busy = true;
        let mut woken_at = self.clock.now();
        loop {
            let before = self.clock.now();
            self.note_stall(woken_at, before, Duration::ZERO);
            self.busy.note(is_busy, woken_at, before);
            woken_at = before;
            if self.idle.should_sleep(before, is_busy) {
                self.sleep(before)?;
                woken_at = self.clock.now();
                let most = self.sleep_max();
                let may = self.due.map_or(most, |due| due.saturating_since(before).min(most));
                self.note_stall(before, woken_at, may);
            }
            while let Some(order) = self.ordered.next() {
                self.follow(order);
            }
            is_busy = self.round();
            if self.has_left() {
                return Ok(self.counters);
            }
        }
    }

    /// Sleeps until it is woken or something is due.
    fn sleep(&mut self, now: Instant) -> Result<(), Error> {
        self.sleeper.lie_down();
        if self.lines.iter().all(|line| line.ends.up.is_empty()) {
            let most = now + self.sleep_max();
            let until = self.due.map_or(most, |due| due.min(most));
            let millis = until.saturating_since(now).as_nanos().div_ceil(1_000_000);
            let mut bell = [PollFd::new(self.ordered.bell.as_fd(), PollFlags::POLLIN)];
            match poll(&mut bell, PollTimeout::try_from(millis).unwrap_or(PollTimeout::ZERO)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => self.ordered.still(),
                Err(errno) => return Err(Error::errno("wait for the workers")(errno)),
            }
        }
        self.sleeper.rise();
        Ok(())
    }

    fn sleep_max(&self) -> Duration {
        // Nobody rings when a worker has ended.
        if self.leaves_at.is_some() { LEAVE_LOOK } else { SLEEP_MAX }
    }

    /// One round; whether anything was done.
    fn round(&mut self) -> bool {
        self.counters.rounds += 1;
        let mut has_moved = false;
        for at in 0..self.lines.len() {
            has_moved |= self.listen(at);
        }
        let now = self.clock.now();
        let due = self.service.poll(now);
        self.due = [due, self.leaves_at].into_iter().flatten().min();
        while let Some(number) = self.service.next_dirty() {
            if let Some((worker, conn)) = self.numbers.find(number) {
                self.lines[worker].touch(conn);
            }
            has_moved = true;
        }
        for line in &mut self.lines {
            line.hand_all(&self.service);
        }
        has_moved
    }

    /// Takes what a worker has said; whether it was anything.
    fn listen(&mut self, worker: usize) -> bool {
        let mut has_heard = false;
        for _ in 0..UPS_PER_ROUND {
            let Some(up) = self.lines[worker].ends.up.pop() else { break };
            has_heard = true;
            let now = self.clock.now();
            self.hear(worker, up, now);
        }
        if has_heard {
            self.lines[worker].ends.up.rest();
        }
        has_heard
    }

    fn hear(&mut self, worker: usize, up: Up, now: Instant) {
        let Self { service, lines, numbers, counters, .. } = self;
        let line = &mut lines[worker];
        match up {
            Up::Opened { conn, generation, peer } => {
                let number = numbers.take(worker, conn);
                line.open(conn, number, generation);
                match number {
                    Some(number) => service.handle_opened(number, peer, now),
                    None => counters.refused_full += 1,
                }
            }
            Up::Bytes { conn, bytes } => {
                if line.take(conn, bytes, service, now) {
                    counters.blocked += 1;
                }
            }
            Up::Sent { conn, len, spare } => line.handle_sent(conn, (len, spare), service, now),
            Up::Ended { conn } => line.end(conn),
            Up::Closed { conn } => {
                if let Some(number) = line.close(conn) {
                    service.handle_closed(number, now);
                    numbers.put_back(number);
                }
            }
        }
    }

    fn follow(&mut self, order: Order) {
        let now = self.clock.now();
        match order {
            // Whoever asked may have given up meanwhile.
            Order::Tell(to) => {
                to.try_send(self.told(now)).ok();
            }
            Order::Access { access, tls: _, done } => {
                self.service.handle_access(&access, now);
                done.try_send(()).ok();
            }
            Order::TakeIn(_) => unreachable!("connections are the workers'"),
            Order::Leave(Ending { timeout, hint }) => {
                if self.leaves_at.is_none() {
                    self.service.leave(&hint, now);
                    self.leaves_at = Some(now + timeout + KEEPER_OUTLIVES);
                }
            }
        }
    }

    fn told(&self, now: Instant) -> Told {
        Told {
            counters: self.counters,
            connections: 0,
            partial_len: 0,
            epoch: self.service.epoch(),
            grace_left: self.service.grace_left(now),
            is_leaving: self.leaves_at.is_some(),
            figures: self.service.figures(now),
            loads: vec![self.busy.load()],
            each: Vec::new(),
        }
    }

    /// Whether it was told to leave, and all workers have left or the time is over.
    fn has_left(&mut self) -> bool {
        let Some(at) = self.leaves_at else { return false };
        self.lines.iter().all(|line| line.ends.up.is_over()) || self.clock.now() >= at
    }

    fn note_stall(&mut self, before: Instant, after: Instant, may: Duration) {
        let away = after.saturating_since(before);
        if away >= may + STALL_MIN {
            self.counters.stalls += 1;
            let millis = away.as_millis();
            warn!(millis, "the switch's thread stood still; sessions may have lapsed meanwhile");
        }
    }
}
