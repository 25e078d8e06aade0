//! How many requests does a second of the serving core buy, with the same client for all servers?
//!
//! `wrk` asks for one document on connections that stay open. It costs more than the servers do,
//! and it and the kernel under it are the same for both; so the bare rate shows the client more
//! than the server. What is compared is requests per CPU-second of the serving core, with
//! everything that the core did: program, system calls, interrupts and softirqs. Left alone, the
//! cable between them has each packet received on its sender's core, at the other side's expense;
//! so both ends are told where to receive, for both servers alike: the server's on the serving
//! core, the client's on the client's. That the serving core received every request is checked.

pub(crate) mod args;
mod document;
mod gateway;
pub(crate) mod idle;
mod nginx;
mod round;
mod site;
mod wrk;

use self::args::{HttpArgs, HttpPeer, HttpQueue};
use self::document::Document;
use self::round::{Bench, Round, Side};
use self::site::{Place, Site};
use self::wrk::Wrk;
use crate::error::Error;
use crate::limits::{COMPARISON_ROUNDS_MIN, DISPLACED_SHARE_MAX};
use crate::machine::{COMMIT, Machine};
use crate::machine_limits;
use crate::report::{Figures, Peer, Ratios, Report};
use crate::sockets::allow_descriptors;
use crate::stop::Stop;

/// The figure whose ratio is the verdict.
const VERDICT: &str = "requests_per_cpu_s";

/// Runs the whole benchmark, in the lab.
pub(crate) fn run(args: HttpArgs, stop: &Stop) -> Result<Report<HttpArgs>, Error> {
    let place = Place::choose(args.cores, args.queue)?;
    // The programs that are started may open as many as this one.
    allow_descriptors(u64::from(args.connections))?;
    let wrk = Wrk::find()?;
    let nginx = args.vs.first().map(|HttpPeer::Nginx| nginx::Program::find()).transpose()?;
    let site = Site::new(args.queue, place, Document::new(args.size_bytes()))?;
    let mut peers: Vec<_> = nginx.iter().map(|nginx| peer(nginx, &site)).collect();
    let bench = Bench { args: &args, site: &site, wrk: &wrk };
    let mut ours = Figures::default();
    let mut rounds = Vec::new();
    for _round in 0..args.rounds {
        let round = bench.run(Side::Ours, stop)?;
        record(&mut ours, &round);
        rounds.push(round);
        for (nginx, peer) in nginx.iter().zip(&mut peers) {
            let round = bench.run(Side::Nginx(nginx), stop)?;
            record(&mut peer.figures, &round);
            rounds.push(round);
        }
    }
    let (limits, limits_checks) = machine_limits::beside(args.quick, stop)?;
    Ok(Report {
        bench: "http",
        rounds: args.rounds,
        ratios: Ratios::of(VERDICT, &ours, &peers),
        checks: round::checks(&rounds).and(&limits_checks),
        figures: ours,
        notes: notes(&args, &site, &wrk, &rounds),
        peers,
        args,
        limits,
        machine: Machine::read(),
        commit: COMMIT,
    })
}

fn peer(nginx: &nginx::Program, site: &Site) -> Peer {
    Peer {
        name: "nginx",
        version: nginx.version.clone(),
        flags: nginx.flags(site),
        figures: Figures::default(),
    }
}

/// Adds one round's figures.
fn record(figures: &mut Figures, round: &Round) {
    figures.record("requests_per_s", "/s", round.load.requests_per_s);
    figures.record(VERDICT, "/s", round.requests_per_cpu_s());
    figures.record("requests_per_process_cpu_s", "/s", round.requests_per_process_cpu_s());
    figures.record("p50_ns", "ns", round.load.p50_ns);
    figures.record("p99_ns", "ns", round.load.p99_ns);
    figures.record("server_core_busy", "", round.server.busy_share());
    figures.record("server_core_softirq", "", round.server.softirq_share());
    figures.record("client_core_busy", "", round.client.busy_share());
}

/// Where the gateway's XDP program runs, which is not where a gateway left alone would run it.
fn attachment(queue: HttpQueue) -> Option<String> {
    let note = "the gateway's XDP program runs behind the driver (xdp_mode = \"generic\"), as no \
                gateway on a card would run it: rps_cpus acts before it, so that whichever server's \
                softirqs are on the serving core and charged to it; in the driver the frames \
                would be taken on the client's core, and at its expense";
    match queue {
        HttpQueue::Veth => Some(note.to_owned()),
        HttpQueue::Tap => None,
    }
}

/// How it was measured, and what makes the comparison weaker than it should be.
fn notes(args: &HttpArgs, site: &Site, wrk: &Wrk, rounds: &[Round]) -> Vec<String> {
    let cores: Vec<_> = site.place.servers.iter().map(|core| core.id.to_string()).collect();
    let mut notes = vec![
        format!(
            "server on core {}, client wrk {} (-t{} -c{}) on core {}; each side's packets are \
             received on its own core (rps_cpus at both ends); CPU-seconds are user, nice, system, \
             irq and softirq of the serving core from /proc/stat",
            cores.join(" and "),
            wrk.version,
            args.threads,
            args.connections,
            site.place.client.id
        ),
        format!(
            "the gateway's idle policy is {}, and what it spins is charged to it; a server on the \
             kernel's sockets sleeps at once",
            args.idle.name()
        ),
        "requests_per_process_cpu_s leaves out other programs on the serving core, and the softirqs \
         that were not received in the server's own time"
            .to_owned(),
    ];
    notes.extend(attachment(args.queue));
    if args.queue == HttpQueue::Tap && !args.vs.is_empty() {
        notes.push(
            "the gateway is on a TAP device, nginx on a veth pair: no comparison of like with like"
                .to_owned(),
        );
    }
    if !args.vs.is_empty() && args.rounds < COMPARISON_ROUNDS_MIN {
        notes.push(format!(
            "{} rounds: too few for a comparison, which takes {COMPARISON_ROUNDS_MIN}",
            args.rounds
        ));
    }
    notes.extend(rounds.iter().filter_map(Round::trouble));
    let others = rounds.iter().map(Round::others_share).fold(0.0, f64::max);
    if others > DISPLACED_SHARE_MAX {
        notes.push(format!(
            "other programs held the serving core for up to {:.0} % of a round, and that is charged \
             to the server: run this again on a quiet machine",
            others * 100.0
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_tells_where_the_program_runs_on_the_cable() {
        let note = attachment(HttpQueue::Veth).expect("it is told");
        assert!(note.contains("generic") && note.contains("rps_cpus"), "{note}");
        assert_eq!(attachment(HttpQueue::Tap), None, "a TAP device has no such program");
    }
}
