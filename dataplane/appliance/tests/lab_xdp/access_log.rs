//! The access log of a running gateway: every end in the file, a rotation, and a file that goes wrong.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::lab::{Gateway, PATIENCE, configuration, counted, fetch, in_lab};

fn with(section: &str) -> String {
    configuration("", &format!("[access_log]\n{section}\n[workers]\ncount = 2\n"))
}

/// What the file says once so many lines are there.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        assert!(begun.elapsed() < PATIENCE, "{count} lines do not come: {text}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn wait_for(gateway: &Gateway, said: &str) {
    let begun = Instant::now();
    while !gateway.log().contains(said) {
        assert!(begun.elapsed() < PATIENCE, "{said:?} is not said: {}", gateway.log());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_end_is_a_line_and_a_reload_turns_to_another_file() {
    in_lab("access_log::every_end_is_a_line_and_a_reload_turns_to_another_file", || {
        let gateway = Gateway::start(&with("path = \"access.log\"\nformat = \"json\""));
        let path = gateway.path("access.log");
        for _ in 0..20 {
            assert!(fetch("10.77.0.2") && fetch("[fd77::2]"));
        }
        let mut stream = TcpStream::connect("10.77.0.2:80").expect("it serves");
        stream.write_all(b"GET /\x1b\n\"injected").expect("it is open");
        stream.shutdown(Shutdown::Write).expect("it is open");
        stream.read_to_end(&mut Vec::new()).expect("it is ended");
        let objects: Vec<serde_json::Value> = lines(&path, 41)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect();
        assert_eq!(objects.len(), 41);
        // The clients of `fetch` end their direction behind the request.
        let whole = objects.iter().filter(|object| object["status"] == 200);
        let whole: Vec<_> = whole.collect();
        assert_eq!(whole.len(), 40);
        for object in whole {
            assert!(object["end"] == "-C" || object["end"] == "-E", "{object}");
            assert_eq!((&object["target"], &object["listener"]), (&"/".into(), &80.into()));
            let client = object["client"].as_str().expect("it has one");
            assert!(client == "10.77.0.1" || client.starts_with("fd77::"), "{object}");
        }
        let half = objects.iter().find(|object| object["end"] == "CH").expect("half a head");
        assert_eq!((&half["method"], &half["target"]), (&"GET".into(), &"/\u{1b}".into()));
        assert_eq!(half["reason"], "http_peer_truncated");

        fs::rename(&path, gateway.path("access.log.1")).expect("it is ours");
        gateway.signal(Signal::SIGHUP);
        let begun = Instant::now();
        while !path.exists() {
            assert!(begun.elapsed() < PATIENCE, "it is not made again");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(fetch("10.77.0.2"));
        assert_eq!(lines(&path, 1).len(), 1);
        assert_eq!(lines(&gateway.path("access.log.1"), 41).len(), 41);

        gateway.configure(&with("path = \"other.log\""));
        gateway.signal(Signal::SIGHUP);
        wait_for(&gateway, "access_log: other terms");
        assert!(fetch("10.77.0.2"));
        let text = lines(&gateway.path("other.log"), 1);
        assert!(text[0].ends_with(" GET \"/\" -"), "{text:?}");
        gateway.configure(&configuration("", "[workers]\ncount = 2\n"));
        gateway.signal(Signal::SIGHUP);
        wait_for(&gateway, "access_log: off");
        assert!(fetch("10.77.0.2"));
        let summary = gateway.stop();
        assert_eq!(counted(&summary, "http_access_given")[0], 43, "{summary}");
        assert_eq!(counted(&summary, "http_access_lost"), Vec::<u64>::new(), "{summary}");
    });
}

#[test]
fn a_full_disk_stops_nothing_and_is_said_once() {
    in_lab("access_log::a_full_disk_stops_nothing_and_is_said_once", || {
        let gateway = Gateway::start(&with("path = \"/dev/full\""));
        for round in 0..30 {
            assert!(fetch("10.77.0.2"), "{round}");
            thread::sleep(Duration::from_millis(5));
        }
        wait_for(&gateway, "the access log cannot be written: No space left on device");
        let (_, log) = gateway.log_after_stop();
        assert_eq!(log.matches("cannot be written").count(), 1, "{log}");
    });
}

#[test]
fn what_is_cut_or_left_at_the_end_is_in_the_file() {
    in_lab("access_log::what_is_cut_or_left_at_the_end_is_in_the_file", || {
        for (drain, end) in [("timeout_s = 1", "KH"), ("timeout_s = 0", "EH")] {
            let folder = tempfile::tempdir().expect("a folder for the test");
            let path = folder.path().join("access.log");
            let log = format!("[access_log]\npath = \"{}\"\n", path.display());
            let sections = format!("[drain]\n{drain}\n{log}[workers]\ncount = 2\n");
            let gateway = Gateway::start(&configuration("", &sections));
            let mut stream = TcpStream::connect("10.77.0.2:80").expect("it serves");
            stream.write_all(b"GET /half").expect("it is open");
            assert!(fetch("10.77.0.2"));
            gateway.stop();
            let text = fs::read_to_string(&path).expect("it was written");
            let left: Vec<_> = text.lines().filter(|line| line.contains("/half")).collect();
            assert_eq!(left.len(), 1, "{text}");
            assert!(left[0].contains(&format!(" 80 {end} - 0 ")), "{text}");
            assert!(left[0].ends_with(" 1 GET \"/half\" -"), "{text}");
        }
    });
}
