//! Ports between clients: who gets them, who sees them, and what becomes of them.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{Batch, ErrorCode, Hello, Limits, Name, RegisterCode, RegisterFlags};

use crate::client::{Client, Registered, hello};
use crate::daemon::{Daemon, FREE, IS_SPREAD, folder};

#[test]
fn a_port_is_registered_seen_refused_to_another_and_free_again() {
    let daemon = Daemon::with("");
    let mut a = Client::session(daemon.address, "a");
    let mut b = Client::session(daemon.address, "b");
    assert_eq!((a.epoch, a.shards), (daemon.epoch, if IS_SPREAD { 5 } else { 1 }));
    assert_eq!(format!("{:032x}", u128::from_be_bytes(a.cluster.0)), daemon.cluster);
    assert_eq!(b.holder("user:1"), "free");
    let Registered { first, granted, failures } = a.register(&["user:1", "user:2"]).unwrap();
    assert_eq!((granted, failures), (2, vec![]));
    assert_eq!(b.holder("user:1"), "a");
    let refused = b.register(&["user:0", "user:1"]).unwrap();
    assert_eq!((refused.granted, refused.failures), (1, vec![(1, RegisterCode::Held)]));
    assert_eq!(a.unregister("user:1", first + 7), 1, "another grant's sequence");
    assert_eq!(a.unregister("user:1", first), 0);
    assert_eq!(b.holder("user:1"), "free");
    let again = b.register(&["user:1"]).unwrap();
    assert!(again.first > first, "grants of one port grow");
    assert_eq!((daemon.metric("bypssd_switch_ports"), daemon.metric("bypssd_connections")), (3, 2));
}

#[test]
fn a_client_that_was_killed_keeps_all_its_ports_for_the_exclusion_and_none_for_longer() {
    let daemon = Daemon::with("");
    let mut other = Client::session(daemon.address, "other");
    let mut killed = Client::session(daemon.address, "killed");
    // Of five shards each has some of them.
    let names: Vec<String> = (0..100).map(|number| format!("port {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(killed.register(&names).unwrap().granted, 100);
    let silent_since = Instant::now();
    drop(killed);
    loop {
        let asked = Instant::now();
        let holder = other.holder("port 0");
        other.relet().unwrap();
        if holder == "free" {
            // 1,000 ms at the slowest clock: 1,003.
            assert!(silent_since.elapsed() > Duration::from_millis(900));
            assert!(silent_since.elapsed() < Duration::from_secs(5));
            break;
        }
        assert_eq!(holder, "killed");
        assert!(asked.duration_since(silent_since) < Duration::from_secs(5), "it never lapses");
        thread::sleep(Duration::from_millis(20));
    }
    let Registered { granted, failures, .. } = other.register(&names).unwrap();
    assert_eq!((granted, failures), (100, vec![]), "all of them are free at once");
    assert_eq!(daemon.metric("bypssd_switch_sessions_lapsed_total"), 1);
    // It comes back with the same session, and is told.
    let mut back = Client::enter(daemon.address, "killed");
    assert_eq!(back.relet().unwrap_err().code, ErrorCode::Lapsed);
}

#[test]
fn after_a_restart_the_epoch_is_higher_and_nothing_is_granted_while_earlier_leases_may_run() {
    let text = format!("{FREE}[lease]\nlease_ms = 1500\n");
    let daemon = Daemon::start(folder(), &text, std::process::Stdio::piped());
    let mut a = Client::session(daemon.address, "a");
    let refused = a.register(&["port"]).unwrap_err();
    assert_eq!((refused.code, refused.closes), (ErrorCode::Grace, false));
    assert!((1..=1_504).contains(&refused.number), "{refused:?}");
    assert_eq!(a.holder("port"), "unknown");
    assert!(daemon.page("/readyz").0.starts_with("HTTP/1.1 503 "));
    daemon.until("it is ready", |daemon| daemon.page("/readyz").0.starts_with("HTTP/1.1 200 "));
    // The session may have lapsed on a machine that is busy.
    let mut a = Client::connect(daemon.address).unwrap();
    let session = protocol::SessionId([9; 16]);
    a.hello(Hello { session, ..hello("a") }, None).unwrap();
    a.wait_msg();
    assert_eq!(a.register(&["port"]).unwrap().granted, 1);
    assert_eq!(a.holder("port"), "a");
    let (epoch, cluster) = (daemon.epoch, daemon.cluster.clone());
    let folder = daemon.die();

    let daemon = Daemon::again(folder, std::process::Stdio::piped());
    assert!(daemon.epoch > epoch, "{} after {epoch}", daemon.epoch);
    assert_eq!(daemon.cluster, cluster, "it is the same cluster");
    let mut b = Client::session(daemon.address, "b");
    assert!(b.epoch > a.epoch);
    assert_eq!(b.holder("port"), "unknown", "a may own it still");
    assert_eq!(b.register(&["port"]).unwrap_err().code, ErrorCode::Grace);
    let begun = Instant::now();
    let granted = loop {
        match b.register(&["port"]) {
            Ok(registered) => break registered,
            Err(told) => assert_eq!(told.code, ErrorCode::Grace),
        }
        b.relet().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "the grace does not end");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(granted.granted, 1);
}

#[test]
fn a_higher_epoch_that_a_client_has_heard_of_is_exceeded_in_the_grace() {
    let text = format!("state_dir = \".\"\n{FREE}[lease]\nlease_ms = 30000\n");
    let daemon = Daemon::start(folder(), &text, std::process::Stdio::piped());
    let seen = daemon.epoch + 3_600_000;
    let mut ahead = Client::connect(daemon.address).unwrap();
    let said = Hello { epoch_seen: protocol::Epoch(seen), ..hello("a") };
    assert_eq!(ahead.hello(said, None).unwrap_err().code, ErrorCode::NotMaster);
    let mut ahead = Client::connect(daemon.address).unwrap();
    assert_eq!(ahead.epoch, seen + 1);
    ahead.hello(said, None).unwrap();
    // More than a day ahead is a lie.
    let lie = Hello { epoch_seen: protocol::Epoch(seen + 100_000_000), ..hello("b") };
    let mut liar = Client::connect(daemon.address).unwrap();
    assert_eq!(liar.hello(lie, None).unwrap_err().code, ErrorCode::NotMaster);
    assert_eq!(Client::connect(daemon.address).unwrap().epoch, seen + 1);
    // It is on the disk, so the next start is above it.
    let daemon = Daemon::again(daemon.die(), std::process::Stdio::piped());
    assert_eq!(daemon.epoch, seen + 2);
}

#[test]
fn what_was_sent_before_the_connection_that_follows_is_done_before_its_welcome_or_never() {
    const NAMES: usize = 10_000;
    let daemon = Daemon::with("");
    let _receive = Client::session(daemon.address, "a");
    let names: Vec<_> = (0..NAMES).map(|number| format!("late-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut requests = Vec::new();
    for name in &names {
        let flags = RegisterFlags::default();
        let mut batch = Batch::register(&mut requests, 4, flags, &Limits::DEFAULT);
        assert!(batch.push(Name(name.as_bytes())));
        batch.finish();
    }
    let said = Hello { index: 60, ..hello("a") };
    for round in 0..20 {
        let [mut older, mut newer] = [(); 2].map(|()| Client::connect(daemon.address).unwrap());
        older.hello(Hello { generation: 2 * round + 1, ..said }, None).unwrap();
        older.send(&requests);
        newer.hello(Hello { generation: 2 * round + 2, ..said }, None).unwrap();
        let done = newer.count_held(&names);
        println!("round {round}: {done} of {NAMES} were done before");
        // Whether it is taken at all is the kernel's to say.
        let _sent = older.stream.write_all(&requests[requests.len() / 2..]);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(newer.count_held(&names), done, "round {round}: late ones were done");
        newer.give_up();
        assert_eq!(newer.count_held(&names), 0);
    }
    assert!(daemon.metric("bypssd_switch_connections_followed_total") >= 20);
}
