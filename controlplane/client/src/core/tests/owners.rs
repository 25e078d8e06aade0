//! The cache, notices, messages, waiting.

use protocol::{GoneReason, Holder, Owner, RegisterCode, RegisterFailure, RegisterFlags, Sequence};

use super::{Rig, broken};
use crate::event::{self, Done};

const fn sequence(count: u64) -> Sequence {
    Sequence::new(0, count)
}

const OTHER: Owner<'static> = Owner { node: "n2", address: "10.0.0.2:1" };

/// Asks for an owner, and answers with this grant.
fn learn(rig: &mut Rig, name: &str, count: u64) {
    rig.core.query(&[name], true, false, rig.now).expect("there is room");
    let (id, text) = rig.only(1);
    assert_eq!(text, format!("query subscribe {name}"));
    answer(rig, id, count);
    rig.done();
}

fn answer(rig: &mut Rig, id: u32, count: u64) {
    let ports = [(sequence(count), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
}

fn gone(rig: &mut Rig, notice: u64, count: u64, name: &str) {
    rig.push(|push| {
        push.port_gone(
            notice,
            protocol::Gone {
                reason: GoneReason::Released,
                sequence: sequence(count),
                name: name.as_bytes(),
            },
        );
    });
}

#[test]
fn an_owner_stays_until_its_grant_or_a_later_one_is_over() {
    let mut rig = Rig::connected();
    learn(&mut rig, "a", 5);
    gone(&mut rig, 1, 4, "a");
    assert!(rig.core.cached("a").is_some(), "an older grant");
    gone(&mut rig, 2, 5, "a");
    assert!(rig.core.cached("a").is_none());
    assert_eq!(rig.core.counters().notice_gaps, 0);
}

#[test]
fn who_holds_a_port_itself_believes_no_owner_before_it() {
    let mut rig = Rig::connected();
    learn(&mut rig, "a", 5);
    // The answer comes on another connection than the notice, and may be earlier.
    rig.hold("a", 6);
    assert!(rig.core.cached("a").is_none());
    gone(&mut rig, 1, 5, "a");
    // A question that is older than the grant says nothing new either.
    rig.core.query(&["b"], true, false, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.core.register(&["b"], RegisterFlags::default(), rig.now).expect("there is room");
    rig.at(1);
    let (register, text) = rig.only(1);
    assert_eq!(text, "register b");
    rig.grant(register, 9, 1);
    rig.done();
    answer(&mut rig, id, 8);
    assert!(rig.core.cached("b").is_none());
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe b", "it is asked for again");
    answer(&mut rig, id, 9);
    assert!(rig.core.cached("b").is_some());
}

#[test]
fn an_owner_whose_subscription_ends_while_it_is_on_the_way_is_asked_for_again() {
    let mut rig = Rig::connected();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.core.unsubscribe(&["a"], rig.now).expect("there is room");
    rig.at(1);
    assert_eq!(rig.only(1).1, "unsubscribe a", "it arrives after the question");
    answer(&mut rig, id, 5);
    assert!(rig.core.cached("a").is_none(), "nothing would tell when it goes away");
    rig.at(2);
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, id, 5);
    assert!(rig.core.cached("a").is_some());
}

#[test]
fn an_owner_that_left_the_cache_and_came_back_before_its_subscription_ended_is_not_kept() {
    let mut rig = Rig::with(|config| config.cache_entries = 1);
    rig.connect();
    rig.core.query(&["x", "y", "x"], true, false, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let ports = [5, 6, 5].map(|count| (sequence(count), Holder::Owner(0)));
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
    let (id, text) = rig.only(1);
    assert_eq!(text, "unsubscribe x,y");
    rig.hear(1, |out| protocol::write_unsubscribe_answer(out, id, 2));
    assert!(rig.core.cached("x").is_none(), "nothing would tell when it goes away");
    learn(&mut rig, "x", 5);
    assert!(rig.core.cached("x").is_some());
}

#[test]
fn a_subscription_that_ended_late_does_not_end_the_one_of_an_owner_that_is_kept() {
    let mut rig = Rig::with(|config| config.cache_entries = 1);
    rig.connect();
    learn(&mut rig, "a", 5);
    learn(&mut rig, "b", 6);
    let (id, text) = rig.only(1);
    assert_eq!(text, "unsubscribe a");
    rig.refuse(1, id, protocol::ErrorCode::Busy, 0);
    learn(&mut rig, "a", 5);
    let (id, text) = rig.only(1);
    assert_eq!(text, "unsubscribe b");
    rig.hear(1, |out| protocol::write_unsubscribe_answer(out, id, 1));
    rig.at(2_000);
    assert!(rig.sent(1).is_empty(), "that of a is kept");
    assert!(rig.core.cached("a").is_some());
}

#[test]
fn a_gap_in_the_count_of_notices_empties_the_cache() {
    let mut rig = Rig::connected();
    learn(&mut rig, "a", 5);
    learn(&mut rig, "b", 6);
    gone(&mut rig, 3, 1, "z");
    assert_eq!((rig.core.cache_len(), rig.core.counters().notice_gaps), (0, 1));
    learn(&mut rig, "a", 5);
    gone(&mut rig, 4, 1, "z");
    assert_eq!(rig.core.cache_len(), 1, "the count goes on from there");
}

#[test]
fn a_notice_that_overtakes_an_answer_wins() {
    let mut rig = Rig::connected();
    rig.core.query(&["a"], true, false, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    gone(&mut rig, 1, 5, "a");
    answer(&mut rig, id, 5);
    assert!(rig.core.cached("a").is_none());
    assert!(rig.core.next_done().is_none(), "the answer was old, and is asked for again");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, id, 8);
    let Done::Holders(holders) = rig.done() else { panic!("a query") };
    let event::Holder::Owner(owner) = &holders[0] else { panic!("{holders:?}") };
    assert_eq!(owner.token.sequence, sequence(8));
    assert!(rig.core.cached("a").is_some());
}

#[test]
fn a_flush_kills_what_is_on_the_way_and_tells_who_subscribed() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.push(|push| {
        push.flush(protocol::Flush { notice: 1, reason: protocol::FlushReason::Overflow })
    });
    answer(&mut rig, id, 5);
    assert!(rig.core.cached("a").is_none());
    assert!(rig.events().is_empty(), "it is asked for again");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    answer(&mut rig, id, 5);
    rig.push(|push| {
        push.flush(protocol::Flush { notice: 2, reason: protocol::FlushReason::Overflow })
    });
    assert_eq!(rig.events(), ["subscriptions lost"]);
}

#[test]
fn who_subscribed_is_told_once() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    answer(&mut rig, id, 5);
    gone(&mut rig, 1, 5, "a");
    gone(&mut rig, 2, 6, "a");
    assert_eq!(rig.events(), ["gone a 5.0.5"]);
}

#[test]
fn a_message_that_overtakes_its_grant_waits_for_it() {
    let mut rig = Rig::connected();
    rig.events();
    let message = |rig: &mut Rig, count, blob: &'static [u8]| {
        rig.push(|push| push.message(protocol::Message { sequence: sequence(count), blob }));
    };
    message(&mut rig, 1, b"nobody's");
    rig.core.register(&["a"], RegisterFlags::default(), rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    message(&mut rig, 1, b"first");
    message(&mut rig, 1, b"second");
    assert!(rig.events().is_empty());
    rig.grant(id, 1, 1);
    message(&mut rig, 1, b"third");
    assert_eq!(rig.events(), ["message a first", "message a second", "message a third"]);
    let counters = rig.core.counters();
    assert_eq!((counters.messages_early, counters.messages_stale), (2, 1));
}

#[test]
fn a_port_that_is_waited_for_is_granted_over_a_new_master() {
    let mut rig = Rig::connected();
    rig.events();
    let flags = RegisterFlags { subscribe: false, wait: true };
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OTHER], [waiting]));
    assert!(matches!(rig.done(), Done::Registered(_)));
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.at(50);
    rig.epoch = protocol::Epoch(6);
    rig.connect();
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OTHER], [waiting]));
    rig.events();
    rig.push(|push| {
        push.grant(1, protocol::Granted { sequence: sequence(3), name: b"a" });
    });
    assert_eq!(rig.events(), ["granted a 6.0.3"]);
}

#[test]
fn a_cancel_that_is_sent_late_does_not_end_a_later_wait_for_the_same_port() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags { subscribe: false, wait: true };
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OTHER], [waiting]));
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.core.cancel_wait(&["a"], rig.now).expect("there is room");
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    rig.at(50);
    rig.state = protocol::SessionState::Resumed;
    rig.connect();
    let texts: Vec<_> = rig.sent(1).into_iter().map(|(_id, text)| text).collect();
    assert_eq!(texts, ["cancel a", "register a wait"]);
}

#[test]
fn a_wait_that_is_cancelled_before_its_answer_is_cancelled_after_it_too() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags { subscribe: false, wait: true };
    let request = rig.core.register(&["a"], flags, rig.now).expect("there is room");
    rig.core.abandon(request, rig.now);
    rig.core.cancel_wait(&["a"], rig.now).expect("there is room");
    // Both leave together, and the cancel first: at the switch it ends nothing.
    let sent = rig.sent(1);
    let texts: Vec<_> = sent.iter().map(|(_id, text)| text.as_str()).collect();
    assert_eq!(texts, ["cancel a", "register a wait"]);
    rig.hear(1, |out| protocol::write_cancel_wait_answer(out, sent[0].0, 0));
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, sent[1].0, &[], [OTHER], [waiting]));
    let texts: Vec<_> = rig.sent(1).into_iter().map(|(_id, text)| text).collect();
    // A cancel that ended nothing may mean that it was granted.
    assert_eq!(texts, ["cancel a", "query a"]);
}

#[test]
fn a_grant_that_nobody_awaits_is_released() {
    let mut rig = Rig::connected();
    let request = rig.core.register(&["a"], RegisterFlags::default(), rig.now);
    let (id, _text) = rig.only(1);
    rig.core.abandon(request.expect("there is room"), rig.now);
    rig.grant(id, 1, 1);
    assert_eq!(rig.only(1).1, "unregister a");
    assert_eq!(rig.core.counters().grants_released, 1);
}

#[test]
fn questions_that_a_flush_overtakes_are_asked_again_once() {
    let mut rig = Rig::connected();
    let mut asked = Vec::new();
    for _call in 0..2 {
        rig.core.query(&["a"], true, false, rig.now).expect("there is room");
        rig.now += base::Duration::from_millis(1);
        asked.push(rig.only(1).0);
    }
    let flush = protocol::Flush { notice: 1, reason: protocol::FlushReason::Overflow };
    rig.push(|push| push.flush(flush));
    for _round in 0..2 {
        for id in std::mem::take(&mut asked) {
            answer(&mut rig, id, 5);
            rig.now += base::Duration::from_millis(1);
            asked.extend(rig.sent(1).into_iter().map(|(id, _text)| id));
        }
    }
    assert!(asked.is_empty(), "nothing has overtaken the second questions");
    assert_eq!(rig.core.counters().queries_overtaken, 2);
    for _call in 0..2 {
        assert!(matches!(rig.done(), Done::Holders(_)));
    }
    assert!(rig.core.cached("a").is_some());
}
