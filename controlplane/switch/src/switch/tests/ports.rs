//! Registering, releasing and querying, item by item.

use super::bed::{Bed, PLAIN, WAIT, config, open_entry, query, reg, unreg};
use crate::access::{AccessEntry, Prefixes};
use crate::config::SwitchConfig;

#[test]
fn an_answer_names_what_failed_and_each_owner_once() {
    let mut bed = Bed::new();
    let (a, b, c) = (bed.receiver("a", 1), bed.receiver("b", 1), bed.receiver("c", 1));
    assert_eq!(bed.ask(a, reg(&["a1", "a2"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, reg(&["b1"], PLAIN)), "reg 3*1");
    let answer = bed.ask(c, reg(&["a1", "x", "b1", "a2", "x", "y"], PLAIN));
    assert_eq!(answer, "reg 4*2 0:Held(a) 2:Held(b) 3:Held(a) 4:Mine(c)");
    assert_eq!(bed.ask(c, query(&["b1", "z", "y", "a1"], false)), "query 3@b free 5@c 1@a");
    let released = bed.ask(c, unreg(&[("x", 4), ("y", 9), ("a1", 1), ("z", 1), ("x", 4)]));
    assert_eq!(released, "unreg 1:Stale 2:NotMine 3:Free 4:Free");
}

#[test]
fn a_large_batch_with_failures_in_it_has_consecutive_sequences() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    let names: Vec<String> = (0..1_000).map(|number| format!("name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let third: Vec<&str> = names.iter().copied().step_by(3).collect();
    assert_eq!(bed.ask(a, reg(&third, PLAIN)), "reg 1*334");
    let answer = bed.ask(b, reg(&names, PLAIN));
    assert!(answer.starts_with("reg 335*666 0:Held(a) 3:Held(a) "), "{}", &answer[..60]);
    assert_eq!(answer.matches("Held(a)").count(), 334);
    let mut expected = "query".to_owned();
    let (mut held, mut granted) = (0, 334);
    for number in 0..1_000 {
        let (sequence, node) = if number % 3 == 0 {
            held += 1;
            (held, "a")
        } else {
            granted += 1;
            (granted, "b")
        };
        expected.push_str(&format!(" {sequence}@{node}"));
    }
    assert_eq!(bed.ask(a, query(&names, false)), expected);
}

#[test]
fn names_that_a_credential_does_not_allow_are_refused_one_by_one() {
    let entry = AccessEntry {
        register: Prefixes::new(vec!["web/".to_owned()]),
        query: Prefixes::new(vec!["web/".to_owned(), "db/".to_owned()]),
        ..open_entry()
    };
    let mut bed = Bed::with(SwitchConfig { access: vec![entry], ..config() });
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    assert_eq!(bed.ask(b, reg(&["web/2"], PLAIN)), "reg 1*1");
    let answer = bed.ask(a, reg(&["db/1", "web/1", "web/2", "x", "web/3"], WAIT));
    assert_eq!(answer, "reg 2*2 0:Forbidden 2:Waiting(b) 3:Forbidden");
    assert_eq!(bed.ask(a, query(&["db/1", "web/1"], false)), "query free 2@a");
    assert_eq!(bed.ask(a, query(&["web/1", "x"], false)), "error Forbidden 0");
}

#[test]
fn a_full_switch_says_so() {
    let config = SwitchConfig { ports_planned: 100, ports_max: 100, ..config() };
    let mut bed = Bed::with(config);
    let a = bed.receiver("a", 1);
    let names: Vec<String> = (0..110).map(|number| format!("name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = bed.ask(a, reg(&names, PLAIN));
    assert!(answer.starts_with("reg 1*100 100:Full 101:Full"), "{answer}");
    assert_eq!(bed.switch.counters().register_full, 10);
}

#[test]
fn addresses_are_told_with_the_owner() {
    let mut bed = Bed::new();
    let a = bed.open();
    let hello = protocol::Hello { address: "10.0.0.1:80", ..super::bed::hello("a", 1) };
    bed.say(a, |out| hello.write(out, 1, None));
    bed.say(a, |out| super::bed::bare(out, protocol::RequestKind::WaitMsg));
    assert_eq!(bed.heard(a).len(), 3);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(a, query(&["p"], false)), "query 1@a(10.0.0.1:80)");
}

#[test]
fn names_of_every_length_come_back_as_they_were() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    let names: Vec<String> = [1, 12, 13, 16, 17, 127, 128, 1_023, 1_024]
        .into_iter()
        .map(|len| "ä".repeat(len / 2) + &"x".repeat(len % 2))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(bed.ask(a, reg(&names, PLAIN)), "reg 1*9");
    bed.ask(b, query(&names, true));
    let items: Vec<_> = names.iter().copied().zip(1..).collect();
    assert_eq!(bed.ask(a, unreg(&items)), "unreg");
    let mut expected = "gone #1".to_owned();
    for (name, sequence) in items {
        expected.push_str(&format!(" {sequence}={name} Released"));
    }
    assert_eq!(bed.heard(b), [expected]);
}
