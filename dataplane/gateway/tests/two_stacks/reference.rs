//! Where the requests of a stream end, by the grammar of RFC 9112 and nothing else.
//!
//! It is written to be compared with: it has the whole stream before it, takes it apart line by
//! line, and shares nothing with the gateway. Where the RFC leaves a server the choice between
//! mending and refusing, it refuses.

/// One request that the grammar finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Framed {
    pub(super) method: String,
    pub(super) target: String,
}

/// How a stream of requests ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the end of a request.
    Whole,
    /// In the middle of one.
    Half,
    /// With something that is none.
    Refused,
    /// With a request after which the connection ends.
    Closed,
}

const BODY_LEN_MAX: u128 = 1 << 20;

/// The requests of a stream, and how it ends.
pub(super) fn frame(stream: &[u8]) -> (Vec<Framed>, End) {
    let mut requests = Vec::new();
    let mut rest = stream;
    loop {
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        if rest.is_empty() {
            return (requests, End::Whole);
        }
        match frame_one(rest) {
            Ok((request, len, closes)) => {
                requests.push(request);
                rest = &rest[len..];
                if closes {
                    return (requests, End::Closed);
                }
            }
            Err(end) => return (requests, end),
        }
    }
}

fn frame_one(bytes: &[u8]) -> Result<(Framed, usize, bool), End> {
    if matches!(bytes[0], b'\r' | b'\n') {
        return Err(End::Refused);
    }
    // A line feed that ends a line, and another that ends an empty one: the head is over in
    // everybody's eyes, though perhaps no head.
    let over = |at: &usize| {
        let rest = &bytes[*at..];
        rest.starts_with(b"\n\r\n") || rest.starts_with(b"\n\n")
    };
    let Some(end) = (0..bytes.len()).find(over) else { return Err(End::Half) };
    if !bytes[end - 1..].starts_with(b"\r\n\r\n") {
        return Err(End::Refused);
    }
    let (head, body) = (&bytes[..end - 1], &bytes[end + 3..]);
    let lines: Vec<&[u8]> = split_lines(head).ok_or(End::Refused)?;
    let (request, minor) = request_line(lines[0]).ok_or(End::Refused)?;
    let fields: Option<Vec<_>> = lines[1..].iter().map(|line| field(line)).collect();
    let fields = fields.ok_or(End::Refused)?;
    let all = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|field| field.0 == name).map(|field| field.1).collect()
    };
    let hosts = all("host").len();
    if hosts > 1 || (hosts == 0 && minor == 1) {
        return Err(End::Refused);
    }
    let len = match (all("transfer-encoding").as_slice(), all("content-length").as_slice()) {
        // RFC 1945: content that ends with the connection would be everything that follows.
        ([], []) if minor == 0 && ["POST", "PUT"].contains(&request.method.as_str()) => {
            return Err(End::Refused);
        }
        ([], []) => 0,
        ([], [length]) => {
            let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(length).ok().filter(|_| is_number);
            // What is no number of 128 bits is longer than anything.
            let length = length.ok_or(End::Refused)?.parse::<u128>().unwrap_or(u128::MAX);
            if length > BODY_LEN_MAX {
                return Err(End::Refused);
            }
            let length = usize::try_from(length).expect("a mebibyte");
            if length > body.len() {
                return Err(End::Half);
            }
            length
        }
        ([coding], []) if minor == 1 && coding.eq_ignore_ascii_case(b"chunked") => chunked(body)?,
        _ => return Err(End::Refused),
    };
    let has = |option: &[u8]| all("connection").contains(&option);
    let closes = has(b"close") || (minor == 0 && !has(b"keep-alive"));
    Ok((request, end + 3 + len, closes))
}

/// Lines that end by CR LF, without any other CR or LF.
fn split_lines(head: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lines = Vec::new();
    let mut rest = head.strip_suffix(b"\r\n").unwrap_or(head);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n");
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        if line.iter().any(|byte| b"\r\n".contains(byte)) {
            return None;
        }
        lines.push(line);
        match after {
            [] => return Some(lines),
            _ => rest = &after[2..],
        }
    }
}

fn request_line(line: &[u8]) -> Option<(Framed, u8)> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { return None };
    let minor = match *version {
        b"HTTP/1.0" => 0,
        b"HTTP/1.1" => 1,
        _ => return None,
    };
    let is_target = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    (is_token(method) && is_target).then(|| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (Framed { method: text(method), target: text(target) }, minor)
    })
}

/// The name of a field in small letters, and its value.
fn field(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_white = |byte: &u8| b" \t".contains(byte);
    let start = value.iter().position(|byte| !is_white(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_white(byte)).map_or(start, |last| last + 1);
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    (is_token(name.as_bytes()) && is_text(value)).then_some((name, &value[start..end]))
}

/// The length of a body in chunks.
fn chunked(body: &[u8]) -> Result<usize, End> {
    let mut at = 0;
    loop {
        let line = line_at(body, at)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        if digits == 0 || !(extension.is_empty() || is_extension(extension)) {
            return Err(End::Refused);
        }
        let size = std::str::from_utf8(size).expect("digits");
        let size = u128::from_str_radix(size, 16).unwrap_or(u128::MAX);
        if size > BODY_LEN_MAX {
            return Err(End::Refused);
        }
        at += line.len() + 2;
        if size == 0 {
            return trailers(body, at);
        }
        at += usize::try_from(size).expect("a mebibyte");
        match body.get(at..).unwrap_or(&[]) {
            [] | [b'\r'] => return Err(End::Half),
            [b'\r', b'\n', ..] => at += 2,
            _ => return Err(End::Refused),
        }
    }
}

fn trailers(body: &[u8], from: usize) -> Result<usize, End> {
    let mut at = from;
    loop {
        let line = line_at(body, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(at);
        }
        field(line).ok_or(End::Refused)?;
    }
}

/// The line that begins here, without its CR LF and without any other control character.
fn line_at(body: &[u8], at: usize) -> Result<&[u8], End> {
    let rest = body.get(at..).unwrap_or(&[]);
    let len = rest.iter().position(|&byte| !is_text(&[byte])).ok_or(End::Half)?;
    match &rest[len..] {
        [b'\r', b'\n', ..] => Ok(&rest[..len]),
        [b'\r'] => Err(End::Half),
        _ => Err(End::Refused),
    }
}

fn is_extension(text: &[u8]) -> bool {
    let start = text.iter().position(|byte| !b" \t".contains(byte));
    start.is_some_and(|start| text[start] == b';')
}

fn is_token(text: &[u8]) -> bool {
    let is_mark = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

fn is_text(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

#[test]
fn the_reference_finds_what_it_should() {
    for (stream, targets, end) in [
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &["/a"][..], End::Whole),
        (
            "\r\nGET /a HTTP/1.1\r\nHost:\r\n\r\nGET /b HTTP/1.0\r\n\r\nxyz",
            &["/a", "/b"],
            End::Closed,
        ),
        ("GET /a HTTP/1.1\r\nHost: a\r\n", &[], End::Half),
        ("GET /a HTTP/1.1\r\n\r\n", &[], End::Refused),
        ("GET /a HTTP/1.1\nHost: a\n\n", &[], End::Refused),
        ("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", &["/a"], End::Whole),
        ("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", &[], End::Half),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;b\r\nc\r\n0\r\nd: e\r\n\r\n",
            &["/a"],
            End::Whole,
        ),
        (
            "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nc\r\n0\r\n\r\n",
            &[],
            End::Refused,
        ),
    ] {
        let (requests, found) = frame(stream.as_bytes());
        let found_targets: Vec<_> = requests.iter().map(|it| it.target.as_str()).collect();
        assert_eq!((found_targets.as_slice(), found), (targets, end), "{stream:?}");
    }
}
