//! Answers as they are for plans made here, and cores that answer, or do not.

use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use base::Instant;
use gateway::Documents;
use ip::{Neighbour, NeighbourState};
use memory::{FrameArena, PageChoice};
use serde_json::json;
use stack::ListenerOptions;
use tcp::ListenerSeen;
use wire::{Address, MacAddress};

use super::{Seen, What, ask, tables};
use crate::assembly::{Parts, assemble};
use crate::bell::Bell;
use crate::config::{Host, parse};
use crate::limits::LOOKS_MAX;
use crate::order;
use crate::plan::Plan;

const CONFIG: &str = "\
    addresses = [\"10.77.0.2/24\", \"fd77::2/64\"]\n\
    [interface]\n\
    mac = \"02:00:00:00:00:0a\"\n\
    neighbours_max = 600\n\
    [tcp]\n\
    connections = 100\n\
    [memory]\n\
    pages = \"base\"\n\
    [[route]]\n\
    destination = \"0.0.0.0/0\"\n\
    gateway = \"10.77.0.1\"\n\
    [[route]]\n\
    destination = \"10.9.0.0/16\"\n\
    [[listener]]\n\
    protocol = \"echo\"\n\
    udp = true\n";

fn plan() -> Plan {
    parse(Path::new("abele.toml"), CONFIG, &Host::default())
        .unwrap_or_else(|found| panic!("{found}"))
}

fn neighbour(host: u8, state: NeighbourState) -> Neighbour {
    Neighbour {
        address: Address::from_v4_octets(Ipv4Addr::new(10, 77, 0, host).octets()),
        mac: Some(MacAddress([2, 0, 0, 0, 0, host])),
        state,
        used_at: None,
        is_gateway: false,
    }
}

fn listener(port: u16, is_open: bool, connections: u32) -> Seen {
    let options = ListenerOptions::default();
    Seen::Listener(ListenerSeen { port, options, is_open, connections })
}

#[test]
fn addresses_are_told_with_prefix_family_and_scope() {
    let told = tables::addresses(&plan());
    let of = |address: &str, prefix_len: u8, family: &str, scope: &str| json!({"address": address, "prefix_len": prefix_len, "family": family, "scope": scope});
    let expected = json!([
        of("10.77.0.2", 24, "ipv4", "global"),
        of("fd77::2", 64, "ipv6", "global"),
        of("fe80::ff:fe00:a", 64, "ipv6", "link"),
    ]);
    assert_eq!(told["addresses"], expected);
    assert_eq!((&told["mac"], &told["mtu"]), (&json!("02:00:00:00:00:0a"), &json!(1500)));
}

#[test]
fn routes_are_told_in_the_order_in_which_they_are_tried() {
    let told = tables::routes(&plan());
    let rows = told["routes"].as_array().unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| format!("{} {} {}", row["destination"], row["gateway"], row["kind"]))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "10.77.0.0/24" null "connected"
    "10.9.0.0/16" null "configured"
    "0.0.0.0/0" "10.77.0.1" "configured"
    "fd77::/64" null "connected"
    "fe80::/64" null "connected"
    "#);
}

#[test]
fn neighbours_are_told_by_core_and_address_and_missing_cores_are_named() {
    let rows = vec![
        Seen::Neighbour(neighbour(9, NeighbourState::Stale), Some(2_500_000)),
        Seen::Neighbour(neighbour(1, NeighbourState::Reachable), None),
    ];
    let told = tables::neighbours(&vec![Some(rows), None]);
    assert_eq!(told["missing_cores"], json!([1]));
    let shown: Vec<_> = told["neighbours"].as_array().unwrap().iter().collect();
    let row = json!({
        "core": 0, "address": "10.77.0.9", "mac": "02:00:00:00:00:09", "state": "stale",
        "age_ms": 2, "router": false,
    });
    assert_eq!((shown.len(), &shown[0]["address"], shown[1]), (2, &json!("10.77.0.1"), &row));
    assert_eq!(shown[0]["age_ms"], json!(null), "no packet went there");
}

#[test]
fn listeners_are_told_with_what_is_left_of_those_that_were_closed() {
    let told = vec![
        Some(vec![listener(7, true, 3), listener(80, false, 2), listener(81, false, 0)]),
        None,
        Some(vec![listener(7, true, 4), listener(80, false, 1)]),
    ];
    let told = tables::listeners(&plan(), &told);
    let rows = told["listeners"].as_array().unwrap();
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let [a, b, c, d, e] =
                ["transport", "port", "open", "connections", "by_core"].map(|key| &row[key]);
            format!("{a} {b} {c} {d} {e}")
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "tcp" 7 true 7 [3,null,4]
    "udp" 7 true null []
    "tcp" 80 false 3 [2,null,1]
    "#);
    assert_eq!((&rows[0]["limit"], &told["missing_cores"]), (&json!(100), &json!([1])));
}

#[test]
fn without_a_program_there_is_no_access_list() {
    let told = tables::access(&plan(), None).unwrap();
    assert_eq!(told, json!({"program": false, "interface": "tap"}));
}

#[test]
fn a_core_is_asked_for_its_whole_table_in_bounded_parts_and_one_that_hangs_is_missing() {
    let plan = plan();
    let frames = FrameArena::new(plan.memory.frames, PageChoice::Base).unwrap();
    let (queue, _far) = nic::mem::pair(64, 1500).unwrap();
    let end = stack::HandOver::between(&crate::entropy::owners(1).unwrap()).remove(0);
    let documents = Documents::new(Vec::new()).unwrap();
    let parts = Parts { documents, queue, arena: frames.core().unwrap(), end };
    let (mut engine, mut serving) = assemble(&plan, parts, Instant::ZERO).unwrap();
    let bells = [Bell::new().unwrap(), Bell::new().unwrap()];
    let ((first, mut desk), (second, _nobody)) = (order::pair(), order::pair());
    let mut clerks = [first, second];
    let (patience, limits) = (Duration::from_millis(300), plan.http);
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let told = ask(&mut clerks, &bells, What::Neighbours, limits, patience);
            // The second is known to hang now, and nobody waits for it again.
            let again = ask(&mut clerks, &bells, What::Listeners, limits, Duration::MAX);
            (told, again)
        });
        let mut orders = 0;
        while !asked.is_finished() {
            if desk.has_order() {
                desk.work(&mut engine, &mut serving, Instant::from_nanos(1));
                orders += 1;
            }
            thread::yield_now();
        }
        let (told, again) = asked.join().unwrap();
        let count = |told: &super::Told| {
            told.iter().map(|rows| rows.as_ref().map(Vec::len)).collect::<Vec<_>>()
        };
        // The router is a neighbour from the beginning; there is one listener.
        assert_eq!((count(&told), count(&again)), (vec![Some(1), None], vec![Some(1), None]));
        let parts = 600_usize.div_ceil(LOOKS_MAX.into())
            + tcp::Tcp::LISTENER_NUMBERS.div_ceil(LOOKS_MAX.into());
        assert_eq!(orders, parts);
    });
}
