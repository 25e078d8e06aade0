//! `SEND` as the switch reads it, and what a receiver takes: right, and wrong in every way.

use protocol::{ErrorFrame, Message, PushBuffer, Request, RequestBody};

use super::*;
use crate::messages::ledger::{Told, Wrong};

const LOAD: Load =
    Load { ports: 3, name_len: 200, size: 130, batch: 4, senders: 1, receivers: 3, window: 10 };

/// Every port is held under a grant of its own number.
fn bypss() -> Bypss {
    let mut bypss = Bypss::new(LOAD);
    bypss.sequences = (0..3).map(|port| Sequence::new(0, 10 + port)).collect();
    bypss
}

/// What a batch of [`LOAD`] carries.
fn messages(bypss: &mut Bypss, ledger: &mut Ledger) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    bypss.write(0, ledger, &mut out);
    let request = Request::parse(&out, &Limits::DEFAULT).expect("the frame is right");
    let RequestBody::Send(items) = request.body else { panic!("{request:?}") };
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("text");
    items.iter().map(|item| (text(item.name), item.blob.to_vec())).collect()
}

/// What taking these messages of port 0 under these grants gives.
fn taken(receiver: u32, items: &[(u64, &[u8])]) -> Wrong {
    let mut pushes = PushBuffer::new(Limits::DEFAULT);
    for (grant, blob) in items {
        pushes.message(Message { sequence: Sequence::new(0, *grant), blob });
    }
    let (bytes, mut ledger) = (pushes.take(Vec::new()), Ledger::new(LOAD));
    let taken = bypss().take(End::Receiver(receiver), &bytes, &mut ledger, &mut Vec::new());
    assert_eq!(taken.expect("whole frames"), bytes.len());
    ledger.wrong
}

#[test]
fn a_batch_is_a_send_to_each_port_in_turn() {
    let (mut bypss, mut ledger) = (bypss(), Ledger::new(LOAD));
    let sent = messages(&mut bypss, &mut ledger);
    let names: Vec<_> = sent.iter().map(|(name, _)| name).collect();
    let [first, second, third] = [0, 1, 2].map(|port| &bypss.names[port]);
    assert_eq!(names, [first, second, third, first]);
    assert!(sent.iter().all(|(_, blob)| blob.len() == LOAD.size));
    assert_eq!(ledger.sent(), 4);
}

#[test]
fn a_message_of_another_grant_receiver_or_time_is_wrong() {
    let sent = messages(&mut bypss(), &mut Ledger::new(LOAD));
    let (first, fourth) = (&sent[0].1[..], &sent[3].1[..]);
    assert_eq!(taken(0, &[(10, first), (10, fourth)]), Wrong::default());
    let one = |garbled, misrouted, disordered| Wrong {
        garbled,
        misrouted,
        disordered,
        ..Wrong::default()
    };
    assert_eq!(taken(0, &[(11, first)]), one(0, 1, 0));
    assert_eq!(taken(1, &[(10, first)]), one(0, 1, 0));
    assert_eq!(taken(0, &[(10, fourth), (10, first)]), one(0, 0, 1));
    assert_eq!(taken(0, &[(10, &first[1..])]), one(1, 0, 0));
}

#[test]
fn what_the_switch_tells_is_added_and_an_error_ends_the_run() {
    let (mut bypss, mut ledger, mut out) = (bypss(), Ledger::new(LOAD), Vec::new());
    for nobody in [0, 5] {
        let answer = SendAnswer { delivered: 2, nobody, dropped: 1 };
        answer.write(&mut out, RequestKind::Send, SEND_ID);
    }
    // The last frame is not whole yet.
    let len = out.len() - 1;
    let taken = bypss.take(End::Sender(0), &out[..len], &mut ledger, &mut Vec::new());
    assert_eq!(taken.expect("the first is whole"), out.len() / 2);
    let rest = &out[out.len() / 2..];
    bypss.take(End::Sender(0), rest, &mut ledger, &mut Vec::new()).expect("so is the second");
    assert_eq!(ledger.told, Told { messages: 11, dropped: 2, nobody: 5 });
    let mut error = Vec::new();
    let frame = ErrorFrame {
        code: protocol::ErrorCode::Forbidden,
        closes: false,
        number: 0,
        hint: "",
        message: "no",
    };
    frame.write(&mut error, SEND_ID);
    let failed = bypss.take(End::Sender(0), &error, &mut ledger, &mut Vec::new());
    assert!(failed.expect_err("it is refused").to_string().contains("no"));
}
