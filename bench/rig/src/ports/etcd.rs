//! The way etcd is asked: one transaction a name over gRPC, many at once on each connection.
//!
//! Its API takes no batch of independent names: `Txn` puts one if it has no version yet, `Range`
//! finds one, `DeleteRange` deletes one. A client of gRPC, HTTP/2 and protobuf is a large dependency
//! for three messages, so here they are written by hand: headers without compression, windows too
//! large to matter on the way back, and on the way there so few requests that they fit the window
//! that every server begins with. Of the answers the one number that says whether it worked is read.

mod frames;
pub(super) mod server;
pub(super) mod side;

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use self::frames::{Frame, Kind, write_frame};
use super::dialect::{Batch, Dialect, Op, Pending, Ports, Wrong, nonsense};
use super::names::Paper;
use crate::error::Error;

/// gRPC of etcd's version 3, as far as three messages need it.
#[derive(Clone, Debug)]
pub(super) struct Grpc {
    ports: Ports,
    wrong: Wrong,
    /// The header block of each operation, by the order of [`Op::ALL`].
    heads: [Vec<u8>; 3],
    /// Bytes of answers since the connection's window was made larger.
    unconfirmed: u32,
}

/// What begins every connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What the connection's window is made: the most there is, 2^31 - 1, of which 65,535 are there.
const WINDOW_MORE: u32 = (1 << 31) - 1 - 65_535;
/// After so many bytes of answers the window gets as many again.
const CONFIRM_EVERY: u32 = 1 << 30;
/// Bytes before a message of gRPC: not compressed, and its length.
const PREFIX_LEN: usize = 5;

impl Grpc {
    pub(super) fn new(ports: Ports) -> Self {
        let head = |method: &str| frames::head(&format!("/etcdserverpb.KV/{method}"));
        let heads = [head("Txn"), head("Range"), head("DeleteRange")];
        Self { ports, wrong: Wrong::default(), heads, unconfirmed: 0 }
    }

    /// The message that asks for one name.
    fn message(op: Op, name: &[u8], out: &mut Vec<u8>) {
        match op {
            // TxnRequest { compare: [{ result: EQUAL, target: VERSION, key, version: 0 }],
            //              success: [{ request_put: { key, value: "1" } }] }
            Op::Register => {
                let mut compare = Vec::new();
                frames::bytes_field(3, name, &mut compare);
                frames::number_field(4, 0, &mut compare);
                frames::bytes_field(1, &compare, out);
                let (mut put, mut request) = (Vec::new(), Vec::new());
                frames::bytes_field(1, name, &mut put);
                frames::bytes_field(2, b"1", &mut put);
                frames::bytes_field(2, &put, &mut request);
                frames::bytes_field(2, &request, out);
            }
            // RangeRequest { key }, DeleteRangeRequest { key }
            Op::Query | Op::Unregister => frames::bytes_field(1, name, out),
        }
    }

    /// Whether the answer to one name is that it worked.
    fn is_done(op: Op, message: &[u8]) -> bool {
        let field = match op {
            // TxnResponse.succeeded, DeleteRangeResponse.deleted
            Op::Register | Op::Unregister => 2,
            // RangeResponse.count
            Op::Query => 4,
        };
        frames::number_in(message, field) == Some(1)
    }

    fn on_answer(&mut self, op: Op, is_done: bool) {
        match op {
            Op::Register | Op::Unregister => self.wrong.refused += u64::from(!is_done),
            Op::Query => self.wrong.mismatched += u64::from(!is_done),
        }
    }

    fn take_frame(
        &mut self,
        frame: &Frame<'_>,
        pending: &mut Pending,
        replies: &mut Vec<u8>,
    ) -> Result<(), Error> {
        // Streams have odd numbers.
        let id = frame.stream.div_ceil(2);
        let place = pending.iter().position(|asked| asked.id == id);
        match frame.kind {
            Kind::Data => {
                self.confirm(frame.payload.len(), replies);
                let asked = place.and_then(|place| pending.get_mut(place));
                let asked = asked.ok_or_else(|| nonsense::<Self>("an answer to nothing"))?;
                let message = frame.payload.get(PREFIX_LEN..).unwrap_or_default();
                if asked.answered == 0 && Self::is_done(asked.batch.op, message) {
                    asked.answered = 1;
                }
            }
            Kind::Settings if !frame.is_ack => {
                write_frame(Kind::Settings, frames::ACK, 0, &[], replies);
            }
            Kind::Ping if !frame.is_ack => {
                write_frame(Kind::Ping, frames::ACK, 0, frame.payload, replies);
            }
            Kind::GoAway => return Err(nonsense::<Self>("it wants the connection to end")),
            Kind::Reset => {}
            Kind::Headers | Kind::Settings | Kind::Ping | Kind::Other => {}
        }
        let is_over = frame.is_last || frame.kind == Kind::Reset;
        if is_over && let Some(asked) = place.and_then(|place| pending.remove(place)) {
            self.on_answer(asked.batch.op, asked.answered == 1);
        }
        Ok(())
    }

    /// Makes the connection's window larger by what was received.
    fn confirm(&mut self, len: usize, replies: &mut Vec<u8>) {
        self.unconfirmed += u32::try_from(len).expect("a frame has at most 2^24 bytes");
        if self.unconfirmed >= CONFIRM_EVERY {
            let more = std::mem::take(&mut self.unconfirmed).to_be_bytes();
            write_frame(Kind::Other, 0, 0, &more, replies);
        }
    }
}

impl Dialect for Grpc {
    const SIDE: &'static str = "etcd";

    fn greet(&mut self, stream: &mut TcpStream) -> Result<(), Error> {
        let mut out = PREFACE.to_vec();
        write_frame(Kind::Settings, 0, 0, &[], &mut out);
        write_frame(Kind::Other, 0, 0, &WINDOW_MORE.to_be_bytes(), &mut out);
        stream.write_all(&out).map_err(Error::io("greet etcd"))
    }

    fn write(&self, id: u32, batch: Batch, out: &mut Vec<u8>) {
        let stream = 2 * id - 1;
        let head = match batch.op {
            Op::Register => &self.heads[0],
            Op::Query => &self.heads[1],
            Op::Unregister => &self.heads[2],
        };
        assert_eq!(batch.count, 1, "a transaction is of one name");
        let mut paper = Paper::new();
        for number in self.ports.numbers(batch) {
            // Not compressed, and room for the length.
            let mut message = vec![0; PREFIX_LEN];
            Self::message(batch.op, self.ports.names.name(number, &mut paper), &mut message);
            let len = u32::try_from(message.len() - PREFIX_LEN).expect("a message is short");
            message[1..PREFIX_LEN].copy_from_slice(&len.to_be_bytes());
            write_frame(Kind::Headers, frames::END_HEADERS, stream, head, out);
            write_frame(Kind::Data, frames::END_STREAM, stream, &message, out);
        }
    }

    fn take(
        &mut self,
        bytes: &[u8],
        pending: &mut Pending,
        replies: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let mut at = 0;
        while let Some((frame, len)) = Frame::first(&bytes[at..]) {
            self.take_frame(&frame, pending, replies)?;
            at += len;
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

#[cfg(test)]
mod tests;
