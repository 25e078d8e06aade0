//! Our side: the daemon as a child, one session, its rounds, single requests, wire bytes, memory.

use std::net::SocketAddr;
use std::time::Duration;

use super::args::PortsArgs;
use super::bypss::Bypss;
use super::bypss::daemon::{Daemon, Idle, Threads};
use super::dialect::{Dialect, Op, Ports, Wrong};
use super::engine::{Engine, Plan, Shape, writing_ns};
use super::memory;
use super::place::Place;
use super::round::{Length, Names, Round};
use super::segments::{self, Reader};
use super::single::{self, Waiting};
use crate::error::Error;
use crate::limits::{
    PORTS_CYCLES_MIN, PORTS_SINGLE_DIVISOR, PORTS_SINGLE_MAX, PORTS_WIRE_MAX, PORTS_WRITTEN_MAX,
};
use crate::report::Figures;
use crate::stop::Stop;

/// What every step of our side needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours<'a> {
    pub(super) args: &'a PortsArgs,
    pub(super) place: &'a Place,
    pub(super) stop: &'a Stop,
}

impl Ours<'_> {
    fn ports(&self, count: u64) -> Ports {
        Ports::new(count, self.args.name_len())
    }

    fn threads(&self, idle: Idle) -> Threads {
        Threads { idle, workers: self.args.workers }
    }

    fn plan(&self, op: Op, ports: u64) -> Plan {
        Plan { op, ports, batch: self.args.batch }
    }

    fn shape(&self, segment: Option<u32>) -> Shape {
        Shape { connections: self.args.connections, window: self.args.window, segment }
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.args.seconds)
    }

    fn engine(
        &self,
        address: SocketAddr,
        ports: u64,
        segment: Option<u32>,
    ) -> Result<Engine<Bypss>, Error> {
        let dialect = Bypss::begin(self.ports(ports), address)?;
        Engine::connect(address, self.shape(segment), dialect)
    }

    /// One round. It takes two cycles at least: the second proves that all ports are free again.
    pub(super) fn round(&self) -> Result<Round, Error> {
        let Self { args, place, stop } = *self;
        let daemon =
            Daemon::start(place, self.ports(self.args.ports), self.threads(Idle::Wait), stop)?;
        let mut engine = self.engine(daemon.address(), args.ports, None)?;
        let length = Length { seconds: self.length(), cycles_min: PORTS_CYCLES_MIN };
        let mut round = Round::run(place, daemon.id(), length, |op| {
            let pass = engine.pass(self.plan(op, args.ports), stop)?;
            engine.dialect.on_pass();
            Ok(pass)
        })?;
        round.wrong = engine.dialect.wrong();
        engine.into_dialect().end()?;
        daemon.end(stop)?;
        Ok(round)
    }

    /// Single requests, both ends spinning and both sleeping. Several threads that spin on fewer cores
    /// wait for each other's slices, milliseconds a request: that is no measure of anything.
    pub(super) fn single(&self, figures: &mut Figures) -> Result<Wrong, Error> {
        let mut wrong = Wrong::default();
        let both = [(Waiting::Spin, Idle::Spin), (Waiting::Block, Idle::Wait)];
        let skipped = usize::from(self.args.workers > 1);
        for (waiting, idle) in both.into_iter().skip(skipped) {
            let threads = self.threads(idle);
            let daemon =
                Daemon::start(self.place, self.ports(self.args.ports), threads, self.stop)?;
            let ports = self.args.ports.min(PORTS_SINGLE_MAX);
            let mut dialect = Bypss::begin(self.ports(ports), daemon.address())?;
            let latency = single::run(
                &single::Load {
                    address: daemon.address(),
                    waiting,
                    ports,
                    length: self.length() / PORTS_SINGLE_DIVISOR,
                },
                &mut dialect,
                self.stop,
            )?;
            single::record(figures, waiting, &latency);
            wrong.add(dialect.wrong());
            dialect.end()?;
            daemon.end(self.stop)?;
        }
        Ok(wrong)
    }

    /// Bytes on the wire, and what writing the requests takes of the client.
    pub(super) fn wire(&self, reader: &Reader, figures: &mut Figures) -> Result<Wrong, Error> {
        let ports = self.args.ports.min(PORTS_WIRE_MAX);
        let daemon =
            Daemon::start(self.place, self.ports(ports), self.threads(Idle::Wait), self.stop)?;
        let mut engine = self.engine(daemon.address(), ports, Some(segments::SEGMENT))?;
        let locals = engine.local_addresses()?;
        for op in Op::ALL {
            let before = reader.read(&locals, daemon.address())?;
            engine.pass(self.plan(op, ports), self.stop)?;
            let counts = reader.read(&locals, daemon.address())?.since(before);
            let bytes = super::float(counts.wire_bytes()) / super::float(ports);
            figures.record(Names::of(op).wire_bytes, "B", bytes);
            let written = self.plan(op, ports.min(PORTS_WRITTEN_MAX));
            figures.record(Names::of(op).write_ns, "ns", writing_ns(&engine.dialect, written));
        }
        engine.dialect.on_pass();
        let wrong = engine.dialect.wrong();
        engine.into_dialect().end()?;
        daemon.end(self.stop)?;
        Ok(wrong)
    }

    /// The memory of a port at two sizes, each in a run of its own that was planned for it; and then
    /// all are asked for, because what is not held takes no memory.
    pub(super) fn memory(&self, sizes: [u64; 2], figures: &mut Figures) -> Result<Wrong, Error> {
        let mut wrong = Wrong::default();
        let mut taken = [0; 2];
        for (ports, bytes) in sizes.into_iter().zip(&mut taken) {
            let daemon =
                Daemon::start(self.place, self.ports(ports), self.threads(Idle::Wait), self.stop)?;
            let mut engine = self.engine(daemon.address(), ports, None)?;
            engine.pass(self.plan(Op::Register, ports), self.stop)?;
            engine.dialect.on_pass();
            *bytes = memory::of_process(daemon.id())?;
            engine.pass(self.plan(Op::Query, ports), self.stop)?;
            wrong.add(engine.dialect.wrong());
            engine.into_dialect().end()?;
            daemon.end(self.stop)?;
        }
        let ([n1, n2], [m1, m2]) = (sizes.map(super::float), taken.map(super::float));
        figures.record("bytes_per_port", "B", (m2 - m1) / (n2 - n1));
        figures.record("bytes_per_port_smaller", "B", m1 / n1);
        figures.record("bytes_per_port_larger", "B", m2 / n2);
        Ok(wrong)
    }
}
