//! The daemon as a process, with a folder of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// What every test of a running switch has: free ports, and no grace.
pub(crate) const FREE: &str = if IS_SPREAD {
    "\
    [[listener]]\n\
    address = \"127.0.0.1:0\"\n\
    [metrics]\n\
    address = \"127.0.0.1:0\"\n\
    [ports]\n\
    planned = 16384\n\
    shards = 5\n\
    [worker]\n\
    count = 2\n\
    idle = \"wait\"\n"
} else {
    "\
    [[listener]]\n\
    address = \"127.0.0.1:0\"\n\
    [metrics]\n\
    address = \"127.0.0.1:0\"\n\
    [ports]\n\
    planned = 16384\n\
    [worker]\n\
    idle = \"wait\"\n"
};

/// Whether the tests are those of a switch with several shards and workers: they are built twice.
pub(crate) const IS_SPREAD: bool = env!("CARGO_CRATE_NAME").len() > "served".len();

/// A lease that is over soon enough for a test, and long enough for a busy machine.
pub(crate) const NO_GRACE: &str = "[lease]\nlease_ms = 1000\ngrace = \"none\"\n";

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Daemon {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<ChildStderr>,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) epoch: u64,
    pub(crate) cluster: String,
    pub(crate) folder: TempDir,
}

pub(crate) fn bypssd() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bypssd"))
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

/// The word behind `before` in a line.
fn word<'a>(line: &'a str, before: &str) -> &'a str {
    let (_, rest) = line.split_once(before).unwrap_or_else(|| panic!("no {before} in {line}"));
    rest.split([',', ' ', '\n']).next().expect("a split has a first part")
}

impl Daemon {
    /// One with the free ports and no grace, and these lines besides.
    pub(crate) fn with(lines: &str) -> Self {
        Self::start(folder(), &format!("{lines}{FREE}{NO_GRACE}"), Stdio::piped())
    }

    /// One of exactly this file.
    pub(crate) fn start(folder: TempDir, text: &str, stderr: Stdio) -> Self {
        std::fs::write(folder.path().join("bypssd.toml"), text).expect("the folder is ours");
        Self::again(folder, stderr)
    }

    /// One of the file that is in the folder already.
    pub(crate) fn again(folder: TempDir, stderr: Stdio) -> Self {
        let mut command = bypssd();
        command.arg("run").arg(folder.path().join("bypssd.toml"));
        command.args(["--for", "120"]).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the binary was built for this test");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("it is text");
        let mut stderr = child.stderr.take();
        if !ready.starts_with("ready: ") {
            let mut told = String::new();
            stderr.as_mut().map(|stderr| stderr.read_to_string(&mut told));
            panic!("it is not ready: {ready}{told}");
        }
        let address = word(&ready, "listening on ").parse().expect("an address");
        let metrics = word(&ready, "metrics ").parse().expect("an address");
        let epoch = word(&ready, "epoch ").parse().expect("a number");
        let cluster = word(&ready, "cluster ").to_owned();
        Self { child, stdout, stderr, address, metrics, epoch, cluster, folder }
    }

    #[allow(dead_code, reason = "not both targets look at the process")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("bypssd.toml")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("it is our child");
    }

    /// Waits for its end: the status, and what it told on both outputs.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let (mut out, mut told) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).expect("it is text");
        self.stderr.as_mut().map(|stderr| stderr.read_to_string(&mut told));
        (status, out, told)
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> (ExitStatus, String, String) {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Kills it, and gives its folder back.
    pub(crate) fn die(mut self) -> TempDir {
        self.signal(Signal::SIGKILL);
        self.wait();
        std::mem::replace(&mut self.folder, folder())
    }

    /// What a page of the metrics says: the head and the body.
    pub(crate) fn page(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.metrics).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends");
        (head.to_owned(), body.to_owned())
    }

    /// The value of a metric.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (_, body) = self.page("/metrics");
        let line = body.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {body}"))
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "{what}: it never came\n{}",
                self.page("/metrics").1
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
