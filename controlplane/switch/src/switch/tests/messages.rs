//! Messages to one, to many, to all, and what becomes of those that do not arrive.

use protocol::{Batch, Limits, SendItem};

use super::bed::{Bed, PLAIN, config, open_entry, reg, send, send_many, unreg};
use crate::access::{AccessEntry, Prefixes};
use crate::config::SwitchConfig;
use crate::quota::Quota;

fn with(entry: AccessEntry) -> Bed {
    Bed::with(SwitchConfig { access: vec![entry], ..config() })
}

#[test]
fn messages_go_to_who_holds_the_port_in_order_and_share_frames() {
    let mut bed = Bed::new();
    let (a, b, c) = (bed.receiver("a", 1), bed.receiver("b", 1), bed.connect("c", 0));
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, reg(&["r"], PLAIN)), "reg 3*1");
    let items = [("q", "one"), ("nobody's", "x"), ("r", "two"), ("p", ""), ("q", "three")];
    assert_eq!(bed.ask(c, send(&items)), "sent 4 nobody 1 dropped 0");
    assert_eq!(bed.heard(a), ["messages 2:one 1: 2:three"]);
    assert_eq!(bed.heard(b), ["messages 3:two"]);
    let answer = bed.ask(c, send_many(&["p", "q", "r", "s"], "all"));
    assert_eq!(answer, "sent 3 nobody 1 dropped 0");
    assert_eq!(bed.heard(a), ["messages 1:all 2:all"]);
    assert_eq!(bed.heard(b), ["messages 3:all"]);
    // The port's owner is whoever holds it at that moment.
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "reg 4*1");
    assert_eq!(bed.ask(a, send(&[("p", "mine?")])), "sent 1 nobody 0 dropped 0");
    assert_eq!(bed.heard(b), ["messages 4:mine?"]);
}

#[test]
fn a_broadcast_reaches_every_session_but_the_senders() {
    let mut bed = Bed::new();
    let (a, b, c) = (bed.receiver("a", 1), bed.receiver("b", 1), bed.receiver("c", 1));
    bed.break_off(c);
    let sender = bed.connect("a", 1);
    let answer = bed.ask(sender, |out| protocol::write_broadcast(out, 9, b"hear"));
    assert_eq!(answer, "sent 1 nobody 0 dropped 1");
    assert!(bed.heard(a).is_empty());
    assert_eq!(bed.heard(b), ["messages 0:hear"]);
}

#[test]
fn who_wants_no_answer_gets_none() {
    let mut bed = with(AccessEntry { send: Prefixes::new(vec!["p".to_owned()]), ..open_entry() });
    let a = bed.receiver("a", 1);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    let sender = bed.connect("b", 0);
    let quiet = |name: &'static str| {
        move |out: &mut Vec<u8>| {
            let mut batch = Batch::send(out, 0, &Limits::DEFAULT);
            assert!(batch.push(SendItem { name: name.as_bytes(), blob: b"hey" }));
            batch.finish();
        }
    };
    assert_eq!(bed.ask(sender, quiet("p")), "");
    assert_eq!(bed.heard(a), ["messages 1:hey"]);
    // But an error it gets.
    assert_eq!(bed.ask(sender, quiet("x")), "error Forbidden 0");
    assert_eq!(bed.ask(sender, send(&[("p", "x"), ("x", "x")])), "error Forbidden 0");
    assert!(bed.heard(a).is_empty());
    assert_eq!(bed.ask(sender, send_many(&["x"], "x")), "error Forbidden 0");
    let all = bed.ask(sender, |out| protocol::write_broadcast(out, 9, b"x"));
    assert_eq!(all, "error Forbidden 0");
}

#[test]
fn a_receiver_that_does_not_read_loses_messages_and_nobody_else_does() {
    let quota = Quota { queue_len_max: 1_000, ..Quota::default() };
    let mut bed = with(AccessEntry { quota, ..open_entry() });
    let (a, b, c) = (bed.receiver("a", 1), bed.receiver("b", 1), bed.connect("c", 0));
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, reg(&["q"], PLAIN)), "reg 2*1");
    bed.stop_reading(a);
    let blob = "x".repeat(200);
    let (mut delivered, mut dropped) = (0, 0);
    for _ in 0..10 {
        match bed.ask(c, send(&[("p", &blob)])).as_str() {
            "sent 1 nobody 0 dropped 0" => delivered += 1,
            "sent 0 nobody 0 dropped 1" => dropped += 1,
            other => panic!("{other}"),
        }
        assert_eq!(bed.ask(c, send(&[("q", &blob)])), "sent 1 nobody 0 dropped 0");
    }
    assert_eq!((delivered, dropped), (4, 6));
    assert_eq!(bed.switch.counters().messages_queue_full, 6);
    bed.resume_reading(a);
    let heard = bed.heard(a);
    assert_eq!(heard.iter().map(|line| line.matches("1:").count()).sum::<usize>(), 4);
    assert_eq!(bed.ask(c, send(&[("p", "again")])), "sent 1 nobody 0 dropped 0");
}

#[test]
fn a_session_without_a_receive_connection_gets_no_messages() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    bed.break_off(a);
    let c = bed.connect("c", 0);
    assert_eq!(bed.ask(c, send(&[("p", "x")])), "sent 0 nobody 0 dropped 1");
    assert_eq!(bed.switch.counters().messages_no_receiver, 1);
}

#[test]
fn a_node_sends_as_many_messages_as_it_may() {
    let quota = Quota { messages_per_second: 3, ..Quota::default() };
    let mut bed = with(AccessEntry { quota, ..open_entry() });
    let (a, b) = (bed.receiver("a", 1), bed.connect("b", 0));
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    let five = [("p", "1"), ("p", "2"), ("p", "3"), ("p", "4"), ("p", "5")];
    assert_eq!(bed.ask(b, send(&five)), "sent 3 nobody 0 dropped 2");
    assert_eq!(bed.heard(a), ["messages 1:1 1:2 1:3"]);
    assert_eq!(bed.ask(b, send_many(&["p"], "x")), "sent 0 nobody 0 dropped 1");
    let all = bed.ask(b, |out| protocol::write_broadcast(out, 9, b"x"));
    assert_eq!(all, "sent 0 nobody 0 dropped 1");
    bed.pass(500);
    assert_eq!(bed.ask(b, send(&five)), "sent 1 nobody 0 dropped 4");
    assert_eq!(bed.switch.counters().messages_over_rate, 8);
}

#[test]
fn a_node_over_its_rate_takes_nothing_from_the_others() {
    let quota = Quota { messages_per_second: 300, ..Quota::default() };
    let mut bed = with(AccessEntry { quota, ..open_entry() });
    let (a, b, c) = (bed.receiver("a", 1), bed.connect("b", 0), bed.connect("c", 0));
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    // More than are looked at together, and of the last of those only a part.
    let numbers: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    let many: Vec<_> = numbers.iter().map(|number| ("p", number.as_str())).collect();
    assert_eq!(bed.ask(b, send(&many)), "sent 300 nobody 0 dropped 100");
    let first: Vec<String> = numbers[..300].iter().map(|number| format!("1:{number}")).collect();
    assert_eq!(bed.heard(a), [format!("messages {}", first.join(" "))]);
    // Another connection of the node has no rate of its own; another node has.
    let again = bed.connect("b", 0);
    assert_eq!(bed.ask(again, send(&[("p", "x")])), "sent 0 nobody 0 dropped 1");
    assert_eq!(bed.ask(c, send(&many[..300])), "sent 300 nobody 0 dropped 0");
    assert_eq!(bed.heard(a), [format!("messages {}", first.join(" "))]);
    assert_eq!(bed.switch.counters().messages_over_rate, 101);
}

#[test]
fn messages_that_end_with_their_connection_are_counted() {
    let mut bed = Bed::new();
    let (a, c) = (bed.receiver("a", 1), bed.connect("c", 0));
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    // A header, a count, and two messages of a sequence and four bytes: it takes one and a half.
    bed.clients[a.0 as usize].reads = Some(12 + 4 + 12 + 6);
    assert_eq!(bed.ask(c, send(&[("p", "one"), ("p", "two")])), "sent 2 nobody 0 dropped 0");
    assert_eq!(bed.ask(c, send(&[("p", "3")])), "sent 1 nobody 0 dropped 0");
    // Answers between them are none.
    bed.say(a, reg(&["q"], PLAIN));
    assert_eq!(bed.ask(c, send(&[("p", "4"), ("p", "5")])), "sent 2 nobody 0 dropped 0");
    assert_eq!(bed.switch.counters().messages_receiver_gone, 0);
    bed.break_off(a);
    assert_eq!(bed.switch.counters().messages_receiver_gone, 4);
    // One that ends, and takes nothing: when its time is over, and not once more when it is closed.
    let again = bed.receiver("a", 1);
    bed.stop_reading(again);
    assert_eq!(bed.ask(c, send(&[("p", "6")])), "sent 1 nobody 0 dropped 0");
    bed.say(again, |out| protocol::write_bye(out, 9, protocol::Ends::Connection));
    bed.pass(5_000);
    assert_eq!(bed.switch.counters().messages_receiver_gone, 5);
    let counters = bed.switch.counters();
    assert_eq!((counters.connections_closed, counters.messages_delivered), (2, 6));
}
