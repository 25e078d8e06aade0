//! The doctor on whatever machine this is: exit codes, wrong arguments, JSON.
#![forbid(unsafe_code)]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

fn doctor(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abelectl"));
    command.arg("doctor").args(arguments).output().expect("the program was built")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_finding_has_a_level_a_value_and_a_source_and_the_exit_code_is_the_worst() {
    let output = doctor(&["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.len() > 20, "{report}");
    for finding in findings {
        let level = finding["level"].as_str().expect("text");
        assert!(["ok", "warn", "bad", "unknown"].contains(&level), "{finding}");
        assert!(!finding["value"].as_str().expect("text").is_empty(), "{finding}");
        assert!(!finding["sources"].as_array().expect("a list").is_empty(), "{finding}");
        let is_mended = !finding["mend"].as_str().expect("text").is_empty();
        let costs = !finding["costs"].as_str().expect("text").is_empty();
        assert!(level == "ok" || level == "unknown" || (is_mended && costs), "{finding}");
    }
    let count = |level: &str| findings.iter().filter(|it| it["level"] == level).count();
    let code = match (count("bad"), count("warn")) {
        (0, 0) => 0,
        (0, _) => 1,
        _some => 3,
    };
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    assert_eq!(report["summary"]["warn"], count("warn"), "{report}");
}

#[test]
fn an_interface_that_is_not_there_is_a_wrong_argument_that_names_those_that_are() {
    let output = doctor(&["--interface", "no-such-link"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let told = stderr(&output);
    assert!(told.contains("no interface \"no-such-link\"") && told.contains("lo"), "{told}");
}

#[test]
fn an_interface_of_the_configuration_that_is_not_there_is_a_finding() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("abele.toml");
    fs::write(&file, "[interface]\nkind = \"af_xdp\"\nname = \"no-such-link\"\n").unwrap();
    let output = doctor(&["--json", "--config", file.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let findings = report["findings"].as_array().expect("a list");
    let link = findings.iter().find(|it| it["rule"] == "nic.link").expect("it is judged");
    assert_eq!(link["level"], "bad", "{link}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_a_wrong_argument() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("abele.toml");
    let path = file.to_str().expect("text");
    assert_eq!(doctor(&["--config", path]).status.code(), Some(2));
    fs::write(&file, "[interface\n").unwrap();
    let output = doctor(&["--config", path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("abele-gateway check"), "{}", stderr(&output));
}

#[test]
fn a_tap_device_needs_no_card() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("abele.toml");
    fs::write(&file, "[interface]\nkind = \"tap\"\nname = \"abele0\"\n").unwrap();
    let output = doctor(&["--config", file.to_str().expect("text")]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("no interface: the gateway makes its TAP device itself\n"), "{told}");
}

#[test]
fn help_names_the_exit_codes_and_the_page() {
    let output = doctor(&["--help"]);
    let told = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
    for part in ["--interface", "--config", "--json", "TUNING.md", "1 warnings", "3 something"] {
        let is_there = told.split_whitespace().collect::<Vec<_>>().join(" ").contains(part);
        assert!(is_there, "{part}: {told}");
    }
}
