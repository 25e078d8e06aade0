//! Messages: what becomes of each is counted, and none comes late because of a connection.

use protocol::{ErrorCode, Message, Sequence};

use super::{Rig, broken};
use crate::error::RequestError;
use crate::event::Done;

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
