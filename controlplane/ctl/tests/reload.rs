//! `abelectl reload` where there is nobody to be asked, or nobody any more.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

fn reload(folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abelectl"));
    command.args(["reload", "--folder"]).arg(folder);
    command.output().expect("the binary was built for this test")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_a_gateway_it_says_so_and_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = reload(folder.path());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    let told = told(&output);
    assert!(told.starts_with("abelectl: no gateway runs: looked in "), "{told}");
    assert!(told.contains("abele-gateway run FILE"), "{told}");
}

#[test]
fn a_socket_without_a_tools_file_is_no_gateway() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lab")).unwrap();
    let _socket = UnixListener::bind(folder.path().join("lab/control")).unwrap();
    let output = reload(folder.path());
    assert_eq!(output.status.code(), Some(3));
    assert!(told(&output).contains("no gateway runs"), "{}", told(&output));
}
