//! Several send connections, several switches.

use protocol::{ErrorCode, ErrorFrame, Leaving, LeavingReason, RegisterFlags};

use super::{Rig, broken};

fn pooled() -> Rig {
    let mut rig = Rig::with(|config| config.send_connections = 3);
    rig.connect();
    rig
}

#[test]
fn everything_about_one_name_goes_over_one_connection_and_names_over_all() {
    let mut rig = pooled();
    assert_eq!(rig.conns.len(), 4, "one receives, three send");
    let flags = RegisterFlags { subscribe: false, wait: true };
    let names: Vec<String> = (0..30).map(|name| format!("port {name}")).collect();
    let mut used = [0; 4];
    for name in &names {
        rig.core.register(&[name], flags, rig.now).expect("there is room");
        rig.core.cancel_wait(&[name], rig.now).expect("there is room");
        rig.core.query(&[name], true, false, rig.now).expect("there is room");
        rig.core.send(&[(name, b"")], rig.now).expect("there is room");
    }
    rig.at(1);
    for (slot, used) in used.iter_mut().enumerate().skip(1) {
        let texts: Vec<String> = rig.sent(slot).into_iter().map(|(_id, text)| text).collect();
        let of = |kind: &str| {
            let text = texts.iter().find(|text| text.starts_with(kind)).cloned();
            text.unwrap_or_else(|| panic!("no {kind} in {texts:?}"))
        };
        let list = |text: &str| text.trim_end_matches(" wait").split("port").count();
        *used = list(&of("register"));
        for kind in ["cancel", "query subscribe"] {
            assert_eq!(list(&of(kind)), *used, "{texts:?}");
        }
        assert_eq!(of("send"), format!("send {}", *used - 1));
    }
    assert_eq!(used.iter().sum::<usize>(), names.len() + 3);
    assert!(used[1..].iter().all(|count| *count > 1), "{used:?}");
}

#[test]
fn a_send_connection_that_breaks_takes_nothing_of_the_others_with_it() {
    let mut rig = pooled();
    let grant_of = |rig: &mut Rig, slot: usize| {
        let sent = rig.sent(slot);
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent[0].clone()
    };
    let names: Vec<String> = (0..30).map(|name| format!("port {name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.core.register(&names, RegisterFlags::default(), rig.now).expect("there is room");
    let before = [1, 2, 3].map(|slot| grant_of(&mut rig, slot));
    rig.core.handle_closed(rig.conns[&2], broken(), rig.now);
    rig.at(100);
    let dials = rig.dials();
    assert_eq!(dials.len(), 1, "only the one that broke: {dials:?}");
    rig.welcome(dials[0].0);
    assert_eq!(grant_of(&mut rig, 2).1, before[1].1, "it is asked for again");
    assert!(rig.sent(1).is_empty() && rig.sent(3).is_empty());
    assert_eq!(rig.core.counters().requests_resent, 1);
}

#[test]
fn a_switch_that_is_not_the_master_is_left_for_the_one_that_it_names() {
    let mut rig = Rig::new();
    let dials = rig.dials();
    assert_eq!(dials[0].1, "switch:7400");
    let hint = |hint| ErrorFrame {
        code: ErrorCode::NotMaster,
        closes: true,
        number: 0,
        hint,
        message: "another switch is master",
    };
    rig.core.handle_connected(dials[0].0);
    rig.conns.insert(0, dials[0].0);
    rig.error(0, &hint("other:7401"));
    rig.at(100);
    let dials = rig.dials();
    assert_eq!(dials[0].1, "other:7401");
    rig.welcome(dials[0].0);
    // The other connections follow to where the session is.
    let dials = rig.dials();
    assert_eq!(dials[0].1, "other:7401");
    rig.welcome(dials[0].0);
    assert!(rig.core.is_connected());
    // A hint that is no endpoint is none.
    rig.error(0, &hint("nowhere"));
    rig.at(2_000);
    assert_eq!(rig.dials()[0].1, "switch:7400");
}

#[test]
fn where_a_switch_that_leaves_sends_to_is_tried_first_and_then_in_turn() {
    let mut rig = Rig::with(|config| {
        config.endpoints = ["a:1", "b:1"].map(str::to_owned).to_vec();
    });
    rig.connect();
    let leaving = |hint| Leaving { reason: LeavingReason::Stopping, hint };
    rig.push(|buffer| buffer.leaving(leaving("new:1")));
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    let mut dialled = Vec::new();
    for turn in 1..8 {
        rig.at(turn * 2_000);
        let (conn, endpoint) = rig.dials().remove(0);
        rig.core.handle_closed(conn, broken(), rig.now);
        dialled.push(endpoint);
    }
    assert_eq!(dialled[0], "new:1");
    assert_eq!(dialled[1..4], dialled[4..7]);
    dialled[1..4].sort();
    assert_eq!(dialled[1..4], ["a:1", "b:1", "new:1"]);
}

#[test]
fn each_endpoint_has_its_turn_while_none_answers() {
    let mut rig = Rig::with(|config| {
        config.endpoints = ["a:1", "b:1", "c:1"].map(str::to_owned).to_vec();
    });
    let mut dialled = Vec::new();
    for turn in 0..6 {
        rig.at(turn * 2_000);
        let (conn, endpoint) = rig.dials().remove(0);
        rig.core.handle_closed(conn, broken(), rig.now);
        dialled.push(endpoint);
    }
    assert_eq!(dialled[..3], dialled[3..]);
    dialled.sort();
    dialled.dedup();
    assert_eq!(dialled, ["a:1", "b:1", "c:1"]);
}
