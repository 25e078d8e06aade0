//! What leaves together, and when.

use base::Duration;
use protocol::RegisterFlags;

use super::Rig;
use crate::event::{Done, Registered};
use crate::limits::FLUSH_LEN;

#[test]
fn an_idle_connection_sends_at_once_and_a_busy_one_gathers_for_50_microseconds() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags::default();
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    let (first, text) = rig.only(1);
    assert_eq!(text, "register a", "without any delay");
    for name in ["b", "c", "d"] {
        rig.core.register(&[name], flags, rig.now).expect("there is room");
        assert!(rig.sent(1).is_empty(), "an answer is awaited");
    }
    assert_eq!(rig.core.poll(rig.now), Some(rig.now + Duration::from_micros(50)));
    rig.now += Duration::from_micros(49);
    assert!(rig.sent(1).is_empty());
    rig.now += Duration::from_micros(1);
    let (second, text) = rig.only(1);
    assert_eq!(text, "register b,c,d", "three calls in one frame");
    // Answers in another order than the requests.
    rig.grant(second, 2, 3);
    rig.grant(first, 1, 1);
    for expected in [vec!["b"], vec!["c"], vec!["d"], vec!["a"]] {
        let Done::Registered(ports) = rig.done() else { panic!("a registration") };
        let names: Vec<_> = ports
            .iter()
            .map(|port| match port {
                Registered::Granted(grant) => grant.name.to_string(),
                Registered::Failed { code, .. } => format!("{code:?}"),
            })
            .collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn what_was_gathered_leaves_with_the_answer_that_makes_the_connection_idle() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags::default();
    rig.core.register(&["a"], flags, rig.now).expect("there is room");
    let (first, _text) = rig.only(1);
    rig.core.query(&["x"], false, false, rig.now).expect("there is room");
    rig.core.register(&["b"], flags, rig.now).expect("there is room");
    assert!(rig.sent(1).is_empty());
    rig.grant(first, 1, 1);
    let texts: Vec<_> = rig.sent(1).into_iter().map(|(_id, text)| text).collect();
    assert_eq!(texts, ["register b", "query x"]);
}

#[test]
fn a_batch_that_is_large_enough_does_not_wait() {
    let mut rig = Rig::connected();
    rig.core.register(&["a"], RegisterFlags::default(), rig.now).expect("there is room");
    rig.only(1);
    let long = "x".repeat(1_000);
    for _call in 0..FLUSH_LEN.div_ceil(long.len()) {
        assert!(rig.sent(1).is_empty());
        rig.core.send(&[(&long, b"")], rig.now).expect("there is room");
    }
    assert_eq!(rig.only(1).1, "send 17", "16 KiB leave at once");
}

#[test]
fn names_that_are_none_and_calls_without_items_are_refused_before_anything_is_done() {
    let mut rig = Rig::connected();
    let flags = RegisterFlags::default();
    let long = "x".repeat(1_025);
    for names in [vec![], vec!["a", ""], vec![long.as_str()]] {
        rig.core.register(&names, flags, rig.now).expect_err("a wrong call");
    }
    assert!(rig.sent(1).is_empty());
}
