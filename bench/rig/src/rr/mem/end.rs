//! The two ends: an engine each, over its half of the wire.

use core::net::Ipv4Addr;

use engine::Engine;
use gateway::{Documents, Gateway, GatewayConfig, Protocol};
use memory::FrameArena;
use nic::mem::MemQueue;
use stack::{ListenerOptions, Stack};
use wire::{Address, MacAddress};

use super::MTU;
use super::asker::{Asker, PORT};
use crate::args::RrArgs;
use crate::error::Error;
use crate::rr::Round;
use crate::rr::recorder::Recorder;
use crate::stop::Stop;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// The time of both ends: nanoseconds since the round began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(pub(super) std::time::Instant);

impl Clock {
    pub(super) fn now(self) -> base::Instant {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).expect("584 years do not pass");
        base::Instant::from_nanos(nanos)
    }
}

/// The answering end: the product's echo.
pub(super) struct ServerEnd {
    engine: Engine<MemQueue, Gateway>,
}

/// The asking end.
pub(super) struct ClientEnd {
    engine: Engine<MemQueue, Asker>,
}

/// What an end counted besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerResult {
    retransmits: u64,
    accepted: u64,
}

/// What the client's end counted.
pub(super) struct ClientResult {
    recorder: Recorder,
    bytes_lost: u64,
    connections_lost: u64,
    connections: u64,
    retransmits: u64,
}

/// Both.
pub(super) struct Ends {
    pub(super) client: ClientResult,
    pub(super) server: ServerResult,
}

impl ServerEnd {
    pub(super) fn new(
        args: &RrArgs,
        queue: MemQueue,
        arena: &FrameArena,
        clock: Clock,
    ) -> Result<Self, Error> {
        let mut stack = stack(args, queue, arena, (SERVER, 2), clock)?;
        let options = ListenerOptions::default();
        let listener = stack.core_mut().listen(PORT, options).expect("nobody else listens");
        let documents = Documents::new(Vec::new()).map_err(|error| lacks(&error.to_string()))?;
        let mut gateway = Gateway::new(GatewayConfig::new(documents))
            .map_err(|error| lacks(&error.to_string()))?;
        gateway.add_listener(listener, Protocol::Echo);
        Ok(Self { engine: Engine::new(stack, gateway) })
    }

    pub(super) fn turn(&mut self, now: base::Instant) {
        self.engine.turn(now);
    }

    /// Takes in what is still on its way.
    pub(super) fn settle(&mut self, clock: Clock) {
        while self.engine.turn(clock.now()).received > 0 {}
    }

    pub(super) fn finish(self) -> ServerResult {
        let counters = self.engine.stack().core().tcp().counters();
        ServerResult { retransmits: counters.retransmits, accepted: counters.accepted }
    }
}

impl ClientEnd {
    pub(super) fn new(
        args: &RrArgs,
        queue: MemQueue,
        arena: &FrameArena,
        clock: Clock,
    ) -> Result<Self, Error> {
        let stack = stack(args, queue, arena, (CLIENT, 1), clock)?;
        let server = Address::from(SERVER);
        let asker = Asker::new(server, args.connections, args.size_bytes(), args.duration());
        Ok(Self { engine: Engine::new(stack, asker) })
    }

    /// One turn; false once the round is over and everything asked is answered or given up.
    pub(super) fn turn(&mut self, now: base::Instant, stop: &Stop) -> Result<bool, Error> {
        self.engine.turn(now);
        stop.check()?;
        Ok(!self.engine.service().is_done)
    }

    pub(super) fn finish(self) -> ClientResult {
        let (stack, asker) = self.engine.into_parts();
        let counters = stack.core().tcp().counters();
        ClientResult {
            connections: counters.connected,
            retransmits: counters.retransmits,
            recorder: asker.recorder,
            bytes_lost: asker.tally.bytes_lost,
            connections_lost: asker.tally.connections_lost,
        }
    }
}

impl Ends {
    pub(super) fn into_round(self) -> Round {
        let Self { client, server } = self;
        // Every connection is counted at both ends.
        let unmatched = client.connections.abs_diff(server.accepted);
        Round {
            recorded: client.recorder.into_recorded(),
            bytes_lost: client.bytes_lost,
            connections_lost: client.connections_lost + unmatched,
            retransmits: client.retransmits + server.retransmits,
        }
    }
}

fn stack(
    args: &RrArgs,
    queue: MemQueue,
    arena: &FrameArena,
    own: (Ipv4Addr, u8),
    clock: Clock,
) -> Result<Stack<MemQueue>, Error> {
    let (address, last) = own;
    let cidr = ip::Cidr::new(Address::from(address), 24).expect("24 is a prefix of IPv4");
    let ip = ip::Config {
        mac: MacAddress([2, 0, 0, 0, 0, last]),
        mtu: MTU,
        addresses: vec![cidr],
        ..ip::Config::default()
    };
    let mut config = stack::Config::new(ip);
    let connections = args.connections + 64;
    config.tcp.records = connections;
    config.tcp.extensions = connections + 128;
    config.tcp.nodes = 4 * connections + 4_096;
    config.tcp.half_open = 1_024;
    config.tcp.time_wait = 1_024;
    let mut keys = [[0; 32]; 4];
    for key in &mut keys {
        getrandom::fill(key).map_err(|error| lacks(&error.to_string()))?;
    }
    let [index, sequence, timestamp, port] = keys;
    let keys = tcp::Keys { index, sequence, timestamp, port };
    let core = arena.core().expect("the arena has a share for each end");
    Stack::new(&config, queue, core, &keys, clock.now()).map_err(|error| lacks(&error.to_string()))
}

fn lacks(what: &str) -> Error {
    Error::Lacks { what: what.to_owned(), mend: "free some memory".to_owned() }
}
