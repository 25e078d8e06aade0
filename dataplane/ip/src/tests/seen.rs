//! What who asks is told of neighbours.

use super::*;

fn seen(ip: &Ip, now: Instant) -> Vec<Neighbour> {
    (0..ip.neighbours_max()).filter_map(|hop| ip.neighbour_at(HopIndex(hop), now)).collect()
}

fn state_of(ip: &Ip, neighbour: &str, now: Instant) -> NeighbourState {
    let all = seen(ip, now);
    let found: Vec<_> = all.iter().filter(|seen| seen.address == address(neighbour)).collect();
    assert_eq!(found.len(), 1, "{neighbour} is listed once: {all:?}");
    found[0].state
}

#[test]
fn gateways_are_listed_before_anybody_needs_them() {
    let ip = host_b();
    let listed = seen(&ip, at(0));
    let told: Vec<_> = listed.iter().map(|one| (one.address.to_string(), one.state)).collect();
    let idle = |text: &str| (text.to_owned(), NeighbourState::Idle);
    assert_eq!(told, [idle("10.9.0.254"), idle("fe80::fe")]);
    assert!(listed.iter().all(|one| one.is_gateway && one.mac.is_none() && one.used_at.is_none()));
    assert_eq!(ip.neighbour_at(HopIndex(ip.neighbours_max()), at(0)), None, "beyond the table");
    assert_eq!(ip.neighbour_at(HopIndex::NONE, at(0)), None);
}

#[test]
fn a_neighbour_is_listed_with_what_is_known_of_it_at_that_time() {
    let neighbour = "10.9.0.77";
    let mut ip = host_b();
    ip.resolve(address(neighbour), HopIndex::NONE, at(10));
    assert_eq!(state_of(&ip, neighbour, at(10)), NeighbourState::Incomplete);
    let hop = learn(&mut ip, neighbour, MAC_A, at(11));
    let one = ip.neighbour_at(hop, at(11)).expect("it was learnt");
    assert_eq!((one.state, one.mac), (NeighbourState::Reachable, Some(MAC_A)));
    assert_eq!((one.used_at, one.is_gateway), (Some(at(11)), false));
    // The clock alone makes it stale, and looking sets nothing in motion.
    assert_eq!(state_of(&ip, neighbour, at(100)), NeighbourState::Stale);
    assert_eq!(ip.next_deadline(), None);
    ip.resolve(address(neighbour), hop, at(100));
    assert_eq!(state_of(&ip, neighbour, at(100)), NeighbourState::Delay);
    for second in 105..108 {
        control_frames(&mut ip, at(second));
        assert_eq!(state_of(&ip, neighbour, at(second)), NeighbourState::Probe);
    }
    control_frames(&mut ip, at(108));
    let one = ip.neighbour_at(hop, at(108)).expect("it stays until its place is needed");
    assert_eq!((one.state, one.mac), (NeighbourState::Failed, None));
}

#[test]
fn every_state_has_a_word_of_its_own() {
    use NeighbourState::*;
    let all = [Idle, Incomplete, Reachable, Stale, Delay, Probe, Failed];
    let names: std::collections::BTreeSet<_> = all.iter().map(|state| state.name()).collect();
    assert_eq!(names.len(), all.len());
}
