//! Bodies as clients send them, and as attackers do.

use base::Rng;

use super::{Body, Progress};
use crate::counters::Refusal;
use crate::limits::{CHUNK_LINE_LEN_MAX, TRAILERS_LEN_MAX};

const LEN_MAX: u32 = 1 << 20;

/// How many bytes a chunked body takes of `bytes`, and what it is.
fn chunked(bytes: &[u8]) -> (usize, Progress) {
    let mut body = Body::chunked();
    let whole = body.take(bytes, LEN_MAX);
    // Cut after every byte it is the same.
    let mut body = Body::chunked();
    let mut taken = 0;
    let mut progress = Progress::More;
    for byte in bytes.chunks(1) {
        let (len, now) = body.take(byte, LEN_MAX);
        taken += len;
        progress = now;
        if progress != Progress::More {
            break;
        }
    }
    assert_eq!(whole, (taken, progress), "{:?}", String::from_utf8_lossy(bytes));
    whole
}

#[test]
fn a_body_of_a_known_length_ends_after_it() {
    let mut body = Body::of(5);
    assert_eq!(body.take(b"", LEN_MAX), (0, Progress::More));
    assert_eq!(body.take(b"abc", LEN_MAX), (3, Progress::More));
    assert_eq!(body.received, 3);
    assert_eq!(body.take(b"deGET", LEN_MAX), (2, Progress::End));
}

#[test]
fn chunks_end_where_they_say() {
    for text in [
        "0\r\n\r\n",
        "000\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "A\r\n0123456789\r\na\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0;last\r\n\r\n",
        "5;a=\"b c\"\r\nhello\r\n0\r\n\r\n",
        "5 ;\ta\r\nhello\r\n0\r\n\r\n",
        "5\r\n\r\n\r\n\n\r\n0\r\n\r\n",
        "0\r\nA: b\r\nC:\r\n\r\n",
        "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "00000000000000000005\r\nhello\r\n0\r\n\r\n",
    ] {
        let followed = text.to_owned() + "GET / HTTP/1.1\r\n";
        assert_eq!(chunked(followed.as_bytes()), (text.len(), Progress::End), "{text:?}");
    }
}

#[test]
fn what_is_no_chunk_is_refused_at_its_first_wrong_byte() {
    for (text, at) in [
        ("\r\n", 1),
        ("\n", 1),
        (" 5\r\n", 1),
        ("+5\r\n", 1),
        ("-5\r\n", 1),
        ("0x5\r\n", 2),
        ("5h\r\n", 2),
        ("5_0\r\n", 2),
        ("5.\r\n", 2),
        (";a\r\n", 1),
        ("5 \r\n", 3),
        ("5\n", 2),
        ("5\r5", 3),
        ("5\r\r\n", 3),
        ("5;a\n", 4),
        ("5;a\rb", 5),
        ("5;a\0", 4),
        ("5\r\nhello0\r\n", 9),
        ("5\r\nhello\n0\r\n", 9),
        ("5\r\nhello\r0", 10),
        ("5\r\nhello\r\n\r\n", 11),
        ("0\r\n\n", 4),
        ("0\r\n\rG", 5),
        ("0\r\n a: b\r\n", 4),
        ("0\r\n: b\r\n", 4),
        ("0\r\na\r\n", 5),
        ("0\r\na : b\r\n", 5),
        ("0\r\na: b\n\r\n", 8),
        ("0\r\na: b\r\n c\r\n", 10),
        ("0\r\na: \0", 7),
        ("0\r\nGET / HTTP/1.1\r\n", 7),
    ] {
        let refused = (at, Progress::Wrong(Refusal::ChunkMalformed));
        assert_eq!(chunked(text.as_bytes()), refused, "{text:?}");
    }
}

#[test]
fn sizes_beyond_the_bound_are_refused_and_never_wrap() {
    for text in
        ["100001\r\n", "FFFFFFFF\r\n", "100000000\r\n", "10000000000000005\r\n", "fffffffffffffff1"]
    {
        let (_, progress) = chunked(text.as_bytes());
        assert_eq!(progress, Progress::Wrong(Refusal::BodyTooLong), "{text}");
    }
    // All that comes is counted, not the content alone.
    let tiny = b"1\r\na\r\n".repeat(LEN_MAX as usize / 6 + 1);
    let (len, progress) = Body::chunked().take(&tiny, LEN_MAX);
    assert_eq!(progress, Progress::Wrong(Refusal::BodyTooLong));
    assert!(len <= LEN_MAX as usize, "{len}");
}

#[test]
fn lines_and_trailers_have_a_longest_length() {
    let size = |len: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(len));
    let most = usize::from(CHUNK_LINE_LEN_MAX);
    assert_eq!(chunked(size(most - 2).as_bytes()).1, Progress::End);
    assert_eq!(chunked(size(most - 1).as_bytes()).1, Progress::Wrong(Refusal::ChunkMalformed));
    let zeros = "0".repeat(most + 1);
    assert_eq!(chunked(zeros.as_bytes()).1, Progress::Wrong(Refusal::ChunkMalformed));
    let gap = "5".to_owned() + &" ".repeat(most + 2);
    assert_eq!(chunked(gap.as_bytes()).1, Progress::Wrong(Refusal::ChunkMalformed));
    let trailer = |len: usize| format!("0\r\na:{}\r\n\r\n", "b".repeat(len));
    let most = usize::from(TRAILERS_LEN_MAX);
    assert_eq!(chunked(trailer(most - 2).as_bytes()).1, Progress::End);
    assert_eq!(chunked(trailer(most - 1).as_bytes()).1, Progress::Wrong(Refusal::TrailersTooLong));
    let many = "0\r\n".to_owned() + &"a:b\r\n".repeat(most);
    assert_eq!(chunked(many.as_bytes()).1, Progress::Wrong(Refusal::TrailersTooLong));
}

#[test]
fn the_count_of_bytes_is_what_was_taken() {
    let seed = 0xb0d7;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let parts: [&[u8]; 10] = [
        b"5\r\nhello\r\n",
        b"0\r\n",
        b"\r\n",
        b"5",
        b";a",
        b"\r",
        b"\n",
        b"a: b\r\n",
        b"1\r\na",
        b" ",
    ];
    for _ in 0..2_000 {
        let mut text = Vec::new();
        for _ in 0..rng.below(12) {
            text.extend_from_slice(parts[usize::try_from(rng.below(10)).unwrap()]);
        }
        let (len, _) = chunked(&text);
        let mut body = Body::chunked();
        assert_eq!(body.take(&text, LEN_MAX).0, len);
        assert_eq!(body.received as usize, len);
    }
}
