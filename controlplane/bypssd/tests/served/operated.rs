//! What operators see: metrics, health, and a worker that hangs.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::Client;
use crate::daemon::{Daemon, FREE, IS_SPREAD, NO_GRACE, PATIENCE, bypssd, folder};

#[test]
fn metrics_are_families_with_a_type_and_a_help_each_told_once() {
    let daemon = Daemon::with("");
    let mut a = Client::session(daemon.address, "a");
    a.register(&["x", "y"]).unwrap();
    let (head, body) = daemon.page("/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let mut families = std::collections::BTreeSet::new();
    let (mut help, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').expect("it says something").0.to_owned();
            assert!(families.insert(help.clone()), "{help} is told twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, is) = rest.split_once(' ').expect("it has a type");
            assert_eq!(name, help);
            kind = is.to_owned();
            // As promtool wants it.
            assert_eq!(is == "counter", name.ends_with("_total"), "{name} is a {is}");
        } else {
            let name = line.split(['{', ' ']).next().expect("a split has a first part");
            let value = line.rsplit(' ').next().expect("a split has a last part");
            assert_eq!(name, help, "{line} ({kind})");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(daemon.metric("bypssd_up"), 1);
    assert_eq!(daemon.metric("bypssd_switch_ports"), 2);
    assert_eq!(daemon.metric("bypssd_switch_ports_granted_total"), 2);
    assert_eq!(daemon.metric("bypssd_epoch"), daemon.epoch);
    assert!(daemon.page("/livez").0.starts_with("HTTP/1.1 200 "));
    assert!(daemon.page("/readyz").0.starts_with("HTTP/1.1 200 "));
    assert!(daemon.page("/other").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn connections_are_spread_over_the_workers_and_all_of_them_are_one_switch() {
    let daemon = Daemon::with("");
    let mut clients: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .map(|node| Client::session(daemon.address, node))
        .collect();
    let first = clients[0].register(&["port"]).unwrap().first;
    assert!(clients.iter_mut().all(|client| client.holder("port") == "a"));
    let accepted = |worker: usize| {
        daemon.metric(&format!("bypssd_each_worker_accepted_total{{worker=\"{worker}\"}}"))
    };
    if IS_SPREAD {
        assert_eq!([accepted(0), accepted(1)], [3, 3]);
    }
    assert_eq!(daemon.metric("bypssd_worker_accepted_total"), 6);
    assert_eq!(daemon.metric("bypssd_connections"), 6);
    assert_eq!(daemon.metric("bypssd_switch_connections"), 6);
    assert_eq!(clients[0].unregister("port", first), 0);
    clients.truncate(2);
    daemon.until("they are gone", |daemon| daemon.metric("bypssd_switch_connections") == 2);
}

#[test]
fn a_process_that_was_stopped_goes_on_and_says_so() {
    let daemon = Daemon::with("");
    let mut a = Client::session(daemon.address, "a");
    a.register(&["port"]).unwrap();
    daemon.signal(Signal::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(2_600));
    daemon.signal(Signal::SIGCONT);
    let mut b = Client::session(daemon.address, "b");
    assert_eq!(b.holder("port"), "free", "a was silent for longer than its lease");
    assert!(daemon.metric("bypssd_worker_stalls_total") >= 1);
    let (status, _, told) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(told.contains("stood still"), "{told}");
}

#[test]
fn a_service_manager_is_told_that_it_serves_lives_and_ends() {
    let folder = folder();
    let (file, socket) = (folder.path().join("f"), folder.path().join("notify"));
    std::fs::write(&file, format!("{FREE}{NO_GRACE}")).unwrap();
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = bypssd();
    command.arg("run").arg(&file).args(["--for", "60"]).stdout(Stdio::piped());
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "400000");
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let told = || {
        let mut bytes = [0; 4_096];
        let len = manager.recv(&mut bytes).expect("it tells in time");
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    let first = told();
    assert!(first.contains("READY=1") && first.contains("STATUS=bypssd serves on "), "{first}");
    for _ in 0..3 {
        assert!(told().contains("WATCHDOG=1"));
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let last = std::iter::repeat_with(told).find(|told| !told.contains("WATCHDOG=1")).unwrap();
    assert!(last.contains("STOPPING=1") && last.contains("EXTEND_TIMEOUT_USEC=7000000"), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Seconds that each thread tells under a name.
fn seconds(daemon: &Daemon, name: &str) -> Vec<(String, f64)> {
    let (_, body) = daemon.page("/metrics");
    let start = format!("bypssd_thread_{name}_seconds_total{{thread=\"");
    let of_thread = |line: &str| {
        let (thread, value) = line.strip_prefix(&start)?.split_once("\"} ")?;
        Some((thread.to_owned(), value.parse().expect("seconds")))
    };
    body.lines().filter_map(of_thread).collect()
}

#[test]
fn how_busy_each_thread_is_rises_with_what_it_does_and_not_with_time() {
    let daemon = Daemon::with("");
    let mut a = Client::session(daemon.address, "a");
    let before = seconds(&daemon, "busy");
    let threads: Vec<_> = before.iter().map(|(thread, _)| thread.as_str()).collect();
    let all: &[&str] = if IS_SPREAD { &["switch", "worker-0", "worker-1"] } else { &["worker"] };
    assert_eq!(threads, all);
    let begun = std::time::Instant::now();
    for _ in 0..2_000 {
        a.ping();
    }
    let took = begun.elapsed().as_secs_f64();
    let after = seconds(&daemon, "busy");
    let worked = |thread: &str| {
        let of = |all: &[(String, f64)]| all.iter().find(|(name, _)| name == thread).unwrap().1;
        of(&after) - of(&before)
    };
    // Whatever a ping costs, the thread that holds the switch took some of the time, and no more
    // than there was; asking for metrics is a round too.
    let holder = worked(all[0]);
    assert!((0.000_5..took + 0.1).contains(&holder), "{holder} s of {took} s");
    let cpu = seconds(&daemon, "cpu");
    assert!(cpu.len() == all.len() && cpu.iter().all(|(_, cpu)| *cpu > 0.0), "{cpu:?}");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let idle = seconds(&daemon, "busy")[0].1 - after[0].1;
    assert!(idle < 0.25, "{idle} s of half a second without a request");
}
