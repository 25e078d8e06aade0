//! NATS's lines as they are written and read, whole and in pieces.

use super::*;
use crate::messages::ledger::Wrong;

const LOAD: Load =
    Load { ports: 2, name_len: 16, size: 24, batch: 3, senders: 1, receivers: 2, window: 10 };

/// A batch as it is sent, and as the server would hand it on.
fn batch(ledger: &mut Ledger) -> (String, Vec<u8>) {
    let mut nats = Nats::new(LOAD);
    let mut out = Vec::new();
    nats.write(0, ledger, &mut out);
    let mut handed_on = Vec::new();
    let mut left = out.as_slice();
    let mut lines = Vec::new();
    while !left.is_empty() {
        let len = left.windows(2).position(|pair| pair == LINE_END).expect("a line");
        let line = String::from_utf8(left[..len].to_vec()).expect("text");
        let port = nats.names.iter().position(|name| line.contains(name)).expect("a subject");
        handed_on.extend_from_slice(&nats.expected[port]);
        let end = len + 2 + LOAD.size + 2;
        handed_on.extend_from_slice(&left[len + 2..end]);
        lines.push(line.replace(&nats.names[port], &format!("p{port}")));
        left = &left[end..];
    }
    (lines.join("; "), handed_on)
}

#[test]
fn messages_are_published_to_each_port_in_turn() {
    let (lines, _) = batch(&mut Ledger::new(LOAD));
    assert_eq!(lines, "PUB p0 24; PUB p1 24; PUB p0 24");
}

#[test]
fn messages_are_taken_wherever_they_are_cut_and_a_ping_between_them_is_answered() {
    // Both ports of one receiver, so that one stream has them all.
    let load = Load { receivers: 1, ..LOAD };
    let (_, messages) = batch(&mut Ledger::new(load));
    let bytes = [&messages[..], b"PING\r\n", b"INFO {}\r\n"].concat();
    for cut in 0..bytes.len() {
        let mut ledger = Ledger::new(load);
        let (mut nats, mut replies) = (Nats::new(load), Vec::new());
        let mut take = |bytes: &[u8]| {
            nats.take(End::Receiver(0), bytes, &mut ledger, &mut replies).expect("all is right")
        };
        let taken = take(&bytes[..cut]);
        assert_eq!(taken + take(&bytes[taken..]), bytes.len(), "cut at {cut}");
        assert_eq!((ledger.received(), ledger.wrong), (3, Wrong::default()), "cut at {cut}");
        assert_eq!(replies, b"PONG\r\n");
    }
}

#[test]
fn a_request_names_its_inbox_and_is_taken_with_it() {
    let (mut nats, mut ledger, mut out) = (Nats::new(LOAD), Ledger::new(LOAD), Vec::new());
    nats.write_one(One { sender: 0, to: 1, reply_to: Some(0) }, &mut ledger, &mut out);
    let (inbox, subject) = (nats.names[0].clone(), nats.names[1].clone());
    assert!(out.starts_with(format!("PUB {subject} {inbox} 24\r\n").as_bytes()));
    let message = &out[out.len() - 26..];
    let head = format!("MSG {subject} 100001 {inbox} 24\r\n");
    let bytes = [head.as_bytes(), message].concat();
    let taken = nats.take(End::Receiver(1), &bytes, &mut ledger, &mut Vec::new());
    assert_eq!(taken.expect("it is right"), bytes.len());
    assert_eq!((ledger.received(), ledger.wrong), (1, Wrong::default()));
}

#[test]
fn a_message_under_another_subscription_is_misrouted_and_an_error_ends_the_run() {
    let (mut nats, mut ledger) = (Nats::new(LOAD), Ledger::new(LOAD));
    let (_, messages) = batch(&mut ledger);
    let head_len = nats.expected[0].len();
    let bytes = [&nats.expected[1][..], &messages[head_len..head_len + 26]].concat();
    nats.take(End::Receiver(0), &bytes, &mut ledger, &mut Vec::new()).expect("it is a message");
    assert_eq!(ledger.wrong, Wrong { misrouted: 1, ..Wrong::default() });
    let error = nats.take(End::Sender(0), b"-ERR 'Slow'\r\n", &mut ledger, &mut Vec::new());
    assert!(error.expect_err("it says so").to_string().contains("-ERR 'Slow'"));
}
