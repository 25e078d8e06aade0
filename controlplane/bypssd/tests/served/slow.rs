//! A node with many connections that do not read, or that ask for very much, and others beside it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, query};
use crate::daemon::Daemon;

/// Connections of that node: of two workers each has some of them.
const CONNECTIONS: usize = 8;

/// Names of one query whose answer is far more than the kernel and an outbox take.
const NAMES: u32 = 700_000;

/// The longest frame that is allowed, unless the file says otherwise.
const LONGEST: u32 = 32 << 20;

/// How long one with a lease of a second is watched.
const WATCHED: Duration = Duration::from_millis(2_500);

/// The beginning of a query as long as `len` says, of so many names.
fn head(len: u32, names: u32) -> Vec<u8> {
    let mut head = len.to_le_bytes().to_vec();
    head.extend([6, 0, 0, 0, 9, 0, 0, 0]);
    head.extend(names.to_le_bytes());
    head
}

/// What hinders nobody: another keeps its lease and its port, and who comes now comes in.
fn others_are_served(daemon: &Daemon, victim: &mut Client, name: &str) {
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        victim.relet().expect("it renews in time");
        thread::sleep(Duration::from_millis(100));
    }
    let begun = Instant::now();
    let mut newcomer = Client::session(daemon.address, name);
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited {:?}", begun.elapsed());
    assert_eq!(newcomer.holder("kept"), "victim");
    assert_eq!(newcomer.register(&[name]).map(|it| it.granted), Ok(1));
    victim.relet().expect("it renews in time");
}

/// Writes until everything is read or nothing has been for a second.
fn write_what_is_read(mut stream: &TcpStream, bytes: &[u8]) {
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("it is not zero");
    let mut written = 0;
    while written < bytes.len() {
        // Not to be read any more is what such a one gets, and so is an end.
        match stream.write(&bytes[written..]) {
            Ok(len) => written += len,
            Err(_stopped) => return,
        }
    }
}

#[test]
fn many_connections_that_do_not_read_take_nobodys_lease_whatever_they_send() {
    let daemon = Daemon::with(&format!("limits = {{ items = {NAMES} }}\n"));
    let mut victim = Client::session(daemon.address, "victim");
    assert_eq!(victim.register(&["kept"]).unwrap().granted, 1);
    let slow: Vec<_> = (0..CONNECTIONS).map(|_| Client::enter(daemon.address, "slow")).collect();
    let mut asks = head(16 + 2 * NAMES, NAMES);
    asks.extend(std::iter::repeat_n([1, b'a'], NAMES as usize).flatten());
    for (before, client) in (0..).zip(&slow) {
        (&client.stream).write_all(&asks).unwrap();
        let wanted = u64::from(NAMES) * (before + 1);
        daemon.until("it is answered", |daemon| {
            daemon.metric("bypssd_switch_ports_queried_total") >= wanted
        });
        victim.relet().expect("it renews in time");
    }
    // Its answer is not read, so what follows waits, and one of these is more than what all of a
    // worker's connections may have on their way to the switch.
    let mut long = head(LONGEST, 1);
    long.resize(LONGEST as usize, 0);
    thread::scope(|scope| {
        for client in &slow {
            scope.spawn(|| write_what_is_read(&client.stream, &long));
        }
        others_are_served(&daemon, &mut victim, "newcomer");
    });
    others_are_served(&daemon, &mut victim, "another");
    assert!(daemon.metric("bypssd_worker_blocked_total") > 0);
    drop(slow);
    daemon.until("nothing is kept for them", |daemon| {
        daemon.metric("bypssd_partial_bytes") == 0 && daemon.metric("bypssd_connections") == 1
    });
}

#[test]
fn who_asks_long_questions_and_reads_the_answers_takes_nobodys_lease() {
    let daemon = Daemon::with("");
    let mut victim = Client::session(daemon.address, "victim");
    assert_eq!(victim.register(&["kept"]).unwrap().granted, 1);
    let name = "n".repeat(1_000);
    let long = query(&vec![name.as_str(); 10_000]);
    let busy: Vec<_> = (0..3).map(|_| Client::enter(daemon.address, "busy").stream).collect();
    thread::scope(|scope| {
        for stream in &busy {
            scope.spawn(|| {
                let begun = Instant::now();
                while begun.elapsed() < WATCHED {
                    write_what_is_read(stream, &long);
                }
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let (mut stream, mut bytes) = (stream, vec![0; 1 << 20]);
                while stream.read(&mut bytes).is_ok_and(|len| len > 0) {}
            });
        }
        others_are_served(&daemon, &mut victim, "newcomer");
    });
    assert!(daemon.metric("bypssd_switch_ports_queried_total") > 100_000);
}
