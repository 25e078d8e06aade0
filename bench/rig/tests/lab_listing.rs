//! The benchmark `listing` as it is run, with the real tool.
//!
//! It needs two cores and `abelectl` beside `abele-bench`. What is not there is said loudly and
//! skipped; what `ABELE_REQUIRE` names of `cores` and `abelectl` must be there.

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
    let has_tool = Path::new(BENCH).with_file_name("abelectl").is_file();
    let needs = [("cores", has_cores), ("abelectl", has_tool)];
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
fn quick_listing_holds_every_connection_once_beside_round_trips_that_lose_nothing() {
    if !has_all("quick_listing_holds_every_connection_once_beside_round_trips_that_lose_nothing") {
        return;
    }
    // Without root the file lies in the user's own folder.
    let own = tempfile::tempdir().expect("a folder");
    let output = Command::new(BENCH)
        .args("listing --connections 1500 --active 20 --quick --json".split(' '))
        .env("XDG_RUNTIME_DIR", own.path())
        .output()
        .expect("the program was built");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let (figures, checks) = (&report["figures"], &report["checks"]);
    assert_eq!(checks["ok"], true, "{report}");
    assert!(checks["listings"].as_u64() >= Some(2), "{report}");
    for wrong in ["bytes_lost", "connections_lost", "listings_failed", "rounds_unlisted"] {
        assert_eq!(checks[wrong], 0, "{report}");
    }
    for wrong in ["rows_missing", "rows_twice", "rows_wrong", "walk_looks_too_many"] {
        assert_eq!(checks[wrong], 0, "{report}");
    }
    assert_eq!(figures["rows"], 1_520, "{report}");
    for figure in ["rate_ratio", "core_rate_ratio", "listing_ms", "walk_looks_per_turn_max"] {
        assert!(figures[figure].as_f64() > Some(0.0), "{figure}: {report}");
    }
    assert!(report["ratios"]["transactions_per_s_core"]["quiet"].is_number(), "{report}");
    assert_eq!(report["rounds"], 2, "{report}");
}
