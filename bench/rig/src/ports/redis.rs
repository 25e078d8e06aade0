//! The way Redis is asked: `SET name 1 NX`, `GET` or `MGET`, `DEL`, in RESP, pipelined.
//!
//! redis-benchmark, its own client, looks at each answer one by one, and is slower than the server
//! when that has a core of its own. This one compares answers with the bytes that they must be.

pub(super) mod benchmark;
pub(super) mod server;
pub(super) mod side;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::dialect::{Asked, Batch, Dialect, Op, Pending, Ports, Wrong, nonsense};
use super::names::Paper;
use crate::error::Error;

/// A command a port, or one command for all ports of a batch where Redis has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Single,
    Many,
}

/// Redis's own way to speak.
#[derive(Clone, Debug)]
pub(super) struct Resp {
    ports: Ports,
    style: Style,
    wrong: Wrong,
    /// `SET`, `GET` and `DEL` up to the name.
    heads: [Vec<u8>; 3],
    /// The name's length, as it stands before each name of a list.
    item: Vec<u8>,
}

/// What follows the name in `SET`: a value that Redis shares between all keys, so that it costs it
/// no memory.
const SET_TAIL: &[u8] = b"\r\n$1\r\n1\r\n$2\r\nNX\r\n";
const LINE_END: &[u8] = b"\r\n";
/// Longer than a number or a word is no line that is asked for.
const SHORT_LINE_MAX: usize = 64;

impl Resp {
    pub(super) fn new(ports: Ports, style: Style) -> Self {
        let len = ports.names.len();
        let head = |parts: u32, word: &str| {
            format!("*{parts}\r\n${}\r\n{word}\r\n${len}\r\n", word.len()).into_bytes()
        };
        Self {
            ports,
            style,
            wrong: Wrong::default(),
            heads: [head(4, "SET"), head(2, "GET"), head(2, "DEL")],
            item: format!("${len}\r\n").into_bytes(),
        }
    }

    /// How many keys it has.
    pub(super) fn keys(stream: &mut TcpStream) -> Result<u64, Error> {
        let text = Self::say(stream, "DBSIZE")?;
        let number = text.strip_prefix(':').and_then(|text| text.trim_end().parse().ok());
        number.ok_or_else(|| nonsense::<Self>(format!("it said {text:?} to DBSIZE")))
    }

    /// Makes it empty.
    pub(super) fn forget_all(stream: &mut TcpStream) -> Result<(), Error> {
        let text = Self::say(stream, "FLUSHALL SYNC")?;
        if text == "+OK\r\n" {
            return Ok(());
        }
        Err(nonsense::<Self>(format!("it said {text:?} to FLUSHALL")))
    }

    /// A command with an answer of one short line.
    fn say(stream: &mut TcpStream, command: &str) -> Result<String, Error> {
        let line = format!("{command}\r\n");
        stream.write_all(line.as_bytes()).map_err(Error::io("ask Redis"))?;
        let mut answer = Vec::new();
        while !answer.ends_with(LINE_END) && answer.len() < SHORT_LINE_MAX {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(Error::io("ask Redis"))?;
            answer.extend_from_slice(&byte);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The answer to one port.
    fn expected(&self, op: Op) -> &'static [u8] {
        match op {
            Op::Register => b"+OK\r\n",
            Op::Query => b"$1\r\n1\r\n",
            Op::Unregister => b":1\r\n",
        }
    }

    fn is_many(&self, op: Op) -> bool {
        self.style == Style::Many && op != Op::Register
    }

    /// Takes what is there of the answer to `asked`; its bytes.
    fn take_one(&mut self, bytes: &[u8], asked: &mut Asked) -> Result<usize, Error> {
        let Batch { op, count, .. } = asked.batch;
        if self.is_many(op) && op == Op::Unregister {
            let whole = format!(":{count}\r\n");
            let Some(len) = reply_len(bytes).map_err(nonsense::<Self>)? else { return Ok(0) };
            if &bytes[..len] != whole.as_bytes() {
                self.wrong.refused += u64::from(count);
            }
            asked.answered = count;
            return Ok(len);
        }
        let mut at = 0;
        if self.is_many(op) && asked.answered == 0 {
            let head = format!("*{count}\r\n");
            match bytes.strip_prefix(head.as_bytes()) {
                Some([]) => return Ok(0),
                Some(_) => at = head.len(),
                None if head.as_bytes().starts_with(bytes) => return Ok(0),
                None => return Err(nonsense::<Self>("MGET has no list for an answer")),
            }
        }
        let expected = self.expected(op);
        while asked.answered < count {
            let rest = &bytes[at..];
            if rest.starts_with(expected) {
                at += expected.len();
            } else {
                match reply_len(rest).map_err(nonsense::<Self>)? {
                    None => break,
                    Some(len) => at += len,
                }
                self.on_unexpected(op);
            }
            asked.answered += 1;
        }
        // The list's head is taken with its first item only, for it is known by there being none.
        Ok(if asked.answered == 0 { 0 } else { at })
    }

    #[cold]
    fn on_unexpected(&mut self, op: Op) {
        match op {
            Op::Register | Op::Unregister => self.wrong.refused += 1,
            Op::Query => self.wrong.mismatched += 1,
        }
    }
}

impl Dialect for Resp {
    const SIDE: &'static str = "redis";

    fn greet(&mut self, stream: &mut TcpStream) -> Result<(), Error> {
        let text = Self::say(stream, "PING")?;
        if text == "+PONG\r\n" { Ok(()) } else { Err(nonsense::<Self>("it is no Redis")) }
    }

    fn write(&self, _id: u32, batch: Batch, out: &mut Vec<u8>) {
        let (set, get, delete) = (&self.heads[0], &self.heads[1], &self.heads[2]);
        let (head, tail) = match batch.op {
            Op::Register => (set, SET_TAIL),
            Op::Query => (get, LINE_END),
            Op::Unregister => (delete, LINE_END),
        };
        let mut paper = Paper::new();
        if !self.is_many(batch.op) {
            for number in self.ports.numbers(batch) {
                out.extend_from_slice(head);
                out.extend_from_slice(self.ports.names.name(number, &mut paper));
                out.extend_from_slice(tail);
            }
            return;
        }
        let word = if batch.op == Op::Query { "MGET" } else { "DEL" };
        let head = format!("*{}\r\n${}\r\n{word}\r\n", batch.count + 1, word.len());
        out.extend_from_slice(head.as_bytes());
        for number in self.ports.numbers(batch) {
            out.extend_from_slice(&self.item);
            out.extend_from_slice(self.ports.names.name(number, &mut paper));
            out.extend_from_slice(LINE_END);
        }
    }

    fn take(
        &mut self,
        bytes: &[u8],
        pending: &mut Pending,
        _replies: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut at = 0;
        while let Some(asked) = pending.front_mut() {
            let taken = self.take_one(&bytes[at..], asked)?;
            at += taken;
            if asked.answered < asked.batch.count {
                return Ok(at);
            }
            pending.pop_front();
        }
        if at < bytes.len() {
            return Err(nonsense::<Self>("it answered what nobody asked"));
        }
        Ok(at)
    }

    fn keep(&mut self, _now: Instant) -> Result<(), Error> {
        Ok(())
    }

    fn wrong(&self) -> Wrong {
        self.wrong
    }
}

/// The bytes of the answer at the front: a line, or a string of so many bytes; nothing if it is not
/// whole.
fn reply_len(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(line_len) = bytes.windows(2).position(|pair| pair == LINE_END) else {
        return Ok(None);
    };
    let line = String::from_utf8_lossy(&bytes[..line_len]);
    let after = line_len + LINE_END.len();
    match line.as_bytes().first() {
        Some(b'+' | b'-' | b':') => Ok(Some(after)),
        Some(b'$') if &line[1..] == "-1" => Ok(Some(after)),
        Some(b'$') => {
            let len = line[1..].parse::<usize>().map_err(|_error| format!("it said {line:?}"))?;
            let whole = after.saturating_add(len).saturating_add(LINE_END.len());
            Ok((bytes.len() >= whole).then_some(whole))
        }
        _ => Err(format!("it said {line:?}")),
    }
}

#[cfg(test)]
mod tests;
