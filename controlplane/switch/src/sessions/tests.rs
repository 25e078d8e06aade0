//! Which session a node has, which ones drain, and what became of the others.

use base::{Duration, Instant};

use super::{End, Eviction, Sessions, State};
use crate::limits::DRAINING_PER_NODE_MAX;

fn sessions(sessions_max: u32) -> Sessions {
    Sessions::new(sessions_max, Duration::from_millis(100))
}

#[test]
fn an_evicted_session_stays_beside_the_new_one_until_it_ends() {
    let mut sessions = sessions(4);
    let node = sessions.enter("a");
    let old = sessions.begin(node, [1; 16], "there");
    sessions.renew(old, Instant::ZERO);
    let known = sessions.refer(old);
    sessions.evict(old, Eviction::Replaced);
    assert_eq!(sessions.live(node), None);
    let new = sessions.begin(node, [2; 16], "");
    sessions.renew(new, Instant::ZERO);
    assert_eq!(sessions.of_node(node).collect::<Vec<_>>(), [new, old]);
    assert_eq!(sessions.session(old).state, State::Draining(Eviction::Replaced));
    assert_eq!((sessions.find(node, &[1; 16]), sessions.is_same(known)), (Some(old), true));
    sessions.end(old, End::Evicted(Eviction::Replaced));
    assert_eq!((sessions.find(node, &[1; 16]), sessions.is_same(known)), (None, false));
    assert_eq!(sessions.ended(node, &[1; 16]), Some(End::Evicted(Eviction::Replaced)));
    assert_eq!(sessions.ended(node, &[2; 16]), None);
}

#[test]
fn what_became_of_a_session_is_told_to_its_own_node_only() {
    let mut sessions = sessions(4);
    let (a, b) = (sessions.enter("a"), sessions.enter("b"));
    let session = sessions.begin(a, [1; 16], "");
    sessions.end(session, End::Lapsed);
    assert_eq!(sessions.ended(a, &[1; 16]), Some(End::Lapsed));
    assert_eq!(sessions.ended(b, &[1; 16]), None);
    // And another's session of the same id does not change it.
    let session = sessions.begin(b, [1; 16], "");
    sessions.end(session, End::Evicted(Eviction::Dropped));
    assert_eq!(sessions.ended(a, &[1; 16]), Some(End::Lapsed));
}

#[test]
fn a_node_that_nobody_names_is_forgotten() {
    let mut sessions = sessions(4);
    let node = sessions.enter("a");
    let session = sessions.begin(node, [1; 16], "");
    sessions.leave(node);
    assert_eq!(sessions.node_named("a"), Some(node));
    sessions.end(session, End::Lapsed);
    assert_eq!((sessions.node_named("a"), sessions.nodes_count()), (None, 0));
    assert_eq!(sessions.enter("b"), node);
}

#[test]
fn a_node_that_starts_over_and_over_has_to_wait() {
    let mut sessions = sessions(100);
    let node = sessions.enter("a");
    for number in 0..DRAINING_PER_NODE_MAX {
        assert!(sessions.has_room(node));
        let id = [u8::try_from(number).unwrap(); 16];
        let session = sessions.begin(node, id, "");
        sessions.evict(session, Eviction::Replaced);
    }
    assert!(!sessions.has_room(node));
}

#[test]
fn sessions_have_a_bound() {
    let mut sessions = sessions(1);
    let (a, b) = (sessions.enter("a"), sessions.enter("b"));
    let session = sessions.begin(a, [1; 16], "");
    assert!(!sessions.has_room(b));
    sessions.end(session, End::Lapsed);
    assert!(sessions.has_room(b));
}
