//! The order of the list, its patterns and its proofs.

use protocol::Role;

use super::{AccessEntry, Denied, NodePattern, Peer, Prefixes, Proof, admit};
use crate::quota::Quota;

fn entry(nodes: &str, proof: Proof, role: Role) -> AccessEntry {
    AccessEntry {
        nodes: NodePattern::parse(nodes),
        proof,
        role,
        register: Prefixes::any(),
        send: Prefixes::any(),
        query: Prefixes::any(),
        quota: Quota::default(),
    }
}

#[test]
fn the_first_entry_that_fits_and_is_proved_decides() {
    let entries = [
        entry("web-1", Proof::Secret(b"one".to_vec()), Role::Operator),
        entry("web-*", Proof::Secret(b"all".to_vec()), Role::Node),
        entry("*", Proof::Loopback, Role::Observer),
    ];
    let (far, near) = (Peer::default(), Peer { is_loopback: true, ..Peer::default() });
    let knows = |known: &'static [u8]| move |secret: &[u8]| secret == known;
    assert_eq!(admit(&entries, &far, "web-1", Role::Operator, true, knows(b"one")), Ok(0));
    assert_eq!(
        admit(&entries, &far, "web-1", Role::Operator, true, knows(b"all")),
        Err(Denied::Role)
    );
    assert_eq!(admit(&entries, &far, "web-2", Role::Node, true, knows(b"all")), Ok(1));
    let nobody = admit(&entries, &far, "web-2", Role::Node, true, knows(b"one"));
    assert_eq!(nobody, Err(Denied::Unauthenticated));
    assert_eq!(admit(&entries, &near, "db", Role::Observer, false, knows(b"")), Ok(2));
    let far_away = admit(&entries, &far, "db", Role::Node, false, knows(b""));
    assert_eq!(far_away, Err(Denied::Unauthenticated));
}

#[test]
fn a_wrong_proof_is_not_ignored_where_none_is_needed() {
    let entries = [
        entry("*", Proof::Loopback, Role::Node),
        entry("web-*", Proof::Secret(b"all".to_vec()), Role::Node),
    ];
    let near = Peer { is_loopback: true, ..Peer::default() };
    let ask = |node, offers, known: &'static [u8]| {
        admit(&entries, &near, node, Role::Node, offers, |secret| secret == known)
    };
    assert_eq!(ask("web-1", false, b""), Ok(0));
    assert_eq!(ask("web-1", true, b"all"), Ok(0));
    assert_eq!(ask("web-1", true, b"guess"), Err(Denied::Unauthenticated));
    // Nothing says what would be right.
    assert_eq!(ask("db", true, b"all"), Err(Denied::Unauthenticated));
}

#[test]
fn a_certificate_is_for_its_own_node_and_its_own_role() {
    let entries = [entry("*", Proof::Certificate, Role::Operator)];
    let peer = |role| Peer {
        certified: Some("web-1".to_owned()),
        certified_role: role,
        is_loopback: true,
    };
    let ask = |peer: &Peer, node, role| admit(&entries, peer, node, role, false, |_| true);
    assert_eq!(ask(&peer(None), "web-1", Role::Operator), Ok(0));
    assert_eq!(ask(&peer(Some(Role::Node)), "web-1", Role::Node), Ok(0));
    assert_eq!(ask(&peer(Some(Role::Node)), "web-1", Role::Observer), Err(Denied::Role));
    assert_eq!(ask(&peer(None), "web-2", Role::Node), Err(Denied::Unauthenticated));
}

#[test]
fn names_are_allowed_by_their_beginning() {
    let prefixes = Prefixes::new(vec!["web/".to_owned(), "all".to_owned()]);
    assert!(prefixes.allows(b"web/") && prefixes.allows(b"allies"));
    assert!(!prefixes.allows(b"web") && !prefixes.allows(b""));
    assert!(!Prefixes::new(Vec::new()).allows(b"web/"));
    assert!(Prefixes::any().allows(b"") && Prefixes::any().is_any());
}

#[test]
fn a_secret_is_not_printed() {
    assert!(!format!("{:?}", Proof::Secret(b"hunter2".to_vec())).contains("hunter2"));
}
