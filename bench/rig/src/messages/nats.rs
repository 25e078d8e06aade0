//! The way messages go through nats-server: `PUB` and `MSG`, pipelined.
//!
//! A subscription's number has six digits, so that all messages of a subject begin with the same
//! bytes, which are compared at once; whatever else comes is read word by word.

pub(super) mod server;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::dialect::{Dialect, End, One, nonsense};
use super::ledger::Ledger;
use super::load::{Load, index};
use crate::error::Error;
use crate::limits::PORTS_SILENCE_MAX;
use crate::ports::engine::open;

/// NATS's own way to speak.
#[derive(Debug)]
pub(super) struct Nats {
    load: Load,
    names: Vec<String>,
    /// By port: `PUB` up to the message.
    heads: Vec<Vec<u8>>,
    /// By port: `MSG` up to the message.
    expected: Vec<Vec<u8>>,
    message: Vec<u8>,
}

const LINE_END: &[u8] = b"\r\n";
/// Longer is no line but that of `INFO`.
const LINE_LEN_MAX: usize = 64 << 10;
/// The number of the subscription to port 0.
const SID_MIN: u32 = 100_000;
const SID_LEN: usize = 6;
/// What a client that wants throughput says of itself: no `+OK` for each line, no checks of subjects,
/// nothing back of what it sends itself.
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\
     \"tls_required\":false,\"lang\":\"rust\",\"version\":\"1\",\"protocol\":1}\r\nPING\r\n";

impl Nats {
    pub(super) fn new(load: Load) -> Self {
        let (names, size) = (load.names(), load.size);
        let head = |name: &String| format!("PUB {name} {size}\r\n").into_bytes();
        let expected =
            |(name, sid): (&String, u32)| format!("MSG {name} {sid} {size}\r\n").into_bytes();
        Self {
            heads: names.iter().map(head).collect(),
            expected: names.iter().zip(SID_MIN..).map(expected).collect(),
            message: vec![0; size],
            names,
            load,
        }
    }

    /// Says who we are and what else is to be said first, and waits until all of it was heard.
    fn begin(address: SocketAddr, first: &str) -> Result<TcpStream, Error> {
        let mut stream = open(address, None)?;
        stream.set_read_timeout(Some(PORTS_SILENCE_MAX)).map_err(Error::io("bound a wait"))?;
        let info = line(&mut stream)?;
        if !info.starts_with("INFO ") {
            return Err(nonsense::<Self>(format!("it is no nats-server: {info:?}")));
        }
        for (said, expected) in [(CONNECT, "PONG\r\n"), (first, "PONG\r\n")] {
            stream.write_all(said.as_bytes()).map_err(Error::io("write to nats-server"))?;
            let answer = line(&mut stream)?;
            if answer != expected {
                return Err(nonsense::<Self>(format!("it said {answer:?}")));
            }
        }
        Ok(stream)
    }

    /// The port of a message whose beginning is that of its subject's messages.
    #[inline]
    fn port_of(&self, bytes: &[u8]) -> Option<u32> {
        let start = "MSG ".len() + self.load.name_len + " ".len();
        let digits = bytes.get(start..start + SID_LEN)?;
        let number = digits.iter().fold(0_u32, |number, digit| {
            number.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0')))
        });
        let port = number.wrapping_sub(SID_MIN);
        let expected = self.expected.get(usize::try_from(port).ok()?)?;
        bytes.starts_with(expected).then_some(port)
    }

    /// Something that is no plain message; its bytes, 0 if it is not whole.
    fn take_other(
        &self,
        from: End,
        bytes: &[u8],
        ledger: &mut Ledger,
        replies: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let Some(len) = bytes.windows(2).position(|pair| pair == LINE_END) else {
            let is_too_long = bytes.len() > LINE_LEN_MAX;
            return if is_too_long { Err(nonsense::<Self>("a line without end")) } else { Ok(0) };
        };
        let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
        let after = len + LINE_END.len();
        let words: Vec<_> = text.split(' ').collect();
        match words[..] {
            ["PING"] => replies.extend_from_slice(b"PONG\r\n"),
            ["PONG"] | ["INFO", ..] => {}
            ["MSG", subject, sid, _reply, size] => {
                let size: usize = size.parse().map_err(|_what| unexpected(&text))?;
                let whole = after + size + LINE_END.len();
                let Some(message) = bytes[after..].get(..size + LINE_END.len()) else {
                    return Ok(0);
                };
                let End::Receiver(number) = from else { return Err(unexpected(&text)) };
                let port = ledger.receive(number, &message[..size]);
                let is_its =
                    |port| sid.parse() == Ok(SID_MIN + port) && self.names[index(port)] == subject;
                ledger.wrong.misrouted += u64::from(port.is_some_and(|port| !is_its(port)));
                return Ok(whole);
            }
            _ => return Err(unexpected(&text)),
        }
        Ok(after)
    }
}

impl Dialect for Nats {
    const SIDE: &'static str = "nats-server";
    const TELLS: bool = false;

    fn open_sender(&mut self, address: SocketAddr, _number: u32) -> Result<TcpStream, Error> {
        Self::begin(address, "PING\r\n")
    }

    fn open_receiver(&mut self, address: SocketAddr, number: u32) -> Result<TcpStream, Error> {
        let subscribe = |port| format!("SUB {} {}\r\n", self.names[index(port)], SID_MIN + port);
        let all: String = self.load.ports_of(number).map(subscribe).collect();
        Self::begin(address, &(all + "PING\r\n"))
    }

    fn write(&mut self, sender: u32, ledger: &mut Ledger, out: &mut Vec<u8>) {
        for _message in 0..self.load.batch {
            let stamp = ledger.send(sender);
            stamp.write(&mut self.message);
            out.extend_from_slice(&self.heads[index(stamp.port)]);
            out.extend_from_slice(&self.message);
            out.extend_from_slice(LINE_END);
        }
    }

    fn write_one(&mut self, one: One, ledger: &mut Ledger, out: &mut Vec<u8>) {
        let (name, size) = (&self.names[index(one.to)], self.load.size);
        let head = match one.reply_to {
            Some(port) => format!("PUB {name} {} {size}\r\n", self.names[index(port)]),
            None => format!("PUB {name} {size}\r\n"),
        };
        ledger.send_to(one.sender, one.to).write(&mut self.message);
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&self.message);
        out.extend_from_slice(LINE_END);
    }

    fn take(
        &mut self,
        from: End,
        bytes: &[u8],
        ledger: &mut Ledger,
        replies: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let (Some(port), End::Receiver(number)) = (self.port_of(rest), from) else {
                match self.take_other(from, rest, ledger, replies)? {
                    0 => break,
                    len => at += len,
                }
                continue;
            };
            let rest = &rest[self.expected[index(port)].len()..];
            let Some(message) = rest.get(..self.load.size + LINE_END.len()) else { break };
            let (message, end) = message.split_at(self.load.size);
            let its = ledger.receive(number, message);
            ledger.wrong.misrouted += u64::from(its.is_some_and(|its| its != port));
            ledger.wrong.garbled += u64::from(end != LINE_END);
            at = bytes.len() - rest.len() + self.load.size + LINE_END.len();
        }
        Ok(at)
    }

    fn keep(&mut self, _receiver: u32, _now: Instant, _out: &mut Vec<u8>) {}
}

/// The next line, with its end.
fn line(stream: &mut TcpStream) -> Result<String, Error> {
    let mut line = Vec::new();
    while !line.ends_with(LINE_END) && line.len() < LINE_LEN_MAX {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(Error::io("read from nats-server"))?;
        line.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn unexpected(text: &str) -> Error {
    nonsense::<Nats>(format!("it said {text:?}"))
}

#[cfg(test)]
mod tests;
