//! The client: one thread that keeps a bounded window of batches under way on some connections.
//!
//! The naive client waits for an answer before it asks again, or has a thread a connection, and
//! then measures itself. This one writes the next batch straight into the send buffer of a
//! connection as soon as its window has room, never blocks, and counts the turns in which there
//! was nothing to do: as long as there are some, the server is the limit.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};

use super::dialect::{Asked, Batch, Dialect, Op, Pending, nonsense};
use crate::error::Error;
use crate::limits::{PORTS_INPUT_MAX, PORTS_INPUT_MIN, PORTS_SILENCE_MAX};
use crate::stop::Stop;

/// How a connection is opened, and how much may be under way on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) connections: u32,
    /// Batches under way on a connection.
    pub(super) window: u32,
    /// Bytes of a segment at most, if not what the device allows.
    pub(super) segment: Option<u32>,
}

/// The client.
#[derive(Debug)]
pub(super) struct Engine<D> {
    lines: Vec<Line>,
    window: usize,
    pub(super) dialect: D,
}

/// What one pass over some ports took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pass {
    pub(super) ports: u64,
    pub(super) elapsed: Duration,
    /// Of it, what passed in turns in which nothing could be sent and nothing had come.
    pub(super) idle: Duration,
}

impl Pass {
    /// Joins two of the same kind.
    pub(super) fn add(&mut self, other: Self) {
        let Self { ports, elapsed, idle } = other;
        self.ports += ports;
        self.elapsed += elapsed;
        self.idle += idle;
    }

    pub(super) fn per_s(&self) -> f64 {
        super::float(self.ports) / self.elapsed.as_secs_f64()
    }

    /// The part of the time in which the client had something to do.
    pub(super) fn busy_share(&self) -> f64 {
        1.0 - self.idle.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// Which ports a pass goes over, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) op: Op,
    /// The first so many places of the order.
    pub(super) ports: u64,
    pub(super) batch: u32,
}

impl Plan {
    fn batches(self) -> u64 {
        self.ports.div_ceil(u64::from(self.batch))
    }

    fn batch(self, index: u64) -> Batch {
        let first = index * u64::from(self.batch);
        let count = u64::from(self.batch).min(self.ports - first);
        Batch { op: self.op, first, count: u32::try_from(count).expect("no more than a batch") }
    }
}

impl<D: Dialect> Engine<D> {
    /// Opens the connections and says what comes first on each.
    pub(super) fn connect(
        address: SocketAddr,
        shape: Shape,
        mut dialect: D,
    ) -> Result<Self, Error> {
        let mut lines = Vec::new();
        for _line in 0..shape.connections {
            let mut stream = open(address, shape.segment)?;
            dialect.greet(&mut stream)?;
            stream.set_nonblocking(true).map_err(Error::io("connect without blocking"))?;
            lines.push(Line {
                stream,
                out: Vec::new(),
                sent: 0,
                input: Input::new(),
                pending: Pending::new(),
                id: 0,
            });
        }
        let window = usize::try_from(shape.window).expect("32 bits fit a usize");
        Ok(Self { lines, window, dialect })
    }

    /// Asks for all ports of the plan, and waits for all answers.
    pub(super) fn pass(&mut self, plan: Plan, stop: &Stop) -> Result<Pass, Error> {
        let begin = Instant::now();
        let (mut next, mut left) = (0, plan.batches());
        let mut pass = Pass { ports: plan.ports, ..Pass::default() };
        let mut before = begin;
        // When something came or went last.
        let mut moved = begin;
        while left > 0 {
            let Turn { bytes, answered } = self.turn(plan, &mut next)?;
            left -= answered;
            let now = Instant::now();
            if bytes == 0 {
                pass.idle += now - before;
                if now - moved > PORTS_SILENCE_MAX {
                    return Err(nonsense::<D>(format!("{left} requests have no answer")));
                }
            } else {
                moved = now;
            }
            before = now;
            self.dialect.keep(now)?;
            stop.check()?;
        }
        pass.elapsed = begin.elapsed();
        Ok(pass)
    }

    /// Looks at each connection once.
    fn turn(&mut self, plan: Plan, next: &mut u64) -> Result<Turn, Error> {
        let mut turn = Turn::default();
        for line in &mut self.lines {
            loop {
                let sent = line.flush().map_err(|error| broken::<D>(&error))?;
                turn.bytes += sent;
                let is_room = line.pending.len() < self.window && line.is_flushed();
                if !is_room || *next == plan.batches() {
                    break;
                }
                line.ask(&self.dialect, plan.batch(*next));
                *next += 1;
            }
            turn.bytes += line.receive::<D>()?;
            turn.answered += line.take(&mut self.dialect)?;
        }
        Ok(turn)
    }

    /// The connections, for who looks at them from outside.
    pub(super) fn local_addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let addresses = self.lines.iter().map(|line| line.stream.local_addr());
        addresses.collect::<Result<_, _>>().map_err(Error::io("ask for an address"))
    }

    pub(super) fn into_dialect(self) -> D {
        self.dialect
    }
}

/// What a turn did.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    bytes: usize,
    answered: u64,
}

/// One connection.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    /// What is to be sent, whole frames of it; what was sent stays until the rest was.
    out: Vec<u8>,
    sent: usize,
    input: Input,
    pending: Pending,
    id: u32,
}

impl Line {
    fn is_flushed(&self) -> bool {
        self.sent == self.out.len()
    }

    fn ask<D: Dialect>(&mut self, dialect: &D, batch: Batch) {
        self.out.clear();
        self.sent = 0;
        // Never 0, which asks for no answer.
        self.id = self.id.checked_add(1).unwrap_or(1);
        dialect.write(self.id, batch, &mut self.out);
        self.pending.push_back(Asked { id: self.id, batch, answered: 0 });
    }

    fn flush(&mut self) -> Result<usize, std::io::Error> {
        if self.is_flushed() {
            return Ok(0);
        }
        match self.stream.write(&self.out[self.sent..]) {
            Ok(sent) => {
                self.sent += sent;
                Ok(sent)
            }
            Err(error) if is_for_later(&error) => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn receive<D: Dialect>(&mut self) -> Result<usize, Error> {
        if self.pending.is_empty() {
            return Ok(0);
        }
        let room = self.input.room().ok_or_else(|| nonsense::<D>("an answer without end"))?;
        match self.stream.read(room) {
            Ok(0) => Err(nonsense::<D>("it closed a connection")),
            Ok(len) => {
                self.input.on_received(len);
                Ok(len)
            }
            Err(error) if is_for_later(&error) => Ok(0),
            Err(error) => Err(broken::<D>(&error)),
        }
    }

    fn take<D: Dialect>(&mut self, dialect: &mut D) -> Result<u64, Error> {
        if self.input.filled().is_empty() {
            return Ok(0);
        }
        let before = self.pending.len();
        let taken = dialect.take(self.input.filled(), &mut self.pending, &mut self.out)?;
        self.input.on_taken(taken);
        Ok(u64::try_from(before - self.pending.len()).expect("no more than the window"))
    }
}

/// What was received and not yet taken.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; PORTS_INPUT_MIN], start: 0, end: 0 }
    }

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where to receive; nothing if one answer is longer than any may be.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.bytes.len() {
            if self.start == 0 {
                let len = self.bytes.len() * 2;
                if len > PORTS_INPUT_MAX {
                    return None;
                }
                self.bytes.resize(len, 0);
            } else {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
        }
        Some(&mut self.bytes[self.end..])
    }

    /// `received` bytes came to where [`Input::room`] is.
    pub(crate) fn on_received(&mut self, received: usize) {
        self.end += received;
    }

    /// `taken` bytes at the front are done with.
    pub(crate) fn on_taken(&mut self, taken: usize) {
        self.start += taken;
    }
}

/// Opens a connection that still blocks.
pub(crate) fn open(address: SocketAddr, segment: Option<u32>) -> Result<TcpStream, Error> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .map_err(Error::errno("make a socket"))?;
    if let Some(segment) = segment {
        // The kernel takes its time stamps' 12 bytes from it.
        setsockopt(&fd, sockopt::TcpMaxSeg, &segment).map_err(Error::errno("set TCP_MAXSEG"))?;
    }
    connect(fd.as_raw_fd(), &SockaddrStorage::from(address)).map_err(Error::errno("connect"))?;
    let stream = TcpStream::from(fd);
    stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
    Ok(stream)
}

pub(crate) fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn broken<D: Dialect>(error: &std::io::Error) -> Error {
    nonsense::<D>(format!("a connection broke: {error}"))
}

/// Nanoseconds that writing the requests of a plan takes, a port; nothing is sent.
pub(super) fn writing_ns<D: Dialect>(dialect: &D, plan: Plan) -> f64 {
    let mut out = Vec::new();
    let begin = Instant::now();
    for index in 0..plan.batches() {
        out.clear();
        dialect.write(1, plan.batch(index), &mut out);
        std::hint::black_box(&out);
    }
    begin.elapsed().as_secs_f64() * 1e9 / super::float(plan.ports)
}
