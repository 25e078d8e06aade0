//! The benchmark `messages` as it is run, with the real daemon and the real nats-server.
//!
//! It needs two cores, `bypssd` beside `abele-bench`, and nats-server. What is not there is said
//! loudly and skipped; what `ABELE_REQUIRE` names of `cores`, `bypssd` and `nats` must be there.

use std::env;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_abele-bench");

/// Whether the test can run, with nats-server or without; if not, it is said.
#[expect(clippy::print_stderr, reason = "a skipped test is told")]
fn has_all(needs_nats: bool, test: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(Into::into));
    let needs = [
        ("cores", thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2)),
        ("bypssd", Path::new(BENCH).with_file_name("bypssd").is_file()),
        ("nats", !needs_nats || folders.any(|folder| folder.join("nats-server").is_file())),
    ];
    let Some((lacking, _)) = needs.into_iter().find(|(_, is_there)| !is_there) else {
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

/// The report of a run that must end well, with every message where it belongs.
fn report(line: &str) -> Value {
    let output = run(line);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["checks"]["ok"], true, "{report}");
    for wrong in ["garbled", "misrouted", "disordered", "lost", "dropped"] {
        assert_eq!(report["checks"][wrong], 0, "{wrong}: {report}");
    }
    assert!(report["checks"]["messages"].as_u64() > Some(1_000), "{report}");
    report
}

fn assert_positive(figures: &Value, names: &[&str]) {
    for name in names {
        assert!(figures[name].as_f64() > Some(0.0), "{name}: {figures}");
    }
}

const RATES: [&str; 3] = ["messages_per_s_core", "others_per_s_core", "stalled_others_per_s_core"];
const LATENCIES: [&str; 4] =
    ["request_p50_ns", "request_p99_ns", "request_blocking_p50_ns", "request_blocking_p99_ns"];

#[test]
fn quick_messages_all_come_once_and_in_order_beside_nats() {
    if !has_all(true, "quick_messages_all_come_once_and_in_order_beside_nats") {
        return;
    }
    let report = report("messages --quick --vs nats --json");
    let theirs = &report["peers"][0];
    assert_eq!(theirs["name"], "nats", "{report}");
    for figures in [&report["figures"], &theirs["figures"]] {
        assert_positive(figures, &RATES);
        assert_positive(figures, &LATENCIES);
    }
    for figure in ["messages_per_s_core", "request_p50_ns", "request_blocking_p50_ns"] {
        assert!(report["ratios"][figure]["nats"].is_number(), "{figure}: {report}");
    }
    assert_positive(&report["limits"], &["loopback_bytes_per_s"]);
    assert_eq!(report["rounds"], 2, "{report}");
}

#[test]
fn quick_messages_that_a_stalled_receiver_does_not_take_are_told_one_by_one() {
    if !has_all(false, "quick_messages_that_a_stalled_receiver_does_not_take_are_told_one_by_one") {
        return;
    }
    // Half of them go to the one that stalls: more than its queue and its sockets hold, unless the
    // machine is busy with something else.
    let line = "messages --quick --rounds 1 --receivers 2 --ports 2 --size 4096 --window 500";
    let dropped = (0..10).any(|_try| {
        let report = report(&format!("{line} --batch 250 --seconds 0.1 --json"));
        assert_positive(&report["figures"], &RATES);
        report["checks"]["dropped_to_stalled"].as_u64() > Some(0)
    });
    assert!(dropped, "the stalled receiver's queue was never full");
}

#[test]
fn quick_messages_with_long_names_and_odd_sizes_are_right_too() {
    if !has_all(false, "quick_messages_with_long_names_and_odd_sizes_are_right_too") {
        return;
    }
    // Names whose lengths take two bytes, and messages whose last word is not whole.
    let line = "messages --quick --rounds 1 --name-bytes 200 --size 131 --ports 1001";
    let report = report(&format!("{line} --senders 3 --receivers 5 --batch 7 --window 100 --json"));
    assert_positive(&report["figures"], &LATENCIES);
    assert_eq!(report["peers"], Value::Array(Vec::new()), "{report}");
}
