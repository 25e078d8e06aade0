//! No bytes make the parsers panic, and what is parsed and written again is the same.
#![forbid(unsafe_code)]

use protocol::{FrameError, Framing, Incoming, Limits, Request};

#[path = "shared/rewrite.rs"]
mod rewrite;

/// The fuzzer need not guess the length: with the right one more of its inputs are looked into.
fn with_its_length(bytes: &[u8]) -> Vec<u8> {
    let mut frame = bytes.to_vec();
    let len = u32::try_from(frame.len()).expect("short");
    if let Some(field) = frame.first_chunk_mut() {
        *field = len.to_le_bytes();
    }
    frame
}

#[test]
fn fuzz_frame() {
    let limits = Limits::new(1 << 20, 64, 256).expect("bounds");
    bolero::check!().for_each(|bytes: &[u8]| {
        match Framing::find(bytes, limits.frame_len_max()) {
            Ok(Framing::Whole { header, frame, rest }) => {
                assert_eq!(frame.len() + rest.len(), bytes.len());
                assert_eq!(usize::try_from(header.len), Ok(frame.len()));
            }
            Ok(Framing::Part { frame_len, missing }) => {
                assert!(missing > 0);
                assert_eq!(frame_len, bytes.len() + missing);
            }
            Err(error) => assert!(error.closes()),
        }
        // Either side may be sent what only the other receives.
        let results = [
            Request::parse(bytes, &limits).map(|_request| ()),
            Incoming::parse(bytes, &limits).map(|_incoming| ()),
        ];
        assert!(results.iter().any(Result::is_err), "no frame has both directions");
        let frame = with_its_length(bytes);
        if let Err(error) = rewrite::check(&frame, &limits) {
            check_error(error, frame.len());
        }
    });
}

/// What the peer is told names a byte or an item that there can be.
fn check_error(error: FrameError, frame_len: usize) {
    if let FrameError::Malformed { at, .. } = error {
        assert!(usize::try_from(at).is_ok_and(|at| at <= frame_len), "{error}");
    }
    if let FrameError::BadName { item } = error {
        assert!(usize::try_from(item).is_ok_and(|item| item < frame_len), "{error}");
    }
    let mut out = Vec::new();
    error.to_frame().write(&mut out, 7);
    assert!(Incoming::parse(&out, &Limits::DEFAULT).is_ok());
}
