//! The binary as a script meets it: arguments in, exit code and lines out.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/abele-gateway.example.toml");

fn gateway(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abele-gateway"));
    command.args(arguments).output().expect("the binary was built for this test")
}

fn written(folder: &Path, text: &str) -> String {
    let file = folder.join("abele.toml");
    fs::write(&file, text).expect("the folder is ours");
    file.display().to_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_example_passes_the_check_and_its_plan_is_printed() {
    let output = gateway(&["check", EXAMPLE]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let plan = text(&output.stdout);
    for line in ["address    fd77::2/64", "route      0.0.0.0/0 through 10.77.0.1", "  sum "] {
        assert!(plan.contains(line), "{line} is not in:\n{plan}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_by_check_and_run_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "addresses = [\"10.77.0.2\"]\n[tcp]\nwindow = 1\n");
    for command in ["check", "run"] {
        let output = gateway(&[command, &file]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command}");
        let told = text(&output.stderr);
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 3, "{told}");
        assert!(lines[1].starts_with(&format!("{file}:1:14: addresses: ")), "{told}");
        assert!(lines[2].starts_with(&format!("{file}:3:10: tcp.window: ")), "{told}");
    }
}

#[test]
fn a_file_that_is_none_is_a_wrong_argument() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.toml").display().to_string();
    let is_folder = folder.path().display().to_string();
    for file in [missing, is_folder] {
        let output = gateway(&["check", &file]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).starts_with(&format!("{file}: cannot be read: ")));
    }
}

#[test]
fn an_address_of_the_machine_is_what_the_machine_lacks() {
    // Any address that the kernel has and that could be a gateway's; a namespace may have none.
    let host = nix::ifaddrs::getifaddrs().unwrap().find_map(|entry| {
        let address = entry.address?.as_sockaddr_in()?.ip();
        (!address.is_loopback()).then_some(address)
    });
    let Some(address) = host else {
        eprintln!("SKIPPED: this network namespace has no IPv4 address but loopback's");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = format!("addresses = [\"{address}/32\"]\n[[listener]]\nprotocol = \"echo\"\n");
    let output = gateway(&["check", &written(folder.path(), &config)]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains(&format!("the kernel has {address} itself")));
}

#[test]
fn arguments_are_judged_and_the_version_is_told() {
    for wrong in [&["check"][..], &["fly"], &["run", EXAMPLE, "--for", "0"], &[]] {
        assert_eq!(gateway(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let output = gateway(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("abele-gateway "));
}
