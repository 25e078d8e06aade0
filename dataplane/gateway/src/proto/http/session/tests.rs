//! The pool of sessions, and its order of age.

use base::{Duration, Instant, NIL, Rng};
use memory::PageChoice;
use stack::Conn;

use super::{Due, PHASES, Phase, Sessions, paces};
use crate::HttpLimits;
use crate::counters::Status;
use crate::limits::{BODY_TIMEOUT_DEFAULT, LINGER_TIMEOUT_DEFAULT};
use crate::proto::http::answer::{Answer, Persistence};
use crate::proto::http::body::Body;

fn conn(index: u32) -> Conn {
    Conn { index, generation: 1 }
}

fn sessions(sessions_max: u32, heads_max: u32) -> Sessions {
    Sessions::new(sessions_max, heads_max, PageChoice::Base, HttpLimits::default()).unwrap()
}

fn answer(sent: u64) -> Answer {
    Answer {
        status: Status::Ok,
        is_head: false,
        persistence: Persistence::Keep,
        has_peer_ended: false,
        document: NIL,
        date: 0,
        sent,
        from: 0,
        to: 0,
        parts: NIL,
    }
}

fn body(received: u32) -> Phase {
    let mut body = Body::of(1 << 20);
    body.received = received;
    Phase::Body { answer: answer(0), body }
}

#[test]
fn the_pool_has_an_end_and_comes_back() {
    let mut sessions = sessions(2, 1);
    let buffer = sessions.allocate_head().unwrap();
    assert_eq!((sessions.allocate_head(), sessions.heads_used()), (None, 1));
    let now = Instant::ZERO;
    let head = sessions.begin(conn(1), Phase::Head { buffer, len: 3 }, now).unwrap();
    let second = sessions.begin(conn(2), body(0), now).unwrap();
    assert!(!sessions.has_free());
    assert_eq!(sessions.begin(conn(3), body(0), now), None);
    sessions.enter(head, Phase::Linger { rest: 1 }, now);
    assert_eq!(sessions.heads_used(), 0, "another phase gives the buffer back");
    sessions.end(head);
    sessions.end(second);
    assert_eq!((sessions.used(), sessions.used_max()), (0, 2));
}

#[test]
fn each_phase_runs_out_by_its_own_time() {
    let mut sessions = sessions(8, 1);
    let start = Instant::from_nanos(5);
    let first = sessions.begin(conn(1), body(0), start).unwrap();
    let linger = sessions.begin(conn(2), Phase::Linger { rest: 3 }, start).unwrap();
    let later = start + Duration::from_millis(1);
    let younger = sessions.begin(conn(3), Phase::Linger { rest: 3 }, later).unwrap();
    assert_eq!(sessions.poll_due(start + Duration::from_secs(4)), None);
    let expired = |index, conn, phase| Some(Due::Expired { index, conn, phase });
    let due = sessions.poll_due(start + LINGER_TIMEOUT_DEFAULT);
    assert_eq!(due, expired(linger, conn(2), Phase::Linger { rest: 3 }));
    sessions.update(younger, Phase::Linger { rest: 1 });
    sessions.end(linger);
    assert_eq!(sessions.poll_due(start + LINGER_TIMEOUT_DEFAULT), None);
    let due = sessions.poll_due(later + LINGER_TIMEOUT_DEFAULT);
    assert_eq!(due, expired(younger, conn(3), Phase::Linger { rest: 1 }));
    sessions.enter(younger, Phase::Linger { rest: 1 }, start + BODY_TIMEOUT_DEFAULT);
    let due = sessions.poll_due(start + BODY_TIMEOUT_DEFAULT);
    assert_eq!(due, expired(first, conn(1), body(0)));
}

#[test]
fn what_moves_at_its_least_rate_has_another_stretch() {
    let limits = HttpLimits {
        body_timeout: Duration::from_secs(10),
        body_rate_min: 100,
        answer_timeout: Duration::from_secs(20),
        answer_rate_min: 0,
        ..HttpLimits::default()
    };
    let mut sessions = Sessions::new(8, 1, PageChoice::Base, limits).unwrap();
    let start = Instant::ZERO;
    let at = |secs| start + Duration::from_secs(secs);
    let is_expired = |due| matches!(due, Some(Due::Expired { .. }));
    // What was there at the start of a stretch does not count for it.
    let upload = sessions.begin(conn(1), body(500), start).unwrap();
    sessions.update(upload, body(1_500));
    assert_eq!(sessions.poll_due(at(9)), None);
    assert_eq!(sessions.poll_due(at(10)), Some(Due::Renewed));
    assert_eq!(sessions.poll_due(at(19)), None);
    sessions.update(upload, body(2_499));
    assert!(is_expired(sessions.poll_due(at(20))));
    sessions.end(upload);
    // At a rate of zero a byte will do, and none will not.
    let reader = sessions.begin(conn(2), Phase::Answer(answer(7)), start).unwrap();
    sessions.update(reader, Phase::Answer(answer(8)));
    assert_eq!(sessions.poll_due(at(20)), Some(Due::Renewed));
    assert_eq!(sessions.poll_due(at(39)), None);
    assert!(is_expired(sessions.poll_due(at(40))));
}

/// Random operations against a list of (phase, since, conn).
#[test]
fn the_queues_stay_in_order_of_age() {
    let seed = 0x5e55;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let mut sessions = sessions(16, 16);
    let mut model: Vec<(u32, usize, Instant)> = Vec::new();
    let mut now = Instant::ZERO;
    let timeouts: [Duration; PHASES] = paces(HttpLimits::default()).map(|pace| pace.timeout);
    for step in 0..20_000_u32 {
        now += Duration::from_millis(rng.below(400));
        let phase = match rng.below(2) {
            0 => body(step),
            _ => Phase::Linger { rest: step },
        };
        let pick = usize::try_from(rng.below(16)).unwrap();
        match (rng.below(3), model.get(pick).copied()) {
            (0, Some((index, ..))) => {
                sessions.end(index);
                model.remove(pick);
            }
            (1, Some((index, ..))) => {
                sessions.enter(index, phase, now);
                model[pick] = (index, phase.queue(), now);
            }
            _ => {
                let begun = sessions.begin(conn(step), phase, now);
                assert_eq!(begun.is_some(), model.len() < 16);
                model.extend(begun.map(|index| (index, phase.queue(), now)));
            }
        }
        while let Some(due) = sessions.poll_due(now) {
            let Due::Expired { index, conn: _, phase } = due else { panic!("nothing moves") };
            let queue = phase.queue();
            let oldest = model.iter().filter(|it| it.1 == queue).min_by_key(|it| it.2);
            let since = oldest.expect("the model has it").2;
            let at = model.iter().position(|it| it.0 == index).expect("it is in use");
            assert_eq!(model[at].2, since, "step {step}");
            assert!(now.saturating_since(since) >= timeouts[queue]);
            sessions.end(index);
            model.remove(at);
        }
        let is_due = |it: &&(u32, usize, Instant)| now.saturating_since(it.2) >= timeouts[it.1];
        assert_eq!(model.iter().find(is_due), None, "step {step}");
        assert_eq!(sessions.used() as usize, model.len());
    }
}

#[test]
fn parts_go_back_with_the_answer_that_owns_them_and_not_before() {
    use crate::proto::http::parts::Parts;
    let mut sessions = Sessions::new(16, 1, PageChoice::Base, HttpLimits::default()).unwrap();
    let number = sessions.keep_parts(&Parts::NONE).unwrap();
    assert!(!sessions.has_parts_free() && sessions.keep_parts(&Parts::NONE).is_none());
    let parts = |sent| Phase::Answer(Answer { parts: number, ..answer(sent) });
    let conn = Conn { index: 1, generation: 0 };
    let index = sessions.begin(conn, parts(0), Instant::ZERO).unwrap();
    sessions.update(index, parts(5));
    sessions.enter(index, parts(5), Instant::ZERO);
    assert_eq!(sessions.parts_used(), 1, "another stretch of time is the same answer");
    sessions.enter(index, Phase::Linger { rest: 1 }, Instant::ZERO);
    assert_eq!(sessions.parts_used(), 0);
    sessions.end(index);
    let number = sessions.keep_parts(&Parts::NONE).unwrap();
    let again = Phase::Answer(Answer { parts: number, ..answer(0) });
    let index = sessions.begin(conn, again, Instant::ZERO).unwrap();
    sessions.end(index);
    assert_eq!(sessions.parts_used(), 0);
}
