//! `abelectl ping`, against a socket that says what became of each request.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json as object};

use crate::fake::{Fake, Plan};
use crate::{abelectl, folder, json, printed, run};

/// A gateway's end that answers every question by `answer` until it is dropped.
struct Echoes {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Echoes {
    /// `answer` is given the number of the request if one is to be sent, and how many questions
    /// without one came since.
    fn start(folder: &Path, answer: fn(Option<u64>, u64) -> Value) -> Self {
        let path = folder.join("lab/control");
        std::fs::remove_file(&path).ok();
        let socket = UnixListener::bind(path).expect("a free place");
        socket.set_nonblocking(true).expect("a socket");
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let (mut asked, mut looks) = (Vec::new(), 0);
            while !flag.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = socket.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                stream.set_nonblocking(false).expect("a socket");
                let mut request = String::new();
                BufReader::new(&stream).read_line(&mut request).expect("it is a line");
                let seq = request.split(' ').find_map(|word| word.strip_prefix("seq="));
                let seq = seq.map(|seq| seq.parse().expect("a number"));
                looks = if seq.is_some() { 0 } else { looks + 1 };
                writeln!(stream, "0\n{}", answer(seq, looks)).expect("the asker reads");
                asked.push(request);
            }
            asked
        });
        Self { is_over, thread: Some(thread) }
    }

    fn asked(mut self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is joined once").join().expect("it has not failed")
    }
}

fn sent(seq: u64) -> Value {
    object!({"sent_at_ns": seq * 1_000_000, "refused": null, "news": [], "missing_cores": []})
}

fn nothing() -> Value {
    object!({"sent_at_ns": null, "refused": null, "news": [], "missing_cores": []})
}

fn news(rows: &[Value]) -> Value {
    object!({"sent_at_ns": null, "refused": null, "news": rows, "missing_cores": []})
}

fn reply(seq: u64, after_us: u64) -> Value {
    let at = seq * 1_000_000 + after_us * 1_000;
    object!({"seq": seq, "core": 1, "at_ns": at, "outcome": "reply", "size": 56, "hop_limit": 63})
}

/// The first is answered at once, the second twice, the third by a router, the fourth is refused, the
/// fifth by nobody.
fn mixed(seq: Option<u64>, looks: u64) -> Value {
    use std::sync::atomic::AtomicU64;
    static LAST: AtomicU64 = AtomicU64::new(0);
    match seq {
        Some(4) => object!({
            "sent_at_ns": null, "refused": "no route leads there", "news": [], "missing_cores": [],
        }),
        Some(seq) => {
            LAST.store(seq, Ordering::Relaxed);
            sent(seq)
        }
        None if looks > 1 => nothing(),
        None => match LAST.load(Ordering::Relaxed) {
            1 => news(&[reply(1, 123)]),
            2 => news(&[reply(2, 2_000), reply(2, 2_500), reply(9, 1)]),
            3 => news(&[object!({
                "seq": 3, "core": 0, "at_ns": 1, "outcome": "error", "reporter": "10.77.0.9",
                "reason": "the packet has gone through too many hops",
            })]),
            _more => nothing(),
        },
    }
}

#[test]
fn every_request_is_told_of_and_summed_up() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let echoes = Echoes::start(folder.path(), mixed);
    let told = printed(folder.path(), "ping -c 5 -i 0.05 -W 0.2 -s 56 --core 0 10.77.0.1");
    insta::assert_snapshot!(told, @"
    ping 10.77.0.1 from core 0 of lab: 56 bytes of data
    56 bytes from 10.77.0.1: seq 1, hop limit 63, 0.123 ms, core 1
    56 bytes from 10.77.0.1: seq 2, hop limit 63, 2.000 ms, core 1
    seq 2: answered once more
    seq 3: the packet has gone through too many hops, says 10.77.0.9
    seq 4: not sent: no route leads there
    seq 5: no answer within 0.2 s
    4 sent, 2 answered, 2 lost (50 %), 1 not sent, 1 answered more than once; round trip at least 0.123 ms, 1.061 ms in the mean, at most 2.000 ms
    ");
    let asked = echoes.asked();
    let first = &asked[0];
    assert!(first.starts_with("echo ident="), "{first}");
    assert!(
        first.contains(" to=10.77.0.1 core=0 seq=1 size=56 listen_ms=1400 wait_ms=0"),
        "{first}"
    );
    assert!(asked.iter().any(|line| line.contains("listen_ms=1400 wait_ms=50")), "{asked:?}");
}

#[test]
fn as_json_it_is_one_object_and_a_late_answer_counts() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    // The first is answered with the second's question, when its time is over.
    let echoes = Echoes::start(folder.path(), |seq, _looks| match seq {
        Some(2) => {
            let mut both = sent(2);
            both["news"] = object!([reply(1, 90_000), reply(2, 10)]);
            both
        }
        Some(seq) => sent(seq),
        None => nothing(),
    });
    let told = json(&printed(folder.path(), "ping --json -c 2 -i 0.2 -W 0.05 fd77::1"));
    echoes.asked();
    assert_eq!((&told["instance"], &told["address"]), (&"lab".into(), &"fd77::1".into()));
    assert_eq!(
        (&told["sent"], &told["answered"], &told["lost"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert_eq!(told["rtt_ns"], object!({"min": 10_000, "mean": 45_005_000, "max": 90_000_000}));
    assert_eq!(
        (&told["echoes"][0]["late"], &told["echoes"][1]["late"]),
        (&true.into(), &false.into())
    );
}

#[test]
fn nobody_who_answers_is_exit_code_1_and_a_core_that_hangs_is_named() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let echoes = Echoes::start(folder.path(), |seq, _looks| {
        let mut told = seq.map_or_else(nothing, sent);
        told["missing_cores"] = object!([1]);
        told
    });
    let (code, stdout, stderr) = run(folder.path(), "ping -c 2 -i 0.01 -W 0.05 10.77.0.9");
    echoes.asked();
    assert_eq!(code, Some(1));
    assert!(stdout.ends_with("2 sent, 0 answered, 2 lost (100 %)\ncore 1 hangs; answers that came to it are missing\n"), "{stdout}");
    assert_eq!(stderr, "abelectl: 10.77.0.9 has not answered\n");
}

#[test]
fn who_was_never_asked_is_not_said_to_be_silent() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let echoes = Echoes::start(folder.path(), |seq, _looks| match seq {
        Some(_) => object!({"sent_at_ns": null, "refused": "no route leads there", "news": []}),
        None => nothing(),
    });
    let (code, stdout, stderr) = run(folder.path(), "ping -c 2 -i 0.01 -W 0.05 10.77.0.9");
    echoes.asked();
    assert_eq!(code, Some(1));
    assert!(stdout.ends_with("0 sent, 0 answered, 0 lost (0 %), 2 not sent\n"), "{stdout}");
    assert_eq!(stderr, "abelectl: nothing was sent to 10.77.0.9: no route leads there\n");
}

#[test]
fn ctrl_c_tells_what_was_counted_until_then() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let echoes = Echoes::start(folder.path(), |seq, looks| match seq {
        Some(seq) => sent(seq),
        None if looks == 1 => news(&[reply(1, 5)]),
        None => nothing(),
    });
    let mut command = abelectl(folder.path(), "ping -c 9 -i 30 10.77.0.1");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains("seq 1, ")));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let last = lines.map_while(Result::ok).last().expect("a summary");
    assert!(last.starts_with("1 sent, 1 answered, 0 lost (0 %); round trip"), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    echoes.asked();
}

#[test]
fn arguments_are_bounded_and_what_the_gateway_refuses_is_told() {
    let folder = folder();
    for line in [
        "ping",
        "ping lab",
        "ping -c 0 10.0.0.1",
        "ping -c 65536 10.0.0.1",
        "ping -i 0 10.0.0.1",
        "ping -i nan 10.0.0.1",
        "ping -W 56 10.0.0.1",
        "ping -s 65508 10.0.0.1",
    ] {
        assert_eq!(run(folder.path(), line).0, Some(2), "{line}");
    }
    assert_eq!(run(folder.path(), "ping 10.0.0.1").0, Some(3), "there is no gateway");
}
