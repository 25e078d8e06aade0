//! Redis's side: how it is asked best is tried first, and then its rounds take that.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::benchmark::Benchmark;
use super::server::{Program, Server};
use super::{Resp, Style};
use crate::error::Error;
use crate::limits::{
    PORTS_QUICK_MAX, PORTS_SINGLE_DIVISOR, PORTS_SINGLE_MAX, PORTS_TRY_MAX, PORTS_WIRE_MAX,
    PORTS_WRITTEN_MAX,
};
use crate::ports::args::PortsArgs;
use crate::ports::dialect::{Dialect, Op, Ports, Wrong, nonsense};
use crate::ports::engine::{Engine, Pass, Plan, Shape, writing_ns};
use crate::ports::place::Place;
use crate::ports::round::{Length, Names, Round};
use crate::ports::segments::{self, Reader};
use crate::ports::single::{self, Waiting};
use crate::report::Figures;
use crate::stop::Stop;

/// Commands of a pipeline, or names of one command, that are tried.
const DEPTHS: [u32; 3] = [64, 256, 1_000];
/// Connections that are tried.
const CONNECTIONS: [u32; 3] = [1, 4, 16];
/// Pipelines under way on a connection: one is answered while the next comes.
const WINDOW: u32 = 2;

/// Pipelines and connections that redis-benchmark is tried with; 50 is its own default.
const BENCHMARK_SHAPES: [(u32, u32); 6] =
    [(64, 4), (64, 50), (256, 4), (256, 50), (1_000, 4), (1_000, 50)];

/// What every step of Redis's side needs.
#[derive(Clone, Copy, Debug)]
pub(in crate::ports) struct Redis<'a> {
    pub(in crate::ports) program: &'a Program,
    pub(in crate::ports) benchmark: &'a Benchmark,
    pub(in crate::ports) args: &'a PortsArgs,
    pub(in crate::ports) place: &'a Place,
    pub(in crate::ports) stop: &'a Stop,
}

/// A way to ask for one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ports) struct Way {
    depth: u32,
    connections: u32,
    style: Style,
    /// What it gave when it was tried.
    per_s: f64,
}

impl Way {
    /// What tells it apart: a registration has no style.
    fn shape(&self) -> (u32, u32, Style) {
        (self.depth, self.connections, self.style)
    }

    /// As the report has it.
    fn text(&self, op: Op) -> String {
        let command = match (op, self.style) {
            (Op::Register, _) => "SET NX",
            (Op::Query, Style::Single) => "GET",
            (Op::Query, Style::Many) => "MGET",
            (Op::Unregister, Style::Single) => "DEL",
            (Op::Unregister, Style::Many) => "DEL of many",
        };
        let Self { depth, connections, .. } = self;
        format!("{command} by {depth} on {connections} connection(s)")
    }
}

/// The best way to ask for each operation, by the order of [`Op::ALL`].
#[derive(Clone, Copy, Debug)]
pub(in crate::ports) struct Best([Way; 3]);

/// What trying gave.
#[derive(Clone, Debug)]
pub(in crate::ports) struct Tried {
    pub(in crate::ports) best: Best,
    /// Every way with its rate.
    pub(in crate::ports) text: String,
    pub(in crate::ports) wrong: Wrong,
}

impl Best {
    pub(in crate::ports) fn text(&self) -> String {
        let ways = Op::ALL.into_iter().zip(&self.0);
        let texts: Vec<_> = ways.map(|(op, way)| way.text(op)).collect();
        format!("{}, {WINDOW} such pipelines under way on each", texts.join(", "))
    }

    fn of(&self, op: Op) -> Way {
        let mut ways = Op::ALL.into_iter().zip(self.0);
        ways.find(|(of, _)| *of == op).expect("there is one for each").1
    }
}

impl Redis<'_> {
    fn ports(&self, count: u64) -> Ports {
        Ports::new(count, self.args.name_len())
    }

    /// One pass, on connections of its own.
    fn pass(&self, address: SocketAddr, ports: Ports, op: Op, way: Way) -> Result<Passed, Error> {
        let shape = Shape { connections: way.connections, window: WINDOW, segment: None };
        let mut engine = Engine::connect(address, shape, Resp::new(ports, way.style))?;
        let plan = Plan { op, ports: ports.count, batch: way.depth };
        let pass = engine.pass(plan, self.stop)?;
        Ok(Passed { pass, wrong: engine.dialect.wrong() })
    }

    /// Tries every way on fewer ports, twice, and then Redis's own client.
    pub(in crate::ports) fn try_ways(&self, figures: &mut Figures) -> Result<Tried, Error> {
        let most = if self.args.quick { PORTS_QUICK_MAX } else { PORTS_TRY_MAX };
        let ports = self.ports(self.args.ports.min(most));
        let server = Server::start(self.program, self.place, self.stop)?;
        let mut wrong = Wrong::default();
        let mut tried: Vec<(Op, Way)> = Vec::new();
        for (op, way) in [ways(), ways()].concat() {
            let passed = self.pass(server.address(), ports, op, way)?;
            wrong.add(passed.wrong);
            let per_s = passed.pass.per_s();
            match tried.iter_mut().find(|(of, other)| (*of, other.shape()) == (op, way.shape())) {
                Some((_, first)) => first.per_s = first.per_s.max(per_s),
                None => tried.push((op, Way { per_s, ..way })),
            }
        }
        let best = Best(Op::ALL.map(|op| {
            let of_op = tried.iter().filter(|(of, _)| *of == op).map(|(_, way)| *way);
            of_op.max_by(|a, b| a.per_s.total_cmp(&b.per_s)).expect("each was tried")
        }));
        figures.record("tried_set_per_s", "/s", best.of(Op::Register).per_s);
        let mut own: f64 = 0.0;
        for shape in BENCHMARK_SHAPES {
            let per_s =
                self.benchmark.registrations_per_s(server.address(), ports, shape, self.stop)?;
            own = own.max(per_s);
            let mut stream = connect(server.address())?;
            let keys = Resp::keys(&mut stream)?;
            if keys < ports.count / 100 * 99 {
                let told = format!("redis-benchmark left {keys} keys of {}", ports.count);
                return Err(nonsense::<Resp>(told));
            }
            Resp::forget_all(&mut stream)?;
        }
        figures.record("tried_redis_benchmark_set_per_s", "/s", own);
        server.end(self.stop)?;
        let texts: Vec<_> = tried
            .iter()
            .map(|(op, way)| format!("{} {:.0} k/s", way.text(*op), way.per_s / 1e3))
            .collect();
        Ok(Tried { best, text: texts.join(", "), wrong })
    }

    /// One round; the keys that are left at its end, of which there must be none, are wrong.
    pub(in crate::ports) fn round(&self, best: &Best) -> Result<Round, Error> {
        let server = Server::start(self.program, self.place, self.stop)?;
        let seconds = Duration::from_secs_f64(self.args.seconds);
        let mut wrong = Wrong::default();
        let ports = self.ports(self.args.ports);
        let length = Length { seconds, cycles_min: 1 };
        let mut round = Round::run(self.place, server.id(), length, |op| {
            let passed = self.pass(server.address(), ports, op, best.of(op))?;
            wrong.add(passed.wrong);
            Ok(passed.pass)
        })?;
        wrong.refused += Resp::keys(&mut connect(server.address())?)?;
        round.wrong = wrong;
        server.end(self.stop)?;
        Ok(round)
    }

    /// Single requests, the client spinning and sleeping; Redis itself sleeps in `epoll_wait`.
    pub(in crate::ports) fn single(&self, figures: &mut Figures) -> Result<Wrong, Error> {
        let server = Server::start(self.program, self.place, self.stop)?;
        let mut wrong = Wrong::default();
        for waiting in [Waiting::Spin, Waiting::Block] {
            let ports = self.args.ports.min(PORTS_SINGLE_MAX);
            let mut dialect = Resp::new(self.ports(ports), Style::Single);
            let length = Duration::from_secs_f64(self.args.seconds) / PORTS_SINGLE_DIVISOR;
            let load = single::Load { address: server.address(), waiting, ports, length };
            let latency = single::run(&load, &mut dialect, self.stop)?;
            single::record(figures, waiting, &latency);
            wrong.add(dialect.wrong());
        }
        server.end(self.stop)?;
        Ok(wrong)
    }

    /// Bytes on the wire, and what writing the commands takes of the client.
    pub(in crate::ports) fn wire(
        &self,
        best: &Best,
        reader: &Reader,
        figures: &mut Figures,
    ) -> Result<Wrong, Error> {
        let server = Server::start(self.program, self.place, self.stop)?;
        let ports = self.ports(self.args.ports.min(PORTS_WIRE_MAX));
        let mut wrong = Wrong::default();
        for op in Op::ALL {
            let way = best.of(op);
            let segment = Some(segments::SEGMENT);
            let shape = Shape { connections: way.connections, window: WINDOW, segment };
            let dialect = Resp::new(ports, way.style);
            let mut engine = Engine::connect(server.address(), shape, dialect)?;
            let locals = engine.local_addresses()?;
            let before = reader.read(&locals, server.address())?;
            let plan = Plan { op, ports: ports.count, batch: way.depth };
            engine.pass(plan, self.stop)?;
            let counts = reader.read(&locals, server.address())?.since(before);
            let bytes = crate::ports::float(counts.wire_bytes()) / crate::ports::float(ports.count);
            figures.record(Names::of(op).wire_bytes, "B", bytes);
            let written = Plan { ports: ports.count.min(PORTS_WRITTEN_MAX), ..plan };
            figures.record(Names::of(op).write_ns, "ns", writing_ns(&engine.dialect, written));
            wrong.add(engine.dialect.wrong());
        }
        server.end(self.stop)?;
        Ok(wrong)
    }
}

/// A pass of its own connections.
#[derive(Clone, Copy, Debug)]
struct Passed {
    pass: Pass,
    wrong: Wrong,
}

/// Every way of every operation; for `SET NX` there is no command of many.
fn ways() -> Vec<(Op, Way)> {
    let mut ways = Vec::new();
    for depth in DEPTHS {
        for connections in CONNECTIONS {
            for style in [Style::Single, Style::Many] {
                let way = Way { depth, connections, style, per_s: 0.0 };
                // In this order, so that each operation finds what it needs.
                ways.extend(Op::ALL.map(|op| (op, way)));
            }
        }
    }
    ways
}

fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    TcpStream::connect(address).map_err(Error::io("connect to Redis"))
}
