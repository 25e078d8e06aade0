//! The kernel's TCP as the peer: a pinned epoll server and client of our own over loopback.
//!
//! It is tuned as far as it went, for a peer left at its defaults proves nothing. Tried at 100
//! connections of 64 bytes on two cores of a Xeon virtual machine (Linux 6.18), the variants
//! alternating, medians of rounds of 0.1 s in thousand round trips per second; neighbours kept the
//! machine busy, so only what stands in one line may be compared (what was chosen gives 275 in
//! longer rounds on the quiet machine, and against itself a ratio of 0.98):
//!
//! | what | k/s |
//! |---|---|
//! | answer at once; receive all and then answer all at the server; at both ends | 218; 228; **241** |
//! | the same with 9,000 connections | 198; 195; **211** |
//! | both ends so, with 16, 64, 256 events a turn | 237; **241**; 237 |
//! | both ends so, spinning; blocking | **241**; 240 |
//! | one connection: spinning; blocking | **120**; 83 |
//! | answering at once, edge-triggered for both directions; for input only; level-triggered | 182; 179; 184 |
//! | answering at once, a process each; a thread each | 182; 187 |
//! | both ends on one core: in turn on one thread; a process each that blocks | 221; 221 |
//! | the same with 9,000 connections | 54; **68** |
//!
//! What counts is the order, perhaps because the two cores then meet less often on the locks of
//! one socket. Everything else is within the noise, so it is chosen for its reasons: edge-triggered
//! for both directions, because then a registration lasts for life; a process each, because that
//! is also right at 9,000 connections and has descriptors enough; spinning where a core is free,
//! because waking an idle virtual core costs some 35 us, which a single connection feels; blocking
//! where both share a core, because there a spin is time the other end lacks. Not tried:
//! `SO_BUSY_POLL`, for loopback has no device queue to poll; io_uring, for this is the epoll peer.

mod child;
mod client;
mod server;

use std::thread;

use nix::sys::epoll::{EpollFlags, EpollTimeout};

pub(crate) use child::serve;

use self::child::ServerChild;
use self::client::{Client, ClientTally};
use self::server::ServerTally;
use crate::args::{Cores, RrArgs};
use crate::cable::Cable;
use crate::cores::{self, Placement};
use crate::error::Error;
use crate::limits::EPOLL_EVENTS_MAX;
use crate::recorder::Recorder;
use crate::round::Round;
use crate::sockets::{allow_descriptors, retransmits};
use crate::stop::Stop;

/// Edge-triggered, and told of free room only when a send found none: one registration for life.
const CONNECTION_FLAGS: EpollFlags =
    EpollFlags::EPOLLIN.union(EpollFlags::EPOLLOUT).union(EpollFlags::EPOLLET);

/// What the report says about how the peer runs.
pub(crate) fn flags(args: &RrArgs, cable: Option<&Cable>) -> String {
    let placement = match args.rounds.cores {
        Cores::One => "both on one core, asleep in epoll_wait while the other runs",
        Cores::Two => "pinned to a core each, spinning (epoll_wait with timeout 0)",
    };
    let path = cable.map_or("loopback", |_| "veth, offloads as they are by default");
    format!(
        "{path}, TCP_NODELAY, edge-triggered epoll, {EPOLL_EVENTS_MAX} events a turn, a turn's \
         requests received and then answered, one process an end, {placement}"
    )
}

/// One round.
pub(crate) fn run(args: &RrArgs, cable: Option<&Cable>, stop: &Stop) -> Result<Round, Error> {
    let placement = cores::placement(args.rounds.cores)?;
    allow_descriptors(u64::from(args.connections))?;
    let retransmits_before = retransmits();
    // A thread of its own, because pinning lasts as long as the thread.
    let ends = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            cores::pin(placement.client)?;
            two_processes(args, cable, placement, stop)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (recorder, client, server) = ends?;
    let retransmits = retransmits().saturating_sub(retransmits_before);
    Ok(round(args, recorder, client, server, retransmits))
}

fn two_processes(
    args: &RrArgs,
    cable: Option<&Cable>,
    placement: Placement,
    stop: &Stop,
) -> Result<(Recorder, ClientTally, ServerTally), Error> {
    let is_shared = placement.server == placement.client;
    // A client that sleeps still looks at the clock and at Ctrl-C now and then.
    let timeout = if is_shared { EpollTimeout::from(10_u8) } else { EpollTimeout::ZERO };
    let server = ServerChild::spawn(args, cable, placement.server, is_shared)?;
    let mut client =
        Client::connect(server.address(), args.connections, args.size_bytes(), timeout, stop)?;
    client.start(args.rounds.duration());
    while client.turn()? {
        stop.check()?;
    }
    // In this order each end counts while the other still holds every connection.
    client.look_for_surplus();
    let tally = server.finish()?;
    let (recorder, client) = client.close();
    Ok((recorder, client, tally))
}

/// Joins what both ends counted: what one end says it sent, the other must have received.
fn round(
    args: &RrArgs,
    recorder: Recorder,
    client: ClientTally,
    server: ServerTally,
    retransmits: u64,
) -> Round {
    let never_served = client.messages.abs_diff(server.messages) * u64::from(args.size);
    let never_seen = args.connections.abs_diff(server.connections);
    Round {
        recorded: recorder.into_recorded(),
        bytes_lost: client.bytes_lost + server.bytes_wrong + never_served,
        connections_lost: u64::from(client.connections_lost.max(never_seen)),
        retransmits,
    }
}

#[cfg(test)]
mod tests;
