//! Which grants are known, and so none that were lost.

use protocol::{Holder, Owner, RegisterCode, RegisterFailure, RegisterFlags, Sequence};

use super::{Rig, broken};
use crate::event::{Done, Grant, Registered};
use crate::limits::RELEASES_NOTED_MAX;

const OWN: Owner<'static> = Owner { node: "n1", address: "" };

/// The ports are asked for, and asked for again on another connection, which says that they are this
/// session's already; says the number of the question whose they are.
fn mine(rig: &mut Rig, calls: &[&str]) -> u32 {
    for name in calls {
        rig.core.register(&[name], RegisterFlags::default(), rig.now).expect("there is room");
    }
    rig.at(1);
    rig.sent(1);
    rig.core.handle_closed(rig.conns[&1], broken(), rig.now);
    rig.at(100);
    rig.connect();
    for (id, text) in rig.sent(1) {
        let count = text.split(',').count();
        let mine = |item| RegisterFailure {
            item,
            code: RegisterCode::Mine,
            owner: Some(0),
            sequence: Sequence::NONE,
        };
        let failures = (0..).take(count).map(mine);
        rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [OWN], failures));
    }
    let (id, text) = rig.only(1);
    assert!(text.starts_with("query "), "{text}");
    id
}

fn answer(rig: &mut Rig, id: u32, counts: &[u64]) {
    let port = |count: &u64| (Sequence::new(0, *count), Holder::Owner(0));
    let ports: Vec<_> = counts.iter().map(port).collect();
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [OWN], &ports));
}

fn port(rig: &mut Rig) -> Registered<Grant> {
    let Done::Registered(mut ports) = rig.done() else { panic!("a registration") };
    ports.pop().expect("it named one port")
}

#[test]
fn a_port_that_is_held_is_not_granted_twice() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    let id = mine(&mut rig, &["a"]);
    answer(&mut rig, id, &[1]);
    let port = port(&mut rig);
    assert!(matches!(port, Registered::Failed { code: RegisterCode::Mine, .. }), "{port:?}");
    assert!(grant.authority().ended().is_none() && rig.core.held.len() == 1);
}

#[test]
fn a_grant_that_is_released_meanwhile_is_not_taken_for_a_lost_one() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    let id = mine(&mut rig, &["a"]);
    rig.core.release("a", grant.token, rig.now);
    rig.at(101);
    let (released, text) = rig.only(1);
    assert_eq!(text, "unregister a");
    // The switch saw the question first.
    answer(&mut rig, id, &[1]);
    let failed = port(&mut rig);
    assert!(matches!(failed, Registered::Failed { code: RegisterCode::Mine, .. }), "{failed:?}");
    assert!(rig.core.held.is_empty());
    // The question is over, so nothing more is noted.
    rig.hear(1, |out| protocol::write_unreg_port_answer(out, released, []));
    let next = rig.hold("a", 2);
    rig.core.release("a", next.token, rig.now);
    assert!(!rig.core.recovery.is_asking());
}

#[test]
fn where_too_much_was_released_to_be_noted_no_grant_is_taken_for_a_lost_one() {
    let mut rig = Rig::connected();
    let id = mine(&mut rig, &["a"]);
    for count in 0..=RELEASES_NOTED_MAX {
        let count = u64::try_from(count).expect("64 bits");
        rig.core.recovery.on_released(Sequence::new(1, count + 1));
    }
    answer(&mut rig, id, &[4]);
    assert!(matches!(port(&mut rig), Registered::Failed { code: RegisterCode::Mine, .. }));
    assert!(rig.core.held.is_empty());
}
