//! Sessions: leases to the instant, resumption, eviction, drains, ends.

use protocol::{Ends, RequestKind, shard_of};

use super::bed::{
    Bed, PLAIN, WAIT, bare, bye, cancel, config, query, query_node, reg, relet, unreg,
};
use crate::config::SwitchConfig;
use crate::limits::SWEEPING_PER_NODE_MAX;

const WAIT_MSG: RequestKind = RequestKind::WaitMsg;

#[test]
fn a_silent_session_is_over_exactly_at_the_bound() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    assert_eq!(bed.ask(a, reg(&["p", "q"], PLAIN)), "reg 1*2");
    bed.pass(1_000);
    assert_eq!(bed.ask(a, relet(1)), "relet 1 3000");
    assert_eq!(bed.ask(b, relet(1)), "relet 1 3000");
    bed.now = base::Instant::from_nanos(bed.now.as_nanos() + 2_999_999_999);
    assert_eq!(bed.ask(b, relet(2)), "relet 2 3000");
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "reg 0:Held(a)");
    bed.now = base::Instant::from_nanos(bed.now.as_nanos() + 1);
    // Nobody polled: the request itself finds that the lease is over.
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "reg 3*1");
    assert_eq!(bed.heard(a), ["error Lapsed 0 closes", "closed"]);
    bed.settle();
    assert_eq!(bed.ask(b, query(&["p", "q"], false)), "query 3@b free");
    assert_eq!(bed.switch.counters().sessions_lapsed, 1);
}

#[test]
fn a_session_that_lapsed_is_over_for_good() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    let sender = bed.connect("a", 1);
    assert_eq!(bed.ask(sender, reg(&["p"], PLAIN)), "reg 1*1");
    bed.pass(3_000);
    bed.heard(a);
    assert_eq!(bed.ask(sender, query(&["p"], false)), "error Lapsed 0 closes; closed");
    let again = bed.connect("a", 1);
    assert_eq!(bed.ask(again, |out| bare(out, WAIT_MSG)), "error Lapsed 0 closes; closed");
    let new = bed.connect("a", 2);
    assert_eq!(bed.ask(new, |out| bare(out, WAIT_MSG)), "wait_msg New next 1");
}

#[test]
fn only_relet_and_wait_msg_renew() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    bed.pass(2_000);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    bed.pass(999);
    assert_eq!(bed.ask(a, |out| bare(out, WAIT_MSG)), "wait_msg Resumed next 1");
    bed.pass(2_999);
    assert_eq!(bed.ask(a, query(&["p"], false)), "query 1@a");
    bed.pass(1);
    assert_eq!(bed.heard(a), ["error Lapsed 0 closes", "closed"]);
}

#[test]
fn relet_comes_on_the_receive_connection_of_a_session() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    let sender = bed.connect("a", 1);
    let refused = "error State 0 RELET comes on the receive connection";
    assert_eq!(bed.ask(sender, relet(1)), refused);
    assert_eq!(bed.ask(a, relet(1)), "relet 1 3000");
    let without = bed.connect("c", 0);
    assert_eq!(bed.ask(without, relet(1)), "error NoSession 0");
    assert_eq!(bed.ask(without, |out| bare(out, WAIT_MSG)), "error NoSession 0");
    assert_eq!(bed.ask(without, reg(&["p"], PLAIN)), "error NoSession 0");
    assert_eq!(bed.ask(without, query(&["p"], true)), "error NoSession 0");
    assert_eq!(bed.ask(without, query(&["p"], false)), "query free");
    let unattached = bed.connect("d", 1);
    assert_eq!(bed.ask(unattached, reg(&["p"], PLAIN)), "error NoSession 0");
}

#[test]
fn a_session_goes_on_at_another_connection_with_all_it_has() {
    let mut bed = Bed::new();
    let first = bed.receiver("a", 1);
    assert_eq!(bed.ask(first, reg(&["p"], PLAIN)), "reg 1*1");
    let second = bed.connect("a", 1);
    assert_eq!(bed.ask(second, |out| bare(out, WAIT_MSG)), "wait_msg Resumed next 1");
    assert_eq!(bed.heard(first), ["error Evicted 1 closes", "closed"]);
    bed.break_off(second);
    bed.pass(2_000);
    let third = bed.connect("a", 1);
    assert_eq!(bed.ask(third, reg(&["p"], PLAIN)), "reg 0:Mine(a)");
    assert_eq!(bed.ask(third, |out| bare(out, WAIT_MSG)), "wait_msg Resumed next 1");
    bed.pass(2_000);
    assert_eq!(bed.ask(third, query(&["p"], false)), "query 1@a");
}

#[test]
fn a_newer_session_evicts_and_gets_nothing_before_the_old_one_is_silent_for_long() {
    let mut bed = Bed::new();
    let old = bed.receiver("a", 1);
    let old_sender = bed.connect("a", 1);
    assert_eq!(bed.ask(old_sender, reg(&["p", "q"], PLAIN)), "reg 1*2");
    bed.pass(1_000);
    assert_eq!(bed.ask(old, relet(1)), "relet 1 3000");
    let new = bed.receiver("a", 2);
    assert_eq!(bed.heard(old), ["error Evicted 2 closes", "closed"]);
    assert_eq!(bed.ask(new, reg(&["p", "r"], PLAIN)), "reg 3*1 0:Draining(a)");
    // A drained port still has its owner.
    assert_eq!(bed.ask(new, query(&["p", "r"], false)), "query 1@a 3@a");
    let b = bed.receiver("b", 1);
    assert_eq!(bed.ask(b, reg(&["q"], PLAIN)), "reg 0:Draining(a)");
    bed.pass(2_000);
    assert_eq!(bed.ask(new, relet(1)), "relet 1 3000");
    assert_eq!(bed.ask(b, relet(1)), "relet 1 3000");
    bed.pass(999);
    assert_eq!(bed.ask(b, reg(&["q"], PLAIN)), "reg 0:Draining(a)");
    bed.pass(1);
    assert_eq!(bed.ask(b, reg(&["q"], PLAIN)), "reg 4*1");
    assert_eq!(bed.ask(new, reg(&["p"], PLAIN)), "reg 5*1");
    assert_eq!(bed.ask(old_sender, query(&["p"], false)), "error Evicted 2 closes; closed");
}

#[test]
fn an_evicted_session_may_give_its_ports_back_and_do_nothing_else() {
    let mut bed = Bed::new();
    bed.receiver("a", 1);
    let old = [bed.connect("a", 1), bed.connect("a", 1), bed.connect("a", 1)];
    assert_eq!(bed.ask(old[0], reg(&["p", "q", "r"], PLAIN)), "reg 1*3");
    let new = bed.receiver("a", 2);
    assert_eq!(bed.ask(old[0], reg(&["x"], PLAIN)), "error Evicted 2 closes; closed");
    assert_eq!(bed.ask(old[1], |out| bare(out, RequestKind::Ping)), "pong");
    assert_eq!(bed.ask(old[1], unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.ask(new, reg(&["p", "q"], PLAIN)), "reg 4*1 1:Draining(a)");
    assert_eq!(bed.ask(old[1], |out| bare(out, RequestKind::Yield)), "yielded");
    assert_eq!(bed.ask(new, reg(&["q", "r"], PLAIN)), "reg 5*2");
    assert_eq!(bed.ask(old[2], unreg(&[("q", 2)])), "error Evicted 2 closes; closed");
    let again = bed.connect("a", 1);
    let answer = bed.ask(again, |out| bare(out, WAIT_MSG));
    assert_eq!(answer, "error Evicted 2 closes; closed");
    assert_eq!(bed.ask(new, query(&["p", "q", "r"], false)), "query 4@a 5@a 6@a");
}

#[test]
fn the_last_port_given_back_ends_a_drain() {
    let mut bed = Bed::new();
    bed.receiver("a", 1);
    let old = bed.connect("a", 1);
    assert_eq!(bed.ask(old, reg(&["p"], PLAIN)), "reg 1*1");
    let new = bed.receiver("a", 2);
    assert_eq!(bed.ask(new, query_node(&["a"])), "nodes Live() 3000 ms 1 ports");
    assert_eq!(bed.ask(old, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.switch.sessions.count(), 1);
    assert_eq!(bed.ask(old, unreg(&[("p", 1)])), "error Evicted 2 closes; closed");
}

#[test]
fn yield_frees_everything_at_once_and_the_session_goes_on() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    let names: Vec<String> = (0..500).map(|number| format!("name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(bed.ask(a, reg(&names, PLAIN)), "reg 1*500");
    assert_eq!(bed.ask(b, reg(&["name 7"], WAIT)), "reg 0:Waiting(a)");
    assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
    bed.settle();
    assert_eq!(bed.heard(b), ["grant #1 501=name 7"]);
    // It waits for nothing any more either.
    assert_eq!(bed.ask(a, reg(&["name 7"], WAIT)), "reg 0:Waiting(b)");
    assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
    assert_eq!(bed.ask(a, cancel(&["name 7"])), "cancelled 0");
    assert_eq!(bed.ask(a, unreg(&[("name 7", 8), ("name 8", 9)])), "unreg 0:NotMine 1:Free");
    assert_eq!(bed.ask(a, reg(&["name 8", "name 7"], PLAIN)), "reg 502*1 1:Held(b)");
    bed.settle();
    assert_eq!(
        bed.ask(b, query_node(&["a", "b", "c"])),
        "nodes Live() 3000 ms 1 ports Live() 3000 ms 1 ports Unknown() 0 ms 0 ports"
    );
    // The slot of what was given back is free again.
    assert_eq!(bed.switch.shards.statistics().ports, 2);
}

#[test]
fn yield_again_and_again_never_runs_out_once_it_is_swept() {
    let config = SwitchConfig { sessions_max: 1, ..config() };
    let mut bed = Bed::with(config);
    let a = bed.receiver("a", 1);
    for round in 0..10 {
        let granted = bed.ask(a, reg(&["p"], PLAIN));
        assert_eq!(granted, format!("reg {}*1", round + 1));
        assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
        if round == 4 {
            // There is nothing to sweep.
            assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
        }
        bed.settle();
    }
}

#[test]
fn who_yields_nothing_again_and_again_takes_no_slot_from_others() {
    let config = SwitchConfig { sessions_max: 4, shards: 3, ..config() };
    let mut bed = Bed::with(config);
    let a = bed.receiver("a", 1);
    for _ in 0..1_000 {
        assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
    }
    for node in ["b", "c", "d"] {
        let conn = bed.receiver(node, 1);
        assert_eq!(bed.ask(conn, |out| bare(out, RequestKind::Yield)), "yielded");
    }
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)).split('*').next_back(), Some("1"));
}

#[test]
fn who_yields_faster_than_it_is_swept_is_busy_with_itself_only() {
    let config = SwitchConfig { sessions_max: 3, ..config() };
    let mut bed = Bed::with(config);
    let a = bed.receiver("a", 1);
    for _ in 0..SWEEPING_PER_NODE_MAX {
        assert!(bed.ask(a, reg(&["p"], PLAIN)).starts_with("reg"));
        assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
    }
    assert!(bed.ask(a, reg(&["p"], PLAIN)).starts_with("reg"));
    assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "error Busy 0");
    // Another has the slots that it needs.
    let b = bed.receiver("b", 1);
    assert_eq!(bed.ask(b, reg(&["q"], PLAIN)), "reg 10*1");
    assert_eq!(bed.ask(b, |out| bare(out, RequestKind::Yield)), "yielded");
    // A newcomer of the node waits too.
    let newer = bed.connect("a", 2);
    assert_eq!(bed.ask(newer, |out| bare(out, RequestKind::WaitMsg)), "error Busy 0");
    bed.settle();
    assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
    bed.settle();
    let answer = bed.ask(newer, |out| bare(out, RequestKind::WaitMsg));
    assert!(answer.starts_with("wait_msg"), "{answer}");
    assert_eq!(bed.switch.sessions.nodes_count(), 2);
}

#[test]
fn who_yields_in_one_shard_of_many_leaves_its_slots_to_others() {
    let shards = 8;
    let config = SwitchConfig { sessions_max: 4, shards, ..config() };
    let mut bed = Bed::with(config);
    let a = bed.receiver("a", 1);
    let of_one = |number: &u32| shard_of(format!("p{number}").as_bytes(), shards) == 3;
    let names: Vec<_> = (0..).filter(of_one).take(4).map(|number| format!("p{number}")).collect();
    let name = &names[0];
    for _ in 0..SWEEPING_PER_NODE_MAX {
        assert!(bed.ask(a, reg(&[name], PLAIN)).starts_with("reg"));
        assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
    }
    assert!(bed.ask(a, reg(&[name], PLAIN)).starts_with("reg"));
    assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "error Busy 0");
    for (node, name) in ["b", "c", "d"].into_iter().zip(&names[1..]) {
        let conn = bed.receiver(node, 1);
        assert!(bed.ask(conn, reg(&[name], PLAIN)).ends_with("*1"));
        assert_eq!(bed.ask(conn, |out| bare(out, RequestKind::Yield)), "yielded");
    }
    bed.settle();
    assert_eq!(bed.ask(a, |out| bare(out, RequestKind::Yield)), "yielded");
}

#[test]
fn bye_is_answered_and_the_connection_ends_while_the_session_stays() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(a, bye(Ends::Connection)), "bye; closed");
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "reg 0:Held(a)");
}

#[test]
fn a_bye_of_the_session_frees_all_that_it_had_and_nothing_of_it_is_there_any_more() {
    let mut bed = Bed::with(SwitchConfig { sessions_max: 2, ..config() });
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    let sender = bed.connect("a", 1);
    assert_eq!(bed.ask(sender, reg(&["p", "q"], PLAIN)), "reg 1*2");
    assert_eq!(bed.ask(b, reg(&["p", "r"], WAIT)), "reg 3*1 0:Waiting(a)");
    assert_eq!(bed.ask(b, query(&["q"], true)), "query 2@a");
    assert_eq!(bed.ask(sender, reg(&["r"], WAIT)), "reg 0:Waiting(b)");
    assert_eq!(bed.ask(a, bye(Ends::Session)), "bye; closed");
    bed.settle();
    assert_eq!(bed.heard(b), ["gone #1 2=q Released", "grant #2 4=p"]);
    assert_eq!(bed.ask(b, unreg(&[("r", 3)])), "unreg");
    assert_eq!(bed.ask(b, query(&["p", "q", "r"], false)), "query 4@b free free");
    let nodes = "nodes Unknown() 0 ms 0 ports Live() 3000 ms 1 ports";
    assert_eq!(bed.ask(b, query_node(&["a", "b"])), nodes);
    // Its place among the sessions is another's.
    bed.receiver("c", 1);
    let counters = bed.switch.counters();
    assert_eq!((counters.sessions_ended, counters.sessions_lapsed), (1, 0));
    bed.pass(4_000);
    assert_eq!(bed.switch.counters().sessions_lapsed, 2, "it is not counted twice");
}

#[test]
fn what_comes_after_the_bye_of_a_session_is_told_so_and_its_id_is_not_used_again() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    let [said, late, idle] = [(); 3].map(|()| bed.connect("a", 1));
    // What was asked before is done; then whoever is pushed to is told, and the others when they ask.
    assert_eq!(bed.ask(late, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(said, bye(Ends::Session)), "bye; closed");
    assert_eq!(bed.heard(a), ["error Ended 0 closes", "closed"]);
    assert_eq!(bed.ask(late, reg(&["q"], PLAIN)), "error Ended 0 closes; closed");
    assert_eq!(bed.ask(idle, bye(Ends::Session)), "error Ended 0 closes; closed");
    let again = bed.connect("a", 1);
    assert_eq!(bed.ask(again, |out| bare(out, WAIT_MSG)), "error Ended 0 closes; closed");
    // Another session of the node evicts nobody, and has what it asks for.
    let next = bed.receiver("a", 2);
    assert_eq!(bed.ask(next, reg(&["p", "q"], PLAIN)), "reg 2*2");
    assert_eq!(bed.switch.counters().sessions_replaced, 0);
}

#[test]
fn a_bye_of_the_session_ends_a_drain_and_needs_a_session() {
    let mut bed = Bed::new();
    bed.receiver("a", 1);
    let old = [bed.connect("a", 1), bed.connect("a", 1)];
    assert_eq!(bed.ask(old[0], reg(&["p"], PLAIN)), "reg 1*1");
    let new = bed.receiver("a", 2);
    assert_eq!(bed.ask(new, reg(&["p"], PLAIN)), "reg 0:Draining(a)");
    assert_eq!(bed.ask(old[0], bye(Ends::Session)), "bye; closed");
    assert_eq!(bed.ask(new, reg(&["p"], PLAIN)), "reg 2*1");
    assert_eq!(bed.ask(old[1], bye(Ends::Session)), "error Evicted 2 closes; closed");
    assert_eq!(bed.switch.counters().sessions_ended, 0, "it was evicted before");
    let none = bed.connect("b", 0);
    assert_eq!(bed.ask(none, bye(Ends::Session)), "error NoSession 0");
    assert_eq!(bed.ask(none, bye(Ends::Connection)), "bye; closed");
}

#[test]
fn who_begins_and_ends_sessions_faster_than_they_are_swept_is_busy_with_itself_only() {
    let mut bed = Bed::with(SwitchConfig { sessions_max: 3, ..config() });
    for id in 1..=u8::try_from(SWEEPING_PER_NODE_MAX).unwrap() {
        let a = bed.receiver("a", id);
        assert!(bed.ask(a, reg(&["p"], PLAIN)).starts_with("reg"));
        assert_eq!(bed.ask(a, bye(Ends::Session)), "bye; closed");
    }
    let a = bed.connect("a", 99);
    assert_eq!(bed.ask(a, |out| bare(out, WAIT_MSG)), "error Busy 0");
    let b = bed.receiver("b", 1);
    assert!(bed.ask(b, reg(&["p"], PLAIN)).starts_with("reg"));
    bed.settle();
    assert!(bed.ask(a, |out| bare(out, WAIT_MSG)).starts_with("wait_msg"));
}

#[test]
fn a_session_that_waits_gives_its_place_up_when_it_is_evicted() {
    let mut bed = Bed::new();
    let (a, b) = (bed.receiver("a", 1), bed.receiver("b", 1));
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(b, reg(&["p"], WAIT)), "reg 0:Waiting(a)");
    let newer = bed.receiver("b", 2);
    assert_eq!(bed.heard(b), ["error Evicted 2 closes", "closed"]);
    assert_eq!(bed.ask(a, unreg(&[("p", 1)])), "unreg");
    assert_eq!(bed.ask(newer, reg(&["p"], PLAIN)), "reg 2*1");
}

#[test]
fn without_room_for_another_session_nobody_is_evicted() {
    let mut bed = Bed::with(SwitchConfig { sessions_max: 1, ..config() });
    let a = bed.receiver("a", 1);
    assert_eq!(bed.ask(a, reg(&["p"], PLAIN)), "reg 1*1");
    for node in ["a", "b"] {
        let conn = bed.connect(node, 2);
        assert_eq!(bed.ask(conn, |out| bare(out, WAIT_MSG)), "error Busy 0");
    }
    assert_eq!(bed.ask(a, query(&["p"], false)), "query 1@a");
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut bed = Bed::new();
    let a = bed.receiver("a", 1);
    bed.pass(2_000);
    assert_eq!(bed.ask(a, relet(1)), "relet 1 3000");
    let late = bed.now;
    bed.now = base::Instant::ZERO;
    assert_eq!(bed.ask(a, relet(2)), "relet 2 3000");
    bed.now = late;
    bed.pass(2_999);
    assert_eq!(bed.ask(a, relet(3)), "relet 3 3000");
}
