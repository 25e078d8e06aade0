//! The table of requests and exact answers, as data: read, and written as bytes.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::hash::Hasher;

use gateway::Document;

const TABLE: &str = include_str!("table.txt");

/// A request or some, and what becomes of them.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What is sent, as it stands in the table.
    sent: String,
    pub(crate) answers: Vec<Answer>,
    /// Whether a request that follows is answered.
    pub(crate) stays: bool,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The path of the document or folder that it is about.
    pub(crate) about: &'static str,
    /// The first and the last byte of each part.
    pub(crate) ranges: Vec<(usize, usize)>,
    pub(crate) is_head: bool,
    /// What it says of the connection.
    pub(crate) connection: &'static str,
}

/// Every case of the table.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in (1..).zip(TABLE.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            cases.push(Case { name, sent: String::new(), answers: Vec::new(), stays: false });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with its name");
        match (line.split_at(1), line) {
            ((">", text), _) => {
                case.sent += text.strip_prefix(' ').unwrap_or(text);
                case.sent += "\\r\\n";
            }
            (("+", text), _) => case.sent += &text[1..],
            (("=", text), _) => case.answers.push(answer(text.trim())),
            (_, "stays") => case.stays = true,
            (_, "ends") => {}
            _ => panic!("line {number} of the table is nothing that it may hold: {line}"),
        }
    }
    cases
}

fn answer(text: &'static str) -> Answer {
    let (status, mut rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut answer = Answer {
        status: status.parse().expect("an answer begins with its status"),
        about: "",
        ranges: Vec::new(),
        is_head: false,
        connection: "",
    };
    loop {
        let (before, last) = rest.rsplit_once(' ').unwrap_or(("", rest));
        match last {
            "close" | "keep-alive" => answer.connection = last,
            "head" => answer.is_head = true,
            _ if last.starts_with(|first: char| first.is_ascii_digit()) => {
                let place = |text: &str| text.parse().expect("a place");
                let range = |text: &str| {
                    let (first, last) = text.split_once('-').expect("two places");
                    (place(first), place(last))
                };
                answer.ranges = last.split(',').map(range).collect();
            }
            _ => break,
        }
        rest = before;
    }
    answer.about = rest;
    answer
}

impl Case {
    /// The bytes that are sent; `etag` knows the tag of a path.
    pub(crate) fn bytes(&self, etag: impl Fn(&str) -> String) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = self.sent.as_str();
        while let Some(first) = rest.chars().next() {
            rest = &rest[first.len_utf8()..];
            match first {
                '\\' => {
                    let (byte, len) = escaped(rest);
                    bytes.push(byte);
                    rest = &rest[len..];
                }
                '{' => {
                    let (word, after) = rest.split_once('}').expect("a brace is closed");
                    rest = after;
                    match word.split_once(['*', ' ']).expect("a letter and a count, or a tag") {
                        ("etag", path) => bytes.extend(etag(path).bytes()),
                        (text, count) => {
                            let count = count.parse().expect("a count");
                            bytes.extend(text.repeat(count).bytes());
                        }
                    }
                }
                _ => bytes.push(u8::try_from(first).expect("the table is ASCII")),
            }
        }
        bytes
    }
}

/// The byte of an escape, and the length of what stands behind the backslash.
fn escaped(text: &str) -> (u8, usize) {
    match text.as_bytes()[0] {
        b'r' => (b'\r', 1),
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'0' => (0, 1),
        b'\\' => (b'\\', 1),
        b'x' => (u8::from_str_radix(&text[1..3], 16).expect("two digits"), 3),
        other => panic!("no escape: {}", char::from(other)),
    }
}

/// The entity tag of a document, as the gateway makes it.
pub(crate) fn etag(document: &Document) -> String {
    let Document { content_type, body, .. } = document;
    let mut hasher = siphasher::sip::SipHasher13::new();
    hasher.write(&(content_type.len() as u64).to_le_bytes());
    hasher.write(content_type.as_bytes());
    hasher.write(body);
    format!("\"{:016x}-{:x}\"", hasher.finish(), body.len())
}

impl Answer {
    pub(crate) fn of(status: u16, about: &'static str, connection: &'static str) -> Self {
        Self { status, about, ranges: Vec::new(), is_head: false, connection }
    }

    /// The bytes of the answer, with its `Date` line if the server has a clock.
    pub(crate) fn bytes(&self, documents: &[Document], date: &str) -> Vec<u8> {
        let reason = reason(self.status);
        if self.status == 100 {
            return b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        }
        let error = format!("{} {reason}\n", self.status);
        let document = documents.iter().find(|document| document.path == self.about);
        let (fields, body) = self.fields(document);
        let content = match self.status {
            200 | 206 => body,
            204 | 304 => Vec::new(),
            _ => error.into_bytes(),
        };
        let connection = match self.connection {
            "" => String::new(),
            option => format!("Connection: {option}\r\n"),
        };
        let status = self.status;
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nServer: abele\r\n{date}{fields}{connection}\r\n"
        );
        if self.is_head { head.into_bytes() } else { [head.into_bytes(), content].concat() }
    }

    /// The fields between the date and the connection, and the part of the document.
    fn fields(&self, document: Option<&Document>) -> (String, Vec<u8>) {
        let text = |len: usize| format!("Content-Type: text/plain\r\nContent-Length: {len}\r\n");
        let plain = || text(self.status.to_string().len() + reason(self.status).len() + 2);
        let allow = "Allow: GET, HEAD, OPTIONS\r\n";
        let document = match (self.status, document) {
            (200 | 206 | 304 | 416, document) => document.expect("the documents have it"),
            (204, _) => return (allow.to_owned(), Vec::new()),
            (301, _) => return (format!("{}Location: {}\r\n", plain(), self.about), Vec::new()),
            (405, _) => return (plain() + allow, Vec::new()),
            _ => return (plain(), Vec::new()),
        };
        let (len, tag) = (document.body.len(), etag(document));
        let described = format!(
            "Content-Type: {}\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: {tag}\r\n\
             Accept-Ranges: bytes\r\n",
            document.content_type
        );
        match (self.status, self.ranges.as_slice()) {
            (206, &[(first, last)]) => {
                let part = document.body[first..=last].to_vec();
                let fields = format!(
                    "{described}Content-Length: {}\r\nContent-Range: bytes {first}-{last}/{len}\r\n",
                    part.len()
                );
                (fields, part)
            }
            (206, ranges) => {
                let boundary = &tag[1..17];
                let mut content = Vec::new();
                for &(first, last) in ranges {
                    let head = format!(
                        "\r\n--{boundary}\r\nContent-Type: {}\r\n\
                         Content-Range: bytes {first}-{last}/{len}\r\n\r\n",
                        document.content_type
                    );
                    content.extend(head.bytes());
                    content.extend(&document.body[first..=last]);
                }
                content.extend(format!("\r\n--{boundary}--\r\n").bytes());
                let (_, described) = described.split_once("\r\n").expect("the type is first");
                let fields = format!(
                    "Content-Type: multipart/byteranges; boundary={boundary}\r\n{described}\
                     Content-Length: {}\r\n",
                    content.len()
                );
                (fields, content)
            }
            (304, _) => (format!("ETag: {tag}\r\n"), Vec::new()),
            (416, _) => (format!("{}Content-Range: bytes */{len}\r\n", plain()), Vec::new()),
            _ => (format!("{described}Content-Length: {len}\r\n"), document.body.clone()),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => panic!("{status} is in no answer of the table"),
    }
}
