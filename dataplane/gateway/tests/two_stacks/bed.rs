//! Two stacks, a wire, a gateway, and a client that does as it is told.
#![allow(dead_code, reason = "each test binary uses a part of the bed")]

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use base::{Duration, Instant};
use engine::{Engine, Turn};
use gateway::{Counters, Document, Documents, Gateway, GatewayConfig, Protocol};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::{MemQueue, mem};
use stack::{CloseReason, Conn, Context, Data, Datagram, ListenerOptions, Refuse, Service, Stack};
use wire::{Address, MacAddress};

pub(crate) const HTTP_PORT: u16 = 80;
pub(crate) const ECHO_PORT: u16 = 7;
/// A listener that no protocol was named for.
pub(crate) const STRAY_PORT: u16 = 9;
/// A UDP port that nobody has bound.
const UNBOUND_PORT: u16 = 10;
pub(crate) const CLIENT_UDP_PORT: u16 = 4_000;

/// 2001-09-09 01:46:40.
pub(crate) const WALL_TIME: u64 = 1_000_000_000;

/// When every document was last changed: 1994-11-06 08:49:37.
pub(crate) const MODIFIED: u64 = 784_111_777;

/// What the client has of one connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) conn: Conn,
    /// What is to be sent: one segment each, one a turn.
    pub(crate) pieces: VecDeque<Vec<u8>>,
    /// Ends our direction once the pieces are sent.
    pub(crate) ends: bool,
    /// Keeps the connection when the gateway ends its direction.
    pub(crate) stays: bool,
    pub(crate) is_open: bool,
    pub(crate) received: Vec<u8>,
    /// Bytes that are still taken.
    pub(crate) appetite: usize,
    pub(crate) has_end: bool,
    pub(crate) closed: Option<CloseReason>,
}

#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) peers: Vec<Peer>,
    pub(crate) datagrams: Vec<(u16, Vec<u8>)>,
}

impl Client {
    fn peer(&mut self, cx: &Context<'_>, conn: Conn) -> &mut Peer {
        let word = cx.word(conn).expect("the connection is ours");
        &mut self.peers[word as usize]
    }

    pub(crate) fn has_pieces(&self) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.closed.is_none() && (peer.ends || !peer.pieces.is_empty()))
    }
}

impl Service for Client {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        self.peer(cx, conn).is_open = true;
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let peer = self.peer(cx, conn);
        let bytes = data.bytes(cx);
        let len = bytes.len().min(peer.appetite);
        peer.received.extend_from_slice(&bytes[..len]);
        peer.appetite -= len;
        len
    }

    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        let peer = self.peer(cx, conn);
        peer.has_end = true;
        if !peer.stays {
            cx.close(conn);
        }
    }

    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        self.peer(cx, conn).closed = Some(why);
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, from: Datagram, data: &mut Data) {
        self.datagrams.push((from.source_port, data.bytes(cx).to_vec()));
    }

    fn on_turn(&mut self, cx: &mut Context<'_>) {
        for peer in &mut self.peers {
            // What is sent before the handshake is over would share a segment.
            if peer.closed.is_some() || !peer.is_open {
                continue;
            }
            if let Some(piece) = peer.pieces.front_mut() {
                match cx.send(peer.conn, piece) {
                    Ok(len) if len == piece.len() => drop(peer.pieces.pop_front()),
                    Ok(len) => drop(piece.drain(..len)),
                    Err(_) => peer.pieces.clear(),
                }
            } else if peer.ends {
                peer.ends = false;
                cx.finish(peer.conn);
            }
        }
    }
}

pub(crate) struct Bed {
    pub(crate) now: Instant,
    pub(crate) client: Engine<MemQueue, Client>,
    pub(crate) server: Engine<MemQueue, Gateway>,
    server_address: Address,
    /// Frames that the server's core had to hand at the start.
    frames_at_start: u32,
    /// The gateway's turns may not allocate.
    pub(crate) forbids: bool,
}

pub(crate) fn document(path: &str, body: Vec<u8>) -> Document {
    let content_type = if path.ends_with(".html") { "text/html" } else { "text/plain" };
    let (path, content_type) = (path.to_owned(), content_type.to_owned());
    Document { path, content_type, body, modified: Some(MODIFIED) }
}

/// A body in which every stretch is different.
pub(crate) fn body(len: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31 + at / 251) % 251).to_le_bytes()[0]).collect()
}

pub(crate) const LARGE_LEN: usize = 5 << 20;

pub(crate) fn documents() -> Vec<Document> {
    vec![
        document("/index.html", b"<p>abele</p>".to_vec()),
        document("/a.txt", b"alpha".to_vec()),
        document("/a b.txt", b"space".to_vec()),
        document("/empty.txt", Vec::new()),
        document("/sub/index.html", b"<p>sub</p>".to_vec()),
        document("/stolen.txt", b"stolen".to_vec()),
        document("/large.txt", body(LARGE_LEN)),
    ]
}

/// The gateway's pools, small enough to be filled by a test.
pub(crate) fn gateway_config(sessions_max: u32, heads_max: u32) -> GatewayConfig {
    GatewayConfig {
        sessions_max,
        heads_max,
        pages: PageChoice::Base,
        ..GatewayConfig::new(Documents::new(documents()).expect("good documents"))
    }
}

fn stack(queue: MemQueue, arena: CoreArena, host: u8, send_len_max: u32) -> Stack<MemQueue> {
    let ip = ip::Config {
        mac: MacAddress([2, 0, 0, 0, 0, host]),
        addresses: vec![format!("10.0.0.{host}/24").parse().expect("an address")],
        neighbours_max: 8,
        parked_max: 8,
        ..ip::Config::default()
    };
    let mut config = stack::Config::new(ip);
    config.timers = 64;
    config.tcp = tcp::Config {
        records: 256,
        extensions: 256,
        nodes: 4_096,
        half_open: 64,
        time_wait: 64,
        window_len: 64 * 1_024,
        send_len_max,
        frames_free_min: 64,
        extensions_free_min: 2,
        pages: PageChoice::Base,
        ..config.tcp
    };
    let keys = tcp::Keys {
        index: [host; 32],
        sequence: [host + 1; 32],
        timestamp: [host + 2; 32],
        port: [host + 3; 32],
        cookie: [host + 4; 16],
    };
    Stack::new(&config, queue, arena, &keys, Instant::ZERO).expect("a small stack")
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(gateway_config(64, 16))
    }

    pub(crate) fn with(config: GatewayConfig) -> Self {
        let geometry = FrameGeometry {
            frames: 8_192,
            frame_len: 2_048,
            headroom: 128,
            cores: 2,
            reserve_per_core: 64,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).expect("a small arena");
        let (near, far) = mem::pair(256, 1_500).expect("a good depth");
        let client = stack(near, arena.core().expect("two cores"), 1, 1 << 20);
        let mut server = stack(far, arena.core().expect("two cores"), 2, 128 * 1_024);
        let mut gateway = Gateway::new(config).expect("a small gateway");
        gateway.set_wall_time(WALL_TIME);
        let core = server.core_mut();
        for (port, protocol) in [(HTTP_PORT, Protocol::Http), (ECHO_PORT, Protocol::Echo)] {
            let terms = gateway.terms(protocol, ListenerOptions::default());
            let listener = core.listen(port, terms).expect("a free port");
            gateway.add_listener(listener, protocol);
            core.bind(port).expect("a free port");
            gateway.add_datagram_port(port, protocol);
        }
        core.listen(STRAY_PORT, ListenerOptions::default()).expect("a free port");
        core.bind(STRAY_PORT).expect("a free port");
        let mut client = Engine::new(client, Client::default());
        for port in [CLIENT_UDP_PORT, ECHO_PORT] {
            client.stack_mut().core_mut().bind(port).expect("a free port");
        }
        let server_address = Address::from(Ipv4Addr::new(10, 0, 0, 2));
        let server = Engine::new(server, gateway);
        let mut bed = Self {
            now: Instant::ZERO,
            client,
            server,
            server_address,
            frames_at_start: 0,
            forbids: true,
        };
        // The neighbours learn of each other: an answer of ICMP, and no protocol hears of it.
        bed.datagram(CLIENT_UDP_PORT, UNBOUND_PORT, b"");
        bed.run(Duration::from_secs(3));
        bed.frames_at_start = bed.server.stack().core().arena().frames_held();
        bed
    }

    /// A connection that sends these pieces, a segment each.
    pub(crate) fn connect(&mut self, port: u16, pieces: &[&[u8]]) -> usize {
        let number = self.client.service().peers.len();
        let word = u32::try_from(number).expect("few connections");
        let address = self.server_address;
        let conn = self
            .client
            .with_context(self.now, |_, cx| cx.connect(address, port, word))
            .expect("room for a connection");
        self.client.service_mut().peers.push(Peer {
            conn,
            pieces: pieces.iter().map(|piece| piece.to_vec()).collect(),
            ends: false,
            stays: false,
            is_open: false,
            received: Vec::new(),
            appetite: usize::MAX,
            has_end: false,
            closed: None,
        });
        number
    }

    pub(crate) fn http(&mut self, pieces: &[&[u8]]) -> usize {
        self.connect(HTTP_PORT, pieces)
    }

    pub(crate) fn peer(&mut self, number: usize) -> &mut Peer {
        &mut self.client.service_mut().peers[number]
    }

    /// Takes `count` more bytes of what waits.
    pub(crate) fn feed(&mut self, number: usize, count: usize) {
        let peer = self.peer(number);
        peer.appetite = peer.appetite.saturating_add(count);
        let conn = peer.conn;
        self.client.with_context(self.now, |_, cx| cx.resume(conn));
    }

    pub(crate) fn datagram(&mut self, from: u16, to: u16, bytes: &[u8]) {
        let datagram = Datagram {
            source: self.server_address,
            source_port: to,
            local: 0,
            local_port: from,
            hop: 0,
        };
        self.client.with_context(self.now, |_, cx| cx.answer(&datagram, bytes)).expect("room");
    }

    /// One turn of each side.
    pub(crate) fn step(&mut self) -> bool {
        let Turn { is_busy: is_client_busy, .. } = self.client.turn(self.now);
        let guard = self.forbids.then(memory::counting::forbid);
        let Turn { is_busy: is_server_busy, .. } = self.server.turn(self.now);
        drop(guard);
        is_client_busy || is_server_busy || self.client.service().has_pieces()
    }

    /// Lets `time` pass, in steps while something happens and at once while nothing does.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_while(end, |_| true);
    }

    /// Runs until nothing is under way but timers, at most a minute.
    pub(crate) fn settle(&mut self) {
        let end = self.now + Duration::from_secs(60);
        let mut idle_steps = 0;
        while self.now < end && idle_steps < 8 {
            idle_steps = if self.step() { 0 } else { idle_steps + 1 };
            // More than the delay of an acknowledgement, less than a retransmission.
            self.now +=
                if idle_steps == 0 { Duration::from_micros(20) } else { Duration::from_millis(20) };
        }
        assert!(self.now < end, "the two sides do not come to rest");
    }

    /// Runs until `is_done`; panics after `time`.
    pub(crate) fn run_until(&mut self, time: Duration, mut is_done: impl FnMut(&Self) -> bool) {
        let end = self.now + time;
        self.run_while(end, |bed| !is_done(bed));
        assert!(self.now < end, "it does not happen in {time:?}");
    }

    fn run_while(&mut self, end: Instant, mut goes_on: impl FnMut(&Self) -> bool) {
        while self.now < end && goes_on(self) {
            let next = self.now + Duration::from_micros(20);
            self.now = if self.step() {
                next
            } else {
                let deadlines = [self.client.next_deadline(), self.server.next_deadline()];
                deadlines.into_iter().flatten().min().map_or(end, |at| at.max(next)).min(end)
            };
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.server.service().counters()
    }

    /// What peer `number` has received, as text.
    pub(crate) fn received(&self, number: usize) -> String {
        String::from_utf8_lossy(&self.client.service().peers[number].received).into_owned()
    }

    pub(crate) fn closed(&self, number: usize) -> Option<CloseReason> {
        self.client.service().peers[number].closed
    }

    /// Sends `pieces` on a connection of its own and returns all that comes until both sides rest.
    pub(crate) fn exchange(&mut self, pieces: &[&[u8]]) -> String {
        let number = self.http(pieces);
        self.settle();
        self.received(number)
    }

    /// Everything of the gateway's side has gone back to where it came from.
    pub(crate) fn assert_nothing_is_left(&mut self) {
        for number in 0..self.client.service().peers.len() {
            if self.peer(number).closed.is_none() {
                let conn = self.peer(number).conn;
                self.client.with_context(self.now, |_, cx| cx.abort(conn));
            }
        }
        self.settle();
        self.run(Duration::from_secs(130));
        let Counters { echo, http, strays: _ } = self.counters();
        assert_eq!((http.sessions_used, http.heads_used), (0, 0));
        assert_eq!((http.connections, echo.connections), (http.closed, echo.closed));
        let core = self.server.stack().core();
        assert_eq!(core.tcp().usage(), tcp::Usage::default());
        assert_eq!(core.timers_set(), 0);
        assert_eq!(core.arena().frames_held(), self.frames_at_start, "frames leak");
    }
}
