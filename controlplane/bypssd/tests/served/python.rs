//! The same daemon under a client that somebody else wrote from the protocol's page alone:
//! `scripts/bypss.py`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::daemon::{Daemon, FREE, NO_GRACE, folder};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/bypss.py");

/// Whether there is a Python; a machine that must have one fails here.
#[expect(clippy::print_stderr, reason = "what is skipped is said loudly")]
fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == "python3"), "ABELE_REQUIRE names python3");
    eprintln!("SKIPPED: there is no python3 (apt-get install python3)");
    false
}

fn client(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(CLIENT).args(["--endpoint", &daemon.address.to_string(), "--json"]);
    command.args(arguments);
    command
}

/// What it prints; it must end rightly.
fn said(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = client(daemon, arguments).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).expect("it is text")
}

/// One that goes on, and what it has printed first.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut child =
            client(daemon, arguments).stdout(Stdio::piped()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it is text");
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn ports_are_taken_held_found_and_watched() {
    if !has_python() {
        return;
    }
    let daemon = Daemon::with("");
    let registered = said(&daemon, &["--node", "a", "register", "x", "y"]);
    assert_eq!(registered.matches("\"granted\"").count(), 2, "{registered}");
    let found = said(&daemon, &["query", "x", "z"]);
    assert!(found.contains("\"owned\"") && found.contains("\"node\": \"a\""), "{found}");
    assert!(found.contains("\"name\": \"z\", \"state\": \"free\""), "{found}");
    assert!(found.contains(&format!("\"epoch\": {}", daemon.epoch)), "{found}");
    let mut watch = Running::start(&daemon, &["watch", "held:", "--count", "2"]);
    daemon.until("it watches", |daemon| daemon.metric("bypssd_switch_watchers") == 1);
    let mut hold = Running::start(&daemon, &["--node", "h", "hold", "held:1", "--for", "3"]);
    assert!(hold.line().contains("\"granted\""));
    let registered = watch.line();
    assert!(registered.contains("registered") && registered.contains("held:1"), "{registered}");
    // Its lease is renewed for as long as it holds.
    std::thread::sleep(std::time::Duration::from_millis(1_800));
    assert!(said(&daemon, &["ports", "held:"]).contains("\"node\": \"h\""));
    let ended = watch.line();
    assert!(ended.contains("released") || ended.contains("lost"), "{ended}");
    assert!(said(&daemon, &["status"]).contains("\"relets\""));
    assert_eq!(said(&daemon, &["ports", "held:"]), "");
    daemon.until("it has ended its session", |daemon| {
        daemon.metric("bypssd_switch_sessions_ended_total") == 1
    });
    assert!(!said(&daemon, &["nodes"]).contains("\"h\""), "its session has ended with it");
}

#[test]
fn more_names_than_a_batch_may_have_are_split() {
    if !has_python() {
        return;
    }
    // The session is left alone between the commands.
    let text = format!("{FREE}[lease]\nlease_ms = 20000\ngrace = \"none\"\n");
    let daemon = Daemon::start(folder(), &text, Stdio::piped());
    let names: Vec<String> = (0..12_000).map(|number| format!("many:{number}")).collect();
    for (command, state) in [("register", "\"granted\""), ("query", "\"owned\"")] {
        let mut arguments = vec!["--node", "a", command];
        arguments.extend(names.iter().map(String::as_str));
        let told = said(&daemon, &arguments);
        assert_eq!(told.matches(state).count(), names.len(), "{command}");
    }
}

#[test]
fn the_answer_to_a_batch_may_be_longer_than_a_frame() {
    if !has_python() {
        return;
    }
    let text = format!("{FREE}{NO_GRACE}[limits]\nframe_len = \"4 KiB\"\nmessage_len = 1024\n");
    let daemon = Daemon::start(folder(), &text, Stdio::piped());
    let names: Vec<String> = (1..=900).map(|number| number.to_string()).collect();
    let mut arguments = vec!["query"];
    arguments.extend(names.iter().map(String::as_str));
    let found = said(&daemon, &arguments);
    assert_eq!(found.matches("\"free\"").count(), names.len(), "{found}");
}

#[test]
fn messages_reach_who_listens_under_a_secret() {
    if !has_python() {
        return;
    }
    let folder = folder();
    let secret = folder.path().join("s");
    std::fs::write(&secret, "a secret of enough bytes\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[[access]]\nnode = \"*\"\nproof = \"secret\"\nsecret_file = \"s\"\n{FREE}{NO_GRACE}"
    );
    let daemon = Daemon::start(folder, &text, Stdio::piped());
    let secret = secret.display().to_string();
    let mut listen = Running::start(
        &daemon,
        &["--secret-file", &secret, "--node", "l", "listen", "inbox", "--count", "1"],
    );
    assert!(listen.line().contains("\"granted\""));
    let sent = said(&daemon, &["--secret-file", &secret, "send", "inbox", "hello there"]);
    assert!(sent.contains("\"delivered\": 1"), "{sent}");
    let message = listen.line();
    assert!(message.contains("hello there") && message.contains("inbox"), "{message}");
    let refused = client(&daemon, &["query", "inbox"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(1), "without the secret");
}
