//! Subscriptions: told once when the port goes away, or told that they are lost, never neither.

use protocol::{
    Epoch, ErrorCode, Flush, FlushReason, Gone, GoneReason, Holder, Owner, RegisterCode,
};
use protocol::{RegisterFailure, RegisterFlags, Sequence, SessionState};

use super::{Rig, broken};
use crate::event::Done;

const OTHER: Owner<'static> = Owner { node: "n2", address: "10.0.0.2:1" };
const FOLLOW: RegisterFlags = RegisterFlags { subscribe: true, wait: false };

const fn sequence(count: u64) -> Sequence {
    Sequence::new(0, count)
}

fn answer(rig: &mut Rig, id: u32, count: u64) {
    let ports = [(sequence(count), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
}

/// Subscribes to a port that another holds by this grant.
fn subscribe(rig: &mut Rig, name: &str, count: u64) {
    rig.core.query(&[name], true, true, rig.now).expect("there is room");
    let (id, text) = rig.only(1);
    assert_eq!(text, format!("query subscribe {name}"));
    answer(rig, id, count);
    assert!(matches!(rig.done(), Done::Holders(_)));
}

fn gone(rig: &mut Rig, notice: u64, count: u64, name: &str) {
    let (reason, sequence) = (GoneReason::Released, sequence(count));
    rig.push(|push| push.port_gone(notice, Gone { reason, sequence, name: name.as_bytes() }));
}

fn flush(rig: &mut Rig, notice: u64) {
    rig.push(|push| push.flush(Flush { notice, reason: FlushReason::Overflow }));
}

/// The registration that left is refused, for another holds the port.
fn held(rig: &mut Rig, id: u32, count: u64) {
    let sequence = sequence(count);
    let held = RegisterFailure { item: 0, code: RegisterCode::Held, owner: Some(0), sequence };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OTHER], [held]));
}

fn break_all(rig: &mut Rig) {
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
}

#[test]
fn a_new_epoch_loses_what_was_subscribed_to_and_says_so() {
    let mut rig = Rig::connected();
    subscribe(&mut rig, "a", 5);
    rig.events();
    break_all(&mut rig);
    rig.at(50);
    rig.epoch = Epoch(6);
    rig.connect();
    let told = ["disconnected", "epoch 6 ports 0", "subscriptions lost", "connected"];
    assert_eq!(rig.events(), told);
    gone(&mut rig, 1, 5, "a");
    assert!(rig.events().is_empty(), "it was lost");
}

#[test]
fn a_lapse_loses_what_was_subscribed_to_and_says_so() {
    let mut rig = Rig::connected();
    subscribe(&mut rig, "a", 5);
    rig.events();
    rig.at(3_000);
    rig.core.poll(rig.now);
    assert_eq!(rig.events(), ["lapsed ports 0", "subscriptions lost"]);
}

#[test]
fn a_session_that_the_switch_begins_anew_loses_what_was_subscribed_to_and_says_so() {
    let mut rig = Rig::connected();
    subscribe(&mut rig, "a", 5);
    rig.events();
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.at(50);
    rig.state = SessionState::New;
    // No notice was lost as far as the numbers say.
    rig.connect();
    assert_eq!(rig.events(), ["disconnected", "connected", "subscriptions lost"]);
}

#[test]
fn a_subscription_asked_for_before_the_first_connection_holds() {
    let mut rig = Rig::new();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    rig.connect();
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, id, 5);
    gone(&mut rig, 1, 5, "a");
    assert_eq!(rig.events(), ["connected", "gone a 5.0.5"]);
}

#[test]
fn a_subscription_under_way_at_a_new_epoch_is_asked_for_at_the_new_master() {
    let mut rig = Rig::connected();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    rig.only(1);
    break_all(&mut rig);
    rig.at(50);
    rig.epoch = Epoch(6);
    rig.connect();
    rig.events();
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, id, 2);
    gone(&mut rig, 1, 2, "a");
    assert_eq!(rig.events(), ["gone a 6.0.2"]);
}

#[test]
fn a_subscription_that_a_flush_overtakes_is_asked_for_again_and_holds() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    flush(&mut rig, 1);
    answer(&mut rig, id, 5);
    assert!(rig.core.next_done().is_none(), "it may have been given before the flush");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, id, 5);
    assert!(matches!(rig.done(), Done::Holders(_)));
    gone(&mut rig, 2, 5, "a");
    assert_eq!(rig.events(), ["gone a 5.0.5"]);
}

#[test]
fn a_registration_that_subscribes_and_is_overtaken_by_a_flush_says_that_it_is_lost() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.register(&["a"], FOLLOW, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    flush(&mut rig, 1);
    assert!(rig.events().is_empty(), "it is not known yet whether there is a subscription");
    held(&mut rig, id, 5);
    assert!(matches!(rig.done(), Done::Registered(_)));
    assert_eq!(rig.events(), ["subscriptions lost"]);
    // One that leaves after the flush is none of it.
    rig.core.register(&["a"], FOLLOW, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    held(&mut rig, id, 7);
    gone(&mut rig, 2, 7, "a");
    assert_eq!(rig.events(), ["gone a 5.0.7"]);
}

#[test]
fn the_end_of_an_older_grant_is_not_that_of_the_one_that_is_subscribed_to() {
    let mut rig = Rig::connected();
    rig.events();
    subscribe(&mut rig, "a", 5);
    gone(&mut rig, 1, 4, "a");
    assert!(rig.events().is_empty());
    // Asked again while the end of the grant is on the way: each is told of its own.
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    gone(&mut rig, 2, 5, "a");
    assert_eq!(rig.events(), ["gone a 5.0.5"]);
    answer(&mut rig, id, 6);
    gone(&mut rig, 3, 5, "a");
    assert!(rig.events().is_empty());
    gone(&mut rig, 4, 6, "a");
    assert_eq!(rig.events(), ["gone a 5.0.6"]);
}

#[test]
fn the_end_of_a_grant_is_told_although_a_later_one_is_subscribed_to() {
    let mut rig = Rig::connected();
    rig.events();
    subscribe(&mut rig, "a", 5);
    // Whoever asked again may have given up, and knows of the later one or does not.
    subscribe(&mut rig, "a", 6);
    gone(&mut rig, 1, 5, "a");
    assert_eq!(rig.events(), ["gone a 5.0.5"]);
    gone(&mut rig, 2, 6, "a");
    assert_eq!(rig.events(), ["gone a 5.0.6"]);
    assert!(!rig.core.told.contains("a"));
}

#[test]
fn what_is_lost_of_a_call_before_its_last_port_is_answered_is_told_with_its_answer() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.query(&["a", "b"], false, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    gone(&mut rig, 1, 6, "b");
    let ports = [(sequence(5), Holder::Owner(0)), (sequence(6), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
    flush(&mut rig, 2);
    assert_eq!(rig.events(), ["subscriptions lost"]);
    assert!(rig.core.next_done().is_none(), "a notice overtook the answer for b");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe b");
    answer(&mut rig, id, 7);
    assert!(matches!(rig.done(), Done::Holders(_)));
    assert_eq!(rig.events(), ["subscriptions lost"], "of a, as who asked hears only now");
}

#[test]
fn a_grant_that_ends_before_the_registration_is_answered_is_told_after_the_answer() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.register(&["a"], FOLLOW, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    gone(&mut rig, 1, 5, "a");
    assert!(rig.events().is_empty());
    held(&mut rig, id, 5);
    assert_eq!(rig.events(), ["gone a 5.0.5"]);
}

#[test]
fn the_end_of_an_older_grant_is_not_that_of_the_one_that_a_registration_subscribes_to() {
    let mut rig = Rig::connected();
    subscribe(&mut rig, "a", 4);
    rig.events();
    rig.core.register(&["a"], FOLLOW, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    // The end of the older one overtakes the answer.
    gone(&mut rig, 1, 4, "a");
    assert_eq!(rig.events(), ["gone a 5.0.4"]);
    held(&mut rig, id, 5);
    assert!(rig.events().is_empty(), "the port is held by the next grant");
    // And one that comes later still is no news either.
    gone(&mut rig, 2, 4, "a");
    assert!(rig.events().is_empty());
    gone(&mut rig, 3, 5, "a");
    assert_eq!(rig.events(), ["gone a 5.0.5"]);
}

#[test]
fn an_answer_to_a_question_before_the_subscription_ended_begins_none() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.core.unsubscribe(&["a"], rig.now).expect("there is room");
    answer(&mut rig, id, 5);
    gone(&mut rig, 1, 5, "a");
    assert!(rig.events().is_empty());
    assert!(!rig.core.told.contains("a"));
}

#[test]
fn a_wait_that_is_asked_for_again_leaves_the_subscription_of_its_call() {
    let mut rig = Rig::connected();
    rig.hold("a", 4);
    let flags = RegisterFlags { subscribe: true, wait: true };
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Busy, 0);
    // The wait is asked for again before its call is.
    flush(&mut rig, 1);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    let mine = RegisterFailure {
        item: 0,
        code: RegisterCode::Mine,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    let own = Owner { node: "n1", address: "" };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [own], [mine]));
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    let ports = [(sequence(4), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [own], &ports));
    rig.at(100);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    held(&mut rig, id, 7);
    rig.done();
    rig.events();
    gone(&mut rig, 2, 7, "a");
    assert_eq!(rig.events(), ["gone a 5.0.7"]);
}

#[test]
fn a_grant_of_an_earlier_epoch_is_not_followed_by_its_number() {
    let mut rig = Rig::connected();
    rig.core.query(&["a", "b"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    // One of the two is asked for again, so the call is not answered in this epoch.
    gone(&mut rig, 1, 9, "b");
    let ports = [(sequence(4), Holder::Owner(0)), (sequence(9), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
    assert_eq!(rig.only(1).1, "query subscribe b");
    break_all(&mut rig);
    rig.at(50);
    rig.epoch = Epoch(6);
    rig.connect();
    let (old, text) = rig.only(1);
    assert_eq!(text, "query subscribe b");
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    rig.at(51);
    let (new, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, new, 4);
    rig.done();
    rig.events();
    answer(&mut rig, old, 7);
    assert!(matches!(rig.done(), Done::Holders(_)));
    assert_eq!(rig.events(), ["subscriptions lost"], "the end of the first grant of a");
}
