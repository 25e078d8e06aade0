//! Our own stack at both ends, joined in memory: what the stack itself can do.
//!
//! Both ends are whole engines: frames in an arena, IP and TCP headers with checksums computed by
//! the sender and verified by the receiver, the real flow index, timers, and the `Service` trait.
//! The server is the product's own echo. The wire copies each packet once, as a device would.

mod asker;
mod end;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use memory::{FrameArena, FrameGeometry, PageChoice};
use nic::mem::{MemQueue, pair};

use self::end::{ClientEnd, Clock, Ends, ServerEnd};
use crate::args::{Cores, RrArgs};
use crate::cores::{self, Placement};
use crate::error::Error;
use crate::rr::Round;
use crate::stop::Stop;

/// Packets that each direction of the wire holds.
const WIRE_DEPTH: u32 = 1_024;
/// The link's MTU, as on Ethernet.
pub(super) const MTU: u16 = 1_500;

/// One round.
pub(crate) fn run(args: &RrArgs, stop: &Stop) -> Result<Round, Error> {
    let placement = cores::placement(args.cores)?;
    let frames = 8 * WIRE_DEPTH + 4 * args.connections.max(256);
    let geometry =
        FrameGeometry { frames, frame_len: 2_048, headroom: 128, cores: 2, reserve_per_core: 64 };
    let arena = FrameArena::new(geometry, PageChoice::Best).map_err(lacks_memory)?;
    let (client, server) = pair(WIRE_DEPTH as usize, MTU).expect("the depth is a power of two");
    let clock = Clock(Instant::now());
    match args.cores {
        Cores::One => on_one_core(args, placement, stop, (arena, client, server, clock)),
        Cores::Two => on_two_cores(args, placement, stop, (arena, client, server, clock)),
    }
}

type Parts = (FrameArena, MemQueue, MemQueue, Clock);

/// Both ends in turn on one thread, as a peer in one process does it.
fn on_one_core(
    args: &RrArgs,
    placement: Placement,
    stop: &Stop,
    parts: Parts,
) -> Result<Round, Error> {
    let (arena, client, server, clock) = parts;
    let thread = || {
        cores::pin(placement.client)?;
        let mut server = ServerEnd::new(args, server, &arena, clock)?;
        let mut client = ClientEnd::new(args, client, &arena, clock)?;
        loop {
            server.turn(clock.now());
            if !client.turn(clock.now(), stop)? {
                break;
            }
        }
        server.settle(clock);
        Ok(Ends { client: client.finish(), server: server.finish() }.into_round())
    };
    // A thread of its own, because pinning lasts as long as the thread.
    thread::scope(|scope| join(scope.spawn(thread)))
}

/// A core for each end.
fn on_two_cores(
    args: &RrArgs,
    placement: Placement,
    stop: &Stop,
    parts: Parts,
) -> Result<Round, Error> {
    let (arena, client, server, clock) = parts;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            cores::pin(placement.server)?;
            let mut end = ServerEnd::new(args, server, &arena, clock)?;
            while !is_over.load(Ordering::Relaxed) {
                end.turn(clock.now());
            }
            end.settle(clock);
            Ok(end.finish())
        });
        let client = scope.spawn(|| {
            // Whatever happens here, the server must not spin on.
            let result = ask(args, placement, stop, (&arena, client, clock));
            is_over.store(true, Ordering::Relaxed);
            result
        });
        let client = join(client);
        let server = join(server);
        Ok(Ends { client: client?, server: server? }.into_round())
    })
}

fn ask(
    args: &RrArgs,
    placement: Placement,
    stop: &Stop,
    parts: (&FrameArena, MemQueue, Clock),
) -> Result<end::ClientResult, Error> {
    let (arena, queue, clock) = parts;
    cores::pin(placement.client)?;
    let mut end = ClientEnd::new(args, queue, arena, clock)?;
    while end.turn(clock.now(), stop)? {}
    Ok(end.finish())
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn lacks_memory(error: memory::ArenaError) -> Error {
    Error::Lacks {
        what: format!("memory for the frames: {error}"),
        mend: "ask for less".to_owned(),
    }
}
