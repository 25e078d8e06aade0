//! Grants that the switch gave and did not tell: found once, for one call, or given back.

use protocol::{Flush, FlushReason, SessionState};
use protocol::{Granted, Holder, Owner, RegisterCode, RegisterFailure, RegisterFlags, Sequence};

use super::{Rig, broken};
use crate::event::{Done, Registered};

const OWN: Owner<'static> = Owner { node: "n1", address: "" };
const OTHER: Owner<'static> = Owner { node: "n2", address: "10.0.0.2:1" };
const PLAIN: RegisterFlags = RegisterFlags { subscribe: false, wait: false };
const WAIT: RegisterFlags = RegisterFlags { subscribe: false, wait: true };

/// Refuses each item of a registration for this reason.
fn refuse(rig: &mut Rig, id: u32, count: u32, code: RegisterCode, owner: Owner<'_>) {
    let failures = (0..count).map(|item| RegisterFailure {
        item,
        code,
        owner: Some(0),
        sequence: Sequence::NONE,
    });
    let failures: Vec<_> = failures.collect();
    rig.hear(1, |out| {
        protocol::write_reg_port_answer(out, id, &[], [owner], failures.iter().copied());
    });
}

/// Says of one port that this node holds it by this grant.
fn answer(rig: &mut Rig, id: u32, count: u64) {
    let ports = [(Sequence::new(0, count), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &ports));
}

/// Both connections are lost with what was under way, and had again.
fn lose(rig: &mut Rig) {
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.now += base::Duration::from_millis(50);
    rig.state = SessionState::Resumed;
    rig.connect();
}

/// Notices are lost, and a grant may have been among them.
fn overflow(rig: &mut Rig) {
    rig.push(|push| push.flush(Flush { notice: 1, reason: FlushReason::Overflow }));
    rig.events();
    // What is asked for again does not wait any longer for more.
    rig.now += base::Duration::from_millis(1);
}

fn texts(rig: &mut Rig) -> Vec<String> {
    rig.sent(1).into_iter().map(|(_id, text)| text).collect()
}

/// What became of the one port of the next call that is answered.
fn outcome(rig: &mut Rig) -> Registered<crate::event::Grant> {
    match rig.done() {
        Done::Registered(mut ports) => ports.pop().expect("there is one"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_calls_whose_answers_are_lost_are_given_one_grant_once() {
    let mut rig = Rig::connected();
    for _call in 0..2 {
        rig.core.register(&["a"], PLAIN, rig.now).expect("there is room");
    }
    rig.only(1);
    lose(&mut rig);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a,a");
    refuse(&mut rig, id, 2, RegisterCode::Mine, OWN);
    let mine = outcome(&mut rig);
    assert!(matches!(mine, Registered::Failed { code: RegisterCode::Mine, .. }), "{mine:?}");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    answer(&mut rig, id, 5);
    assert!(matches!(outcome(&mut rig), Registered::Granted(_)));
    assert!(rig.core.next_done().is_none());
}

#[test]
fn a_push_behind_the_answer_that_found_its_grant_takes_nothing_away() {
    let mut rig = Rig::connected();
    rig.core.register(&["a"], WAIT, rig.now).expect("there is room");
    rig.only(1);
    rig.core.handle_closed(rig.conns[&1], broken(), rig.now);
    rig.at(50);
    rig.connect();
    let (id, _text) = rig.only(1);
    refuse(&mut rig, id, 1, RegisterCode::Mine, OWN);
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    answer(&mut rig, id, 5);
    let Registered::Granted(grant) = outcome(&mut rig) else { panic!("it is held") };
    rig.events();
    let push = |rig: &mut Rig, notice| {
        rig.push(|push| {
            push.grant(notice, Granted { sequence: Sequence::new(0, 5), name: b"a" });
        });
    };
    push(&mut rig, 1);
    assert_eq!((rig.events(), texts(&mut rig)), (vec![], vec![]));
    // Nor is one that was released meanwhile held again.
    rig.core.release("a", grant.token, rig.now);
    assert_eq!(texts(&mut rig), ["unregister a"]);
    rig.core.register(&["a"], WAIT, rig.now).expect("there is room");
    push(&mut rig, 2);
    assert!(rig.events().is_empty());
    assert_eq!(rig.core.recovery.len(), 1);
    // A RELET that is answered has every push from before it behind it.
    rig.at(1_100);
    let (id, _text) = rig.only(0);
    rig.relet(id);
    assert_eq!(rig.core.recovery.len(), 0);
}

#[test]
fn a_grant_that_is_lost_when_its_wait_was_ended_is_given_back() {
    let mut rig = Rig::connected();
    let call = rig.core.register(&["a"], WAIT, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    refuse(&mut rig, id, 1, RegisterCode::Waiting, OTHER);
    rig.done();
    rig.core.abandon(call, rig.now);
    let (id, text) = rig.only(1);
    assert_eq!(text, "cancel a");
    rig.hear(1, |out| protocol::write_cancel_wait_answer(out, id, 0));
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    answer(&mut rig, id, 5);
    assert_eq!(texts(&mut rig), ["unregister a"]);
    assert_eq!((rig.core.held.len(), rig.events()), (0, vec!["connected".to_owned()]));
}

#[test]
fn what_is_asked_for_at_the_end_of_a_session_is_registered_in_the_next() {
    let mut rig = Rig::connected();
    rig.core.register(&["a"], PLAIN, rig.now).expect("there is room");
    rig.only(1);
    lose(&mut rig);
    let (id, _text) = rig.only(1);
    refuse(&mut rig, id, 1, RegisterCode::Mine, OWN);
    assert_eq!(texts(&mut rig), ["query a"]);
    rig.at(3_100);
    rig.core.poll(rig.now);
    rig.at(4_000);
    rig.state = SessionState::New;
    rig.connect();
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    // The session before drains, and is of the same node.
    answer(&mut rig, id, 5);
    assert!(rig.core.next_done().is_none());
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a");
    rig.grant(id, 6, 1);
    assert!(matches!(outcome(&mut rig), Registered::Granted(_)));
}

#[test]
fn question_of_an_earlier_session_does_not_answer_that_of_another_call() {
    let mut rig = Rig::connected();
    let earlier = rig.core.register(&["a"], PLAIN, rig.now).expect("there is room");
    rig.only(1);
    lose(&mut rig);
    let (id, _text) = rig.only(1);
    refuse(&mut rig, id, 1, RegisterCode::Mine, OWN);
    assert_eq!(texts(&mut rig), ["query a"]);
    rig.at(3_100);
    rig.core.poll(rig.now);
    rig.at(4_000);
    rig.state = SessionState::New;
    rig.connect();
    let (old, _text) = rig.only(1);
    let later = rig.core.register(&["a"], PLAIN, rig.now).expect("there is room");
    rig.now += base::Duration::from_millis(1);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a");
    refuse(&mut rig, id, 1, RegisterCode::Mine, OWN);
    rig.now += base::Duration::from_millis(1);
    let (new, text) = rig.only(1);
    assert_eq!(text, "query a");
    answer(&mut rig, old, 5);
    assert!(rig.core.next_done().is_none(), "it is not known what it is about");
    answer(&mut rig, new, 5);
    let (call, done) = rig.core.next_done().expect("it is found");
    assert!(matches!(&done, Done::Registered(ports) if matches!(ports[0], Registered::Granted(_))));
    assert_eq!(call, later);
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a");
    refuse(&mut rig, id, 1, RegisterCode::Mine, OWN);
    let (id, _text) = rig.only(1);
    answer(&mut rig, id, 5);
    let (call, done) = rig.core.next_done().expect("every call is answered");
    assert!(
        matches!(&done, Done::Registered(ports) if matches!(ports[0], Registered::Failed { .. }))
    );
    assert_eq!(call, earlier);
}

#[test]
fn a_place_in_a_queue_that_may_have_come_without_its_subscription_is_given_up() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags { subscribe: true, wait: true };
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    refuse(&mut rig, id, 1, RegisterCode::Subscriptions, OTHER);
    assert!(matches!(outcome(&mut rig), Registered::Failed { .. }));
    assert_eq!(texts(&mut rig), ["cancel a"]);
}

#[test]
fn a_wait_for_a_port_that_this_session_lets_go_meanwhile_goes_on() {
    for holder in [Holder::Owner(0), Holder::Free] {
        let mut rig = Rig::connected();
        let held = rig.hold("a", 5);
        rig.core.register(&["a"], WAIT, rig.now).expect("there is room");
        let (id, _text) = rig.only(1);
        rig.core.release("a", held.token, rig.now);
        refuse(&mut rig, id, 1, RegisterCode::Mine, OWN);
        let sent = rig.sent(1);
        let texts: Vec<_> = sent.iter().map(|(_id, text)| text.as_str()).collect();
        assert_eq!(texts, ["unregister a", "query a"]);
        rig.hear(1, |out| protocol::write_unreg_port_answer(out, sent[0].0, []));
        // Another has it by then, or nobody.
        let sequence = if holder == Holder::Free { Sequence::NONE } else { Sequence::new(0, 6) };
        rig.hear(1, |out| {
            protocol::write_query_port_answer(out, sent[1].0, [OTHER], &[(sequence, holder)]);
        });
        assert!(rig.core.next_done().is_none());
        let (id, text) = rig.only(1);
        assert_eq!(text, "register a wait");
        rig.grant(id, 7, 1);
        assert!(matches!(outcome(&mut rig), Registered::Granted(_)));
    }
}

#[test]
fn what_a_call_waits_for_is_not_answered_before_its_own_question_is() {
    let subscribe_and_wait = RegisterFlags { subscribe: true, wait: true };
    let mut rig = Rig::connected();
    rig.core.register(&["a"], subscribe_and_wait, rig.now).expect("there is room");
    let (call, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    overflow(&mut rig);
    let (again, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    // The port is this session's by a grant that was not told, and whether it still is is asked once.
    refuse(&mut rig, call, 1, RegisterCode::Mine, OWN);
    refuse(&mut rig, again, 1, RegisterCode::Mine, OWN);
    assert!(rig.events().is_empty(), "the call is not answered yet");
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    let ports = [(Sequence::new(0, 6), Holder::Owner(0))];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OTHER], &ports));
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a wait", "it is not, so there is a queue to wait in");
    refuse(&mut rig, id, 1, RegisterCode::Waiting, OTHER);
    let port = outcome(&mut rig);
    assert!(matches!(port, Registered::Failed { code: RegisterCode::Waiting, .. }), "{port:?}");
    assert_eq!(rig.events(), ["subscriptions lost"], "it is not told of the owner's end");
    rig.push(|push| push.grant(2, Granted { sequence: Sequence::new(0, 7), name: b"a" }));
    assert_eq!(rig.events(), ["granted a 5.0.7"]);
}

/// A call and its wait are both answered that the port is this session's, the wait first.
fn ask_twice(rig: &mut Rig) -> u32 {
    rig.core.register(&["a"], WAIT, rig.now).expect("there is room");
    let (call, _text) = rig.only(1);
    overflow(rig);
    let (again, _text) = rig.only(1);
    refuse(rig, again, 1, RegisterCode::Mine, OWN);
    refuse(rig, call, 1, RegisterCode::Mine, OWN);
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a,a");
    id
}

#[test]
fn call_that_asks_after_its_wait_is_answered_for_both() {
    let mut rig = Rig::connected();
    let id = ask_twice(&mut rig);
    assert!(rig.core.next_done().is_none() && rig.events().is_empty());
    let ports = [(Sequence::new(0, 5), Holder::Owner(0)); 2];
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &ports));
    assert!(matches!(outcome(&mut rig), Registered::Granted(_)));
    assert_eq!((rig.events(), texts(&mut rig)), (vec![], vec![]));
}

#[test]
fn call_that_asks_after_its_wait_fails_once() {
    let mut rig = Rig::connected();
    let id = ask_twice(&mut rig);
    rig.refuse(1, id, protocol::ErrorCode::Forbidden, 0);
    assert!(matches!(rig.done(), Done::Failed(_)));
    assert!(rig.events().is_empty() && rig.core.next_done().is_none());
    assert_eq!((rig.core.recovery.len(), rig.core.waits.len()), (0, 0));
}

#[test]
fn call_that_asks_after_its_wait_is_registered_in_the_next_session() {
    let mut rig = Rig::connected();
    ask_twice(&mut rig);
    rig.at(3_100);
    rig.core.poll(rig.now);
    rig.at(4_000);
    rig.state = SessionState::New;
    rig.connect();
    let sent = rig.sent(1);
    let told: Vec<_> = sent.iter().map(|(_id, text)| text.as_str()).collect();
    assert_eq!(told, ["register a wait", "query a,a"]);
    refuse(&mut rig, sent[0].0, 1, RegisterCode::Waiting, OTHER);
    let ports = [(Sequence::NONE, Holder::Free); 2];
    rig.hear(1, |out| protocol::write_query_port_answer(out, sent[1].0, [OWN; 0], &ports));
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a,a wait", "the wait, and the call");
    refuse(&mut rig, id, 2, RegisterCode::Waiting, OTHER);
    let port = outcome(&mut rig);
    assert!(matches!(port, Registered::Failed { code: RegisterCode::Waiting, .. }), "{port:?}");
    rig.push(|push| push.grant(1, Granted { sequence: Sequence::new(0, 7), name: b"a" }));
    assert!(rig.events().contains(&"granted a 5.0.7".to_owned()));
}
