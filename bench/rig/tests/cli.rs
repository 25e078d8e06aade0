//! The program as a user meets it: exit codes, the last line of standard output, Ctrl-C.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn bench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_abele-bench"))
}

fn run(line: &str) -> Output {
    bench().args(line.split_whitespace()).output().expect("the program was built")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report of a run that must end well.
fn report(line: &str) -> Value {
    let output = run(line);
    assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
    let stdout = String::from_utf8(output.stdout).expect("text");
    let last = stdout.lines().last().expect("a line");
    serde_json::from_str(last).expect("the last line is one JSON object")
}

fn has_two_cores() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2)
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

const KEYS: [&str; 10] = [
    "bench", "args", "figures", "checks", "limits", "peers", "ratios", "rounds", "machine",
    "commit",
];

#[test]
fn quick_rr_of_two_processes_is_right_and_reports_the_agreed_keys() {
    let line = "rr --queue kernel --quick --connections 4 --seconds 0.2 --vs kernel --json";
    if !has_two_cores() {
        let output = run(line);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert!(stderr(&output).contains("--cores 1"));
        return;
    }
    let report = report(line);
    assert_eq!(keys(&report), BTreeSet::from(KEYS));
    let figures = ["transactions_per_s", "transactions_per_s_core", "p50_ns", "p99_ns", "p999_ns"];
    assert_eq!(keys(&report["figures"]), BTreeSet::from(figures));
    let checks = ["ok", "bytes_lost", "connections_lost", "retransmits"];
    assert_eq!(keys(&report["checks"]), BTreeSet::from(checks));
    assert_eq!(report["checks"]["ok"], true);
    assert!(report["limits"]["random_lines_per_s"].as_u64() > Some(0), "{report}");
    assert_eq!(report["rounds"], 2);
    let peer = &report["peers"][0];
    assert_eq!(keys(peer), BTreeSet::from(["name", "version", "flags", "figures"]));
    assert!(peer["figures"]["transactions_per_s_core"].as_u64() > Some(0), "{report}");
    assert!(report["ratios"]["transactions_per_s_core"]["kernel-epoll"].is_number(), "{report}");
}

#[test]
fn quick_connect_is_right_in_memory_and_over_the_kernel_and_says_where_tuples_rest() {
    let report = report("connect --queue mem --cores 1 --quick --connections 8 --vs kernel --json");
    assert_eq!(keys(&report), BTreeSet::from(KEYS));
    let figures = ["connects_per_s_core", "p50_ns", "p99_ns"];
    assert_eq!(keys(&report["figures"]), BTreeSet::from(figures));
    assert_eq!(report["checks"]["ok"], true, "{report}");
    let peer = &report["peers"][0];
    assert!(peer["figures"]["connects_per_s_core"].as_u64() > Some(0), "{report}");
    assert!(peer["flags"].as_str().is_some_and(|flags| flags.contains("no SO_LINGER")));
    assert!(report["ratios"]["connects_per_s_core"]["kernel-epoll"].is_number(), "{report}");
    let output = run("connect --queue kernel --quick --cores 1");
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.contains("rests in TIME-WAIT") && table.contains("result right"), "{table}");
}

#[test]
fn each_end_of_rr_has_the_descriptors_of_a_process() {
    // 1,500 connections need 3,032 descriptors in one process, 1,532 in each of two.
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 2000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_abele-bench")])
        .args("rr --queue kernel --cores 1 --connections 1500 --quick --json".split(' '))
        .output()
        .expect("sh is there");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["checks"]["ok"], true);
}

#[test]
fn rr_beyond_the_descriptors_of_a_process_exits_3_and_names_the_mend() {
    let output = run("rr --queue kernel --cores 1 --connections 2000000000 --quick --vs kernel");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("prlimit"), "{}", stderr(&output));
}

#[test]
fn quick_limits_are_right_and_report_the_agreed_keys() {
    let report = report("limits --quick --json");
    assert_eq!(keys(&report), BTreeSet::from(KEYS));
    assert_eq!(report["checks"]["ok"], true);
    let figures = report["figures"].as_object().expect("an object");
    // Bare frames take rights and AF_XDP besides: the tests of the lab ask for them.
    let count = figures.keys().filter(|name| *name != "l2_echo_per_s").count();
    assert_eq!(count, if has_two_cores() { 7 } else { 4 }, "{figures:?}");
    assert!(figures.values().all(|figure| figure.as_f64() > Some(0.0)), "{figures:?}");
}

#[test]
fn quick_table_is_right_also_while_it_grows_and_reports_the_agreed_keys() {
    for planned in ["", " --planned 2000"] {
        let report = report(&format!("table --quick{planned} --json"));
        assert_eq!(keys(&report), BTreeSet::from(KEYS));
        assert_eq!(report["checks"]["ok"], true, "{report}");
        assert_eq!(report["args"]["ports"], 50_000);
        let figures = report["figures"].as_object().expect("an object");
        for name in ["register_per_s", "query_per_s", "query_free_per_s", "unregister_per_s"] {
            assert!(figures[name].as_u64() > Some(0), "{report}");
            assert!(report["ratios"][name]["random-lines"].is_number(), "{report}");
        }
        let is_growing = !planned.is_empty();
        assert_eq!(figures.len(), 14 + usize::from(is_growing), "{figures:?}");
        // What is as long each time is no longer than the longest of any call.
        let repeated = figures.get("register_stall_repeated_us").and_then(Value::as_f64);
        assert_eq!(repeated.is_some(), is_growing, "{figures:?}");
        assert!(repeated.is_none_or(|us| us > 0.0), "{figures:?}");
        let longest = figures["stall_core_us"].as_f64().map(|us| us + 1.0);
        assert!(repeated <= longest, "{figures:?}");
        assert_eq!(figures["moves_per_burst_max"].as_u64() > Some(0), !planned.is_empty());
    }
}

#[test]
fn without_json_the_table_is_on_standard_output() {
    let output = run("limits --quick");
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.contains("random_lines_per_s") && table.contains("result right"), "{table}");
}

#[test]
fn bad_arguments_exit_2_and_say_what_would_be_right() {
    for (line, right) in [
        ("rr --queue kernel --size 7", "8..=65536"),
        ("rr --queue kernel --vs kernel,kernel --quick", "once"),
        ("rr --queue carrier-pigeon", "kernel"),
        ("rr --queue veth --cores 1", "--cores 2"),
        ("connect --queue mem --attach sideways", "generic"),
        ("ports --vs redis,redis", "once"),
        ("ports --memory 5000", "smaller one first"),
        ("ports --memory 6000,5000", "smaller one first"),
        ("ports --ports 100000 --name-bytes 4", "65536"),
        ("ports --name-bytes 1025", "4..=1024"),
        ("messages --vs nats,nats", "once"),
        ("messages --batch 200 --window 100", "a batch at least"),
        ("messages --ports 4", "a port for each receiver"),
        ("messages --size 4096", "--window 512"),
        ("messages --size 15", "16..=4096"),
        ("nonsense", "--help"),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(right), "{line}: {}", stderr(&output));
    }
}

#[test]
fn kernel_against_itself_on_one_core_compares_with_a_ratio() {
    let report = report("rr --queue kernel --cores 1 --quick --connections 4 --vs kernel --json");
    assert_eq!(report["checks"]["ok"], true);
    let median = |side: &Value| side["figures"]["transactions_per_s_core"].as_f64();
    let (ours, theirs) = (median(&report), median(&report["peers"][0]));
    let expected = ours.expect("a number") / theirs.expect("a number");
    let ratio = &report["ratios"]["transactions_per_s_core"]["kernel-epoll"];
    let ratio = ratio.as_f64().expect("a number");
    assert!((ratio - expected).abs() < 0.002, "{ratio} is not {expected}");
}

#[test]
fn too_few_rounds_for_a_comparison_are_said_to_be_too_few() {
    let output = run("rr --queue kernel --cores 1 --quick --connections 4 --vs kernel");
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.contains("2 rounds: too few"), "{table}");
}

/// The processes whose parent is `parent`.
fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("it is mounted");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name before it may hold spaces, but ends with the last parenthesis.
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after_name.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}

#[test]
fn ctrl_c_ends_the_run_and_the_serving_process() {
    if !has_two_cores() {
        eprintln!("SKIPPED: one core is allowed here, and one core needs no second process");
        return;
    }
    let mut child = bench()
        .args("rr --queue kernel --seconds 600 --connections 4".split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    let deadline = Instant::now() + Duration::from_secs(60);
    let servers = loop {
        let servers = children_of(child.id());
        if !servers.is_empty() {
            break servers;
        }
        assert!(Instant::now() < deadline, "no server in a minute");
        thread::yield_now();
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("pids are small"));
    kill(pid, Signal::SIGINT).expect("it runs");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    for server in servers {
        assert!(!fs::exists(format!("/proc/{server}")).expect("it is mounted"), "{server} stays");
    }
}
