//! What was held in an epoch whose successor waits for its leases.

use base::Duration;
use protocol::{Epoch, Sequence, WAITS_OUT};

use super::{EXCLUSION_MS, LEASE_MS, Rig, broken};
use crate::authority::Ended;
use crate::event::{Done, Grant};

/// A core that held a port, and whose switch is another since 500 ms.
fn restarted(change: impl FnOnce(&mut Rig)) -> (Rig, Grant) {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.events();
    rig.features = WAITS_OUT;
    change(&mut rig);
    again(&mut rig, 500, 6);
    (rig, grant)
}

/// A switch with this epoch takes the place of the one before.
fn again(rig: &mut Rig, millis: u64, epoch: u64) {
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.at(millis);
    rig.epoch = Epoch(epoch);
    rig.connect();
}

/// Renews the lease with the new master.
fn renew(rig: &mut Rig, millis: u64) {
    rig.at(millis);
    let (id, text) = rig.only(0);
    assert_eq!(text, "relet");
    rig.relet(id);
}

#[test]
fn what_was_held_is_held_until_its_deadline_and_never_longer() {
    let (mut rig, grant) = restarted(|_rig| {});
    assert_eq!(rig.events(), ["disconnected", "epoch 6 ports 1", "connected"]);
    assert!(grant.authority().is_running_out());
    renew(&mut rig, 1_500);
    renew(&mut rig, 2_500);
    rig.at(2_999);
    rig.core.poll(rig.now);
    assert_eq!(grant.authority().remaining(rig.now).as_millis(), 1, "until 0 + 3,000");
    assert!(rig.events().is_empty());
    rig.at(3_000);
    assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
    rig.core.poll(rig.now);
    assert_eq!(rig.events(), ["lapsed ports 1"]);
    assert_eq!(grant.authority().ended(), Some(Ended::Lapsed));
    assert!(rig.core.is_connected(), "the session in the new epoch goes on");
    let next = rig.hold("a", 1);
    assert!(next.token > grant.token && next.authority().remaining(rig.now) > Duration::ZERO);
}

#[test]
fn its_end_is_looked_for_in_time_without_a_connection() {
    let (mut rig, grant) = restarted(|_rig| {});
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.events();
    while rig.events() != ["lapsed ports 1"] {
        rig.now = rig.core.poll(rig.now).expect("something is due");
        rig.dials().iter().for_each(|(conn, _)| rig.core.handle_closed(*conn, broken(), rig.now));
        assert!(
            rig.core.epoch() == Epoch(6) && rig.now <= base::Instant::from_nanos(4_000_000_000)
        );
    }
    assert_eq!(grant.authority().ended(), Some(Ended::Lapsed));
}

#[test]
fn a_switch_that_does_not_wait_or_not_as_long_as_the_lease_was_ends_it_at_once() {
    let changes = [
        (0, LEASE_MS, EXCLUSION_MS),
        (WAITS_OUT, LEASE_MS - 1, EXCLUSION_MS),
        (WAITS_OUT, LEASE_MS, EXCLUSION_MS - 1),
    ];
    for (features, lease_ms, exclusion_ms) in changes {
        let (mut rig, grant) = restarted(|rig| {
            rig.features = features;
            (rig.lease_ms, rig.exclusion_ms) = (lease_ms, exclusion_ms);
        });
        assert_eq!(grant.authority().ended(), Some(Ended::NewEpoch));
        assert_eq!(rig.events(), ["disconnected", "epoch 6 ports 1", "connected"]);
    }
}

#[test]
fn a_port_that_is_let_go_in_a_later_epoch_is_released_at_nobody() {
    let (mut rig, grant) = restarted(|_rig| {});
    rig.core.unregister(&[("a", grant.token)], rig.now).expect("there is room");
    assert!(rig.sent(1).is_empty());
    let Done::Unregistered(codes) = rig.done() else { panic!("an unregistration") };
    assert_eq!(codes, [None]);
    rig.events();
    renew(&mut rig, 1_500);
    rig.at(3_000);
    rig.core.poll(rig.now);
    assert!(rig.events().is_empty(), "nothing of then was held");
}

#[test]
fn a_second_new_epoch_makes_the_lease_no_longer_and_one_that_does_not_wait_ends_it() {
    let (mut rig, grant) = restarted(|_rig| {});
    again(&mut rig, 1_000, 7);
    assert_eq!(grant.authority().remaining(rig.now).as_millis(), 2_000);
    rig.features = 0;
    rig.events();
    again(&mut rig, 1_500, 8);
    assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
    assert_eq!(rig.events(), ["disconnected", "epoch 8 ports 1", "connected"]);
}

#[test]
fn a_grant_of_the_new_master_says_that_every_lease_of_before_is_over() {
    let (mut rig, grant) = restarted(|_rig| {});
    rig.events();
    let next = rig.hold("a", 1);
    assert_eq!(next.token.sequence, Sequence::new(0, 1));
    assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
    assert_eq!(rig.events(), ["lapsed ports 1"]);
}

#[test]
fn a_client_that_closes_holds_nothing_of_before_either() {
    let (mut rig, grant) = restarted(|_rig| {});
    rig.core.close(rig.now);
    assert_eq!(grant.authority().ended(), Some(Ended::Closed));
}
