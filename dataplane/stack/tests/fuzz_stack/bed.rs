//! The stack under test on a wire of its own, and what must hold after everything that happens.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use base::{Duration, Instant, QueueId};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::{Burst, Capabilities, Copies, QueueCounters, QueuePair, flags};
use stack::{Config, Context, KeepAlive, ListenerOptions, Stack, UserTimeout};
use tcp::Usage;

use crate::coverage;
use crate::frame;
use crate::peer::Peers;
use crate::service::{HOARD_MAX, PORTS, Puppet, UDP_PORTS};

/// Frames of the whole core.
const FRAMES: u32 = 256;
/// Frames that may wait for neighbours.
const PARKED_MAX: u16 = 6;
/// Frames that are there for packets to be received into, beyond the reserve of eight.
const FRAMES_POSTED: u32 = 12;
/// Milliseconds that pass before the end at most: an input is to take a millisecond.
const TIME_MS_MAX: u64 = 10 * 60_000;
/// Turns without time after which the stack must have come to rest.
const TURNS_MAX: u32 = 200;

thread_local! {
    /// One arena serves all inputs: the ids of arenas are never used twice.
    static ARENA: RefCell<Option<(FrameArena, CoreArena)>> = const { RefCell::new(None) };
}

/// A received packet on its way to the stack.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    /// The device has found the checksums right.
    pub(crate) is_verified: bool,
    /// It comes in two frames.
    pub(crate) is_scattered: bool,
}

impl Packet {
    /// A packet in one frame, whose checksums nobody has looked at.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, is_verified: false, is_scattered: false }
    }
}

/// A queue pair whose other end is this harness.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) inbox: VecDeque<Packet>,
    pub(crate) outbox: Vec<Vec<u8>>,
    /// Times that the stack still comes to rest with the device full.
    pub(crate) full_for: u32,
    capabilities: Capabilities,
    counters: QueueCounters,
}

impl Wire {
    fn new() -> Self {
        let capabilities = Capabilities {
            name: "fuzz",
            queue: QueueId(0),
            mtu: 1_500,
            segments_max: 1,
            checksum_rx: true,
            checksum_tx: false,
            tso: false,
            zero_copy: false,
            copies: Copies::Sender,
        };
        let (inbox, outbox) = (VecDeque::new(), Vec::new());
        Self { inbox, outbox, full_for: 0, capabilities, counters: QueueCounters::default() }
    }
}

impl QueuePair for Wire {
    fn rx_burst(&mut self, arena: &mut CoreArena, out: &mut Burst) -> usize {
        let mut count = 0;
        while let Some(packet) = self.inbox.front() {
            let middle = if packet.is_scattered { packet.bytes.len() / 2 } else { 0 };
            let (first, second) = packet.bytes.split_at(middle);
            let pieces = if packet.is_scattered { vec![first, second] } else { vec![second] };
            // A device has posted its frames before the packet comes.
            if out.free() < pieces.len() || arena.frames_free() < FRAMES_POSTED {
                break;
            }
            let (last, verified) = (pieces.len() - 1, u16::from(packet.is_verified));
            for (at, piece) in pieces.into_iter().enumerate() {
                let mut frame = arena.allocate().expect("there are frames above the reserve");
                arena.set_len(&mut frame, piece.len());
                arena.bytes_mut(&mut frame).copy_from_slice(piece);
                let continues = if at < last { flags::CONTINUES } else { 0 };
                frame.set_flags(continues | (verified * flags::CHECKSUM_VERIFIED));
                out.push(frame).expect("there is room");
                count += 1;
            }
            self.inbox.pop_front();
        }
        count
    }

    fn tx_burst(&mut self, arena: &mut CoreArena, frames: &mut Burst) -> usize {
        if self.full_for > 0 {
            return 0;
        }
        let count = frames.len();
        for frame in frames.drain() {
            assert_eq!(frame.flags(), 0, "what is sent is whole and has its checksums");
            self.outbox.push(arena.bytes(&frame).to_vec());
            arena.free(frame);
        }
        count
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn wait_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn counters(&self) -> &QueueCounters {
        &self.counters
    }
}

/// How a run is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Tables so small that they fill up.
    pub(crate) is_tiny: bool,
    /// The windows of the stack need no scale.
    pub(crate) is_unscaled: bool,
    /// When the clock begins: near one of its wraps, or not.
    pub(crate) start: Instant,
}

/// What one turn has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    /// Frames of TCP without data, and of everything that is not TCP.
    pub(crate) bare: u64,
    pub(crate) tcp: u64,
    pub(crate) resets: u64,
}

/// The stack and all around it.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) stack: Stack<Wire>,
    pub(crate) service: Puppet,
    pub(crate) peers: Peers,
    pub(crate) now: Instant,
    /// Milliseconds that may still pass before the end.
    pub(crate) time_left_ms: u64,
    arena: FrameArena,
    tables: tcp::Config,
}

impl Bed {
    pub(crate) fn new(terms: Terms) -> Self {
        let (arena, core) = ARENA.take().unwrap_or_else(|| {
            let geometry = FrameGeometry {
                frames: FRAMES,
                frame_len: 2_048,
                headroom: 128,
                cores: 1,
                reserve_per_core: 8,
            };
            let arena = FrameArena::new(geometry, PageChoice::Base).expect("512 KiB");
            let core = arena.core().expect("the only core");
            (arena, core)
        });
        let config = config(terms);
        let key = |last| [last; 32];
        let keys = tcp::Keys {
            index: key(1),
            sequence: key(2),
            timestamp: key(3),
            port: key(4),
            cookie: [5; 16],
        };
        let mut stack = Stack::new(&config, Wire::new(), core, &keys, terms.start)
            .expect("a good configuration");
        listen(&mut stack);
        let (service, peers) = (Puppet::new(), Peers::new());
        let (now, time_left_ms, tables) = (terms.start, TIME_MS_MAX, config.tcp);
        Self { stack, service, peers, now, time_left_ms, arena, tables }
    }

    /// Lets a packet arrive with the next turn.
    pub(crate) fn queue(&mut self, packet: Packet) {
        if cfg!(not(fuzzing))
            && !packet.is_scattered
            && let Some(seen) = frame::seen(&packet.bytes, packet.is_verified)
        {
            coverage::count_segment(self.stack.core(), &seen);
        }
        self.stack.queue_mut().inbox.push_back(packet);
    }

    /// Lets a packet arrive, and checks that what it brings about is in proportion.
    pub(crate) fn arrive(&mut self, packet: Packet) {
        let wire = self.stack.queue();
        let is_alone = wire.inbox.is_empty() && wire.full_for == 0 && !self.stack.has_egress();
        let calls = self.service.calls;
        let seen = frame::seen(&packet.bytes, packet.is_verified);
        let len = packet.bytes.len();
        let tuple = seen.as_ref().and_then(|seen| coverage::tuple_of(self.stack.core(), seen));
        let flow = tuple.and_then(|tuple| self.stack.core().tcp().flow(&tuple));
        self.queue(packet);
        let traffic = self.rest();
        let calls = self.service.calls - calls;
        let bound = 2 * traffic.received + calls + u64::from(PARKED_MAX);
        assert!(!is_alone || traffic.bare <= bound, "{traffic:?} after {len} bytes: {seen:?}");
        if !is_alone || traffic.received > 1 || calls > 0 {
            return;
        }
        let Some(seen) = seen else { return };
        // What comes from nobody we know buys one answer, and a RST never another RST. Who has
        // completed a handshake is known.
        let after = tuple.and_then(|tuple| self.stack.core().tcp().flow(&tuple));
        let is_known = [flow, after].iter().any(|at| matches!(at, Some(tcp::Flow::Connection(..))));
        assert!(is_known || traffic.tcp <= 1, "{traffic:?} after {seen:?} in {flow:?}");
        let is_reset = seen.has(wire::tcp::Flags::RST);
        assert!(!is_reset || traffic.resets == 0, "a RST answers {seen:?} in {flow:?}");
    }

    /// Runs `act` as the service would, between two turns.
    pub(crate) fn with_service(&mut self, act: impl FnOnce(&mut Puppet, &mut Context<'_>)) {
        let Self { stack, service, now, .. } = self;
        stack.with_context(*now, |cx| act(service, cx));
        self.rest();
    }

    /// Turns until nothing moves any more, without letting time pass.
    pub(crate) fn rest(&mut self) -> Traffic {
        let mut sum = Traffic::default();
        for _ in 0..TURNS_MAX {
            let Traffic { received, bare, tcp, resets } = self.turn();
            sum.received += received;
            sum.bare += bare;
            sum.tcp += tcp;
            sum.resets += resets;
            if received + bare + tcp == 0 {
                let full_for = &mut self.stack.queue_mut().full_for;
                *full_for = full_for.saturating_sub(1);
                self.check();
                return sum;
            }
        }
        panic!("the stack never comes to rest: {sum:?}, {:?}", self.stack.core().tcp().usage());
    }

    fn turn(&mut self) -> Traffic {
        let Self { stack, service, peers, now, .. } = self;
        let received = stack.core().counters().packets_in;
        stack.receive(*now);
        stack.handle_burst(service);
        stack.handle_time(*now, service);
        stack.handle_turn(service);
        stack.poll_egress(service);
        let mut traffic = Traffic {
            received: stack.core().counters().packets_in - received,
            ..Traffic::default()
        };
        for bytes in std::mem::take(&mut stack.queue_mut().outbox) {
            let seen = crate::judge::well_formed(&bytes);
            traffic.tcp += u64::from(seen.is_some());
            traffic.bare += u64::from(seen.is_none_or(|seen| seen.payload_len == 0));
            traffic.resets += u64::from(seen.is_some_and(|seen| seen.has(wire::tcp::Flags::RST)));
            if let Some(seen) = seen
                && let Some(tuple) = coverage::tuple_of_sent(stack.core(), &seen)
            {
                let core = stack.core();
                let is_live = match core.tcp().flow(&tuple) {
                    Some(tcp::Flow::Connection(..)) => true,
                    // A resting tuple, which promises nothing, may have been reopened just now.
                    Some(tcp::Flow::HalfOpen) => seen.repr.window > 0,
                    Some(tcp::Flow::Resting) | None => false,
                };
                // What waited for its neighbour comes later than what was said after it.
                peers.judge(&seen, is_live && core.ip().counters().parked == 0);
            }
            if let Some(answer) = peers.learn(&bytes, seen.as_ref()) {
                stack.queue_mut().inbox.push_back(answer);
            }
        }
        traffic
    }

    /// Lets `duration` pass, stopping at every deadline.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        let steps_max = 2_000 + duration.as_millis();
        for _ in 0..steps_max {
            self.rest();
            let next = self.stack.next_deadline().unwrap_or(until);
            // As the engine does: timers have ticks of a millisecond.
            let next = next.max(self.now + Duration::from_micros(250));
            if next >= until {
                self.now = until;
                self.rest();
                return;
            }
            self.now = next;
        }
        let core = self.stack.core();
        let (next, usage) = (self.stack.next_deadline(), core.tcp().usage());
        panic!("{steps_max} deadlines in {duration:?}: now {}, {next:?}, {usage:?}", self.now);
    }

    /// What holds whenever the stack is at rest.
    pub(crate) fn check(&self) {
        let core = self.stack.core();
        let (arena, usage) = (core.arena(), core.tcp().usage());
        let (free, home) = (arena.frames_free(), self.arena.frames_home());
        let held = arena.frames_held();
        assert_eq!(free + home + held, FRAMES, "{free} free, {home} at home, {held} held");
        let Usage { records, extensions, nodes, half_open, time_wait, flows, timers } = usage;
        let tables = &self.tables;
        assert!(records <= tables.records && extensions <= tables.extensions, "{usage:?}");
        assert!(nodes <= tables.nodes && half_open <= tables.half_open, "{usage:?}");
        assert!(time_wait <= tables.time_wait && timers <= extensions, "{usage:?}");
        // The extension of an ended connection that had something to send is freed in its turn.
        let is_owned = extensions <= records || self.stack.has_egress();
        assert!(is_owned, "an extension without a connection: {usage:?}");
        assert_eq!(flows, records + half_open + time_wait, "{usage:?}");
        assert_eq!(records as usize, self.service.live.len(), "the service knows all: {usage:?}");
        let parked = u32::from(PARKED_MAX);
        let hoard = u32::try_from(self.service.hoard.len()).expect("few");
        assert!(self.service.hoard.len() <= HOARD_MAX);
        let backlog = u32::try_from(core.tx_backlog()).expect("few");
        assert!(
            held <= nodes + parked + hoard + backlog,
            "{held} frames held: {nodes} nodes, {hoard} kept by the service, {backlog} to be sent"
        );
    }

    /// Takes everything down and checks that nothing is left.
    pub(crate) fn finish(&mut self, is_gentle: bool) {
        self.service.is_over = true;
        self.stack.queue_mut().full_for = 0;
        self.peers.are_silent = true;
        let live = self.service.live.clone();
        self.with_service(|service, cx| {
            service.free_hoard(cx);
            for conn in live {
                if is_gentle {
                    cx.close(conn);
                } else {
                    cx.abort(conn);
                }
            }
        });
        // TIME-WAIT and half-open connections last a minute; what was closed and is not
        // acknowledged is sent again fifteen times, with up to a minute between, and then waits a
        // minute for the peer's FIN. In a tiny stack half of them wait for the extensions of the
        // other half.
        let waves = if self.tables.extensions < self.tables.records / 2 + 1 { 2 } else { 1 };
        self.pass(Duration::from_secs(if is_gentle { waves * 20 * 60 } else { 75 }));
        self.with_service(Puppet::free_hoard);
        let core = self.stack.core();
        let live: Vec<_> = self.service.live.iter().map(|&conn| core.tcp().record(conn)).collect();
        assert!(live.is_empty(), "never closed, {:?}: {live:?}", core.tcp().usage());
        assert_eq!(core.tcp().usage(), Usage::default(), "TCP keeps something");
        assert_eq!((core.tx_backlog(), core.timers_set()), (0, 0));
        assert_eq!(core.arena().frames_held(), 0, "frames are held");
    }

    /// Keeps the arena for the next input.
    pub(crate) fn put_away(self) {
        let (_, core) = self.stack.into_parts();
        ARENA.set(Some((self.arena, core)));
    }
}

fn config(terms: Terms) -> Config {
    let cidr = |text: &str| text.parse::<ip::Cidr>().expect("a literal");
    let route = |destination, gateway: &str| ip::RouteConfig {
        destination: cidr(destination),
        gateway: Some(gateway.parse().expect("a literal")),
    };
    let ip = ip::Config {
        mac: frame::OUR_MAC,
        addresses: vec![cidr("10.9.0.2/24"), cidr("2001:db8::2/64"), cidr("10.9.0.3/24")],
        routes: vec![route("0.0.0.0/0", "10.9.0.100"), route("::/0", "2001:db8::64")],
        neighbours_max: if terms.is_tiny { 4 } else { 12 },
        parked_max: PARKED_MAX,
        announce: !terms.is_tiny,
        ..ip::Config::default()
    };
    let size = |tiny, roomy| if terms.is_tiny { tiny } else { roomy };
    let tcp = tcp::Config {
        records: size(6, 32),
        extensions: size(3, 24),
        nodes: size(24, 160),
        half_open: size(3, 12),
        time_wait: size(2, 8),
        window_len: if terms.is_unscaled { 4_096 } else { 200_000 },
        send_len_max: size(4_096, 24_000),
        frames_free_min: size(236, 120),
        frames_short: size(250, 240),
        frames_scarce: size(250, 200),
        extensions_free_min: size(1, 4),
        pages: PageChoice::Base,
        ..tcp::Config::default()
    };
    Config { tcp, timers: size(3, 16), ..Config::new(ip) }
}

fn listen(stack: &mut Stack<Wire>) {
    for (number, port) in (0..).zip(PORTS) {
        let mut options = ListenerOptions::default();
        match number {
            2 => {
                let keep_alive = KeepAlive { idle_s: 2, interval_s: 1, probes_max: 3 };
                options.keep_alive = Some(keep_alive);
                options.is_nodelay = false;
                options.connections_max = 4;
            }
            3 => {
                let stretch = Duration::from_secs(2);
                options.user_timeout = Some(UserTimeout { stretch, acked_min: 2_000 });
                options.idle_s = Some(3);
            }
            7 => options.local = Some(0),
            _ => {}
        }
        stack.core_mut().listen(port, options).expect("few listeners");
    }
    for port in UDP_PORTS {
        stack.core_mut().bind(port).expect("few ports");
    }
}
