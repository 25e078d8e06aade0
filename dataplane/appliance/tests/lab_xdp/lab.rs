//! A lab with a veth pair: the test is the kernel's end of the wire, the gateway has the other.

use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest that a right answer takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that a gateway takes to end by itself.
const GRACE: Duration = Duration::from_secs(3);

#[allow(clippy::print_stdout, reason = "what was measured is told")]
fn tell(told: &str) {
    println!("{told}");
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(test: &str, why: &str) {
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|what| what.trim() == "af_xdp");
    assert!(!is_required, "ABELE_REQUIRE names af_xdp, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// Runs `check` in a lab of its own: in this process if it lies in one, else in a second one.
/// `test` is the test's own path, as `steering::name`.
pub(crate) fn in_lab(test: &str, check: impl FnOnce()) {
    if env::var("ABELE_LAB").is_ok_and(|lab| lab == "veth") {
        return check();
    }
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/lab");
    let binary = env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(lab);
    command.args(["veth", "--"]).arg(binary).args(["--exact", test, "--nocapture"]);
    let output = command.output().expect("scripts/lab is there");
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    if output.status.code() == Some(3) {
        return skip(test, &told);
    }
    assert!(output.status.success(), "{test} failed in its lab: {told}");
    assert!(told.contains("1 passed"), "{test} is not the path of a test: {told}");
    tell(&told);
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command in the gateway's namespace.
pub(crate) fn beside_gateway(program: &str) -> Command {
    let namespace = env::var("ABELE_GATEWAY_NETNS").expect("the lab has one");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).arg("--").arg(program);
    command
}

/// Runs a program there, which must succeed; what it printed.
pub(crate) fn run_beside_gateway(line: &[&str]) -> String {
    let mut command = beside_gateway(line[0]);
    let output = command.args(&line[1..]).output().expect("nsenter is there");
    assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Runs a program at the kernel's end, which must succeed; what it printed.
pub(crate) fn run(line: &[&str]) -> String {
    let output = Command::new(line[0]).args(&line[1..]).output().expect("the lab needs it");
    assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The ordinary configuration: two workers on two queues, with what `sections` says besides.
/// `interface` are further keys of that section. Unless they say otherwise it ends as it stands, so
/// that what it has counted is what the test has done.
pub(crate) fn configuration(interface: &str, sections: &str) -> String {
    let drain = if sections.contains("[drain]") { "" } else { "[drain]\ntimeout_s = 0" };
    format!(
        "addresses = [\"10.77.0.2/24\", \"fd77::2/64\"]\n\
         [interface]\n\
         kind = \"af_xdp\"\n\
         xdp_mode = \"native\"\n\
         {interface}\n\
         [[listener]]\n\
         protocol = \"http\"\n\
         document_root = \"www\"\n\
         [[listener]]\n\
         protocol = \"echo\"\n\
         udp = true\n\
         {sections}\n\
         {drain}\n"
    )
}

/// A gateway of the test's own, ended with it.
pub(crate) struct Gateway {
    child: Child,
    lines: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

/// A folder with that configuration and one document, `index.html`.
pub(crate) fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::create_dir(folder.path().join("www")).expect("it is ours");
    fs::write(folder.path().join("www/index.html"), "hello from the lab").expect("it is ours");
    let instance = folder.path().file_name().expect("it has a name").to_string_lossy();
    let instance = instance.trim_start_matches('.');
    let file = format!("instance = \"{instance}\"\n{configuration}");
    fs::write(folder.path().join("abele.toml"), file).expect("it is ours");
    folder
}

pub(crate) fn command(folder: &tempfile::TempDir) -> Command {
    let mut command = beside_gateway(env!("CARGO_BIN_EXE_abele-gateway"));
    command.arg("run").arg(folder.path().join("abele.toml"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A copy of a file that everybody may read and run, gone with the value.
pub(crate) struct Copy(tempfile::TempDir);

impl Copy {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("copy")
    }
}

pub(crate) fn world_readable(file: &str) -> Copy {
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
    fs::copy(file, folder.path().join("copy")).expect("there is room for it");
    Copy(folder)
}

/// The same as [`refused`], of that gateway and below `wrapper`, in a folder that all may read.
pub(crate) fn gateway_as(wrapper: &[&str], gateway: &Path, configuration: &str) -> Output {
    let folder = folder(configuration);
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = beside_gateway(wrapper[0]);
    command.args(&wrapper[1..]).arg(gateway).arg("run").arg(folder.path().join("abele.toml"));
    command.args(["--for", "0.1"]).output().expect("nsenter is there")
}

/// Runs a gateway that is to end at once; what it said.
pub(crate) fn refused(configuration: &str) -> Output {
    let folder = folder(configuration);
    command(&folder).args(["--for", "0.1"]).output().expect("nsenter is there")
}

impl Gateway {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_with(configuration, &[])
    }

    /// The same, with further documents.
    pub(crate) fn start_with(configuration: &str, documents: &[(&str, Vec<u8>)]) -> Self {
        let folder = folder(configuration);
        for (name, bytes) in documents {
            fs::write(folder.path().join("www").join(name), bytes).expect("it is ours");
        }
        let log = fs::File::create(folder.path().join("log")).expect("it is ours");
        let mut child = command(&folder).stderr(log).spawn().expect("nsenter is there");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("it is text");
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(line.starts_with("ready: "), "{line}{log}");
        Self { child, lines, _folder: folder }
    }

    /// The name under which `abelectl` finds it.
    pub(crate) fn instance(&self) -> String {
        let name = self._folder.path().file_name().expect("it has a name").to_string_lossy();
        name.trim_start_matches('.').to_owned()
    }

    /// A file beside its configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self._folder.path().join(name)
    }

    /// Writes its configuration anew, as [`Gateway::start`] did.
    pub(crate) fn configure(&self, configuration: &str) {
        let file = format!("instance = \"{}\"\n{configuration}", self.instance());
        fs::write(self.path("abele.toml"), file).expect("it is ours");
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self._folder.path().join("log")).expect("it is ours")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("process numbers are small");
        kill(Pid::from_raw(pid), signal).expect("it is our child");
    }

    /// Ends it with SIGTERM; the summary that it printed.
    pub(crate) fn stop(self) -> String {
        self.log_after_stop().0
    }

    /// The same, with all that it has logged.
    pub(crate) fn log_after_stop(mut self) -> (String, String) {
        self.signal(Signal::SIGTERM);
        let mut summary = String::new();
        self.lines.read_to_string(&mut summary).expect("it is text");
        let status = self.child.wait().expect("it is our child");
        let log = self.log();
        assert_eq!(status.code(), Some(0), "{summary}{log}");
        (summary, log)
    }

    /// Waits until it ends by itself; its exit code and what it has logged.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        assert!(self.has_ended(), "it goes on: {}", self.log());
        (self.child.wait().expect("it is our child").code(), self.log())
    }

    /// Ends it with SIGKILL, as a crash would.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("it is our child");
    }

    /// Whether it ends within the time that a gateway takes at most which nobody asks.
    fn has_ended(&mut self) -> bool {
        let deadline = Instant::now() + GRACE;
        loop {
            let has_ended = !matches!(self.child.try_wait(), Ok(None));
            if has_ended || Instant::now() > deadline {
                return has_ended;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Gateway {
    /// It has ended, unless the test has failed. One that was killed has left files for the tools,
    /// which would stay for ever: no other is called like it.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::SIGTERM);
        }
        if !self.has_ended() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
        remove_instance(&self.instance());
    }
}

/// Removes what the gateway of that name shows the tools, once it runs no more.
fn remove_instance(name: &str) {
    let own = env::var_os("XDG_RUNTIME_DIR").map(|own| PathBuf::from(own).join("abele"));
    for place in [Some(PathBuf::from("/run/abele")), own].into_iter().flatten() {
        let folder = place.join(name);
        // Where the folder is no memory, the words lie elsewhere.
        if let Ok(words) = fs::read_link(folder.join("stats")) {
            fs::remove_file(words).ok();
        }
        fs::remove_dir_all(folder).ok();
    }
}

/// `abelectl`, which is built beside the gateway when the whole project is.
#[allow(clippy::print_stderr, reason = "a skipped part says so")]
pub(crate) fn abelectl() -> Option<PathBuf> {
    let tool = Path::new(env!("CARGO_BIN_EXE_abele-gateway")).with_file_name("abelectl");
    if tool.exists() {
        return Some(tool);
    }
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|what| what.trim() == "gateway");
    assert!(!is_required, "ABELE_REQUIRE names gateway, and {} is not built", tool.display());
    eprintln!("SKIPPED the tools: {} is not built; mend it: cargo build -p ctl", tool.display());
    None
}

/// What the tool prints of the gateway.
pub(crate) fn ask_tool(tool: &Path, gateway: &Gateway, line: &[&str]) -> String {
    let output = Command::new("timeout")
        .arg("10")
        .arg(tool)
        .args(line)
        .args(["--instance", &gateway.instance()])
        .output()
        .expect("coreutils are installed");
    let told = text(&output.stdout);
    assert!(output.status.success(), "{line:?}: {told}{}", text(&output.stderr));
    told
}

/// The values of counter `name` in a summary, in the order in which they stand: the total first,
/// then those of the workers that have counted it.
pub(crate) fn counted(summary: &str, name: &str) -> Vec<u64> {
    let words: Vec<&str> =
        summary.split([' ', ',', '\n']).filter(|word| !word.is_empty()).collect();
    let named = words.windows(2).filter(|pair| pair[0] == name);
    named.map(|pair| pair[1].parse().expect("a number follows its name")).collect()
}

/// Sends `question` and reads until the peer ends the connection; an error is text as well.
pub(crate) fn ask(address: &str, question: &[u8]) -> Result<String, std::io::Error> {
    let address: SocketAddr = address.parse().expect("the test writes addresses");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Fetches the document over a connection of its own; whether it came whole.
pub(crate) fn fetch(address: &str) -> bool {
    let request = b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    let answer = ask(&format!("{address}:80"), request);
    answer.is_ok_and(|answer| answer.ends_with("\r\n\r\nhello from the lab"))
}
