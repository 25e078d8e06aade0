//! The program as an operator meets it: tables, JSON, exit codes, pipes and Ctrl-C.
#![forbid(unsafe_code)]

mod capture;
mod clean;
mod export;
mod fake;
mod inquiries;
mod ping;
mod rights;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::fake::{Fake, Plan};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn abelectl(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_abelectl"));
    command.args(line.split_whitespace()).arg("--folder").arg(folder);
    command
}

/// Exit code, standard output and standard error, in which the folder is called DIR.
fn run(folder: &Path, line: &str) -> (Option<i32>, String, String) {
    told(folder, &abelectl(folder, line).output().expect("the program was built"))
}

fn told(folder: &Path, output: &Output) -> (Option<i32>, String, String) {
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "DIR");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// What a run that must end well has printed.
fn printed(folder: &Path, line: &str) -> String {
    let (code, stdout, stderr) = run(folder, line);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{line}");
    stdout
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn help_names_every_exit_code_and_every_command() {
    for flag in ["--help", "-h"] {
        let output = Command::new(env!("CARGO_BIN_EXE_abelectl")).arg(flag).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let asked = [
            "addresses",
            "routes",
            "neighbours",
            "listeners",
            "access",
            "export",
            "capture",
            "ping",
        ];
        let others = ["stats", "top", "drops", "connections", "clean", "\n  3 ", "\n  130 "];
        for part in asked.into_iter().chain(others) {
            assert!(text.contains(part), "{flag} lacks {part:?}");
        }
    }
    let (code, _, stderr) = run(Path::new("/"), "stats --nonsense");
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn without_a_gateway_one_line_says_where_it_looked_and_what_starts_one() {
    let folder = folder();
    for command in ["stats", "top --count 1", "drops", "connections", "stats --json"] {
        assert_eq!(
            run(folder.path(), command),
            (
                Some(3),
                String::new(),
                "abelectl: no gateway runs: looked in DIR; start one with: abele-gateway run FILE\n"
                    .to_owned()
            ),
            "{command}"
        );
    }
    let mut usual = Command::new(env!("CARGO_BIN_EXE_abelectl"));
    usual.args(["stats", "--instance", "no-such-instance"]).env("XDG_RUNTIME_DIR", folder.path());
    let (code, _, stderr) = told(folder.path(), &usual.output().unwrap());
    assert_eq!(code, Some(3));
    assert!(stderr.contains("looked in /run/abele and DIR/abele"), "{stderr}");
}

#[test]
fn of_several_gateways_one_must_be_chosen() {
    let folder = folder();
    let _one = Fake::start(folder.path(), &Plan::new("one"));
    let _two = Fake::start(folder.path(), &Plan { cores: 1, ..Plan::new("two") });
    let (code, stdout, stderr) = run(folder.path(), "stats");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(stderr, @r"
    abelectl: several gateways run; choose one with --instance:
      one  (DIR/one/stats, runs)
      two  (DIR/two/stats, runs)
    ");
    assert!(printed(folder.path(), "stats --instance two").contains("gateway two"));
    let (code, _, stderr) = run(folder.path(), "stats --instance three");
    assert_eq!(code, Some(3));
    assert!(stderr.contains("\"three\" runs") && stderr.contains("there is one, two"), "{stderr}");
}

#[test]
fn stats_prints_counters_by_core_and_what_each_says_of_itself() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let text = printed(folder.path(), "stats");
    let mut parts = text.splitn(4, "\n\n");
    let pid = std::process::id();
    let head = parts.next().unwrap();
    assert!(head.starts_with(&format!("gateway lab: pid {pid}, version 0.1.0, up ")), "{head}");
    assert!(head.ends_with(", 2 cores"), "{head}");
    let cores: Vec<Vec<&str>> =
        parts.next().unwrap().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cores[0].join(" "), "core state last sign turns");
    let of_core = |core: usize| [cores[core][0], cores[core][1]];
    assert_eq!((of_core(1), of_core(2)), (["0", "running"], ["1", "asleep"]));
    insta::assert_snapshot!(parts.next().unwrap(), @r"
    fact    value
    device  abele0, abele1
    copy    zero-copy
    ");
    insta::assert_snapshot!(parts.next().unwrap(), @r"
    counter           unit     core 0  core 1  total
    stage.rx          cycles      500     500   1000
    stage.tcp         cycles      500     500   1000
    stage.idle        cycles     1000    1000   2000
    queue.rx_packets  packets     100     101    201
    queue.tx_packets  packets      90      90    180
    queue.rx_bytes    bytes      6400    6400  12800
    tcp.accepted                   10      10     20
    tcp.connections                 3       3      6
    tcp.paws                        7       8     15
    pool.frames       frames     1024    1024   2048
    pool.frames_free  frames     1000     999   1999
    (3 counters are zero; --all prints them)
    ");
    let rest =
        |line: &str| printed(folder.path(), line).split("\n\n").nth(3).expect("a table").to_owned();
    insta::assert_snapshot!(rest("stats tcp --core 1"), @r"
    counter          unit  core 1
    tcp.accepted               10
    tcp.connected               0
    tcp.connections             3
    tcp.paws                    8
    tcp.never                   0
    ");
    assert_eq!(rest("stats --all").lines().count(), 15);
    assert_eq!(rest("stats *.rx_*").lines().count(), 3);
}

#[test]
fn stats_as_json_is_one_object() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let text = printed(folder.path(), "stats --json");
    assert_eq!(text.lines().count(), 1);
    let stats = json(&text);
    assert_eq!(stats["instance"], "lab");
    assert_eq!((&stats["alive"], &stats["generation"]), (&true.into(), &1.into()));
    assert_eq!(stats["pid"], std::process::id());
    assert!(stats["uptime_s"].as_u64().unwrap() >= 100);
    assert_eq!(stats["total"]["queue"]["rx_packets"], 201);
    assert_eq!(stats["cores"][1]["counters"]["tcp"]["paws"], 8);
    assert_eq!(stats["cores"][0]["facts"]["copy"], "zero-copy");
    assert_eq!(stats["cores"][0]["stuck"], false);
    assert_eq!(stats["total"]["tcp"]["never"], 0, "zeros are printed");
    let one = json(&printed(folder.path(), "stats --json --core 1 paws"));
    assert_eq!(one["total"], serde_json::json!({"tcp": {"paws": 8}}));
}

#[test]
fn unknown_counters_and_cores_are_answered_with_what_there_is() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let refused = |line: &str| {
        let (code, stdout, stderr) = run(folder.path(), line);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{line}");
        stderr
    };
    insta::assert_snapshot!(refused("stats tcp.pows") + &refused("stats --core 2"), @r#"
    abelectl: no counter is called or contains "tcp.pows"; near it are tcp.paws
    abelectl: there is no core 2; the gateway has cores 0 to 1
    "#);
}

#[test]
fn drops_prints_only_what_was_dropped() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let text = printed(folder.path(), "drops");
    insta::assert_snapshot!(text.split_once("\n\n").unwrap().1, @r"
    dropped or refused  core 0  core 1  total
    tcp.paws                 7       8     15
    ");
    let drops = json(&printed(folder.path(), "drops --json"));
    assert_eq!(
        drops["drops"],
        serde_json::json!([{"name": "tcp.paws", "unit": "", "cores": [7, 8], "total": 15}])
    );
}

#[test]
fn drops_over_an_interval_have_rates() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { grows: true, ..Plan::new("lab") });
    let text = printed(folder.path(), "drops --interval 0.3");
    assert!(text.contains("per s"), "{text}");
    let drops = json(&printed(folder.path(), "drops --interval 0.3 --json"));
    assert!(drops["drops"][0]["per_s"].as_f64().unwrap() > 0.0, "{drops}");
}

#[test]
fn top_without_a_terminal_prints_a_block_per_interval() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { grows: true, ..Plan::new("lab") });
    let text = printed(folder.path(), "top --interval 0.2 --count 2");
    assert!(!text.contains('\x1b'), "{text}");
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(blocks.len(), 2, "{text}");
    let lines: Vec<String> = blocks[1]
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert!(lines[0].starts_with("gateway lab: "));
    assert_eq!(
        lines[1],
        "core state busy rx tcp in/s out/s opens/s drops/s connections frames free"
    );
    assert!(lines[2].starts_with("0 running 50.0% 25.0% 25.0% "), "{text}");
    assert!(lines[2].ends_with(" 3 1000/1024"), "{text}");
    assert!(lines[4].starts_with("all 50.0% 25.0% 25.0% "), "{text}");
    assert!(lines[4].ends_with(" 6 1999/2048"), "{text}");
}

#[test]
fn top_as_json_is_a_line_per_interval() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { grows: true, ..Plan::new("lab") });
    let text = printed(folder.path(), "top --interval 0.2 --count 2 --json");
    let lines: Vec<Value> = text.lines().map(json).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line["cores"][0]["busy"], 0.5);
        assert!(line["total"]["rx_packets_per_s"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["interval_s"].as_f64().unwrap() >= 0.2);
        assert_eq!(line["total"]["frames_free"], 1999);
    }
}

#[test]
fn connections_are_listed_with_filters_and_a_limit() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { records: 100, ..Plan::new("lab") });
    let text = printed(folder.path(), "connections");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[201]), (202, "200 connections"));
    let of_core_0: Vec<&str> =
        lines.iter().filter(|line| line.starts_with("0 ")).take(2).copied().collect();
    insta::assert_snapshot!([lines[0], of_core_0[0], of_core_0[1]].join("\n"), @r"
    core  state         remote                        local                             idle      srtt     cwnd  in flight   queued   unread  busy
    0     established   10.0.0.0:4000                 10.77.0.2:80                      12 s      1 ms    14600          0        0        0  yes
    0     established   [fd77::1]:4000                10.77.0.2:80                      12 s      1 ms    14600          0        0        0  no
    ");
    for (arguments, count) in [
        ("--state close-wait", 20),
        ("--port 80", 100),
        ("--remote 10.0.0.0/8", 100),
        ("--remote fd77::1", 2),
        ("--remote 10.0.0.0/8 --port 7", 50),
        ("--port 443", 0),
        ("--limit 5", 5),
    ] {
        let text = printed(folder.path(), &format!("connections {arguments} --json"));
        assert_eq!(text.lines().count(), count, "{arguments}");
        let keys = ["state", "remote", "remote_port", "local_port", "idle_s", "srtt_us", "busy"];
        for row in text.lines().map(json) {
            assert!(keys.iter().all(|key| !row[key].is_null()), "{row}");
        }
    }
    let (code, _, stderr) = run(folder.path(), "connections --state asleep");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("possible values: syn-sent, syn-received, established"), "{stderr}");
}

#[test]
fn hundred_thousand_connections_are_listed_in_seconds() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { records: 50_000, ..Plan::new("lab") });
    let began_at = Instant::now();
    let text = printed(folder.path(), "connections --json");
    println!("{} rows in {} ms", text.lines().count(), began_at.elapsed().as_millis());
    let rows: Vec<Value> = text.lines().map(json).collect();
    let seen: BTreeSet<(u64, u64)> = rows
        .iter()
        .map(|row| (row["core"].as_u64().unwrap(), row["record"].as_u64().unwrap()))
        .collect();
    assert_eq!((rows.len(), seen.len()), (100_000, 100_000), "each one once");
}

#[test]
fn closed_pipe_is_no_error() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { records: 20_000, ..Plan::new("lab") });
    for line in ["connections", "connections --json", "top --interval 0.1", "stats --all --json"] {
        let mut child = abelectl(folder.path(), line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let (code, _, stderr) = told(folder.path(), &child.wait_with_output().unwrap());
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{line}");
    }
    // The listing that was cut off has made room for the next one.
    assert_eq!(printed(folder.path(), "connections --limit 1 --json").lines().count(), 1);
}

#[test]
fn interrupted_listing_makes_room_for_the_next_one() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { records: 1 << 23, ..Plan::new("lab") });
    let mut child = abelectl(folder.path(), "connections")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.nth(10).is_some());
    let (code, _, stderr) = run(folder.path(), "connections --json");
    let pid = child.id();
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("another listing is under way (pid {pid})")), "{stderr}");
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGINT).unwrap();
    let reader = std::thread::spawn(move || lines.count());
    let (code, _, stderr) = told(folder.path(), &child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (Some(130), ""));
    reader.join().unwrap();
    assert_eq!(printed(folder.path(), "connections --limit 1 --json").lines().count(), 1);
}

#[test]
fn interrupted_top_puts_the_terminal_back() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { grows: true, ..Plan::new("lab") });
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut child = abelectl(folder.path(), "top --interval 0.1")
        .stdout(Stdio::from(terminal.slave))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut screen, mut text) = (File::from(terminal.master), String::new());
    let mut buffer = [0; 4_096];
    let mut read = |text: &mut String| match screen.read(&mut buffer) {
        // A terminal whose last user is gone answers with an error.
        Ok(0) | Err(_) => false,
        Ok(count) => {
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            true
        }
    };
    while !text.contains("frames free") {
        assert!(read(&mut text), "{text}");
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let status = child.wait().unwrap();
    while read(&mut text) {}
    assert_eq!(status.code(), Some(130));
    assert!(text.starts_with("\x1b[?1049h\x1b[?25l"), "{text:?}");
    assert!(text.ends_with("\x1b[?25h\x1b[?1049l"), "{text:?}");
}

#[test]
fn dead_gateway_is_told_of_with_its_last_figures() {
    let folder = folder();
    let words = fake::killed(folder.path());
    let (code, stdout, stderr) = run(folder.path(), "stats");
    assert_eq!(code, Some(3));
    assert!(stdout.contains("DEAD") && stdout.contains("tcp.paws"), "{stdout}");
    assert!(stderr.contains(&format!("the gateway (pid {}) has died", words.1)), "{stderr}");
    assert!(stderr.contains("abele-gateway run FILE"), "{stderr}");
    let (code, stdout, _) = run(folder.path(), "stats --json");
    assert_eq!((code, &json(&stdout)["alive"]), (Some(3), &false.into()));
    for command in ["drops", "top --count 1 --interval 0.1", "connections"] {
        let (code, _, stderr) = run(folder.path(), command);
        assert_eq!(code, Some(3), "{command}: {stderr}");
        assert!(stderr.contains("has died"), "{stderr}");
    }
    // One that lives is meant, and not the dead one beside it.
    let alive = Fake::start(folder.path(), &Plan::new("alive"));
    assert!(printed(folder.path(), "stats").starts_with("gateway alive"));
    drop(alive);
    let _next = Fake::start(folder.path(), &Plan::new("lab"));
    assert_eq!(json(&printed(folder.path(), "stats --json"))["generation"], 2);
}

#[test]
fn top_goes_on_with_a_gateway_that_was_started_again() {
    let folder = folder();
    let first = Fake::start(folder.path(), &Plan { cores: 1, ..Plan::new("lab") });
    let mut child = abelectl(folder.path(), "top --json --interval 0.1 --count 60")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut counts = lines.map(|line| json(&line.unwrap())["cores"].as_array().unwrap().len());
    assert_eq!(counts.next(), Some(1));
    drop(first);
    let _second = Fake::start(folder.path(), &Plan { cores: 3, ..Plan::new("lab") });
    assert!(counts.any(|cores| cores == 3));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn stuck_core_is_told_of_and_the_rest_is_printed() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan { stuck: Some(1), ..Plan::new("lab") });
    let (code, stdout, stderr) = run(folder.path(), "stats");
    assert_eq!(code, Some(1));
    assert!(stdout.contains("STUCK"), "{stdout}");
    assert!(
        stderr.contains("core 1 is stuck: its last sign of life is 1 min 40 s old"),
        "{stderr}"
    );
    let (code, stdout, stderr) = run(folder.path(), "connections --json");
    assert_eq!((code, stdout.lines().count()), (Some(1), 3), "{stderr}");
    assert!(stderr.contains("core 1 does not answer"), "{stderr}");
}

#[test]
fn file_of_another_version_or_none_is_refused() {
    let folder = folder();
    let place = folder.path().join("lab/stats");
    let fake = Fake::start(folder.path(), &Plan::new("lab"));
    let mut bytes = fs::read(&place).unwrap();
    drop(fake);
    // The major version is the high half of the second word.
    bytes[12] = 9;
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, &bytes).unwrap();
    let refused = || {
        let (code, stdout, stderr) = run(folder.path(), "stats");
        assert_eq!((code, stdout.as_str()), (Some(3), ""));
        stderr
    };
    let other = refused();
    fs::write(&place, &bytes[..100]).unwrap();
    let short = refused();
    fs::write(&place, vec![0xa5; 64 * 1_024]).unwrap();
    let garbage = refused();
    bytes[12] = 1;
    bytes.truncate(8 * 200);
    fs::write(&place, &bytes).unwrap();
    let truncated = refused();
    insta::assert_snapshot!([other, short, garbage, truncated].concat(), @r"
    abelectl: DIR/lab/stats: the gateway writes layout 9.0, and this program reads 1.x; use the abelectl that came with the gateway
    abelectl: DIR/lab/stats: DIR/lab/stats has 100 bytes and is no file of 8 to 268435456 bytes in words of 8
    abelectl: DIR/lab/stats: this is no tools' file of an Abele gateway
    abelectl: DIR/lab/stats: the tools' file is damaged: the length does not fit
    ");
}
