//! A round of one side: what came through, and what it took of the server's core.

use std::net::SocketAddr;
use std::time::Duration;

use super::dialect::Dialect;
use super::engine::{Engine, Span};
use super::ledger::{Last, Told, Wrong};
use super::load::Load;
use crate::cpu::{self, CoreTimes};
use crate::error::Error;
use crate::limits::TICKS_PER_S;
use crate::ports::place::Place;
use crate::report::Figures;
use crate::sockets::retransmits;
use crate::stop::Stop;

/// What a round of one side gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) span: Span,
    /// What the server's core did meanwhile.
    server: CoreTimes,
    /// CPU-seconds of the server's process.
    process_s: f64,
    pub(super) wrong: Wrong,
    pub(super) told: Told,
    pub(super) sent: u64,
    pub(super) last: Last,
    pub(super) retransmits: u64,
}

/// A server that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) place: &'a Place,
    pub(super) address: SocketAddr,
    pub(super) process: u32,
}

impl Round {
    /// Loads a server for so long; the last receiver reads, or stalls.
    pub(super) fn run<D: Dialect>(
        at: At<'_>,
        load: Load,
        dialect: D,
        (last, length): (Last, Duration),
        stop: &Stop,
    ) -> Result<Self, Error> {
        let mut engine = Engine::connect(at.address, load, dialect)?;
        let retransmits_before = retransmits();
        let mut edges = Vec::new();
        let span = engine.run(length, last, stop, || {
            edges.push((CoreTimes::read(&[at.place.server])?, cpu::of_processes(at.process)?));
            Ok(())
        })?;
        let last = engine.drain(last, stop)?;
        let [before, after] = edges[..] else { unreachable!("a run has two edges") };
        Ok(Self {
            span,
            server: after.0.since(before.0),
            process_s: after.1 - before.1,
            wrong: engine.ledger.wrong,
            told: engine.ledger.told,
            sent: engine.ledger.sent(),
            last,
            retransmits: retransmits().saturating_sub(retransmits_before),
        })
    }

    /// Messages a second, as far as anybody counts them.
    pub(super) fn per_s(&self) -> f64 {
        super::float(self.span.messages) / self.span.elapsed.as_secs_f64()
    }

    /// Those to the receivers that always read.
    fn others_per_s(&self) -> f64 {
        super::float(self.span.to_others) / self.span.elapsed.as_secs_f64()
    }

    /// The part of the time in which the client had something to do.
    pub(super) fn client_busy(&self) -> f64 {
        1.0 - self.span.idle.as_secs_f64() / self.span.elapsed.as_secs_f64()
    }

    /// Adds the figures of a round in which everybody read.
    pub(super) fn record(&self, figures: &mut Figures) {
        figures.record("messages_per_s_core", "/s", self.per_s());
        let of_cpu = [
            ("messages_per_cpu_s", self.server.busy_s()),
            ("messages_per_process_cpu_s", self.process_s),
        ];
        for (name, seconds) in of_cpu {
            // The kernel counts in hundredths: less than some of them are no measure.
            if seconds >= TICKS_MIN / TICKS_PER_S {
                figures.record(name, "/s", super::float(self.span.messages) / seconds);
            }
        }
        figures.record("messages_client_busy", "", self.client_busy());
    }

    /// Adds the figures of a round with one receiver stalled; `all_read` is the other of its pair.
    pub(super) fn record_stalled(&self, all_read: &Self, figures: &mut Figures) {
        figures.record("others_per_s_core", "/s", all_read.others_per_s());
        figures.record("stalled_others_per_s_core", "/s", self.others_per_s());
        figures.record("stalled_rate_ratio", "", self.others_per_s() / all_read.others_per_s());
        let is_measured = |round: &Self| round.process_s >= TICKS_MIN / TICKS_PER_S;
        if is_measured(self) && is_measured(all_read) {
            let of_process = |round: &Self| super::float(round.span.to_others) / round.process_s;
            let ratio = of_process(self) / of_process(all_read);
            figures.record("stalled_process_ratio", "", ratio);
        }
    }
}

/// Fewer ticks of a CPU's time are no measure.
const TICKS_MIN: f64 = 5.0;
