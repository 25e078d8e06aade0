//! Requests in which another one is hidden: nobody answers the hidden one.
//!
//! Each payload is followed by a marker. What the gateway answers must be what the grammar of
//! RFC 9112 finds in the stream: the same requests, and where it finds none, a refusal and the end.

use base::Rng;

use super::bed::Bed;
use super::reference::{End, Framed, frame};

const PAYLOADS: usize = 1_000;
const SEED: u64 = 0x0053_1766;

/// The request that is hidden; its answer has the word `stolen`.
const HIDDEN: &str = "GET /stolen.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const MARKER: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const CODING_NAMES: &[&str] = &[
    "Transfer-Encoding:",
    "transfer-encoding:",
    "TRANSFER-ENCODING:",
    "Transfer-Encoding :",
    "Transfer-Encoding\t:",
    " Transfer-Encoding:",
    "\tTransfer-Encoding:",
    "Transfer-Encoding\0:",
    "Transfer-Encoding\u{b}:",
    "Transfer-Encoding\u{80}:",
    "Transfer-Encoding\r:",
    "Transfer-Encoding\n:",
    "Transfer Encoding:",
    "A: b\nTransfer-Encoding:",
    "A: b\rTransfer-Encoding:",
    "A: b\r\n Transfer-Encoding:",
    "A: b\0\r\nTransfer-Encoding:",
];

const CODINGS: &[&str] = &[
    "chunked",
    "Chunked",
    "CHUNKED",
    "\tchunked",
    "chunked \t",
    "\u{b}chunked",
    "chunked\u{b}",
    "\u{c}chunked",
    "\0chunked",
    "\"chunked\"",
    "'chunked'",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "identity, chunked",
    "chunked, identity",
    "chunked\r\nTransfer-Encoding: identity",
    "identity\r\nTransfer-Encoding: chunked",
    "xchunked",
    "chunkedx",
    "chunked;q=1",
    "cow",
    "",
    "\r\n chunked",
    "\n chunked",
    "\nchunked",
    "chunked\r",
    "chunked\rA: b",
    "ch\nunked",
    "chunked\u{a0}",
    "\u{85}chunked",
    "\u{17f}chunked",
    "chun\u{212a}ed",
];

/// `N` is a number.
const LENGTHS: &[&str] = &[
    "Content-Length: N",
    "content-length:N",
    "Content-Length:\tN ",
    "Content-Length: 000N",
    "Content-Length: +N",
    "Content-Length: -N",
    "Content-Length: 0xN",
    "Content-Length: N, N",
    "Content-Length: N,0",
    "Content-Length: N N",
    "Content-Length: N.0",
    "Content-Length: N;",
    "Content-Length: \"N\"",
    "Content-Length: \u{b}N",
    "Content-Length: N\0",
    "Content-Length: N\r",
    "Content-Length: \r\n N",
    "Content-Length: \nN",
    "Content-Length : N",
    "Content-Length\u{b}: N",
    " Content-Length: N",
    "Content-Length: Ne0",
    "Content-Length: N_0",
    "Content-Length: \u{ff11}",
    "Content-Length: 18446744073709551616N",
    "Content-Length: 4294967296",
    "Content-Length: N\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: 0\r\ncontent-length: N",
    "Content-Length:",
];

/// Ends of a body in chunks that are none, each to be followed by the hidden request.
const FALSE_ENDS: &[&str] = &[
    "0\r\n\n",
    "0\n\r\n",
    "0\n\n",
    "0\r\r\n",
    "0\r\n\r",
    "0\r\r",
    "0x0\r\n\r\n",
    "+0\r\n\r\n",
    "-0\r\n\r\n",
    " 0\r\n\r\n",
    "0 \r\n\r\n",
    "0\t\r\n\r\n",
    "0,\r\n\r\n",
    "0;a\n\r\n",
    "0;a\r\r\n",
    "0;\"\n\r\n\"",
    "0\0\r\n\r\n",
    "\r\n0\r\n\r\n",
    "\n0\r\n\r\n",
    "g\r\n\r\n",
    "0_0\r\n\r\n",
    "00000000000000000\u{b}\r\n\r\n",
    "0\r\nA\r\n\r\n",
    "0\r\nA: b\n\r\n",
    "0\r\n A: b\r\n\r\n",
    "0\r\nA : b\r\n\r\n",
    "10000000000000000\r\n\r\n",
    "100000000\r\n\r\n",
    "ffffffffffffffff\r\n\r\n",
    "fffffffffffffffff0\r\n\r\n",
    "1\r\nx0\r\n\r\n",
    "1\r\nx\n0\r\n\r\n",
    "1\r\nx\r0\r\n\r\n",
    "1\r\nxy\r\n0\r\n\r\n",
    "1\nx\r\n0\r\n\r\n",
    "1\rx\r\n0\r\n\r\n",
    "1;a\nx\r\n0\r\n\r\n",
    "5\r\nhello\r\n\r\n0\r\n\r\n",
    "2\r\nx\r\n0\r\n\r\n",
];

/// Beginnings of a body in chunks that go on.
const CHUNKS: &[&str] =
    &["", "1\r\nx\r\n", "5;a=b\r\nhello\r\n", "000a\r\n0123456789\r\n", "1;\r\n0\r\n"];

/// Payloads that have names: CL.TE, TE.CL, TE.TE, CL.0, 0.CL, and those of chunk extensions.
const CLASSICS: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 43\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n25\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n1\r\nx",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX: X\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\n : chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 37\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 37\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\0: 37\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n 37\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n",
    "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 37\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 37\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nExpect: x 100-continue\r\nContent-Length: 37\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;\n\r\nxx\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;\rx\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nAAAAA0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nAB\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: Y\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 37\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET /\r\n\r\n",
    "GET /a.txt?\r\nHost: a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a.txt HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\nA: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\rA: b\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\n",
    "\r",
    "\0\r\n\r\n",
    " ",
];

fn pick<'l>(rng: &mut Rng, list: &[&'l str]) -> &'l str {
    list[below(rng, list.len())]
}

fn below(rng: &mut Rng, count: usize) -> usize {
    usize::try_from(rng.below(count as u64)).expect("an index")
}

/// A payload of which the hidden request is no request by RFC 9112: content that looks as if it ended
/// before it, under fields that say different things about that.
fn generate(rng: &mut Rng) -> Vec<u8> {
    let has_coding = rng.below(4) > 0;
    let content = if has_coding {
        let start = pick(rng, CHUNKS);
        match rng.below(4) {
            0 => format!("{start}25\r\n{HIDDEN}\r\n0\r\n\r\n"),
            1 => format!("{start}2b;a\r\n0\r\n\r\n{HIDDEN}x\r\n0\r\n\r\n"),
            _ => format!("{start}{}{HIDDEN}", pick(rng, FALSE_ENDS)),
        }
    } else {
        // Without its length it is the beginning of no request.
        format!("{}{HIDDEN}", ["x\r\n\r\n", "0\r\n\r\n", "=\n\n", "\0"][below(rng, 4)])
    };
    let mut fields = vec!["Host: a".to_owned()];
    if has_coding {
        let name = CODING_NAMES[if rng.below(2) == 0 { 0 } else { below(rng, CODING_NAMES.len()) }];
        let value = CODINGS[if rng.below(2) == 0 { 0 } else { below(rng, CODINGS.len()) }];
        fields.push(format!("{name} {value}"));
    }
    // Beside a coding the length may point anywhere, also to the hidden request.
    if !has_coding || rng.below(3) == 0 {
        let len = match rng.below(3) {
            0 if has_coding => content.len() - HIDDEN.len().min(content.len()),
            1 if has_coding => below(rng, content.len()),
            _ => content.len(),
        };
        fields.push(pick(rng, LENGTHS).replace('N', &len.to_string()));
    }
    for _ in 0..rng.below(3) {
        fields.push(pick(rng, &["A: b", "Accept: */*", "Connection: keep-alive", "X:"]).to_owned());
    }
    for at in (1..fields.len()).rev() {
        let other = below(rng, at + 1);
        fields.swap(at, other);
    }
    let method = pick(rng, &["GET", "POST", "HEAD", "PUT", "OPTIONS"]);
    let version = pick(rng, &["1.1", "1.1", "1.1", "1.0"]);
    let mut payload = format!("{method} /a.txt HTTP/{version}\r\n");
    for field in fields {
        payload += &field;
        payload += match rng.below(24) {
            0 => pick(rng, &["\n", "\r", "\n\r", "\r\r\n", "\0\r\n", "\r\n\0"]),
            _ => "\r\n",
        };
    }
    (payload + "\r\n" + &content).into_bytes()
}

/// Each answer's status, and whether it is the document that stands for a request.
fn answers_in(received: &str) -> Vec<u16> {
    let statuses = received.match_indices("HTTP/1.1 ");
    statuses.map(|(at, _)| received[at + 9..at + 12].parse().expect("a status")).collect()
}

/// What is answered to a request that the grammar finds.
fn status_for(request: &Framed) -> u16 {
    match (request.method.as_str(), request.target.as_str()) {
        ("GET" | "HEAD", "/" | "/a.txt") => 200,
        ("OPTIONS", _) => 204,
        ("POST" | "PUT" | "DELETE", _) => 405,
        _ => panic!("no payload has {request:?}"),
    }
}

/// Sends a payload and the marker, whole and in pieces, and compares the answers with the grammar.
fn check(bed: &mut Bed, payload: &[u8], rng: &mut Rng) -> End {
    let stream = [payload, MARKER.as_bytes()].concat();
    let shown = String::from_utf8_lossy(&stream).into_owned();
    let (requests, end) = frame(&stream);
    let hidden = requests.iter().any(|request| request.target == "/stolen.txt");
    assert!(!hidden, "the hidden request is a request: {shown:?}");
    let whole = exchange(bed, &[&stream], &shown);
    assert!(!whole.contains("stolen"), "the hidden request is answered: {shown:?}");
    let expected: Vec<u16> = requests.iter().map(status_for).collect();
    let mut statuses = answers_in(&whole);
    if end == End::Refused {
        let last = statuses.pop().expect("a refusal is told");
        assert!((400..=505).contains(&last), "{last} for {shown:?}");
        assert!(whole.contains("Connection: close\r\n"), "{shown:?}");
    }
    assert_eq!(statuses, expected, "{end:?} {shown:?}: {whole}");
    if end == End::Whole {
        assert!(whole.ends_with("<p>abele</p>"), "the marker is not answered: {shown:?}: {whole}");
    }
    let mut pieces = Vec::new();
    let mut rest = stream.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(1 + below(rng, 40)));
        pieces.push(piece);
        rest = after;
    }
    assert_eq!(whole, exchange(bed, &pieces, &shown), "{shown:?}");
    end
}

fn exchange(bed: &mut Bed, pieces: &[&[u8]], shown: &str) -> String {
    let number = bed.http(pieces);
    bed.settle();
    let received = bed.received(number);
    let conn = bed.peer(number).conn;
    bed.client.with_context(bed.now, |_, cx| cx.abort(conn));
    bed.settle();
    assert_eq!(bed.counters().http.sessions_used, 0, "a session is left by {shown:?}");
    bed.client.service_mut().peers.pop();
    received
}

#[test]
fn no_generated_payload_hides_a_request() {
    println!("seed {SEED:#x}");
    let mut rng = Rng::seeded(SEED);
    let mut bed = Bed::new();
    let mut whole = 0;
    let mut refused = 0;
    for _ in 0..PAYLOADS {
        let payload = generate(&mut rng);
        match check(&mut bed, &payload, &mut rng) {
            End::Whole | End::Closed => whole += 1,
            End::Refused => refused += 1,
            End::Half => {}
        }
    }
    println!("{PAYLOADS} payloads: {whole} whole, {refused} refused");
    assert!(whole > PAYLOADS / 20 && refused > PAYLOADS / 4, "{whole} whole, {refused} refused");
    bed.assert_nothing_is_left();
}

#[test]
fn no_payload_with_a_name_hides_a_request() {
    let mut bed = Bed::new();
    for payload in CLASSICS {
        let stream = format!("{payload}{HIDDEN}{MARKER}");
        let (requests, end) = frame(stream.as_bytes());
        let hidden = requests.iter().any(|request| request.target == "/stolen.txt");
        assert!(!hidden, "the hidden request is a request: {stream:?}");
        let whole = exchange(&mut bed, &[stream.as_bytes()], &stream);
        assert!(!whole.contains("stolen"), "the hidden request is answered: {stream:?}");
        let refusals = answers_in(&whole).iter().filter(|&&status| status >= 400).count();
        assert!(end != End::Refused || refusals == 1, "{stream:?}: {whole}");
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(whole, exchange(&mut bed, &pieces, &stream), "{stream:?}");
    }
    bed.assert_nothing_is_left();
}
