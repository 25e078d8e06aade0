//! Messages: what becomes of each is counted, and none comes late because of a connection.

use protocol::Sequence;
use protocol::{ErrorCode, Holder, Message, Owner, RegisterCode, RegisterFailure, RegisterFlags};

use super::{Rig, broken};
use crate::error::RequestError;
use crate::event::Done;

const OWN: Owner<'static> = Owner { node: "n1", address: "10.0.0.1:1" };

fn is_lost(done: &Done<crate::event::Grant>) -> bool {
    matches!(done, Done::Failed(RequestError::Lost))
}

#[test]
fn each_message_of_a_call_counts_when_its_connection_is_lost() {
    let mut rig = Rig::connected();
    let three: [(&str, &[u8]); 3] = [("a", b"1"), ("b", b"2"), ("a", b"3")];
    rig.core.send_counted(&three).expect("there is room");
    rig.core.send_many(&["a", "b"], b"4").expect("there is room");
    rig.core.broadcast(b"5").expect("there is room");
    assert_eq!(rig.sent(1).len(), 3);
    rig.core.handle_closed(rig.conns[&1], broken(), rig.now);
    let done: Vec<_> = std::iter::from_fn(|| rig.core.next_done()).collect();
    assert!(done.len() == 3 && done.iter().all(|(_call, done)| is_lost(done)), "{done:?}");
    // How many sessions there are is not known, so one to all is one.
    assert_eq!(rig.core.counters().sent_lost, 6);
}

#[test]
fn each_message_of_a_call_counts_when_the_switch_refuses_it() {
    let mut rig = Rig::connected();
    rig.core.send_counted(&[("a", b"1"), ("b", b"2")]).expect("there is room");
    let (id, text) = rig.only(1);
    assert_eq!(text, "send 2");
    rig.refuse(1, id, ErrorCode::Forbidden, 0);
    assert!(matches!(rig.done(), Done::Failed(RequestError::Refused { .. })));
    rig.core.ping().expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Forbidden, 0);
    assert_eq!(rig.core.counters().sent_refused, 2);
}

#[test]
fn messages_that_wait_when_the_client_ends_are_counted() {
    let mut rig = Rig::new();
    rig.core.send(&[("a", b"1"), ("b", b"2")], rig.now).expect("there is room");
    rig.core.send_counted(&[("a", b"3")]).expect("there is room");
    let given_up = rig.core.broadcast(b"4").expect("there is room");
    rig.core.abandon(given_up, rig.now);
    rig.core.close(rig.now);
    assert!(rig.core.over().is_some());
    assert_eq!(rig.core.counters().sent_lost, 3, "what is given up is not to be sent");
}

#[test]
fn messages_that_are_under_way_when_the_client_ends_are_counted() {
    let mut rig = Rig::connected();
    rig.core.send(&[("a", b"1"), ("b", b"2")], rig.now).expect("there is room");
    rig.core.broadcast(b"3").expect("there is room");
    assert_eq!(rig.sent(1).len(), 2);
    rig.core.send(&[("a", b"4")], rig.now).expect("there is room");
    // Another session takes its place, and a request is answered with that.
    rig.refuse(1, 1, ErrorCode::Evicted, 2);
    assert!(rig.core.over().is_some());
    assert_eq!(rig.core.counters().sent_lost, 4);
}

#[test]
fn messages_that_are_refused_with_the_end_of_the_client_are_counted() {
    let mut rig = Rig::connected();
    rig.core.send(&[("a", b"1"), ("b", b"2")], rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Evicted, 2);
    assert!(rig.core.over().is_some());
    assert_eq!(rig.core.counters().sent_lost, 2);
}

#[test]
fn early_messages_count_as_stale_when_the_client_ends() {
    let mut rig = Rig::connected();
    rig.core.register(&["a"], Default::default(), rig.now).expect("there is room");
    rig.only(1);
    rig.push(|push| push.message(Message { sequence: Sequence::new(0, 1), blob: b"1" }));
    assert_eq!(rig.core.counters().messages_early, 1);
    rig.refuse(1, 1, ErrorCode::Evicted, 2);
    assert_eq!(rig.core.counters().messages_stale, 1);
}

#[test]
fn a_registration_that_is_refused_with_its_session_is_made_in_the_next() {
    let mut rig = Rig::connected();
    let call = rig.core.register(&["a"], Default::default(), rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    rig.refuse(1, id, ErrorCode::Lapsed, 0);
    assert!(rig.events().contains(&"lapsed ports 0".to_owned()));
    rig.at(100);
    rig.connect();
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a");
    rig.grant(id, 1, 1);
    assert_eq!(rig.core.next_done().map(|(call, _done)| call), Some(call));
}

#[test]
fn messages_for_a_grant_whose_answer_was_lost_are_kept_until_it_is_found() {
    let mut rig = Rig::connected();
    let of_grant = |blob: &'static [u8]| Message { sequence: Sequence::new(0, 4), blob };
    rig.core.register(&["a"], Default::default(), rig.now).expect("there is room");
    assert_eq!(rig.only(1).1, "register a");
    // It was granted, and somebody sends to it meanwhile.
    rig.core.handle_closed(rig.conns[&1], broken(), rig.now);
    rig.push(|push| push.message(of_grant(b"1")));
    rig.at(100);
    rig.connect();
    rig.push(|push| push.message(of_grant(b"2")));
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a");
    let mine = RegisterFailure {
        item: 0,
        code: RegisterCode::Mine,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OWN], [mine]));
    rig.push(|push| push.message(of_grant(b"3")));
    let (id, text) = rig.only(1);
    assert_eq!(text, "query a");
    let ports = [(Sequence::new(0, 4), Holder::Owner(0))];
    rig.events();
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &ports));
    rig.push(|push| push.message(of_grant(b"4")));
    assert_eq!(rig.events(), ["message a 1", "message a 2", "message a 3", "message a 4"]);
    assert_eq!(rig.core.counters().messages_stale, 0);
}

#[test]
fn messages_for_a_grant_whose_push_was_lost_are_kept_until_it_is_found() {
    let mut rig = Rig::connected();
    let wait = RegisterFlags { subscribe: false, wait: true };
    rig.core.register(&["a"], wait, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    let other = Owner { node: "n2", address: "10.0.0.2:1" };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [other], [waiting]));
    rig.done();
    // Its turn comes while the receive connection is away, and the other one is lost with it.
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.core.handle_closed(rig.conns[&1], broken(), rig.now);
    rig.at(100);
    (rig.state, rig.notice) = (protocol::SessionState::Resumed, 2);
    let (conn, _endpoint) = rig.dials().remove(0);
    rig.welcome(conn);
    rig.push(|push| push.message(Message { sequence: Sequence::new(0, 4), blob: b"1" }));
    rig.connect();
    let (id, text) = rig.only(1);
    assert_eq!(text, "register a wait");
    let mine = RegisterFailure {
        item: 0,
        code: RegisterCode::Mine,
        owner: Some(0),
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OWN], [mine]));
    let (id, _text) = rig.only(1);
    let ports = [(Sequence::new(0, 4), Holder::Owner(0))];
    rig.events();
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &ports));
    assert_eq!(rig.events(), ["message a 1", "granted a 5.0.4"]);
}

/// What nobody can come to know of is not kept.
#[test]
fn a_message_of_a_grant_that_is_over_is_stale_though_others_wait() {
    let mut rig = Rig::connected();
    let grant = rig.hold("b", 3);
    let wait = RegisterFlags { subscribe: false, wait: true };
    rig.core.register(&["a"], wait, rig.now).expect("there is room");
    let (id, _text) = rig.only(1);
    let waiting = RegisterFailure {
        item: 0,
        code: RegisterCode::Waiting,
        owner: None,
        sequence: Sequence::NONE,
    };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [], [waiting]));
    rig.core.release("b", grant.token, rig.now);
    rig.push(|push| push.message(Message { sequence: Sequence::new(0, 3), blob: b"1" }));
    let counters = rig.core.counters();
    assert_eq!((counters.messages_stale, counters.messages_early), (1, 0));
}
