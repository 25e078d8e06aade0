//! The configuration read again, a thousand times, while clients ask and none may notice.

#![allow(clippy::print_stdout, reason = "what was measured is told")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::lab::{Gateway, PATIENCE, abelectl, configuration, in_lab, text};

const RELOADS: u64 = 1_000;
const BODY_LEN: usize = 64 << 10;
const BIG_LEN: usize = 12 << 20;
/// Threads that ask, and connections of each.
const ASKERS: usize = 3;
const CONNECTIONS: usize = 8;

/// A body that says its version, and of which every byte follows from it.
fn body(version: u64, len: usize) -> Vec<u8> {
    let mut body = format!("version {version:010}\n").into_bytes();
    let mut state = version.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while body.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
    }
    body.truncate(len);
    body
}

/// The version that a body says, if every byte of it is right.
fn version_of(bytes: &[u8]) -> Option<u64> {
    let version = std::str::from_utf8(bytes.get(8..18)?).ok()?.parse().ok()?;
    (body(version, bytes.len()) == bytes).then_some(version)
}

/// Replaces a document at one moment, so that no half of it is ever read.
fn put(gateway: &Gateway, name: &str, bytes: &[u8]) {
    let hidden = gateway.path(&format!("www/.{name}"));
    fs::write(&hidden, bytes).expect("it is ours");
    fs::rename(hidden, gateway.path(&format!("www/{name}"))).expect("it is ours");
}

/// A connection of a client that keeps it.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: &str) -> Self {
        let stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, path: &str) -> usize {
        let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).expect("the connection lives");
        let (mut line, mut len) = (String::new(), None);
        self.0.read_line(&mut line).expect("the connection lives");
        assert!(line.starts_with("HTTP/1.1 200 "), "{line:?}");
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line).expect("the connection lives");
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                len = value.trim().parse().ok();
            }
        }
        len.expect("every answer has a length")
    }

    fn fetch(&mut self, path: &str) -> Vec<u8> {
        let mut bytes = vec![0; self.ask(path)];
        self.0.read_exact(&mut bytes).expect("the answer is whole");
        bytes
    }
}

/// Asks the gateway itself; the exit code for who asks, and what is said.
fn reload(gateway: &Gateway) -> (u8, String) {
    let path = format!("/run/abele/{}/control", gateway.instance());
    let mut stream = UnixStream::connect(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    stream.write_all(b"reload\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (code, told) = answer.split_once('\n').expect("a code and a text");
    (code.parse().expect("a number"), told.to_owned())
}

fn with(has_listener: bool, is_denied: bool) -> String {
    let listener = "[[listener]]\nprotocol = \"http\"\ntcp_port = 8080\n";
    let denied = "[access]\ndeny = [\"192.0.2.0/24\"]\n";
    let sections = format!(
        "{}{}[workers]\ncount = 2\n",
        if has_listener { listener } else { "" },
        if is_denied { denied } else { "" }
    );
    configuration("", &sections)
}

/// Asks over all connections in turn until it is over; how often, and the last version seen.
fn load(is_over: &AtomicBool, newest: &AtomicU64) -> (u64, u64) {
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::connect("10.77.0.2:80")).collect();
    let (mut fetched, mut last) = (0, 0);
    while !is_over.load(Ordering::Acquire) {
        for client in &mut clients {
            let oldest = newest.load(Ordering::Acquire);
            let bytes = client.fetch("/doc.bin");
            let version = version_of(&bytes).expect("every byte of an answer is of one version");
            assert!(version >= oldest, "version {version} after {oldest} was served");
            (fetched, last) = (fetched + 1, version);
        }
    }
    (fetched, last)
}

/// What is changed from reload to reload.
#[derive(Default)]
struct Changes {
    has_listener: bool,
    is_denied: bool,
    /// Accepted by a listener that went later.
    odd: Vec<Client>,
}

impl Changes {
    /// Changes one thing on the disk; what the reload is to say of it.
    fn make(&mut self, gateway: &Gateway, round: u64) -> &'static str {
        let told = match round % 3 {
            0 => {
                put(gateway, "doc.bin", &body(round, BODY_LEN));
                "documents: "
            }
            1 => {
                self.has_listener = !self.has_listener;
                ["8080: closed", "listener http 8080: opened"][usize::from(self.has_listener)]
            }
            _ => {
                self.is_denied = !self.is_denied;
                "access: "
            }
        };
        gateway.configure(&with(self.has_listener, self.is_denied));
        told
    }

    /// Looks at what the reload has changed.
    fn check(&mut self, gateway: &Gateway, round: u64) {
        if round % 6 == 1 && self.odd.len() < 40 {
            self.odd.push(Client::connect("10.77.0.2:8080"));
        }
        if round % 6 == 4 {
            assert!(TcpStream::connect("10.77.0.2:8080").is_err(), "it was closed");
        }
        if round % 100 == 50 {
            gateway.configure(&format!("{}[tcp]\nwindow = 1\n", with(true, true)));
            let (code, told) = reload(gateway);
            assert!(code == 2 && told.contains("tcp.window: 1 is out of range"), "{told}");
            assert!(told.contains("nothing has changed"), "{told}");
        }
    }
}

/// A thousand reloads while others ask; the connections of listeners that are gone.
fn reload_under_load(gateway: &Gateway) -> Vec<Client> {
    let mut changes = Changes::default();
    let (is_over, newest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS).map(|_| scope.spawn(|| load(&is_over, &newest))).collect();
        let begun = Instant::now();
        for round in 1..=RELOADS {
            let expected = changes.make(gateway, round);
            let (code, told) = reload(gateway);
            assert!(code == 0 && told.contains(expected), "{round}: {code} {told}");
            if round % 3 == 0 {
                newest.store(round, Ordering::Release);
            }
            changes.check(gateway, round);
        }
        let took = begun.elapsed();
        is_over.store(true, Ordering::Release);
        let done: Vec<_> = askers.into_iter().map(|asker| asker.join().expect("no loss")).collect();
        let fetched: u64 = done.iter().map(|(fetched, _)| fetched).sum();
        println!(
            "{RELOADS} reloads took {took:.2?}; {fetched} answers of {BODY_LEN} bytes meanwhile"
        );
        assert!(done.iter().all(|(fetched, _)| *fetched > 0), "{done:?}");
    });
    changes.odd
}

#[test]
fn a_thousand_reloads_under_load_lose_no_connection_and_no_byte() {
    in_lab("reloads::a_thousand_reloads_under_load_lose_no_connection_and_no_byte", || {
        let gateway = Gateway::start(&with(false, false));
        put(&gateway, "doc.bin", &body(0, BODY_LEN));
        put(&gateway, "big.bin", &body(7, BIG_LEN));
        assert_eq!(reload(&gateway).0, 0);
        // One who reads slowly, from before the first change to after the last.
        let mut slow = Client::connect("10.77.0.2:80");
        let slow_len = slow.ask("/big.bin");
        put(&gateway, "big.bin", &body(8, BIG_LEN));
        let mut echo = TcpStream::connect("10.77.0.2:7").expect("it is served");
        let mut odd = reload_under_load(&gateway);
        let last = RELOADS - RELOADS % 3;
        for client in &mut odd {
            assert_eq!(version_of(&client.fetch("/doc.bin")), Some(last), "its listener is gone");
        }
        echo.write_all(b"still here").expect("the connection lives");
        let mut echoed = [0; 10];
        echo.read_exact(&mut echoed).expect("the connection lives");
        assert_eq!(&echoed, b"still here");
        let mut bytes = vec![0; slow_len];
        slow.0.read_exact(&mut bytes).expect("the answer is whole");
        assert_eq!(version_of(&bytes), Some(7), "it began before the document changed");
        assert_eq!(version_of(&slow.fetch("/big.bin")), Some(8));
        let log = gateway.log();
        assert!(!log.contains("panicked"), "{log}");
        gateway.stop();
    });
}

#[test]
fn access_lists_and_budgets_hold_from_the_reload_on() {
    in_lab("reloads::access_lists_and_budgets_hold_from_the_reload_on", || {
        let gateway = Gateway::start(&with(false, false));
        let mut kept = Client::connect("10.77.0.2:80");
        let denied = "[access]\ndeny = [\"10.77.0.0/24\"]\n[workers]\ncount = 2\n";
        gateway.configure(&configuration("", denied));
        let (code, told) = reload(&gateway);
        assert!(code == 0 && told.contains("access: 1 ranges set, 0 removed"), "{told}");
        let address = "10.77.0.2:80".parse().expect("an address");
        let soon = Duration::from_millis(300);
        assert!(TcpStream::connect_timeout(&address, soon).is_err(), "it is denied");
        gateway.configure(&with(false, false));
        assert_eq!(reload(&gateway).0, 0);
        assert_eq!(kept.fetch("/"), b"hello from the lab", "it was denied for a while, and lives");
        Client::connect("10.77.0.2:80");
        gateway.stop();
    });
}

#[test]
fn a_hangup_does_the_same_and_the_log_tells_it() {
    in_lab("reloads::a_hangup_does_the_same_and_the_log_tells_it", || {
        let gateway = Gateway::start(&with(false, false));
        gateway.configure(&with(true, false));
        gateway.signal(Signal::SIGHUP);
        let begun = Instant::now();
        while !gateway.log().contains("listener http 8080: opened") {
            assert!(begun.elapsed() < PATIENCE, "{}", gateway.log());
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(Client::connect("10.77.0.2:8080").fetch("/"), b"hello from the lab");
        gateway.configure("addresses = 7");
        gateway.signal(Signal::SIGHUP);
        while !gateway.log().contains("nothing has changed") {
            assert!(begun.elapsed() < PATIENCE, "{}", gateway.log());
            thread::sleep(Duration::from_millis(10));
        }
        assert!(gateway.log().contains("abele.toml:1:"), "{}", gateway.log());
        assert_eq!(Client::connect("10.77.0.2:8080").fetch("/"), b"hello from the lab");
        gateway.stop();
    });
}

#[test]
fn the_tool_waits_for_the_result_and_tells_it() {
    in_lab("reloads::the_tool_waits_for_the_result_and_tells_it", || {
        let Some(tool) = abelectl() else { return };
        let gateway = Gateway::start(&with(false, false));
        let ask = || {
            let mut command = Command::new("timeout");
            command.arg("10").arg(&tool).args(["reload", "--instance", &gateway.instance()]);
            let output = command.output().expect("coreutils are installed");
            (output.status.code(), text(&output.stdout), text(&output.stderr))
        };
        gateway.configure(&with(true, false).replace("count = 2", "count = 1"));
        let (code, told, wrong) = ask();
        assert_eq!((code, wrong.as_str()), (Some(0), ""), "{told}");
        assert!(told.contains("listener http 8080: opened"), "{told}");
        assert!(told.contains("workers.count: stays as it was"), "{told}");
        gateway.configure("listener = 5");
        let (code, told, wrong) = ask();
        assert_eq!((code, told.as_str()), (Some(2), ""), "{wrong}");
        assert!(wrong.contains("abele.toml:2:12: listener: "), "{wrong}");
        let path = format!("/run/abele/{}/control", gateway.instance());
        gateway.stop();
        assert!(!fs::exists(path).expect("the folder can be read"), "it goes with the gateway");
    });
}
