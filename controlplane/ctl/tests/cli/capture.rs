//! `abelectl capture`, against a socket that sends what it was told to.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake::{Fake, Plan};
use crate::{abelectl, folder, run};

/// A socket beside the file of gateway `lab`, which lets `act` serve one asker; what he asked for.
fn serving(folder: &Path, act: impl FnOnce(UnixStream) + Send + 'static) -> JoinHandle<String> {
    let path = folder.join("lab/control");
    fs::remove_file(&path).ok();
    let socket = UnixListener::bind(path).expect("a free place");
    thread::spawn(move || {
        let (stream, _) = socket.accept().expect("somebody asks");
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request).expect("it is a line");
        act(stream);
        request
    })
}

fn piece(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("a short piece");
    [len.to_le_bytes().as_slice(), bytes].concat()
}

const LAST: &[u8] = b"{\"captured\":2,\"dropped\":0,\"ended\":\"count\"}\n";

/// The whole of a short capture.
fn whole(last: &[u8]) -> Vec<u8> {
    [b"0\n".to_vec(), piece(b"first"), piece(b" second"), piece(b""), last.to_vec()].concat()
}

fn sending(folder: &Path, bytes: Vec<u8>) -> JoinHandle<String> {
    // Whoever has enough does not read to the end.
    serving(folder, move |mut stream| drop(stream.write_all(&bytes)))
}

#[test]
fn packets_go_to_a_file_and_the_summary_to_people() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let file = folder.path().join("file.pcap");
    let asked = sending(folder.path(), whole(LAST));
    let line = format!(
        "capture -w {} -c 2 --seconds 9 -s 96 --core 1 -Q in tcp port 80 and (not host 10.0.0.1)",
        file.display()
    );
    let (code, stdout, stderr) = run(folder.path(), &line);
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert_eq!(stderr, "2 captured, 0 dropped: so many were wanted (--count)\n");
    assert_eq!(fs::read(file).unwrap(), b"first second");
    assert_eq!(
        asked.join().unwrap(),
        "capture count=2 seconds=9 snaplen=96 core=1 direction=in \
         filter tcp port 80 and (not host 10.0.0.1)\n"
    );
}

#[test]
fn without_a_file_they_go_to_standard_output_and_what_was_dropped_is_exit_code_1() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    for (line, last, code, told) in [
        ("capture", LAST, 0, "2 captured, 0 dropped"),
        (
            "capture -w -",
            &b"{\"captured\":2,\"dropped\":7,\"ended\":\"seconds\"}\n"[..],
            1,
            "2 captured, 7 dropped: its time is over (--seconds); the reader was too slow",
        ),
    ] {
        let asked = sending(folder.path(), whole(last));
        let (found, stdout, stderr) = run(folder.path(), line);
        assert_eq!((found, stdout.as_str()), (Some(code), "first second"), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
        let asked = asked.join().unwrap();
        assert_eq!(asked, "capture count=10000 seconds=60 snaplen=65535 direction=both filter \n");
    }
}

#[test]
fn a_request_that_is_refused_leaves_an_older_file_alone() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let file = folder.path().join("old.pcap");
    fs::write(&file, "old").unwrap();
    let asked =
        sending(folder.path(), b"2\nthe filter is wrong: \"tpc\" begins no test\n".to_vec());
    let (code, stdout, stderr) = run(folder.path(), &format!("capture -w {} tpc", file.display()));
    asked.join().unwrap();
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(stderr, "abelectl: the filter is wrong: \"tpc\" begins no test\n");
    assert_eq!(fs::read(&file).unwrap(), b"old");
}

#[test]
fn a_full_disk_and_a_gateway_that_goes_are_told() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let asked = sending(folder.path(), whole(LAST));
    let (code, _, stderr) = run(folder.path(), "capture -w /dev/full");
    asked.join().unwrap();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot write /dev/full: No space left on device"), "{stderr}");

    let cut = whole(LAST)[..12].to_vec();
    let asked = sending(folder.path(), cut);
    let (code, _, stderr) = run(folder.path(), "capture");
    asked.join().unwrap();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("ended the capture without a word; its log says why"), "{stderr}");

    let asked = sending(folder.path(), [b"0\n".as_slice(), &[0xff; 64]].concat());
    assert_eq!(run(folder.path(), "capture").0, Some(1), "a piece of 4 GiB is none");
    asked.join().unwrap();
}

#[test]
fn a_pipe_that_closes_ends_it_in_silence() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let asked = serving(folder.path(), |mut stream| {
        let flood = piece(&[7; 100_000]);
        stream.write_all(b"0\n").unwrap();
        while stream.write_all(&flood).is_ok() {}
    });
    let mut command = abelectl(folder.path(), "capture");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 100];
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut first).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
    asked.join().unwrap();
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("process numbers are small"));
    kill(pid, Signal::SIGINT).expect("it is our child");
}

#[test]
fn ctrl_c_asks_the_gateway_to_end_and_takes_the_rest() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let asked = serving(folder.path(), |mut stream| {
        stream.write_all(&[b"0\n".to_vec(), piece(b"before")].concat()).unwrap();
        // Until the asker has shut down his direction.
        let mut words = Vec::new();
        stream.read_to_end(&mut words).unwrap();
        let last = b"{\"captured\":9,\"dropped\":0,\"ended\":\"asker\"}\n";
        let rest = [piece(b" and after"), piece(b""), last.to_vec()].concat();
        stream.write_all(&rest).unwrap();
    });
    let mut command = abelectl(folder.path(), "capture");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 6];
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut first).unwrap();
    interrupt(&child);
    let mut rest = String::new();
    pipe.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((&first, rest.as_str()), (b"before", " and after"));
    assert_eq!(output.stderr, b"9 captured, 0 dropped\n");
    asked.join().unwrap();
}

#[test]
fn arguments_out_of_bounds_are_refused_before_anybody_is_asked() {
    let folder = folder();
    for line in ["capture -c 0", "capture --seconds 86401", "capture -s 65536", "capture -Q up"] {
        let (code, _, stderr) = run(folder.path(), line);
        assert_eq!(code, Some(2), "{line}: {stderr}");
    }
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let long = format!("capture {}", "host fd77::1 or ".repeat(400));
    let (code, _, stderr) = run(folder.path(), &long);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("at most 4096 are read"), "{stderr}");
    let (code, _, stderr) = run(folder.path(), "capture");
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("no gateway listens there"), "{stderr}");
}
