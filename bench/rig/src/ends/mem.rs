//! Both ends joined in memory: what the stack itself can do. The wire copies each packet once, as
//! a device would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::mem::{MemQueue, pair};

use super::{Asks, ClientEnd, ClientTally, Clock, MTU, Plan, ServerEnd, round};
use crate::args::Cores;
use crate::cores::{self, Placement};
use crate::error::Error;
use crate::round::Round;
use crate::stop::Stop;

/// Packets that each direction of the wire holds.
const WIRE_DEPTH: u32 = 1_024;

/// One round with `service` at the asking end.
pub(crate) fn run<S: Asks + Send>(
    plan: Plan,
    service: S,
    cores: Cores,
    stop: &Stop,
) -> Result<Round, Error> {
    let placement = cores::placement(cores)?;
    let wires = Wires::new(plan)?;
    match cores {
        Cores::One => on_one_core(plan, service, placement, stop, wires),
        Cores::Two => on_two_cores(plan, service, placement, stop, wires),
    }
}

/// What joins the ends.
pub(crate) struct Wires {
    pub(crate) arena: FrameArena,
    pub(crate) client: MemQueue,
    pub(crate) server: MemQueue,
    pub(crate) clock: Clock,
}

impl Wires {
    /// Frames for both ends as `plan` has them, and the wire; time begins now.
    pub(crate) fn new(plan: Plan) -> Result<Self, Error> {
        let frames = 8 * WIRE_DEPTH + 2 * plan.frames();
        let geometry = FrameGeometry {
            frames,
            frame_len: 2_048,
            headroom: 128,
            cores: 2,
            reserve_per_core: 64,
        };
        let arena = FrameArena::new(geometry, PageChoice::Best).map_err(lacks_memory)?;
        let (client, server) = pair(WIRE_DEPTH as usize, MTU).expect("the depth is a power of two");
        Ok(Self { arena, client, server, clock: Clock(Instant::now()) })
    }
}

/// Both ends in turn on one thread, as a peer in one process does it.
fn on_one_core<S: Asks + Send>(
    plan: Plan,
    service: S,
    placement: Placement,
    stop: &Stop,
    wires: Wires,
) -> Result<Round, Error> {
    let Wires { arena, client, server, clock } = wires;
    let thread = || {
        cores::pin(placement.client)?;
        let mut server = ServerEnd::new(plan, server, share(&arena), clock)?;
        let mut client = ClientEnd::new(plan, client, share(&arena), clock, service)?;
        loop {
            server.turn(clock.now());
            if !client.turn(clock.now(), stop)? {
                break;
            }
        }
        client.settle(clock);
        server.settle(clock);
        Ok(round(client.finish(), server.tally()))
    };
    // A thread of its own, because pinning lasts as long as the thread.
    thread::scope(|scope| join(scope.spawn(thread)))
}

/// A core for each end.
fn on_two_cores<S: Asks + Send>(
    plan: Plan,
    service: S,
    placement: Placement,
    stop: &Stop,
    wires: Wires,
) -> Result<Round, Error> {
    let Wires { arena, client, server, clock } = wires;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            cores::pin(placement.server)?;
            let mut end = ServerEnd::new(plan, server, share(&arena), clock)?;
            while !is_over.load(Ordering::Relaxed) {
                end.turn(clock.now());
            }
            end.settle(clock);
            Ok(end.tally())
        });
        let client = scope.spawn(|| {
            let ask = || -> Result<ClientTally, Error> {
                cores::pin(placement.client)?;
                let mut end = ClientEnd::new(plan, client, share(&arena), clock, service)?;
                while end.turn(clock.now(), stop)? {}
                Ok(end.finish())
            };
            // Whatever happens here, the server must not spin on.
            let result = ask();
            is_over.store(true, Ordering::Relaxed);
            result
        });
        let client = join(client);
        let server: Result<_, Error> = join(server);
        Ok(round(client?, server?))
    })
}

/// An end's share of the frames.
pub(crate) fn share(arena: &FrameArena) -> CoreArena {
    arena.core().expect("the arena has a share for each end")
}

/// What a thread returned; its panic goes on here.
pub(crate) fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn lacks_memory(error: memory::ArenaError) -> Error {
    Error::Lacks {
        what: format!("memory for the frames: {error}"),
        mend: "ask for less".to_owned(),
    }
}
