//! Two engines over an in-memory wire, in virtual time.

use core::net::{Ipv4Addr, Ipv6Addr};

use base::{Duration, Instant};
use engine::Engine;
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::mem::{self, MemQueue};
use nic::{Impaired, Impairments};
use stack::{Service, Stack};
use wire::{Address, MacAddress};

pub(crate) type Queue = Impaired<MemQueue>;

/// Sizes of a pair.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) frames: u32,
    pub(crate) tcp: tcp::Config,
    pub(crate) impairments: Impairments,
}

impl Default for Sizes {
    fn default() -> Self {
        let pages = PageChoice::Base;
        Self {
            frames: 16_384,
            tcp: tcp::Config { pages, ..tcp::Config::default() },
            impairments: Impairments::default(),
        }
    }
}

pub(crate) struct Pair<A: Service, B: Service> {
    pub(crate) now: Instant,
    pub(crate) a: Engine<Queue, A>,
    pub(crate) b: Engine<Queue, B>,
}

/// The address of an end: 1 for `a`, 2 for `b`.
pub(crate) fn v4(last: u8) -> Address {
    Address::from(Ipv4Addr::new(10, 0, 0, last))
}

/// The same in IPv6.
pub(crate) fn v6(last: u16) -> Address {
    Address::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last))
}

fn stack(sizes: &Sizes, queue: MemQueue, core: CoreArena, last: u8, now: Instant) -> Stack<Queue> {
    let addresses =
        vec![ip::Cidr::new(v4(last), 24).unwrap(), ip::Cidr::new(v6(u16::from(last)), 64).unwrap()];
    let mac = MacAddress([2, 0, 0, 0, 0, last]);
    let ip = ip::Config { mac, mtu: 1_500, addresses, ..ip::Config::default() };
    let mut config = stack::Config::new(ip);
    config.tcp = sizes.tcp.clone();
    let keys = tcp::Keys {
        index: [last; 32],
        sequence: [last + 1; 32],
        timestamp: [last + 2; 32],
        port: [last + 3; 32],
        cookie: [last + 4; 16],
    };
    let impairments = Impairments { seed: u64::from(last), ..sizes.impairments };
    let queue = Impaired::new(queue, impairments).unwrap();
    Stack::new(&config, queue, core, &keys, now).unwrap()
}

impl<A: Service, B: Service> Pair<A, B> {
    pub(crate) fn new(sizes: &Sizes, a: A, b: B) -> Self {
        let geometry = FrameGeometry {
            frames: sizes.frames,
            frame_len: 2_048,
            headroom: 128,
            cores: 2,
            reserve_per_core: 64,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
        let (left, right) = mem::pair(512, 1_500).unwrap();
        let now = Instant::from_nanos(1_000_000_000);
        let left = stack(sizes, left, arena.core().unwrap(), 1, now);
        let right = stack(sizes, right, arena.core().unwrap(), 2, now);
        Self { now, a: Engine::new(left, a), b: Engine::new(right, b) }
    }

    /// One turn of each end; then time moves to what comes next, at most `until`.
    pub(crate) fn step(&mut self, until: Instant) {
        let a = self.a.turn(self.now);
        let b = self.b.turn(self.now);
        let soon = self.now + Duration::from_micros(20);
        let next = if a.is_busy || b.is_busy {
            soon
        } else {
            let deadlines = [self.a.next_deadline(), self.b.next_deadline()];
            deadlines.into_iter().flatten().min().unwrap_or(until).max(soon)
        };
        self.now = next.min(until).max(self.now + Duration::from_nanos(1));
    }

    /// Runs until `is_done`, for at most `limit` of virtual time.
    pub(crate) fn run_until(&mut self, limit: Duration, mut is_done: impl FnMut(&Self) -> bool) {
        let until = self.now + limit;
        while !is_done(self) {
            assert!(self.now < until, "not done after {limit} of virtual time");
            self.step(until);
        }
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.now < until {
            self.step(until);
        }
    }
}
