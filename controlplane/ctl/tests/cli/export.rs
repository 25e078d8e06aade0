//! `abelectl export`, as Prometheus and strangers meet it.

pub(crate) mod format;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake::{self, Fake, Plan};
use crate::{abelectl, folder, run};
use format::Family;

/// An exporter, ended with the value.
struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    fn start(folder: &Path, arguments: &str) -> Self {
        let line = format!("export --listen 127.0.0.1:0 {arguments}");
        let mut child =
            abelectl(folder, &line).stdout(Stdio::piped()).spawn().expect("the program was built");
        let mut told = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped"))
            .read_line(&mut told)
            .expect("it says that it is ready");
        let address = told.trim_end().strip_prefix("listening on http://").expect("it is ready");
        let address = address.strip_suffix("/metrics").expect("it names the page").to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
        stream
    }

    /// Head and body of what is answered.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    fn metrics(&self) -> String {
        let (head, body) = self.ask("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4;"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        body
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The value of the sample with exactly these labels.
fn value(
    families: &std::collections::BTreeMap<String, Family>,
    name: &str,
    labels: &[(&str, &str)],
) -> Option<f64> {
    let mut labels: Vec<_> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    labels.sort();
    families.get(name).unwrap_or_else(|| panic!("no {name}")).samples.get(&labels).copied()
}

#[test]
fn every_counter_of_every_core_is_told_in_the_format() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let exporter = Exporter::start(folder.path(), "");
    let text = exporter.metrics();
    let families = format::read(&text);
    let core = |number| [("instance", "lab"), ("core", number)];
    for (name, number, expected) in [
        ("abele_queue_rx_packets_total", "1", 101.0),
        ("abele_stage_idle_total", "0", 1_000.0),
        ("abele_tcp_paws_total", "1", 8.0),
        ("abele_tcp_never_total", "0", 0.0),
        ("abele_tcp_connections", "0", 3.0),
        ("abele_pool_frames_free", "1", 999.0),
        ("abele_core_stuck", "0", 0.0),
        ("abele_core_turns_total", "0", 1_000.0),
    ] {
        assert_eq!(value(&families, name, &core(number)), Some(expected), "{name}");
    }
    let lab = [("instance", "lab")];
    assert_eq!(value(&families, "abele_up", &lab), Some(1.0));
    assert_eq!(value(&families, "abele_file_readable", &lab), Some(1.0));
    assert_eq!(value(&families, "abele_cycles_per_second", &lab), Some(2e9));
    let build = [("instance", "lab"), ("version", "0.1.0"), ("layout", "1.0")];
    assert_eq!(value(&families, "abele_build_info", &build), Some(1.0));
    let info = [("instance", "lab"), ("core", "1"), ("device", "abele1"), ("copy", "zero-copy")];
    assert_eq!(value(&families, "abele_core_info", &info), Some(1.0));
    assert_eq!(families["abele_tcp_connections"].kind, "gauge");
    let age = value(&families, "abele_core_last_sign_seconds", &core("0")).unwrap();
    assert!((0.0..10.0).contains(&age), "{age}");
    judged_by_promtool(&text);
}

/// The format's own judge, where it is installed.
#[allow(clippy::print_stdout, reason = "a skipped part says so")]
fn judged_by_promtool(text: &str) {
    let judge = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    let mut judge = match judge {
        Ok(judge) => judge,
        Err(error) => {
            let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|one| one == "promtool"), "promtool: {error}");
            println!("SKIPPED promtool: {error}; it comes with: apt-get install prometheus");
            return;
        }
    };
    judge
        .stdin
        .take()
        .expect("it is piped")
        .write_all(text.as_bytes())
        .expect("it reads to the end");
    let output = judge.wait_with_output().expect("it reads to the end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn gateways_that_live_have_died_or_hang_are_told_apart() {
    let folder = folder();
    let _words = fake::killed(folder.path());
    let _stuck = Fake::start(folder.path(), &Plan { stuck: Some(1), ..Plan::new("hangs") });
    std::fs::create_dir(folder.path().join("odd")).unwrap();
    std::fs::write(folder.path().join("odd/stats"), [0xa5; 4096]).unwrap();
    let exporter = Exporter::start(folder.path(), "");
    let families = format::read(&exporter.metrics());
    let of = |name: &str, instance: &str| value(&families, name, &[("instance", instance)]);
    for (instance, up, readable) in [("lab", 0.0, 1.0), ("hangs", 1.0, 1.0), ("odd", 0.0, 0.0)] {
        assert_eq!(of("abele_up", instance), Some(up), "{instance}");
        assert_eq!(of("abele_file_readable", instance), Some(readable), "{instance}");
    }
    let core = |name: &str, instance: &str, core: &str| {
        value(&families, name, &[("instance", instance), ("core", core)])
    };
    let stuck = "abele_core_stuck";
    assert_eq!([core(stuck, "hangs", "0"), core(stuck, "hangs", "1")], [Some(0.0), Some(1.0)]);
    let turns = "abele_core_turns_total";
    assert_eq!(core(turns, "lab", "0"), None, "of a dead one nothing seems to stand still");
    assert!(core(turns, "hangs", "0").is_some());
}

#[test]
fn one_instance_is_told_of_alone_and_one_that_is_missing_is_down() {
    let folder = folder();
    let fake = Fake::start(folder.path(), &Plan::new("lab"));
    let _other = Fake::start(folder.path(), &Plan::new("other"));
    let exporter = Exporter::start(folder.path(), "--instance lab");
    let up = || format::read(&exporter.metrics()).remove("abele_up").unwrap().samples;
    let label = vec![("instance".to_owned(), "lab".to_owned())];
    assert_eq!(up().into_iter().collect::<Vec<_>>(), [(label.clone(), 1.0)]);
    drop(fake);
    assert_eq!(up().into_iter().collect::<Vec<_>>(), [(label.clone(), 0.0)]);
    let _again = Fake::start(folder.path(), &Plan::new("lab"));
    assert_eq!(up().into_iter().collect::<Vec<_>>(), [(label, 1.0)]);
}

#[test]
fn where_no_gateway_is_there_is_an_answer_all_the_same() {
    let folder = folder();
    let exporter = Exporter::start(folder.path(), "");
    let families = format::read(&exporter.metrics());
    assert!(families["abele_up"].samples.is_empty());
}

#[test]
fn strangers_are_answered_with_what_is_wrong() {
    let folder = folder();
    let exporter = Exporter::start(folder.path(), "");
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(9_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        ("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345", "405"),
        ("nonsense\r\n\r\n", "400"),
        (long.as_str(), "431"),
    ] {
        let (head, _) = exporter.ask(request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.40}: {head}");
    }
    let (head, body) = exporter.ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");
    assert!(!head.contains("Content-Length: 0"), "{head}");
}

#[test]
fn those_who_connect_and_say_nothing_keep_nobody_else_out() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let exporter = Exporter::start(folder.path(), "");
    let mut silent: Vec<_> = (0..10).map(|_| exporter.connect()).collect();
    let begun = Instant::now();
    assert!(exporter.metrics().contains("abele_up"));
    assert!(begun.elapsed() < Duration::from_secs(4), "it waits for nobody");
    // More of them are told so at once, and all of them end after some seconds.
    silent.extend((0..20).map(|_| exporter.connect()));
    let mut answers: Vec<_> = silent
        .iter_mut()
        .map(|stream| {
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).map(|()| answer).unwrap_or_default()
        })
        .collect();
    answers.sort_unstable();
    let count = |status: &str| answers.iter().filter(|a| a.ends_with(status.as_bytes())).count();
    // The one that was answered may still have had its place.
    assert!((15..=16).contains(&count("408")), "{answers:?}");
    assert_eq!(count("408") + count("503"), answers.len(), "{answers:?}");
    drop(silent);
    let begun = Instant::now();
    // One for whom there is no room may be reset before it has read so.
    let asked = || {
        let (mut stream, mut answer) = (exporter.connect(), String::new());
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok();
        stream.read_to_string(&mut answer).ok();
        answer
    };
    while !asked().contains("abele_up") {
        assert!(begun.elapsed() < Duration::from_secs(10), "there is room again");
    }
}

#[test]
fn a_signal_ends_it_well_and_a_taken_port_is_told() {
    let folder = folder();
    let mut exporter = Exporter::start(folder.path(), "");
    let taken = run(folder.path(), &format!("export --listen {}", exporter.address));
    assert_eq!((taken.0, taken.1.as_str()), (Some(3), ""));
    assert!(
        taken.2.contains("Address already in use") && taken.2.contains("--listen"),
        "{taken:?}"
    );
    // Somebody who is slow does not keep it.
    let _slow = exporter.connect();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let begun = Instant::now();
        kill(Pid::from_raw(i32::try_from(exporter.child.id()).unwrap()), signal).unwrap();
        assert_eq!(exporter.child.wait().unwrap().code(), Some(0), "{signal}");
        assert!(begun.elapsed() < Duration::from_secs(3));
        exporter = Exporter::start(folder.path(), "");
    }
    let (code, _, stderr) = run(folder.path(), "export --listen nowhere");
    assert_eq!(code, Some(2), "{stderr}");
}
