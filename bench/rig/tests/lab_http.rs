//! The benchmarks `http` and `idle` as they are run, in namespaces of their own.
//!
//! They need root, two cores, wrk, nginx, and the gateway beside `abele-bench`. What is not there is
//! said loudly and skipped; what `ABELE_REQUIRE` names of `root`, `cores`, `wrk`, `nginx`, `gateway`
//! and `af_xdp` must be there.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_abele-bench");
/// Nothing here takes longer, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[expect(clippy::print_stderr, reason = "a skipped test is told")]
fn skip(lacking: &str, test: &str) {
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|word| word.trim() == lacking);
    assert!(!is_required, "ABELE_REQUIRE names {lacking}, and {test} cannot run without");
    eprintln!("SKIPPED {test}: this machine lacks {lacking}");
}

fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.any(|folder| folder.join(name).is_file())
}

/// Whether the test can run; if not, it is said.
fn has_all(programs: &[&str], test: &str) -> bool {
    let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2);
    let has_gateway = Path::new(BENCH).with_file_name("abele-gateway").is_file();
    let needs = [("root", geteuid().is_root()), ("cores", has_cores), ("gateway", has_gateway)];
    let programs = programs.iter().map(|&name| (name, has_program(name)));
    match needs.into_iter().chain(programs).find(|(_, is_there)| !is_there) {
        Some((lacking, _)) => skip(lacking, test),
        None => return true,
    }
    false
}

fn run(line: &str) -> Output {
    Command::new(BENCH).args(line.split_whitespace()).output().expect("the program was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The report of a run that must end well.
fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// What every report of `http` against nginx must say.
fn assert_compared(report: &Value) {
    assert_eq!(report["checks"]["ok"], true, "{report}");
    for wrong in ["non_2xx", "socket_errors", "bodies_wrong", "requests_unmatched"] {
        assert_eq!(report["checks"][wrong], 0, "{report}");
    }
    for side in [&report["figures"], &report["peers"][0]["figures"]] {
        for figure in ["requests_per_s", "requests_per_cpu_s", "p50_ns", "p99_ns"] {
            assert!(side[figure].as_f64() > Some(0.0), "{figure}: {report}");
        }
    }
    assert!(report["ratios"]["requests_per_cpu_s"]["nginx"].is_number(), "{report}");
    assert!(report["limits"]["random_lines_per_s"].as_f64() > Some(0.0), "{report}");
}

#[test]
fn quick_http_on_a_tap_device_is_right_beside_nginx() {
    if !has_all(&["wrk", "nginx"], "quick_http_on_a_tap_device_is_right_beside_nginx") {
        return;
    }
    assert_compared(&report(&run("http --queue tap --quick --vs nginx --json")));
}

#[test]
fn quick_http_on_af_xdp_is_right_beside_nginx() {
    const TEST: &str = "quick_http_on_af_xdp_is_right_beside_nginx";
    if !has_all(&["wrk", "nginx"], TEST) {
        return;
    }
    let output = run("http --queue veth --quick --vs nginx --json");
    if output.status.code() == Some(3) {
        return skip("af_xdp", &format!("{TEST} ({})", text(&output.stderr).trim_end()));
    }
    assert_compared(&report(&output));
}

#[test]
fn quick_idle_on_a_tap_device_loses_no_connection() {
    if !has_all(&[], "quick_idle_on_a_tap_device_loses_no_connection") {
        return;
    }
    let report = report(&run("idle --queue tap --quick --json"));
    assert_eq!(report["checks"]["ok"], true, "{report}");
    for wrong in ["connections_lost", "answers_wrong", "requests_unmatched"] {
        assert_eq!(report["checks"][wrong], 0, "{report}");
    }
    assert!(report["checks"]["goals_missed"].is_number(), "{report}");
    for side in [&report["figures"], &report["peers"][0]["figures"]] {
        assert!(side["first_byte_p50_ns"].as_f64() > Some(0.0), "{report}");
    }
}

/// The processes that come from `ancestor`, and itself.
fn family(ancestor: u32) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").expect("it is mounted");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = ids.filter_map(|id| Some((id, parent_of(id)?))).collect();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let before = family.len();
        let children = parents.iter().filter(|(_, parent)| family.contains(parent));
        let children: Vec<_> = children.map(|(id, _)| *id).collect();
        family.extend(children);
        if family.len() == before {
            return family;
        }
    }
}

fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold spaces, but ends with the last parenthesis.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Waits for `is_so`, or says what it waited for in vain.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn killed_benchmark_takes_its_servers_and_namespaces_with_it() {
    if !has_all(&["wrk"], "killed_benchmark_takes_its_servers_and_namespaces_with_it") {
        return;
    }
    let mut bench = Command::new(BENCH)
        .args("http --queue tap --seconds 600".split(' '))
        .stdout(Stdio::null())
        .spawn()
        .expect("the program was built");
    // The one that waits, the one in the namespaces, the gateway, wrk.
    wait_until("four processes", || family(bench.id()).len() >= 4);
    let family = family(bench.id());
    let pid = Pid::from_raw(i32::try_from(bench.id()).expect("pids are small"));
    kill(pid, Signal::SIGKILL).expect("it runs");
    bench.wait().expect("it ends");
    let is_there = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
    wait_until("the end of its processes", || !family.iter().any(is_there));
}
