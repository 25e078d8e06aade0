//! What operators see: metrics, health, and a worker that hangs.

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::daemon::Daemon;

#[test]
fn metrics_are_families_with_a_type_and_a_help_each_told_once() {
    let daemon = Daemon::with("");
    let mut a = Client::session(daemon.address, "a");
    a.register(&["x", "y"]).unwrap();
    let (head, body) = daemon.page("/metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let mut families = std::collections::BTreeSet::new();
    let (mut help, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').expect("it says something").0.to_owned();
            assert!(families.insert(help.clone()), "{help} is told twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, is) = rest.split_once(' ').expect("it has a type");
            assert_eq!(name, help);
            kind = is.to_owned();
            // As promtool wants it.
            assert_eq!(is == "counter", name.ends_with("_total"), "{name} is a {is}");
        } else {
            let name = line.split(['{', ' ']).next().expect("a split has a first part");
            let value = line.rsplit(' ').next().expect("a split has a last part");
            assert_eq!(name, help, "{line} ({kind})");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(daemon.metric("bypssd_up"), 1);
    assert_eq!(daemon.metric("bypssd_switch_ports"), 2);
    assert_eq!(daemon.metric("bypssd_switch_ports_granted_total"), 2);
    assert_eq!(daemon.metric("bypssd_epoch"), daemon.epoch);
    assert!(daemon.page("/livez").0.starts_with("HTTP/1.1 200 "));
    assert!(daemon.page("/readyz").0.starts_with("HTTP/1.1 200 "));
    assert!(daemon.page("/other").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_process_that_was_stopped_goes_on_and_says_so() {
    let daemon = Daemon::with("");
    let mut a = Client::session(daemon.address, "a");
    a.register(&["port"]).unwrap();
    daemon.signal(Signal::SIGSTOP);
    std::thread::sleep(std::time::Duration::from_millis(2_600));
    daemon.signal(Signal::SIGCONT);
    let mut b = Client::session(daemon.address, "b");
    assert_eq!(b.holder("port"), "free", "a was silent for longer than its lease");
    assert!(daemon.metric("bypssd_worker_stalls_total") >= 1);
    let (status, _, told) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(told.contains("stood still"), "{told}");
}
