//! The benchmark `ports` as it is run, with the real daemon and the real peers.
//!
//! It needs two cores, `bypssd` beside `abele-bench`, ss, and the peers' servers. What is not there
//! is said loudly and skipped; what `ABELE_REQUIRE` names of `cores`, `bypssd`, `ss`, `redis` and
//! `etcd` must be there.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_abele-bench");
/// Nothing here takes longer, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(Into::into));
    folders.any(|folder| folder.join(name).is_file())
}

/// Whether the test can run with these `(need, program)` besides; if not, it is said.
#[expect(clippy::print_stderr, reason = "a skipped test is told")]
fn has_all(peers: &[(&str, &str)], test: &str) -> bool {
    let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2);
    let has_daemon = Path::new(BENCH).with_file_name("bypssd").is_file();
    let needs = [("cores", has_cores), ("bypssd", has_daemon), ("ss", has_program("ss"))];
    let peers = peers.iter().map(|&(need, program)| (need, has_program(program)));
    let Some((lacking, _)) = needs.into_iter().chain(peers).find(|(_, is_there)| !is_there) else {
        return true;
    };
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|word| word.trim() == lacking);
    assert!(!is_required, "ABELE_REQUIRE names {lacking}, and {test} cannot run without");
    eprintln!("SKIPPED {test}: this machine lacks {lacking}");
    false
}

fn run(line: &str) -> Output {
    Command::new(BENCH).args(line.split_whitespace()).output().expect("the program was built")
}

/// The report of a run that must end well.
fn report(line: &str) -> Value {
    let output = run(line);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

const RATES: [&str; 3] = ["register_per_s_core", "query_per_s_core", "unregister_per_s_core"];

fn assert_right(report: &Value) {
    assert_eq!(report["checks"]["ok"], true, "{report}");
    for wrong in ["refused", "mismatched", "sequences_wrong"] {
        assert_eq!(report["checks"][wrong], 0, "{report}");
    }
    for limit in ["random_lines_per_s", "loopback_bytes_per_s"] {
        assert!(report["limits"][limit].as_f64() > Some(0.0), "{limit}: {report}");
    }
}

fn assert_positive(figures: &Value, names: &[&str]) {
    for name in names {
        assert!(figures[name].as_f64() > Some(0.0), "{name}: {figures}");
    }
}

#[test]
fn quick_ports_are_all_registered_found_and_released_twice_beside_redis() {
    const TEST: &str = "quick_ports_are_all_registered_found_and_released_twice_beside_redis";
    let redis = [("redis", "redis-server"), ("redis", "redis-benchmark")];
    if !has_all(&redis, TEST) {
        return;
    }
    let report = report("ports --quick --vs redis --memory 20000,30000 --json");
    assert_right(&report);
    // Two rounds of two cycles at least: all ports were free again.
    assert!(report["checks"]["cycles"].as_u64() >= Some(4), "{report}");
    let ours = &report["figures"];
    let theirs = &report["peers"][0]["figures"];
    for figures in [ours, theirs] {
        assert_positive(figures, &RATES);
        assert_positive(figures, &["request_p50_ns", "request_p99_ns"]);
        assert_positive(figures, &["request_blocking_p50_ns", "request_blocking_p99_ns"]);
        assert_positive(figures, &["bytes_per_port_whole", "register_write_ns"]);
    }
    assert_positive(ours, &["bytes_per_port_smaller", "bytes_per_port_larger"]);
    // A name of 16 bytes has one of length before it, and a release has a sequence besides; what
    // frames, headers and acknowledgements come to is little in batches of a thousand.
    let bytes = |name: &str| ours[name].as_f64().expect("a number");
    let (register, release) = (bytes("register_wire_bytes"), bytes("unregister_wire_bytes"));
    assert!((17.0..24.0).contains(&register), "{register}");
    assert!((25.0..33.0).contains(&release), "{release}");
    for rate in RATES {
        assert!(report["ratios"][rate]["redis"].is_number(), "{rate}: {report}");
    }
    assert_eq!(report["rounds"], 2, "{report}");
}

#[test]
fn quick_ports_with_long_names_and_few_of_them_in_a_batch_are_right_too() {
    if !has_all(&[], "quick_ports_with_long_names_and_few_of_them_in_a_batch_are_right_too") {
        return;
    }
    // Names whose length takes two bytes.
    let line = "ports --quick --ports 3001 --name-bytes 200 --batch 7 --connections 1 --window 3";
    let report = report(&format!("{line} --rounds 1 --json"));
    assert_right(&report);
    assert_positive(&report["figures"], &RATES);
    assert_eq!(report["peers"], Value::Array(Vec::new()), "{report}");
}

#[test]
fn quick_ports_one_by_one_of_two_workers_are_right_too() {
    if !has_all(&[], "quick_ports_one_by_one_of_two_workers_are_right_too") {
        return;
    }
    let line = "ports --quick --ports 2000 --batch 1 --connections 100 --window 1";
    let report = report(&format!("{line} --workers 2 --server-cores 2 --rounds 1 --json"));
    assert_right(&report);
    assert_positive(&report["figures"], &["register_per_s_core", "query_per_s_core"]);
    assert_eq!(report["args"]["workers"], 2, "{report}");
    assert_eq!(report["args"]["server_cores"], 2, "{report}");
    // What the server's core did is not all that the server took.
    assert!(report["figures"]["register_per_cpu_s"].is_null(), "{report}");
}

#[test]
fn quick_ports_beside_etcd_are_right_at_both() {
    if !has_all(&[("etcd", "etcd")], "quick_ports_beside_etcd_are_right_at_both") {
        return;
    }
    let report = report("ports --quick --rounds 1 --vs etcd --json");
    assert_right(&report);
    assert_eq!(report["peers"][0]["name"], "etcd", "{report}");
    assert_positive(&report["peers"][0]["figures"], &RATES);
}

#[test]
fn missing_redis_is_exit_3_with_the_command_that_installs_it() {
    if !has_all(&[], "missing_redis_is_exit_3_with_the_command_that_installs_it") {
        return;
    }
    let nowhere = tempfile::tempdir().expect("a folder");
    let output = Command::new(BENCH)
        .args("ports --quick --vs redis".split(' '))
        .env("PATH", nowhere.path())
        .output()
        .expect("the program was built");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("apt-get install redis-server"), "{told}");
}

/// The processes whose parent is `parent`.
fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("it is mounted");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after_name.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}

/// Starts a long run, waits until it has a server, and ends it by `signal`; its exit code, and
/// whether the server went with it.
fn ended_by(signal: Signal, folder: &Path) -> (Option<i32>, bool) {
    let mut child = Command::new(BENCH)
        .args("ports --ports 100000 --seconds 600 --vs redis".split(' '))
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built");
    let deadline = Instant::now() + PATIENCE;
    let servers = loop {
        // Before it is what it becomes, the kernel was not told yet to kill it with its parent.
        let mut servers = children_of(child.id());
        servers.retain(|id| {
            let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            ["bypssd", "redis-server"].contains(&name.trim_end())
        });
        if !servers.is_empty() {
            break servers;
        }
        assert!(Instant::now() < deadline, "no server in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(1));
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("pids are small"));
    kill(pid, signal).expect("it runs");
    let code = child.wait().expect("it ends").code();
    let is_there = |id: &u32| Path::new(&format!("/proc/{id}")).exists();
    let deadline = Instant::now() + PATIENCE;
    while servers.iter().any(is_there) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    (code, !servers.iter().any(is_there))
}

#[test]
fn ctrl_c_and_kill_take_the_servers_with_them_and_ctrl_c_the_folder_too() {
    const TEST: &str = "ctrl_c_and_kill_take_the_servers_with_them_and_ctrl_c_the_folder_too";
    if !has_all(&[("redis", "redis-server"), ("redis", "redis-benchmark")], TEST) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(ended_by(Signal::SIGINT, folder.path()), (Some(130), true));
    let left = fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0, "files are left");
    // Of a signal that nothing can answer only the kernel knows.
    assert_eq!(ended_by(Signal::SIGKILL, folder.path()), (None, true));
}
