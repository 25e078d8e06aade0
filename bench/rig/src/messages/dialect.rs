//! What every server's way to speak has to offer, so that one client loads them all.

use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::ledger::Ledger;
use crate::error::Error;

/// Whose connection it is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Sender(u32),
    Receiver(u32),
}

/// How messages are sent through a server, and how they come.
pub(super) trait Dialect {
    /// What errors call the server.
    const SIDE: &'static str;
    /// It says of every message that is sent what became of it.
    const TELLS: bool;

    /// Opens a connection that sends; it still blocks.
    fn open_sender(&mut self, address: SocketAddr, number: u32) -> Result<TcpStream, Error>;

    /// Opens a connection that receives what is sent to the receiver's ports; it still blocks.
    fn open_receiver(&mut self, address: SocketAddr, number: u32) -> Result<TcpStream, Error>;

    /// Appends a batch of a sender's next messages.
    fn write(&mut self, sender: u32, ledger: &mut Ledger, out: &mut Vec<u8>);

    /// Appends one message to a port, on the connection of a receiver, that asks for a reply to
    /// another port or is one.
    fn write_one(&mut self, one: One, ledger: &mut Ledger, out: &mut Vec<u8>);

    /// Takes what is whole at the front of `bytes`; how many bytes that was. What the connection
    /// itself must say to it is appended to `replies`.
    fn take(
        &mut self,
        from: End,
        bytes: &[u8],
        ledger: &mut Ledger,
        replies: &mut Vec<u8>,
    ) -> Result<usize, Error>;

    /// Appends what is due on a receiver's connection.
    fn keep(&mut self, receiver: u32, now: Instant, out: &mut Vec<u8>);
}

/// A single message.
#[derive(Clone, Copy, Debug)]
pub(super) struct One {
    pub(super) sender: u32,
    pub(super) to: u32,
    /// Where its reply is to go.
    pub(super) reply_to: Option<u32>,
}

/// The error of something that the server must not say.
pub(super) fn nonsense<D: Dialect>(what: impl Into<String>) -> Error {
    Error::Child { side: D::SIDE, what: what.into() }
}
