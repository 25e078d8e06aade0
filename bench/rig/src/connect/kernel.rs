//! The kernel's TCP as the peer: a pinned epoll server and client of our own over loopback.
//!
//! Every call that can be spared is spared. The client's socket is made non-blocking by the call
//! that makes it; over loopback its handshake is over when `connect` returns, so the request goes
//! out at once and epoll is asked for the answer alone. The server reads without blocking
//! (`MSG_DONTWAIT`) instead of making each socket non-blocking, tries to read as soon as it has
//! accepted, and takes the client's end from the event (`EPOLLRDHUP`) instead of from one more
//! read. `TCP_NODELAY` is set once, on the listener, which its connections inherit; the client
//! sends one message, which nothing delays.

mod client;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use core_affinity::CoreId;
use nix::sys::epoll::EpollTimeout;

use self::client::{Client, ClientTally};
use self::server::{Server, ServerTally, Turn};
use super::{EXCHANGE_LEN, SERVERS};
use crate::args::{ConnectArgs, ConnectServerArgs, Cores};
use crate::cable::{Cable, kernel_servers};
use crate::child::{Child, say};
use crate::cores::{self, Placement};
use crate::error::Error;
use crate::limits::EPOLL_EVENTS_MAX;
use crate::recorder::Recorder;
use crate::round::Round;
use crate::sockets::{allow_descriptors, retransmits};
use crate::stop::Stop;

const SIDE: &str = "kernel server";

/// What the report says about how the peer runs.
pub(crate) fn flags(args: &ConnectArgs, cable: Option<&Cable>) -> String {
    let placement = match args.rounds.cores {
        Cores::One => "both on one core, asleep in epoll_wait while the other runs",
        Cores::Two => "pinned to a core each, spinning (epoll_wait with timeout 0)",
    };
    let path = cable.map_or("loopback, addresses of 127/8", |_| "veth, offloads as by default");
    format!(
        "{path}, {SERVERS} addresses, a listener each, accepting in bursts, \
         {EPOLL_EVENTS_MAX} events a turn, edge-triggered, a turn's answers received and then its \
         connections opened, no SO_LINGER, one process an end, {placement}"
    )
}

/// The server's addresses, from `first` on.
fn addresses(first: Ipv4Addr) -> Vec<Ipv4Addr> {
    let first = u32::from(first);
    (0..u32::from(SERVERS)).map(|index| Ipv4Addr::from(first + index)).collect()
}

/// One round.
pub(super) fn run(args: &ConnectArgs, cable: Option<&Cable>, stop: &Stop) -> Result<Round, Error> {
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
    Ok(round(recorder, client, server, retransmits))
}

fn two_processes(
    args: &ConnectArgs,
    cable: Option<&Cable>,
    placement: Placement,
    stop: &Stop,
) -> Result<(Recorder, ClientTally, ServerTally), Error> {
    let is_shared = placement.server == placement.client;
    // A client that sleeps still looks at the clock and at Ctrl-C now and then.
    let timeout = if is_shared { EpollTimeout::from(10_u8) } else { EpollTimeout::ZERO };
    let first = cable.map_or(Ipv4Addr::LOCALHOST, |_| kernel_servers(1)[0]);
    let mut arguments = vec![
        "connect-kernel-server".to_owned(),
        format!("--core={}", placement.server.id),
        format!("--bind={first}"),
        format!("--connections={}", args.connections),
    ];
    arguments.extend(is_shared.then(|| "--block".to_owned()));
    let mut server = match cable {
        None => Child::spawn(SIDE, &arguments)?,
        Some(cable) => cable.spawn(SIDE, &arguments)?,
    };
    let port: u16 = server.read()?;
    let servers =
        addresses(first).into_iter().map(|address| SocketAddrV4::new(address, port)).collect();
    let mut client = Client::new(servers, args.connections, args.rounds.duration(), timeout)?;
    while client.turn()? {
        stop.check()?;
    }
    let (recorder, client) = client.finish();
    Ok((recorder, client, server.finish()?))
}

/// The serving process's main: see [`crate::child`].
pub(crate) fn serve(args: &ConnectServerArgs) -> Result<(), Error> {
    cores::pin(CoreId { id: args.core })?;
    // A connection that ends and the one that follows it, in every slot.
    allow_descriptors(2 * u64::from(args.connections) + u64::from(SERVERS))?;
    let timeout = if args.block { EpollTimeout::NONE } else { EpollTimeout::ZERO };
    let mut server = Server::listen(&addresses(args.bind), args.connections, timeout)?;
    server.watch_control(io::stdin())?;
    say(&server.port()?)?;
    while server.turn()? == Turn::More {}
    server.settle()?;
    say(&server.tally())
}

/// Joins what both ends counted.
fn round(recorder: Recorder, client: ClientTally, server: ServerTally, retransmits: u64) -> Round {
    let never_served = client.exchanged.abs_diff(server.answered) * EXCHANGE_LEN as u64;
    let unmatched = client.opened.abs_diff(server.accepted);
    let unclosed = server.accepted.abs_diff(server.closed);
    Round {
        recorded: recorder.into_recorded(),
        bytes_lost: client.bytes_lost + server.bytes_wrong + never_served,
        connections_lost: client.connections_lost + unmatched + unclosed,
        retransmits,
    }
}

#[cfg(test)]
mod tests;
