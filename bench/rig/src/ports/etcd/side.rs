//! The side of etcd: its rounds, of fewer ports, for it is slower by orders of magnitude.

use std::time::Duration;

use super::Grpc;
use super::server::{Program, Server};
use crate::error::Error;
use crate::limits::{PORTS_ETCD_MAX, PORTS_ETCD_QUICK_MAX};
use crate::ports::args::PortsArgs;
use crate::ports::dialect::{Dialect, Ports};
use crate::ports::engine::{Engine, Plan, Shape};
use crate::ports::place::Place;
use crate::ports::round::{Length, Round};
use crate::stop::Stop;

/// Transactions under way on each connection, and connections: more gave it no more.
const SHAPE: Shape = Shape { connections: 4, window: 64, segment: None };

/// What every step of etcd's side needs.
#[derive(Clone, Copy, Debug)]
pub(in crate::ports) struct Etcd<'a> {
    pub(in crate::ports) program: &'a Program,
    pub(in crate::ports) args: &'a PortsArgs,
    pub(in crate::ports) place: &'a Place,
    pub(in crate::ports) stop: &'a Stop,
}

impl Etcd<'_> {
    /// What the report says about how it is asked.
    pub(in crate::ports) fn flags() -> String {
        format!(
            "{}, {} at once on each of {} connections; of {PORTS_ETCD_MAX} names at most",
            super::server::FLAGS,
            SHAPE.window,
            SHAPE.connections
        )
    }

    /// One round.
    pub(in crate::ports) fn round(&self) -> Result<Round, Error> {
        let server = Server::start(self.program, self.place, self.stop)?;
        let most = if self.args.quick { PORTS_ETCD_QUICK_MAX } else { PORTS_ETCD_MAX };
        let ports = Ports::new(self.args.ports.min(most), self.args.name_len());
        let mut engine = Engine::connect(server.address(), SHAPE, Grpc::new(ports))?;
        let seconds = Duration::from_secs_f64(self.args.seconds);
        let length = Length { seconds, cycles_min: 1 };
        let mut round = Round::run(self.place, server.id(), length, |op| {
            engine.pass(Plan { op, ports: ports.count, batch: 1 }, self.stop)
        })?;
        round.wrong = engine.dialect.wrong();
        server.end();
        Ok(round)
    }
}
