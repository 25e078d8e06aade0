//! Grants that the switch gave and did not tell: found once, for one call, or given back.

use protocol::SessionState;
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
