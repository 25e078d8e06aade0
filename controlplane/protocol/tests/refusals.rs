//! What is refused, with which error, and what the peer is told.
#![forbid(unsafe_code)]

use protocol::{
    Answer, ErrorCode, FrameError, Incoming, IncomingBody, Limits, Malformation, Names, Nonce,
    Request, RequestBody, Role,
};

#[path = "shared/requests.rs"]
mod requests;
#[path = "shared/transcript.rs"]
mod transcript;

const LIMITS: Limits = Limits::DEFAULT;

/// A frame of a kind with a body.
fn frame(kind: u8, body: &str) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0, 0];
    frame.extend(transcript::bytes(body));
    let len = u32::try_from(frame.len()).expect("short");
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame
}

fn with_number(mut frame: Vec<u8>, id: u32) -> Vec<u8> {
    frame[8..12].copy_from_slice(&id.to_le_bytes());
    frame
}

fn request(kind: u8, body: &str) -> Option<FrameError> {
    Request::parse(&frame(kind, body), &LIMITS).err()
}

fn malformed(at: u32, what: Malformation) -> Option<FrameError> {
    Some(FrameError::Malformed { at, what })
}

#[test]
fn a_bad_name_fails_the_frame_with_its_item() {
    let bad = |item| Some(FrameError::BadName { item });
    let two = "02 00 00 00  01 'a'";
    for (name, expected) in [
        ("00", bad(1)),
        ("01 ff", bad(1)),
        ("02 c3 28", bad(1)),
        ("84 01 61*1025", bad(1)),
        ("ff ff 61*32767", bad(1)),
        ("80 7f 61*127", malformed(18, Malformation::LengthForm)),
        ("80 00", malformed(18, Malformation::LengthForm)),
        ("80", malformed(19, Malformation::Truncated)),
        ("84 00 61*1024", None),
        ("80 80 61*128", None),
        ("04 f0 9f 98 80", None),
    ] {
        for kind in [0x04, 0x06, 0x0b, 0x0c, 0x0f] {
            assert_eq!(request(kind, &format!("{two} {name}")), expected, "{kind:#04x} {name}");
        }
    }
    assert_eq!(request(0x05, "02 00 00 00 00*16 01 'a' 01 ff"), bad(1));
    assert_eq!(request(0x07, "02 00 00 00 01 'a' 00 01 ff 00"), bad(1));
    assert_eq!(request(0x07, "02 00 00 00 01 'a' 00 00 00"), bad(1));
    assert_eq!(request(0x08, "00 02 00 00 00 01 ff 01 'a'"), bad(0));
}

#[test]
fn a_character_does_not_go_on_in_the_next_name() {
    // Both names together are UTF-8, and neither is.
    let body = "02 00 00 00  01 c3 01 bc";
    assert_eq!(request(0x04, body), Some(FrameError::BadName { item: 0 }));
    // A length of two bytes and a name of ASCII are not UTF-8 together, and are right.
    assert_eq!(request(0x04, "01 00 00 00 80 80 61*128"), None);
}

#[test]
fn a_request_for_nothing_is_refused() {
    let none = |at| malformed(at, Malformation::NoItems);
    for kind in [0x04, 0x05, 0x06, 0x07, 0x0b, 0x0c, 0x0f] {
        assert_eq!(request(kind, "00 00 00 00"), none(12), "{kind:#04x}");
    }
    assert_eq!(request(0x08, "00 00 00 00 00"), none(13));
}

#[test]
fn a_bye_says_what_ends() {
    assert_eq!(request(0x0e, "00"), None);
    assert_eq!(request(0x0e, "01"), None);
    assert_eq!(request(0x0e, ""), malformed(12, Malformation::Truncated));
    assert_eq!(request(0x0e, "02"), malformed(12, Malformation::Value));
    assert_eq!(request(0x0e, "01 00"), malformed(13, Malformation::Trailing));
}

#[test]
fn a_count_that_the_frame_cannot_hold_is_refused_at_once() {
    for kind in [0x04, 0x05, 0x06, 0x07, 0x0b, 0x0c, 0x0f] {
        let error = request(kind, "ff ff ff ff 01 'a'").expect("too short");
        assert!(matches!(error, FrameError::Malformed { what: Malformation::Truncated, .. }));
    }
}

#[test]
fn what_is_too_large_in_a_frame_that_is_right_does_not_close() {
    let limits = Limits::new(4_096, 2, 4).expect("bounds");
    let parse = |kind, body| Request::parse(&frame(kind, body), &limits).err();
    let items = Some(FrameError::TooManyItems { limit: 2 });
    let message = Some(FrameError::MessageTooLong { limit: 4 });
    assert_eq!(parse(0x04, "02 00 00 00 01 'a' 01 'b'"), None);
    assert_eq!(parse(0x04, "03 00 00 00 01 'a' 01 'b' 01 'c'"), items);
    assert_eq!(parse(0x05, "03 00 00 00 00*24 01 'a' 01 'b' 01 'c'"), items);
    assert_eq!(parse(0x07, "03 00 00 00 01 'a' 00 01 'b' 00 01 'c' 00"), items);
    assert_eq!(parse(0x07, "01 00 00 00 01 'a' 04 'four'"), None);
    assert_eq!(parse(0x07, "02 00 00 00 01 'a' 05 'fives' 01 'b' 00"), message);
    assert_eq!(parse(0x08, "05 'fives' 01 00 00 00 01 'a'"), message);
    assert_eq!(parse(0x09, "05 'fives'"), message);
    for error in [items, message] {
        assert!(error.is_some_and(|error| !error.closes()));
    }
    let trailing = parse(0x04, "03 00 00 00 01 'a' 01 'b' 01 'c' 00");
    assert_eq!(trailing, malformed(22, Malformation::Trailing));
    let push = frame(0x41, "01 00 00 00 00*8 05 'fives'");
    let push = with_number(push, 0);
    let push = Incoming::parse(&push, &limits);
    assert_eq!(push.err(), message);
}

#[test]
fn each_error_is_told_by_its_code_number_and_hint() {
    let what = Malformation::Order;
    for (error, code, closes, number, hint) in [
        (FrameError::Malformed { at: 9, what }, ErrorCode::Malformed, true, 9, ""),
        (FrameError::FrameTooLarge { limit: 5 }, ErrorCode::TooLarge, true, 5, "frame_len_max"),
        (FrameError::TooManyItems { limit: 6 }, ErrorCode::TooLarge, false, 6, "items_max"),
        (FrameError::TooManyNodes { limit: 6 }, ErrorCode::TooLarge, false, 6, "nodes_max"),
        (FrameError::MessageTooLong { limit: 7 }, ErrorCode::TooLarge, false, 7, "message_len_max"),
        (FrameError::BadName { item: 3 }, ErrorCode::BadName, false, 3, ""),
        (FrameError::UnknownKind { kind: 0x33 }, ErrorCode::Unsupported, false, 0x33, ""),
        (FrameError::UnknownFlags { flags: 0x80 }, ErrorCode::Unsupported, false, 0x80, ""),
    ] {
        let told = error.to_frame();
        assert_eq!((told.code, told.closes), (code, closes), "{error}");
        assert_eq!((told.number, told.hint), (number, hint), "{error}");
        assert!(!told.message.is_empty());
    }
}

#[test]
fn a_code_of_a_later_version_is_kept() {
    let parse = |bytes: &[u8]| Incoming::parse(bytes, &LIMITS).expect("tolerated").header.kind;
    assert_eq!(parse(&frame(0x82, "07 00*8")), 0x82);
    assert_eq!(parse(&frame(0x85, "01 00 00 00 00 00 00 00 63")), 0x85);
    assert_eq!(parse(&frame(0xff, "ff 7f 00 00*8 00 00")), 0xff);
    let bytes = frame(0xff, "ff 7f 00 00*8 00 00");
    let IncomingBody::Error(error) = Incoming::parse(&bytes, &LIMITS).expect("tolerated").body
    else {
        panic!("an error");
    };
    assert_eq!(error.code, ErrorCode::Other(0x7fff));
}

#[test]
fn an_answer_that_points_beyond_its_owners_or_is_out_of_order_is_refused() {
    let parse = |kind, body: &str| Incoming::parse(&frame(kind, body), &LIMITS).err();
    let owners = "01 00 00 00 01 'n' 00";
    let register = |failures: &str| parse(0x84, &format!("00 {owners} {failures}"));
    assert_eq!(register("01 00 00 00 00 00 00 00 01 00 00 00 00 00*8"), None);
    assert_eq!(register("01 00 00 00 00 00 00 00 05 ff ff ff ff 00*8"), None);
    let value = |at| malformed(at, Malformation::Value);
    assert_eq!(register("01 00 00 00 00 00 00 00 01 01 00 00 00 00*8"), value(24));
    let order = |at| malformed(at, Malformation::Order);
    let (three, two) = ("03 00 00 00 05 ff ff ff ff 00*8", "02 00 00 00 05 ff ff ff ff 00*8");
    assert_eq!(register(&format!("02 00 00 00 {two} {three}")), None);
    assert_eq!(register(&format!("02 00 00 00 {three} {two}")), order(41));
    assert_eq!(register(&format!("02 00 00 00 {two} {two}")), order(41));
    let unregister = "02 00 00 00 03 00 00 00 01 03 00 00 00 01";
    assert_eq!(parse(0x85, unregister), order(21));
    let query = |index: &str| parse(0x86, &format!("{owners} 01 00 00 00 00*8 {index}"));
    assert_eq!(query("00 00 00 00"), None);
    assert_eq!(query("ff ff ff ff"), None);
    assert_eq!(query("fe ff ff ff"), None);
    assert_eq!(query("01 00 00 00"), value(31));
    assert_eq!(query("fd ff ff ff"), value(31));
}

/// Where the fields of the transcript of a `HELLO` are.
const HELLO_CREDENTIAL: usize = 19;
const HELLO_INDEX: usize = 68;

fn hello(name: &str) -> Vec<u8> {
    let case = requests::CASES.iter().find(|case| case.name == name).expect("a transcript");
    let mut written = Vec::new();
    (case.write)(&mut written);
    assert_eq!(written, transcript::bytes(case.text));
    written
}

#[test]
fn a_hello_proves_the_secret_and_any_byte_of_it_counts() {
    let nonce = Nonce([7; 32]);
    let proves = |bytes: &[u8]| {
        let Ok(Request { body: RequestBody::Hello(hello), .. }) = Request::parse(bytes, &LIMITS)
        else {
            return false;
        };
        hello.proves(b"secret", &nonce)
    };
    let bytes = hello("hello-secret");
    assert!(proves(&bytes));
    for at in 12..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!proves(&changed), "byte {at}");
    }
    assert!(!proves(&hello("hello")));
    // What a later version says behind the proof is skipped.
    let mut longer = bytes;
    longer.push(9);
    longer[0] += 1;
    assert!(proves(&longer));
}

#[test]
fn a_hello_with_a_field_without_a_meaning_is_refused() {
    let bytes = hello("hello");
    let changed = |at: usize, value| {
        let mut changed = bytes.clone();
        changed[at] = value;
        Request::parse(&changed, &LIMITS).err()
    };
    assert_eq!(changed(12, 0), malformed(12, Malformation::Value));
    assert_eq!(changed(18, 3), malformed(18, Malformation::Value));
    assert_eq!(changed(HELLO_CREDENTIAL, 2), malformed(19, Malformation::Value));
    // The upper byte of it.
    assert_eq!(changed(HELLO_INDEX + 1, 15), None);
    assert_eq!(changed(HELLO_INDEX + 1, 16), malformed(68, Malformation::Value));
    let proof = bytes.len() - 32;
    let at = u32::try_from(proof).expect("short");
    assert_eq!(changed(proof + 31, 1), malformed(at, Malformation::NotZero));
    let body = Request::parse(&bytes, &LIMITS).expect("right").body;
    let RequestBody::Hello(hello) = body else { panic!("a hello") };
    assert_eq!(hello.hello, requests::HELLO);
    assert_eq!(hello.hello.role, Role::Operator);
}

#[test]
fn a_welcome_with_bounds_that_cannot_be_is_refused() {
    let welcome = |shards: &str, frame_len: &str| {
        let body = format!(
            "01 00 00 {shards} 00*8 00*16 00*8 00*8 01 00 00 00 00*8 {frame_len} 01 00 00 00
             00 01 00 00 01 's'"
        );
        Incoming::parse(&frame(0x81, &body), &LIMITS).map(|incoming| {
            let IncomingBody::Answer(Answer::Welcome(welcome)) = incoming.body else {
                panic!("a welcome");
            };
            welcome.limits.frame_len_max()
        })
    };
    assert_eq!(welcome("01", "00 10 00 00"), Ok(4_096));
    assert_eq!(welcome("01", "ff 0f 00 00").err(), malformed(68, Malformation::Value));
    assert_eq!(welcome("00", "00 10 00 00").err(), malformed(15, Malformation::Value));
}

#[test]
fn names_are_given_as_bytes_and_as_text_in_their_order() {
    let expected = ["a", "ü/b", &"x".repeat(127), &"y".repeat(128), &"z".repeat(1_024)];
    let bytes =
        frame(0x04, "05 00 00 00 01 'a' 04 c3 bc '/b' 7f 78*127 80 80 79*128 84 00 7a*1024");
    let body = Request::parse(&bytes, &LIMITS).expect("right").body;
    let RequestBody::RegPort(register) = body else { panic!("a registration") };
    let names: Names<'_> = register.names;
    assert_eq!((names.len(), names.iter().len()), (5, 5));
    assert!(names.texts().eq(expected));
    assert!(names.iter().eq(expected.map(str::as_bytes)));
    let mut rest = names.iter();
    rest.nth(2);
    assert_eq!(rest.clone().len(), 2);
    assert!(rest.eq(expected[3..].iter().map(|text| text.as_bytes())));
}
