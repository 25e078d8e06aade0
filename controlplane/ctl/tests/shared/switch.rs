//! A real switch for one test, and commands at it.
#![allow(dead_code, reason = "each test file uses some of it")]
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) struct Switch {
    pub(crate) child: Child,
    pub(crate) address: String,
}

/// The daemon: named by `BYPSSD`, else beside the tests.
fn program() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_abelectl")).with_file_name("bypssd");
    let path = std::env::var_os("BYPSSD").map_or(beside, PathBuf::from);
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == "bypssd"), "{} is missing", path.display());
    eprintln!("skipped: there is no {}; build it or set BYPSSD", path.display());
    None
}

impl Switch {
    pub(crate) fn dev() -> Option<Self> {
        Self::listening("127.0.0.1:0", "1024")
    }

    /// For so many ports, and four times as many at most.
    pub(crate) fn dev_for(ports: &str) -> Option<Self> {
        Self::listening("127.0.0.1:0", ports)
    }

    fn listening(address: &str, ports: &str) -> Option<Self> {
        Self::started(&["dev", "--listen", address, "--for", "60", "--ports", ports])
    }

    /// One of a configuration, which listens where there is room and grants at once.
    pub(crate) fn of(text: &str) -> Option<(Self, tempfile::TempDir)> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("bypssd.toml");
        let begin = "[[listener]]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n\
                     [ports]\nplanned = 1024\nmax = 1024\n[lease]\nlease_ms = 1000\ngrace = \"none\"\n";
        std::fs::write(&file, format!("{begin}{text}")).expect("the folder is ours");
        let file = file.to_str().expect("it is text");
        Some((Self::started(&["run", file, "--for", "60"])?, folder))
    }

    /// One that listens there, and grants nothing before every lease of the one before it is over.
    pub(crate) fn patient(address: &str) -> Option<(Self, tempfile::TempDir)> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("bypssd.toml");
        let text = format!(
            "[[listener]]\naddress = \"{address}\"\n[metrics]\nenabled = false\n\
             [ports]\nplanned = 1024\nmax = 1024\n[lease]\nlease_ms = 2000\n"
        );
        std::fs::write(&file, text).expect("the folder is ours");
        let file = file.to_str().expect("it is text");
        Some((Self::started(&["run", file, "--for", "60"])?, folder))
    }

    fn started(args: &[&str]) -> Option<Self> {
        let mut command = Command::new(program()?);
        let child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let ready = lines.map_while(Result::ok).find(|line| line.starts_with("ready"));
        let ready = ready.expect("it says that it is ready");
        let address = ready.split([' ', ',', '=']).find(|word| word.starts_with("127.0.0.1:"));
        let address = address.expect("it says where").to_owned();
        Some(Self { child, address })
    }

    /// Another of the same address, after the one before was killed.
    pub(crate) fn again(&mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it ends");
        let again = Self::listening(&self.address, "1024").expect("it was there before");
        *self = again;
    }

    pub(crate) fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        told(&abelectl(&self.address, args).output().expect("the program was built"))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn abelectl(address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abelectl"));
    command.arg("switch").args(args).env("BYPSS_ENDPOINTS", address);
    command
}

pub(crate) fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A command that runs beside the test, with its output.
pub(crate) fn spawn(switch: &Switch, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = abelectl(&switch.address, args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program was built");
    let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    (child, lines)
}

pub(crate) fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    lines.next().expect("a line comes").expect("it is text")
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process has such an id");
    kill(Pid::from_raw(pid), signal).expect("it lives");
}

/// Waits until a port is held.
pub(crate) fn until_held(switch: &Switch, port: &str) {
    until(switch, port, &["port", port]);
}

/// Waits until a command is right.
pub(crate) fn until(switch: &Switch, what: &str, args: &[&str]) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        if switch.run(args).0 == Some(0) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} is never held");
}
