//! A host with several cores, a far one with one, and the wire between them.

use core::net::{Ipv4Addr, Ipv6Addr};

use base::{CoreId, Duration, Instant, Rng};
use engine::Engine;
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::QueuePair;
use sim::Spread;
use stack::{Counters, DropReason, HandOver, ListenerOptions, Owners, Service, Stack};
use wire::{Address, MacAddress};

pub(crate) const PORT: u16 = 7;

/// The host under test is 1, the far one 2.
pub(crate) fn v4(host: u8) -> Address {
    Address::from(Ipv4Addr::new(10, 0, 0, host))
}

/// The same in IPv6.
pub(crate) fn v6(host: u8) -> Address {
    Address::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()))
}

/// How large a bed is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) cores: u16,
    pub(crate) frames_per_core: u32,
    pub(crate) seed: u64,
}

/// Both hosts, and the time.
pub(crate) struct Bed<S: Service, F: Service> {
    pub(crate) now: Instant,
    pub(crate) cores: Vec<Engine<Spread, S>>,
    pub(crate) far: Engine<Spread, F>,
    pub(crate) frames: FrameArena,
}

fn stack(queue: Spread, arena: CoreArena, host: u8, end: HandOver, now: Instant) -> Stack<Spread> {
    let addresses =
        vec![ip::Cidr::new(v4(host), 24).unwrap(), ip::Cidr::new(v6(host), 64).unwrap()];
    let mac = MacAddress([2, 0, 0, 0, 0, host]);
    let announce = false;
    let ip = ip::Config { mac, mtu: 1_500, addresses, announce, ..ip::Config::default() };
    let mut config = stack::Config::new(ip);
    config.tcp.pages = PageChoice::Base;
    let CoreId(core) = end.core();
    let key = |kind: u8| [host ^ kind << 4 ^ u8::try_from(core).unwrap() << 1; 32];
    let keys = tcp::Keys {
        index: key(1),
        sequence: key(2),
        timestamp: key(3),
        port: key(4),
        cookie: [host; 16],
    };
    Stack::new(&config, queue, arena, &keys, now).unwrap().with_hand_over(end)
}

impl<S: Service, F: Service> Bed<S, F> {
    pub(crate) fn new(sizes: Sizes, service: impl Fn(CoreId) -> S, far: F) -> Self {
        let Sizes { cores, frames_per_core, seed } = sizes;
        let geometry = FrameGeometry {
            frames: u32::from(cores + 1) * frames_per_core,
            frame_len: 2_048,
            headroom: 128,
            cores: cores + 1,
            reserve_per_core: 64,
        };
        let frames = FrameArena::new(geometry, PageChoice::Base).unwrap();
        let now = Instant::from_nanos(1_000_000_000);
        let mut rng = Rng::seeded(seed);
        let key = core::array::from_fn(|_| rng.next_u64().to_le_bytes()[0]);
        let [near, mut away] = Spread::between((usize::from(cores), 1), 64, 1_500, rng.next_u64());
        let ends = HandOver::between(&Owners::evenly(&key, cores));
        let cores = ends.into_iter().zip(near).map(|(end, queue)| {
            let service = service(end.core());
            let mut stack = stack(queue, frames.core().unwrap(), 1, end, now);
            stack.core_mut().listen(PORT, ListenerOptions::default()).unwrap();
            Engine::new(stack, service)
        });
        let cores = cores.collect();
        let alone = HandOver::between(&Owners::evenly(&key, 1)).remove(0);
        let stack = stack(away.remove(0), frames.core().unwrap(), 2, alone, now);
        Self { now, cores, far: Engine::new(stack, far), frames }
    }

    /// One turn of everybody; then time moves on.
    pub(crate) fn step(&mut self) {
        let mut is_busy = self.far.turn(self.now).is_busy;
        for core in &mut self.cores {
            is_busy |= core.turn(self.now).is_busy;
        }
        self.advance(is_busy);
    }

    fn advance(&mut self, is_busy: bool) {
        let soon = self.now + Duration::from_micros(20);
        let deadlines =
            self.cores.iter().map(Engine::next_deadline).chain([self.far.next_deadline()]);
        let next = deadlines.flatten().min().unwrap_or(soon);
        // Not beyond a moment: services act in their turns.
        let next = if is_busy { soon } else { next.min(self.now + Duration::from_millis(1)) };
        self.now = next.max(soon);
    }

    pub(crate) fn run_until(&mut self, limit: Duration, mut is_done: impl FnMut(&Self) -> bool) {
        let until = self.now + limit;
        while !is_done(self) {
            assert!(self.now < until, "not done after {limit} of virtual time");
            self.step();
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    pub(crate) fn counters(&self) -> impl Iterator<Item = &Counters> {
        self.cores.iter().map(|core| core.stack().core().counters())
    }

    /// Sum of one counter over all cores.
    pub(crate) fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.counters().map(of).sum()
    }

    /// What must hold between the counters of the cores at rest.
    pub(crate) fn check_counters(&self) {
        let queues = self.cores.iter().map(|core| core.stack().queue().counters());
        let received: u64 = queues.map(|counters| counters.rx_packets).sum();
        assert_eq!(self.sum(|counters| counters.packets_in), received);
        // What was handed over is delivered once.
        let delivered: u64 =
            self.cores.iter().map(|core| core.stack().core().ip().counters().delivered).sum();
        assert!(delivered <= received, "{delivered} of {received} packets are delivered");
        let dropped = self.sum(|counters| counters.dropped(DropReason::HandOverFull));
        let taken_over = self.sum(|counters| counters.rx_taken_over);
        assert_eq!(self.sum(|counters| counters.rx_handed_over), taken_over + dropped);
        let heard = self.sum(|counters| counters.neighbours_heard);
        assert_eq!(self.sum(|counters| counters.neighbours_told), heard);
    }

    /// Takes everything down; no frame may be missing.
    pub(crate) fn check_frames(self) {
        let Self { cores, far, frames, .. } = self;
        let (mut wires, mut arenas) = (Vec::new(), Vec::new());
        let stacks = cores.into_iter().map(|core| core.into_parts().0);
        for stack in stacks.chain([far.into_parts().0]) {
            let (wire, arena) = stack.into_parts();
            wires.push(wire);
            arenas.push(arena);
        }
        for (wire, arena) in wires.into_iter().zip(&mut arenas) {
            wire.drain(arena);
        }
        let free: u32 = arenas.iter().map(CoreArena::frames_free).sum();
        assert_eq!(free + frames.frames_home(), frames.geometry().frames);
    }
}
