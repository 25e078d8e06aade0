//! Subscribers and waiters: who is told what, in which order, and what if they do not listen.

use protocol::{RegisterFlags, RequestKind};

use super::bed::{
    Bed, PLAIN, SUBSCRIBE, WAIT, bare, cancel, config, open_entry, query, reg, relet, unreg,
    unsubscribe,
};
use crate::access::AccessEntry;
use crate::config::SwitchConfig;
use crate::connection::ConnId;
use crate::quota::Quota;

fn with_quota(quota: Quota) -> Bed {
    let access = vec![AccessEntry { quota, ..open_entry() }];
    Bed::with(SwitchConfig { access, ..config() })
}

fn three(bed: &mut Bed) -> [ConnId; 3] {
    [bed.receiver("a", 1), bed.receiver("b", 1), bed.receiver("c", 1)]
}

#[test]
fn a_subscriber_is_told_once_and_before_the_next_owner_is_answered() {
    let mut bed = Bed::new();
    let [a, b, c] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, reg(&["p"], SUBSCRIBE)), "reg 0:Held(a 1)");
    assert_eq!(bed.ask(c, query(&["p"], true)), "query 1@a");
    assert_eq!(bed.ask(c, query(&["p"], true)), "query 1@a");
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.heard(b), ["gone #1 1=p Released"]);
    assert_eq!(bed.heard(c), ["gone #1 1=p Released"]);
    // The subscriber registers on the connection that gets its notices.
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "reg 2*1");
    assert_eq!(bed.ask(b, unreg(&[("p", 2)])), "unreg");
    assert!(bed.heard(c).is_empty());
}

#[test]
fn the_port_of_a_dead_session_is_told_of_before_its_grant_although_nobody_polled() {
    let mut bed = Bed::new();
    let [a, b, c] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, query(&["p", "q"], true)), "query 1@a 2@a");
    bed.pass(2_000);
    bed.ask(b, relet(1));
    bed.ask(c, relet(1));
    bed.now += base::Duration::from_millis(1_000);
    // On one connection the order is seen: the notice is before the grant.
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "gone #1 1=p NodeLost; reg 3*1");
    bed.settle();
    assert_eq!(bed.heard(b), ["gone #2 2=q NodeLost"]);
    assert_eq!(bed.ask(c, reg(&["q"], PLAIN)), "reg 4*1");
}

#[test]
fn waiters_get_a_port_in_the_order_in_which_they_came() {
    let mut bed = Bed::new();
    let [a, b, c] = three(&mut bed);
    let d = bed.receiver("d", 1);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(c, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(d, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    // Who asks again keeps the place.
    assert_eq!(bed.ask(b, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(c, cancel(&["p", "q"])), "cancelled 1");
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.heard(b), ["grant #1 2=p"]);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 0:Held(b)");
    assert_eq!(bed.ask(b, unreg(&[("p", 2)])), "unreg");
    assert_eq!(bed.heard(d), ["grant #1 3=p"]);
    assert!(bed.heard(c).is_empty());
    assert_eq!(bed.ask(d, unreg(&[("p", 3)])), "unreg");
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 4*1");
}

#[test]
fn nobody_overtakes_those_who_wait_for_the_port_of_a_dead_session() {
    let mut bed = Bed::new();
    let [a, b, c] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    bed.pass(2_000);
    bed.ask(b, relet(1));
    bed.ask(c, relet(1));
    bed.now += base::Duration::from_millis(1_000);
    // Twice in one batch, and the other names in between are granted consecutively.
    let answer = bed.ask(c, reg(&["q", "p", "r", "p", "s"], PLAIN));
    assert_eq!(answer, "reg 3*3 1:Held(b) 3:Held(b)");
    assert_eq!(bed.heard(b), ["grant #1 6=p"]);
}

#[test]
fn who_waits_for_a_dead_sessions_port_gets_it_without_anybody_asking() {
    let mut bed = Bed::new();
    let [a, b, c] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(c, query(&["p"], true)), "query 1@a");
    bed.pass(2_000);
    bed.ask(b, relet(1));
    bed.ask(c, relet(1));
    bed.pass(1_000);
    assert_eq!(bed.heard(b), ["grant #1 2=p"]);
    assert_eq!(bed.heard(c), ["gone #1 1=p NodeLost"]);
}

#[test]
fn a_drain_ends_with_a_grant_to_who_waits() {
    let mut bed = Bed::new();
    let [a, b, _] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    let newer = bed.receiver("a", 2);
    assert_eq!(bed.ask(newer, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(b, query(&["q"], true)), "query 2@a");
    bed.pass(2_000);
    bed.ask(newer, relet(1));
    bed.ask(b, relet(1));
    bed.pass(1_000);
    assert_eq!(bed.heard(newer), ["grant #1 3=p"]);
    assert_eq!(bed.heard(b), ["gone #1 2=q Replaced"]);
}

#[test]
fn a_grant_that_cannot_be_told_goes_to_the_next() {
    let mut bed = Bed::new();
    let [a, b, c] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, reg(&["p", "q"], WAIT)), "reg 0:Waiting(a) 1:Waiting(a)");
    assert_eq!(bed.ask(c, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    bed.break_off(b);
    assert_eq!(bed.ask(a, unreg(&[("p", 1), ("q", 2)])), "unreg");
    assert_eq!(bed.heard(c), ["grant #1 5=p"]);
    assert_eq!(bed.ask(c, query(&["p", "q"], false)), "query 5@c free");
    assert_eq!(bed.switch.counters().grants_taken_back, 2);
    let again = bed.connect("b", 1);
    let answer = bed.ask(again, |out| bare(out, RequestKind::WaitMsg));
    assert_eq!(answer, "wait_msg Resumed next 1; flush #1 Resumed");
    // It has to ask again for what it waits for, and gets it.
    assert_eq!(bed.ask(again, reg(&["p", "q"], WAIT)), "reg 6*1 0:Waiting(c)");
}

#[test]
fn notices_that_were_sent_to_a_connection_that_broke_are_lost_and_that_is_told() {
    let mut bed = Bed::new();
    let [a, b, _] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, query(&["p", "q"], true)), "query 1@a 2@a");
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    let again = bed.connect("b", 1);
    let answer = bed.ask(again, |out| bare(out, RequestKind::WaitMsg));
    assert_eq!(answer, "wait_msg Resumed next 2; flush #2 Resumed");
    // With the flush the subscription to q is gone.
    assert_eq!(bed.ask(a, unreg(&[("q", 2)])), "unreg");
    assert!(bed.heard(again).is_empty());
}

#[test]
fn a_resumption_without_notices_keeps_its_subscriptions() {
    let mut bed = Bed::new();
    let [a, b, _] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, query(&["p"], true)), "query 1@a");
    bed.break_off(b);
    let again = bed.connect("b", 1);
    let answer = bed.ask(again, |out| bare(out, RequestKind::WaitMsg));
    assert_eq!(answer, "wait_msg Resumed next 1");
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.heard(again), ["gone #1 1=p Released"]);
}

#[test]
fn notices_to_who_is_away_are_one_flush() {
    let mut bed = Bed::new();
    let [a, b, _] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, query(&["p", "q"], true)), "query 1@a 2@a");
    bed.break_off(b);
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.ask(a, unreg(&[("q", 2)])), "unreg");
    // The first took the subscriptions with it.
    assert_eq!(bed.switch.counters().notices_away, 1);
    let again = bed.connect("b", 1);
    let answer = bed.ask(again, |out| bare(out, RequestKind::WaitMsg));
    assert_eq!(answer, "wait_msg Resumed next 1; flush #1 Resumed");
}

#[test]
fn notices_that_do_not_fit_become_a_flush_once_there_is_room() {
    let mut bed = with_quota(Quota { queue_len_max: 1_000, ..Quota::default() });
    let [a, b, c] = three(&mut bed);
    let names: Vec<String> = (0..400).map(|number| format!("{number:0>900}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(bed.ask(a, reg(&names, PLAIN)), "reg 1*400");
    bed.ask(b, query(&names, true));
    bed.ask(b, reg(&["0"], WAIT));
    bed.stop_reading(b);
    let items: Vec<_> = names.iter().copied().zip(1..).collect();
    assert_eq!(bed.ask(a, unreg(&items)), "unreg");
    let told = bed.switch.counters().gone_told;
    assert!((200..300).contains(&told), "{told}");
    assert_eq!(told + bed.switch.counters().notices_overflowed, 400);
    // Subscriptions that come meanwhile are worth nothing either.
    assert_eq!(bed.ask(c, reg(&["new"], PLAIN)), "reg 402*1");
    let sender = bed.connect("b", 1);
    assert_eq!(bed.ask(sender, query(&["new"], true)), "query 402@c");
    bed.resume_reading(b);
    let heard = bed.heard(b);
    assert_eq!(heard.last(), Some(&format!("flush #{} Overflow", told + 1)));
    assert_eq!(bed.ask(c, unreg(&[("new", 402)])), "unreg");
    assert!(bed.heard(b).is_empty());
    assert_eq!(bed.switch.shards.places_of(crate::interests::Kind::Subscriber, 1), 0);
}

#[test]
fn a_grant_that_does_not_fit_the_queue_goes_to_the_next() {
    let mut bed = with_quota(Quota { queue_len_max: 0, ..Quota::default() });
    let [a, b, c] = three(&mut bed);
    let names: Vec<String> = (0..400).map(|number| format!("{number:0>900}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(bed.ask(a, reg(&names, PLAIN)), "reg 1*400");
    bed.ask(b, reg(&names, WAIT));
    bed.ask(c, reg(&names[399..], WAIT));
    bed.stop_reading(b);
    let items: Vec<_> = names.iter().copied().zip(1..).collect();
    assert_eq!(bed.ask(a, unreg(&items)), "unreg");
    let counters = bed.switch.counters();
    assert_eq!(counters.grants_told + counters.grants_taken_back, 401);
    assert!(counters.grants_taken_back > 100, "{}", counters.grants_taken_back);
    assert_eq!(bed.heard(c).len(), 1);
    assert_eq!(bed.switch.shards.ports_of(2), 1);
    bed.resume_reading(b);
    assert!(bed.heard(b).last().is_some_and(|line| line.starts_with("flush")));
}

#[test]
fn places_have_a_bound_for_each_node() {
    let quota = Quota { subscriptions_max: 2, waiting_max: 1, ..Quota::default() };
    let mut bed = with_quota(quota);
    let [a, b, _] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q", "r"], PLAIN)), "reg 1*3");
    assert_eq!(bed.ask(b, query(&["p", "q", "p"], true)), "query 1@a 2@a 1@a");
    assert_eq!(bed.ask(b, query(&["p", "r"], true)), "error Quota 2 subscriptions");
    assert_eq!(bed.ask(b, unsubscribe(&["p", "q", "r"])), "unsubscribed 2");
    // All or nothing.
    assert_eq!(bed.ask(b, query(&["p", "q", "r"], true)), "error Quota 2 subscriptions");
    assert_eq!(bed.ask(b, unsubscribe(&["p", "q", "r"])), "unsubscribed 0");
    let answer = bed.ask(b, reg(&["p", "q", "r"], SUBSCRIBE));
    assert_eq!(answer, "reg 0:Held(a 1) 1:Held(a 2) 2:Subscriptions(a)");
    let answer = bed.ask(b, reg(&["p", "q"], WAIT));
    assert_eq!(answer, "reg 0:Waiting(a) 1:Subscriptions(a)");
}

#[test]
fn a_registration_that_subscribes_says_to_which_grant() {
    let mut bed = with_quota(Quota { waiting_max: 0, ..Quota::default() });
    let [a, b, c] = three(&mut bed);
    let both = RegisterFlags { subscribe: true, wait: true };
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, reg(&["q", "new", "q"], SUBSCRIBE)), "reg 3*1 0:Held(a 2) 2:Held(a 2)");
    assert_eq!(bed.ask(b, reg(&["new"], SUBSCRIBE)), "reg 0:Mine(b)");
    // The subscription stands where the place in the queue was not given.
    assert_eq!(bed.ask(b, reg(&["p"], both)), "reg 0:Subscriptions(a 1)");
    // What is subscribed to is the grant of this moment, not one that was seen before.
    assert_eq!(bed.ask(a, unreg(&[("q", 2)])), "unreg");
    assert_eq!(bed.ask(a, reg(&["q"], PLAIN)), "reg 4*1");
    assert_eq!(bed.heard(b), ["gone #1 2=q Released"]);
    assert_eq!(bed.ask(b, reg(&["q"], SUBSCRIBE)), "reg 0:Held(a 4)");
    let newer = bed.receiver("a", 2);
    assert_eq!(bed.ask(c, reg(&["q"], SUBSCRIBE)), "reg 0:Draining(a 4)");
    assert_eq!(bed.ask(c, reg(&["q"], PLAIN)), "reg 0:Draining(a)");
    assert_eq!(bed.ask(newer, reg(&["p"], WAIT)), "reg 0:Subscriptions(a)");
}

#[test]
fn ports_and_places_in_queues_count_against_one_bound() {
    let mut bed = with_quota(Quota { ports_max: 3, ..Quota::default() });
    let [a, b, _] = three(&mut bed);
    assert_eq!(bed.ask(a, reg(&["p", "q", "r", "s"], PLAIN)), "reg 1*3 3:Quota");
    assert_eq!(bed.ask(b, reg(&["s", "t"], PLAIN)), "reg 4*2");
    assert_eq!(bed.ask(b, reg(&["p", "q"], WAIT)), "reg 0:Waiting(a) 1:Subscriptions(a)");
    assert_eq!(bed.ask(b, reg(&["u"], PLAIN)), "reg 0:Quota");
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.heard(b), ["grant #1 6=p"]);
    // What drains counts too.
    let newer = bed.receiver("b", 2);
    assert_eq!(bed.ask(newer, reg(&["v"], PLAIN)), "reg 0:Quota");
}
