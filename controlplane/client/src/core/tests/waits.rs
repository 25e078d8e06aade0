//! Who waits for a port, and what becomes of it when its caller has given up.

use protocol::{ErrorCode, Holder, Owner, RegisterCode, RegisterFailure, RegisterFlags, Sequence};

use super::{Rig, broken};
use crate::error::{CallError, RequestError};
use crate::event::{Done, Registered};

const OTHER: Owner<'static> = Owner { node: "n2", address: "10.0.0.2:1" };
const OWN: Owner<'static> = Owner { node: "n1", address: "" };
const WAIT: RegisterFlags = RegisterFlags { subscribe: false, wait: true };

fn ask(rig: &mut Rig, names: &[&str]) -> u64 {
    rig.core.register(names, WAIT, rig.now).expect("there is room")
}

/// The first so many items of a registration fail with one code.
fn fail(rig: &mut Rig, id: u32, code: RegisterCode, count: u32) {
    let owner = if code == RegisterCode::Mine { OWN } else { OTHER };
    let failures = (0..count).map(|item| RegisterFailure {
        item,
        code,
        owner: Some(0),
        sequence: Sequence::NONE,
    });
    let failures: Vec<_> = failures.collect();
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [owner], failures));
}

fn waiting(rig: &mut Rig, id: u32, count: u32) {
    fail(rig, id, RegisterCode::Waiting, count);
}

fn push(rig: &mut Rig, notice: u64, count: u64, name: &'static [u8]) {
    let granted = protocol::Granted { sequence: Sequence::new(0, count), name };
    rig.push(|push| push.grant(notice, granted));
}

fn texts(rig: &mut Rig, slot: usize) -> Vec<String> {
    rig.sent(slot).into_iter().map(|(_id, text)| text).collect()
}

#[test]
fn a_call_that_is_given_up_waits_for_none_of_its_ports() {
    let mut rig = Rig::connected();
    rig.events();
    let call = ask(&mut rig, &["a", "b"]);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a,b wait");
    rig.core.abandon(call, rig.now);
    waiting(&mut rig, id, 2);
    let (_id, text) = rig.only(1);
    assert!(text.starts_with("cancel a,b"), "{text}");
    // The grant may have left the switch before the cancel came.
    push(&mut rig, 1, 1, b"a");
    rig.at(1);
    assert!(texts(&mut rig, 1).contains(&"unregister a".to_owned()));
    assert!(rig.events().is_empty(), "nobody awaits it");
    assert_eq!(rig.core.counters().grants_released, 1);
}

#[test]
fn an_answer_that_its_caller_never_saw_leaves_nothing_that_is_waited_for() {
    let mut rig = Rig::connected();
    let call = ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    assert!(matches!(rig.done(), Done::Registered(_)));
    rig.core.abandon(call, rig.now);
    assert_eq!(texts(&mut rig, 1), ["cancel a"]);
}

#[test]
fn a_grant_that_was_not_taken_yet_is_released_when_its_call_is_given_up() {
    let mut rig = Rig::connected();
    rig.events();
    let call = ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    push(&mut rig, 1, 1, b"a");
    rig.core.abandon(call, rig.now);
    assert_eq!(texts(&mut rig, 1), ["unregister a"]);
    assert!(rig.events().is_empty());
    assert_eq!(rig.core.counters().grants_released, 1);
}

#[test]
fn a_grant_that_was_not_taken_yet_is_released_when_its_wait_is_cancelled() {
    let mut rig = Rig::connected();
    rig.events();
    ask(&mut rig, &["a", "b"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 2);
    push(&mut rig, 1, 1, b"a");
    push(&mut rig, 2, 2, b"b");
    rig.core.cancel_wait(&["a"], rig.now).expect("there is room");
    assert_eq!(texts(&mut rig, 1), ["unregister a"]);
    assert_eq!(rig.events(), ["granted b 5.0.2"]);
}

#[test]
fn a_call_of_which_a_part_is_refused_waits_for_no_other_part() {
    let mut rig = Rig::connected();
    let names: Vec<String> = (0..8_193).map(|port| port.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ask(&mut rig, &names);
    let sent = rig.sent(1);
    assert_eq!(sent.len(), 2, "more than one frame holds");
    waiting(&mut rig, sent[1].0, 1);
    rig.refuse(1, sent[0].0, ErrorCode::Forbidden, 0);
    assert!(matches!(rig.done(), Done::Failed(RequestError::Refused { .. })));
    assert_eq!(texts(&mut rig, 1), ["cancel 8192"]);
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.at(100);
    rig.connect();
    let asked = texts(&mut rig, 1);
    assert!(asked.iter().all(|text| text.starts_with("cancel")), "{asked:?}");
}

#[test]
fn a_port_is_waited_for_by_one_call_of_a_client() {
    let mut rig = Rig::connected();
    let call = ask(&mut rig, &["a", "a"]);
    let twice = rig.core.register(&["b", "a"], WAIT, rig.now);
    assert!(matches!(twice, Err(CallError::Taken { .. })), "{twice:?}");
    rig.core.register(&["a"], RegisterFlags::default(), rig.now).expect("that waits for nothing");
    rig.core.abandon(call, rig.now);
    ask(&mut rig, &["b", "a"]);
}

#[test]
fn a_call_that_is_given_up_late_takes_nothing_from_a_newer_one() {
    let mut rig = Rig::connected();
    rig.events();
    let old = ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    rig.done();
    push(&mut rig, 1, 1, b"a");
    assert_eq!(rig.events(), ["granted a 5.0.1"]);
    // The port is lost with its master, and a newer call waits for it.
    let new = ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    rig.done();
    rig.core.abandon(old, rig.now);
    assert!(rig.sent(1).is_empty(), "it waited for nothing any more");
    rig.core.abandon(new, rig.now);
    assert_eq!(texts(&mut rig, 1), ["cancel a"]);
}

#[test]
fn what_an_old_registration_brings_is_for_who_waits_now() {
    let mut rig = Rig::connected();
    rig.events();
    let old = ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    rig.core.abandon(old, rig.now);
    ask(&mut rig, &["a"]);
    rig.grant(id, 1, 1);
    assert_eq!(rig.events(), ["granted a 5.0.1"]);
    let sent = rig.sent(1);
    let texts: Vec<_> = sent.iter().map(|(_id, text)| text.as_str()).collect();
    assert_eq!(texts, ["cancel a", "register a wait"]);
    fail(&mut rig, sent[1].0, RegisterCode::Mine, 1);
    assert!(rig.events().is_empty() && rig.sent(1).is_empty(), "it is held, and stays so");
}

#[test]
fn a_refusal_of_an_old_registration_does_not_end_a_newer_wait() {
    let mut rig = Rig::connected();
    rig.events();
    let old = ask(&mut rig, &["a"]);
    let (first, _text) = rig.only(1);
    rig.core.abandon(old, rig.now);
    ask(&mut rig, &["a"]);
    rig.at(1);
    let second = rig.sent(1)[1].0;
    fail(&mut rig, first, RegisterCode::Quota, 1);
    waiting(&mut rig, second, 1);
    rig.done();
    assert!(rig.sent(1).is_empty(), "the newer one is not cancelled");
    push(&mut rig, 1, 1, b"a");
    assert_eq!(rig.events(), ["granted a 5.0.1"]);
}

#[test]
fn a_grant_that_was_asked_for_again_and_then_given_up_is_released() {
    let mut rig = Rig::connected();
    ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    rig.done();
    rig.events();
    // Notices are missing: it is asked for again, and cancelled before the answer.
    rig.push(|push| {
        push.flush(protocol::Flush { notice: 7, reason: protocol::FlushReason::Overflow })
    });
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    rig.core.cancel_wait(&["a"], rig.now).expect("there is room");
    rig.grant(id, 1, 1);
    assert!(rig.events().is_empty(), "nobody awaits it");
    let texts = texts(&mut rig, 1);
    assert!(texts.contains(&"unregister a".to_owned()), "{texts:?}");
}

#[test]
fn a_grant_whose_push_was_lost_is_found_for_who_waits_and_for_nobody_else() {
    for is_given_up in [false, true] {
        let mut rig = Rig::connected();
        rig.events();
        let call = ask(&mut rig, &["a"]);
        let (id, _text) = rig.only(1);
        waiting(&mut rig, id, 1);
        rig.done();
        rig.push(|push| {
            push.flush(protocol::Flush { notice: 7, reason: protocol::FlushReason::Overflow })
        });
        let (id, _text) = rig.only(1);
        fail(&mut rig, id, RegisterCode::Mine, 1);
        let (id, text) = rig.only(1);
        assert_eq!(text, "query a", "its sequence is asked for");
        if is_given_up {
            rig.core.abandon(call, rig.now);
        }
        let port = (Sequence::new(0, 4), Holder::Owner(0));
        rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &[port]));
        let expected: &[&str] = if is_given_up { &[] } else { &["granted a 5.0.4"] };
        assert_eq!(rig.events(), expected);
        let released = u64::from(is_given_up);
        assert_eq!(rig.core.counters().grants_released, released);
    }
}

#[test]
fn a_grant_while_others_are_asked_for_ends_its_wait_for_good() {
    let mut rig = Rig::connected();
    rig.events();
    ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    rig.done();
    rig.core.register(&["b"], RegisterFlags::default(), rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    push(&mut rig, 1, 1, b"a");
    rig.grant(id, 2, 1);
    let Done::Registered(ports) = rig.done() else { panic!("a registration") };
    assert!(matches!(ports[0], Registered::Granted(_)));
    assert_eq!(rig.events(), ["granted a 5.0.1"]);
    rig.push(|push| {
        push.flush(protocol::Flush { notice: 7, reason: protocol::FlushReason::Overflow })
    });
    assert!(rig.sent(1).is_empty(), "what is held is not waited for");
}

#[test]
fn a_cancel_that_the_switch_was_too_busy_for_does_not_end_a_later_wait() {
    let mut rig = Rig::connected();
    let call = ask(&mut rig, &["a", "b"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 2);
    rig.done();
    rig.core.abandon(call, rig.now);
    let (cancel, text) = rig.only(1);
    assert_eq!(text, "cancel a,b");
    rig.refuse(1, cancel, ErrorCode::Busy, 0);
    ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    rig.at(2_000);
    assert_eq!(texts(&mut rig, 1), ["cancel b"]);
}

#[test]
fn a_flush_has_what_is_waited_for_asked_for_again_for_a_place_may_be_lost_with_it() {
    let mut rig = Rig::connected();
    ask(&mut rig, &["a"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 1);
    rig.done();
    // The count has no gap: the switch says itself what it could not.
    rig.push(|push| {
        push.flush(protocol::Flush { notice: 1, reason: protocol::FlushReason::Overflow })
    });
    assert_eq!(rig.core.counters().notice_gaps, 0);
    assert_eq!(texts(&mut rig, 1), ["register a wait"]);
}

#[test]
fn however_often_notices_are_lost_a_wait_is_queued_once() {
    let mut rig = Rig::connected();
    ask(&mut rig, &["a", "b"]);
    let (id, _text) = rig.only(1);
    waiting(&mut rig, id, 2);
    rig.done();
    let flush = |rig: &mut Rig, notice| {
        rig.push(|push| {
            push.flush(protocol::Flush { notice, reason: protocol::FlushReason::Overflow })
        });
    };
    (1..=3).for_each(|notice| flush(&mut rig, notice));
    assert_eq!(texts(&mut rig, 1), ["register a,b wait"]);
    // It is under way: whether it arrives before or after what was lost is not known.
    (4..=6).for_each(|notice| flush(&mut rig, notice));
    for _loss in 0..3 {
        for slot in [0, 1] {
            rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
        }
        rig.now += base::Duration::from_millis(1_000);
        rig.connect();
        let names: usize = texts(&mut rig, 1).iter().map(|text| text.split(',').count()).sum();
        assert!(names <= 2, "{names} are asked for");
    }
}

#[test]
fn a_question_of_a_wait_that_was_cancelled_takes_no_place_of_a_later_one() {
    let mut rig = Rig::connected();
    for cancelled in [true, false] {
        ask(&mut rig, &["a"]);
        let (id, text) = rig.only(1);
        assert_eq!(text, "register a wait");
        waiting(&mut rig, id, 1);
        rig.done();
        // It is asked for again, and the switch is busy.
        let notice = if cancelled { 1 } else { 2 };
        rig.push(|push| {
            push.flush(protocol::Flush { notice, reason: protocol::FlushReason::Overflow })
        });
        let (id, text) = rig.only(1);
        assert_eq!(text, "register a wait");
        rig.refuse(1, id, ErrorCode::Busy, 0);
        if cancelled {
            rig.core.cancel_wait(&["a"], rig.now).expect("there is room");
            let (id, _text) = rig.only(1);
            rig.hear(1, |out| protocol::write_cancel_wait_answer(out, id, 1));
        }
    }
    rig.hold("a", 9);
    rig.at(100);
    for (id, text) in rig.sent(1) {
        assert_eq!(text, "register a wait");
        fail(&mut rig, id, RegisterCode::Mine, 1);
    }
    // The one that waits cannot get what another call has, and is told so.
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    let ports = [(Sequence::new(0, 9), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &ports));
    assert!(rig.events().contains(&"wait failed a".to_owned()));
    assert!(rig.core.waiting_call("a").is_none());
}
