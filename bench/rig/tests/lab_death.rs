//! The benchmark `death` as it is run, with the real daemon.
//!
//! It needs two cores and `bypssd` beside `abele-bench`. What is not there is said loudly and
//! skipped; what `ABELE_REQUIRE` names of `cores` and `bypssd` must be there.

use std::env;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_abele-bench");

/// Whether the test can run; if not, it is said.
#[expect(clippy::print_stderr, reason = "a skipped test is told")]
fn has_all(test: &str) -> bool {
    let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2);
    let has_daemon = Path::new(BENCH).with_file_name("bypssd").is_file();
    let needs = [("cores", has_cores), ("bypssd", has_daemon)];
    let Some((lacking, _)) = needs.into_iter().find(|(_, is_there)| !is_there) else {
        return true;
    };
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|word| word.trim() == lacking);
    assert!(!is_required, "ABELE_REQUIRE names {lacking}, and {test} cannot run without");
    eprintln!("SKIPPED {test}: this machine lacks {lacking}");
    false
}

#[test]
fn quick_death_frees_every_port_at_the_end_of_the_exclusion_and_none_before() {
    const TEST: &str = "quick_death_frees_every_port_at_the_end_of_the_exclusion_and_none_before";
    if !has_all(TEST) {
        return;
    }
    let output = Command::new(BENCH)
        .args("death --quick --rate 2000 --json".split(' '))
        .output()
        .expect("the program was built");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(report["checks"]["ok"], true, "{report}");
    for wrong in ["granted_early", "dead_late", "refused", "mismatched"] {
        assert_eq!(report["checks"][wrong], 0, "{report}");
    }
    let figure = |name: &str| report["figures"][name].as_f64().unwrap_or(-1.0);
    for name in ["before_p99_ns", "sweep_p99_ns", "after_p99_ns", "sweep_ms", "sweep_answers"] {
        assert!(figure(name) > 0.0, "{name}: {report}");
    }
    // What the heir took before the sweep came to it, and one that it tried, are not swept.
    let swept = figure("ports_swept");
    assert!((18_900.0..=20_000.0).contains(&swept), "{swept}");
    assert!(figure("first_grant_us") >= 0.0 && figure("p99_moved_ns") >= 0.0, "{report}");
}
