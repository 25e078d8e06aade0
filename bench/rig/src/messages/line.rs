//! A connection of the client that never blocks: what is to be sent, and what came.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::dialect::{Dialect, End, nonsense};
use super::ledger::Ledger;
use crate::error::Error;
use crate::ports::engine::{Input, is_for_later};

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Line {
    end: End,
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    input: Input,
    /// The other end has closed it.
    pub(super) is_closed: bool,
}

impl Line {
    /// Of a connection that was opened.
    pub(super) fn new(end: End, stream: TcpStream) -> Self {
        let (out, input) = (Vec::new(), Input::new());
        Self { end, stream, out, sent: 0, input, is_closed: false }
    }

    pub(super) fn set_blocks(&self, blocks: bool) -> Result<(), Error> {
        self.stream.set_nonblocking(!blocks).map_err(Error::io("set how a connection waits"))
    }

    /// Whether all was sent that is to be sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.sent == self.out.len()
    }

    /// Where to append what is to be sent.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        if self.is_flushed() {
            self.out.clear();
            self.sent = 0;
        }
        &mut self.out
    }

    /// Sends what there is, as far as it goes; how many bytes went.
    pub(super) fn flush<D: Dialect>(&mut self) -> Result<usize, Error> {
        if self.is_flushed() {
            return Ok(0);
        }
        match self.stream.write(&self.out[self.sent..]) {
            Ok(sent) => {
                self.sent += sent;
                Ok(sent)
            }
            Err(error) if is_for_later(&error) => Ok(0),
            Err(error) => Err(broken::<D>(&error)),
        }
    }

    /// Receives once and takes what is whole; how many bytes came.
    pub(super) fn receive<D: Dialect>(
        &mut self,
        dialect: &mut D,
        ledger: &mut Ledger,
    ) -> Result<usize, Error> {
        let room = self.input.room().ok_or_else(|| nonsense::<D>("a message without end"))?;
        let len = match self.stream.read(room) {
            Ok(0) => {
                self.is_closed = true;
                0
            }
            Ok(len) => len,
            Err(error) if is_for_later(&error) => 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.is_closed = true;
                0
            }
            Err(error) => return Err(broken::<D>(&error)),
        };
        if len > 0 {
            self.input.on_received(len);
            if self.is_flushed() {
                self.out.clear();
                self.sent = 0;
            }
            let taken = dialect.take(self.end, self.input.filled(), ledger, &mut self.out)?;
            self.input.on_taken(taken);
        }
        Ok(len)
    }
}

fn broken<D: Dialect>(error: &std::io::Error) -> Error {
    nonsense::<D>(format!("a connection broke: {error}"))
}
