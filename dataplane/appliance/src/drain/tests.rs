//! A gateway that is asked to stop while another stack has connections to it, in virtual time.

use engine::Engine;
use gateway::{Document, Documents};
use memory::{FrameArena, FrameGeometry, PageChoice};
use nic::{Captured, MemQueue};
use stack::{CloseReason, Context, Data, Refuse, Service, Stack};

use super::*;
use crate::assembly::{Parts, assemble};
use crate::config::{Host, parse};
use crate::serving::{Change, Refusal};

const CONFIG: &str = "\
    addresses = [\"10.77.0.2/24\"]\n\
    [tcp]\n\
    connections = 100\n\
    [memory]\n\
    pages = \"base\"\n\
    [[listener]]\n\
    protocol = \"http\"\n\
    [[listener]]\n\
    protocol = \"echo\"\n\
    udp = true\n";

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n";
const LARGE: &[u8] = b"GET /large.txt HTTP/1.1\r\nHost: gateway\r\n\r\n";
const LARGE_LEN: usize = 4 << 20;

/// One connection of the client.
#[derive(Debug)]
struct Peer {
    conn: Conn,
    received: Vec<u8>,
    /// Bytes that it still takes.
    appetite: usize,
    has_end: bool,
    ended: Option<CloseReason>,
}

#[derive(Debug, Default)]
struct Client {
    peers: Vec<Peer>,
}

impl Client {
    fn peer(&mut self, cx: &Context<'_>, conn: Conn) -> &mut Peer {
        let word = cx.word(conn).expect("it is ours");
        &mut self.peers[word as usize]
    }
}

impl Service for Client {
    fn on_open(&mut self, _cx: &mut Context<'_>, _conn: Conn) -> Result<(), Refuse> {
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

    /// A client that sleeps: it does not end its own direction.
    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        self.peer(cx, conn).has_end = true;
    }

    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        self.peer(cx, conn).ended = Some(why);
    }
}

struct Bed {
    now: Instant,
    client: Engine<MemQueue, Client>,
    server: Engine<Captured<MemQueue>, Gateway>,
    serving: Serving,
    drain: Option<Drain>,
    /// What the last walk that came to its end has found.
    left: Option<u64>,
}

impl Bed {
    fn new() -> Self {
        let plan = parse(std::path::Path::new("abele.toml"), CONFIG, &Host::default());
        let plan = plan.unwrap_or_else(|found| panic!("{found}"));
        let geometry = FrameGeometry { cores: 2, ..plan.memory.frames };
        let frames = FrameArena::new(geometry, PageChoice::Base).unwrap();
        let (arena, client_arena) = (frames.core().unwrap(), frames.core().unwrap());
        let (queue, client_queue) = nic::mem::pair(256, 1500).unwrap();
        let document = |path: &str, body: Vec<u8>| {
            let content_type = "text/plain".to_owned();
            Document { path: path.to_owned(), content_type, body, modified: None }
        };
        let documents = Documents::new(vec![
            document("/index.html", b"hello".to_vec()),
            document("/large.txt", vec![b'x'; LARGE_LEN]),
        ]);
        let end = stack::HandOver::between(&crate::entropy::owners(1).unwrap()).remove(0);
        let parts = Parts { documents: documents.unwrap(), queue, arena, end };
        let now = Instant::from_nanos(10_000_000_000);
        let (server, serving) = assemble(&plan, parts, now).unwrap();
        let ip = ip::Config {
            mac: "02:00:00:00:00:99".parse().unwrap(),
            addresses: vec!["10.77.0.1/24".parse().unwrap()],
            ..ip::Config::default()
        };
        let mut config = stack::Config::new(ip);
        config.tcp.pages = PageChoice::Base;
        let keys = crate::entropy::keys().unwrap();
        let stack = Stack::new(&config, client_queue, client_arena, &keys, now).unwrap();
        let client = Engine::new(stack, Client::default());
        Self { now, client, server, serving, drain: None, left: None }
    }

    /// Lets so much time pass.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_micros(500);
            if let Some(drain) = &mut self.drain {
                self.left = drain.poll(&mut self.server, self.now).or(self.left);
            }
            self.client.turn(self.now);
            self.server.turn(self.now);
        }
    }

    /// A connection to a port.
    fn connect(&mut self, tcp_port: u16) -> usize {
        let word = self.client.service().peers.len();
        let address = "10.77.0.2".parse().unwrap();
        let to = |_: &mut Client, cx: &mut Context<'_>| {
            cx.connect(address, tcp_port, word.try_into().unwrap()).unwrap()
        };
        let conn = self.client.with_context(self.now, to);
        let (received, appetite) = (Vec::new(), usize::MAX);
        let peer = Peer { conn, received, appetite, has_end: false, ended: None };
        self.client.service_mut().peers.push(peer);
        self.pass(Duration::from_millis(20));
        word
    }

    fn send(&mut self, peer: usize, bytes: &[u8]) {
        let conn = self.peer(peer).conn;
        let sent = self.client.with_context(self.now, |_, cx| cx.send(conn, bytes));
        assert_eq!(sent, Ok(bytes.len()));
        self.pass(Duration::from_millis(20));
    }

    fn peer(&mut self, peer: usize) -> &mut Peer {
        &mut self.client.service_mut().peers[peer]
    }

    fn text(&mut self, peer: usize) -> String {
        String::from_utf8(self.peer(peer).received.clone()).unwrap()
    }

    fn begin(&mut self) {
        self.drain = Some(Drain::begin(&mut self.server, &mut self.serving, self.now));
    }

    fn end(&mut self) -> Drained {
        let drained = self.drain.take().unwrap().end(&mut self.server, Clock::start());
        self.pass(Duration::from_millis(20));
        drained
    }
}

#[test]
fn who_asks_again_learns_from_the_answer_that_it_was_the_last() {
    let mut bed = Bed::new();
    let peer = bed.connect(80);
    bed.send(peer, REQUEST);
    assert!(!bed.text(peer).contains("Connection: close"));
    bed.begin();
    bed.send(peer, REQUEST);
    let text = bed.text(peer);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
    assert!(text.ends_with("Connection: close\r\n\r\nhello"), "{text}");
    assert!(bed.peer(peer).has_end);
    assert_eq!(bed.left, Some(0), "it sleeps, and has all there is");
    assert_eq!(bed.end(), Drained { finished: 1, cut: 0 });
    assert_eq!(bed.peer(peer).ended, None, "and is not reset");
}

#[test]
fn who_is_silent_for_a_while_is_ended_and_not_before() {
    for tcp_port in [80, 7] {
        let mut bed = Bed::new();
        let (silent, talking) = (bed.connect(tcp_port), bed.connect(tcp_port));
        bed.begin();
        bed.pass(Duration::from_millis(900));
        assert!(!bed.peer(silent).has_end, "it may just have been about to ask");
        assert_eq!(bed.left, Some(2));
        bed.send(talking, REQUEST);
        bed.pass(Duration::from_millis(1_200));
        assert!(bed.peer(silent).has_end && bed.peer(silent).received.is_empty());
        assert!(!bed.peer(talking).received.is_empty(), "and its neighbour was answered");
        bed.pass(Duration::from_millis(2_000));
        assert_eq!(bed.left, Some(0));
        assert_eq!(bed.end(), Drained { finished: 2, cut: 0 });
    }
}

#[test]
fn a_request_that_crosses_our_end_is_not_answered_with_a_reset() {
    let mut bed = Bed::new();
    let peer = bed.connect(80);
    bed.begin();
    bed.pass(Duration::from_millis(2_100));
    assert!(bed.peer(peer).has_end);
    bed.send(peer, REQUEST);
    assert_eq!((bed.peer(peer).ended, bed.text(peer).as_str()), (None, ""));
}

#[test]
fn nobody_comes_in_and_who_was_let_in_is_answered() {
    let mut bed = Bed::new();
    let address = "10.77.0.2".parse().unwrap();
    // So far that our SYN-ACK is out, and no further.
    let first = bed.client.service().peers.len();
    let to = |_: &mut Client, cx: &mut Context<'_>| cx.connect(address, 80, 0).unwrap();
    let conn = bed.client.with_context(bed.now, to);
    let (received, appetite) = (Vec::new(), usize::MAX);
    let peer = Peer { conn, received, appetite, has_end: false, ended: None };
    bed.client.service_mut().peers.push(peer);
    while bed.server.stack().core().tcp().usage().half_open == 0 {
        bed.now += Duration::from_micros(500);
        bed.client.turn(bed.now);
        bed.server.turn(bed.now);
    }
    bed.begin();
    let refused = bed.connect(80);
    assert_eq!(bed.peer(refused).ended, Some(CloseReason::PeerRefused));
    bed.send(first, REQUEST);
    assert!(bed.text(first).ends_with("Connection: close\r\n\r\nhello"));
    assert_eq!(bed.end(), Drained { finished: 1, cut: 0 });
}

#[test]
fn nothing_is_opened_again_by_a_reload() {
    let mut bed = Bed::new();
    let plan = parse(std::path::Path::new("abele.toml"), CONFIG, &Host::default()).unwrap();
    let open = Change::Open(plan.listeners[0]);
    assert_eq!(bed.serving.rehearse(&bed.server, &[], true), Ok(()));
    bed.begin();
    assert_eq!(bed.serving.rehearse(&bed.server, &[], true), Err(Refusal::Ends));
    assert_eq!(bed.serving.change(&mut bed.server, open), Err(Refusal::Ends));
    let refused = bed.connect(80);
    assert_eq!(bed.peer(refused).ended, Some(CloseReason::PeerRefused));
}

#[test]
fn an_answer_under_way_comes_to_its_end_and_one_that_does_not_is_reset_and_counted() {
    let mut bed = Bed::new();
    let (slow, stuck) = (bed.connect(80), bed.connect(80));
    for peer in [slow, stuck] {
        bed.peer(peer).appetite = 100_000;
        bed.send(peer, LARGE);
    }
    bed.begin();
    bed.pass(Duration::from_secs(3));
    assert_eq!(bed.left, Some(2));
    bed.peer(slow).appetite = usize::MAX;
    let conn = bed.peer(slow).conn;
    bed.client.with_context(bed.now, |_, cx| cx.resume(conn));
    bed.pass(Duration::from_secs(5));
    let len = bed.peer(slow).received.len();
    assert!(len > LARGE_LEN && bed.peer(slow).has_end, "{len}");
    assert_eq!(bed.left, Some(1));
    assert_eq!(bed.end(), Drained { finished: 1, cut: 1 });
    assert_eq!(bed.peer(stuck).ended, Some(CloseReason::PeerReset));
}

#[test]
fn a_flood_of_handshakes_holds_nobody_up() {
    let mut bed = Bed::new();
    bed.begin();
    bed.pass(Duration::from_millis(50));
    assert_eq!(bed.left, Some(0), "there is none");
    // One that is promised and does not come is waited for, and not for long.
    let mut bed = Bed::new();
    let address = "10.77.0.2".parse().unwrap();
    let to = |_: &mut Client, cx: &mut Context<'_>| cx.connect(address, 80, 0).unwrap();
    bed.client.with_context(bed.now, to);
    for _ in 0..40 {
        bed.now += Duration::from_micros(500);
        if bed.server.stack().core().tcp().usage().half_open == 0 {
            bed.client.turn(bed.now);
        }
        bed.server.turn(bed.now);
    }
    bed.begin();
    let mut pass = |time: Duration| {
        let until = bed.now + time;
        while bed.now < until {
            bed.now += Duration::from_micros(500);
            let drain = bed.drain.as_mut().unwrap();
            bed.left = drain.poll(&mut bed.server, bed.now).or(bed.left);
            bed.server.turn(bed.now);
        }
        bed.left
    };
    assert_eq!(pass(Duration::from_millis(1_500)), Some(1));
    assert_eq!(pass(Duration::from_millis(1_000)), Some(0));
}
