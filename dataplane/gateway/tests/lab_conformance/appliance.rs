//! The whole gateway on a TAP device, with the documents of the tests, in a namespace of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use std::{env, thread};

use gateway::Document;

use crate::bed::{MODIFIED, documents};
use crate::table::{Answer, Case, cases, etag};
use crate::{MARKER, skip};

const TEST: &str = "the_gateway_on_a_tap_device_answers_the_table_byte_by_byte";
const ADDRESS: &str = "10.77.0.2:80";
const PATIENCE: Duration = Duration::from_secs(20);
/// How many cases are asked at once.
const AT_ONCE: usize = 8;

const CONFIG: &str = "\
    addresses = [\"10.77.0.2/24\"]\n\
    [interface]\n\
    kernel_addresses = [\"10.77.0.1/24\"]\n\
    [memory]\n\
    frames = 4096\n\
    pages = \"base\"\n\
    [tcp]\n\
    connections = 1000\n\
    [[listener]]\n\
    protocol = \"http\"\n\
    document_root = \"www\"\n";

/// The gateway that was built beside this test.
fn program() -> Option<PathBuf> {
    let test = env::current_exe().expect("a test knows its binary");
    let program = test.parent().and_then(Path::parent)?.join("abele-gateway");
    program.is_file().then_some(program)
}

/// A gateway that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It is ours alone, and has nothing to save.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// The documents as files of a folder, with the types that files have.
fn served(folder: &Path) -> Vec<Document> {
    let root = folder.join("www");
    let typed = |mut document: Document| {
        document.content_type += "; charset=utf-8";
        document
    };
    let documents: Vec<Document> = documents().into_iter().map(typed).collect();
    for Document { path, body, .. } in &documents {
        let file = root.join(&path[1..]);
        fs::create_dir_all(file.parent().expect("it is below the root")).expect("a folder");
        fs::write(&file, body).expect("a file");
        let opened = File::options().write(true).open(&file);
        let at = UNIX_EPOCH + Duration::from_secs(MODIFIED);
        opened.and_then(|file| file.set_modified(at)).expect("a file with a date");
    }
    documents
}

fn start(program: &Path, folder: &Path) -> Running {
    let file = folder.join("abele.toml");
    fs::write(&file, CONFIG).expect("a file");
    let mut command = Command::new(program);
    let mut child =
        command.arg("run").arg(file).stdout(Stdio::piped()).spawn().expect("the gateway starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("it is text");
    assert!(line.starts_with("ready: "), "{line}");
    Running(child)
}

/// Everything that comes back until the end, without the dates.
fn ask(bytes: &[u8], case: &Case) -> String {
    let mut stream = TcpStream::connect(ADDRESS).expect("the gateway accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.write_all(bytes).expect("the gateway takes it");
    let mut received = Vec::new();
    let read = stream.read_to_end(&mut received);
    assert!(read.is_ok(), "{}: {read:?}", case.name);
    let received = String::from_utf8_lossy(&received).into_owned();
    let lines = received.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: "));
    let dates = received.matches("\r\nDate: ").count();
    let finals = received.matches("HTTP/1.1 ").count() - received.matches("1.1 100 ").count();
    assert_eq!(dates, finals, "{}: every answer has a date", case.name);
    lines.collect()
}

fn check(program: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = served(folder.path());
    let _running = start(program, folder.path());
    let cases = cases();
    let marker = Answer::of(200, "/stolen.txt", "close");
    let etag_of = |path: &str| {
        etag(documents.iter().find(|document| document.path == path).expect("it is there"))
    };
    let check_one = |case: &Case| {
        let sent = [case.bytes(etag_of).as_slice(), MARKER].concat();
        let answers = case.answers.iter().chain(case.stays.then_some(&marker));
        let expected: Vec<u8> = answers.flat_map(|it| it.bytes(&documents, "")).collect();
        assert_eq!(ask(&sent, case), String::from_utf8_lossy(&expected), "{}", case.name);
    };
    thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(AT_ONCE)) {
            scope.spawn(|| part.iter().for_each(&check_one));
        }
    });
}

#[test]
fn the_gateway_on_a_tap_device_answers_the_table_byte_by_byte() {
    let Some(program) = program() else { return skip("gateway", TEST, "it is not built") };
    if env::var("ABELE_LAB").is_ok_and(|lab| lab == "tap") {
        return check(&program);
    }
    let lab = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/lab");
    let binary = env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(lab);
    let test = format!("appliance::{TEST}");
    command.args(["tap", "--"]).arg(binary).args(["--exact", &test, "--nocapture"]);
    let output = command.output().expect("scripts/lab is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    if output.status.code() == Some(3) {
        return skip("tap", TEST, &told);
    }
    assert!(output.status.success(), "it failed in its lab: {told}");
    assert!(told.contains("1 passed"), "no test ran in the lab: {told}");
}
