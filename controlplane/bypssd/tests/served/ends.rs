//! Ends: of the daemon, of its log, and starts that fail.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::Signal;
use protocol::{ErrorCode, IncomingBody, Push};

use crate::client::{Client, error};
use crate::daemon::{Daemon, FREE, NO_GRACE, bypssd, folder};

#[test]
fn a_signal_tells_everybody_and_ends_with_a_summary() {
    let mut daemon = Daemon::with("");
    let mut sessions: Vec<_> =
        ["a", "b"].iter().map(|node| Client::session(daemon.address, node)).collect();
    let mut greeted = Client::connect(daemon.address).unwrap();
    daemon.signal(Signal::SIGTERM);
    for session in &mut sessions {
        let is_leaving = session.read(|body| matches!(body, IncomingBody::Push(Push::Leaving(_))));
        assert!(is_leaving);
        assert_eq!(session.next(|_id, _body| ()).unwrap(), None);
    }
    assert_eq!(greeted.read(error).code, ErrorCode::Leaving);
    drop((sessions, greeted));
    let (status, out, told) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(out.contains("summary:") && out.contains("accepted"), "{out}");
    assert!(told.contains("stopped: by a signal"), "{told}");
}

#[test]
fn clients_are_sent_to_the_switch_that_takes_its_place() {
    let text = |hint: &str, nodes: &[&str]| {
        let entry = |node| format!("[[access]]\nnode = \"{node}\"\nproof = \"loopback\"\n");
        let entries: Vec<_> = nodes.iter().map(entry).collect();
        format!("stop = {{ hint = \"{hint}\" }}\n{}{FREE}{NO_GRACE}", entries.concat())
    };
    let first = text("[2001:db8::2]:7400", &["a", "b"]);
    let mut daemon = Daemon::start(folder(), &first, Stdio::piped());
    let mut session = Client::session(daemon.address, "a");
    let mut other = Client::session(daemon.address, "b");
    // The file says another by the time it ends.
    std::fs::write(daemon.file(), text("sw-2.example:7400", &["a"])).unwrap();
    daemon.signal(Signal::SIGHUP);
    assert_eq!(other.refusal().code, ErrorCode::Unauthenticated, "it was read");
    daemon.signal(Signal::SIGTERM);
    let hint = session.read(|body| {
        let IncomingBody::Push(Push::Leaving(leaving)) = body else { panic!("{body:?}") };
        leaving.hint.to_owned()
    });
    assert_eq!(hint, "sw-2.example:7400");
    drop(session);
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn clients_that_hang_do_not_hold_the_end() {
    let mut daemon = Daemon::with("stop = { timeout_ms = 300 }\n");
    let _hanging = Client::session(daemon.address, "a");
    let begun = Instant::now();
    daemon.signal(Signal::SIGINT);
    let (status, _, _) = daemon.wait();
    assert_eq!(status.code(), Some(0));
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut daemon = Daemon::with("stop = { timeout_ms = 60000 }\n");
    let mut slow = Client::enter(daemon.address, "a");
    let names: Vec<String> = (0..10_000).map(|n| format!("a-name-of-some-length-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Answers that are not read keep the first signal from ending it; only the greeting was.
    slow.stream.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    for _ in 0..60 {
        let asked = std::io::Write::write_all(&mut slow.stream, &crate::client::query(&names));
        if asked.is_err() {
            break;
        }
    }
    daemon.signal(Signal::SIGTERM);
    std::thread::sleep(std::time::Duration::from_millis(200));
    daemon.signal(Signal::SIGTERM);
    let (status, _, _) = daemon.wait();
    // The worker may have ended before: a slow reader has a second.
    assert!(matches!(status.code(), Some(0 | 143)), "{status:?}");
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let text = format!("{FREE}{NO_GRACE}");
    let mut daemon = Daemon::start(folder(), &text, Stdio::from(full));
    let mut a = Client::session(daemon.address, "a");
    assert_eq!(a.register(&["port"]).unwrap().granted, 1);
    for _ in 0..20 {
        daemon.signal(Signal::SIGHUP);
        a.ping();
    }
    drop(a);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().0.code(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_what_the_machine_lacks() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder();
    let file = folder.path().join("f");
    for text in [
        format!("[[listener]]\naddress = \"{address}\"\n[metrics]\nenabled = false\n"),
        format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"{address}\"\n"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = bypssd().arg("run").arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{told}");
        assert!(
            told.contains(&format!("cannot listen on {address}: Address already in use; ")),
            "{told}"
        );
    }
}

#[test]
fn a_second_switch_with_the_same_folder_of_state_does_not_start() {
    let first = Daemon::with("state_dir = \".\"\n");
    let output = bypssd().arg("run").arg(first.file()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains(": another bypssd has it; "), "{told}");
    // Nothing is left of one that was killed.
    let folder = first.die();
    let file = folder.path().join("bypssd.toml");
    let output = bypssd().arg("run").arg(file).args(["--for", "0.1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_epoch_that_cannot_be_remembered_is_not_begun() {
    let folder = folder();
    std::fs::write(folder.path().join("epoch"), "not a number").unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, format!("state_dir = \".\"\n{FREE}")).unwrap();
    let output = bypssd().arg("run").arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("epoch: it is not one number"), "{told}");
}
