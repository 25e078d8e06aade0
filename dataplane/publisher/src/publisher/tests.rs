//! Two engines over the in-memory pair in virtual time; one of them has a tools' file.

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use base::Duration;
use counters::{CoreState, Description, Filter, Listing, State, View, Writer, known};
use gateway::{Documents, GatewayConfig, Protocol};
use memory::{CoreArena, FrameArena, FrameGeometry, PageChoice, Pages};
use nic::{MemQueue, mem};
use stack::{CloseReason, Conn, Context, Data, ListenerOptions, Refuse, Service, Stack};
use tempfile::TempDir;
use wire::{Address, MacAddress};

use super::*;
use crate::schema;

const PORT: u16 = 7;
const CONNECTIONS: u32 = 300;

/// Opens connections, asks once on each, and keeps them.
#[derive(Debug, Default)]
struct Client {
    begun: u32,
    answered: u32,
}

impl Service for Client {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        assert_eq!(cx.send(conn, b"a"), Ok(1));
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, _conn: Conn, data: &mut Data) -> usize {
        self.answered += 1;
        data.bytes(cx).len()
    }

    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}

    fn on_close(&mut self, _cx: &mut Context<'_>, _conn: Conn, why: CloseReason) {
        panic!("a connection ended: {why:?}");
    }

    fn on_turn(&mut self, cx: &mut Context<'_>) {
        let server = Address::from(Ipv4Addr::new(10, 0, 0, 2));
        let has_room = self.begun < self.answered + 32;
        if self.begun < CONNECTIONS && has_room && cx.connect(server, PORT, self.begun).is_ok() {
            self.begun += 1;
        }
    }
}

struct Bed {
    now: Instant,
    client: Engine<MemQueue, Client>,
    server: Engine<MemQueue, Gateway>,
    publisher: Publisher,
    /// The file stays as long as its writer.
    writer: Writer,
    _folder: TempDir,
}

fn stack(queue: MemQueue, arena: CoreArena, host: u8) -> Stack<MemQueue> {
    let ip = ip::Config {
        mac: MacAddress([2, 0, 0, 0, 0, host]),
        addresses: vec![format!("10.0.0.{host}/24").parse().unwrap()],
        ..ip::Config::default()
    };
    let mut config = stack::Config::new(ip);
    config.tcp = tcp::Config {
        records: CONNECTIONS + 64,
        extensions: CONNECTIONS + 64,
        nodes: 4_096,
        half_open: 64,
        time_wait: 64,
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
    Stack::new(&config, queue, arena, &keys, Instant::ZERO).unwrap()
}

impl Bed {
    fn new() -> Self {
        let geometry = FrameGeometry {
            frames: 8_192,
            frame_len: 2_048,
            headroom: 128,
            cores: 2,
            reserve_per_core: 64,
        };
        let arena = FrameArena::new(geometry, PageChoice::Base).unwrap();
        let (near, far) = mem::pair(256, 1_500).unwrap();
        let capabilities = far.capabilities().clone();
        let client = Engine::new(stack(near, arena.core().unwrap(), 1), Client::default());
        let mut server = stack(far, arena.core().unwrap(), 2);
        let listener = server.core_mut().listen(PORT, ListenerOptions::default()).unwrap();
        let documents = Documents::new(Vec::new()).unwrap();
        let config = GatewayConfig { pages: PageChoice::Base, ..GatewayConfig::new(documents) };
        let mut gateway = Gateway::new(config).unwrap();
        gateway.add_listener(listener, Protocol::Echo);
        let folder = TempDir::new().unwrap();
        let description = Description {
            instance: "test",
            version: "1",
            started_unix_ns: 1,
            clock_zero_ns: 0,
            cycles_per_s: 0,
            cores: 1,
            schema: &schema(),
        };
        let mut writer = Writer::create(&[folder.path()], &description).unwrap();
        let board = Arc::new(Board::default());
        board.set_packets(Reason::DropDenied, 77);
        let facts = Facts {
            queue: &capabilities,
            interface: "test0",
            pages: Pages::Base,
            cpu: 3,
            device: vec![("xdp", "native".to_owned())],
            board: Some(board),
        };
        let publisher = Publisher::new(writer.core(0), facts);
        let server = Engine::new(server, gateway);
        Self { now: Instant::ZERO, client, server, publisher, writer, _folder: folder }
    }

    /// A turn of each end, ten microseconds later.
    fn turn(&mut self) -> bool {
        self.now += Duration::from_micros(10);
        self.client.turn(self.now);
        self.publisher.turn(&mut self.server, self.now)
    }

    /// With all connections open, and nothing under way any more.
    fn open() -> Self {
        let mut bed = Self::new();
        let patience = Instant::ZERO + Duration::from_secs(5);
        while bed.client.service().answered < CONNECTIONS {
            bed.turn();
            assert!(bed.now < patience, "{:?}", bed.client.service());
        }
        for _turn in 0..20_000 {
            bed.turn();
        }
        bed
    }
}

#[test]
fn a_listing_holds_every_connection_once_and_no_turn_walks_further_than_it_may() {
    let mut bed = Bed::open();
    assert_eq!(bed.publisher.looks_max(), 0, "nobody has asked");
    let mut listing = Listing::begin(bed.writer.path(), &Filter::default(), bed.now).unwrap();
    let (mut records, mut tuples, mut rows) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut turns_that_walk = 0;
    while !listing.is_done() {
        turns_that_walk += u64::from(bed.turn());
        rows += listing
            .drain(bed.now, |core, row| {
                assert_eq!((core, row.state, row.local_port), (0, State::Established, PORT));
                records.insert(row.index);
                tuples.insert((row.remote, row.remote_port, row.local));
            })
            .unwrap();
    }
    let expected = CONNECTIONS as usize;
    assert_eq!((rows, records.len(), tuples.len()), (expected, expected, expected));
    let looks_max = bed.publisher.looks_max();
    assert!((1..=counters::limits::WALK_LOOKS_MAX).contains(&looks_max), "{looks_max}");
    assert!(turns_that_walk > 10, "{turns_that_walk}: a step stays small");
}

#[test]
fn what_an_engine_has_counted_is_what_the_tools_read() {
    let mut bed = Bed::open();
    bed.publisher.end(bed.now, &bed.server);
    let view = View::open(bed.writer.path()).unwrap();
    let core = view.core(0);
    let value = |name| core.values[view.find(name).unwrap()];
    assert_eq!((core.is_whole, core.state), (true, CoreState::Ended));
    let connections = u64::from(CONNECTIONS);
    assert_eq!((value(known::CONNECTIONS), value(known::OPENS[0])), (connections, connections));
    assert_eq!(value(known::OPENS[1]), 0, "it opened none itself");
    // Behind the stages, in the order of the schema; a name of the file lacks the group before it.
    let mut published = view.counters().iter().zip(&core.values).skip(Stage::ALL.len());
    Counted::of(&bed.server).each(|group, name, counted| {
        let (counter, value) = published.next().unwrap();
        assert!(counter.group == group && name.ends_with(&counter.name), "{group}.{name}");
        assert_eq!(*value, counted, "{group}.{name}");
    });
    assert_eq!(view.facts().len(), core.facts.len());
    let (own, of_device) = core.facts.split_at(FACTS.len());
    assert_eq!(own, ["mem", "test0", "0", nic::Copies::Sender.name(), "base pages", "3"]);
    assert_eq!(of_device, ["", "native", "", "", ""]);
    assert_eq!(value(("xdp", "denied")), 77);
    let pool = |name| value(("pool", name));
    assert_eq!(pool("frames_total"), 8_192);
    assert!(pool("frames_home") > 0 && pool("frames_home") + pool("frames") < 8_192);
}

#[test]
fn core_that_sleeps_says_so_and_wakes_for_a_tool_in_time() {
    let mut bed = Bed::open();
    let until = bed.publisher.doze(bed.now, &bed.server);
    assert_eq!(until, bed.now + SEEN_WITHIN);
    let view = View::open(bed.writer.path()).unwrap();
    assert_eq!(view.core(0).state, CoreState::Asleep);
    let listing = Listing::begin(bed.writer.path(), &Filter::default(), bed.now).unwrap();
    bed.turn();
    assert!(bed.publisher.doze(bed.now, &bed.server) < until, "a walk goes on sooner");
    drop(listing);
    bed.turn();
    assert_eq!(bed.publisher.doze(bed.now, &bed.server), bed.now + SEEN_WITHIN);
}

#[test]
fn timers_and_what_is_sent_are_work_although_nothing_comes_in() {
    let mut bed = Bed::open();
    let stages = |bed: &Bed| bed.publisher.stages;
    // The client is silent and the server's keep-alive or nothing is due: turns that find nothing.
    let before = stages(&bed);
    for _turn in 0..1_000 {
        bed.now += Duration::from_micros(300);
        bed.publisher.turn(&mut bed.server, bed.now);
    }
    let after = stages(&bed);
    let grown = |stage: Stage| after[stage as usize] - before[stage as usize];
    assert!(grown(Stage::Idle) > 0);
    assert!(grown(Stage::Timers) > 0, "looking at the timers is work");
    assert!(grown(Stage::Tools) > 0, "so is publishing");
    assert_eq!(grown(Stage::Receive), 0, "asking for nothing is idle");
}
