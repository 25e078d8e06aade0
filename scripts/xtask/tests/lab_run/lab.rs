//! A place of its own for each test: a folder for temporary files, which also marks its processes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use tempfile::TempDir;

/// The longest that a run takes to say something, and what it leaves takes to vanish.
const PATIENCE: Duration = Duration::from_secs(120);

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().expect("this crate lies in the workspace")
}

/// The gateway: the one that ABELE_GATEWAY names, else the one that the script builds.
pub(crate) fn gateway() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(named) = std::env::var_os("ABELE_GATEWAY") {
            return named.into();
        }
        let output = Command::new(env!("CARGO"))
            .args(["build", "--release", "--locked", "--workspace", "--bin", "abele-gateway"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(root())
            .output()
            .expect("cargo runs this test");
        let text = String::from_utf8(output.stdout).expect("JSON is text");
        let messages = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut programs = messages.filter_map(|m| m["executable"].as_str().map(PathBuf::from));
        let said = String::from_utf8_lossy(&output.stderr);
        programs
            .find(|program| program.ends_with("abele-gateway"))
            .unwrap_or_else(|| panic!("{said}"))
    })
}

fn skip(test: &str, what: &str, why: &str) {
    let required = std::env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == what);
    assert!(!is_required, "ABELE_REQUIRE names {what}, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// Whether the test must be left out, for want of root's rights.
pub(crate) fn skip_without_root(test: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        skip(test, "root", "it needs root");
    }
    !is_root
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct End {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl End {
    /// The last line of standard output.
    pub(crate) fn report(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("{}", self.stderr));
        serde_json::from_str(last).expect("the last line is one JSON object")
    }
}

/// A run that was started.
#[derive(Debug)]
pub(crate) struct Run {
    child: Child,
    began: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Run {
    /// Waits until standard error holds `text`.
    pub(crate) fn await_text(&self, text: &str) {
        while !self.said().contains(text) {
            assert!(self.began.elapsed() < PATIENCE, "no \"{text}\" in {}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What is on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.stderr).expect("it was made for this run")
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process numbers are small"))
    }

    /// Sends a signal to the script alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.id(), signal).expect("it runs");
    }

    /// Sends a signal to all in the foreground, as the terminal does for Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        killpg(self.id(), signal).expect("it runs");
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> End {
        let status = self.child.wait().expect("it is a child of this process");
        End {
            code: status.code(),
            stdout: fs::read_to_string(&self.stdout).expect("it was made for this run"),
            stderr: self.said(),
            took: self.began.elapsed(),
        }
    }
}

impl Drop for Run {
    /// A test that fails in between leaves no run behind: what holds the lab together is killed.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().expect("it runs");
            self.child.wait().expect("it was killed");
        }
    }
}

/// The place of one test.
#[derive(Debug)]
pub(crate) struct Lab {
    /// What the runs get as TMPDIR: by this their processes are known again.
    temporary: TempDir,
    /// Programs and output.
    aside: TempDir,
    /// Network namespaces that were seen.
    namespaces: RefCell<BTreeSet<String>>,
    /// Processes of runs that were started, and with them the names of their gateways' instances.
    started: RefCell<Vec<u32>>,
    /// Files in memory that were seen to hold what a gateway shows its tools.
    words: RefCell<BTreeSet<PathBuf>>,
}

impl Drop for Lab {
    /// The folders are removed when nobody writes into them any more; also what a run has left that
    /// the test has killed.
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.processes().is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        self.note_what_runs();
        for file in self.instances().iter().flat_map(|folder| files_in(folder)).chain(self.words())
        {
            fs::remove_file(file).ok();
        }
        for folder in self.instances() {
            fs::remove_dir(folder).ok();
        }
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    // There may be no such folder, and others may close theirs.
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

impl Lab {
    /// A place, if the machine lets a lab be made.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let probe = Command::new(root().join("scripts/lab")).args(["tap", "--", "true"]).output();
        let probe = probe.expect("bash is there");
        if !probe.status.success() {
            skip(test, "tap", String::from_utf8_lossy(&probe.stderr).trim());
            return None;
        }
        let folder = || {
            let folder = tempfile::tempdir().expect("a folder for the test");
            // An ordinary user works in it too.
            let everybody = fs::Permissions::from_mode(0o1777);
            fs::set_permissions(folder.path(), everybody).expect("it is ours");
            folder
        };
        Some(Self {
            temporary: folder(),
            aside: folder(),
            namespaces: RefCell::default(),
            started: RefCell::default(),
            words: RefCell::default(),
        })
    }

    /// Starts the script.
    pub(crate) fn start(&self, arguments: &[&str]) -> Run {
        self.start_with(arguments, gateway())
    }

    /// Starts the script with another gateway.
    pub(crate) fn start_with(&self, arguments: &[&str], gateway: &Path) -> Run {
        let mut command = Command::new(root().join("scripts/run"));
        command.args(arguments).env("ABELE_GATEWAY", gateway);
        self.spawn(command)
    }

    /// Starts the script as an ordinary user, in a mount namespace where `device`, a shell's
    /// line, has made what there is in /dev/net. `scripts` are those of [`Self::copy_scripts`].
    pub(crate) fn start_as_nobody(&self, scripts: &Path, device: &str, arguments: &[&str]) -> Run {
        let line = format!(
            "mount -t tmpfs none /dev/net && {device} && exec setpriv --reuid 65534 \
             --regid 65534 --clear-groups -- \"$0\" \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &line]).arg(scripts.join("run")).args(arguments);
        command.env_remove("HOME").env_remove("CARGO_HOME");
        command.env("ABELE_GATEWAY", scripts.join("abele-gateway"));
        self.spawn(command)
    }

    /// Starts the script as root where there is no /dev/net/tun.
    pub(crate) fn start_without_device(&self, arguments: &[&str]) -> Run {
        self.start_after("mount -t tmpfs none /dev/net", arguments)
    }

    /// Starts the script as root where its files find so much room only.
    pub(crate) fn start_on_a_small_disk(&self, size: &str, arguments: &[&str]) -> Run {
        let mount = format!("mount -t tmpfs -o size={size} none \"$TMPDIR\"");
        self.start_after(&mount, arguments)
    }

    /// Starts the script as root with a folder for its files that is not there.
    pub(crate) fn start_without_folder(&self, arguments: &[&str]) -> Run {
        self.start_after("export TMPDIR=\"$TMPDIR/none\"", arguments)
    }

    /// Starts the script as root once `preparation` was done to its file systems alone.
    fn start_after(&self, preparation: &str, arguments: &[&str]) -> Run {
        let line = format!("{preparation} && exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &line]);
        command.arg(root().join("scripts/run")).args(arguments);
        command.env("ABELE_GATEWAY", gateway());
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Run {
        static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = |kind: &str| self.aside.path().join(format!("{kind}.{number}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let child = command
            .env("TMPDIR", self.temporary.path())
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a new file"))
            .stderr(File::create(&stderr).expect("a new file"))
            .process_group(0)
            .spawn()
            .expect("bash is there");
        self.started.borrow_mut().push(child.id());
        Run { child, began: Instant::now(), stdout, stderr }
    }

    /// A copy of what the script consists of, and of the gateway, that everybody may read.
    pub(crate) fn copy_scripts(&self) -> PathBuf {
        let folder = self.aside.path().join("scripts");
        let status = Command::new("cp")
            .args(["-r", "--preserve=mode"])
            .args([root().join("scripts"), self.aside.path().to_owned()])
            .status();
        assert!(status.expect("cp is there").success());
        fs::copy(gateway(), folder.join("abele-gateway")).expect("it can be read");
        folder
    }

    /// A program of this text.
    pub(crate) fn program(&self, name: &str, text: &str) -> PathBuf {
        let file = self.aside.path().join(name);
        fs::write(&file, text).expect("a new file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it is ours");
        file
    }

    /// Runs a shell's line where the first line that the script offers for another terminal leads.
    pub(crate) fn inside(&self, run: &Run, line: &str) -> String {
        self.note_what_runs();
        let said = run.said();
        let offer = said.lines().find(|line| line.trim().starts_with("nsenter"));
        let (enter, _) = offer.and_then(|offer| offer.split_once(" curl")).expect("it has one");
        let output = Command::new("sh").args(["-c", &format!("{enter} {line}")]).output();
        let output = output.expect("a shell is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Every process of this test's runs: its number and its command line.
    fn processes(&self) -> Vec<(i32, String)> {
        let mark = format!("TMPDIR={}\0", self.temporary.path().display());
        let entries = fs::read_dir("/proc").expect("it is mounted");
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let marked = numbers.filter_map(|number: i32| {
            let environment = fs::read(format!("/proc/{number}/environ")).ok()?;
            let is_ours = String::from_utf8_lossy(&environment).contains(&mark);
            let line = fs::read(format!("/proc/{number}/cmdline")).ok()?;
            is_ours.then(|| (number, String::from_utf8_lossy(&line).replace('\0', " ")))
        });
        marked.collect()
    }

    /// Sends a signal to the gateway alone; SIGKILL ends it as a crash would.
    pub(crate) fn signal_gateway(&self, signal: Signal) {
        self.note_what_runs();
        let mut processes = self.processes().into_iter();
        let gateway = processes.find(|(_, line)| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.windows(2).any(|two| two[0] == "run" && two[1].ends_with("/abele-gateway.toml"))
        });
        let (number, _) = gateway.expect("it runs");
        kill(Pid::from_raw(number), signal).expect("it is of the same user");
    }

    /// Remembers the network namespaces of what runs now, and the files of its gateways.
    pub(crate) fn note_what_runs(&self) {
        for folder in self.instances() {
            // On a memory file system it is no link.
            self.words.borrow_mut().extend(fs::read_link(folder.join("stats")).ok());
        }
        let own = fs::read_link("/proc/self/ns/net").expect("Linux has it");
        for (number, _) in self.processes() {
            // A process may have ended in between.
            let Ok(link) = fs::read_link(format!("/proc/{number}/ns/net")) else { continue };
            if link != own {
                let name = link.to_string_lossy();
                let digits: String = name.chars().filter(char::is_ascii_digit).collect();
                self.namespaces.borrow_mut().insert(digits);
            }
        }
    }

    /// The temporary folders that are left.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.temporary.path()).expect("it is there");
        entries.map(|entry| entry.expect("it can be read").path()).collect()
    }

    /// No process, namespace or device of a run is there any more.
    pub(crate) fn assert_no_process_left(&self) {
        // What a kill leaves to the kernel takes a moment.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let (processes, namespaces) = (self.processes(), self.namespaces_left());
            if processes.is_empty() && namespaces.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left: {processes:?}, namespaces {namespaces:?}");
            thread::sleep(Duration::from_millis(50));
        }
        self.namespaces.borrow_mut().clear();
        let links = Command::new("ip").args(["-o", "link"]).output().expect("ip is there");
        let links = String::from_utf8_lossy(&links.stdout).into_owned();
        assert!(!links.contains("abele0"), "{links}");
    }

    fn namespaces_left(&self) -> Vec<String> {
        let output = Command::new("lsns").args(["-n", "-r", "-t", "net", "-o", "NS"]).output();
        let output = output.expect("lsns is there");
        let there = String::from_utf8_lossy(&output.stdout).into_owned();
        let seen = self.namespaces.borrow();
        there.lines().map(|line| line.trim().to_owned()).filter(|ns| seen.contains(ns)).collect()
    }

    /// The folders of this test's gateways, in which they show the tools what they do.
    pub(crate) fn instances(&self) -> Vec<PathBuf> {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(|own| Path::new(&own).join("abele"));
        let places = [Some(PathBuf::from("/run/abele")), own].into_iter().flatten();
        let started = self.started.borrow();
        let is_ours = |folder: &PathBuf| {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let name = name.strip_prefix("abele-run.").unwrap_or_default();
            let process = name.split('.').next().and_then(|process| process.parse().ok());
            process.is_some_and(|process| started.contains(&process))
        };
        places.flat_map(|place| files_in(&place)).filter(is_ours).collect()
    }

    /// The files in memory that were seen and are left.
    pub(crate) fn words(&self) -> Vec<PathBuf> {
        self.words.borrow().iter().filter(|file| file.exists()).cloned().collect()
    }

    /// Nothing of any run is there any more, not even a file.
    pub(crate) fn assert_nothing_left(&self) {
        self.assert_no_process_left();
        assert!(self.folders().is_empty(), "{:?}", self.folders());
        assert!(self.instances().is_empty(), "{:?}", self.instances());
        assert!(self.words().is_empty(), "{:?}", self.words());
    }
}
