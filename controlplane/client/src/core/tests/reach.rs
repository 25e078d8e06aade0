//! What is told to who waits for the switch, and when it is of no use to go on waiting.

use protocol::{ErrorCode, ErrorFrame};

use super::{Rig, broken};
use crate::error::RequestError;
use crate::event::Done;
use crate::trouble::{TlsFault, Trouble};

fn tls(fault: TlsFault) -> Trouble {
    Trouble::Tls { endpoint: "switch:7400".to_owned(), fault }
}

fn several() -> Rig {
    Rig::with(|config| config.endpoints = ["a:1", "b:1"].map(str::to_owned).to_vec())
}

/// The next attempt ends so.
fn attempt(rig: &mut Rig, trouble: Trouble) {
    rig.now += base::Duration::from_millis(1_000);
    let (conn, _endpoint) = rig.dials().remove(0);
    rig.core.handle_closed(conn, trouble, rig.now);
}

#[test]
fn who_waits_for_the_switch_is_told_at_once_what_trying_again_does_not_mend() {
    let finals = [
        TlsFault::Issuer,
        TlsFault::Expired,
        TlsFault::Name { name: "a".to_owned(), others: "b".to_owned() },
        TlsFault::Plain,
        TlsFault::OwnExpired,
        TlsFault::OwnIssuer,
        TlsFault::OwnMissing,
    ];
    for fault in finals {
        let mut rig = Rig::new();
        rig.core.connect().expect("there is room");
        rig.core.ping().expect("there is room");
        attempt(&mut rig, tls(fault.clone()));
        let Done::Failed(RequestError::Unreached { trouble }) = rig.done() else {
            panic!("{fault:?}")
        };
        assert_eq!(trouble, tls(fault));
        assert!(rig.core.next_done().is_none(), "other calls have the time that they were given");
        // It goes on trying, and is not over: the switch may get another certificate.
        rig.core.connect().expect("it is not over");
        rig.at(10_000);
        rig.connect();
        assert_eq!(rig.sent(1).len(), 2, "of the one that has failed nothing is sent");
    }
}

#[test]
fn what_may_pass_is_waited_for() {
    let mut rig = Rig::new();
    rig.core.connect().expect("there is room");
    for trouble in [broken(), tls(TlsFault::Early), tls(TlsFault::Other("?".to_owned()))] {
        attempt(&mut rig, trouble);
    }
    let (conn, _endpoint) = {
        rig.now += base::Duration::from_millis(1_000);
        rig.dials().remove(0)
    };
    rig.core.handle_connected(conn);
    rig.conns.insert(0, conn);
    let leaving = ErrorFrame {
        code: ErrorCode::NotMaster,
        closes: true,
        number: 0,
        hint: "",
        message: "another switch is master",
    };
    rig.error(0, &leaving);
    assert!(rig.core.next_done().is_none());
}

#[test]
fn one_endpoint_that_may_come_back_is_enough_to_wait_for() {
    let mut rig = several();
    rig.core.connect().expect("there is room");
    for trouble in [tls(TlsFault::Issuer), broken(), tls(TlsFault::Issuer), broken()] {
        attempt(&mut rig, trouble);
    }
    assert!(rig.core.next_done().is_none(), "the other may only not have started yet");
    attempt(&mut rig, tls(TlsFault::Issuer));
    attempt(&mut rig, tls(TlsFault::OwnExpired));
    let Done::Failed(RequestError::Unreached { trouble }) = rig.done() else { panic!("it ends") };
    assert_eq!(trouble, tls(TlsFault::OwnExpired));
}

#[test]
fn who_speaks_another_protocol_is_no_switch_however_often_it_is_asked() {
    let mut rig = Rig::new();
    rig.core.connect().expect("there is room");
    let (conn, _endpoint) = rig.dials().remove(0);
    rig.core.handle_connected(conn);
    rig.conns.insert(0, conn);
    rig.hear(0, |out| out.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let done = rig.done();
    let Done::Failed(RequestError::Unreached { trouble: Trouble::Nonsense { .. } }) = done else {
        panic!("{done:?}")
    };
}

#[test]
fn what_a_connection_met_that_once_stood_is_no_reason_to_give_up() {
    let mut rig = Rig::connected();
    rig.core.connect().expect("there is room");
    rig.hear(1, |out| out.extend_from_slice(&[0xff; 64]));
    assert!(rig.core.next_done().is_none(), "{:?}", rig.core.trouble());
    rig.at(100);
    rig.connect();
    assert_eq!(rig.only(1).1, "ping");
}

#[test]
fn calls_that_are_given_up_while_the_switch_is_away_take_no_place() {
    let mut rig = Rig::new();
    let kept = rig.core.ping().expect("there is room");
    for _call in 0..100_000 {
        let call = rig.core.ping().expect("there is room");
        rig.core.abandon(call, rig.now);
    }
    assert!(rig.core.slots[1].solos.count() <= 5, "{}", rig.core.slots[1].solos.count());
    rig.connect();
    let (id, text) = rig.only(1);
    assert_eq!(text, "ping");
    rig.hear(1, |out| protocol::write_bare_answer(out, protocol::RequestKind::Ping, id));
    assert_eq!(rig.core.next_done().map(|(call, _done)| call), Some(kept));
}
