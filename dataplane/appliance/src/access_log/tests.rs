//! Lines as they are written, and files that go wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base::Instant as CoreInstant;
use gateway::{AccessTerms, Document, Documents, Gateway, GatewayConfig};
use logging::Format;
use publisher::Board;

use super::out::Out;
use super::{Scribe, Settings, Target};
use crate::clock::Clock;
use crate::config::{Host, parse};
use crate::limits::ACCESS_LOOK_EVERY;
use crate::plan::Plan;

fn plan() -> Plan {
    let text = "addresses = [\"10.77.0.2/24\"]\n[tcp]\nconnections = 100\n\
                [[listener]]\nprotocol = \"http\"\n[workers]\ncount = 2\n";
    parse(Path::new("abele.toml"), text, &Host::default()).unwrap_or_else(|found| panic!("{found}"))
}

fn out(path: &Path) -> (Out, Arc<Board>) {
    let board = Arc::new(Board::default());
    let mut out = Out::new(Target::File(path.to_owned()), Arc::clone(&board));
    out.poll(false);
    (out, board)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_renamed_file_is_left_when_it_is_asked_for_and_else_soon() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
    let (mut out, board) = out(&path);
    out.write(b"one\n");
    fs::rename(&path, &old).unwrap();
    out.poll(false);
    out.write(b"two\n");
    assert_eq!((read(&old).as_str(), path.exists()), ("one\ntwo\n", false), "it was just opened");
    out.poll(true);
    out.write(b"three\n");
    assert_eq!((read(&old).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
    fs::remove_file(&path).unwrap();
    thread::sleep(ACCESS_LOOK_EVERY + Duration::from_millis(10));
    out.poll(false);
    out.write(b"four\n");
    assert_eq!(read(&path), "four\n", "what was deleted is made again");
    assert_eq!(board.access_lines(), [4, 0]);
}

#[test]
fn a_full_disk_and_a_folder_that_is_gone_cost_lines_and_no_more() {
    let (mut full, board) = out(Path::new("/dev/full"));
    full.write(b"one\ntwo\n");
    full.write(b"three\n");
    assert_eq!(board.access_lines(), [0, 3]);
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    let (mut out, board) = out(&below.join("log"));
    out.write(b"one\n");
    fs::remove_dir_all(&below).unwrap();
    out.poll(true);
    out.write(b"two\nthree\n");
    assert_eq!(board.access_lines(), [1, 2]);
    fs::create_dir(&below).unwrap();
    out.poll(true);
    out.write(b"four\n");
    assert_eq!((read(&below.join("log")).as_str(), board.access_lines()), ("four\n", [2, 2]));
}

#[test]
fn a_pipe_that_nobody_reads_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let begun = Instant::now();
    let (mut out, board) = out(&path);
    out.write(b"one\n");
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    out.poll(true);
    out.write(b"two\n");
    let line = [[b'x'; 99].as_slice(), b"\n"].concat();
    let lines = line.repeat(10_000);
    out.write(&lines);
    let [written, lost] = board.access_lines();
    assert_eq!(written + lost, 10_002);
    assert!(written > 100 && lost > 1_000, "{written} {lost}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(reader);
}

fn settings(path: PathBuf, format: Format) -> Settings {
    let terms = AccessTerms { sample: 1, is_every_error: true };
    Settings { target: Target::File(path), terms, format, queue: 64 }
}

fn gateway(plan: &Plan) -> Gateway {
    let document = Document {
        path: "/a".to_owned(),
        content_type: "text/plain".to_owned(),
        body: b"a".to_vec(),
        modified: None,
    };
    let config = GatewayConfig {
        sessions_max: plan.service.sessions,
        heads_max: plan.service.heads,
        ..GatewayConfig::new(Documents::new(vec![document]).unwrap())
    };
    Gateway::new(config).unwrap()
}

#[test]
fn the_end_waits_until_every_core_has_given_its_end_back() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, path) = (plan(), folder.path().join("log"));
    let board = Arc::new(Board::default());
    let mut scribe = Scribe::new(Clock::start(), board);
    let settings = settings(path.clone(), Format::Text);
    let (ends, thread) = scribe.begin(&plan, Some(&settings)).unwrap();
    assert_eq!(ends.len(), 2);
    scribe.take_on(thread);
    let mut gateways: Vec<_> = ends
        .into_iter()
        .map(|end| {
            let mut gateway = gateway(&plan);
            gateway.set_access_log(end);
            gateway
        })
        .collect();
    let ending = thread::spawn(move || drop(scribe));
    gateways.pop();
    thread::sleep(Duration::from_millis(100));
    assert!(!ending.is_finished(), "one core still has its end");
    gateways.clear();
    ending.join().unwrap();
    assert!(path.exists());
}

mod lines;
