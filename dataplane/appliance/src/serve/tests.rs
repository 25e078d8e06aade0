//! A gateway over the in-memory pair: another stack asks it, on a second thread.

use std::thread;

use base::{Duration, IdlePolicy, Instant};
use engine::Engine;
use gateway::{Document, Documents};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice};
use nic::MemQueue;
use stack::{CloseReason, Conn, Context, Data, Refuse, Service, Stack};

use super::{End, Ordered, Terms, serve};
use crate::assembly::{Parts, assemble};
use crate::bell::Bell;
use crate::clock::Clock;
use crate::config::{Host, parse};
use crate::drain::Drained;
use crate::order;
use crate::plan::Plan;
use crate::stop::Stop;
use crate::summary::Summary;

const CONFIG: &str = "\
    addresses = [\"10.77.0.2/24\"]\n\
    [tcp]\n\
    connections = 100\n\
    [memory]\n\
    pages = \"base\"\n\
    [[listener]]\n\
    protocol = \"http\"\n\
    [[listener]]\n\
    protocol = \"echo\"\n";

fn plan() -> Plan {
    let file = std::path::Path::new("abele.toml");
    parse(file, CONFIG, &Host::default()).unwrap_or_else(|found| panic!("{found}"))
}

/// What a gateway that is alone is made of.
fn parts(documents: Documents, queue: MemQueue, arena: CoreArena) -> Parts<MemQueue> {
    let end = stack::HandOver::between(&crate::entropy::owners(1).unwrap()).remove(0);
    Parts { documents, queue, arena, end }
}

/// Two views of one arena, for the two ends.
fn arenas() -> (CoreArena, CoreArena) {
    let plan = plan();
    let geometry = FrameGeometry { cores: 2, ..plan.memory.frames };
    let frames = FrameArena::new(geometry, PageChoice::Base).unwrap();
    (frames.core().unwrap(), frames.core().unwrap())
}

/// Asks one question and keeps what is answered.
#[derive(Debug)]
struct Asker {
    question: &'static [u8],
    answer: Vec<u8>,
    ended: Option<CloseReason>,
}

impl Service for Asker {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        assert_eq!(cx.send(conn, self.question), Ok(self.question.len()));
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let bytes = data.bytes(cx);
        let len = bytes.len();
        self.answer.extend_from_slice(bytes);
        if self.answer == self.question {
            // Echo has no end of its own.
            cx.close(conn);
        }
        len
    }

    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}

    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, why: CloseReason) {
        self.ended = Some(why);
    }
}

fn asker(queue: MemQueue, arena: CoreArena, question: &'static [u8]) -> Engine<MemQueue, Asker> {
    let ip = ip::Config {
        mac: "02:00:00:00:00:99".parse().unwrap(),
        addresses: vec!["10.77.0.1/24".parse().unwrap()],
        ..ip::Config::default()
    };
    let mut config = stack::Config::new(ip);
    config.tcp.pages = PageChoice::Base;
    let keys = crate::entropy::keys().unwrap();
    let stack = Stack::new(&config, queue, arena, &keys, Instant::ZERO).unwrap();
    Engine::new(stack, Asker { question, answer: Vec::new(), ended: None })
}

/// An adaptive core that serves until it is stopped.
fn terms<'a>(clock: Clock, stop: &'a Stop, bells: &'a [Bell]) -> Terms<'a> {
    let (idle, spin) = (IdlePolicy::Adaptive, Duration::from_micros(50));
    let drain = Duration::from_secs(10);
    Terms { clock, stop, until: None, drain, idle, spin, bells, bell: 0 }
}

/// Serves on a second thread while `question` is asked here; the answer and what was counted.
fn ask(tcp_port: u16, question: &'static [u8]) -> (Asker, Summary) {
    let (arena, peer_arena) = arenas();
    let (queue, peer_queue) = nic::mem::pair(256, 1500).unwrap();
    let stop = Stop::new().unwrap();
    let clock = Clock::start();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let index = Document {
                path: "/index.html".to_owned(),
                content_type: "text/html".to_owned(),
                body: b"hello from memory".to_vec(),
                modified: None,
            };
            let documents = Documents::new(vec![index]).unwrap();
            let parts = parts(documents, queue, arena);
            let (mut engine, serving) = assemble(&plan(), parts, clock.now()).unwrap();
            let (_clerk, desk) = order::pair();
            let mut ordered = Ordered { serving, desk };
            let bells = [Bell::new().unwrap()];
            let terms = terms(clock, &stop, &bells);
            let (end, drained) = serve(&mut engine, &terms, &mut None, &mut ordered).unwrap();
            assert_eq!((end, drained), (End::Signal, Drained::default()));
            Summary::of(&engine)
        });
        let mut asker = asker(peer_queue, peer_arena, question);
        let server_address = "10.77.0.2".parse().unwrap();
        asker.turn(clock.now());
        asker.with_context(clock.now(), |_, cx| cx.connect(server_address, tcp_port, 0)).unwrap();
        let patience = clock.now() + Duration::from_secs(20);
        while asker.service().ended.is_none() {
            let turn = asker.turn(clock.now());
            assert!(clock.now() < patience, "no answer: {:?}", asker.service());
            if !turn.is_busy {
                thread::yield_now();
            }
        }
        stop.raise();
        let summary = server.join().unwrap();
        let (_, service) = asker.into_parts();
        (service, summary)
    })
}

#[test]
fn a_document_is_served_and_counted() {
    let request = b"GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
    let (asker, summary) = ask(80, request);
    let answer = String::from_utf8(asker.answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello from memory"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\ndate: "), "the time of day was told: {answer}");
    assert_eq!(asker.ended, Some(CloseReason::Finished));
    assert_eq!((summary.value("accepted"), summary.value("http_200")), (1, 1), "{summary}");
}

#[test]
fn echo_sends_back_what_it_is_sent() {
    let (asker, summary) = ask(7, b"the same again");
    assert_eq!(asker.answer, b"the same again");
    assert_eq!((summary.value("accepted"), summary.value("echo_bytes")), (1, 14), "{summary}");
}

#[test]
fn a_port_without_a_listener_refuses() {
    let (asker, summary) = ask(81, b"nobody reads this");
    assert_eq!(asker.ended, Some(CloseReason::PeerRefused));
    assert_eq!(summary.value("tcp_no_listener"), 1, "{summary}");
}

#[test]
fn the_loop_ends_when_its_time_is_over() {
    let (arena, _) = arenas();
    let (queue, _peer) = nic::mem::pair(64, 1500).unwrap();
    let (clock, stop) = (Clock::start(), Stop::new().unwrap());
    let documents = Documents::new(Vec::new()).unwrap();
    let parts = parts(documents, queue, arena);
    let (mut engine, serving) = assemble(&plan(), parts, clock.now()).unwrap();
    let (_clerk, desk) = order::pair();
    let mut ordered = Ordered { serving, desk };
    let until = Some(clock.now() + Duration::from_millis(5));
    let (idle, spin, bells) = (IdlePolicy::Wait, Duration::ZERO, [Bell::new().unwrap()]);
    let terms = Terms { until, idle, spin, ..terms(clock, &stop, &bells) };
    let served = serve(&mut engine, &terms, &mut None, &mut ordered).unwrap();
    assert_eq!(served, (End::Time, Drained::default()));
    assert!(until.is_some_and(|until| clock.now() >= until));
}

#[test]
fn a_core_that_sleeps_hears_that_it_is_asked_to_stop_and_ends_when_all_have_nobody_left() {
    let (arena, _) = arenas();
    let (queue, _peer) = nic::mem::pair(64, 1500).unwrap();
    let (clock, stop) = (Clock::start(), Stop::new().unwrap());
    let parts = parts(Documents::new(Vec::new()).unwrap(), queue, arena);
    let (mut engine, serving) = assemble(&plan(), parts, clock.now()).unwrap();
    let (_clerk, desk) = order::pair();
    let mut ordered = Ordered { serving, desk };
    // The second core's owner shows a while later that it has nobody left either.
    let bells = [Bell::new().unwrap(), Bell::new().unwrap()];
    let idle = IdlePolicy::Wait;
    let terms = Terms { idle, ..terms(clock, &stop, &bells) };
    let other = Duration::from_millis(100);
    thread::scope(|scope| {
        let begun = clock.now();
        scope.spawn(|| {
            stop.ask();
            thread::sleep(std::time::Duration::from_nanos(other.as_nanos()));
            bells[1].show_drained(true);
        });
        let served = serve(&mut engine, &terms, &mut None, &mut ordered).unwrap();
        assert_eq!(served, (End::Signal, Drained::default()));
        let took = clock.now().saturating_since(begun);
        assert!(took >= other && took < Duration::from_secs(5), "{took:?}");
        assert!(bells[0].has_drained() && !stop.is_raised());
    });
}

#[test]
fn a_core_whose_time_is_over_ends_although_another_has_somebody_left() {
    let (arena, _) = arenas();
    let (queue, _peer) = nic::mem::pair(64, 1500).unwrap();
    let (clock, stop) = (Clock::start(), Stop::new().unwrap());
    let parts = parts(Documents::new(Vec::new()).unwrap(), queue, arena);
    let (mut engine, serving) = assemble(&plan(), parts, clock.now()).unwrap();
    let (_clerk, desk) = order::pair();
    let bells = [Bell::new().unwrap(), Bell::new().unwrap()];
    let drain = Duration::from_millis(50);
    let terms = Terms { drain, ..terms(clock, &stop, &bells) };
    stop.ask();
    let begun = clock.now();
    let (end, _) = serve(&mut engine, &terms, &mut None, &mut Ordered { serving, desk }).unwrap();
    assert_eq!(end, End::Signal);
    assert!(clock.now().saturating_since(begun) >= drain);
}
