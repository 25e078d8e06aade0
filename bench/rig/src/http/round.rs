//! One round of one side: a server begins, is warmed up, is measured, and ends with its count.

use std::net::SocketAddr;

use super::args::{HttpArgs, HttpQueue};
use super::gateway::Gateway;
use super::nginx::{self, Nginx};
use super::site::{Place, Site};
use super::wrk::{Load, Order, Wrk};
use crate::cpu::{self, CoreTimes, PacketCounts};
use crate::error::Error;
use crate::limits::TICKS_PER_S;
use crate::report::Checks;
use crate::sockets::retransmits;
use crate::stop::Stop;

/// What every round of a run shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bench<'a> {
    pub(super) args: &'a HttpArgs,
    pub(super) site: &'a Site,
    pub(super) wrk: &'a Wrk,
}

/// Whose round it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side<'a> {
    Ours,
    Nginx(&'a nginx::Program),
}

impl Side<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "gateway",
            Self::Nginx(_) => "nginx",
        }
    }
}

/// What a round gave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    /// The server's name.
    pub(super) server_name: &'static str,
    pub(super) load: Load,
    /// What the serving cores did meanwhile, and the client's.
    pub(super) server: CoreTimes,
    pub(super) client: CoreTimes,
    /// CPU-seconds of the server's processes.
    pub(super) processes_s: f64,
    pub(super) counts: Counts,
}

/// What must be nothing, and what is good to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) non_2xx: u64,
    pub(super) socket_errors: u64,
    /// Documents, fetched apart, that were not byte for byte the document.
    pub(super) bodies_wrong: u64,
    /// Bytes that the answers together were shorter than their documents.
    pub(super) bytes_short: u64,
    /// Requests that only one of client and server counted.
    pub(super) requests_unmatched: u64,
    /// Requests that another core than the serving one received.
    pub(super) received_elsewhere: u64,
    pub(super) retransmits: u64,
}

/// The figures that are read before and after.
#[derive(Clone, Debug)]
struct Reading {
    server: CoreTimes,
    client: CoreTimes,
    packets: PacketCounts,
    processes_s: f64,
    retransmits: u64,
}

impl Bench<'_> {
    /// Runs one round.
    pub(super) fn run(&self, side: Side<'_>, stop: &Stop) -> Result<Round, Error> {
        let Self { args, site, wrk } = *self;
        let server = Server::start(side, self, stop)?;
        let url = Site::url(server.address());
        let order = Order { url: &url, connections: args.connections, threads: args.threads };
        let bodies_wrong = u64::from(!site.document.is_at(server.address())?);
        let warm_up = wrk.run(&order, (args.seconds / 10).max(1), site.place.client, stop)?;
        let before = self.reading(server.id())?;
        let load = wrk.run(&order, args.seconds, site.place.client, stop)?;
        let after = self.reading(server.id())?;
        let served = server.end(stop)?;
        let mut counts = Counts {
            non_2xx: warm_up.non_2xx + load.non_2xx,
            socket_errors: warm_up.errors.count() + load.errors.count(),
            bodies_wrong,
            bytes_short: load.bytes_short(site.document.len()),
            requests_unmatched: 0,
            received_elsewhere: 0,
            retransmits: after.retransmits.saturating_sub(before.retransmits),
        };
        if let Some(served) = served {
            // The document that was fetched apart is one of them.
            let asked = warm_up.requests + load.requests + 1;
            counts.requests_unmatched = unmatched(asked, served, args.connections);
        }
        if args.queue == HttpQueue::Veth || matches!(side, Side::Nginx(_)) {
            // Each request is a packet at least.
            let packets = after.packets.since(&before.packets);
            counts.received_elsewhere = load.requests.saturating_sub(packets);
        }
        Ok(Round {
            server_name: side.name(),
            load,
            server: after.server.since(before.server),
            client: after.client.since(before.client),
            processes_s: after.processes_s - before.processes_s,
            counts,
        })
    }

    fn reading(&self, server: u32) -> Result<Reading, Error> {
        let Place { servers, client } = &self.site.place;
        Ok(Reading {
            server: CoreTimes::read(servers)?,
            client: CoreTimes::read(&[*client])?,
            packets: PacketCounts::read(servers)?,
            processes_s: cpu::of_processes(server)?,
            retransmits: retransmits(),
        })
    }
}

/// Requests that only one side counted. wrk drops, uncounted, what is under way as its time is
/// over: at most one request a connection in each of its two runs.
fn unmatched(asked: u64, served: u64, connections: u32) -> u64 {
    let under_way = 2 * u64::from(connections);
    asked.saturating_sub(served) + served.saturating_sub(asked + under_way)
}

impl Round {
    /// The verdict.
    pub(super) fn requests_per_cpu_s(&self) -> f64 {
        self.requests_per(self.server.busy_s())
    }

    /// The same of the server's processes alone.
    pub(super) fn requests_per_process_cpu_s(&self) -> f64 {
        self.requests_per(self.processes_s)
    }

    /// A tick is the least that can have been charged.
    fn requests_per(&self, seconds: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "2^53 requests take centuries")]
        let requests = self.load.requests as f64;
        requests / seconds.max(1.0 / TICKS_PER_S)
    }

    /// Whose errors they were, if there were any, and which.
    pub(super) fn trouble(&self) -> Option<String> {
        let wrong = Counts { retransmits: 0, ..self.counts };
        (wrong != Counts::default()).then(|| {
            format!(
                "{}: {wrong:?}; wrk in the measured time: {:?}",
                self.server_name, self.load.errors
            )
        })
    }

    /// The share of the serving cores' time that went to programs that are not the server. Time in
    /// softirqs may be in both numbers, so that this is too little rather than too much.
    pub(super) fn others_share(&self) -> f64 {
        self.server.share((self.server.tasks_s - self.processes_s).max(0.0))
    }
}

/// All rounds' counts together, judged.
pub(super) fn checks(rounds: &[Round]) -> Checks {
    let sum = |count: fn(&Counts) -> u64| rounds.iter().map(|round| count(&round.counts)).sum();
    Checks::default()
        .must_be_zero("non_2xx", sum(|counts| counts.non_2xx))
        .must_be_zero("socket_errors", sum(|counts| counts.socket_errors))
        .must_be_zero("bodies_wrong", sum(|counts| counts.bodies_wrong))
        .must_be_zero("bytes_short", sum(|counts| counts.bytes_short))
        .must_be_zero("requests_unmatched", sum(|counts| counts.requests_unmatched))
        .must_be_zero("received_elsewhere", sum(|counts| counts.received_elsewhere))
        .note("retransmits", sum(|counts| counts.retransmits))
        .note("requests", rounds.iter().map(|round| round.load.requests).sum())
        .must_be_zero("rounds_without_requests", without_requests(rounds))
}

fn without_requests(rounds: &[Round]) -> u64 {
    rounds.iter().map(|round| u64::from(round.load.requests == 0)).sum()
}

/// Whichever server runs.
#[derive(Debug)]
enum Server {
    Ours(Gateway),
    Nginx(Nginx),
}

impl Server {
    fn start(side: Side<'_>, bench: &Bench<'_>, stop: &Stop) -> Result<Self, Error> {
        let (site, connections) = (bench.site, bench.args.connections);
        Ok(match side {
            Side::Ours => Self::Ours(Gateway::start(site, connections, bench.args.idle, stop)?),
            Side::Nginx(program) => Self::Nginx(Nginx::start(program, site, connections, stop)?),
        })
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Ours(gateway) => gateway.address(),
            Self::Nginx(nginx) => nginx.address(),
        }
    }

    fn id(&self) -> u32 {
        match self {
            Self::Ours(gateway) => gateway.id(),
            Self::Nginx(nginx) => nginx.id(),
        }
    }

    /// Ends it; the requests that it counted, if it counts.
    fn end(self, stop: &Stop) -> Result<Option<u64>, Error> {
        match self {
            Self::Ours(gateway) => gateway.end(stop).map(|tally| Some(tally.http_200)),
            Self::Nginx(nginx) => nginx.end(stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_as_the_client_stops_are_no_difference_and_others_are() {
        assert_eq!(unmatched(1_000, 1_000, 4), 0);
        assert_eq!(unmatched(1_000, 1_008, 4), 0);
        assert_eq!(unmatched(1_000, 1_009, 4), 1);
        assert_eq!(unmatched(1_000, 997, 4), 3);
    }

    #[test]
    fn any_error_makes_the_result_wrong_and_a_retransmission_does_not() {
        let right = Round { load: Load { requests: 5, ..Load::default() }, ..Round::default() };
        let with = |counts| [right, Round { counts, ..right }];
        let none = Counts::default();
        assert!(checks(&with(Counts { retransmits: 9, ..none })).is_ok());
        for wrong in [
            Counts { non_2xx: 1, ..none },
            Counts { socket_errors: 1, ..none },
            Counts { bodies_wrong: 1, ..none },
            Counts { bytes_short: 1, ..none },
            Counts { requests_unmatched: 1, ..none },
            Counts { received_elsewhere: 1, ..none },
        ] {
            assert!(!checks(&with(wrong)).is_ok(), "{wrong:?}");
        }
        assert!(!checks(&[Round::default()]).is_ok(), "nothing was asked");
        assert_eq!(with(Counts { retransmits: 9, ..none })[1].trouble(), None);
        let trouble = with(Counts { socket_errors: 7, ..none })[1].trouble().expect("it is told");
        assert!(trouble.contains("socket_errors: 7"), "{trouble}");
    }

    #[test]
    fn verdict_divides_by_all_that_the_core_did_and_tells_what_others_did() {
        let server =
            CoreTimes { tasks_s: 3.0, irq_s: 0.5, softirq_s: 0.5, idle_s: 6.0, steal_s: 0.0 };
        let load = Load { requests: 400, ..Load::default() };
        let round = Round { load, server, processes_s: 2.0, ..Round::default() };
        assert_eq!(
            (round.requests_per_cpu_s(), round.requests_per_process_cpu_s()),
            (100.0, 200.0)
        );
        assert_eq!(round.others_share(), 0.1);
        assert_eq!(Round { processes_s: 4.0, ..round }.others_share(), 0.0);
    }
}
