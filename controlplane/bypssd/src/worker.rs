//! The thread that serves: it moves bytes between sockets and the switch, in rounds.
//!
//! # Why it is built this way
//!
//! The naive server has a thread or a task for each connection, a buffer for each of them, and a
//! call to the kernel for each frame. At ten million names a second that is the whole core. Here one
//! thread asks the kernel once who has something, receives from each of them once into one buffer
//! that stays in the cache, lets the switch take all whole frames from it, and then sends to each
//! connection once whatever all of that has brought it.
//!
//! ```text
//! epoll (edges) --> readable --receive--> shared buffer --whole frames--> service
//!                                            | what is left                  |
//!                                            v                               v dirty
//!                                         connection                sending --transmit--> kernel
//! ```
//!
//! A connection has a bounded share of each round, in both directions. One whose answers are not
//! taken is not read, so that its own kernel stops it.

mod census;
mod connection;
mod counters;
mod deadlines;
mod gate;
mod orders;
mod partial;
mod receive;
mod service;
mod transmit;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use base::{Duration, Idle, IdlePolicy, Instant};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use rustls::{ServerConfig, ServerConnection};
use tracing::warn;

pub(crate) use census::Census;
pub(crate) use counters::Counters;
pub(crate) use gate::Door;
pub(crate) use orders::{Order, Ordered, Orders, Told, orders};
pub(crate) use service::{Figure, Peer, Service};

use crate::clock::{Clock, ClockWatch, Jump};
use crate::config::Ending;
use crate::error::Error;
use crate::limits::{
    ACCEPTS_PER_ROUND, EVENTS_MAX, RECEIVE_LEN, SLEEP_MAX, STALL_MIN, TLS_BUFFER_LEN,
};
use crate::load::Busy;
use census::Refused;
use connection::{Connection, Connections, Key, State};
use deadlines::{Deadlines, Late};
use gate::{Arrival, Gate, NO_CONNECTION, Nobody};

/// The token of the bell.
const BELL: u64 = u64::MAX;

/// What a worker is made of.
#[derive(Debug)]
pub(crate) struct Parts<S> {
    pub(crate) service: S,
    /// Its number among the workers, and how to reach each of them.
    pub(crate) number: usize,
    pub(crate) workers: Vec<Orders>,
    pub(crate) census: Census,
    /// Where connections come in; the first worker has them.
    pub(crate) doors: Vec<Door>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) ordered: Ordered,
    pub(crate) bounds: Bounds,
    pub(crate) idle: IdlePolicy,
    /// How long an adaptive one spins.
    pub(crate) spin: Duration,
}

/// How much it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of one frame.
    pub(crate) frame_len: u32,
    /// Bytes of partial frames of all connections.
    pub(crate) partial_len: u64,
    /// How long one of them may make no progress.
    pub(crate) partial: Duration,
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Worker<S> {
    service: S,
    number: usize,
    workers: Vec<Orders>,
    census: Census,
    epoll: Epoll,
    gate: Gate,
    ordered: Ordered,
    connections: Connections,
    /// What was received last, whoever's it is.
    shared: Vec<u8>,
    readable: VecDeque<u32>,
    sending: VecDeque<u32>,
    deadlines: Deadlines,
    partial_len: u64,
    partial_len_max: u64,
    frame_len_max: usize,
    counters: Counters,
    clock: Clock,
    watch: ClockWatch,
    idle: Idle,
    busy: Busy,
    /// When something is due, as far as is known.
    due: Option<Instant>,
    /// When it ends at the latest, once it was told to.
    leaves_at: Option<Instant>,
}

impl<S: Service> Worker<S> {
    /// A worker that has not begun.
    pub(crate) fn new(parts: Parts<S>) -> Result<Self, Error> {
        let Parts { service, number, workers, census, doors, tls, ordered, bounds, idle, spin } =
            parts;
        let failed = "make an epoll instance";
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno(failed))?;
        let gate = Gate::new(doors, tls, &epoll)?;
        let bell = EpollEvent::new(EpollFlags::EPOLLIN, BELL);
        epoll.add(&ordered.bell, bell).map_err(Error::errno(failed))?;
        let mut clock = Clock::new();
        let idle = Idle::new(idle, spin, clock.now());
        Ok(Self {
            service,
            epoll,
            gate,
            ordered,
            connections: Connections::new(census.clone(), number),
            number,
            workers,
            census,
            shared: vec![0; RECEIVE_LEN],
            readable: VecDeque::new(),
            sending: VecDeque::new(),
            deadlines: Deadlines::new(bounds.partial),
            partial_len: 0,
            partial_len_max: bounds.partial_len,
            frame_len_max: usize::try_from(bounds.frame_len).expect("32 bits fit"),
            counters: Counters::default(),
            clock,
            watch: ClockWatch::start(),
            idle,
            busy: Busy::default(),
            due: None,
            leaves_at: None,
        })
    }

    /// Serves until it was told to leave and has. Returns what it has counted.
    pub(crate) fn run(mut self) -> Result<Counters, Error> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let mut is_busy = true;
        let mut woken_at = self.clock.now();
        let mut works_from = woken_at;
        loop {
            let before = self.clock.now();
            self.note_stall(woken_at, before, Duration::ZERO);
            self.busy.note(is_busy, works_from, before);
            let timeout = self.timeout(before, is_busy);
            let timeout = if timeout == EpollTimeout::ZERO || self.service.lie_down() {
                timeout
            } else {
                EpollTimeout::ZERO
            };
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(Error::errno("wait for sockets")(errno)),
            };
            self.service.rise();
            let after = self.clock.now();
            let may = self.due.map_or(SLEEP_MAX, |due| due.saturating_since(before).min(SLEEP_MAX));
            self.note_stall(before, after, may);
            woken_at = after;
            // A look that found something is work; a sleep is none.
            works_from = if timeout == EpollTimeout::ZERO { before } else { after };
            is_busy = self.round(&events[..count], after) || count > 0;
            if self.has_left() {
                return Ok(self.counters);
            }
        }
    }

    /// How long the kernel may wait for an event.
    fn timeout(&mut self, now: Instant, is_busy: bool) -> EpollTimeout {
        if !self.idle.should_sleep(now, is_busy) {
            return EpollTimeout::ZERO;
        }
        let most = now + SLEEP_MAX;
        let until = self.due.map_or(most, |due| due.min(most));
        // Rounded up: one that is woken too early would only sleep again.
        let millis = until.saturating_since(now).as_nanos().div_ceil(1_000_000);
        EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::ZERO)
    }

    /// One round; whether there is more to do at once.
    fn round(&mut self, events: &[EpollEvent], now: Instant) -> bool {
        self.counters.rounds += 1;
        for event in events {
            self.on_event(event.data(), event.events(), now);
        }
        for _ in 0..self.readable.len() {
            let Some(index) = self.readable.pop_front() else { break };
            self.receive(index);
        }
        let now = self.clock.now();
        let due = self.service.poll(now);
        let has_moved = self.collect();
        for _ in 0..self.sending.len() {
            let Some(index) = self.sending.pop_front() else { break };
            self.transmit(index, now);
        }
        self.collect();
        self.end_the_late(now);
        self.note_jump(now);
        let others = [self.deadlines.next(), self.gate.poll(&self.epoll, now), self.leaves_at];
        self.due = others.into_iter().chain([due]).flatten().min();
        has_moved || !self.readable.is_empty() || !self.sending.is_empty()
    }

    /// Puts those that have something to send, or are to end, or may be read again, into their
    /// lists; whether there were any.
    fn collect(&mut self) -> bool {
        let mut has_moved = false;
        while let Some(index) = self.service.next_unblocked() {
            has_moved = true;
            self.queue_read(index);
        }
        while let Some(index) = self.service.next_dirty() {
            has_moved = true;
            self.note_kept(index);
            // One that takes nothing is not waited for: its time to end begins.
            let is_closing = self.service.is_closing(index);
            let is_ending = |connection: &mut Connection| connection.state == State::Ending;
            let has_ended = self.connections.at(index).is_some_and(is_ending);
            self.queue(index, is_closing || has_ended);
        }
        if self.partial_len > self.partial_len_max {
            self.end_hoarders();
        }
        has_moved
    }

    fn on_event(&mut self, token: u64, flags: EpollFlags, now: Instant) {
        if token == BELL {
            self.ordered.still();
            while let Some(order) = self.ordered.next() {
                self.follow(order, now);
            }
        } else if token & NO_CONNECTION != 0 {
            if let Some(door) = self.gate.door(token) {
                self.let_in(door, now);
            }
        } else {
            self.on_connection(Key::of_token(token), flags);
        }
    }

    fn on_connection(&mut self, key: Key, flags: EpollFlags) {
        // One that was closed in this round, before its event's turn.
        let Some(connection) = self.connections.find(key) else { return };
        let is_dead = flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP);
        if flags.intersects(EpollFlags::EPOLLRDHUP) || is_dead {
            connection.is_hung_up = true;
        }
        if flags.intersects(EpollFlags::EPOLLIN) || connection.is_hung_up {
            connection.is_readable = true;
        }
        let is_stopped = connection.is_stopped();
        if flags.intersects(EpollFlags::EPOLLOUT) {
            connection.is_writable = true;
            if connection.is_served() {
                self.queue_send(key.index);
            } else {
                // A handshake goes on.
                self.queue_read(key.index);
            }
        }
        if is_dead && is_stopped {
            // It would not be read, and so its end not be seen.
            self.counters.closed_by_error += 1;
            self.close(key.index);
        } else if !is_stopped {
            self.queue_read(key.index);
        }
    }

    fn let_in(&mut self, door: usize, now: Instant) {
        for _ in 0..ACCEPTS_PER_ROUND {
            match self.gate.take(door) {
                Ok(arrival) => self.welcome(arrival, now),
                Err(Nobody::Empty) => return,
                Err(Nobody::Gone) => {}
                Err(Nobody::Resource) => {
                    self.counters.refused_resource += 1;
                    return self.gate.pause(&self.epoll, now);
                }
            }
        }
    }

    fn welcome(&mut self, arrival: Arrival, now: Instant) {
        if self.census.is_full() || !self.service.has_room() {
            self.counters.refused_full += 1;
            return;
        }
        let Arrival { stream, tls } = arrival;
        // One that is gone again fails here: there is nobody to tell.
        let Ok(tls) = tls.map(session).transpose() else { return };
        let Ok(connection) = Connection::new(stream, tls) else { return };
        let worker = match self.census.enter(connection.source) {
            Ok(worker) => worker,
            Err(Refused::Full) => return self.counters.refused_full += 1,
            Err(Refused::Source) => return self.counters.refused_source += 1,
        };
        if worker == self.number {
            return self.take_in(connection, now);
        }
        if let Err(connection) = self.workers[worker].hand_over(Box::new(connection)) {
            self.census.change(worker, self.number);
            self.take_in(*connection, now);
        }
    }

    /// Serves a connection that the census has let in.
    fn take_in(&mut self, connection: Connection, now: Instant) {
        let key = self.connections.add(connection);
        let connection = self.connections.at(key.index).expect("it was just put there");
        let flags = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        if self.epoll.add(&*connection, EpollEvent::new(flags, key.token())).is_err() {
            self.counters.refused_resource += 1;
            self.connections.remove(key.index);
            return;
        }
        self.counters.accepted += 1;
        if connection.state == State::Handshaking {
            return self.deadlines.handshake(key, now);
        }
        let peer = Peer { certified: None, is_loopback: connection.is_loopback };
        self.service.handle_opened(key.index, peer, now);
    }

    fn follow(&mut self, order: Order, now: Instant) {
        match order {
            // Whoever asked may have given up meanwhile.
            Order::Tell(to) => {
                to.try_send(self.told(now)).ok();
            }
            Order::Access { access, tls, done } => {
                self.service.handle_access(&access, now);
                self.gate.set_tls(tls);
                done.try_send(()).ok();
            }
            Order::TakeIn(connection) => {
                if self.leaves_at.is_some() || !self.service.has_room() {
                    self.counters.refused_full += 1;
                    self.census.leave(connection.source, self.number);
                } else {
                    self.take_in(*connection, now);
                }
            }
            Order::Leave(Ending { timeout, hint }) => {
                if self.leaves_at.is_none() {
                    self.gate.close();
                    self.service.leave(&hint, now);
                    self.leaves_at = Some(now + timeout);
                }
            }
        }
    }

    fn told(&self, now: Instant) -> Told {
        Told {
            counters: self.counters,
            connections: self.connections.count(),
            partial_len: self.partial_len,
            epoch: self.service.epoch(),
            grace_left: self.service.grace_left(now),
            is_leaving: self.leaves_at.is_some(),
            figures: self.service.figures(now),
            loads: vec![self.busy.load()],
            each: Vec::new(),
        }
    }

    /// Whether it was told to leave, and nobody has to be told any more or the time is over.
    fn has_left(&mut self) -> bool {
        let Some(at) = self.leaves_at else { return false };
        self.connections.count() == 0 || self.clock.now() >= at
    }

    fn end_the_late(&mut self, now: Instant) {
        while let Some(late) = self.deadlines.pop(now) {
            let (Late::Handshake(key) | Late::End(key) | Late::Partial(key)) = late;
            let Some(connection) = self.connections.find(key) else { continue };
            match (late, connection.state) {
                (Late::Partial(_), _state) => {
                    self.look_at_partial(key, now);
                    continue;
                }
                (Late::Handshake(_), State::Handshaking) => self.counters.handshakes_late += 1,
                (Late::End(_), State::Ending) => self.counters.closed_late += 1,
                (Late::End(_), State::Lingering { .. }) => {}
                (Late::Handshake(_) | Late::End(_), _in_time) => continue,
            }
            self.close(key.index);
        }
    }

    /// Closes a connection at once.
    fn close(&mut self, index: u32) {
        let now = self.clock.now();
        let Some(connection) = self.connections.remove(index) else { return };
        self.counters.closed += 1;
        self.partial_len -= connection.held_len() as u64;
        if connection.is_served() {
            self.service.handle_closed(index, now);
        }
    }

    fn queue_read(&mut self, index: u32) {
        if let Some(connection) = self.connections.at(index)
            && !std::mem::replace(&mut connection.is_queued, true)
        {
            self.readable.push_back(index);
        }
    }

    fn queue_send(&mut self, index: u32) {
        self.queue(index, false);
    }

    /// Puts a connection into the list of those to be sent to, if it would take something or in any
    /// case.
    fn queue(&mut self, index: u32, in_any_case: bool) {
        if let Some(connection) = self.connections.at(index)
            && (connection.is_writable || in_any_case)
            && !std::mem::replace(&mut connection.is_sending, true)
        {
            self.sending.push_back(index);
        }
    }

    /// Tells of a worker that was away for much longer than it may be, asleep or in a round: the machine was too busy, or it was stopped.
    /// Leases were compared with the time that it is, so nobody owns for longer; but sessions whose
    /// words waited meanwhile may have lapsed.
    fn note_stall(&mut self, before: Instant, after: Instant, may: Duration) {
        let away = after.saturating_since(before);
        if away >= may + STALL_MIN {
            self.counters.stalls += 1;
            let millis = away.as_millis();
            warn!(millis, "the worker stood still; sessions may have lapsed meanwhile");
        }
    }

    fn note_jump(&mut self, now: Instant) {
        let Some(jump) = self.watch.poll(now) else { return };
        self.counters.clock_jumps += 1;
        match jump {
            Jump::Slept(time) => {
                let millis = time.as_millis();
                warn!(millis, "the machine slept; leases ran on, so sessions have lapsed");
            }
            Jump::Behind(time) => {
                let millis = time.as_millis();
                warn!(
                    millis,
                    "CLOCK_BOOTTIME fell behind CLOCK_MONOTONIC: do not trust this machine's clock"
                );
            }
        }
    }
}

/// A session of TLS with bounded buffers.
fn session(config: Arc<ServerConfig>) -> Result<Box<ServerConnection>, rustls::Error> {
    let mut session = ServerConnection::new(config)?;
    session.set_buffer_limit(Some(TLS_BUFFER_LEN));
    Ok(Box::new(session))
}
