//! A switch as a process of its own, for tests of clients.
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use client::Config;
use client::blocking::Client;

pub(crate) const LONG: Duration = Duration::from_secs(10);

/// The daemon: named by `BYPSSD`, else beside the tests.
fn program() -> Option<PathBuf> {
    let beside = || {
        let test = std::env::current_exe().ok()?;
        Some(test.parent()?.parent()?.join("bypssd"))
    };
    let path = std::env::var_os("BYPSSD").map(PathBuf::from).or_else(beside)?;
    let is_there = path.is_file();
    if !is_there {
        let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|word| word == "bypssd"), "{} is missing", path.display());
        eprintln!("skipped: there is no {}; build it or set BYPSSD", path.display());
    }
    is_there.then_some(path)
}

pub(crate) struct Switch {
    child: Child,
    pub(crate) address: String,
}

impl Switch {
    #[allow(dead_code, reason = "not every file of tests uses it")]
    pub(crate) fn dev() -> Option<Self> {
        Self::dev_for("1024")
    }

    /// For so many ports, and four times as many at most.
    #[allow(dead_code, reason = "not every file of tests uses it")]
    pub(crate) fn dev_for(ports: &str) -> Option<Self> {
        Self::start(&["dev", "--listen", "127.0.0.1:0", "--for", "120", "--ports", ports])
    }

    pub(crate) fn start(args: &[&str]) -> Option<Self> {
        let mut child = Command::new(program()?)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let ready = lines.map_while(Result::ok).find(|line| line.starts_with("ready"));
        let ready = ready.expect("it says that it is ready");
        let address = ready.split([' ', ',', '=']).find(|word| word.starts_with("127.0.0.1:"));
        let address = address.unwrap_or_else(|| panic!("{ready} has no address")).to_owned();
        Some(Self { child, address })
    }

    /// Runs with a configuration, in a folder that holds it. Its metrics are anywhere.
    #[allow(dead_code, reason = "not every file of tests uses it")]
    pub(crate) fn run(folder: &Path, text: &str) -> Option<Self> {
        let file = folder.join("bypssd.toml");
        let text = format!("{text}[metrics]\naddress = \"127.0.0.1:0\"\n");
        std::fs::write(&file, text).expect("the folder is there");
        Self::start(&["run", file.to_str().expect("it is text"), "--for", "120"])
    }

    #[allow(dead_code, reason = "not every file of tests uses it")]
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, and waits until it has.
    #[allow(dead_code, reason = "not every file of tests uses it")]
    pub(crate) fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().expect("there is kill");
        assert!(asked.success(), "{asked}");
        self.child.wait().expect("it ends");
    }

    #[allow(dead_code, reason = "not every file of tests uses it")]
    pub(crate) fn client(&self, node: &str) -> Client {
        let client = Client::start(Config::new(&self.address, node), None).expect("it starts");
        client.connect(LONG).expect("the switch is there");
        client
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
