//! Each kind of frame, byte for byte, and what becomes of it when a byte is not as it should be.
#![forbid(unsafe_code)]

use base::Rng;
use protocol::{FLAGS_MUST_UNDERSTAND, FrameError, Incoming, Limits, Malformation, Request};

#[path = "shared/answers.rs"]
mod answers;
#[path = "shared/requests.rs"]
mod requests;
#[path = "shared/rewrite.rs"]
mod rewrite;
#[path = "shared/transcript.rs"]
mod transcript;

use transcript::Case;

const LIMITS: Limits = Limits::DEFAULT;

/// Enough that each kind is changed a thousand times; it takes a tenth of a second.
const MUTANTS: u32 = 50_000;

/// Kinds that a later version says more in.
const OPEN_ENDED: [u8; 4] = [0x40, 0x01, 0x81, 0x83];

fn cases() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    all().map(|case| (case.name, transcript::bytes(case.text)))
}

fn all() -> impl Iterator<Item = &'static Case> {
    requests::CASES.iter().chain(answers::ANSWERS).chain(answers::PUSHES)
}

fn set_len(frame: &mut [u8]) {
    let len = u32::try_from(frame.len()).expect("short");
    frame[..4].copy_from_slice(&len.to_le_bytes());
}

/// The error of a frame in the direction that its kind has.
fn parse(frame: &[u8]) -> Result<(), FrameError> {
    if frame.get(4).is_some_and(|kind| *kind < 0x40) {
        Request::parse(frame, &LIMITS).map(|_request| ())
    } else {
        Incoming::parse(frame, &LIMITS).map(|_incoming| ())
    }
}

#[test]
fn every_kind_is_written_as_the_page_says() {
    for case in all() {
        let mut out = vec![0xaa; 3];
        (case.write)(&mut out);
        assert_eq!(out[..3], [0xaa; 3], "{}", case.name);
        assert_eq!(out[3..], transcript::bytes(case.text), "{}", case.name);
    }
}

#[test]
fn every_kind_has_a_transcript() {
    let kinds: Vec<u8> = cases().map(|(_name, frame)| frame[4]).collect();
    for kind in 0..=0xff {
        let is_request = protocol::RequestKind::try_from(kind & 0x7f).is_ok() && kind != 0xff;
        let is_push = protocol::PushKind::try_from(kind).is_ok();
        let is_known = is_request || is_push || kind == protocol::ERROR;
        assert_eq!(kinds.contains(&kind), is_known, "{kind:#04x}");
    }
}

#[test]
fn every_kind_is_read_and_written_again() {
    for (name, frame) in cases() {
        assert_eq!(rewrite::check(&frame, &LIMITS), Ok(()), "{name}");
        let mut larger = frame.clone();
        larger.push(0);
        let malformed = FrameError::Malformed { at: 0, what: Malformation::FrameLen };
        assert_eq!(parse(&larger), Err(malformed), "{name}");
    }
}

#[test]
fn a_frame_that_ends_early_is_refused_at_every_byte() {
    for (name, frame) in cases() {
        for len in 0..frame.len() {
            let mut shorter = frame[..len].to_vec();
            assert!(parse(&shorter).is_err(), "{name}, {len} bytes");
            if len >= 4 {
                set_len(&mut shorter);
                assert!(parse(&shorter).is_err(), "{name}, {len} bytes");
            }
        }
    }
}

#[test]
fn bytes_behind_the_last_field_are_refused_where_the_page_does_not_allow_them() {
    for (name, mut frame) in cases() {
        let at = u32::try_from(frame.len()).expect("short");
        frame.push(0);
        set_len(&mut frame);
        let trailing = FrameError::Malformed { at, what: Malformation::Trailing };
        let expected = if OPEN_ENDED.contains(&frame[4]) { Ok(()) } else { Err(trailing) };
        assert_eq!(rewrite::check(&frame, &LIMITS), expected, "{name}");
    }
}

#[test]
fn a_reserved_byte_is_refused_in_every_kind() {
    for (name, frame) in cases() {
        for at in [6, 7] {
            let mut changed = frame.clone();
            changed[at] = 1;
            let malformed = FrameError::Malformed { at: 6, what: Malformation::NotZero };
            assert_eq!(parse(&changed), Err(malformed), "{name}");
        }
    }
}

#[test]
fn a_flag_that_must_be_understood_is_refused_and_another_ignored_in_every_kind() {
    for (name, frame) in cases() {
        for bit in 0..8 {
            let flag = 1 << bit;
            let mut changed = frame.clone();
            changed[5] |= flag;
            let is_ignored = flag & FLAGS_MUST_UNDERSTAND == 0;
            let error = FrameError::UnknownFlags { flags: flag };
            let expected = if is_ignored { Ok(()) } else { Err(error) };
            assert_eq!(rewrite::check(&changed, &LIMITS), expected, "{name}, bit {bit}");
        }
    }
}

#[test]
fn a_push_with_a_number_is_refused_unless_it_is_that_of_a_watch() {
    for case in answers::PUSHES {
        let mut frame = transcript::bytes(case.text);
        frame[8] = 1;
        let is_free = matches!(frame[4], 0x46 | 0xff);
        let malformed = FrameError::Malformed { at: 8, what: Malformation::NotZero };
        let expected = if is_free { Ok(()) } else { Err(malformed) };
        assert_eq!(parse(&frame), expected, "{}", case.name);
    }
}

/// Whatever is still accepted must be what it says: lengths and counts that are off by one included.
#[test]
fn a_frame_with_a_byte_changed_is_refused_or_is_what_it_says() {
    let mut refused = 0;
    let mut accepted = 0;
    for (_name, frame) in cases().filter(|(_name, frame)| frame.len() < 2_000) {
        for at in 0..frame.len() {
            for change in [1, 0xff, 2, 0x20, 0x80] {
                let mut changed = frame.clone();
                changed[at] = changed[at].wrapping_add(change);
                match rewrite::check(&changed, &LIMITS) {
                    Ok(()) => accepted += 1,
                    Err(_error) => refused += 1,
                }
            }
        }
    }
    assert!(refused > 1_000 && accepted > 1_000, "{refused} refused, {accepted} accepted");
}

/// Changes, repeats, cuts or mixes a frame; its length is set right.
fn mutate(rng: &mut Rng, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut below = |bound: usize| {
        let bound = u64::try_from(bound).expect("small");
        usize::try_from(rng.below(bound)).expect("below a usize")
    };
    let mut frame = frames[below(frames.len())].clone();
    for _ in 0..=below(4) {
        let at = below(frame.len() - 3) + 4;
        let end = (at + below(40)).min(frame.len());
        match below(6) {
            0 => frame.truncate(at.max(12)),
            1 => frame.extend_from_within(at.min(end)..end),
            2 => {
                let other = &frames[below(frames.len())];
                let from = below(other.len());
                frame.truncate(at.max(12));
                frame.extend_from_slice(&other[from..]);
            }
            3 if at < frame.len() => {
                let small = u8::try_from(below(8)).expect("small");
                frame[at] = small;
            }
            4 if at < frame.len() => frame.insert(at, 0x61),
            _ if at < frame.len() => frame[at] ^= 1 << below(8),
            _ => {}
        }
    }
    set_len(&mut frame);
    frame
}

#[test]
fn a_frame_with_much_changed_is_refused_or_is_what_it_says() {
    let seed = 0x6162_656c_6500_0002;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let frames: Vec<Vec<u8>> =
        cases().map(|(_name, frame)| frame).filter(|frame| frame.len() < 2_000).collect();
    let mut accepted = 0;
    for _ in 0..MUTANTS {
        let frame = mutate(&mut rng, &frames);
        accepted += u32::from(rewrite::check(&frame, &LIMITS).is_ok());
    }
    assert!(accepted > MUTANTS / 50 && accepted < MUTANTS / 2, "{accepted} of {MUTANTS}");
}

#[test]
fn a_count_that_is_off_by_one_is_refused() {
    let counts = [
        ("reg-port", 12),
        ("reg-port-long", 12),
        ("unreg-port", 12),
        ("query-port", 12),
        ("send", 12),
        ("send-many", 15),
        ("cancel-wait", 12),
        ("unsubscribe", 12),
        ("query-node", 12),
        ("reg-port-answer", 12),
        ("reg-port-answer", 37),
        ("reg-port-answer", 52),
        ("unreg-port-answer", 12),
        ("query-port-answer", 12),
        ("query-port-answer", 27),
        ("query-node-answer", 12),
        ("status-answer", 12),
        ("list-nodes-answer", 20),
        ("list-ports-answer", 20),
        ("messages", 12),
        ("grant", 20),
        ("port-gone", 20),
        ("events", 12),
    ];
    for (name, at) in counts {
        let (_name, frame) = cases().find(|case| case.0 == name).expect("a transcript");
        for change in [1, 0xff] {
            let mut changed = frame.clone();
            changed[at] = changed[at].wrapping_add(change);
            assert!(parse(&changed).is_err(), "{name}: {} items", changed[at]);
        }
    }
}

#[test]
fn a_kind_that_is_not_known_is_said_and_a_push_is_skipped() {
    for kind in 0..=0xff {
        let frame = [12, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0];
        let unknown = FrameError::UnknownKind { kind };
        if protocol::RequestKind::try_from(kind).is_err() {
            assert_eq!(Request::parse(&frame, &LIMITS).err(), Some(unknown));
        }
        let incoming = Incoming::parse(&frame, &LIMITS);
        match kind {
            0x47..=0x7f => {
                let body = incoming.expect("it is skipped").body;
                let push = protocol::IncomingBody::Push(protocol::Push::Unknown);
                assert_eq!(format!("{body:?}"), format!("{push:?}"));
            }
            0x40..=0x46 | 0xff => assert!(incoming.is_err_and(|error| error != unknown)),
            kind if kind < 0x40 => assert_eq!(incoming.err(), Some(unknown)),
            kind if protocol::RequestKind::try_from(kind - 0x80).is_err() => {
                assert_eq!(incoming.err(), Some(unknown));
            }
            _ => assert!(incoming.map_or_else(|error| error != unknown, |_| true)),
        }
    }
}
