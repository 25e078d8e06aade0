//! The binary as a script meets it: arguments in, exit code and lines out.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Output, Stdio};

use crate::client::Client;
use crate::daemon::{bypssd, folder};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/bypssd.example.toml");

fn run(arguments: &[&str]) -> Output {
    bypssd().args(arguments).output().expect("the binary was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_example_passes_the_check_and_its_plan_is_printed() {
    let output = run(&["check", EXAMPLE]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let plan = text(&output.stdout);
    for line in
        ["listener   127.0.0.1:7400, this machine only", "1,048,576 ports: 44.3 MiB at start"]
    {
        assert!(plan.contains(line), "{line} is not in:\n{plan}");
    }
}

#[test]
fn a_plan_that_nobody_reads_to_its_end_is_right_all_the_same() {
    for _try in 0..20 {
        let child = bypssd().args(["check", EXAMPLE]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the binary was built for this test");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
}

#[test]
fn a_wrong_configuration_is_refused_by_check_and_run_alike() {
    let folder = folder();
    let file = folder.path().join("f").display().to_string();
    std::fs::write(&file, "nmae = \"a\"\n[lease]\nlease_ms = 1\n").unwrap();
    for command in ["check", "run"] {
        let output = run(&[command, &file]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command}");
        let told = text(&output.stderr);
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        assert!(lines[0].starts_with(&format!("{file}:1:1: nmae: ")), "{told}");
        assert!(lines[1].starts_with(&format!("{file}:3:12: lease.lease_ms: ")), "{told}");
    }
    let missing = folder.path().join("missing").display().to_string();
    let output = run(&["check", &missing]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with(&format!("{missing}: cannot be read: ")));
}

#[test]
fn arguments_are_judged_and_the_version_is_told() {
    for wrong in [
        &["check"][..],
        &["fly"],
        &["run", EXAMPLE, "--for", "0"],
        &[],
        &["dev", "--listen", "0.0.0.0:7400"],
        &["dev", "--listen", "127.0.0.1:0", "--ports", "5"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("bypssd "));
}

#[test]
fn dev_prints_what_it_is_serves_at_once_and_ends_by_itself() {
    let mut command = bypssd();
    command.args(["dev", "--listen", "127.0.0.1:0", "--ports", "4096", "--for", "2"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut plan = String::new();
    let ready = loop {
        let mut line = String::new();
        assert!(out.read_line(&mut line).unwrap() > 0, "{plan}");
        if line.starts_with("ready: ") {
            break line;
        }
        plan.push_str(&line);
    };
    assert!(plan.contains("grants at once: UNSAFE"), "{plan}");
    let address = ready.split("listening on ").nth(1).unwrap().split(',').next().unwrap();
    let mut a = Client::session(address.parse().unwrap(), "a");
    assert_eq!(a.register(&["port"]).unwrap().granted, 1);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("workers=1") && !log.contains("None") && !log.contains("[]"), "{log}");
}
