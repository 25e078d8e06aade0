//! Ten thousand connections, listed while others come and go.

#![allow(clippy::print_stdout, reason = "what was measured is told")]

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::lab::{Gateway, abelectl, ask_tool, configuration, fetch, in_lab};

const CLIENTS: usize = 10_000;

/// Descriptors for all clients, as far as this process may have them.
fn raise_limit() {
    let (_soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process knows its limits");
    assert!(hard > CLIENTS as u64 + 100, "mend it: ulimit -Hn 20000 (as root)");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard one it may");
}

/// How often each port of ours is listed.
fn ports(listed: &str) -> HashMap<u16, usize> {
    let mut ports = HashMap::new();
    for line in listed.lines().filter(|line| line.contains("\"local_port\":7,")) {
        let (_, behind) = line.split_once("\"remote_port\":").expect("every connection has one");
        let digits = behind.split(|c: char| !c.is_ascii_digit()).next().expect("a first part");
        *ports.entry(digits.parse().expect("a port")).or_default() += 1;
    }
    ports
}

#[test]
fn every_one_of_ten_thousand_connections_is_listed_once_under_load() {
    in_lab("connections::every_one_of_ten_thousand_connections_is_listed_once_under_load", || {
        let Some(tool) = abelectl() else { return };
        raise_limit();
        let gateway = Gateway::start(&configuration("", "[workers]\ncount = 2"));
        let connect = |number| {
            TcpStream::connect("10.77.0.2:7")
                .unwrap_or_else(|error| panic!("client {number}: {error}: {}", gateway.log()))
        };
        let clients: Vec<TcpStream> = (0..CLIENTS).map(connect).collect();
        let is_over = AtomicBool::new(false);
        let (listed, fetched) = thread::scope(|scope| {
            let load = scope.spawn(|| {
                let mut fetched = 0;
                while !is_over.load(Ordering::Acquire) {
                    assert!(fetch("10.77.0.2"), "fetch {fetched}: {}", gateway.log());
                    fetched += 1;
                }
                fetched
            });
            let begun = Instant::now();
            let listed = ask_tool(&tool, &gateway, &["connections", "--json"]);
            println!("{CLIENTS} connections were listed within {:.2?}", begun.elapsed());
            is_over.store(true, Ordering::Release);
            (listed, load.join().expect("every fetch is served"))
        });
        println!("{fetched} fetches meanwhile");
        let ports = ports(&listed);
        for client in &clients {
            let port = client.local_addr().expect("it is connected").port();
            assert_eq!(ports.get(&port), Some(&1), "port {port}");
        }
        assert_eq!(ports.len(), CLIENTS);
    });
}
