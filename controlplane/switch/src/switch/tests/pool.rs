//! A connection of a session follows another, of which nothing more is done.

use protocol::{Ends, Hello, RequestKind};

use super::bed::{Bed, PLAIN, SUBSCRIBE, bare, bye, hello, query, reg, relet, unreg};
use crate::connection::ConnId;

const WAIT_MSG: RequestKind = RequestKind::WaitMsg;
const FOLLOWED: [&str; 2] = ["error Evicted 1 closes", "closed"];

/// Node a's session, as a connection of it says it.
fn of(index: u16, generation: u64) -> Hello<'static> {
    Hello { index, generation, ..hello("a", 1) }
}

/// Says who it is on a connection that was opened.
fn greet(bed: &mut Bed, conn: ConnId, hello: Hello<'_>) -> String {
    bed.heard(conn);
    bed.ask(conn, |out| hello.write(out, 1, None))
}

fn enter(bed: &mut Bed, hello: Hello<'_>) -> ConnId {
    let conn = bed.open();
    assert_eq!(greet(bed, conn, hello), "welcome Operator lease 3000");
    conn
}

#[test]
fn what_comes_late_on_a_connection_that_is_followed_is_not_done() {
    let mut bed = Bed::new();
    let receiver = enter(&mut bed, of(0, 1));
    bed.say(receiver, |out| bare(out, WAIT_MSG));
    let (first, other) = (enter(&mut bed, of(1, 4)), enter(&mut bed, of(2, 1)));
    assert_eq!(bed.ask(first, reg(&["p"], PLAIN)), "reg 1*1");
    // Nobody is at its other end, so it stays until the switch gives it up.
    bed.stop_reading(first);
    let second = enter(&mut bed, of(1, 9));
    bed.say(first, reg(&["q"], PLAIN));
    bed.say(first, unreg(&[("p", 1)]));
    assert_eq!(bed.ask(second, query(&["p", "q"], false)), "query 1@a free");
    assert_eq!(bed.ask(other, query(&["p"], false)), "query 1@a", "its index is another");
    assert_eq!(bed.ask(receiver, relet(1)), "wait_msg New next 1; relet 1 3000");
    bed.resume_reading(first);
    assert_eq!(bed.heard(first), FOLLOWED);
    assert_eq!(bed.switch.counters().connections_followed, 1);
    // Its number is another's by now, which does not go with it.
    let third = enter(&mut bed, of(1, 10));
    assert_eq!(bed.heard(second), FOLLOWED);
    assert_eq!(bed.ask(third, reg(&["q"], PLAIN)), "reg 2*1");
}

#[test]
fn hello_that_comes_after_that_of_the_next_connection_is_refused() {
    let mut bed = Bed::new();
    let receiver = enter(&mut bed, of(0, 5));
    bed.say(receiver, |out| bare(out, WAIT_MSG));
    for generation in [5, 4, 0] {
        let late = bed.open();
        let told = greet(&mut bed, late, of(0, generation));
        assert!(told.starts_with("error Evicted 1 "), "{told}");
        assert!(told.ends_with("or a later one closes; closed"), "{told}");
    }
    // The end of the latest changes nothing in that.
    bed.break_off(receiver);
    let late = bed.open();
    assert!(greet(&mut bed, late, of(0, 5)).starts_with("error Evicted 1 "));
    let next = enter(&mut bed, of(0, 6));
    assert_eq!(bed.ask(next, |out| bare(out, WAIT_MSG)), "wait_msg Resumed next 1");
    // Another session, and a connection without one, have nothing to do with it.
    enter(&mut bed, Hello { index: 0, generation: 1, ..hello("a", 2) });
    enter(&mut bed, Hello { index: 0, generation: 1, ..hello("b", 1) });
    let without = [(); 2].map(|()| enter(&mut bed, hello("a", 0)));
    assert_eq!(without.map(|conn| bed.ask(conn, |out| bare(out, RequestKind::Ping))), ["pong"; 2]);
    assert_eq!(bed.switch.counters().connections_followed, 0);
}

#[test]
fn connection_that_is_followed_before_the_session_begins_does_not_begin_it() {
    let mut bed = Bed::new();
    let (first, second) = (enter(&mut bed, of(0, 1)), enter(&mut bed, of(0, 2)));
    assert_eq!(bed.ask(second, |out| bare(out, WAIT_MSG)), "wait_msg New next 1");
    let told = bed.ask(first, |out| bare(out, WAIT_MSG));
    assert!(told.starts_with("error Evicted 1 "), "{told}");
    assert_eq!(bed.ask(second, relet(1)), "relet 1 3000", "it stays the receive connection");
}

#[test]
fn session_that_a_followed_connection_began_goes_on_at_the_next() {
    let mut bed = Bed::new();
    let (first, second) = (enter(&mut bed, of(0, 1)), enter(&mut bed, of(0, 2)));
    assert_eq!(bed.ask(first, |out| bare(out, WAIT_MSG)), "wait_msg New next 1");
    assert_eq!(bed.ask(first, reg(&["p"], PLAIN)), "reg 1*1");
    assert_eq!(bed.ask(second, |out| bare(out, RequestKind::Ping)), "pong");
    assert_eq!(bed.heard(first), FOLLOWED);
    assert_eq!(bed.ask(second, |out| bare(out, WAIT_MSG)), "wait_msg Resumed next 1");
    assert_eq!(bed.ask(second, query(&["p"], false)), "query 1@a");
}

#[test]
fn notices_between_two_receive_connections_are_told_as_lost() {
    let mut bed = Bed::new();
    let b = bed.receiver("b", 1);
    assert_eq!(bed.ask(b, reg(&["p"], PLAIN)), "reg 1*1");
    let first = enter(&mut bed, of(0, 1));
    bed.say(first, |out| bare(out, WAIT_MSG));
    bed.say(first, query(&["p"], SUBSCRIBE.subscribe));
    let second = enter(&mut bed, of(0, 2));
    assert_eq!(bed.ask(b, unreg(&[("p", 1)])), "unreg");
    let told = bed.ask(second, |out| bare(out, WAIT_MSG));
    assert!(told.starts_with("wait_msg Resumed next 1; "), "{told}");
    assert!(told.contains("flush"), "{told}");
}

#[test]
fn evicted_session_gives_back_on_the_connection_that_follows() {
    let mut bed = Bed::new();
    let receiver = enter(&mut bed, of(0, 1));
    bed.say(receiver, |out| bare(out, WAIT_MSG));
    let first = enter(&mut bed, of(1, 1));
    assert_eq!(bed.ask(first, reg(&["p"], PLAIN)), "reg 1*1");
    bed.receiver("a", 2);
    let second = enter(&mut bed, of(1, 2));
    assert_eq!(bed.heard(first), FOLLOWED);
    assert_eq!(bed.ask(second, |out| bare(out, RequestKind::Yield)), "yielded");
    // What is over is over, whatever the generation is.
    let third = enter(&mut bed, of(1, 3));
    let told = bed.ask(third, bye(Ends::Session));
    assert_eq!(told, "error Evicted 2 closes; closed");
}
