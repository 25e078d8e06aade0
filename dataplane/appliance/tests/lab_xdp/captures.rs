//! Packets of a gateway that serves, captured by the operators' tool and read by the kernel's people's.
#![allow(clippy::print_stdout, reason = "what was told is shown")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nic::pcap::Reader;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lab::{Gateway, PATIENCE, abelectl, configuration, fetch, in_lab, text};

fn gateway() -> Gateway {
    Gateway::start(&configuration("", "[workers]\ncount = 2\n"))
}

/// A capture that somebody asks for at the socket, and has begun.
fn begin(gateway: &Gateway, request: &str) -> UnixStream {
    let path = format!("/run/abele/{}/control", gateway.instance());
    let mut stream = UnixStream::connect(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.write_all(format!("{request}\n").as_bytes()).expect("it listens");
    let mut code = [0; 2];
    stream.read_exact(&mut code).expect("it answers");
    assert_eq!(&code, b"0\n", "{request}");
    stream
}

/// What is left of it: the file, and its last words if there are any.
fn rest(mut stream: UnixStream) -> (Vec<u8>, Option<Value>) {
    let (mut bytes, mut file) = (Vec::new(), Vec::new());
    stream.read_to_end(&mut bytes).expect("it ends");
    let mut bytes = bytes.as_slice();
    while let Some((len, behind)) = bytes.split_first_chunk() {
        let len = u32::from_le_bytes(*len) as usize;
        if len == 0 {
            return (file, Some(serde_json::from_slice(behind).expect("it is JSON")));
        }
        file.extend_from_slice(&behind[..len]);
        bytes = &behind[len..];
    }
    (file, None)
}

/// Whether a packet has the document in it, and the time at which it was seen.
fn packets(file: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let records = Reader::new(file).expect("it is a pcap file").map(|record| {
        let record = record.expect("it is whole");
        (record.at.as_nanos(), record.bytes.to_vec())
    });
    records.collect()
}

fn holds(packets: &[(u64, Vec<u8>)], what: &[u8]) -> usize {
    packets.iter().filter(|(_, bytes)| bytes.windows(what.len()).any(|part| part == what)).count()
}

fn tool(tool: &Path, gateway: &Gateway, line: &[&str]) -> Child {
    let mut command = Command::new(tool);
    command.args(["capture", "--instance", &gateway.instance()]).args(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it was built")
}

/// Waits until the gateway has said so often that a capture has begun.
fn has_begun(gateway: &Gateway, count: usize) {
    let begun = Instant::now();
    while gateway.log().matches(" capture filter=").count() < count {
        assert!(begun.elapsed() < PATIENCE, "{}", gateway.log());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn both_ways_of_every_connection_are_seen_in_order_and_the_filter_is_kept_to() {
    in_lab(
        "captures::both_ways_of_every_connection_are_seen_in_order_and_the_filter_is_kept_to",
        || {
            let gateway = gateway();
            let all = begin(&gateway, "capture");
            // A core that sleeps is woken to begin, and to hand over what it has seen.
            for _fetch in 0..10 {
                assert!(fetch("10.77.0.2"));
            }
            assert!(fetch("[fd77::2]"));
            all.shutdown(Shutdown::Write).expect("it is there");
            let (file, told) = rest(all);
            let told = told.expect("it ends well");
            println!("{told}");
            let seen = packets(&file);
            assert_eq!((&told["captured"], &told["dropped"]), (&seen.len().into(), &0.into()));
            assert_eq!(told["ended"], "asker");
            assert_eq!(
                (holds(&seen, b"GET / HTTP/1.1"), holds(&seen, b"hello from the lab")),
                (11, 11)
            );
            assert!(seen.is_sorted_by_key(|(at, _)| *at), "they are in order");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now = now.expect("after 1970").as_nanos();
            let age = now - u128::from(seen[0].0);
            assert!(age < PATIENCE.as_nanos(), "the time of day, {age} ns ago");

            for (request, questions, answers) in [
                ("capture direction=in filter tcp port 80", 2, 0),
                ("capture direction=out filter tcp port 80", 0, 2),
                ("capture filter ip6 and host fd77::2 and port 80", 1, 1),
                ("capture snaplen=60 filter port 80", 0, 0),
                ("capture filter udp or arp", 0, 0),
            ] {
                let stream = begin(&gateway, request);
                assert!(fetch("10.77.0.2") && fetch("[fd77::2]"));
                stream.shutdown(Shutdown::Write).expect("it is there");
                let (file, told) = rest(stream);
                assert!(told.is_some_and(|told| told["dropped"] == 0), "{request}");
                let seen = packets(&file);
                assert_eq!(holds(&seen, b"GET / HTTP/1.1"), questions, "{request}");
                assert_eq!(holds(&seen, b"hello from the lab"), answers, "{request}");
                let snap = if request.contains("snaplen=60") { 60 } else { 2_000 };
                assert!(seen.iter().all(|(_, bytes)| bytes.len() <= snap));
            }
            gateway.stop();
        },
    );
}

#[test]
fn one_who_reads_nothing_or_goes_disturbs_nobody_and_there_is_one_at_a_time() {
    in_lab(
        "captures::one_who_reads_nothing_or_goes_disturbs_nobody_and_there_is_one_at_a_time",
        || {
            let gateway = gateway();
            let stalled = begin(&gateway, "capture seconds=600 count=1000000000");
            let path = format!("/run/abele/{}/control", gateway.instance());
            let mut second = UnixStream::connect(&path).expect("it listens");
            second.write_all(b"capture\n").expect("it listens");
            let mut told = String::new();
            second.read_to_string(&mut told).expect("it answers");
            assert!(told.starts_with("1\nthere is a capture already"), "{told}");

            // More than the blocks and the socket hold goes by, and every byte of it arrives.
            let mut echo = TcpStream::connect("10.77.0.2:7").expect("it is served");
            echo.set_read_timeout(Some(PATIENCE)).expect("not zero");
            let (sent, mut back) = (vec![b'e'; 100_000], vec![0; 100_000]);
            for _round in 0..300 {
                echo.write_all(&sent).expect("it takes it");
                echo.read_exact(&mut back).expect("it comes back");
                assert!(sent == back);
            }
            // Other questions are answered, and a reload is carried out, meanwhile.
            gateway.configure(&configuration(
                "",
                "[workers]\ncount = 2\n[access]\ndeny = [\"192.0.2.0/24\"]\n",
            ));
            let mut third = UnixStream::connect(&path).expect("it listens");
            third.write_all(b"reload\n").expect("it listens");
            let mut told = String::new();
            third.read_to_string(&mut told).expect("it answers");
            assert!(told.starts_with("0\n"), "{told}");

            drop(stalled);
            // The next one begins as soon as the last one is seen to be gone.
            let begun = Instant::now();
            while !gateway.log().contains("ended=\"gone\"") {
                assert!(begun.elapsed() < PATIENCE, "{}", gateway.log());
                thread::sleep(Duration::from_millis(20));
            }
            let lost = gateway.log();
            let lost =
                lost.lines().find(|line| line.contains("ended=\"gone\"")).expect("it is there");
            assert!(!lost.contains("dropped=0"), "60 MB do not fit: {lost}");
            let counted = begin(&gateway, "capture count=20 filter port 7");
            for _round in 0..20 {
                echo.write_all(b"more").expect("it takes it");
                echo.read_exact(&mut back[..4]).expect("it comes back");
            }
            let (file, told) = rest(counted);
            assert_eq!(packets(&file).len(), 20);
            assert_eq!(told.expect("it ends well")["ended"], "count");

            // The end of the gateway ends a capture with its last words.
            let last = begin(&gateway, "capture filter tcp port 80");
            assert!(fetch("10.77.0.2"));
            drop(echo);
            gateway.stop();
            let (file, told) = rest(last);
            assert_eq!(told.expect("it ends well")["ended"], "gateway");
            assert_eq!(holds(&packets(&file), b"hello from the lab"), 1);
        },
    );
}

#[test]
fn the_tool_writes_what_tcpdump_reads() {
    in_lab("captures::the_tool_writes_what_tcpdump_reads", || {
        let Some(abelectl) = abelectl() else { return };
        let gateway = gateway();
        let file = gateway.path("lab.pcap");
        let name = file.to_string_lossy().into_owned();
        let child = tool(&abelectl, &gateway, &["-w", &name, "-Q", "both", "tcp", "port", "80"]);
        has_begun(&gateway, 1);
        assert!(fetch("10.77.0.2"));
        let pid = i32::try_from(child.id()).expect("process numbers are small");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it is our child");
        let output = child.wait_with_output().expect("it is our child");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        println!("$ abelectl capture -w {name} tcp port 80\n{told}");
        let seen = packets(&fs::read(&file).expect("it was written"));
        assert!(told.starts_with(&format!("{} captured, 0 dropped", seen.len())), "{told}");
        assert_eq!(holds(&seen, b"hello from the lab"), 1);

        let wrong = tool(&abelectl, &gateway, &["-w", &name, "hots", "10.77.0.2"]);
        let output = wrong.wait_with_output().expect("it is our child");
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("\"hots\" begins no test"));

        let shown = Command::new("tcpdump").args(["-n", "--nano", "-r", &name]).output();
        let Ok(shown) = shown else {
            return println!("SKIPPED tcpdump: it is not installed; apt-get install tcpdump");
        };
        let lines = text(&shown.stdout);
        println!("{lines}{}", text(&shown.stderr));
        assert!(shown.status.success());
        assert_eq!(lines.lines().count(), seen.len());
        assert!(lines.lines().next().is_some_and(|line| line.contains("Flags [S]")), "{lines}");
        assert!(lines.contains("HTTP: HTTP/1.1 200 OK"), "{lines}");
        gateway.stop();
    });
}
