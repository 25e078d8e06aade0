//! What the rounds of every side share: cycles over all ports, and what they took of the server's
//! core.

use std::time::{Duration, Instant};

use super::dialect::{Op, Wrong};
use super::engine::Pass;
use super::memory;
use super::place::Place;
use crate::cpu::{self, CoreTimes};
use crate::error::Error;
use crate::limits::TICKS_PER_S;
use crate::report::Figures;
use crate::sockets::retransmits;

/// How long a round lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) seconds: Duration,
    pub(super) cycles_min: u32,
}

/// What a round of one side gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// By the order of [`Op::ALL`].
    done: [Done; 3],
    /// Bytes of the server's memory with all ports registered, the first time.
    pub(super) memory: u64,
    pub(super) wrong: Wrong,
    pub(super) cycles: u64,
    pub(super) retransmits: u64,
    /// The server's core is not all that it used.
    is_shared: bool,
}

/// All passes of a kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) pass: Pass,
    /// What the server's core did meanwhile.
    pub(super) server: CoreTimes,
    /// CPU-seconds of the server's process.
    pub(super) process_s: f64,
}

impl Round {
    /// Registers, queries and unregisters all ports, again and again, as `pass` does it.
    pub(super) fn run(
        place: &Place,
        server: u32,
        length: Length,
        mut pass: impl FnMut(Op) -> Result<Pass, Error>,
    ) -> Result<Self, Error> {
        let mut round = Self { is_shared: place.is_shared, ..Self::default() };
        let begin = Instant::now();
        let retransmits_before = retransmits();
        while round.cycles < u64::from(length.cycles_min) || begin.elapsed() < length.seconds {
            for (op, done) in Op::ALL.into_iter().zip(&mut round.done) {
                let process_before = cpu::of_processes(server)?;
                let before = CoreTimes::read(&[place.server])?;
                done.pass.add(pass(op)?);
                done.server += CoreTimes::read(&[place.server])?.since(before);
                done.process_s += cpu::of_processes(server)? - process_before;
                if op == Op::Register && round.cycles == 0 {
                    round.memory = memory::of_process(server)?;
                }
            }
            round.cycles += 1;
        }
        round.retransmits = retransmits().saturating_sub(retransmits_before);
        Ok(round)
    }

    pub(super) fn done(&self) -> impl Iterator<Item = (Op, Done)> + use<> {
        Op::ALL.into_iter().zip(self.done)
    }

    /// Adds the round's figures.
    pub(super) fn record(&self, figures: &mut Figures) {
        for (op, Done { pass, server, process_s }) in self.done() {
            let names = Names::of(op);
            figures.record(names.per_s_core, "/s", pass.per_s());
            let busy_s = server.busy_s();
            let of_cpu = [(names.per_cpu_s, busy_s), (names.per_process_cpu_s, process_s)];
            for (name, seconds) in of_cpu {
                // The kernel counts in hundredths: less than ten of them are no measure.
                let is_whole = !self.is_shared || name == names.per_process_cpu_s;
                if is_whole && seconds >= TICKS_MIN / TICKS_PER_S {
                    figures.record(name, "/s", super::float(pass.ports) / seconds);
                }
            }
            figures.record(names.client_busy, "", pass.busy_share());
        }
        let ports = self.done[0].pass.ports / self.cycles.max(1);
        figures.record(MEMORY, "B", super::float(self.memory) / super::float(ports));
    }
}

/// Fewer ticks of a CPU's time are no measure.
const TICKS_MIN: f64 = 10.0;

/// The figure of a round's memory.
pub(super) const MEMORY: &str = "bytes_per_port_whole";

/// What the figures of an operation are called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) per_s_core: &'static str,
    pub(super) per_cpu_s: &'static str,
    pub(super) per_process_cpu_s: &'static str,
    pub(super) client_busy: &'static str,
    pub(super) wire_bytes: &'static str,
    pub(super) write_ns: &'static str,
}

impl Names {
    pub(super) fn of(op: Op) -> Self {
        match op {
            Op::Register => Self {
                per_s_core: "register_per_s_core",
                per_cpu_s: "register_per_cpu_s",
                per_process_cpu_s: "register_per_process_cpu_s",
                client_busy: "register_client_busy",
                wire_bytes: "register_wire_bytes",
                write_ns: "register_write_ns",
            },
            Op::Query => Self {
                per_s_core: "query_per_s_core",
                per_cpu_s: "query_per_cpu_s",
                per_process_cpu_s: "query_per_process_cpu_s",
                client_busy: "query_client_busy",
                wire_bytes: "query_wire_bytes",
                write_ns: "query_write_ns",
            },
            Op::Unregister => Self {
                per_s_core: "unregister_per_s_core",
                per_cpu_s: "unregister_per_cpu_s",
                per_process_cpu_s: "unregister_per_process_cpu_s",
                client_busy: "unregister_client_busy",
                wire_bytes: "unregister_wire_bytes",
                write_ns: "unregister_write_ns",
            },
        }
    }
}
