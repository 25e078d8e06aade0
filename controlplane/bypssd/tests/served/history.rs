//! What clients on threads of their own recorded, against what a switch promises: no two of them
//! held a port at once, and the grants of a port only grew.
//!
//! A client writes itself down as the owner after it was told of a grant, and takes itself off before
//! it gives the port back. Between the two nobody else may be written down.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use base::Rng;
use protocol::RegisterCode;

use crate::client::{Client, Granted};
use crate::daemon::Daemon;

const CLIENTS: usize = 6;
const NAMES: u64 = 40;
const LASTS: Duration = Duration::from_secs(2);

/// What is written down of one port.
#[derive(Debug, Default)]
struct Record {
    owner: Option<usize>,
    sequence: u64,
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    granted: u64,
    held: u64,
}

#[expect(clippy::print_stdout, reason = "whoever sees it fail needs the seed")]
fn seed() -> u64 {
    let given = std::env::var("ABELE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
    println!("ABELE_SEED={seed}");
    seed
}

#[test]
fn no_port_has_two_owners_and_its_grants_only_grow() {
    let seed = seed();
    let daemon = Daemon::with("");
    let records: Vec<Mutex<Record>> = (0..NAMES).map(|_| Mutex::default()).collect();
    let seen = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (records, address) = (&records, daemon.address);
                scope.spawn(move || live(address, number, seed, records))
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(seen.iter().all(|seen| seen.granted > 20 && seen.held > 20), "{seen:?}");
    let granted: u64 = seen.iter().map(|seen| seen.granted).sum();
    assert_eq!(daemon.metric("bypssd_switch_ports_granted_total"), granted);
    assert_eq!(daemon.metric("bypssd_switch_ports_released_total"), granted);
}

fn record_of(records: &[Mutex<Record>], name: u64) -> MutexGuard<'_, Record> {
    let record = &records[usize::try_from(name).expect("there are few")];
    record.lock().expect("another client has failed")
}

fn live(address: SocketAddr, number: usize, seed: u64, records: &[Mutex<Record>]) -> Seen {
    let mut rng = Rng::seeded(seed ^ number as u64);
    let mut receiver = Client::session(address, &format!("client {number}"));
    // Requests come on other connections, which may be at other workers.
    let mut senders: Vec<_> =
        (0..2).map(|_| Client::enter(address, &format!("client {number}"))).collect();
    let (mut own, mut seen) = (BTreeMap::new(), Seen::default());
    let begun = Instant::now();
    while begun.elapsed() < LASTS {
        let sender = &mut senders[usize::from(rng.below(2) == 0)];
        let names: Vec<u64> = (0..1 + rng.below(12)).map(|_| rng.below(NAMES)).collect();
        if rng.below(2) == 0 {
            register(sender, number, &names, records, &mut own, &mut seen);
        } else {
            release(sender, &names, records, &mut own);
        }
        receiver.relet().expect("it is heard in time");
    }
    let all: Vec<u64> = own.keys().copied().collect();
    release(&mut senders[0], &all, records, &mut own);
    seen
}

fn register(
    sender: &mut Client,
    number: usize,
    names: &[u64],
    records: &[Mutex<Record>],
    own: &mut BTreeMap<u64, u64>,
    seen: &mut Seen,
) {
    let texts: Vec<String> = names.iter().map(|name| format!("port {name}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (name, outcome) in names.iter().zip(sender.register_each(&texts).expect("it may register"))
    {
        match outcome {
            Granted::Now(sequence) => {
                let mut record = record_of(records, *name);
                let owner = record.owner.replace(number);
                assert_eq!(owner, None, "port {name} has two owners: {number} too");
                let before = std::mem::replace(&mut record.sequence, sequence);
                assert!(before < sequence, "port {name}: {sequence} after {before}");
                assert!(own.insert(*name, sequence).is_none());
                seen.granted += 1;
            }
            Granted::Not(RegisterCode::Mine) => assert!(own.contains_key(name), "port {name}"),
            Granted::Not(code) => {
                assert_eq!(code, RegisterCode::Held);
                assert!(!own.contains_key(name), "port {name} is {number}'s");
                seen.held += 1;
            }
        }
    }
}

fn release(
    sender: &mut Client,
    names: &[u64],
    records: &[Mutex<Record>],
    own: &mut BTreeMap<u64, u64>,
) {
    for name in names {
        let Some(sequence) = own.remove(name) else { continue };
        let mut record = record_of(records, *name);
        record.owner = None;
        drop(record);
        assert_eq!(sender.unregister(&format!("port {name}"), sequence), 0, "port {name}");
    }
}
