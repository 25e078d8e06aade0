//! Leases, lost connections, masters, evictions.

use base::Duration;
use protocol::{
    Epoch, ErrorCode, ErrorFrame, Limits, RegisterFlags, Request, RequestBody, SessionState,
};

use super::{Rig, broken, told};
use crate::authority::Ended;
use crate::error::{CallError, Over};
use crate::event::Done;

fn error(code: ErrorCode, number: u64) -> ErrorFrame<'static> {
    ErrorFrame { code, closes: true, number, hint: "", message: "" }
}

#[test]
fn authority_counts_from_the_instant_of_sending() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    // WAIT_MSG was sent at 0, so a third of the lease later a RELET is due.
    rig.at(999);
    assert!(rig.sent(0).is_empty());
    rig.at(1_000);
    let (id, text) = rig.only(0);
    assert_eq!(text, "relet");
    rig.at(2_900);
    rig.relet(id);
    assert_eq!(grant.authority().remaining(rig.now).as_millis(), 1_100, "until 1,000 + 3,000");
    rig.at(3_999);
    assert!(grant.authority().remaining(rig.now) > Duration::ZERO);
    rig.at(4_000);
    assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
}

#[test]
fn an_answer_that_comes_after_the_deadline_gives_nothing_back() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.events();
    rig.at(1_000);
    let (id, _text) = rig.only(0);
    rig.at(3_000);
    rig.relet(id);
    assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
    assert_eq!(grant.authority().ended(), Some(Ended::Lapsed));
    assert_eq!(rig.events(), ["lapsed ports 1"]);
}

#[test]
fn a_lapsed_session_yields_after_it_has_stopped_and_another_begins() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.at(3_000);
    rig.core.poll(rig.now);
    assert_eq!(grant.authority().ended(), Some(Ended::Lapsed));
    let mut rest = Vec::new();
    while let Some(action) = rig.core.next_action() {
        if let super::Action::Close { rest: left, .. } = action {
            rest.extend(left);
        }
    }
    let kinds = [rest.get(4), rest.get(16), rest.get(24)].map(|kind| kind.copied());
    assert_eq!(kinds, [Some(0x0d), Some(0x0e), Some(1)], "YIELD, then BYE of the session");
    let old = rig.core.session;
    rig.at(4_100);
    rig.connect();
    assert_ne!(rig.core.session, protocol::SessionId([7; 16]));
    assert_eq!(rig.core.session, old, "chosen when the other lapsed");
    let again = rig.hold("a", 9);
    assert!(again.authority().remaining(rig.now) > Duration::ZERO);
    assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
}

#[test]
fn a_lost_connection_resumes_and_an_unanswered_registration_is_asked_for_again() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.core.register(&["b"], RegisterFlags::default(), rig.now).expect("there is room");
    assert_eq!(rig.only(1).1, "register b");
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.at(100);
    rig.state = SessionState::Resumed;
    rig.connect();
    assert!(grant.authority().remaining(rig.now) > Duration::ZERO, "held all the time");
    let (id, text) = rig.only(1);
    assert_eq!(text, "register b");
    // It had been granted, and the answer was lost.
    let mine = protocol::RegisterFailure {
        item: 0,
        code: protocol::RegisterCode::Mine,
        owner: Some(0),
        sequence: protocol::Sequence::NONE,
    };
    let owner = protocol::Owner { node: "n1", address: "" };
    rig.hear(1, |out| protocol::write_reg_port_answer(out, id, &[], [owner], [mine]));
    let (id, text) = rig.only(1);
    assert_eq!(text, "query b", "its sequence is asked for");
    let port = (protocol::Sequence::new(0, 2), protocol::Holder::Owner(0));
    rig.hear(1, |out| protocol::write_query_port_answer(out, id, [owner], &[port]));
    let Done::Registered(ports) = rig.done() else { panic!("a registration") };
    let crate::event::Registered::Granted(grant) = &ports[0] else { panic!("{ports:?}") };
    assert_eq!(grant.token.sequence.count(), 2);
}

#[test]
fn reconnects_back_off_with_jitter_and_are_bounded() {
    let mut rig = Rig::new();
    let mut pauses = Vec::new();
    for _try in 0..12 {
        rig.core.poll(rig.now);
        let Some(super::Action::Connect { conn, .. }) = rig.core.next_action() else {
            panic!("it dials")
        };
        rig.core.handle_closed(conn, broken(), rig.now);
        let next = rig.core.poll(rig.now).expect("it tries again");
        pauses.push((next - rig.now).as_millis());
        rig.now = next;
    }
    for (index, pause) in (0..).zip(&pauses) {
        let most = (20_u64 << index).min(1_000);
        assert!((most / 2..=most).contains(pause), "{pauses:?}");
    }
}

/// How long after the end of the connection in the first place the next is dialled.
fn pause(rig: &mut Rig) -> u64 {
    let begun = rig.now;
    while rig.core.slots[0].conn.is_none() {
        rig.now += Duration::from_millis(1);
        rig.core.poll(rig.now);
    }
    (rig.now - begun).as_millis()
}

#[test]
fn a_switch_that_welcomes_and_ends_is_tried_less_and_less_often() {
    let mut rig = Rig::new();
    let mut pauses = Vec::new();
    for _try in 0..8 {
        let (conn, _endpoint) = rig.dials().remove(0);
        rig.welcome(conn);
        rig.core.handle_closed(conn, broken(), rig.now);
        pauses.push(pause(&mut rig));
        // It was dialled in `pause`.
        let conn = rig.core.slots[0].conn.as_ref().expect("it was dialled").id;
        rig.dials();
        rig.core.handle_closed(conn, broken(), rig.now);
        rig.now += Duration::from_millis(1_000);
    }
    assert!(pauses.last().is_some_and(|pause| *pause >= 500), "{pauses:?}");
    // One that stood for a while begins anew.
    let (conn, _endpoint) = rig.dials().remove(0);
    rig.welcome(conn);
    rig.now += Duration::from_millis(1_000);
    rig.core.handle_closed(conn, broken(), rig.now);
    assert!(pause(&mut rig) <= 21);
}

#[test]
fn clients_that_are_told_to_come_back_at_one_instant_do_not() {
    let mut pauses = Vec::new();
    for seed in 0..20 {
        let mut rig = Rig::new();
        rig.core.rng = base::Rng::seeded(seed);
        let (conn, _endpoint) = rig.dials().remove(0);
        rig.core.handle_connected(conn);
        rig.conns.insert(0, conn);
        rig.error(0, &error(ErrorCode::Quarantine, 300));
        pauses.push(pause(&mut rig));
    }
    assert!(pauses.iter().all(|pause| (310..=321).contains(pause)), "{pauses:?}");
    pauses.sort_unstable();
    pauses.dedup();
    assert!(pauses.len() > 3, "{pauses:?}");
}

#[test]
fn a_new_epoch_closes_what_was_held_and_is_told() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.events();
    for slot in [0, 1] {
        rig.core.handle_closed(rig.conns[&slot], broken(), rig.now);
    }
    rig.at(50);
    rig.epoch = Epoch(6);
    rig.connect();
    assert_eq!(grant.authority().ended(), Some(Ended::NewEpoch));
    assert_eq!(rig.events(), ["disconnected", "epoch 6 ports 1", "connected"]);
    let again = rig.hold("a", 1);
    assert!(again.token > grant.token);
    // A switch of the old epoch is not believed any more.
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.at(150);
    rig.epoch = Epoch(5);
    rig.core.poll(rig.now);
    while let Some(action) = rig.core.next_action() {
        if let super::Action::Connect { conn, .. } = action {
            rig.greet(conn);
        }
    }
    assert_eq!(rig.core.counters().connections_stale, 1);
    assert!(again.authority().remaining(rig.now) > Duration::ZERO);
}

#[test]
fn a_switch_that_was_set_back_is_told_the_epoch_that_was_heard_of() {
    let mut rig = Rig::connected();
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.at(50);
    rig.epoch = Epoch(4);
    let (conn, _endpoint) = rig.dials().remove(0);
    rig.greet(conn);
    let mut actions = std::iter::from_fn(|| rig.core.next_action());
    let rest = actions.find_map(|action| match action {
        super::Action::Close { conn: closed, rest } => (closed == conn).then_some(rest),
        super::Action::Connect { .. } => None,
    });
    let rest = rest.expect("it is left");
    // HELLO alone: no session begins there.
    let request = Request::parse(&rest, &Limits::DEFAULT).expect("it is one frame");
    let RequestBody::Hello(hello) = request.body else { panic!("{request:?}") };
    assert!(hello.proves(super::SECRET, &super::NONCE));
    assert_eq!(hello.hello.epoch_seen, Epoch(5));
    assert_eq!(rig.core.counters().connections_stale, 1);
}

#[test]
fn evictions_and_another_cluster_are_final() {
    let replaced = Over::Replaced { node: "n1".to_owned() };
    let cases = [
        (error(ErrorCode::Evicted, 1), Over::Copied),
        (error(ErrorCode::Evicted, 2), replaced),
        (error(ErrorCode::Evicted, 3), Over::Dropped),
        (error(ErrorCode::WrongCluster, 0), Over::WrongCluster),
    ];
    for (error, over) in cases {
        let mut rig = Rig::connected();
        let grant = rig.hold("a", 1);
        rig.core.register(&["b"], RegisterFlags::default(), rig.now).expect("there is room");
        rig.error(0, &error);
        assert_eq!(rig.core.over(), Some(&over));
        assert_eq!(grant.authority().remaining(rig.now), Duration::ZERO);
        assert!(matches!(rig.done(), Done::Failed(_)), "what was asked ends too");
        assert_eq!(rig.core.poll(rig.now), None, "it does not connect again");
        let refused = rig.core.register(&["c"], RegisterFlags::default(), rig.now);
        assert_eq!(refused, Err(CallError::Over(over)));
    }
}

#[test]
fn connection_follows_those_that_were_given_up_before_it() {
    let mut rig = Rig::connected();
    assert_eq!(rig.generations.keys().copied().collect::<Vec<_>>(), [0, 1]);
    let first = rig.generations.clone();
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.at(50);
    let (conn, _endpoint) = rig.dials().remove(0);
    rig.greet(conn);
    let frames = rig.frames(0);
    assert_eq!(frames.len(), 2, "HELLO and WAIT_MSG are on their way, and the connection ends");
    let hello = Request::parse(&frames[0], &Limits::DEFAULT).expect("it is right");
    let RequestBody::Hello(lost) = hello.body else { panic!("{hello:?}") };
    rig.core.handle_closed(conn, broken(), rig.now);
    rig.at(200);
    rig.state = SessionState::Resumed;
    rig.connect();
    // Whichever of them comes first, the switch knows which is the later.
    assert!(first[&0] < lost.hello.generation && lost.hello.generation < rig.generations[&0]);
    assert_eq!(first[&1], rig.generations[&1], "the other connection is the same");
}

#[test]
fn another_cluster_is_met_in_its_greeting() {
    let mut rig = Rig::connected();
    rig.core.handle_closed(rig.conns[&0], broken(), rig.now);
    rig.cluster = protocol::ClusterId([2; 16]);
    rig.at(50);
    rig.core.poll(rig.now);
    let greeting = protocol::Greeting {
        version_min: 1,
        version_max: 1,
        features: 0,
        cluster: rig.cluster,
        epoch: Epoch(9),
        nonce: protocol::Nonce([9; 32]),
    };
    while let Some(action) = rig.core.next_action() {
        if let super::Action::Connect { conn, .. } = action {
            rig.core.handle_connected(conn);
            rig.conns.insert(conn.slot, conn);
            rig.hear(conn.slot, |out| greeting.write(out));
        }
    }
    assert_eq!(rig.core.over(), Some(&Over::WrongCluster));
}

#[test]
fn closing_stops_first_and_yields_then() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.core.close(rig.now);
    assert_eq!(grant.authority().ended(), Some(Ended::Closed));
    let texts: Vec<_> = rig.sent(0).into_iter().collect();
    assert_eq!(
        texts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
        ["yield", "bye Session"]
    );
    rig.hear(0, |out| {
        protocol::write_bare_answer(out, protocol::RequestKind::Yield, texts[0].0);
        protocol::write_bare_answer(out, protocol::RequestKind::Bye, texts[1].0);
    });
    assert_eq!(rig.core.over(), Some(&Over::Closed));
}

#[test]
fn closing_ends_the_session_once_what_was_asked_before_is_answered() {
    let mut rig = Rig::connected();
    rig.at(1_000);
    let (relet, _text) = rig.only(0);
    rig.core.send(&[("a", b"last words")], rig.now).expect("there is room");
    rig.core.close(rig.now);
    let (id, text) = rig.only(1);
    assert_eq!(text, "send 1");
    assert_eq!(rig.only(0).1, "yield", "a BYE might come before the message");
    rig.events();
    rig.relet(relet);
    assert_eq!(rig.events(), Vec::<String>::new(), "it extends nothing, and nothing lapses");
    let answer = protocol::SendAnswer { delivered: 1, nobody: 0, dropped: 0 };
    rig.hear(1, |out| answer.write(out, protocol::RequestKind::Send, id));
    let (id, text) = rig.only(0);
    assert_eq!(text, "bye Session");
    // Another connection of the pool may hear of it first.
    rig.error(1, &error(ErrorCode::Ended, 0));
    assert_eq!(rig.core.over(), None);
    rig.hear(0, |out| protocol::write_bare_answer(out, protocol::RequestKind::Bye, id));
    assert_eq!(rig.core.over(), Some(&Over::Closed));
    assert_eq!((rig.core.counters().sent_delivered, rig.core.counters().sessions_lapsed), (1, 0));
}

#[test]
fn closing_does_not_wait_for_ever_and_says_bye_all_the_same() {
    let mut rig = Rig::connected();
    rig.core.send(&[("a", b"last words")], rig.now).expect("there is room");
    rig.core.close(rig.now);
    assert_eq!(rig.only(0).1, "yield");
    rig.at(1_000);
    rig.core.poll(rig.now);
    assert_eq!(rig.core.over(), Some(&Over::Closed));
    let mut last = Vec::new();
    while let Some(action) = rig.core.next_action() {
        match action {
            super::Action::Close { conn, rest } if conn.slot == 0 => last = rest,
            super::Action::Close { .. } | super::Action::Connect { .. } => {}
        }
    }
    assert_eq!(told(&last[last.len() - 13..]).1, "bye Session");
}

#[test]
fn a_session_that_another_process_has_ended_is_over_and_another_begins() {
    let mut rig = Rig::connected();
    let grant = rig.hold("a", 1);
    rig.events();
    let old = rig.core.session;
    rig.error(0, &error(ErrorCode::Ended, 0));
    assert_eq!(grant.authority().ended(), Some(Ended::Lapsed));
    assert_eq!(rig.events(), ["lapsed ports 1"]);
    rig.at(1_100);
    rig.connect();
    assert_ne!(rig.core.session, old);
}

#[test]
fn bytes_that_are_no_frame_end_the_connection_and_not_the_client() {
    let mut rig = Rig::connected();
    rig.hear(1, |out| out.extend_from_slice(&[0xff; 64]));
    assert_eq!(rig.core.counters().frames_malformed, 1);
    assert_eq!(rig.core.over(), None);
    rig.at(100);
    rig.connect();
}
