//! `abelectl switch lock` at a real switch: what it runs ends with it, whatever ends it.

#[path = "shared/switch.rs"]
mod switch;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switch::{Switch, abelectl, next, signal, spawn, told, until_held};

/// What a command's process needs to be gone after it was killed, on a machine that is busy.
const SOON: Duration = Duration::from_millis(1_500);

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.parse().expect("it tells its number"))
}

/// Whether a process runs; one that has ended and is not collected does not.
fn runs(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_name, rest)| !rest.starts_with('Z'))
}

fn until_gone(pids: &[Pid]) {
    let begun = Instant::now();
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(begun.elapsed() < SOON, "one of {pids:?} still runs");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Prints the numbers of the shell, of a child in its group, and of one that has left it.
const FAMILY: &str = "sleep 77 & echo $$; echo $!; \
                      setsid sh -c 'echo $$; exec sleep 77' & wait";

#[test]
fn all_that_a_command_has_started_ends_when_its_lock_is_lost() {
    let Some(switch) = Switch::dev() else { return };
    let args = ["lock", "g", "--node", "n", "--", "sh", "-c", FAMILY];
    let (mut lock, mut lines) = spawn(&switch, &args);
    let pids = [(); 3].map(|()| pid(&next(&mut lines)));
    assert!(pids.iter().all(|pid| runs(*pid)));
    assert_eq!(switch.run(&["drop-node", "n"]).0, Some(0));
    assert_eq!(lock.wait().expect("it ends").code(), Some(5));
    until_gone(&pids);
}

#[test]
fn all_of_a_command_ends_at_once_when_abelectl_is_killed() {
    let Some(switch) = Switch::dev() else { return };
    let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", FAMILY]);
    let pids = [(); 3].map(|()| pid(&next(&mut lines)));
    lock.kill().expect("it lives");
    lock.wait().expect("it ends");
    until_gone(&pids);
    let (code, stdout, _stderr) = switch.run(&["port", "g"]);
    assert_eq!(code, Some(0), "nobody else has it before they are gone: {stdout}");
}

/// What the next one to have a lock finds of these processes when it has it.
fn left_for_the_next(switch: &Switch, port: &str, pids: &[Pid]) -> String {
    let look = "for p; do grep -qs '^[0-9]* ([^)]*) [^ZX]' /proc/$p/stat && echo $p runs; done; \
                echo had";
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let mut args = vec!["lock", port, "--wait", "10", "--", "sh", "-c", look, "sh"];
    args.extend(pids.iter().map(String::as_str));
    let (code, stdout, stderr) = switch.run(&args);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

#[test]
fn a_command_is_dead_when_another_has_the_lock_while_abelectl_is_stopped() {
    let Some(switch) = Switch::dev() else { return };
    let stubborn = format!("trap '' TERM; {FAMILY}");
    let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", &stubborn]);
    let pids = [(); 3].map(|()| pid(&next(&mut lines)));
    signal(&lock, Signal::SIGSTOP);
    assert_eq!(left_for_the_next(&switch, "g", &pids), "had\n");
    signal(&lock, Signal::SIGCONT);
    assert_eq!(lock.wait().expect("it ends").code(), Some(5));
}

#[test]
fn a_command_may_end_well_before_its_lock_is_lost_while_abelectl_is_stopped() {
    let Some(switch) = Switch::dev() else { return };
    let script = "trap 'echo told; exit 0' TERM; setsid sh -c 'echo $$; exec sleep 77' & \
                  while :; do sleep 0.05; done";
    // A machine that stands still for the whole time in which it may end has it killed at once.
    let is_told = (0..3).any(|_attempt| {
        let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", script]);
        let child = pid(&next(&mut lines));
        signal(&lock, Signal::SIGSTOP);
        assert_eq!(left_for_the_next(&switch, "g", &[child]), "had\n", "it has left the group");
        signal(&lock, Signal::SIGCONT);
        assert_eq!(lock.wait().expect("it ends").code(), Some(5));
        lines.map_while(Result::ok).any(|line| line == "told")
    });
    assert!(is_told, "SIGTERM comes first");
}

#[test]
fn a_lock_that_was_stopped_for_a_moment_is_held_on() {
    let Some(switch) = Switch::dev() else { return };
    let file = tempfile::NamedTempFile::new().expect("a file for the test");
    let script =
        format!("echo held; while test -e {}; do sleep 0.05; done; exit 7", file.path().display());
    let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", &script]);
    assert_eq!(next(&mut lines), "held");
    // Twice in one lease, and in all for longer than one.
    for _stop in 0..4 {
        signal(&lock, Signal::SIGSTOP);
        thread::sleep(Duration::from_millis(500));
        signal(&lock, Signal::SIGCONT);
        thread::sleep(Duration::from_millis(400));
    }
    file.close().expect("it is ours");
    assert_eq!(lock.wait().expect("it ends").code(), Some(7));
}

#[test]
fn a_command_ends_when_abelectl_and_its_supervisor_are_killed() {
    let Some(switch) = Switch::dev() else { return };
    let script = "echo $$ $PPID; sleep 77 & echo $!; wait";
    for is_lock_killed in [false, true] {
        let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", script]);
        let both = next(&mut lines);
        let (command, supervisor) = both.split_once(' ').expect("two numbers");
        let child = pid(&next(&mut lines));
        kill(pid(supervisor), Signal::SIGKILL).expect("it lives");
        if is_lock_killed {
            lock.kill().ok();
            lock.wait().expect("it ends");
            until_gone(&[pid(command)]);
            kill(child, Signal::SIGKILL).ok();
        } else {
            assert_eq!(lock.wait().expect("it ends").code(), Some(137));
            until_gone(&[pid(command), child]);
        }
    }
}

#[test]
fn a_signal_goes_on_to_all_of_a_command_once() {
    let Some(switch) = Switch::dev() else { return };
    let script = "trap 'echo outer; wait; exit 9' TERM; \
                  sh -c \"trap 'echo inner; exit' TERM; echo ready; while :; do sleep 0.05; done\" & \
                  wait";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", script]);
    assert_eq!(next(&mut lines), "ready");
    signal(&lock, Signal::SIGTERM);
    assert_eq!(lock.wait().expect("it ends").code(), Some(9));
    let mut rest: Vec<_> = lines.map_while(Result::ok).collect();
    rest.sort();
    assert_eq!(rest, ["inner", "outer"]);
}

#[test]
fn what_a_command_leaves_in_its_group_ends_before_the_port_is_released() {
    let Some(switch) = Switch::dev() else { return };
    let script = "(trap '' TERM; exec sleep 77) >/dev/null & echo $!; exit 3";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "g", "--", "sh", "-c", script]);
    let left = pid(&next(&mut lines));
    assert_eq!(lock.wait().expect("it ends").code(), Some(3));
    assert!(!runs(left));
}

#[test]
fn what_ends_a_port_is_said_in_words() {
    let Some(switch) = Switch::dev() else { return };
    let args = ["lock", "q", "--node", "w", "--", "sh", "-c", "echo held; sleep 20"];
    let mut lock = abelectl(&switch.address, &args);
    let lock = lock.stdout(Stdio::null()).stderr(Stdio::piped());
    let lock = lock.spawn().expect("the program was built");
    until_held(&switch, "q");
    assert_eq!(switch.run(&["drop-node", "w"]).0, Some(0));
    let (code, _stdout, stderr) = told(&lock.wait_with_output().expect("it ends"));
    assert_eq!(code, Some(5));
    assert!(stderr.contains("an operator dropped the node"), "{stderr}");
    assert!(!stderr.contains("Evicted"), "{stderr}");
}

/// A command at a terminal of its own, as its session's first process.
fn at_a_terminal(switch: &Switch, args: &[&str]) -> (std::process::Child, File) {
    let pair = openpty(None, None).expect("there are terminals");
    let slave = || Stdio::from(pair.slave.try_clone().expect("there are descriptors"));
    let abelectl = abelectl(&switch.address, args);
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(abelectl.get_program()).args(abelectl.get_args());
    command.env("BYPSS_ENDPOINTS", &switch.address);
    let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn();
    (child.expect("setsid is there"), File::from(pair.master))
}

fn until_told(terminal: &mut File, text: &str) {
    let mut all = String::new();
    let mut bytes = [0; 256];
    while !all.contains(text) {
        let len = terminal.read(&mut bytes).unwrap_or(0);
        assert!(len > 0, "{text:?} never comes: {all:?}");
        all += &String::from_utf8_lossy(&bytes[..len]);
    }
}

#[test]
fn a_command_reads_its_terminal_and_hears_of_ctrl_c_there() {
    let Some(switch) = Switch::dev() else { return };
    let script =
        "trap 'echo told; exit 9' INT; read line; echo got $line; while :; do sleep 0.05; done";
    let (mut lock, mut terminal) = at_a_terminal(&switch, &["lock", "t", "--", "sh", "-c", script]);
    until_held(&switch, "t");
    terminal.write_all(b"word\n").expect("it is open");
    until_told(&mut terminal, "got word");
    terminal.write_all(b"\x03").expect("it is open");
    until_told(&mut terminal, "told");
    assert_eq!(lock.wait().expect("it ends").code(), Some(9));
}

#[test]
fn a_stopped_job_goes_on_with_its_lock_and_never_without_it() {
    let Some(switch) = Switch::dev() else { return };
    let program = env!("CARGO_BIN_EXE_abelectl");
    for (pause, code) in [("0.2", "7"), ("4", "5")] {
        // A shell with jobs is what stops and continues them. The command does nothing meanwhile but
        // read: a shell that is just starting a program cannot be stopped.
        let file = tempfile::NamedTempFile::new().expect("a file for the test");
        let on = file.path().display();
        let script = format!(
            "set -m; {program} switch lock t -- \
             sh -c 'echo began; read line; echo went on > {on}; exit 7'; \
             echo stopped $?; sleep {pause}; fg >/dev/null; echo ended $?"
        );
        let pair = openpty(None, None).expect("there are terminals");
        let slave = || Stdio::from(pair.slave.try_clone().expect("there are descriptors"));
        let mut shell = Command::new("setsid");
        shell.args(["--ctty", "--wait", "bash", "-c", &script]);
        shell.env("BYPSS_ENDPOINTS", &switch.address);
        let shell = shell.stdin(slave()).stdout(slave()).stderr(slave()).spawn();
        let (mut shell, mut terminal) = (shell.expect("bash is there"), File::from(pair.master));
        drop(pair.slave);
        until_told(&mut terminal, "began");
        terminal.write_all(b"\x1a").expect("it is open");
        until_told(&mut terminal, "stopped 148");
        terminal.write_all(b"\n").expect("it is open");
        until_told(&mut terminal, &format!("ended {code}"));
        shell.wait().expect("it ends");
        let text = std::fs::read_to_string(file.path()).expect("it is ours");
        assert_eq!(text.is_empty(), code == "5", "{text}");
    }
}
