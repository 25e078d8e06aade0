//! Greeting, hello, and whoever does not come in.

use base::Duration;
use protocol::{
    Answer, ClusterId, Epoch, Hello, Incoming, IncomingBody, Limits, Push, RequestKind,
};
use protocol::{Role, WAITS_OUT};

use super::bed::{Bed, bare, config, hello, open_entry, query, relet};
use crate::access::{AccessEntry, NodePattern, Peer, Proof};
use crate::config::{SwitchConfig, SwitchError};
use crate::connection::ConnId;
use crate::limits::HELLO_TIMEOUT;
use crate::switch::Switch;

/// What comes of a hello.
fn answer_to(hello: Hello<'_>) -> String {
    let mut bed = Bed::new();
    let conn = bed.open();
    assert_eq!(bed.heard(conn), ["greeting 1"]);
    bed.ask(conn, |out| hello.write(out, 1, None))
}

#[test]
fn who_says_what_is_right_comes_in() {
    assert_eq!(answer_to(hello("a", 1)), "welcome Operator lease 3000");
    let known = Hello { cluster: super::bed::CLUSTER, epoch_seen: Epoch(5), ..hello("a", 1) };
    assert_eq!(answer_to(known), "welcome Operator lease 3000");
    let late = Hello { features: 0xffff, ..hello("a", 1) };
    assert_eq!(answer_to(late), "welcome Operator lease 3000");
}

/// The features of the greeting and of the welcome, for a client that asks for these.
fn features(grace: Duration, asked: u64) -> (u64, u64) {
    let mut bed = Bed::with(SwitchConfig { grace, ..config() });
    let conn = bed.open();
    let greeting = std::mem::take(&mut bed.clients[0].inbox);
    bed.say(conn, |out| Hello { features: asked, ..hello("a", 1) }.write(out, 1, None));
    let welcome = std::mem::take(&mut bed.clients[0].inbox);
    let features = [greeting, welcome].map(|frame| {
        match Incoming::parse(&frame, &Limits::DEFAULT).expect("it is right").body {
            IncomingBody::Push(Push::Greeting(greeting)) => greeting.features,
            IncomingBody::Answer(Answer::Welcome(welcome)) => welcome.features,
            other @ (IncomingBody::Answer(_) | IncomingBody::Push(_) | IncomingBody::Error(_)) => {
                panic!("{other:?}")
            }
        }
    });
    (features[0], features[1])
}

#[test]
fn a_switch_whose_grace_is_as_long_as_old_leases_says_so_to_who_asks() {
    let exclusion = Bed::new().switch.exclusion();
    assert_eq!(features(exclusion, 0xffff), (WAITS_OUT, WAITS_OUT));
    assert_eq!(features(exclusion, 0), (WAITS_OUT, 0));
    assert_eq!(features(Duration::from_millis(exclusion.as_millis() - 1), WAITS_OUT), (0, 0));
    assert_eq!(features(Duration::ZERO, WAITS_OUT), (0, 0));
}

#[test]
fn who_is_wrong_here_is_told_why_and_the_connection_ends() {
    let wrong =
        |hello, expected| assert_eq!(answer_to(hello), format!("{expected} closes; closed"));
    wrong(Hello { version: 2, ..hello("a", 1) }, "error Version 1");
    wrong(Hello { cluster: ClusterId([8; 16]), ..hello("a", 1) }, "error WrongCluster 0");
    wrong(Hello { map_version: 1, ..hello("a", 1) }, "error WrongGroup 0");
    wrong(Hello { groups: 2, ..hello("a", 1) }, "error WrongGroup 0");
    wrong(Hello { group: 1, ..hello("a", 1) }, "error WrongGroup 0");
    wrong(Hello { features: 1 << 40, ..hello("a", 1) }, "error Unsupported 1099511627776");
    wrong(Hello { epoch_seen: Epoch(6), ..hello("a", 1) }, "error NotMaster 0");
}

#[test]
fn a_secret_a_role_and_a_name_are_judged() {
    let entry = |nodes, role| AccessEntry {
        nodes: NodePattern::parse(nodes),
        proof: Proof::Secret(b"secret".to_vec()),
        role,
        ..open_entry()
    };
    let access = vec![entry("web-*", Role::Node), entry("ops", Role::Operator)];
    let mut bed = Bed::with(SwitchConfig { access, ..config() });
    let mut answer = |hello: Hello<'_>, secret: &[u8]| {
        let conn = bed.open();
        let nonce = bed.switch.connections.at(conn).nonce;
        bed.heard(conn);
        bed.ask(conn, |out| hello.write(out, 1, Some((secret, &nonce))))
    };
    let node = Hello { role: Role::Node, ..hello("web-1", 1) };
    assert_eq!(answer(node, b"secret"), "welcome Node lease 3000");
    assert_eq!(answer(node, b"guess"), "error Unauthenticated 0 closes; closed");
    assert_eq!(answer(hello("web-1", 1), b"secret"), "error Forbidden 0 closes; closed");
    assert_eq!(answer(hello("ops", 1), b"secret"), "welcome Operator lease 3000");
    assert_eq!(answer(hello("db", 1), b"secret"), "error Unauthenticated 0 closes; closed");
}

#[test]
fn a_wrong_proof_is_refused_where_whoever_is_on_this_machine_may_come_in() {
    let mut bed = Bed::new();
    let conn = bed.open();
    let nonce = bed.switch.connections.at(conn).nonce;
    bed.heard(conn);
    let answer = bed.ask(conn, |out| hello("a", 1).write(out, 1, Some((b"guess", &nonce))));
    assert_eq!(answer, "error Unauthenticated 0 closes; closed");
}

#[test]
fn no_two_greetings_have_one_nonce() {
    let mut bed = Bed::new();
    let nonces: Vec<_> = (0..20)
        .map(|_| {
            let conn = bed.open();
            bed.switch.connections.at(conn).nonce.0
        })
        .collect();
    assert!((1..20).all(|at| !nonces[..at].contains(&nonces[at])));
}

#[test]
fn hello_comes_first_and_once() {
    let mut bed = Bed::new();
    let early = bed.open();
    bed.heard(early);
    let answer = bed.ask(early, |out| bare(out, RequestKind::Ping));
    assert_eq!(answer, "error State 0 HELLO comes first closes; closed");
    let conn = bed.connect("a", 1);
    let answer = bed.ask(conn, |out| hello("a", 1).write(out, 2, None));
    assert_eq!(answer, "error State 0 HELLO was answered");
    assert_eq!(bed.ask(conn, |out| bare(out, RequestKind::Ping)), "pong");
}

#[test]
fn who_says_nothing_for_five_seconds_is_closed_exactly_then() {
    let mut bed = Bed::new();
    let silent = bed.open();
    let open = bed.connect("a", 1);
    bed.pass(HELLO_TIMEOUT.as_millis() - 1);
    assert_eq!(bed.heard(silent), ["greeting 1"]);
    bed.pass(1);
    assert_eq!((bed.heard(silent), bed.heard(open)), (vec!["closed".to_owned()], vec![]));
    assert_eq!(bed.switch.counters().hello_timeouts, 1);
}

#[test]
fn who_does_not_take_the_last_words_is_closed_without_them() {
    let mut bed = Bed::new();
    let conn = bed.connect("a", 1);
    bed.stop_reading(conn);
    bed.say(conn, |out| out.extend([0; 12]));
    bed.pass(HELLO_TIMEOUT.as_millis() - 1);
    assert!(bed.heard(conn).is_empty());
    bed.pass(1);
    assert_eq!(bed.heard(conn), ["closed"]);
    assert_eq!(bed.switch.counters().linger_timeouts, 1);
}

#[test]
fn frames_that_are_wrong_say_where_and_end_the_connection() {
    let mut bed = Bed::new();
    let conn = bed.connect("a", 1);
    let answer = bed.ask(conn, |out| out.extend([12, 0, 0, 0, 0x10, 0, 1, 0, 7, 0, 0, 0]));
    assert_eq!(answer, "error Malformed 6 closes; closed");
    let conn = bed.connect("a", 1);
    let answer = bed.ask(conn, |out| out.extend([13, 0, 0, 0, 0x10, 0, 0, 0, 7, 0, 0, 0, 1]));
    assert_eq!(answer, "error Malformed 12 closes; closed");
    let conn = bed.connect("a", 1);
    let answer = bed.ask(conn, |out| out.extend([0, 0, 0, 0x7f, 0x10, 0, 0, 0, 7, 0, 0, 0]));
    assert_eq!(answer, format!("error TooLarge {} frame_len_max closes; closed", 32 << 20));
}

#[test]
fn what_is_not_known_or_too_much_is_refused_and_the_connection_goes_on() {
    let limits = Limits::new(4_096, 2, 10).unwrap();
    let mut bed = Bed::with(SwitchConfig { limits, ..config() });
    let conn = bed.receiver("a", 1);
    let answer = bed.ask(conn, |out| out.extend([12, 0, 0, 0, 0x30, 0, 0, 0, 7, 0, 0, 0]));
    assert_eq!(answer, "error Unsupported 48");
    let answer = bed.ask(conn, |out| out.extend([12, 0, 0, 0, 0x10, 0x20, 0, 0, 7, 0, 0, 0]));
    assert_eq!(answer, "error Unsupported 32");
    let answer = bed.ask(conn, |out| out.extend([12, 0, 0, 0, 0x10, 0x08, 0, 0, 7, 0, 0, 0]));
    assert_eq!(answer, "pong");
    assert_eq!(bed.ask(conn, query(&["a", "b", "c"], false)), "error TooLarge 2 items_max");
    let long = super::bed::send(&[("a", "eleven byte")]);
    assert_eq!(bed.ask(conn, long), "error TooLarge 10 message_len_max");
    let unnamed = [19, 0, 0, 0, 0x06, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1, b'a', 0];
    assert_eq!(bed.ask(conn, |out| out.extend(unnamed)), "error BadName 1");
    assert_eq!(bed.ask(conn, relet(4)), "relet 4 3000");
}

#[test]
fn a_frame_in_pieces_is_one_frame() {
    let mut bed = Bed::new();
    let conn = bed.open();
    bed.heard(conn);
    let mut bytes = Vec::new();
    hello("a", 1).write(&mut bytes, 1, None);
    bare(&mut bytes, RequestKind::Ping);
    let mut used = 0;
    for end in 1..=bytes.len() {
        used += bed.switch.handle_bytes(conn, &bytes[used..end], bed.now);
    }
    bed.pump();
    assert_eq!((used, bed.heard(conn).len()), (bytes.len(), 2));
}

#[test]
fn requests_stay_where_they_are_while_too_many_answers_wait() {
    let mut bed = Bed::new();
    let conn = bed.connect("a", 1);
    bed.stop_reading(conn);
    let mut bytes = Vec::new();
    let names: Vec<String> = (0..1_000).map(|number| format!("name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for _ in 0..200 {
        query(&names, false)(&mut bytes);
    }
    let used = bed.switch.handle_bytes(conn, &bytes, bed.now);
    assert!(used > 0 && used < bytes.len(), "{used} of {}", bytes.len());
    assert!(bed.switch.is_held_back(conn));
    assert_eq!(bed.switch.handle_bytes(conn, &bytes[used..], bed.now), 0);
    // Others are not held back.
    let other = bed.connect("b", 1);
    assert_eq!(bed.ask(other, |out| bare(out, RequestKind::Ping)), "pong");
    let mut rest = &bytes[used..];
    while !rest.is_empty() {
        bed.resume_reading(conn);
        let used = bed.switch.handle_bytes(conn, rest, bed.now);
        assert!(used > 0);
        rest = &rest[used..];
        bed.pump();
    }
    assert_eq!(bed.heard(conn).len(), 200);
}

#[test]
fn a_switch_that_leaves_tells_everybody_and_takes_nobody_in() {
    let mut bed = Bed::new();
    let (receiver, greeted) = (bed.receiver("a", 1), bed.open());
    bed.heard(greeted);
    bed.switch.leave("10.0.0.2:7400", bed.now);
    bed.pump();
    assert_eq!(bed.heard(receiver), ["leaving Stopping 10.0.0.2:7400", "closed"]);
    assert_eq!(bed.heard(greeted), ["error Leaving 0 10.0.0.2:7400 closes", "closed"]);
    let late = bed.open();
    assert_eq!(bed.heard(late), ["error Leaving 0 10.0.0.2:7400 closes", "closed"]);
}

#[test]
fn a_switch_that_makes_no_sense_is_not_made() {
    let make = |config: SwitchConfig| {
        Switch::new(config, super::bed::identity(), [0; 32], base::Instant::ZERO).map(|_| ())
    };
    assert_eq!(make(config()), Ok(()));
    let none = SwitchConfig { connections_max: 0, ..config() };
    assert_eq!(make(none), Err(SwitchError::Connections(0)));
    let none = SwitchConfig { sessions_max: 0, ..config() };
    assert_eq!(make(none), Err(SwitchError::Sessions(0)));
    let short = Duration::from_millis(1);
    assert_eq!(make(SwitchConfig { lease: short, ..config() }), Err(SwitchError::Lease(short)));
    let wild = SwitchConfig { drift_ppm: 500_000, ..config() };
    assert_eq!(make(wild), Err(SwitchError::Drift(500_000)));
}

#[test]
#[should_panic(expected = "ConnId(64)")]
fn a_connection_beyond_the_configured_most_is_the_daemons_mistake() {
    let mut bed = Bed::new();
    bed.switch.handle_opened(ConnId(64), Peer::default(), bed.now);
}

#[test]
fn an_error_of_another_is_never_told_to_who_did_nothing() {
    let mut bed = Bed::new();
    let (good, bad) = (bed.receiver("a", 1), bed.connect("b", 1));
    bed.say(bad, |out| out.extend([1; 64]));
    assert_eq!(bed.heard(bad).last().map(String::as_str), Some("closed"));
    assert_eq!(bed.ask(good, |out| bare(out, RequestKind::Ping)), "pong");
}
