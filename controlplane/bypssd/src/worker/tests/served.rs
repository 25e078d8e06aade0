//! A worker with whoever serves beside it, and what a client of them says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};
use std::time::{Duration as StdDuration, Instant as StdInstant};

use base::{Duration, IdlePolicy};

use super::echo::Echo;
use crate::config::{Ending, Listener};
use crate::keeper::{self, Keeper};
use crate::lane::{Sleeper, lane};
use crate::limits::LANE_CAPACITY;
use crate::panel::Panel;
use crate::remote::Remote;
use crate::traffic::{KeeperEnds, WorkerEnds};
use crate::worker::{Bounds, Census, Counters, Door, Parts, Worker, orders};

/// A worker on a thread of its own, and whoever else serves with it.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) panel: Panel,
    threads: Vec<JoinHandle<Counters>>,
    pub(super) most_in_one_call: Arc<AtomicU64>,
}

/// What is allowed in a test.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    pub(super) connections: u32,
    pub(super) connections_per_source: u32,
    pub(super) frame_len: u32,
    pub(super) partial_len: u64,
    pub(super) partial: Duration,
}

pub(super) const ALLOWED: Allowed = Allowed {
    connections: 8,
    connections_per_source: 8,
    frame_len: 8 << 20,
    partial_len: 64 << 20,
    partial: Duration::from_secs(60),
};

/// How a worker is started.
pub(super) type Start = fn(Allowed, Option<Arc<rustls::ServerConfig>>) -> Served;

/// What both kinds have in common: the parts of a worker, all but its service.
struct Base {
    census: Census,
    door: Door,
    address: SocketAddr,
    bounds: Bounds,
    echo: Echo,
    most_in_one_call: Arc<AtomicU64>,
}

fn base(allowed: Allowed, is_tls: bool) -> Base {
    let address = "127.0.0.1:0".parse().unwrap();
    let door = Door::open(Listener { address, is_tls }).unwrap();
    let address = door.address().unwrap();
    let Allowed { connections, connections_per_source, frame_len, partial_len, partial } = allowed;
    let census = Census::new(1, connections, connections_per_source);
    let echo = Echo::default();
    let most_in_one_call = Arc::clone(&echo.most_in_one_call);
    let bounds = Bounds { frame_len, partial_len, partial };
    Base { census, door, address, bounds, echo, most_in_one_call }
}

const IDLE: (IdlePolicy, Duration) = (IdlePolicy::Wait, Duration::ZERO);

/// One that has the service itself.
pub(super) fn alone(allowed: Allowed, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    let Base { census, door, address, bounds, echo: service, most_in_one_call } =
        base(allowed, tls.is_some());
    let (orders, ordered) = orders().unwrap();
    let ((number, workers), (idle, spin)) = ((0, Vec::new()), IDLE);
    let doors = vec![door];
    let worker = Worker::new(Parts {
        service,
        number,
        workers,
        census,
        doors,
        tls,
        ordered,
        bounds,
        idle,
        spin,
    });
    let worker = worker.unwrap();
    let threads = vec![thread::spawn(|| worker.run().unwrap())];
    Served { address, panel: Panel::new(orders, Vec::new()), threads, most_in_one_call }
}

/// One whose service another thread has.
pub(super) fn kept(allowed: Allowed, tls: Option<Arc<rustls::ServerConfig>>) -> Served {
    kept_with(allowed, allowed.connections, tls)
}

/// The same where that thread has so many numbers of connections.
pub(super) fn kept_with(
    allowed: Allowed,
    connections: u32,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Served {
    let Base { census, door, address, bounds, echo, most_in_one_call } =
        base(allowed, tls.is_some());
    let ((switch, switch_ordered), (orders, ordered)) = (orders().unwrap(), orders().unwrap());
    let (keeper, own) = (Sleeper::new(switch.bell().clone()), Sleeper::new(orders.bell().clone()));
    let (up, up_end) = lane(LANE_CAPACITY, &own, &keeper);
    let (down_end, down) = lane(LANE_CAPACITY, &keeper, &own);
    let (idle, spin) = IDLE;
    let kept = Keeper::new(keeper::Parts {
        service: echo,
        ends: vec![KeeperEnds { up: up_end, down: down_end }],
        sleeper: keeper,
        ordered: switch_ordered,
        connections,
        idle,
        spin,
    });
    let service = Remote::new(WorkerEnds { up, down }, own, allowed.frame_len);
    let (number, workers, doors) = (0, vec![orders.clone()], vec![door]);
    let worker = Worker::new(Parts {
        service,
        number,
        workers,
        census,
        doors,
        tls,
        ordered,
        bounds,
        idle,
        spin,
    });
    let worker = worker.unwrap();
    let threads =
        vec![thread::spawn(|| kept.run().unwrap()), thread::spawn(|| worker.run().unwrap())];
    Served { address, panel: Panel::new(switch, vec![orders]), threads, most_in_one_call }
}

impl Served {
    pub(super) fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(StdDuration::from_secs(20))).unwrap();
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"hello");
        // As a HELLO, the first frame is short.
        stream.write_all(&frame(0, 12)).unwrap();
        back(&mut stream, &frame(0, 12));
        stream
    }

    pub(super) fn counters(&self) -> Counters {
        self.panel.ask().expect("it answers").counters
    }

    /// Waits until something is so.
    pub(super) fn until(&self, what: &str, is_so: impl Fn(&Counters) -> bool) {
        let begun = StdInstant::now();
        while !is_so(&self.counters()) {
            assert!(begun.elapsed() < StdDuration::from_secs(20), "{what}: {:?}", self.counters());
            thread::sleep(StdDuration::from_millis(2));
        }
    }

    pub(super) fn end(self) -> Counters {
        assert!(self.panel.leave(&stop(Duration::from_secs(5))));
        self.join()
    }

    pub(super) fn join(self) -> Counters {
        Panel::sum(self.threads.into_iter().map(|thread| thread.join().unwrap()))
    }
}

pub(super) fn stop(timeout: Duration) -> Ending {
    Ending { timeout, ..Ending::default() }
}

pub(super) fn frame(kind: u8, len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..251).cycle().take(len).collect();
    frame[..4].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    frame[4] = kind;
    frame
}

pub(super) fn back(stream: &mut TcpStream, frame: &[u8]) {
    let mut back = vec![0; frame.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == frame, "{} bytes came back otherwise", frame.len());
}
