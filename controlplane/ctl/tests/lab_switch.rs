//! `abelectl switch` at a real switch, as an operator meets it.
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
        let args = ["dev", "--listen", "127.0.0.1:0", "--for", "60", "--ports", "1024"];
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

/// Waits until the switch says that so many have come to wait for ports.
fn until_waiting(switch: &Switch, count: u64) {
    let wanted = format!("\"register_waiting\":{count},");
    for _look in 0..200 {
        let (code, stdout, stderr) = switch.run(&["status", "-o", "json"]);
        assert_eq!(code, Some(0), "{stderr}");
        if stdout.contains(&wanted) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("there are never {count} who wait: {}", switch.run(&["status"]).1);
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
fn a_switch_that_is_away_is_told_with_what_to_do() {
    let (code, stdout, stderr) =
        told(&abelectl("127.0.0.1:1", &["status", "--timeout", "0.3"]).output().expect("built"));
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("127.0.0.1:1") && stderr.contains("BYPSS_ENDPOINTS"), "{stderr}");
}
