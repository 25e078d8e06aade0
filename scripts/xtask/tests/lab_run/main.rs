//! `scripts/run` as its users meet it: its answers, its ends, and what it leaves behind.
//!
//! It needs what `scripts/lab tap` needs, and some tests need root. What is lacking is said loudly;
//! under `ABELE_REQUIRE=root,tap` it is a failure. `ABELE_GATEWAY` names a gateway that is built
//! already, as for the script itself.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod lab;

use std::process::Command;
use std::time::Duration;

use lab::{End, Lab, gateway, skip_without_root};
use nix::sys::signal::Signal;

/// Few requests, for the tests that ask about the end and not about the answers.
const FEW: &[&str] = &["--requests", "32", "--json"];

/// Text that the script prints once curl asks, and once everything was answered.
const ASKING: &str = "asking: processes";
const SERVING: &str = "It stays up";

fn with_time<'a>(arguments: &[&'a str], seconds: &'a str) -> Vec<&'a str> {
    [&["--for", seconds], arguments].concat()
}

/// What must be in a report that is right, with so many processes of curl.
fn assert_right(end: &End, requests: u64) {
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    let report = end.report();
    let checks = &report["checks"];
    assert_eq!(checks["ok"], true, "{report}");
    assert_eq!(checks["curl"], requests, "{report}");
    assert_eq!(checks["keepalive"], requests * 4, "{report}");
    assert_eq!(checks["file_bytes"], 100_000_000, "{report}");
    assert_eq!(checks["file_hash_equal"], true, "{report}");
    let wrong = ["ping_lost", "ping6_lost", "curl_wrong", "keepalive_wrong", "keepalive_lost"];
    let others = ["head_wrong", "refused_wrong", "echo_tcp_wrong", "echo_udp_wrong", "file_wrong"];
    for name in wrong.iter().chain(&others) {
        assert_eq!(checks[name], 0, "{name}: {report}");
    }
    for name in ["ready_ms", "curl_per_s", "keepalive_per_s", "file_v4_bits_per_s"] {
        assert!(report["figures"][name].as_u64() > Some(0), "{name}: {report}");
    }
}

#[test]
fn the_main_job_is_answered_rightly_and_runs_again_at_once() {
    let Some(lab) = Lab::new("the_main_job_is_answered_rightly_and_runs_again_at_once") else {
        return;
    };
    let run = lab.start(&["--for", "20", "--json"]);
    let end = run.wait();
    assert_right(&end, 2_000);
    assert!(end.took >= Duration::from_secs(20), "--for counts from ready: {:?}", end.took);
    eprintln!("{}", end.report());
    lab.assert_nothing_left();
    assert_right(&lab.start(&with_time(FEW, "1")).wait(), 32);
    lab.assert_nothing_left();
}

#[test]
fn two_runs_at_once_do_not_meet() {
    let Some(lab) = Lab::new("two_runs_at_once_do_not_meet") else { return };
    let (one, other) = (lab.start(&with_time(FEW, "1")), lab.start(&with_time(FEW, "1")));
    assert_right(&one.wait(), 32);
    assert_right(&other.wait(), 32);
    lab.assert_nothing_left();
}

#[test]
fn a_signal_in_the_middle_leaves_nothing_and_it_runs_again() {
    let Some(lab) = Lab::new("a_signal_in_the_middle_leaves_nothing_and_it_runs_again") else {
        return;
    };
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let run = lab.start(&["--json"]);
        run.await_text(ASKING);
        lab.note_what_runs();
        if signal == Signal::SIGINT {
            run.signal_group(signal);
        } else {
            run.signal(signal);
        }
        let end = run.wait();
        assert_eq!(end.code, Some(code), "{}", end.stderr);
        assert_eq!(end.stdout, "", "there is no report of half the answers");
        lab.assert_nothing_left();
    }
    assert_right(&lab.start(&with_time(FEW, "1")).wait(), 32);
    lab.assert_nothing_left();
}

#[test]
fn ctrl_c_is_heard_while_it_asks_whether_af_xdp_works() {
    const NAME: &str = "ctrl_c_is_heard_while_it_asks_whether_af_xdp_works";
    if skip_without_root(NAME) {
        return;
    }
    let Some(lab) = Lab::new(NAME) else { return };
    // It is asked, goes on through the Ctrl-C, and ends rightly, as a lab does that is at its end.
    let deaf = lab.program("deaf", "#!/bin/sh\ntrap '' INT\n: >\"$0.asked\"\nsleep 0.5\n");
    let run = lab.start_with(&with_time(FEW, "1"), &deaf);
    let begun = std::time::Instant::now();
    while !deaf.with_extension("asked").exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody asks: {}", run.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    run.signal_group(Signal::SIGINT);
    let end = run.wait();
    assert_eq!(end.code, Some(130), "{}", end.stderr);
    assert!(end.stderr.contains("stopped before the last answer"), "{}", end.stderr);
    lab.assert_nothing_left();
}

#[test]
fn a_gateway_that_does_not_end_by_itself_is_killed_and_its_files_are_removed() {
    const NAME: &str = "a_gateway_that_does_not_end_by_itself_is_killed_and_its_files_are_removed";
    let Some(lab) = Lab::new(NAME) else { return };
    let run = lab.start(&["--json"]);
    run.await_text(ASKING);
    lab.signal_gateway(Signal::SIGSTOP);
    run.signal_group(Signal::SIGINT);
    assert_eq!(run.wait().code, Some(130));
    lab.assert_nothing_left();
}

#[test]
fn without_a_time_it_stays_up_until_ctrl_c_and_that_is_no_failure() {
    let Some(lab) = Lab::new("without_a_time_it_stays_up_until_ctrl_c_and_that_is_no_failure")
    else {
        return;
    };
    let run = lab.start(FEW);
    run.await_text(SERVING);
    let body = lab.inside(&run, "curl -s http://10.77.0.2/100.txt");
    assert!(body.starts_with("100000000\n"), "the lines for another terminal work: {body}");
    // The gateway's stack would drop every packet of a kernel that left checksums to the device.
    // On a TAP device its end is abele0 itself, on a veth pair the other one.
    let show = "ethtool --show-offload abele1 2>/dev/null || ethtool --show-offload abele0";
    let offload = lab.inside(&run, show);
    for feature in ["tx-checksumming: off", "tcp-segmentation-offload: off"] {
        assert!(offload.contains(feature), "{offload}");
    }
    run.signal_group(Signal::SIGINT);
    assert_right(&run.wait(), 32);
    lab.assert_nothing_left();
}

#[test]
fn a_killed_run_takes_everything_with_it_but_files_that_the_next_run_removes() {
    const NAME: &str = "a_killed_run_takes_everything_with_it_but_files_that_the_next_run_removes";
    let Some(lab) = Lab::new(NAME) else { return };
    let run = lab.start(&["--json"]);
    run.await_text(ASKING);
    lab.note_what_runs();
    run.signal(Signal::SIGKILL);
    run.wait();
    lab.assert_no_process_left();
    assert_eq!(lab.folders().len(), 1, "{:?}", lab.folders());
    // Without rights for one of the folders there is none.
    assert!(lab.instances().len() <= 1, "{:?}", lab.instances());
    assert_right(&lab.start(&with_time(FEW, "1")).wait(), 32);
    lab.assert_nothing_left();
}

#[test]
fn a_killed_gateway_ends_the_run_as_wrong_and_leaves_nothing() {
    let Some(lab) = Lab::new("a_killed_gateway_ends_the_run_as_wrong_and_leaves_nothing") else {
        return;
    };
    for moment in [ASKING, SERVING] {
        let run = lab.start(FEW);
        run.await_text(moment);
        lab.signal_gateway(Signal::SIGKILL);
        let end = run.wait();
        assert_eq!(end.code, Some(1), "{}", end.stderr);
        assert_eq!(end.report()["checks"]["ok"], false, "{}", end.stdout);
        lab.assert_nothing_left();
    }
}

#[test]
fn one_changed_byte_in_a_document_is_as_many_wrong_answers_as_it_has_readers() {
    const NAME: &str = "one_changed_byte_in_a_document_is_as_many_wrong_answers_as_it_has_readers";
    let Some(lab) = Lab::new(NAME) else { return };
    // A gateway that serves something else than what was made: one byte in the middle.
    let text = format!(
        "#!/bin/sh
         for len in 10000 1000000 100000000; do
             printf x | dd of=\"${{2%/*}}/documents/$len.txt\" bs=1 seek=$((len / 2)) \
                 conv=notrunc status=none
         done
         exec '{}' \"$@\"
         ",
        gateway().display()
    );
    let liar = lab.program("liar", &text);
    let end = lab.start_with(&["--requests", "200", "--json", "--for", "1"], &liar).wait();
    assert_eq!(end.code, Some(1), "{}", end.stderr);
    let report = end.report();
    // Both families ask in turn; every third pair wants 10,000 bytes, every hundredth 1,000,000.
    let readers = |requests: u64| {
        let asks = |turn: u64| turn % 100 == 99 || turn % 3 == 1;
        (0..requests).filter(|number| asks(number / 2)).count() as u64
    };
    let wrong = [
        ("curl_wrong", readers(200)),
        ("keepalive_wrong", readers(800)),
        ("head_wrong", 4),
        ("file_wrong", 2),
    ];
    for (check, count) in wrong {
        assert_eq!(report["checks"][check], count, "{check}: {report}");
    }
    let others = ["ping_lost", "keepalive_lost", "refused_wrong", "echo_tcp_wrong"];
    for check in others {
        assert_eq!(report["checks"][check], 0, "{check}: {report}");
    }
    assert_eq!(report["checks"]["ok"], false, "{report}");
    assert_eq!(report["checks"]["file_hash_equal"], false, "{report}");
    lab.assert_nothing_left();
}

#[test]
fn an_ordinary_user_needs_no_rights() {
    const NAME: &str = "an_ordinary_user_needs_no_rights";
    if skip_without_root(NAME) {
        return;
    }
    let Some(lab) = Lab::new(NAME) else { return };
    let scripts = lab.copy_scripts();
    // The device as most systems have it, in a mount namespace: everybody may open it.
    let device = |mode| format!("mknod /dev/net/tun c 10 200 && chmod {mode} /dev/net/tun");
    let end = lab.start_as_nobody(&scripts, &device(666), &with_time(FEW, "1")).wait();
    assert_right(&end, 32);
    let run = &end.report()["run"];
    assert_eq!((&run["root"], &run["user_namespace"]), (&false.into(), &true.into()), "{run}");
    lab.assert_nothing_left();

    let end = lab.start_as_nobody(&scripts, &device(600), &with_time(FEW, "1")).wait();
    assert_lacks(&end, "chmod 0666 /dev/net/tun");
    lab.assert_nothing_left();
}

/// Exit code 3, and one line that says what, why and how to mend it.
fn assert_lacks(end: &End, mend: &str) {
    assert_eq!(end.code, Some(3), "{}", end.stderr);
    assert_eq!(end.stderr.lines().count(), 1, "{}", end.stderr);
    assert!(end.stderr.contains("/dev/net/tun"), "{}", end.stderr);
    assert!(end.stderr.contains(&format!("mend it: {mend}")), "{}", end.stderr);
}

#[test]
fn without_a_tun_device_it_exits_3_at_once_and_names_the_mend() {
    const NAME: &str = "without_a_tun_device_it_exits_3_at_once_and_names_the_mend";
    if skip_without_root(NAME) {
        return;
    }
    let Some(lab) = Lab::new(NAME) else { return };
    let end = lab.start_without_device(&with_time(FEW, "1")).wait();
    assert_lacks(&end, "modprobe tun");
    lab.assert_nothing_left();
}

#[test]
fn on_a_full_disk_it_exits_3_and_names_the_mend() {
    const NAME: &str = "on_a_full_disk_it_exits_3_and_names_the_mend";
    if skip_without_root(NAME) {
        return;
    }
    let Some(lab) = Lab::new(NAME) else { return };
    let arguments = with_time(FEW, "1");
    for run in [
        lab.start_on_a_small_disk("4m", &arguments),
        lab.start_on_a_small_disk("4k", &arguments),
        lab.start_without_folder(&arguments),
    ] {
        let end = run.wait();
        assert_eq!(end.code, Some(3), "{}", end.stderr);
        assert_eq!(end.stderr.lines().count(), 1, "{}", end.stderr);
        assert!(end.stderr.contains("mend it: name a folder"), "{}", end.stderr);
    }
    lab.assert_nothing_left();
}

#[test]
fn wrong_arguments_exit_2_and_say_what_would_be_right() {
    let script = lab::root().join("scripts/run");
    for (line, right) in [
        ("--for", "--for 20"),
        ("--for 0", "--for 20"),
        ("--for -1", "--for 20"),
        ("--for 1e3", "--for 20"),
        ("--for 99999999", "below 31622400"),
        ("--requests", "from 16"),
        ("--requests 15", "from 16"),
        ("--requests 0x20", "from 16"),
        ("--json yes", "--json"),
        ("start", "--for S"),
    ] {
        let output = Command::new(&script).args(line.split(' ')).output().expect("bash is there");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(stderr.contains(right), "{line}: {stderr}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}
