//! Frames and messages as etcd reads and writes them.

use super::*;
use crate::ports::dialect::Asked;

#[test]
fn transaction_is_one_of_headers_and_one_of_data_on_a_stream_of_its_own() {
    let grpc = Grpc::new(Ports::new(1, 4));
    let mut out = Vec::new();
    grpc.write(3, Batch { op: Op::Register, first: 0, count: 1 }, &mut out);
    let (head, len) = Frame::first(&out).expect("it is whole");
    assert_eq!((head.kind, head.stream, head.is_last), (Kind::Headers, 5, false));
    assert!(head.payload.windows(22).any(|part| part == b"/etcdserverpb.KV/Txn\x01\x09"));
    let (data, rest) = Frame::first(&out[len..]).expect("it is whole");
    assert_eq!((data.kind, data.stream, data.is_last), (Kind::Data, 5, true));
    assert_eq!(out.len(), len + rest);
    // The name of number 0 of four digits is 0000: nothing that is mixed stays nothing.
    let message = b"\x0a\x08\x1a\x040000\x20\x00\x12\x0b\x12\x09\x0a\x040000\x12\x011";
    assert_eq!(data.payload, [b"\0\0\0\0\x17".as_slice(), message].concat());
}

#[test]
fn frame_that_is_not_whole_is_none() {
    let mut out = Vec::new();
    write_frame(Kind::Ping, 0, 0, &[7; 8], &mut out);
    for len in 0..out.len() {
        assert_eq!(Frame::first(&out[..len]), None);
    }
    assert_eq!(Frame::first(&out).expect("whole").1, out.len());
}

#[test]
fn numbers_are_found_among_other_fields_and_nonsense_has_none() {
    // A header of bytes, then field 2 with 1, then field 4 with 300.
    let message = [0x0a, 2, 9, 9, 0x10, 1, 0x20, 0xac, 0x02];
    assert_eq!(frames::number_in(&message, 2), Some(1));
    assert_eq!(frames::number_in(&message, 4), Some(300));
    assert_eq!(frames::number_in(&message, 3), None);
    for nonsense in [&[0x0a, 200, 1][..], &[0x0d, 1], &[0x80; 12], &[0x10]] {
        assert_eq!(frames::number_in(nonsense, 2), None, "{nonsense:?}");
    }
}

/// Feeds answers of one stream; what was wrong, whether it is over, and what is replied.
fn fed(op: Op, frames: &[(Kind, u8, &[u8])]) -> (Wrong, bool, Vec<u8>) {
    let mut grpc = Grpc::new(Ports::new(1, 16));
    let batch = Batch { op, first: 0, count: 1 };
    let mut pending = Pending::from([Asked { id: 1, batch, answered: 0 }]);
    let (mut bytes, mut replies) = (Vec::new(), Vec::new());
    for (kind, flags, payload) in frames {
        let stream = if matches!(kind, Kind::Ping | Kind::Settings) { 0 } else { 1 };
        write_frame(*kind, *flags, stream, payload, &mut bytes);
    }
    let taken = grpc.take(&bytes, &mut pending, &mut replies).expect("no GOAWAY");
    assert_eq!(taken, bytes.len());
    (grpc.wrong(), pending.is_empty(), replies)
}

#[test]
fn answer_without_success_or_without_a_message_is_refused() {
    let end = (Kind::Headers, END, &[][..]);
    let done: &[u8] = &[0, 0, 0, 0, 2, 0x10, 1];
    let failed: &[u8] = &[0, 0, 0, 0, 0];
    let (wrong, is_over, _) = fed(Op::Register, &[(Kind::Data, 0, done), end]);
    assert_eq!((wrong, is_over), (Wrong::default(), true));
    let (wrong, is_over, _) = fed(Op::Register, &[(Kind::Data, 0, failed), end]);
    assert_eq!((wrong.refused, is_over), (1, true));
    let (wrong, _, _) = fed(Op::Query, &[end]);
    assert_eq!(wrong.mismatched, 1);
    let (wrong, is_over, _) = fed(Op::Unregister, &[(Kind::Reset, 0, &[0; 4])]);
    assert_eq!((wrong.refused, is_over), (1, true));
}

const END: u8 = frames::END_STREAM | frames::END_HEADERS;

#[test]
fn settings_and_pings_are_answered_once() {
    let (_, is_over, replies) = fed(
        Op::Query,
        &[
            (Kind::Settings, 0, &[]),
            (Kind::Settings, frames::ACK, &[]),
            (Kind::Ping, 0, b"12345678"),
        ],
    );
    assert!(!is_over);
    let mut expected = Vec::new();
    write_frame(Kind::Settings, frames::ACK, 0, &[], &mut expected);
    write_frame(Kind::Ping, frames::ACK, 0, b"12345678", &mut expected);
    assert_eq!(replies, expected);
}
