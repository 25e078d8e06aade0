//! `abele-bench wire` between two kernels: three network namespaces, two veth pairs, ping and TCP.
//!
//! It needs root and AF_XDP. Without them it says loudly that it was skipped; under
//! `ABELE_REQUIRE=root,af_xdp` that is a failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::{Pid, geteuid, gettid};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| matches!(name.trim(), "root" | "af_xdp"));
    assert!(!is_required, "ABELE_REQUIRE names root or af_xdp, and this cannot run: {why}");
    eprintln!("SKIPPED: {why}");
}

fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command has a name");
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

type Work = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own, which does what it is told there.
struct End {
    tid: i32,
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl End {
    fn new() -> Self {
        let (say, hear) = channel();
        let (work, orders): (Sender<Work>, Receiver<Work>) = channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
            say.send(gettid().as_raw()).expect("it is awaited");
            for order in orders {
                order();
            }
        });
        let tid = hear.recv().expect("the thread begins");
        Self { tid, work: Some(work), thread: Some(thread) }
    }

    /// Does `work` there and gives its result, later.
    fn start<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (say, hear) = channel();
        let order: Work = Box::new(move || say.send(work()).expect("it is awaited"));
        self.work.as_ref().expect("it lives").send(order).expect("it waits for work");
        hear
    }

    fn run(&self, line: &str) -> String {
        let line = line.to_owned();
        self.start(move || run(&line)).recv().expect("it succeeds")
    }
}

impl Drop for End {
    fn drop(&mut self) {
        drop(self.work.take());
        let thread = self.thread.take().expect("it is joined once");
        // Where the test has failed already, this says nothing new.
        thread.join().ok();
    }
}

/// Two kernels and the wire between them, in the namespace of the calling thread.
struct Lab {
    wire: Child,
    stderr: BufReader<ChildStderr>,
    near: End,
    far: End,
}

impl Lab {
    /// Nothing where this machine cannot; `arguments` are the wire's.
    fn new(arguments: &str) -> Option<Self> {
        if !geteuid().is_root() {
            skip("network namespaces take root's rights");
            return None;
        }
        unshare(CloneFlags::CLONE_NEWNET).expect("root may make namespaces");
        let (near, far) = (End::new(), End::new());
        for (end, here, address) in [(&near, "wire-a", 1), (&far, "wire-b", 2)] {
            let tid = end.tid;
            run(&format!("ip link add {here} type veth peer name end netns {tid}"));
            run(&format!("ip link set {here} up"));
            end.run("ethtool -K end tx off tso off gso off gro off");
            end.run(&format!("ip address add 10.79.0.{address}/24 dev end"));
            end.run("ip link set end up");
        }
        let mut wire = Command::new(env!("CARGO_BIN_EXE_abele-bench"))
            .args(["wire", "--a", "wire-a", "--b", "wire-b"])
            .args(arguments.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let mut stderr = BufReader::new(wire.stderr.take().expect("it is piped"));
        let mut ready = String::new();
        stderr.read_line(&mut ready).expect("it says something");
        if !ready.contains("ready") {
            let status = wire.wait().expect("it has ended");
            assert_eq!(status.code(), Some(3), "{ready}");
            skip(&ready);
            return None;
        }
        Some(Self { wire, stderr, near, far })
    }

    /// Sends and receives 20 MB by TCP; the hashes of both.
    fn transfer(&self) -> ([u8; 32], [u8; 32]) {
        let (say, hear) = channel();
        let received = self.far.start(move || {
            let listener = TcpListener::bind("10.79.0.2:5001").expect("the address is there");
            say.send(()).expect("it is awaited");
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut hash = Sha256::new();
            let mut part = vec![0; 1 << 16];
            loop {
                let len = stream.read(&mut part).expect("no reset");
                if len == 0 {
                    return hash.finalize().into();
                }
                hash.update(&part[..len]);
            }
        });
        hear.recv().expect("it listens");
        let sent = self.near.start(|| {
            let mut stream = TcpStream::connect("10.79.0.2:5001").expect("the wire carries it");
            let mut hash = Sha256::new();
            let mut word = 1_u32;
            for _part in 0..20_000_000 / 4_000 {
                let mut part = Vec::with_capacity(4_000);
                for _word in 0..1_000 {
                    word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    part.extend_from_slice(&word.to_le_bytes());
                }
                hash.update(&part);
                stream.write_all(&part).expect("no reset");
            }
            hash.finalize().into()
        });
        let patience = Duration::from_secs(120);
        let sent = sent.recv_timeout(patience).expect("it is sent in two minutes");
        (sent, received.recv_timeout(patience).expect("it arrives"))
    }

    /// Ends the wire; its summary and what it said besides.
    fn finish(mut self) -> (Value, String) {
        let pid = Pid::from_raw(i32::try_from(self.wire.id()).expect("pids are small"));
        kill(pid, Signal::SIGINT).expect("it runs");
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("text");
        let mut summary = String::new();
        let mut stdout = self.wire.stdout.take().expect("it is piped");
        stdout.read_to_string(&mut summary).expect("text");
        let status = self.wire.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{summary} {said}");
        let last = summary.lines().last().expect("a line");
        (serde_json::from_str(last).expect("one JSON object"), said)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Where the test has failed; else it has ended by itself.
        self.wire.kill().ok();
        self.wire.wait().ok();
    }
}

fn count(summary: &Value, direction: &str, name: &str) -> u64 {
    summary[direction][name].as_u64().unwrap_or_else(|| panic!("{direction} {name}: {summary}"))
}

const DIRECTIONS: [&str; 2] = ["a_to_b", "b_to_a"];

#[test]
fn perfect_wire_carries_ping_and_a_transfer_between_two_kernels() {
    for attach in ["generic", "native"] {
        let Some(lab) = Lab::new(&format!("--attach {attach}")) else { return };
        let said = lab.near.run("ping -c 100 -i 0.005 -W 5 10.79.0.2");
        assert!(said.contains(" 0% packet loss") && said.contains("100 received"), "{said}");
        let (sent, received) = lab.transfer();
        assert_eq!(sent, received);
        let (summary, said) = lab.finish();
        assert_eq!(summary["checks"]["ok"], true, "{summary}");
        for direction in DIRECTIONS {
            let passed = count(&summary, direction, "tx_packets");
            assert_eq!(passed, count(&summary, direction, "rx_packets"), "{summary}");
            assert_eq!(count(&summary, direction, "super_frames"), 0, "{summary} {said}");
        }
        assert!(count(&summary, "a_to_b", "rx_bytes") > 20_000_000, "{summary}");
    }
}

#[test]
fn wire_that_loses_reorders_doubles_and_damages_still_carries_every_byte() {
    let faults = "--loss 1 --reorder 0.5 --duplicate 0.5 --corrupt 0.2 --seed 7";
    let Some(lab) = Lab::new(faults) else { return };
    let (sent, received) = lab.transfer();
    assert_eq!(sent, received);
    let (summary, _said) = lab.finish();
    assert_eq!(summary["checks"]["ok"], true, "{summary}");
    assert_eq!(summary["args"]["seed"], 7, "{summary}");
    let there = |name| count(&summary, "a_to_b", name);
    // 13,800 full packets at least, of which 138 are lost on average, with a deviation of 12.
    let (offered, lost) = (there("impaired_offered"), there("impaired_lost"));
    assert!(lost * 200 > offered && lost * 60 < offered, "{lost} of {offered}");
    for fault in ["impaired_reordered", "impaired_duplicated", "impaired_corrupted"] {
        assert!(there(fault) > 0, "{fault}: {summary}");
    }
}

#[test]
fn delay_is_added_in_each_direction() {
    let Some(lab) = Lab::new("--delay 20") else { return };
    let said = lab.near.run("ping -c 3 -i 0.1 -W 5 10.79.0.2");
    // rtt min/avg/max/mdev = 40.1/...
    let least = said.split("mdev = ").nth(1).and_then(|rest| rest.split('/').next());
    let least: f64 = least.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!((40.0..80.0).contains(&least), "{said}");
    let (summary, _said) = lab.finish();
    assert_eq!(summary["checks"]["ok"], true, "{summary}");
}

#[test]
fn super_frames_are_counted_and_told_with_what_turns_them_off() {
    let Some(lab) = Lab::new("") else { return };
    lab.near.run("ping -c 1 -W 5 10.79.0.2");
    // From here on the kernel leaves cutting and checksums to the device.
    lab.near.run("ethtool -K end tx on sg on gso on tx-udp-segmentation on");
    let sent = lab.near.start(|| {
        let socket = UdpSocket::bind("10.79.0.1:0").expect("the address is there");
        setsockopt(&socket, sockopt::UdpGsoSegment, &1_000).expect("UDP is cut since Linux 4.18");
        socket.send_to(&[0; 8_000], "10.79.0.2:9").expect("it fits")
    });
    assert_eq!(sent.recv().expect("it is sent"), 8_000);
    thread::sleep(Duration::from_millis(300));
    let (summary, said) = lab.finish();
    assert_eq!(summary["checks"]["ok"], true, "{summary} {said}");
    assert!(count(&summary, "a_to_b", "super_frames") > 0, "{summary}");
    assert!(said.contains("tso off"), "{said}");
}

#[test]
fn interface_that_is_not_there_or_has_another_mtu_exits_3_and_names_the_mend() {
    let Some(lab) = Lab::new("") else { return };
    let wire = |a: &str, b: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_abele-bench"))
            .args(["wire", "--for", "0.1", "--a", a, "--b", b])
            .output()
            .expect("the program was built");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = wire("nowhere", "wire-b");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("nowhere") && said.contains("ip link"), "{said}");
    run("ip link add free-a type veth peer name free-b");
    run("ip link set free-b mtu 1400");
    run("ip link set free-a up");
    run("ip link set free-b up");
    let (code, said) = wire("free-a", "free-b");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ip link set dev free-b mtu 1500"), "{said}");
    drop(lab);
}
