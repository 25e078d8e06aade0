//! Our own stack at both ends: an engine each, over whatever queue pair joins them.
//!
//! Both ends are whole: frames in an arena, IP and TCP headers with checksums computed by the
//! sender and verified by the receiver, the real flow index, timers, and the `Service` trait. The
//! server is the product's own echo; the client's service is the benchmark's.

pub(crate) mod mem;
pub(crate) mod veth;

use core::net::Ipv4Addr;

use engine::Engine;
use gateway::{Documents, Gateway, GatewayConfig, Protocol};
use memory::CoreArena;
use nic::{Capabilities, QueuePair};
use publisher::Publisher;
use serde::{Deserialize, Serialize};
use stack::{ListenerOptions, Service, Stack};
use wire::{Address, MacAddress};

use crate::error::Error;
use crate::limits::{DRAIN_MS_MAX, OPENING_MAX, SETTLE_MS};
use crate::recorder::Recorder;
use crate::round::Round;
use crate::stop::Stop;

/// The link's MTU, as on Ethernet.
pub(crate) const MTU: u16 = 1_500;
/// The client's address.
pub(crate) const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The echo's port.
pub(crate) const PORT: u16 = 7;

/// The time of both ends: nanoseconds since the round began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(pub(crate) std::time::Instant);

impl Clock {
    pub(crate) fn now(self) -> base::Instant {
        let nanos = u64::try_from(self.0.elapsed().as_nanos()).expect("584 years do not pass");
        base::Instant::from_nanos(nanos)
    }
}

/// Sizes of both ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Connections that live at once, and exchange.
    pub(crate) connections: u32,
    /// Connections that are open besides, and silent.
    pub(crate) silent: u32,
    /// Tuples that rest in TIME-WAIT.
    pub(crate) time_wait: u32,
    /// Addresses of the server.
    pub(crate) servers: u8,
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

impl Plan {
    /// Frames that one end needs besides those of its queue pair.
    pub(crate) fn frames(&self) -> u32 {
        2 * self.connections.max(256)
    }

    /// The server's addresses, from 10.77.0.2 on.
    pub(crate) fn server_addresses(&self) -> Vec<Ipv4Addr> {
        (0..self.servers).map(|index| Ipv4Addr::new(10, 77, 0, 2 + index)).collect()
    }

    fn addresses(&self, role: Role) -> Vec<Ipv4Addr> {
        match role {
            Role::Client => vec![CLIENT_ADDRESS],
            Role::Server => self.server_addresses(),
        }
    }
}

/// What a benchmark's asking service tells of itself, and what it found.
pub(crate) trait Asks: Service {
    /// Whether all that was asked is answered or given up.
    fn is_done(&self) -> bool;

    /// Ends it.
    fn into_asked(self) -> Asked;
}

/// What an asking service found.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) recorder: Recorder,
    pub(crate) bytes_lost: u64,
    pub(crate) connections_lost: u64,
    /// Bytes of requests that were sent.
    pub(crate) bytes_sent: u64,
    /// Connections that have ended.
    pub(crate) closed: u64,
}

/// The answering end: the product's echo.
pub(crate) struct ServerEnd<Q> {
    engine: Engine<Q, Gateway>,
    /// Its end of a tools' file, where there is one.
    tools: Option<Publisher>,
}

/// The asking end.
pub(crate) struct ClientEnd<Q, S> {
    engine: Engine<Q, S>,
}

/// What the answering end counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerTally {
    pub(crate) retransmits: u64,
    pub(crate) accepted: u64,
    /// Of those accepted, how many have ended in any way.
    pub(crate) closed: u64,
    /// And how many of these otherwise than by both FINs.
    pub(crate) closed_early: u64,
    /// Bytes echoed.
    pub(crate) bytes: u64,
}

/// What the asking end counted.
#[derive(Debug)]
pub(crate) struct ClientTally {
    pub(crate) asked: Asked,
    pub(crate) connected: u64,
    pub(crate) retransmits: u64,
}

impl<Q: QueuePair> ServerEnd<Q> {
    pub(crate) fn new(plan: Plan, queue: Q, core: CoreArena, clock: Clock) -> Result<Self, Error> {
        let mut stack = stack(plan, queue, core, Role::Server, clock)?;
        let options = ListenerOptions::default();
        let listener = stack.core_mut().listen(PORT, options).expect("nobody else listens");
        let documents = Documents::new(Vec::new()).map_err(|error| lacks(&error.to_string()))?;
        let mut gateway = Gateway::new(GatewayConfig::new(documents))
            .map_err(|error| lacks(&error.to_string()))?;
        gateway.add_listener(listener, Protocol::Echo);
        Ok(Self { engine: Engine::new(stack, gateway), tools: None })
    }

    /// From now on tools see it.
    pub(crate) fn show(&mut self, tools: impl FnOnce(&Capabilities) -> Publisher) {
        self.tools = Some(tools(self.engine.stack().queue().capabilities()));
    }

    pub(crate) fn turn(&mut self, now: base::Instant) {
        match &mut self.tools {
            Some(tools) => tools.turn(&mut self.engine, now),
            None => self.engine.turn(now).is_busy,
        };
    }

    /// The most entries of its tables that one turn has looked at for a tool.
    pub(crate) fn looks_max(&self) -> u64 {
        self.tools.as_ref().map_or(0, Publisher::looks_max)
    }

    /// Takes in what is still on its way.
    pub(crate) fn settle(&mut self, clock: Clock) {
        settle(&mut self.engine, clock);
    }

    pub(crate) fn tally(&self) -> ServerTally {
        let tcp = self.engine.stack().core().tcp().counters();
        let echo = self.engine.service().counters().echo;
        ServerTally {
            retransmits: tcp.retransmits + tcp.syn_ack_retransmits,
            accepted: tcp.accepted,
            closed: echo.closed,
            closed_early: echo.closed_early,
            bytes: echo.bytes,
        }
    }
}

impl<Q: QueuePair, S: Asks> ClientEnd<Q, S> {
    pub(crate) fn new(
        plan: Plan,
        queue: Q,
        core: CoreArena,
        clock: Clock,
        service: S,
    ) -> Result<Self, Error> {
        let stack = stack(plan, queue, core, Role::Client, clock)?;
        Ok(Self { engine: Engine::new(stack, service) })
    }

    /// One turn; false once the round is over and everything asked is answered or given up.
    pub(crate) fn turn(&mut self, now: base::Instant, stop: &Stop) -> Result<bool, Error> {
        self.engine.turn(now);
        stop.check()?;
        Ok(!self.engine.service().is_done())
    }

    pub(crate) fn service(&self) -> &S {
        self.engine.service()
    }

    pub(crate) fn service_mut(&mut self) -> &mut S {
        self.engine.service_mut()
    }

    pub(crate) fn tcp(&self) -> &tcp::Tcp {
        self.engine.stack().core().tcp()
    }

    /// Sends what is still to be sent.
    pub(crate) fn settle(&mut self, clock: Clock) {
        settle(&mut self.engine, clock);
    }

    pub(crate) fn finish(self) -> ClientTally {
        let (stack, service) = self.engine.into_parts();
        let counters = stack.core().tcp().counters();
        ClientTally {
            asked: service.into_asked(),
            connected: counters.connected,
            retransmits: counters.retransmits,
        }
    }
}

/// Turns until nothing has happened for a while.
fn settle<Q: QueuePair, S: Service>(engine: &mut Engine<Q, S>, clock: Clock) {
    let mut busy_at = clock.now();
    let begin = busy_at;
    let pause = base::Duration::from_millis(SETTLE_MS);
    let patience = base::Duration::from_millis(DRAIN_MS_MAX);
    loop {
        let now = clock.now();
        if engine.turn(now).is_busy {
            busy_at = now;
        }
        if now.saturating_since(busy_at) > pause || now.saturating_since(begin) > patience {
            return;
        }
    }
}

/// Joins what both ends counted: every connection and every byte at both.
pub(crate) fn round(client: ClientTally, server: ServerTally) -> Round {
    let ClientTally { asked, connected, retransmits } = client;
    let unmatched = connected.abs_diff(server.accepted)
        + asked.closed.abs_diff(server.closed)
        + server.closed_early;
    let unechoed = asked.bytes_sent.abs_diff(server.bytes);
    Round {
        recorded: asked.recorder.into_recorded(),
        bytes_lost: asked.bytes_lost.max(unechoed),
        connections_lost: asked.connections_lost + unmatched,
        retransmits: retransmits + server.retransmits,
    }
}

fn stack<Q: QueuePair>(
    plan: Plan,
    queue: Q,
    core: CoreArena,
    role: Role,
    clock: Clock,
) -> Result<Stack<Q>, Error> {
    let cidr = |address| ip::Cidr::new(Address::from(address), 24).expect("24 is a prefix of IPv4");
    let last = match role {
        Role::Client => 1,
        Role::Server => 2,
    };
    let ip = ip::Config {
        mac: MacAddress([2, 0, 0, 0, 0, last]),
        mtu: MTU,
        addresses: plan.addresses(role).into_iter().map(cidr).collect(),
        ..ip::Config::default()
    };
    let mut config = stack::Config::new(ip);
    let connections = plan.connections + 64;
    config.tcp.records = connections + plan.silent;
    // One that is silent needs more than its record only while it opens.
    config.tcp.extensions = connections + 128 + plan.silent.min(OPENING_MAX);
    config.tcp.nodes = 4 * connections + 4_096;
    config.tcp.half_open = connections.max(1_024);
    config.tcp.time_wait = plan.time_wait;
    let mut keys = [[0; 32]; 4];
    let mut cookie = [0; 16];
    for key in keys.iter_mut().map(<[u8; 32]>::as_mut_slice).chain([cookie.as_mut_slice()]) {
        getrandom::fill(key).map_err(|error| lacks(&error.to_string()))?;
    }
    let [index, sequence, timestamp, port] = keys;
    let keys = tcp::Keys { index, sequence, timestamp, port, cookie };
    Stack::new(&config, queue, core, &keys, clock.now()).map_err(|error| lacks(&error.to_string()))
}

fn lacks(what: &str) -> Error {
    Error::Lacks { what: what.to_owned(), mend: "free some memory".to_owned() }
}
