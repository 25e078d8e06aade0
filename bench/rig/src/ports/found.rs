//! What all rounds of all sides gave: figures, checks, and what their reader must know.

use std::fs;

use super::args::PortsArgs;
use super::dialect::Wrong;
use super::place::Place;
use super::round::{Names, Round};
use super::segments;
use crate::args::Cores;
use crate::cores::Placement;
use crate::limits::{COMPARISON_ROUNDS_MIN, PORTS_CLIENT_BUSY_MAX};
use crate::report::{Checks, Figures, Peer};

/// What all rounds together gave.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) figures: Figures,
    pub(super) limits: Figures,
    pub(super) wrong: Wrong,
    retransmits: u64,
    cycles: u64,
    cores: Placement,
    /// Every way that Redis was tried with.
    pub(super) tried: Option<String>,
    /// The passes of ours in which the client had hardly any idle time.
    client_bound: Vec<&'static str>,
}

impl Found {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            figures: Figures::default(),
            limits: Figures::default(),
            wrong: Wrong::default(),
            retransmits: 0,
            cycles: 0,
            cores: Placement { server: place.server, client: place.client },
            tried: None,
            client_bound: Vec::new(),
        }
    }

    /// Adds a round of ours.
    pub(super) fn add(&mut self, round: &Round) {
        round.record(&mut self.figures);
        self.wrong.add(round.wrong);
        self.retransmits += round.retransmits;
        self.cycles += round.cycles;
        for (op, done) in round.done() {
            let name = Names::of(op).per_s_core;
            if done.pass.busy_share() > PORTS_CLIENT_BUSY_MAX && !self.client_bound.contains(&name)
            {
                self.client_bound.push(name);
            }
        }
    }

    /// Adds a round of a peer's.
    pub(super) fn add_of(&mut self, peer: &mut Peer, round: &Round) {
        round.record(&mut peer.figures);
        self.wrong.add(round.wrong);
        self.retransmits += round.retransmits;
    }

    pub(super) fn checks(&self) -> Checks {
        let Wrong { refused, mismatched, sequences } = self.wrong;
        Checks::default()
            .must_be_zero("refused", refused)
            .must_be_zero("mismatched", mismatched)
            .must_be_zero("sequences_wrong", sequences)
            .note("cycles", self.cycles)
            .note("retransmits", self.retransmits)
    }

    /// How it was measured, and what makes the comparison weaker than it should be.
    pub(super) fn notes(&self, args: &PortsArgs) -> Vec<String> {
        let Placement { server, client } = self.cores;
        let mut notes = vec![
            format!(
                "server on core {}, client on core {}; a rate is by the wall clock, with one core \
                 for the server; *_per_cpu_s is by the CPU-seconds of that core (/proc/stat: \
                 programs, interrupts, softirqs); over loopback the softirqs of what a side sends \
                 are on its core; *_per_process_cpu_s leaves out other programs; congestion \
                 control {}",
                server.id,
                client.id,
                congestion_control()
            ),
            format!(
                "registered as they come, queried and released in another order; *_client_busy is \
                 the part of the time in which the client had work, *_write_ns what writing a \
                 request takes it a port; wire bytes are of segments of {} bytes, with \
                 acknowledgements and the headers of Ethernet, IP and TCP",
                segments::SEGMENT
            ),
            "single requests are a closed loop of one client; request_p* while both ends spin (a \
             peer that sleeps in epoll_wait does so), request_blocking_p* while both ends sleep"
                .to_owned(),
        ];
        if args.server_cores == Cores::Two {
            notes.push(
                "servers may use the client's core too, whose client never sleeps: by the wall \
                 clock they have less than two cores, and what they took is in \
                 *_per_process_cpu_s only"
                    .to_owned(),
            );
        }
        if args.workers > 1 {
            notes.push(format!(
                "{} workers and the switch's thread are more than the server's cores: single \
                 requests are timed while both ends sleep only",
                args.workers
            ));
        }
        notes.extend(self.tried.as_ref().map(|tried| {
            format!(
                "tried of Redis, the better of two times: {tried}; redis-benchmark, Redis's own \
                 client, at its best of as many: tried_redis_benchmark_set_per_s"
            )
        }));
        if !args.vs.is_empty() && args.rounds < COMPARISON_ROUNDS_MIN {
            notes.push(format!(
                "{} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}",
                args.rounds
            ));
        }
        if !self.client_bound.is_empty() {
            notes.push(format!(
                "the client was the limit, or near it, in {}: the server can do more",
                self.client_bound.join(", ")
            ));
        }
        notes
    }
}

/// What the kernel's TCP uses if nobody asks for another.
fn congestion_control() -> String {
    let text = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    text.map_or_else(|_error| "unknown".to_owned(), |text| text.trim().to_owned())
}
