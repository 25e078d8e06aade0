//! `abelectl switch` at a real switch, as an operator meets it.

#[path = "shared/switch.rs"]
mod switch;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switch::{Switch, abelectl, next, signal, spawn, told, until, until_held};

/// Of a switch that is told nothing else.
const LEASE: Duration = Duration::from_secs(3);

#[test]
fn a_command_runs_under_a_lock_and_its_exit_code_comes_back() {
    let Some(switch) = Switch::dev() else { return };
    let script = "test -n \"$ABELE_LOCK_TOKEN\" && echo $ABELE_LOCK_NAME; exit 7";
    let (code, stdout, stderr) = switch.run(&["lock", "nightly", "--", "sh", "-c", script]);
    assert_eq!((code, stdout.as_str()), (Some(7), "nightly\n"), "{stderr}");
    let (code, _stdout, stderr) = switch.run(&["lock", "nightly", "--", "/no/such"]);
    assert_eq!(code, Some(127), "{stderr}");
    let (code, stdout, _stderr) = switch.run(&["port", "nightly", "-o", "jsonl"]);
    assert_eq!(code, Some(1), "it is free again: {stdout}");
    assert!(stdout.contains("\"state\":\"free\""), "{stdout}");
}

#[test]
fn a_lock_that_is_held_is_waited_for_and_a_held_port_is_listed() {
    let Some(switch) = Switch::dev() else { return };
    let args = ["register", "a", "b", "--node", "holder", "-o", "jsonl"];
    let mut holder = abelectl(&switch.address, &args).stdout(Stdio::piped()).spawn().expect("runs");
    let lines = BufReader::new(holder.stdout.take().expect("it was piped")).lines();
    assert_eq!(lines.take(2).filter(Result::is_ok).count(), 2);
    let (code, stdout, _stderr) = switch.run(&["ports", "a", "-o", "json"]);
    assert!(code == Some(0) && stdout.contains("\"node\":\"holder\""), "{stdout}");
    let (code, stdout, _stderr) = switch.run(&["nodes"]);
    assert!(code == Some(0) && stdout.contains("holder  -  "), "no address is a dash: {stdout}");
    let (code, _stdout, stderr) = switch.run(&["lock", "a", "--wait", "0.3", "--", "true"]);
    assert_eq!(code, Some(4), "{stderr}");
    let (code, _stdout, stderr) = switch.run(&["lock", "a", "--wait", "0", "--", "true"]);
    assert!(code == Some(4) && stderr.contains("not granted in time"), "{code:?} {stderr}");
    let (code, stdout, stderr) = switch.run(&["lock", "c", "--wait", "0", "--", "echo", "had"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "had\n"), "{stderr}");
    let (code, _stdout, stderr) = switch.run(&["lock", "c", "--wait", "86400", "--", "true"]);
    assert_eq!(code, Some(0), "more than an hour: {stderr}");
    let (code, _stdout, stderr) = switch.run(&["drop-node", "holder"]);
    assert_eq!(code, Some(0), "{stderr}");
    let code = holder.wait().expect("it ends").code();
    assert!(matches!(code, Some(1 | 3)), "its session was ended: {code:?}");
    let (code, stdout, _stderr) = switch.run(&["status"]);
    assert!(code == Some(0) && stdout.contains("figure"), "{stdout}");
    let (_code, stdout, _stderr) = switch.run(&["status", "-o", "json"]);
    let status: serde_json::Value = serde_json::from_str(&stdout).expect("it is JSON");
    assert_eq!(status["switch"], "dev");
    assert!(status["epoch"].as_u64().is_some_and(|epoch| epoch > 0), "{stdout}");
    let (code, stdout, stderr) = switch.run(&["bench", "--ports", "1000", "--batch", "100"]);
    assert!(code == Some(0) && stdout.contains("unregister"), "{stdout}{stderr}");
    assert!(!stdout.contains('.'), "whole numbers: {stdout}");
}

#[test]
fn more_ports_than_a_batch_may_have_are_registered_and_listed() {
    let Some(switch) = Switch::dev_for("32768") else { return };
    let names: Vec<String> = (0..25_000).map(|number| format!("many:{number}")).collect();
    let mut args = vec!["register", "-o", "jsonl", "--timeout", "10"];
    args.extend(names.iter().map(String::as_str));
    let (mut holder, lines) = spawn(&switch, &args);
    let told = lines.take(names.len()).map_while(Result::ok);
    assert_eq!(told.filter(|line| line.contains("\"granted\"")).count(), names.len());
    let (code, stdout, stderr) = switch.run(&["ports", "many:", "-o", "jsonl"]);
    assert_eq!((code, stdout.lines().count()), (Some(0), names.len()), "{stderr}");
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

/// Names and messages of others could else write lines of their own, or set the terminal's title.
#[test]
fn names_that_are_no_text_for_a_terminal_are_escaped_for_people_and_whole_in_json() {
    let Some(switch) = Switch::dev() else { return };
    let (evil, forged) = ("evil\u{1b}]0;pwned\u{7}", "evil\nb  n2  7");
    let node = "n\u{9b}2J\n";
    let (mut watcher, mut seen) = spawn(&switch, &["watch", "evil"]);
    until_watching(&switch, 1);
    let (mut holder, mut heard) = spawn(&switch, &["listen", evil, forged, "--node", node]);
    until_held(&switch, forged);
    let shown = ["evil\\u{1b}]0;pwned\\u{7}", "evil\\nb  n2  7", "n\\u{9b}2J\\n"];
    let events = format!("{}\n{}", next(&mut seen), next(&mut seen));
    let plain = |text: &str| text.chars().all(|letter| letter == '\n' || !letter.is_control());
    assert!(plain(&events) && shown.iter().all(|text| events.contains(text)), "{events:?}");
    let (code, stdout, _stderr) = switch.run(&["ports", "evil"]);
    assert!(code == Some(0) && stdout.lines().count() == 3 && plain(&stdout), "{stdout:?}");
    assert!(shown.iter().all(|text| stdout.contains(text)), "{stdout:?}");
    let (_code, stdout, _stderr) = switch.run(&["ports", "evil", "-o", "jsonl"]);
    for line in stdout.lines() {
        let port: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
        assert!(port["port"] == evil || port["port"] == forged, "{line}");
        assert_eq!(port["node"], node);
    }
    for args in [&["port", evil][..], &["nodes"], &["register", evil], &["send", "evil\nx", "m"]] {
        let (_code, stdout, stderr) = switch.run(args);
        let (lines, errors) = (stdout.lines().count(), stderr.lines().count());
        assert!(plain(&stdout) && plain(&stderr), "{args:?}: {stdout:?} {stderr:?}");
        assert!(lines <= 3 && errors <= 1, "{args:?}: {stdout:?} {stderr:?}");
    }
    let (code, _stdout, stderr) = switch.run(&["send", evil, "m\u{1b}[2J\nroot: hi"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(next(&mut heard), format!("{}: m\\u{{1b}}[2J\\nroot: hi", shown[0]));
    for child in [&mut watcher, &mut holder] {
        signal(child, Signal::SIGTERM);
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
}

/// Waits until so many watch.
fn until_watching(switch: &Switch, count: u64) {
    until_figure(switch, "watchers", count);
}

/// Waits until the switch says that so many have come to wait for ports.
fn until_waiting(switch: &Switch, count: u64) {
    until_figure(switch, "register_waiting", count);
}

fn until_figure(switch: &Switch, figure: &str, count: u64) {
    let wanted = format!("\"{figure}\":{count},");
    for _look in 0..200 {
        let (code, stdout, stderr) = switch.run(&["status", "-o", "json"]);
        assert_eq!(code, Some(0), "{stderr}");
        if stdout.contains(&wanted) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{figure} is never {count}: {}", switch.run(&["status"]).1);
}

#[test]
fn locks_are_granted_in_the_order_of_arrival() {
    let Some(switch) = Switch::dev() else { return };
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (go, log) = (folder.path().join("go"), folder.path().join("log"));
    let hold = format!("echo held; while ! test -e {}; do sleep 0.05; done", go.display());
    let (mut holder, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", &hold]);
    assert_eq!(next(&mut lines), "held");
    let mut waiters = Vec::new();
    for (index, node) in (1..).zip(["first", "second", "third"]) {
        let script = format!("echo {node} >> {}", log.display());
        waiters.push(spawn(&switch, &["lock", "q", "--", "sh", "-c", &script]).0);
        until_waiting(&switch, index);
    }
    // Longer than anybody would keep a place that has to be asked for again.
    thread::sleep(Duration::from_millis(1_700));
    std::fs::write(&go, "").expect("the folder is ours");
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
    for waiter in &mut waiters {
        assert_eq!(waiter.wait().expect("it ends").code(), Some(0));
    }
    let order = std::fs::read_to_string(&log).expect("they have run");
    assert_eq!(order, "first\nsecond\nthird\n");
}

#[test]
fn who_waits_for_a_lock_ends_at_once_by_a_signal_and_with_its_session() {
    let Some(switch) = Switch::dev() else { return };
    let (mut holder, mut lines) = spawn(&switch, &["register", "q", "-o", "jsonl"]);
    next(&mut lines);
    let (mut waiter, _lines) = spawn(&switch, &["lock", "q", "--", "true"]);
    until_waiting(&switch, 1);
    signal(&waiter, Signal::SIGINT);
    assert_eq!(waiter.wait().expect("it ends").code(), Some(130));
    let (mut waiter, _lines) = spawn(&switch, &["lock", "q", "--node", "w", "--", "true"]);
    until_waiting(&switch, 2);
    assert_eq!(switch.run(&["drop-node", "w"]).0, Some(0));
    assert_eq!(waiter.wait().expect("it ends").code(), Some(3));
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_command_is_ended_when_an_operator_takes_its_lock_away() {
    let Some(switch) = Switch::dev() else { return };
    let script = "trap 'echo told; exit 0' TERM; echo held; while :; do sleep 0.05; done";
    let args = ["lock", "q", "--node", "w", "--", "sh", "-c", script];
    let (mut lock, mut lines) = spawn(&switch, &args);
    assert_eq!(next(&mut lines), "held");
    assert_eq!(switch.run(&["drop-node", "w"]).0, Some(0));
    assert_eq!(lock.wait().expect("it ends").code(), Some(5));
    // Nothing is left of the lease, so it may be killed before it has heard of it.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(rest.is_empty() || rest == ["told"], "{rest:?}");
}

#[test]
fn a_command_is_ended_before_the_lease_is_when_the_switch_dies() {
    let Some(mut switch) = Switch::dev() else { return };
    let script = "trap 'echo told; exit 0' TERM; echo held $$; while :; do sleep 0.05; done";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", script]);
    let held = next(&mut lines);
    let stubborn = "trap '' TERM; echo held; while :; do sleep 0.05; done";
    let (mut other, mut others) = spawn(&switch, &["lock", "r", "--", "sh", "-c", stubborn]);
    assert_eq!(next(&mut others), "held");
    let begun = Instant::now();
    switch.child.kill().expect("it lives");
    switch.child.wait().expect("it ends");
    assert_eq!(next(&mut lines), "told", "SIGTERM comes first");
    assert_eq!(lock.wait().expect("it ends").code(), Some(5));
    assert_eq!(other.wait().expect("it ends").code(), Some(5), "SIGKILL comes then");
    assert!(begun.elapsed() < LEASE, "{:?} after the switch was killed", begun.elapsed());
    let pid = held.trim_start_matches("held ").parse().expect("a process's id");
    assert!(kill(Pid::from_raw(pid), None).is_err(), "the command is gone");
}

#[test]
fn a_signal_to_the_lock_goes_on_to_the_command() {
    let Some(switch) = Switch::dev() else { return };
    let script = "trap 'exit 9' TERM; echo held; while :; do sleep 0.05; done";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", script]);
    assert_eq!(next(&mut lines), "held");
    signal(&lock, Signal::SIGTERM);
    assert_eq!(lock.wait().expect("it ends").code(), Some(9));
    let (mut lock, mut lines) =
        spawn(&switch, &["lock", "q", "--", "sh", "-c", "echo held; kill -KILL $$"]);
    assert_eq!(next(&mut lines), "held");
    assert_eq!(lock.wait().expect("it ends").code(), Some(128 + 9));
    let (code, _stdout, stderr) = switch.run(&["lock", "q", "--", "/"]);
    assert_eq!(code, Some(126), "{stderr}");
}

#[test]
fn messages_are_sent_to_who_listens_and_nobody_is_told_of() {
    let Some(switch) = Switch::dev() else { return };
    let (code, stdout, stderr) = switch.run(&["send", "a", "hello", "-o", "jsonl"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("\"nobody\":1") && stderr.contains("switch port a"),
        "{stdout}{stderr}"
    );
    let (mut listener, mut lines) = spawn(&switch, &["listen", "a", "b", "--node", "l"]);
    until_held(&switch, "b");
    for (port, message) in [("a", "hello"), ("b", "there")] {
        let (code, stdout, stderr) = switch.run(&["send", port, message]);
        assert!(code == Some(0) && stdout.contains("delivered"), "{stdout}{stderr}");
        assert_eq!(next(&mut lines), format!("{port}: {message}"));
    }
    let (code, _stdout, stderr) = switch.run(&["listen", "a"]);
    assert!(code == Some(1) && stderr.contains("1 of 1"), "it is held: {stderr}");
    signal(&listener, Signal::SIGINT);
    assert_eq!(listener.wait().expect("it ends").code(), Some(0));
    let (mut listener, mut lines) = spawn(&switch, &["listen", "c", "-o", "jsonl", "--node", "l"]);
    until_held(&switch, "c");
    assert_eq!(switch.run(&["send", "c", "\"quoted\""]).0, Some(0));
    assert_eq!(next(&mut lines), r#"{"message":"\"quoted\"","port":"c"}"#);
    assert_eq!(switch.run(&["drop-node", "l"]).0, Some(0));
    let code = listener.wait().expect("it ends").code();
    assert!(matches!(code, Some(1 | 3)), "its session was ended: {code:?}");
}

#[test]
fn a_watch_tells_what_happens_to_ports_and_ends_well() {
    let Some(mut switch) = Switch::dev() else { return };
    let (mut watch, mut lines) = spawn(&switch, &["watch", "w:", "-o", "jsonl"]);
    let (mut table, mut rows) = spawn(&switch, &["watch"]);
    until_watching(&switch, 2);
    let (mut holder, mut held) =
        spawn(&switch, &["register", "w:1", "x", "--node", "h", "-o", "jsonl"]);
    next(&mut held);
    let registered = next(&mut lines);
    for part in ["\"event\":\"registered\"", "\"port\":\"w:1\"", "\"node\":\"h\""] {
        assert!(registered.contains(part), "{registered}");
    }
    let mut both = [next(&mut rows), next(&mut rows)];
    both.sort();
    assert!(both[0].starts_with("registered w:1 h "), "{both:?}");
    assert!(both[1].starts_with("registered x h "), "{both:?}");
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
    let released = next(&mut lines);
    assert!(released.contains("\"released\"") && released.contains("w:1"), "{released}");
    signal(&watch, Signal::SIGINT);
    assert_eq!(watch.wait().expect("it ends").code(), Some(0));
    // One that is started anew in its place is no switch of this cluster, and says nothing of it.
    switch.again();
    let (code, rest) = (table.wait().expect("it ends").code(), rows.map_while(Result::ok));
    assert_eq!(code, Some(3), "{:?}", rest.collect::<Vec<_>>());
}

#[test]
fn a_node_that_is_not_named_is_another_on_each_machine() {
    let Some(switch) = Switch::dev() else { return };
    let (mut one, mut lines) = spawn(&switch, &["listen", "one", "-o", "jsonl"]);
    until_held(&switch, "one");
    let (_code, stdout, _stderr) = switch.run(&["port", "one", "-o", "jsonl"]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a machine has a name");
    let begin = format!("\"node\":\"abelectl-{}", host.trim_end());
    assert!(stdout.contains(&begin), "{stdout}");
    assert_eq!(switch.run(&["send", "one", "x"]).0, Some(0));
    next(&mut lines);
    signal(&one, Signal::SIGINT);
    assert_eq!(one.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_had_a_session_leaves_none_when_it_ends() {
    let Some(switch) = Switch::dev() else { return };
    assert_eq!(switch.run(&["lock", "q", "--", "true"]).0, Some(0));
    assert_eq!(switch.run(&["lock", "q", "--", "sh", "-c", "exit 7"]).0, Some(7));
    assert_eq!(switch.run(&["bench", "--ports", "100"]).0, Some(0));
    for command in ["register", "listen"] {
        let (mut holder, _lines) = spawn(&switch, &[command, "a", "-o", "jsonl"]);
        until_held(&switch, "a");
        signal(&holder, Signal::SIGTERM);
        assert_eq!(holder.wait().expect("it ends").code(), Some(0));
    }
    let (mut holder, mut lines) = spawn(&switch, &["register", "a", "-o", "jsonl"]);
    next(&mut lines);
    assert_eq!(switch.run(&["lock", "a", "--wait", "0.1", "--", "true"]).0, Some(4));
    let (_code, stdout, _stderr) = switch.run(&["nodes", "-o", "jsonl"]);
    assert_eq!(stdout.lines().count(), 1, "none but the holder: {stdout}");
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn who_asks_or_sends_leaves_no_session_and_ends_none_of_its_node() {
    let Some(switch) = Switch::dev() else { return };
    let (mut holder, mut lines) = spawn(&switch, &["listen", "a", "--node", "n"]);
    until_held(&switch, "a");
    let (code, _stdout, stderr) = switch.run(&["port", "a", "--node", "n"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _stdout, stderr) = switch.run(&["send", "a", "x", "--node", "n"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(next(&mut lines), "a: x");
    let (_code, stdout, _stderr) = switch.run(&["nodes", "-o", "jsonl"]);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    signal(&holder, Signal::SIGINT);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0), "it was not evicted");
}

#[test]
fn a_credential_of_a_node_asks_for_ports_and_is_told_what_more_would_take() {
    let text = "[[access]]\nnode = \"n\"\nproof = \"loopback\"\nmessages_per_s = 1\n";
    let Some((switch, _folder)) = Switch::of(text) else { return };
    let (mut holder, mut lines) = spawn(&switch, &["listen", "a", "--node", "n"]);
    until(&switch, "held", &["port", "a", "--node", "n"]);
    let (code, _stdout, stderr) = switch.run(&["ports", "--node", "n"]);
    assert_eq!(code, Some(3), "{stderr}");
    for part in ["as observer", "role = \"observer\"", "--node"] {
        assert!(stderr.contains(part), "{stderr}");
    }
    // The first message of a second goes, and of the next ones at least one does not.
    let sent = [(); 4].map(|()| switch.run(&["send", "a", "x", "--node", "n"]));
    assert_eq!(next(&mut lines), "a: x");
    let refused = sent.iter().find(|(code, ..)| *code == Some(1)).expect("one is too many");
    assert!(refused.2.contains("more messages a second"), "{}", refused.2);
    signal(&holder, Signal::SIGINT);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_signal_ends_at_once_what_waits_for_a_switch_that_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = silent.local_addr().expect("it listens").to_string();
    for (args, number) in [
        (&["status"][..], Signal::SIGINT),
        (&["ports"], Signal::SIGTERM),
        (&["port", "a"], Signal::SIGINT),
        (&["send", "a", "m"], Signal::SIGINT),
        (&["watch"], Signal::SIGINT),
        (&["register", "a"], Signal::SIGTERM),
        (&["bench"], Signal::SIGINT),
        (&["lock", "a", "--", "true"], Signal::SIGINT),
    ] {
        let mut command = abelectl(&address, &["--timeout", "60"]);
        let mut child = command.args(args).stderr(Stdio::null()).spawn().expect("built");
        let (_connection, _from) = silent.accept().expect("it connects");
        let begun = Instant::now();
        signal(&child, number);
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{args:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{args:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_switch_that_says_nothing_may_hang_or_be_none() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = silent.local_addr().expect("it listens").to_string();
    let output = abelectl(&address, &["status", "--timeout", "0.5"]).output();
    let (code, _stdout, stderr) = told(&output.expect("the program was built"));
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("it hangs") && stderr.contains("--tls-ca"), "{stderr}");
}

#[test]
fn a_message_is_what_standard_input_has_and_bytes_that_are_no_text_are_whole_in_json() {
    let Some(switch) = Switch::dev() else { return };
    let (mut listener, mut lines) = spawn(&switch, &["listen", "a", "-o", "jsonl"]);
    until_held(&switch, "a");
    for bytes in [&b"two\nlines\n"[..], b"", b"\xff\x00\xfe"] {
        let mut send = abelectl(&switch.address, &["send", "a"]);
        let send = send.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut send = send.expect("the program was built");
        send.stdin.take().expect("it was piped").write_all(bytes).expect("it reads");
        assert_eq!(send.wait().expect("it ends").code(), Some(0));
    }
    assert_eq!(next(&mut lines), r#"{"message":"two\nlines\n","port":"a"}"#);
    assert_eq!(next(&mut lines), r#"{"message":"","port":"a"}"#);
    let hex = r#"{"message":null,"message_hex":"ff00fe","port":"a"}"#;
    assert_eq!(next(&mut lines), hex);
    let mut send = abelectl(&switch.address, &["send", "a"]);
    let output = send.arg(OsStr::from_bytes(b"\xff")).output();
    assert_eq!(output.expect("the program was built").status.code(), Some(0));
    assert_eq!(next(&mut lines), hex.replace("ff00fe", "ff"));
    signal(&listener, Signal::SIGINT);
    assert_eq!(listener.wait().expect("it ends").code(), Some(0));
}

#[test]
fn ports_are_registered_by_the_lines_of_standard_input() {
    let Some(switch) = Switch::dev() else { return };
    let register = |lines: &[u8]| {
        let mut register = abelectl(&switch.address, &["register", "-o", "jsonl"]);
        register.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = register.spawn().expect("the program was built");
        child.stdin.take().expect("it was piped").write_all(lines).expect("it reads");
        child
    };
    for (lines, wrong) in [
        (&b""[..], "standard input is empty; name ports"),
        (b"a\n\nb\n", "line 2 of standard input is empty"),
        (b"a\xff\n", "no UTF-8"),
    ] {
        let output = register(lines).wait_with_output().expect("it ends");
        let (code, stdout, stderr) = told(&output);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains(wrong), "{stderr}");
    }
    let names: Vec<String> = (0..3_000).map(|number| format!("line {number}")).collect();
    let mut holder = register(names.join("\n").as_bytes());
    let lines = BufReader::new(holder.stdout.take().expect("it was piped")).lines();
    let granted = lines.take(names.len()).map_while(Result::ok);
    assert_eq!(granted.filter(|line| line.contains("\"granted\"")).count(), names.len());
    until_held(&switch, "line 2999");
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn who_holds_ports_of_a_switch_that_begins_anew_is_told_so() {
    let Some((mut switch, _folder)) = Switch::patient("127.0.0.1:0") else { return };
    let address = switch.address.clone();
    let mut register = abelectl(&address, &["register", "a", "-o", "jsonl"]);
    let register = register.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut register = register.expect("the program was built");
    let mut lines = BufReader::new(register.stdout.take().expect("it was piped")).lines();
    assert!(next(&mut lines).contains("\"granted\""));
    switch.child.kill().expect("it lives");
    switch.child.wait().expect("it ends");
    let _another = Switch::patient(&address).expect("the program is there");
    let (code, _stdout, stderr) = told(&register.wait_with_output().expect("it ends"));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("a is not held any more: the switch began anew"), "{stderr}");
}

#[test]
fn a_bench_that_may_not_register_says_why() {
    let text = "[[access]]\nnode = \"n\"\nproof = \"loopback\"\nregister = [\"x\"]\n";
    let Some((switch, _folder)) = Switch::of(text) else { return };
    let (code, _stdout, stderr) = switch.run(&["bench", "--ports", "10", "--node", "n"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("0 of 10 ports were granted: forbidden"), "{stderr}");
}

#[test]
fn an_operator_whose_credential_is_bound_to_an_id_drops_another_node() {
    let entry = |node: &str, role: &str| {
        format!("[[access]]\nnode = \"{node}\"\nproof = \"loopback\"\nrole = \"{role}\"\n")
    };
    let text = format!("{}{}", entry("op", "operator"), entry("n", "node"));
    let Some((switch, _folder)) = Switch::of(&text) else { return };
    for before in [true, false] {
        let (mut holder, mut lines) = spawn(&switch, &["register", "a", "--node", "n"]);
        until(&switch, "held", &["port", "a", "--node", "n"]);
        let args = ["--node", "op", "drop-node", "n", "--node", "op"];
        let (code, stdout, stderr) = switch.run(if before { &args[..4] } else { &args[2..] });
        assert!(code == Some(0) && stdout.contains("draining"), "{code:?} {stdout}{stderr}");
        assert_eq!(holder.wait().expect("it ends").code(), Some(3));
        next(&mut lines);
        until(&switch, "free", &["lock", "a", "--node", "n", "--", "true"]);
    }
    let mut command = abelectl(&switch.address, &["drop-node", "nobody"]);
    let (code, _stdout, stderr) = told(&command.env("BYPSS_NODE", "op").output().expect("built"));
    assert!(code == Some(1) && stderr.contains("no node \"nobody\""), "{code:?} {stderr}");
}

#[test]
fn what_tls_needs_comes_from_the_environment_too() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let missing = folder.path().join("missing.pem");
    let mut command = abelectl("127.0.0.1:1", &["status", "--timeout", "0.3"]);
    for name in ["BYPSS_TLS_CERTIFICATE", "BYPSS_TLS_KEY", "BYPSS_TLS_CA"] {
        command.env(name, &missing);
    }
    let (code, _stdout, stderr) = told(&command.output().expect("the program was built"));
    assert!(code == Some(2) && stderr.contains("missing.pem"), "{code:?} {stderr}");
    command.env_remove("BYPSS_TLS_KEY");
    let (code, _stdout, stderr) = told(&command.output().expect("the program was built"));
    assert!(code == Some(2) && stderr.contains("--tls-key"), "{code:?} {stderr}");
    let (_code, help, _stderr) =
        told(&abelectl("", &["status", "--help"]).output().expect("built"));
    assert!(help.contains("BYPSS_TLS_NAME"), "{help}");
}

#[test]
fn a_token_is_the_same_text_wherever_it_is_told() {
    let Some(switch) = Switch::dev() else { return };
    let script = "echo $ABELE_LOCK_TOKEN; sleep 5";
    let (mut lock, mut lines) = spawn(&switch, &["lock", "q", "--", "sh", "-c", script]);
    let token = next(&mut lines);
    let (_code, port, _stderr) = switch.run(&["port", "q", "-o", "jsonl"]);
    assert!(port.contains(&format!("\"token\":\"{token}\"")), "{token}: {port}");
    let sequence = token.split_once(':').expect("two numbers").1;
    let (_code, ports, _stderr) = switch.run(&["ports", "q", "-o", "jsonl"]);
    assert!(ports.contains(&format!("\"sequence\":\"{sequence}\"")), "{token}: {ports}");
    signal(&lock, Signal::SIGTERM);
    assert_eq!(lock.wait().expect("it ends").code(), Some(143));
    let (mut holder, mut lines) = spawn(&switch, &["register", "r", "-o", "jsonl"]);
    let (granted, port) = (next(&mut lines), switch.run(&["port", "r", "-o", "jsonl"]).1);
    let text = |line: &str| line.split("\"token\":").nth(1).expect("it has one").to_owned();
    assert_eq!(text(&granted).trim(), text(&port).trim());
    signal(&holder, Signal::SIGTERM);
    assert_eq!(holder.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_switch_that_is_away_is_told_with_what_to_do() {
    let (code, stdout, stderr) =
        told(&abelectl("127.0.0.1:1", &["status", "--timeout", "0.3"]).output().expect("built"));
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("127.0.0.1:1") && stderr.contains("BYPSS_ENDPOINTS"), "{stderr}");
}
