//! The sides: the daemon or nats-server as a child, loaded and asked.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::args::MessagesArgs;
use super::bypss::Bypss;
use super::ledger::{Last, Wrong};
use super::load::Load;
use super::nats::Nats;
use super::nats::server::{Program, Server};
use super::request;
use super::round::{At, Round};
use crate::error::Error;
use crate::limits::{
    MESSAGES_REQUEST_DIVISOR, MESSAGES_TRY_SECONDS, MESSAGES_UNDER_WAY_LEN_MAX, QUICK_SECONDS_MAX,
};
use crate::ports::bypss::daemon::{Daemon, Idle, Threads};
use crate::ports::dialect::Ports;
use crate::ports::place::Place;
use crate::ports::single::Waiting;
use crate::stop::Stop;

/// What a server must offer to be measured.
pub(super) trait Side {
    /// The loads of rounds in which all receivers read, and of those with one that stalls.
    fn loads(&self) -> Loads;

    /// A round in which all receivers read, or the last one stalls.
    fn round(&self, load: Load, last: Last) -> Result<Round, Error>;

    /// Requests one by one; nanoseconds of each, and what was wrong.
    fn requests(&self, waiting: Waiting) -> Result<(Histogram<u64>, Wrong), Error>;
}

/// How a side is loaded; `pair` has another receiver than the one that stalls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loads {
    pub(super) all_read: Load,
    pub(super) pair: Load,
}

/// What every step of every side needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bed<'a> {
    pub(super) args: &'a MessagesArgs,
    pub(super) place: &'a Place,
    pub(super) stop: &'a Stop,
}

impl Bed<'_> {
    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.args.seconds)
    }

    fn request_length(&self) -> Duration {
        self.length() / MESSAGES_REQUEST_DIVISOR
    }
}

/// Our side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours<'a>(pub(super) Bed<'a>);

impl Ours<'_> {
    fn start(&self, load: Load, idle: Idle) -> Result<Daemon, Error> {
        let ports = Ports::new(load.ports.into(), load.name_len);
        Daemon::start(self.0.place, ports, Threads::one(idle), self.0.stop)
    }
}

impl Side for Ours<'_> {
    fn loads(&self) -> Loads {
        let load = self.0.args.load();
        Loads { all_read: load, pair: load }
    }

    fn round(&self, load: Load, last: Last) -> Result<Round, Error> {
        let Bed { place, stop, .. } = self.0;
        let daemon = self.start(load, Idle::Wait)?;
        let at = At { place, address: daemon.address(), process: daemon.id() };
        let round = Round::run(at, load, Bypss::new(load), (last, self.0.length()), stop)?;
        daemon.end(stop)?;
        Ok(round)
    }

    fn requests(&self, waiting: Waiting) -> Result<(Histogram<u64>, Wrong), Error> {
        let (stop, load) = (self.0.stop, request::load(self.0.args.load()));
        let idle = if waiting == Waiting::Spin { Idle::Spin } else { Idle::Wait };
        let daemon = self.start(load, idle)?;
        let how = (waiting, self.0.request_length());
        let found = request::run(daemon.address(), load, Bypss::new(load), how, stop)?;
        daemon.end(stop)?;
        Ok(found)
    }
}

/// nats-server's side; how it is loaded best is tried first, and then its rounds take that.
#[derive(Clone, Copy, Debug)]
pub(super) struct NatsSide<'a> {
    pub(super) bed: Bed<'a>,
    pub(super) program: &'a Program,
    pub(super) loads: Loads,
}

/// Messages that are sent together, connections that send, those that receive, and subjects for each
/// of those that are tried. Few subjects are its own benchmark's way.
const BATCHES: [u32; 2] = [250, 1_000];
const SENDERS: [u32; 2] = [1, 4];
const RECEIVERS: [u32; 3] = [1, 2, 8];
const SUBJECTS_EACH: [u32; 2] = [1, 32];
/// Messages under way that are tried, as far as those of [`MESSAGES_UNDER_WAY_LEN_MAX`].
const WINDOWS: [u32; 2] = [4_000, 16_000];

/// What trying gave.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) loads: Loads,
    /// Every load with its rate.
    pub(super) text: String,
    pub(super) wrong: Wrong,
}

impl NatsSide<'_> {
    /// Tries every load, twice.
    pub(super) fn try_loads(&self) -> Result<Tried, Error> {
        let Bed { args, place, stop } = self.bed;
        let seconds = if args.quick { QUICK_SECONDS_MAX / 20.0 } else { MESSAGES_TRY_SECONDS };
        let server = Server::start(self.program, place, stop)?;
        let at = At { place, address: server.address(), process: server.id() };
        let mut wrong = Wrong::default();
        let mut tried: Vec<_> = loads(args.load()).into_iter().map(|load| (load, 0.0)).collect();
        for _time in 0..2 {
            for (load, most) in &mut tried {
                let how = (Last::Read, Duration::from_secs_f64(seconds));
                let round = Round::run(at, *load, Nats::new(*load), how, stop)?;
                wrong.add(round.wrong);
                *most = round.per_s().max(*most);
            }
        }
        server.end(stop)?;
        let best = |receivers_min| {
            let fitting = tried.iter().filter(|(load, _)| load.receivers >= receivers_min);
            let best = fitting.max_by(|(_, a), (_, b)| a.total_cmp(b));
            best.expect("some were tried").0
        };
        let texts: Vec<_> = tried
            .iter()
            .map(|(load, per_s)| format!("{} {:.0} k/s", text(*load), per_s / 1e3))
            .collect();
        let loads = Loads { all_read: best(1), pair: best(2) };
        Ok(Tried { loads, text: texts.join("; "), wrong })
    }
}

/// All combinations, with the sizes of names and messages that ours have.
fn loads(ours: Load) -> Vec<Load> {
    let window_max = MESSAGES_UNDER_WAY_LEN_MAX / ours.size as u64;
    let mut loads = Vec::new();
    for window in WINDOWS.map(|window| u64::from(window).min(window_max)) {
        for (senders, receivers) in SENDERS.into_iter().flat_map(|s| RECEIVERS.map(|r| (s, r))) {
            for (batch, each) in BATCHES.into_iter().flat_map(|b| SUBJECTS_EACH.map(|e| (b, e))) {
                let batch = batch.min(u32::try_from(window).unwrap_or(u32::MAX));
                let ports = receivers * each;
                loads.push(Load { ports, batch, senders, receivers, window, ..ours });
            }
        }
    }
    loads
}

/// As the report has it.
pub(super) fn text(load: Load) -> String {
    let Load { ports, batch, senders, receivers, window, .. } = load;
    format!("{senders} to {receivers} on {ports} by {batch}, {window} under way")
}

impl Side for NatsSide<'_> {
    fn loads(&self) -> Loads {
        self.loads
    }

    fn round(&self, load: Load, last: Last) -> Result<Round, Error> {
        let Bed { place, stop, .. } = self.bed;
        let server = Server::start(self.program, place, stop)?;
        let at = At { place, address: server.address(), process: server.id() };
        let round = Round::run(at, load, Nats::new(load), (last, self.bed.length()), stop)?;
        server.end(stop)?;
        Ok(round)
    }

    fn requests(&self, waiting: Waiting) -> Result<(Histogram<u64>, Wrong), Error> {
        let Bed { args, place, stop } = self.bed;
        let load = request::load(args.load());
        let server = Server::start(self.program, place, stop)?;
        let how = (waiting, self.bed.request_length());
        let found = request::run(server.address(), load, Nats::new(load), how, stop)?;
        server.end(stop)?;
        Ok(found)
    }
}
