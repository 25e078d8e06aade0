//! What is full, what the switch refuses, and what is tried again.

use base::Duration;
use protocol::{ErrorCode, Holder, Owner, RegisterCode, RegisterFailure, RegisterFlags, Role};
use protocol::{RequestKind, Sequence};

use super::{Rig, broken};
use crate::error::{CallError, RequestError};
use crate::event::{Done, Registered};
use crate::limits::{EVENTS_MAX, PORTS_MAX, REQUESTS_MAX, WAITING_LEN_MAX, WAITS_MAX};

const OTHER: Owner<'static> = Owner { node: "n2", address: "10.0.0.2:1" };
const WAIT: RegisterFlags = RegisterFlags { subscribe: false, wait: true };

fn answer(rig: &mut Rig, id: u32, count: u64) {
    let ports = [(Sequence::new(0, count), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
}

fn learn(rig: &mut Rig, name: &str, is_told: bool, count: u64) {
    rig.core.query(&[name], true, is_told, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    answer(rig, id, count);
    rig.done();
}

#[test]
fn an_owner_that_leaves_the_cache_for_another_is_unsubscribed() {
    let mut rig = Rig::with(|config| config.cache_entries = 2);
    rig.connect();
    for (count, name) in (1..).zip(["a", "b", "c"]) {
        learn(&mut rig, name, false, count);
    }
    assert_eq!(rig.only(1).1, "unsubscribe a");
    assert_eq!((rig.core.cache_len(), rig.core.counters().cache_evicted), (2, 1));
    assert!(rig.core.cached("a").is_none() && rig.core.cached("c").is_some());
}

#[test]
fn an_owner_that_the_application_is_told_of_stays_subscribed_when_it_leaves_the_cache() {
    let mut rig = Rig::with(|config| config.cache_entries = 1);
    rig.connect();
    learn(&mut rig, "a", true, 1);
    learn(&mut rig, "b", false, 2);
    assert!(rig.sent(1).is_empty());
    assert_eq!(rig.core.counters().cache_evicted, 1);
    rig.core.unsubscribe(&["a"], rig.now).expect("there is room");
    assert_eq!(rig.only(1).1, "unsubscribe a");
}

#[test]
fn without_a_subscription_left_an_owner_is_asked_for_and_not_kept() {
    let mut rig = Rig::connected();
    rig.core.query(&["a"], true, false, rig.now).expect("there is room");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query subscribe a");
    rig.refuse(1, id, ErrorCode::Quota, 10);
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    answer(&mut rig, id, 4);
    let Done::Holders(holders) = rig.done() else { panic!("a query") };
    assert!(matches!(&holders[..], [crate::event::Holder::Owner(owner)] if &*owner.node == "n2"));
    assert_eq!((rig.core.cache_len(), rig.core.counters().cache_refused), (0, 1));
    // Who asked to be told cannot be, and hears it.
    rig.core.query(&["a"], true, true, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Quota, 10);
    let Done::Failed(error) = rig.done() else { panic!("it is refused") };
    assert!(matches!(error, RequestError::Refused { code: ErrorCode::Quota, number: 10, .. }));
    assert!(rig.core.next_done().is_none());
}

#[test]
fn in_a_grace_a_registration_waits_for_as_long_as_the_switch_says() {
    let mut rig = Rig::connected();
    rig.core.register(&["a"], RegisterFlags::default(), rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Grace, 500);
    assert!(rig.core.next_done().is_none(), "nobody hears of it");
    rig.at(500);
    assert!(rig.sent(1).is_empty(), "not before the grace is over");
    rig.at(511);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a");
    rig.grant(id, 1, 1);
    assert!(matches!(rig.done(), Done::Registered(_)));
    assert_eq!(rig.core.counters().requests_deferred, 1);
}

#[test]
fn what_the_switch_is_too_busy_for_is_tried_again_and_less_and_less_often() {
    let mut rig = Rig::connected();
    rig.core.ping().expect("there is room");
    let mut pauses = Vec::new();
    for _try in 0..6 {
        let (id, _text) = rig.only(1);
        rig.refuse(1, id, ErrorCode::Busy, 0);
        let begun = rig.now;
        while rig.core.outgoing(rig.conns[&1]).is_empty() {
            rig.now += Duration::from_millis(1);
            rig.core.poll(rig.now);
        }
        pauses.push((rig.now - begun).as_millis());
    }
    for (index, pause) in (0..).zip(&pauses) {
        let most = 10_u64 << index;
        assert!((most / 2..=most + 1).contains(pause), "{pauses:?}");
    }
}

#[test]
fn a_queue_that_is_full_refuses_the_call_and_keeps_what_it_has() {
    let mut rig = Rig::connected();
    let blob = vec![7; 1 << 20];
    let mut taken = 0;
    let refused = loop {
        match rig.core.send(&[("port", &blob)], rig.now) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CallError::Full { .. }), "{refused}");
    assert_eq!(taken, WAITING_LEN_MAX / (blob.len() + 4));
    let mut sent = 0;
    while sent < taken {
        let frames = rig.sent(1);
        assert!(!frames.is_empty(), "{sent} of {taken} left");
        for (id, _text) in frames {
            let answer = protocol::SendAnswer { delivered: 1, nobody: 0, dropped: 0 };
            rig.hear(1, |out| answer.write(out, RequestKind::Send, id));
            sent += 1;
        }
    }
    rig.core.send(&[("port", &blob)], rig.now).expect("there is room again");
}

#[test]
fn counted_messages_have_their_bound_too() {
    let mut rig = Rig::new();
    let blob = vec![7; 1 << 20];
    let count = (0..1_000).take_while(|_call| rig.core.broadcast(&blob).is_ok()).count();
    assert!((50..64).contains(&count), "{count} MiB wait");
    assert!(matches!(rig.core.send_many(&["a"], &blob), Err(CallError::Full { .. })));
    assert!(matches!(rig.core.send(&[("a", &blob)], rig.now), Err(CallError::Full { .. })));
}

#[test]
fn calls_and_waits_beyond_their_bounds_are_refused() {
    let mut rig = Rig::new();
    for _call in 0..REQUESTS_MAX {
        rig.core.ping().expect("there is room");
    }
    assert!(matches!(rig.core.ping(), Err(CallError::Full { .. })));
    let mut rig = Rig::new();
    let names: Vec<String> = (0..WAITS_MAX).map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.core.register(&names, WAIT, rig.now).expect("there is room");
    let refused = rig.core.register(&["one more"], WAIT, rig.now);
    assert!(matches!(refused, Err(CallError::Full { .. })));
}

#[test]
fn ports_beyond_their_bound_are_refused_before_anything_is_asked_and_none_is_lost() {
    let mut rig = Rig::connected();
    assert_eq!(rig.core.ports_max, PORTS_MAX);
    rig.core.ports_max = 4;
    let full = |rig: &mut Rig, names: &[&str]| {
        let refused = rig.core.register(names, RegisterFlags::default(), rig.now);
        assert!(matches!(refused, Err(CallError::Full { .. })), "{refused:?}");
    };
    full(&mut rig, &["a", "b", "c", "d", "e"]);
    let grant = rig.hold("a", 1);
    // What is asked for and waited for counts as much as what is held.
    let asked = rig.core.register(&["b", "c"], RegisterFlags::default(), rig.now);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register b,c");
    full(&mut rig, &["d", "e"]);
    rig.core.abandon(asked.expect("there is room"), rig.now);
    rig.core.register(&["d"], WAIT, rig.now).expect("there is room");
    full(&mut rig, &["e", "f"]);
    rig.grant(id, 2, 2);
    assert_eq!(rig.core.counters().grants_released, 2);
    let sent = rig.sent(1);
    let texts: Vec<_> = sent.iter().map(|(_id, text)| text.as_str()).collect();
    assert_eq!(texts, ["unregister b,c", "register d wait"]);
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    let id = sent[1].0;
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OTHER], [waiting]));
    rig.core.register(&["e", "f"], RegisterFlags::default(), rig.now).expect("there is room");
    full(&mut rig, &["g"]);
    assert!(grant.authority().remaining(rig.now) > Duration::ZERO, "what is held stays so");
    rig.core.release("a", grant.token, rig.now);
    rig.core.register(&["g"], RegisterFlags::default(), rig.now).expect("one is released");
}

#[test]
fn what_a_watch_misses_is_told_in_its_place() {
    use protocol::EventKind::{Missing, Registered};

    let mut rig = Rig::with(|config| config.role = Role::Observer);
    rig.connect();
    rig.events();
    rig.core.watch("").expect("there is room");
    let (id, _text) = rig.only(0);
    rig.hear(0, |out| protocol::write_bare_answer(out, RequestKind::Watch, id));
    let see = |rig: &mut Rig, event: protocol::EventKind, name: &'static [u8]| {
        let sequence = Sequence::new(0, 1);
        let seen = protocol::Event { event, sequence, node: "n2", name };
        rig.push(|push| push.event(id, seen));
    };
    let kinds = |rig: &mut Rig| {
        let mut kinds = Vec::new();
        while let Some(crate::event::Event::Watched { kind, name, .. }) = rig.core.next_event() {
            kinds.push((kind, name));
        }
        kinds
    };
    // The switch had no place for some.
    rig.push(|push| push.event(id, protocol::Event::MISSING));
    see(&mut rig, Registered, b"a");
    let expected = [(Missing, "?".to_owned()), (Registered, "a".to_owned())];
    assert_eq!(kinds(&mut rig), expected);
    // The application has none for some.
    for _event in 0..EVENTS_MAX + 5 {
        see(&mut rig, Registered, b"b");
    }
    assert_eq!(rig.core.counters().events_dropped, 5);
    assert!(rig.core.next_event().is_some() && rig.core.next_event().is_some());
    see(&mut rig, Registered, b"c");
    let told = kinds(&mut rig);
    let tail = [(Missing, "?".to_owned()), (Registered, "c".to_owned())];
    assert_eq!(told[told.len() - 2..], tail);
    assert_eq!(told.iter().filter(|(kind, _name)| *kind == Missing).count(), 1);
    // If nothing more happens, it is told after the others.
    for _event in 0..EVENTS_MAX + 1 {
        see(&mut rig, Registered, b"d");
    }
    let told = kinds(&mut rig);
    assert_eq!((told.len(), told.last()), (EVENTS_MAX + 1, Some(&(Missing, "?".to_owned()))));
    assert!(!rig.core.has_events());
    // What happened between two connections is missing too.
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.at(100);
    rig.connect();
    rig.events();
    let (id, text) = rig.only(0);
    assert_eq!(text, "watch ");
    rig.hear(0, |out| protocol::write_bare_answer(out, RequestKind::Watch, id));
    assert_eq!(kinds(&mut rig), [(Missing, "?".to_owned())]);
}

#[test]
fn a_registration_that_leaves_no_subscription_takes_no_place_of_one() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags { subscribe: true, wait: false };
    rig.core.register(&["a", "b", "c"], flags, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let sequence = Sequence::new(0, 9);
    let held = RegisterFailure { item: 1, code: RegisterCode::Held, owner: Some(0), sequence };
    let (code, sequence) = (RegisterCode::Subscriptions, Sequence::NONE);
    let failures = [held, RegisterFailure { item: 2, code, owner: Some(0), sequence }];
    let grants = [protocol::Grants { first: Sequence::new(0, 1), count: 1 }];
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &grants, [OTHER], failures));
    assert!(matches!(rig.done(), Done::Registered(_)));
    let told = &rig.core.told;
    assert_eq!((told.len(), told.contains("b")), (1, true));
}

#[test]
fn messages_that_nobody_takes_are_counted_and_what_matters_has_its_place() {
    let mut rig = Rig::connected();
    rig.events();
    let message = |rig: &mut Rig| {
        let message = protocol::Message { sequence: Sequence::NONE, blob: b"x" };
        rig.push(|push| push.message(message));
    };
    for _message in 0..EVENTS_MAX + 3 {
        message(&mut rig);
    }
    assert_eq!(rig.core.counters().messages_dropped, 3);
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    assert_eq!(rig.core.counters().messages_dropped, 4, "the oldest makes room");
    assert_eq!(rig.events().last().map(String::as_str), Some("disconnected"));
}

#[test]
fn a_wait_that_the_switch_refuses_is_over_and_not_asked_for_again() {
    let mut rig = Rig::connected();
    rig.events();
    rig.core.register(&["a"], WAIT, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Forbidden, 0);
    assert!(matches!(rig.done(), Done::Failed(RequestError::Refused { .. })));
    // One that was accepted, and is refused when it is asked for again, is told of.
    rig.core.register(&["b"], WAIT, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OTHER], [waiting]));
    let Done::Registered(ports) = rig.done() else { panic!("a registration") };
    assert!(matches!(ports[0], Registered::Failed { code: RegisterCode::Waiting, .. }));
    rig.push(|push| push.grant(9, protocol::Granted { sequence: Sequence::new(0, 1), name: b"z" }));
    let sent = rig.sent(1);
    let texts: Vec<_> = sent.iter().map(|(_id, text)| text.as_str()).collect();
    assert_eq!(texts, ["unregister z", "register b wait"], "a notice was missing");
    rig.refuse(1, sent[1].0, ErrorCode::Forbidden, 0);
    assert_eq!(rig.events(), ["wait failed b"]);
    rig.push(|push| {
        push.grant(20, protocol::Granted { sequence: Sequence::new(0, 2), name: b"b" })
    });
    rig.hear(1, |out| protocol::write_unreg_port_answer(out, sent[0].0, []));
    assert_eq!(rig.only(1).1, "unregister b", "nobody waits for it");
}

#[test]
fn a_client_has_one_watch_which_is_asked_for_again_unless_it_was_refused() {
    let mut rig = Rig::with(|config| config.role = Role::Observer);
    rig.connect();
    rig.core.watch("a").expect("there is room");
    let (id, text) = rig.only(0);
    assert_eq!(text, "watch a");
    let taken = rig.core.watch("b");
    assert!(matches!(taken, Err(CallError::Taken { .. })), "{taken:?}");
    rig.refuse(0, id, ErrorCode::Forbidden, 0);
    assert!(matches!(rig.done(), Done::Failed(_)));
    rig.core.watch("b").expect("the other was refused");
    let (id, _text) = rig.only(0);
    rig.hear(0, |out| protocol::write_bare_answer(out, RequestKind::Watch, id));
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.at(100);
    rig.connect();
    assert_eq!(rig.only(0).1, "watch b");
}

#[test]
fn a_node_without_a_session_asks_and_sends_and_holds_nothing() {
    let mut rig = Rig::with(|config| config.has_session = false);
    rig.connect();
    assert!(!rig.core.has_session());
    rig.core.send(&[("a", b"hello")], rig.now).expect("there is room");
    let taken = rig.core.register(&["a"], RegisterFlags::default(), rig.now);
    assert_eq!(taken, Err(CallError::NoSession));
}
