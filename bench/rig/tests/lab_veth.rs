//! Benchmarks over AF_XDP and a veth pair, as a user meets them: the last line, what is left behind.
//!
//! They need root, AF_XDP and two cores. Without them they say loudly that they were skipped; under
//! `ABELE_REQUIRE=root,af_xdp` that is a failure.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

fn bench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_abele-bench"))
}

fn run(line: &str) -> Output {
    bench().args(line.split_whitespace()).output().expect("the program was built")
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(what: &str, why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| what.split(',').any(|it| it == name.trim()));
    assert!(!is_required, "ABELE_REQUIRE names {what}, and this cannot run: {why}");
    eprintln!("SKIPPED: {why}");
}

/// Whether the benchmarks can run here at all.
fn is_ready() -> bool {
    if !geteuid().is_root() {
        skip("root,af_xdp", "network namespaces take root's rights");
        return false;
    }
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        skip("two cores", "one core is allowed here, and each end spins on its own");
        return false;
    }
    true
}

/// The report of a run that must end well; nothing where this machine has no AF_XDP.
fn report(line: &str) -> Option<Value> {
    if !is_ready() {
        return None;
    }
    let output = run(line);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        skip("root,af_xdp", &stderr);
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{line}: {stderr}");
    let stdout = String::from_utf8(output.stdout).expect("text");
    let last = stdout.lines().last().expect("a line");
    Some(serde_json::from_str(last).expect("the last line is one JSON object"))
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|value| value > 0.0)
}

#[test]
fn quick_rr_over_veth_is_right_beside_the_kernel_and_the_bare_frames() {
    let line = "rr --queue veth --quick --connections 8 --vs kernel --json";
    let Some(report) = report(line) else { return };
    assert_eq!(report["checks"]["ok"], true, "{report}");
    assert!(is_positive(&report["figures"]["transactions_per_s_core"]), "{report}");
    assert!(is_positive(&report["limits"]["l2_echo_per_s"]), "{report}");
    let ratios = &report["ratios"]["transactions_per_s_core"];
    assert!(is_positive(&ratios["kernel-epoll"]) && is_positive(&ratios["l2-echo"]), "{report}");
    let flags = report["peers"][0]["flags"].as_str().expect("text");
    assert!(flags.starts_with("veth, offloads"), "{flags}");
}

#[test]
fn quick_connect_over_veth_is_right_beside_the_kernel_with_either_way_to_attach() {
    for attach in ["generic", "native"] {
        let line = "connect --queue veth --quick --connections 8 --vs kernel --json --attach";
        let Some(report) = report(&format!("{line} {attach}")) else { return };
        assert_eq!(report["checks"]["ok"], true, "{report}");
        assert_eq!(report["args"]["attach"], attach, "{report}");
        assert!(is_positive(&report["ratios"]["connects_per_s_core"]["kernel-epoll"]), "{report}");
    }
}

#[test]
fn limits_have_the_bare_frames_too() {
    let Some(report) = report("limits --quick --rounds 1 --json") else { return };
    assert_eq!(report["checks"]["ok"], true, "{report}");
    assert!(is_positive(&report["figures"]["l2_echo_per_s"]), "{report}");
}

#[test]
fn without_roots_rights_it_exits_3_and_names_the_mend() {
    if !is_ready() {
        return;
    }
    let as_nobody = |arguments: &str| {
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(env!("CARGO_BIN_EXE_abele-bench"))
            .args(arguments.split(' '))
            .output()
            .expect("util-linux is there")
    };
    if !as_nobody("--version").status.success() {
        return skip("", "the program lies where nobody else may run it");
    }
    let output = as_nobody("rr --queue veth --quick");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("root") && stderr.contains("sudo"), "{stderr}");
    // The other limits are still measured, and what was not is said.
    let output = as_nobody("limits --quick --rounds 1");
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(table.contains("l2_echo_per_s was not measured"), "{table}");
}

/// All processes below `parent`.
fn descendants(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("it is mounted");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, u32)> = ids
        .filter_map(|id: u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            // The name before it may hold spaces, but ends with the last parenthesis.
            let (_, rest) = stat.rsplit_once(") ")?;
            Some((id, rest.split(' ').nth(1)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![parent];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(all.iter().filter(|(_, of)| *of == parent).map(|(id, _)| id));
        next += 1;
    }
    found.split_off(1)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a run in its midst by `signal`; its exit code, once nothing of it is left.
fn end_by(signal: Signal) -> Option<Option<i32>> {
    if !is_ready() {
        return None;
    }
    let mut child = bench()
        .args("rr --queue veth --attach generic --seconds 600 --connections 4".split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let mut below = Vec::new();
    // The lab, and in it the serving process.
    until("two processes", || {
        below = descendants(child.id());
        below.len() >= 2 || child.try_wait().expect("it is ours").is_some()
    });
    // Some time for a program to be attached.
    thread::sleep(Duration::from_millis(300));
    if child.try_wait().expect("it is ours").is_some() {
        let output = child.wait_with_output().expect("it has ended");
        skip("root,af_xdp", &String::from_utf8_lossy(&output.stderr));
        return None;
    }
    below = descendants(child.id());
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("pids are small"));
    kill(pid, signal).expect("it runs");
    let status = child.wait().expect("it ends");
    let is_alive = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // A zombie whose new parent is slow to wait for it holds nothing any more.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    until("the end of all processes", || !below.iter().any(is_alive));
    assert!(status.code().is_some() || status.signal() == Some(signal as i32));
    Some(status.code())
}

#[test]
fn ctrl_c_ends_a_run_over_veth_and_all_its_processes() {
    let Some(code) = end_by(Signal::SIGINT) else { return };
    assert_eq!(code, Some(130));
}

#[test]
fn killed_run_over_veth_leaves_no_process_and_so_no_namespace_and_no_cable() {
    let Some(code) = end_by(Signal::SIGKILL) else { return };
    assert_eq!(code, None);
    // A second start works at once.
    let line = "rr --queue veth --attach generic --quick --rounds 1 --connections 4 --json";
    let Some(report) = report(line) else { return };
    assert_eq!(report["checks"]["ok"], true, "{report}");
}
