//! One request of one port in flight: how long its client waits.
//!
//! The loop is closed, and there is one client: what is timed is the way there and back and the
//! work, without a queue. All its ports are registered one by one, and then unregistered one by one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::dialect::{Asked, Batch, Dialect, Op, Pending, nonsense};
use super::engine::{Input, is_for_later, open};
use crate::error::Error;
use crate::limits::{LATENCY_NS_MAX, PORTS_SILENCE_MAX, WARM_UP_DIVISOR};
use crate::report::Figures;
use crate::stop::Stop;

/// What the client does until the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Spin,
    Block,
}

/// Whom to ask, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) waiting: Waiting,
    pub(super) ports: u64,
    pub(super) length: Duration,
}

/// One connection on which one request is under way.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    waiting: Waiting,
    out: Vec<u8>,
    input: Input,
    pending: Pending,
    id: u32,
}

/// Asks one by one, after a warm-up of a tenth of the time; nanoseconds of each request. The ports
/// are all free before and after.
pub(super) fn run<D: Dialect>(
    load: &Load,
    dialect: &mut D,
    stop: &Stop,
) -> Result<Histogram<u64>, Error> {
    let Load { address, waiting, ports, length } = *load;
    let mut stream = open(address, None)?;
    dialect.greet(&mut stream)?;
    match waiting {
        Waiting::Spin => stream.set_nonblocking(true),
        Waiting::Block => stream.set_read_timeout(Some(PORTS_SILENCE_MAX)),
    }
    .map_err(Error::io("set how a connection waits"))?;
    let mut line = Line {
        stream,
        waiting,
        out: Vec::new(),
        input: Input::new(),
        pending: Pending::new(),
        id: 0,
    };
    let mut latency_ns = Histogram::new_with_max(LATENCY_NS_MAX, 3)
        .expect("three digits up to a minute are in its range");
    let begin = Instant::now();
    let warm_up = length / WARM_UP_DIVISOR;
    while begin.elapsed() < warm_up + length {
        for op in [Op::Register, Op::Unregister] {
            for first in 0..ports {
                let asked_at = Instant::now();
                line.ask(dialect, Batch { op, first, count: 1 })?;
                let now = Instant::now();
                if asked_at - begin >= warm_up {
                    let nanos = u64::try_from((now - asked_at).as_nanos()).unwrap_or(u64::MAX);
                    latency_ns.saturating_record(nanos);
                }
                dialect.keep(now)?;
            }
            dialect.on_pass();
            stop.check()?;
        }
    }
    Ok(latency_ns)
}

/// Adds the figures of one way of waiting.
pub(crate) fn record(figures: &mut Figures, waiting: Waiting, latency_ns: &Histogram<u64>) {
    let (p50, p99) = match waiting {
        Waiting::Spin => ("request_p50_ns", "request_p99_ns"),
        Waiting::Block => ("request_blocking_p50_ns", "request_blocking_p99_ns"),
    };
    figures.record(p50, "ns", super::float(latency_ns.value_at_quantile(0.5)));
    figures.record(p99, "ns", super::float(latency_ns.value_at_quantile(0.99)));
}

impl Line {
    /// One request and its answer.
    fn ask<D: Dialect>(&mut self, dialect: &mut D, batch: Batch) -> Result<(), Error> {
        self.out.clear();
        self.id += 1;
        dialect.write(self.id, batch, &mut self.out);
        self.pending.push_back(Asked { id: self.id, batch, answered: 0 });
        // One small request always fits the socket.
        self.stream.write_all(&self.out).map_err(Error::io("send a request"))?;
        let sent_at = Instant::now();
        let mut looks = 0_u32;
        while !self.pending.is_empty() {
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(1 << 16) && sent_at.elapsed() > PORTS_SILENCE_MAX {
                return Err(nonsense::<D>("a request has no answer"));
            }
            if !self.receive::<D>()? {
                continue;
            }
            self.out.clear();
            let taken = dialect.take(self.input.filled(), &mut self.pending, &mut self.out)?;
            self.input.on_taken(taken);
            self.stream.write_all(&self.out).map_err(Error::io("send what was due"))?;
        }
        Ok(())
    }

    /// Whether something came.
    fn receive<D: Dialect>(&mut self) -> Result<bool, Error> {
        let room = self.input.room().ok_or_else(|| nonsense::<D>("an answer without end"))?;
        match self.stream.read(room) {
            Ok(0) => Err(nonsense::<D>("it closed a connection")),
            Ok(len) => {
                self.input.on_received(len);
                Ok(true)
            }
            Err(error) if is_for_later(&error) && self.waiting == Waiting::Spin => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(nonsense::<D>(format!("a connection broke: {error}"))),
        }
    }
}
