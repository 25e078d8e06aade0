//! A gateway that does nothing but to write its tools' file and to answer for its connections.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use counters::{
    CoreState, CoreWriter, Counter, Description, Look, Row, Schema, State, Walk, Writer,
};
use nix::time::{ClockId, clock_gettime};

/// How the fake behaves.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) instance: &'static str,
    pub(crate) cores: usize,
    /// Connections of each core.
    pub(crate) records: u64,
    /// A core that published once, and never again, long ago.
    pub(crate) stuck: Option<usize>,
    /// Whether what is counted grows.
    pub(crate) grows: bool,
}

impl Plan {
    pub(crate) fn new(instance: &'static str) -> Self {
        Self { instance, cores: 2, records: 3, stuck: None, grows: false }
    }
}

/// The gateway, until it is dropped.
#[derive(Debug)]
pub(crate) struct Fake {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long the fake has run, for tools: its start lies a hundred seconds back.
const EARLIER_NS: u64 = 100_000_000_000;

impl Fake {
    pub(crate) fn start(folder: &Path, plan: &Plan) -> Self {
        Self::try_start(folder, plan).expect("a free place")
    }

    /// The same, where another process may hold the place; then there is none.
    pub(crate) fn try_start(folder: &Path, plan: &Plan) -> Option<Self> {
        let schema = schema();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let description = Description {
            instance: plan.instance,
            version: "0.1.0",
            started_unix_ns: u64::try_from(wall.as_nanos()).expect("584 years") - EARLIER_NS,
            clock_zero_ns: monotonic() - EARLIER_NS.min(monotonic()),
            cycles_per_s: 2_000_000_000,
            cores: plan.cores,
            schema: &schema,
        };
        let mut writer = Writer::create(&[folder], &description).ok()?;
        let zero = description.clock_zero_ns;
        let mut cores: Vec<Core> =
            (0..plan.cores).map(|core| Core::new(writer.core(core), core, plan)).collect();
        cores.iter_mut().for_each(|core| core.publish(zero, true));
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut last = Instant::now();
            while !flag.load(Ordering::Relaxed) {
                let is_due = last.elapsed() > Duration::from_millis(20);
                last = if is_due { Instant::now() } else { last };
                for core in &mut cores {
                    core.turn(zero, is_due);
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            drop(writer);
        });
        Some(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is joined once");
        thread.join().expect("the fake gateway has not failed");
    }
}

/// What a gateway describes, in small.
fn schema() -> Schema {
    let mut schema = Schema::new();
    for stage in ["rx", "tcp", "idle"] {
        schema.counter(Counter::new("stage", stage).cycles());
    }
    schema
        .rows("queue", ["rx_packets", "tx_packets", "rx_bytes", "tx_drop_too_long"], is_drop)
        .rows("tcp", ["accepted", "connected"], is_drop)
        .counter(Counter::new("tcp", "connections").gauge())
        .rows("tcp", ["tcp_drop_paws", "tcp_drop_never"], is_drop)
        .counter(Counter::new("pool", "frames").gauge())
        .counter(Counter::new("pool", "frames_free").gauge())
        .fact("device")
        .fact("copy");
    schema
}

fn is_drop(name: &str) -> bool {
    name.contains("drop")
}

struct Core {
    writer: CoreWriter,
    walk: Walk,
    number: usize,
    plan: Plan,
    round: u64,
}

impl Core {
    fn new(writer: CoreWriter, number: usize, plan: &Plan) -> Self {
        writer.set_fact(0, &format!("abele{number}"));
        writer.set_fact(1, "zero-copy");
        Self { walk: writer.walk(), writer, number, plan: plan.clone(), round: 0 }
    }

    fn turn(&mut self, zero: u64, is_due: bool) {
        if self.plan.stuck == Some(self.number) {
            return;
        }
        if is_due {
            self.publish(zero, false);
        }
        let now = base::Instant::from_nanos(monotonic() - zero);
        let (records, core) = (self.plan.records, self.number);
        self.walk.poll(now, |cursor| look(cursor, records, core));
    }

    fn publish(&mut self, zero: u64, is_first: bool) {
        self.round += u64::from(self.plan.grows || is_first);
        let is_stuck = self.plan.stuck == Some(self.number);
        let now = if is_stuck { 1_000 } else { monotonic() - zero };
        let (round, core) = (self.round, self.number as u64);
        self.writer.publish(base::Instant::from_nanos(now), 1_000 * round, |values| {
            // A quarter of the time in each stage, and half of it idle.
            values.value(500 * round).value(500 * round).value(1_000 * round);
            values.rows([
                ("rx_packets", 100 * round + core),
                ("tx_packets", 90 * round),
                ("rx_bytes", 6_400 * round),
                ("tx_drop_too_long", 0),
            ]);
            values.value(10 * round).value(0).value(self.plan.records);
            values.rows([("tcp_drop_paws", (7 + core) * round), ("tcp_drop_never", 0)]);
            values.value(1_024).value(1_000 - core);
        });
        if is_first && core == 1 && !is_stuck {
            self.writer.mark(CoreState::Asleep);
        }
    }
}

/// The record under a cursor: every tenth waits for its close, every other has IPv6.
fn look(cursor: u64, records: u64, core: usize) -> Look {
    if cursor == records {
        return Look::End;
    }
    let [.., a, b, c] = cursor.to_be_bytes();
    let mut remote = Ipv4Addr::new(10, a, b, c).to_ipv6_mapped().octets();
    if cursor % 2 == 1 {
        remote = std::net::Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0).octets();
        remote[13..].copy_from_slice(&[a, b, c]);
    }
    let state = if cursor % 10 == 9 { State::CloseWait } else { State::Established };
    let row = Row {
        local: Ipv4Addr::new(10, 77, 0, 2).to_ipv6_mapped().octets(),
        local_port: if core == 0 { 80 } else { 7 },
        listener: 0,
        index: u32::try_from(cursor).expect("few records"),
        is_busy: cursor.is_multiple_of(2),
        idle_s: 12,
        srtt_us: 1_500,
        cwnd: 14_600,
        ..Row::new(state, remote, 4_000)
    };
    Look::Row(cursor + 1, row)
}

/// Nanoseconds of the clock that tools read.
fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has it");
    let [seconds, nanos] =
        [time.tv_sec(), time.tv_nsec()].map(|n| u64::try_from(n).expect("positive"));
    seconds * 1_000_000_000 + nanos
}

const CHILD_FOLDER: &str = "ABELE_TEST_FAKE_FOLDER";

/// Where the words of a gateway lie that was killed; they go with the value, for where the test's
/// folder is no memory they lie outside of it. And which process it was.
pub(crate) struct Words(pub(crate) PathBuf, pub(crate) u32);

impl Drop for Words {
    fn drop(&mut self) {
        // The test may have had them removed.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Leaves what a gateway `lab` leaves that was killed.
pub(crate) fn killed(folder: &Path) -> Words {
    let mut gateway = child(folder);
    let words = std::fs::canonicalize(folder.join("lab/stats")).expect("it was published");
    gateway.kill().expect("it runs");
    gateway.wait().expect("it was killed");
    Words(words, gateway.id())
}

/// A gateway in a process of its own, to be killed.
fn child(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "fake::child_that_is_a_gateway", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run again");
    let lines = BufReader::new(child.stdout.as_mut().expect("it is piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("published")));
    child
}

#[test]
fn child_that_is_a_gateway() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let _fake = Fake::start(Path::new(&folder), &Plan::new("lab"));
    println!("published");
    // Until it is killed, or the test that made it has ended.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
