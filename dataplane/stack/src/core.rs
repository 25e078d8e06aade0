//! One core's stack as a whole: what it owns, how it is made, and the steps of a turn.

use base::{CoreSet, Instant, Rng};
use memory::{ArenaError, CoreArena};
use nic::{Burst, QueuePair};
use thiserror::Error;
use wire::Address;

use crate::counters::Counters;
use crate::hand_over::HandOver;
use crate::ingress::Pending;
use crate::limits::{BURST, TIMERS_MAX_DEFAULT, TX_BACKLOG};
use crate::timers::Timers;
use crate::{Conn, ConnectError, ListenerId, ListenerOptions};

/// What a stack is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses, routes and neighbours.
    pub ip: ip::Config,
    /// Tables and windows.
    pub tcp: tcp::Config,
    /// The service's timers.
    pub timers: u32,
}

impl Config {
    /// The default sizes over the addresses of `ip`.
    #[must_use]
    pub fn new(ip: ip::Config) -> Self {
        let mtu = ip.mtu;
        let tcp = tcp::Config { mtu, ..tcp::Config::default() };
        Self { ip, tcp, timers: TIMERS_MAX_DEFAULT }
    }
}

/// Why a stack could not be made.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The addresses or routes are wrong.
    #[error(transparent)]
    Ip(#[from] ip::ConfigError),
    /// The tables are.
    #[error(transparent)]
    Tcp(#[from] tcp::ConfigError),
    /// There is no memory for the timers.
    #[error(transparent)]
    ResourceMemory(#[from] ArenaError),
}

/// Everything of a stack but its queue pair: what a service reaches through its context.
#[derive(Debug)]
pub struct Core {
    pub(crate) now: Instant,
    pub(crate) arena: CoreArena,
    pub(crate) ip: ip::Ip,
    pub(crate) tcp: tcp::Tcp,
    pub(crate) udp: udp::Udp,
    pub(crate) rng: Rng,
    pub(crate) timers: Timers,
    /// Frames on their way to the queue pair.
    pub(crate) tx: Burst,
    /// The ways to the other cores, where there are any.
    pub(crate) hand_over: Option<Box<HandOver>>,
    pub(crate) counters: Counters,
}

/// One core's stack over its queue pair.
#[derive(Debug)]
pub struct Stack<Q> {
    pub(crate) queue: Q,
    pub(crate) core: Core,
    pub(crate) rx: Burst,
    /// Segments of the burst that have been parsed and not yet handled.
    pub(crate) pending: Vec<Pending>,
}

impl<Q: QueuePair> Stack<Q> {
    /// Makes a stack. `seed` decides the generator; `keys` everything that must not be guessed.
    ///
    /// # Errors
    /// The configuration is wrong, or the machine lacks the memory.
    pub fn new(
        config: &Config,
        queue: Q,
        arena: CoreArena,
        keys: &tcp::Keys,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let seed = u64::from_le_bytes(*keys.port.first_chunk().expect("a key has 32 bytes"));
        let pages = config.tcp.pages;
        let core = Core {
            now,
            arena,
            ip: ip::Ip::new(&config.ip, keys.timestamp)?,
            tcp: tcp::Tcp::new(config.tcp.clone(), keys, now)?,
            udp: udp::Udp::new(),
            rng: Rng::seeded(seed),
            timers: Timers::new(config.timers, pages, now)?,
            tx: Burst::with_capacity(TX_BACKLOG),
            hand_over: None,
            counters: Counters::default(),
        };
        Ok(Self {
            queue,
            core,
            rx: Burst::with_capacity(BURST),
            pending: Vec::with_capacity(BURST),
        })
    }

    /// Makes it one of several cores of one device. A core that is alone has nobody to hand over
    /// to, and computes no owner.
    #[must_use]
    pub fn with_hand_over(mut self, hand_over: HandOver) -> Self {
        self.core.hand_over = (hand_over.cores() > 1).then(|| Box::new(hand_over));
        self
    }

    /// The queue pair.
    #[must_use]
    pub fn queue(&self) -> &Q {
        &self.queue
    }

    /// The queue pair, to be told the time or its impairments.
    pub fn queue_mut(&mut self) -> &mut Q {
        &mut self.queue
    }

    /// The rest of the stack, for tools and tests.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The rest of the stack, to be set up.
    pub fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// The queue pair and the rest of the stack apart, when the stack is taken down: frames in
    /// flight go back to the arena first.
    pub fn into_parts(mut self) -> (Q, CoreArena) {
        self.rx.clear_into(&mut self.core.arena);
        self.core.tx.clear_into(&mut self.core.arena);
        if let Some(hand_over) = &mut self.core.hand_over {
            hand_over.drain_into(&mut self.core.arena);
        }
        (self.queue, self.core.arena)
    }

    /// When the next turn is needed although nothing arrives.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let core = &self.core;
        let deadlines = [
            core.tcp.next_deadline(core.now),
            core.ip.next_deadline(),
            core.timers.next_deadline(),
            self.queue.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }
}

impl Core {
    /// Accepts TCP connections on `port`.
    ///
    /// # Errors
    /// The port is taken, zero, or one too many.
    pub fn listen(
        &mut self,
        port: u16,
        options: ListenerOptions,
    ) -> Result<ListenerId, tcp::ListenError> {
        self.tcp.listen(port, options)
    }

    /// Receives UDP datagrams on `port`.
    ///
    /// # Errors
    /// The port is taken, zero, or one too many.
    pub fn bind(&mut self, port: u16) -> Result<(), udp::BindError> {
        self.udp.bind(port)
    }

    /// Accepts TCP connections on `port` while the core serves: it takes no memory.
    ///
    /// # Errors
    /// The port is taken, zero, or one too many.
    pub fn listen_again(
        &mut self,
        port: u16,
        options: ListenerOptions,
    ) -> Result<ListenerId, tcp::ListenError> {
        self.tcp.listen_again(port, options)
    }

    /// Accepts nobody any more by a listener; whether it accepted until now. Its connections live
    /// on.
    pub fn close_listener(&mut self, listener: ListenerId) -> bool {
        self.tcp.close_listener(listener)
    }

    /// Changes the terms of a listener, for connections to come; those of keep-alive for all.
    pub fn set_listener(&mut self, listener: ListenerId, options: ListenerOptions) {
        self.tcp.set_listener(listener, options);
    }

    /// Gives a UDP port back; whether it was bound.
    pub fn unbind(&mut self, port: u16) -> bool {
        self.udp.unbind(port)
    }

    /// TCP and what it works with.
    pub(crate) fn tcp_cx(&mut self) -> (&mut tcp::Tcp, tcp::Cx<'_>) {
        (&mut self.tcp, tcp::Cx { now: self.now, arena: &mut self.arena })
    }

    /// TCP's tables and counters.
    #[must_use]
    pub fn tcp(&self) -> &tcp::Tcp {
        &self.tcp
    }

    /// IP's tables and counters.
    #[must_use]
    pub fn ip(&self) -> &ip::Ip {
        &self.ip
    }

    /// UDP's ports and counters.
    #[must_use]
    pub fn udp(&self) -> &udp::Udp {
        &self.udp
    }

    /// The core's frames.
    #[must_use]
    pub fn arena(&self) -> &CoreArena {
        &self.arena
    }

    /// What the stack itself has counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The service's timers that are set.
    #[must_use]
    pub fn timers_set(&self) -> u32 {
        self.timers.set_count()
    }

    /// Whether another core has put something before this one.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.hand_over.as_ref().is_some_and(|hand_over| hand_over.has_waiting())
    }

    /// Cores that something was put before since this was last asked.
    pub fn take_reached(&mut self) -> CoreSet {
        let hand_over = self.hand_over.as_mut();
        hand_over.map_or(CoreSet::default(), |hand_over| hand_over.take_reached())
    }

    /// Frames that wait for the queue pair.
    #[must_use]
    pub fn tx_backlog(&self) -> usize {
        self.tx.len()
    }

    pub(crate) fn connect(
        &mut self,
        remote: Address,
        remote_port: u16,
        word: u32,
    ) -> Result<Conn, ConnectError> {
        let local = self.ip.source_for(remote).ok_or(ConnectError::Unroutable)?;
        let tuple = tcp::Tuple { remote, remote_port, local_port: 0, local: local.0 };
        let own = self.ip.local_address(local);
        let Self { tcp, arena, hand_over, now, .. } = self;
        let mut cx = tcp::Cx { now: *now, arena };
        // The answers come to the core that the port names: it must be this one.
        tcp.connect(&mut cx, tuple, word, |tuple| {
            let (source, destination) =
                ((tuple.remote, tuple.remote_port), (own, tuple.local_port));
            let hand_over = hand_over.as_ref();
            hand_over.is_none_or(|cores| cores.other_owner(source, destination).is_none())
        })
    }
}
