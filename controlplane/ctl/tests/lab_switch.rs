//! `abelectl switch` at a real switch, as an operator meets it.
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Of a switch that is told nothing else.
const LEASE: Duration = Duration::from_secs(3);

struct Switch {
    child: Child,
    address: String,
}

/// The daemon: named by `BYPSSD`, else beside the tests.
fn program() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_abelectl")).with_file_name("bypssd");
    let path = std::env::var_os("BYPSSD").map_or(beside, PathBuf::from);
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == "bypssd"), "{} is missing", path.display());
    eprintln!("skipped: there is no {}; build it or set BYPSSD", path.display());
    None
}

impl Switch {
    fn dev() -> Option<Self> {
        Self::listening("127.0.0.1:0")
    }

    fn listening(address: &str) -> Option<Self> {
        let args = ["dev", "--listen", address, "--for", "60", "--ports", "1024"];
        let mut command = Command::new(program()?);
        let child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let ready = lines.map_while(Result::ok).find(|line| line.starts_with("ready"));
        let ready = ready.expect("it says that it is ready");
        let address = ready.split([' ', ',', '=']).find(|word| word.starts_with("127.0.0.1:"));
        let address = address.expect("it says where").to_owned();
        Some(Self { child, address })
    }

    /// Another of the same address, after the one before was killed.
    fn again(&mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it ends");
        let again = Self::listening(&self.address).expect("it was there before");
        *self = again;
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        told(&abelectl(&self.address, args).output().expect("the program was built"))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn abelectl(address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abelectl"));
    command.arg("switch").args(args).env("BYPSS_ENDPOINTS", address);
    command
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_command_runs_under_a_lock_and_its_exit_code_comes_back() {
    let Some(switch) = Switch::dev() else { return };
    let script = "test -n \"$ABELE_LOCK_TOKEN\" && echo $ABELE_LOCK_NAME; exit 7";
    let (code, stdout, stderr) = switch.run(&["lock", "nightly", "--", "sh", "-c", script]);
    assert_eq!((code, stdout.as_str()), (Some(7), "nightly\n"), "{stderr}");
    let (code, _stdout, stderr) = switch.run(&["lock", "nightly", "--", "/no/such"]);
    assert_eq!(code, Some(127), "{stderr}");
    let (code, stdout, _stderr) = switch.run(&["port", "nightly", "-o", "jsonl"]);
    assert_eq!(code, Some(1), "it is free again: {stdout}");
    assert!(stdout.contains("\"state\":\"free\""), "{stdout}");
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_a_held_port_is_listed() {
    let Some(switch) = Switch::dev() else { return };
    let args = ["register", "a", "b", "--node", "holder", "-o", "jsonl"];
    let mut holder = abelectl(&switch.address, &args).stdout(Stdio::piped()).spawn().expect("runs");
    let lines = BufReader::new(holder.stdout.take().expect("it was piped")).lines();
    assert_eq!(lines.take(2).filter(Result::is_ok).count(), 2);
    let (code, stdout, _stderr) = switch.run(&["ports", "a", "-o", "json"]);
    assert!(code == Some(0) && stdout.contains("\"node\":\"holder\""), "{stdout}");
    let (code, stdout, _stderr) = switch.run(&["nodes"]);
    assert!(code == Some(0) && stdout.contains("holder"), "{stdout}");
    let (code, _stdout, stderr) = switch.run(&["lock", "a", "--wait", "0.3", "--", "true"]);
    assert_eq!(code, Some(4), "{stderr}");
    let (code, _stdout, stderr) = switch.run(&["drop-node", "holder"]);
    assert_eq!(code, Some(0), "{stderr}");
    let code = holder.wait().expect("it ends").code();
    assert!(matches!(code, Some(1 | 3)), "its session was ended: {code:?}");
    let (code, stdout, _stderr) = switch.run(&["status"]);
    assert!(code == Some(0) && stdout.contains("figure"), "{stdout}");
    let (code, stdout, stderr) = switch.run(&["bench", "--ports", "1000", "--batch", "100"]);
    assert!(code == Some(0) && stdout.contains("unregister"), "{stdout}{stderr}");
}

/// A command that runs beside the test, with its output.
fn spawn(switch: &Switch, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = abelectl(&switch.address, args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program was built");
    let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    (child, lines)
}

fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines.next().expect("a line comes").expect("it is text")
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process has such an id");
    kill(Pid::from_raw(pid), signal).expect("it lives");
}

/// Waits until a port is held.
fn until_held(switch: &Switch, port: &str) {
    for _look in 0..200 {
        if switch.run(&["port", port]).0 == Some(0) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{port} is never held");
}

/// Waits until so many watch.
fn until_watching(switch: &Switch, count: u64) {
    until_figure(switch, "watchers", count);
}

/// Waits until the switch says that so many have come to wait for ports.
fn until_waiting(switch: &Switch, count: u64) {
    until_figure(switch, "register_waiting", count);
}

fn until_figure(switch: &Switch, figure: &str, count: u64) {
    let wanted = format!("\"{figure}\":{count},");
    for _look in 0..200 {
        let (code, stdout, stderr) = switch.run(&["status", "-o", "json"]);
        assert_eq!(code, Some(0), "{stderr}");
        if stdout.contains(&wanted) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{figure} is never {count}: {}", switch.run(&["status"]).1);
}

#[test]
fn locks_are_granted_in_the_order_of_arrival() {
    let Some(switch) = Switch::dev() else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (go, log) = (folder.path().join("go"), folder.path().join("log"));
    let hold = format!("echo held; while ! test -e {}; do sleep 0.05; done", go.display());
    let (mut holder, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", &hold]);
    assert_eq!(next(&mut lines), "held");
    let mut waiters = Vec::new();
    for (index, node) in (1..).zip(["first", "second", "third"]) {
        let script = format!("echo {node} >> {}", log.display());
        waiters.push(spawn(&switch, &["lock", "q", "--", "sh", "-c", &script]).0);
        until_waiting(&switch, index);
    }
    // Longer than anybody would keep a place that has to be asked for again.
    thread::sleep(Duration::from_millis(1_700));
    std::fs::write(&go, "").expect("the folder is ours");
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
    for waiter in &mut waiters {
        assert_eq!(waiter.wait().expect("it ends").code(), Some(0));
    }
    let order = std::fs::read_to_string(&log).expect("they have run");
    assert_eq!(order, "first\nsecond\nthird\n");
}

#[test]
fn who_waits_for_a_lock_ends_at_once_by_a_signal_and_with_its_session() {
    let Some(switch) = Switch::dev() else { return };
    let (mut holder, mut lines) = spawn(&switch, &["register", "q", "-o", "jsonl"]);
    next(&mut lines);
    let (mut waiter, _lines) = spawn(&switch, &["lock", "q", "--", "true"]);
    until_waiting(&switch, 1);
    signal(&waiter, Signal::SIGINT);
    assert_eq!(waiter.wait().expect("it ends").code(), Some(130));
    let (mut waiter, _lines) = spawn(&switch, &["lock", "q", "--node", "w", "--", "true"]);
    until_waiting(&switch, 2);
    assert_eq!(switch.run(&["drop-node", "w"]).0, Some(0));
    assert_eq!(waiter.wait().expect("it ends").code(), Some(3));
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_command_is_ended_when_an_operator_takes_its_lock_away() {
    let Some(switch) = Switch::dev() else { return };
    let script = "echo held; trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done";
    let args = ["lock", "q", "--node", "w", "--", "sh", "-c", script];
    let (mut lock, mut lines) = spawn(&switch, &args);
    assert_eq!(next(&mut lines), "held");
    assert_eq!(switch.run(&["drop-node", "w"]).0, Some(0));
    assert_eq!(lock.wait().expect("it ends").code(), Some(5));
    // Nothing is left of the lease, so it may be killed before it has heard of it.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(rest.is_empty() || rest == ["told"], "{rest:?}");
}

#[test]
fn a_command_is_ended_before_the_lease_is_when_the_switch_dies() {
    let Some(mut switch) = Switch::dev() else { return };
    let script = "echo held $$; trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", script]);
    let held = next(&mut lines);
    let stubborn = "echo held; trap '' TERM; while :; do sleep 0.05; done";
    let (mut other, mut others) = spawn(&switch, &["lock", "r", "--", "sh", "-c", stubborn]);
    assert_eq!(next(&mut others), "held");
    let begun = Instant::now();
    switch.child.kill().expect("it lives");
    switch.child.wait().expect("it ends");
    assert_eq!(next(&mut lines), "told", "SIGTERM comes first");
    assert_eq!(lock.wait().expect("it ends").code(), Some(5));
    assert_eq!(other.wait().expect("it ends").code(), Some(5), "SIGKILL comes then");
    assert!(begun.elapsed() < LEASE, "{:?} after the switch was killed", begun.elapsed());
    let pid = held.trim_start_matches("held ").parse().expect("a process's id");
    assert!(kill(Pid::from_raw(pid), None).is_err(), "the command is gone");
}

#[test]
fn a_signal_to_the_lock_goes_on_to_the_command() {
    let Some(switch) = Switch::dev() else { return };
    let script = "echo held; trap 'exit 9' TERM; while :; do sleep 0.05; done";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", script]);
    assert_eq!(next(&mut lines), "held");
    signal(&lock, Signal::SIGTERM);
    assert_eq!(lock.wait().expect("it ends").code(), Some(9));
    let (mut lock, mut lines) =
        spawn(&switch, &["lock", "q", "--", "sh", "-c", "echo held; kill -KILL $$"]);
    assert_eq!(next(&mut lines), "held");
    assert_eq!(lock.wait().expect("it ends").code(), Some(128 + 9));
    let (code, _stdout, stderr) = switch.run(&["lock", "q", "--", "/"]);
    assert_eq!(code, Some(126), "{stderr}");
}

#[test]
fn messages_are_sent_to_who_listens_and_nobody_is_told_of() {
    let Some(switch) = Switch::dev() else { return };
    let (code, stdout, stderr) = switch.run(&["send", "a", "hello", "-o", "jsonl"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("\"nobody\":1") && stderr.contains("switch port a"),
        "{stdout}{stderr}"
    );
    let (mut listener, mut lines) = spawn(&switch, &["listen", "a", "b", "--node", "l"]);
    until_held(&switch, "b");
    for (port, message) in [("a", "hello"), ("b", "there")] {
        let (code, stdout, stderr) = switch.run(&["send", port, message]);
        assert!(code == Some(0) && stdout.contains("delivered"), "{stdout}{stderr}");
        assert_eq!(next(&mut lines), format!("{port}: {message}"));
    }
    let (code, _stdout, stderr) = switch.run(&["listen", "a"]);
    assert!(code == Some(1) && stderr.contains("1 of 1"), "it is held: {stderr}");
    signal(&listener, Signal::SIGINT);
    assert_eq!(listener.wait().expect("it ends").code(), Some(0));
    let (mut listener, mut lines) = spawn(&switch, &["listen", "c", "-o", "jsonl", "--node", "l"]);
    until_held(&switch, "c");
    assert_eq!(switch.run(&["send", "c", "\"quoted\""]).0, Some(0));
    assert_eq!(next(&mut lines), r#"{"message":"\"quoted\"","port":"c"}"#);
    assert_eq!(switch.run(&["drop-node", "l"]).0, Some(0));
    let code = listener.wait().expect("it ends").code();
    assert!(matches!(code, Some(1 | 3)), "its session was ended: {code:?}");
}

#[test]
fn a_watch_tells_what_happens_to_ports_and_ends_well() {
    let Some(mut switch) = Switch::dev() else { return };
    let (mut watch, mut lines) = spawn(&switch, &["watch", "w:", "-o", "jsonl"]);
    let (mut table, mut rows) = spawn(&switch, &["watch"]);
    until_watching(&switch, 2);
    let (mut holder, mut held) =
        spawn(&switch, &["register", "w:1", "x", "--node", "h", "-o", "jsonl"]);
    next(&mut held);
    let registered = next(&mut lines);
    for part in ["\"event\":\"registered\"", "\"port\":\"w:1\"", "\"node\":\"h\""] {
        assert!(registered.contains(part), "{registered}");
    }
    let mut both = [next(&mut rows), next(&mut rows)];
    both.sort();
    assert!(both[0].starts_with("registered w:1 h "), "{both:?}");
    assert!(both[1].starts_with("registered x h "), "{both:?}");
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
    let released = next(&mut lines);
    assert!(released.contains("\"released\"") && released.contains("w:1"), "{released}");
    signal(&watch, Signal::SIGINT);
    assert_eq!(watch.wait().expect("it ends").code(), Some(0));
    // One that is started anew in its place is no switch of this cluster, and says nothing of it.
    switch.again();
    let (code, rest) = (table.wait().expect("it ends").code(), rows.map_while(Result::ok));
    assert_eq!(code, Some(3), "{:?}", rest.collect::<Vec<_>>());
}

#[test]
fn a_switch_that_is_away_is_told_with_what_to_do() {
    let (code, stdout, stderr) =
        told(&abelectl("127.0.0.1:1", &["status", "--timeout", "0.3"]).output().expect("built"));
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("127.0.0.1:1") && stderr.contains("BYPSS_ENDPOINTS"), "{stderr}");
}
