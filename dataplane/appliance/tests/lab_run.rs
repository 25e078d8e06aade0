//! The gateway on a TAP device, against the kernel at its other end, in a namespace of its own.
//!
//! It needs what `scripts/lab tap` needs. Without it it says loudly that it was skipped; under
//! `ABELE_REQUIRE=tap` that is a failure.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

const CONFIG: &str = "\
    addresses = [\"10.77.0.2/24\", \"fd77::2/64\"]\n\
    [interface]\n\
    kernel_addresses = [\"10.77.0.1/24\", \"fd77::1/64\"]\n\
    [memory]\n\
    frames = 4096\n\
    pages = \"base\"\n\
    [tcp]\n\
    connections = 1000\n\
    [[listener]]\n\
    protocol = \"http\"\n\
    document_root = \"www\"\n\
    [[listener]]\n\
    protocol = \"echo\"\n\
    udp = true\n";

const READY: &str = "ready: 10.77.0.2 fd77::2, http 80, echo 7, echo/udp 7\n";
const PATIENCE: Duration = Duration::from_secs(10);

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(test: &str, why: &str) {
    let required = env::var("ABELE_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|what| what.trim() == "tap");
    assert!(!is_required, "ABELE_REQUIRE names tap, and {test} cannot run: {why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// Runs `check` in a lab: in this process if it lies in one, else in a second one.
fn in_lab(test: &str, check: impl FnOnce()) {
    if env::var("ABELE_LAB").is_ok_and(|lab| lab == "tap") {
        return check();
    }
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/lab");
    let binary = env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(lab);
    command.args(["tap", "--"]).arg(binary).args(["--exact", test, "--nocapture"]);
    let output = command.output().expect("scripts/lab is there");
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    if output.status.code() == Some(3) {
        return skip(test, &told);
    }
    assert!(output.status.success(), "{test} failed in its lab: {told}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with a configuration and one document.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    fs::create_dir(folder.path().join("www")).expect("it is ours");
    fs::write(folder.path().join("www/index.html"), "hello from the lab").expect("it is ours");
    fs::write(folder.path().join("abele.toml"), CONFIG).expect("it is ours");
    folder
}

fn command(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abele-gateway"));
    command.arg("run").arg(folder.path().join("abele.toml"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A gateway that has said that it is ready.
fn started(folder: &tempfile::TempDir) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command(folder).spawn().expect("the binary was built for this test");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("it is text");
    assert_eq!(line, READY);
    (child, lines)
}

/// What a gateway says last, when a signal ends it.
fn stopped(mut child: Child, mut lines: BufReader<std::process::ChildStdout>) -> String {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("numbers of processes are small"));
    kill(pid, Signal::SIGTERM).expect("it is ours and runs");
    let mut summary = String::new();
    lines.read_to_string(&mut summary).expect("it is text");
    assert_eq!(child.wait().expect("it is ours").code(), Some(0), "{summary}");
    summary
}

/// Everything that comes back for `question`, until the peer ends the connection.
fn answer(address: &str, question: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("the gateway accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.write_all(question).expect("the gateway takes it");
    stream.shutdown(Shutdown::Write).expect("it is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the gateway answers and ends");
    answer
}

#[test]
fn the_kernels_clients_are_served_until_a_signal() {
    in_lab("the_kernels_clients_are_served_until_a_signal", || {
        let folder = folder();
        let (child, lines) = started(&folder);
        let request = b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
        for address in ["10.77.0.2:80", "[fd77::2]:80"] {
            let answer = answer(address, request);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(answer.ends_with("\r\n\r\nhello from the lab"), "{answer}");
        }
        assert_eq!(answer("10.77.0.2:7", b"over TCP"), "over TCP");
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"over UDP", "[fd77::2]:7").unwrap();
        let mut datagram = [0; 64];
        let (len, _) = socket.recv_from(&mut datagram).unwrap();
        assert_eq!(&datagram[..len], b"over UDP");

        let summary = stopped(child, lines);
        assert!(summary.contains("accepted 3") && summary.contains("http_200 2"), "{summary}");
    });
}

#[test]
fn a_log_on_a_full_disk_does_not_end_it() {
    in_lab("a_log_on_a_full_disk_does_not_end_it", || {
        let folder = folder();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let mut gateway = command(&folder);
        let output = gateway.args(["--for", "0.1"]).stderr(full).output().expect("it was built");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    });
}

/// Runs a gateway that nobody asks for so long; milliseconds of processor time that it took.
fn cost_of_idling(folder: &tempfile::TempDir, seconds: &str) -> i64 {
    let spent = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it is a valid question");
        usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
    };
    let before = spent();
    let Output { status, stdout, stderr } =
        command(folder).args(["--for", seconds]).output().expect("the binary was built");
    assert_eq!(status.code(), Some(0), "{}", text(&stderr));
    assert!(text(&stdout).starts_with(READY), "{}", text(&stdout));
    spent() - before
}

#[test]
fn an_idle_gateway_sleeps() {
    in_lab("an_idle_gateway_sleeps", || {
        let folder = folder();
        // What the start costs is in both, and falls out.
        let (short, long) = (cost_of_idling(&folder, "0.5"), cost_of_idling(&folder, "3"));
        let idle = long - short;
        assert!(idle < 100, "2.5 s of idling took {idle} ms; a core that spins takes 2,500");
    });
}

#[test]
fn a_second_gateway_on_the_same_device_is_told_what_the_machine_lacks() {
    in_lab("a_second_gateway_on_the_same_device_is_told_what_the_machine_lacks", || {
        let folder = folder();
        let (first, lines) = started(&folder);
        let second = command(&folder).output().unwrap();
        stopped(first, lines);
        let told = text(&second.stderr);
        assert_eq!(second.status.code(), Some(3), "{told}");
        assert!(told.contains("abele0 is taken"), "{told}");
    });
}

#[test]
fn a_device_that_somebody_deletes_ends_the_gateway() {
    in_lab("a_device_that_somebody_deletes_ends_the_gateway", || {
        let folder = folder();
        let (child, _lines) = started(&folder);
        let deleted = Command::new("ip").args(["link", "delete", "abele0"]).status().unwrap();
        assert!(deleted.success());
        let output = child.wait_with_output().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("the interface abele0 is gone"), "{told}");
    });
}

#[test]
fn a_service_manager_hears_that_it_serves_lives_and_ends() {
    in_lab("a_service_manager_hears_that_it_serves_lives_and_ends", || {
        let folder = folder();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let heard = || {
            let mut datagram = [0; 4096];
            let len = socket.recv(&mut datagram).expect("the service manager is told");
            text(&datagram[..len])
        };
        let mut command = command(&folder);
        let child = command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").spawn();
        let mut child = child.expect("the binary was built for this test");
        let serves = READY.replace("ready: ", "serves ");
        assert_eq!(heard(), format!("READY=1\nSTATUS={} on 1 core\n", serves.trim_end()));
        for _ in 0..3 {
            assert_eq!(heard(), "WATCHDOG=1\n");
        }
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let summary = stopped(child, lines);
        assert!(summary.starts_with(READY), "{summary}");
        let mut told = heard();
        // It may say first that it lets end what is under way.
        while told == "WATCHDOG=1\n" || told.contains("under way") {
            told = heard();
        }
        assert_eq!(told, "STOPPING=1\nSTATUS=ends\n");
    });
}

/// Every value of a counter in a summary: the total's first, then each worker's.
fn values(summary: &str, name: &str) -> Vec<u64> {
    let sections = summary.split("worker ");
    let value = |section: &str| -> u64 {
        let mut words = section.split([' ', ',', '\n']);
        let found = words.find(|word| *word == name).and_then(|_| words.next());
        found.map_or(0, |value| value.parse().expect("a count"))
    };
    sections.map(value).collect()
}

/// Runs two workers of an idle policy, and asks them over `CONNECTIONS` connections.
fn two_workers(idle: &str) {
    const CONNECTIONS: u64 = 300;
    let folder = folder();
    let workers = format!("[workers]\ncount = 2\nidle = \"{idle}\"\n");
    let config = CONFIG.replacen("[memory]\n", &format!("{workers}[memory]\n"), 1);
    fs::write(folder.path().join("abele.toml"), config).expect("it is ours");
    let (child, lines) = started(&folder);
    let request = b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    for connection in 0..CONNECTIONS {
        let address = if connection % 2 == 0 { "10.77.0.2:80" } else { "[fd77::2]:80" };
        let answer = answer(address, request);
        assert!(answer.ends_with("\r\n\r\nhello from the lab"), "{answer}");
    }
    let summary = stopped(child, lines);
    for name in ["accepted", "http_200"] {
        let counts = values(&summary, name);
        assert_eq!((counts.len(), counts[0]), (3, CONNECTIONS), "{name}: {summary}");
        assert_eq!(counts[1] + counts[2], CONNECTIONS, "{name}: {summary}");
        let least = counts[1].min(counts[2]);
        assert!(least * 4 >= CONNECTIONS, "a worker served {least} of {CONNECTIONS}: {summary}");
    }
    // The kernel sends a flow's first segment to a queue of its own choice, and the rest to where
    // the answer came from.
    let (given, taken) = (values(&summary, "rx_handed_over"), values(&summary, "rx_taken_over"));
    assert!(given[0] > CONNECTIONS / 8, "{summary}");
    assert_eq!((given[1], given[2]), (taken[2], taken[1]), "{summary}");
    let (read, handled) = (values(&summary, "rx_packets"), values(&summary, "packets_in"));
    assert_eq!(read, handled, "{summary}");
}

fn has_two_cores(test: &str) -> bool {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if count < 2 {
        skip(test, "two workers need two cores");
    }
    count >= 2
}

#[test]
fn two_workers_share_the_connections_and_hand_over_what_came_to_the_wrong_one() {
    const NAME: &str = "two_workers_share_the_connections_and_hand_over_what_came_to_the_wrong_one";
    in_lab(NAME, || {
        if has_two_cores(NAME) {
            two_workers("adaptive");
        }
    });
}

#[test]
fn two_workers_that_sleep_wake_each_other() {
    in_lab("two_workers_that_sleep_wake_each_other", || {
        if has_two_cores("two_workers_that_sleep_wake_each_other") {
            two_workers("wait");
        }
    });
}
