//! What all rounds of all sides gave: figures, checks, and what their reader must know.

use super::args::MessagesArgs;
use super::ledger::{Last, Wrong};
use super::round::Round;
use super::side::{Loads, Side};
use crate::cores::Placement;
use crate::error::Error;
use crate::limits::{COMPARISON_ROUNDS_MIN, MESSAGES_STALL_LOSS_GOAL, PORTS_CLIENT_BUSY_MAX};
use crate::ports::single::{Waiting, record};
use crate::report::{Checks, Figures};

/// What all rounds together gave.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) figures: Figures,
    pub(super) limits: Figures,
    pub(super) wrong: Wrong,
    sent: u64,
    dropped_to_stalled: u64,
    retransmits: u64,
    cores: Placement,
    /// Every load that nats-server was tried with.
    pub(super) tried: Option<String>,
    is_client_bound: bool,
    /// Rounds in which a peer cut the stalled receiver off.
    cut_off: u32,
}

impl Found {
    pub(super) fn new(cores: Placement) -> Self {
        Self {
            figures: Figures::default(),
            limits: Figures::default(),
            wrong: Wrong::default(),
            sent: 0,
            dropped_to_stalled: 0,
            retransmits: 0,
            cores,
            tried: None,
            is_client_bound: false,
            cut_off: 0,
        }
    }

    /// A round of a side: with everybody reading and with one stalled, in this order or the other, and
    /// single requests. The figures are ours unless others are given.
    pub(super) fn add_round(
        &mut self,
        side: &dyn Side,
        number: u32,
        of_peer: Option<&mut Figures>,
    ) -> Result<(), Error> {
        let Loads { all_read, pair } = side.loads();
        let stalled = || side.round(pair, Last::Stalled);
        let stalled_first = (number % 2 == 1).then(stalled).transpose()?;
        let all_read_of_pair = side.round(pair, Last::Read)?;
        let stalled = stalled_first.map_or_else(stalled, Ok)?;
        let all_read =
            if pair == all_read { all_read_of_pair } else { side.round(all_read, Last::Read)? };
        let mut requests = Vec::new();
        for waiting in [Waiting::Spin, Waiting::Block] {
            let (latency_ns, wrong) = side.requests(waiting)?;
            self.wrong.add(wrong);
            requests.push((waiting, latency_ns));
        }
        self.add(&all_read, &stalled, of_peer.is_none());
        let figures = of_peer.unwrap_or(&mut self.figures);
        all_read.record(figures);
        stalled.record_stalled(&all_read_of_pair, figures);
        for (waiting, latency_ns) in requests {
            record(figures, waiting, &latency_ns);
        }
        Ok(())
    }

    fn add(&mut self, all_read: &Round, stalled: &Round, is_ours: bool) {
        for round in [all_read, stalled] {
            self.wrong.add(round.wrong);
            self.retransmits += round.retransmits;
            if is_ours {
                self.sent += round.sent;
                self.is_client_bound |= round.client_busy() > PORTS_CLIENT_BUSY_MAX;
            }
        }
        if is_ours {
            self.dropped_to_stalled += stalled.told.dropped;
        }
        self.cut_off += u32::from(stalled.last == Last::CutOff);
    }

    pub(super) fn checks(&self) -> Checks {
        let Wrong { garbled, misrouted, disordered, lost, dropped } = self.wrong;
        Checks::default()
            .must_be_zero("garbled", garbled)
            .must_be_zero("misrouted", misrouted)
            .must_be_zero("disordered", disordered)
            .must_be_zero("lost", lost)
            .must_be_zero("dropped", dropped)
            .note("messages", self.sent)
            .note("dropped_to_stalled", self.dropped_to_stalled)
            .note("retransmits", self.retransmits)
    }

    /// How it was measured, and what makes the comparison weaker than it should be.
    pub(super) fn notes(&self, args: &MessagesArgs) -> Vec<String> {
        let Placement { server, client } = self.cores;
        let mut notes = vec![format!(
            "server on core {}, client on core {}; a rate is by the wall clock, with one core for the \
             server; *_per_cpu_s is by the CPU-seconds of that core (/proc/stat: programs, interrupts, \
             softirqs); *_per_process_cpu_s leaves out other programs; every message was \
             counted at both ends, and its bytes, its receiver and its order looked at",
            server.id, client.id,
        )];
        notes.push(
            "single requests are a closed loop of one client that is both nodes; request_p* while both \
             ends spin (a peer that sleeps in epoll_wait does so), request_blocking_p* while both ends \
             sleep"
                .to_owned(),
        );
        for (name, clock) in [
            ("stalled_rate_ratio", "the wall clock"),
            ("stalled_process_ratio", "CPU-seconds of the server"),
        ] {
            if let Some(ratio) = self.figures.median(name) {
                let is_reached = ratio >= 1.0 - MESSAGES_STALL_LOSS_GOAL;
                notes.push(format!(
                    "a receiver that stalls leaves {:.1} % of the others' rate by {clock}: the goal, a \
                     loss below {:.0} %, is {}",
                    ratio * 100.0,
                    MESSAGES_STALL_LOSS_GOAL * 100.0,
                    if is_reached { "reached" } else { "missed" }
                ));
            }
        }
        if self.cut_off > 0 {
            notes.push(format!(
                "nats-server closed the stalled receiver's connection in {} rounds",
                self.cut_off
            ));
        }
        notes.extend(self.tried.as_ref().map(|tried| format!("tried of nats-server: {tried}")));
        if !args.vs.is_empty() && args.rounds < COMPARISON_ROUNDS_MIN {
            notes.push(format!(
                "{} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}",
                args.rounds
            ));
        }
        if self.is_client_bound {
            notes.push(
                "the client was the limit, or near it, by the wall clock: by its core's CPU-seconds the \
                 server can do more"
                    .to_owned(),
            );
        }
        notes
    }
}
