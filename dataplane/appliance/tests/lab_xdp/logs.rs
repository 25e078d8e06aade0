//! The log of a gateway under load: who writes to it, and who waits for its reader.

#![allow(clippy::print_stdout, reason = "what was counted is told")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lab::{Gateway, PATIENCE, command, configuration, fetch, folder, in_lab};

/// The least that a pipe holds.
const PIPE_LEN: i32 = 4_096;

/// Every line, as an object.
fn objects(log: &str) -> Vec<serde_json::Value> {
    let object = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"))
    };
    log.lines().map(object).collect()
}

/// The name of the thread that has told a line.
fn told_by(object: &serde_json::Value) -> &str {
    object["threadName"].as_str().unwrap_or("")
}

#[test]
fn no_core_writes_to_the_log_whatever_comes_from_the_wire() {
    in_lab("logs::no_core_writes_to_the_log_whatever_comes_from_the_wire", || {
        let sections = "[log]\nlevel = \"debug\"\nformat = \"json\"\n[drain]\ntimeout_s = 2\n\
                        [workers]\ncount = 2\n";
        let gateway = Gateway::start(&configuration("", sections));
        let ready = gateway.log().lines().count();
        for round in 0..50 {
            assert!(fetch("10.77.0.2") && fetch("[fd77::2]"), "{round}");
            // What is wrong, what nobody listens for, and what is gone before it is answered.
            let mut stream = TcpStream::connect("10.77.0.2:80").expect("it serves");
            stream.write_all(b"NONSENSE\r\n\r\n").expect("it is open");
            stream.read_to_end(&mut Vec::new()).expect("it is answered");
            assert!(TcpStream::connect("10.77.0.2:81").is_err());
            let mut stream = TcpStream::connect("10.77.0.2:7").expect("it serves");
            stream.write_all(&[7; 100_000]).expect("it is open");
        }
        // A reload that is wrong, one that is right, and an end with somebody left.
        for text in ["addresses = 7\n", ""] {
            let (before, right) = (gateway.log().len(), configuration("", sections));
            gateway.configure(if text.is_empty() { &right } else { text });
            gateway.signal(Signal::SIGHUP);
            let patience = Instant::now() + PATIENCE;
            while gateway.log().len() == before {
                assert!(Instant::now() < patience, "a reload is told");
                thread::sleep(Duration::from_millis(10));
            }
        }
        let _left = TcpStream::connect("10.77.0.2:7").expect("it serves");
        let (_, log) = gateway.log_after_stop();
        let objects = objects(&log);
        let cores = objects.iter().filter(|object| told_by(object).starts_with("core"));
        assert_eq!(cores.count(), 0, "{log}");
        let names: Vec<_> = objects.iter().map(told_by).collect();
        println!(
            "{} lines, {} of them after it was ready: {names:?}",
            objects.len(),
            objects.len() - ready
        );
        for thread in ["main", "control", "supervisor"] {
            assert!(names[ready..].contains(&thread), "{thread} has told nothing: {log}");
        }
        assert!(objects.iter().all(|object| object["level"].is_string()), "{log}");
    });
}

/// Waits until the log says it, and returns what it says from `from` on.
fn said(gateway: &Gateway, from: usize, what: &str) -> String {
    let begun = Instant::now();
    loop {
        let log = gateway.log()[from..].to_owned();
        if log.contains(what) {
            return log;
        }
        assert!(begun.elapsed() < PATIENCE, "{what:?} is not said: {log}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn level_and_format_change_with_a_reload() {
    in_lab("logs::level_and_format_change_with_a_reload", || {
        let with = |log: &str, listener: bool| {
            let more = "[[listener]]\nprotocol = \"http\"\ntcp_port = 8080\n";
            let more = if listener { more } else { "" };
            configuration("", &format!("{more}[log]\n{log}\n[workers]\ncount = 2\n"))
        };
        let gateway = Gateway::start(&with("level = \"info\"", false));
        let reload = |text: &str| {
            gateway.configure(text);
            gateway.signal(Signal::SIGHUP);
        };
        reload(&with("level = \"debug\"\nformat = \"json\"", false));
        let log = said(&gateway, 0, "log: level debug, json");
        let object = log.lines().find(|line| line.contains("level debug, json"));
        let object: serde_json::Value =
            serde_json::from_str(object.expect("it was said")).expect("the change is told so");
        assert_eq!((&object["level"], &object["threadName"]), (&"INFO".into(), &"control".into()));
        let from = gateway.log().len();
        reload(&with("level = \"error\"\nformat = \"text\"", true));
        let begun = Instant::now();
        while TcpStream::connect("10.77.0.2:8080").is_err() {
            assert!(begun.elapsed() < PATIENCE, "the listener does not open");
            thread::sleep(Duration::from_millis(10));
        }
        // A wrong file is told as a warning: nobody hears it now.
        reload("addresses = 7");
        thread::sleep(Duration::from_millis(200));
        assert_eq!(&gateway.log()[from..], "", "errors alone");
        reload(&with("level = \"info\"", true));
        let log = said(&gateway, from, "log: level info, text");
        assert!(log.lines().all(|line| !line.starts_with('{')), "{log}");
        gateway.stop();
    });
}

#[test]
fn a_log_that_nobody_reads_holds_neither_packets_nor_the_end_up() {
    in_lab("logs::a_log_that_nobody_reads_holds_neither_packets_nor_the_end_up", || {
        let folder = folder(&configuration("", "[drain]\ntimeout_s = 3\n[workers]\ncount = 2"));
        let mut child = command(&folder).stderr(Stdio::piped()).spawn().expect("nsenter is there");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut ready = String::new();
        lines.read_line(&mut ready).expect("it is text");
        assert!(ready.starts_with("ready: "), "{ready}");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("numbers are small"));
        let mut log = child.stderr.take().expect("it is piped");
        fcntl(&log, FcntlArg::F_SETPIPE_SZ(PIPE_LEN)).expect("a pipe may be so small");
        fs::write(folder.path().join("abele.toml"), "addresses = 7\n").expect("it is ours");
        // Each of these tells more than a hundred bytes.
        for _ in 0..300 {
            kill(pid, Signal::SIGHUP).expect("it runs");
            thread::sleep(Duration::from_millis(1));
        }
        for round in 0..20 {
            assert!(fetch("10.77.0.2"), "{round}");
        }
        let begun = Instant::now();
        kill(pid, Signal::SIGTERM).expect("it runs");
        let mut summary = String::new();
        lines.read_to_string(&mut summary).expect("it is text");
        let code = child.wait().expect("it is ours").code();
        println!("it took {:.2?} to end", begun.elapsed());
        assert_eq!(code, Some(0), "{summary}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let mut told = Vec::new();
        log.read_to_end(&mut told).expect("it has ended");
        // A line goes in whole or not at all.
        let room = PIPE_LEN.unsigned_abs() as usize - told.len();
        assert!(room < 512, "it was not full: {room}");
    });
}
