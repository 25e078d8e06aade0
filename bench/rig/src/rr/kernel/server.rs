//! The serving end of the kernel peer: accepts, checks every request, echoes it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Backlog, listen};
use serde::{Deserialize, Serialize};

use super::CONNECTION_FLAGS;
use crate::error::Error;
use crate::limits::{BACKLOG, EPOLL_EVENTS_MAX};
use crate::pattern::Message;
use crate::sockets::wait;

const LISTENER: u64 = u64::MAX;
const CONTROL: u64 = u64::MAX - 1;

/// What the server saw; the client's count must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerTally {
    /// Connections that named themselves rightly and live.
    pub(super) connections: u32,
    /// Whole requests.
    pub(super) messages: u64,
    /// Bytes of requests that were not those the client should have sent.
    pub(super) bytes_wrong: u64,
}

/// Whether the server goes on after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    More,
    /// The control descriptor was closed at its other end.
    Ended,
}

/// The listening socket and all its connections, driven by [`Server::turn`].
#[derive(Debug)]
pub(super) struct Server {
    epoll: Epoll,
    events: Vec<EpollEvent>,
    timeout: EpollTimeout,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    /// By connection number: a number that comes twice is a wrong byte.
    is_named: Vec<bool>,
    size: usize,
    /// The requests of one turn, one after another, and room for the byte too many of the last.
    requests: Vec<u8>,
    /// Whose requests they are.
    ready: Vec<usize>,
    tally: ServerTally,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// What the next request must say; its connection number is known from the first.
    expected: Option<Message>,
    /// A request not yet whole, or an echo not yet sent: rare, so not kept in place.
    unfinished: Option<Box<Unfinished>>,
}

/// How a look at a connection ended.
enum Received {
    /// Nothing to answer now.
    Part,
    Whole,
    /// It was closed, broke, or said too much.
    End,
}

#[derive(Debug, Default)]
struct Unfinished {
    bytes: Vec<u8>,
    /// How many were echoed.
    sent: usize,
    is_whole: bool,
}

impl Server {
    /// Listens on a free port of `address`. Blocks in `turn` if `timeout` says so.
    pub(super) fn listen(
        address: Ipv4Addr,
        connections: u32,
        size: usize,
        timeout: EpollTimeout,
    ) -> Result<Self, Error> {
        let listener =
            TcpListener::bind((address, 0)).map_err(Error::io("listen on the server's address"))?;
        // The standard library asks for a queue of 128, and a connect that finds it full waits a
        // second; listening again only changes the length.
        Backlog::new(BACKLOG)
            .and_then(|backlog| listen(&listener, backlog))
            .map_err(Error::errno("lengthen the listener's queue"))?;
        listener.set_nonblocking(true).map_err(Error::io("listen without blocking"))?;
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno("make an epoll"))?;
        epoll
            .add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))
            .map_err(Error::errno("watch the listener"))?;
        let count = usize::try_from(connections).expect("32 bits fit a usize");
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); EPOLL_EVENTS_MAX],
            timeout,
            listener,
            connections: Vec::with_capacity(count),
            is_named: vec![false; count],
            size,
            requests: vec![0; EPOLL_EVENTS_MAX * size + 1],
            ready: Vec::with_capacity(EPOLL_EVENTS_MAX),
            tally: ServerTally::default(),
        })
    }

    /// The address to connect to.
    pub(super) fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(Error::io("ask for the listener's address"))
    }

    /// Ends the server once the other end of `control` is closed.
    pub(super) fn watch_control(&self, control: impl AsFd) -> Result<(), Error> {
        self.epoll
            .add(control, EpollEvent::new(EpollFlags::EPOLLIN, CONTROL))
            .map_err(Error::errno("watch the control pipe"))
    }

    pub(super) fn tally(&self) -> ServerTally {
        self.tally
    }

    /// Takes all requests that are here, then answers them all.
    pub(super) fn turn(&mut self) -> Result<Turn, Error> {
        let count = wait(&self.epoll, &mut self.events, self.timeout)?;
        let mut turn = Turn::More;
        self.ready.clear();
        for index in 0..count {
            match self.events[index].data() {
                LISTENER => self.accept()?,
                CONTROL => turn = Turn::Ended,
                token => self.receive(usize::try_from(token).expect("we gave it from a usize")),
            }
        }
        for slot in 0..self.ready.len() {
            self.echo(slot);
        }
        Ok(turn)
    }

    fn accept(&mut self) -> Result<(), Error> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Error::io("accept")(error)),
            };
            stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
            stream.set_nonblocking(true).map_err(Error::io("accept without blocking"))?;
            let event = EpollEvent::new(CONNECTION_FLAGS, self.connections.len() as u64);
            self.epoll.add(&stream, event).map_err(Error::errno("watch a connection"))?;
            self.connections.push(Some(Connection { stream, expected: None, unfinished: None }));
        }
    }

    fn receive(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let slot = &mut self.requests[self.ready.len() * self.size..][..=self.size];
        match connection.receive(slot, &mut self.tally) {
            Received::Part => {}
            Received::Whole => {
                let request = &slot[..self.size];
                connection.check(request, &mut self.is_named, &mut self.tally);
                self.ready.push(index);
            }
            Received::End => self.close(index),
        }
    }

    fn echo(&mut self, slot: usize) {
        let index = self.ready[slot];
        let request = &self.requests[slot * self.size..][..self.size];
        let connection = self.connections[index].as_mut();
        if connection.is_some_and(|connection| connection.echo(request).is_none()) {
            self.close(index);
        }
    }

    fn close(&mut self, index: usize) {
        let closed = self.connections[index].take();
        if closed.is_some_and(|connection| connection.expected.is_some()) {
            self.tally.connections -= 1;
        }
    }
}

impl Connection {
    /// Completes a request in `slot`, which is one byte longer, so that a byte too many is seen.
    fn receive(&mut self, slot: &mut [u8], tally: &mut ServerTally) -> Received {
        let filled = match &self.unfinished {
            None => 0,
            Some(unfinished) if !unfinished.is_whole => unfinished.bytes.len(),
            Some(_) => return self.echo_rest().map_or(Received::End, |()| Received::Part),
        };
        let size = slot.len() - 1;
        let received = match self.stream.read(&mut slot[filled..]) {
            Ok(0) => return Received::End,
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Received::Part,
            Err(_) => return Received::End,
        };
        if filled + received > size {
            tally.bytes_wrong += (filled + received - size) as u64;
            return Received::End;
        }
        if filled + received < size {
            let unfinished = self.unfinished.get_or_insert_with(Box::default);
            unfinished.bytes.extend_from_slice(&slot[filled..][..received]);
            return Received::Part;
        }
        if let Some(unfinished) = self.unfinished.take() {
            slot[..filled].copy_from_slice(&unfinished.bytes);
        }
        Received::Whole
    }

    /// Counts what is wrong with a whole request.
    fn check(&mut self, request: &[u8], is_named: &mut [bool], tally: &mut ServerTally) {
        tally.messages += 1;
        let expected = self.expected.unwrap_or_else(|| {
            let claimed = Message::claimed_by(request).expect("no message is shorter than that");
            tally.connections += 1;
            let index = usize::try_from(claimed.connection).expect("32 bits fit a usize");
            match is_named.get_mut(index) {
                Some(is_named) if !*is_named => *is_named = true,
                Some(_) | None => tally.bytes_wrong += 4,
            }
            Message { sequence: 0, ..claimed }
        });
        tally.bytes_wrong += expected.wrong_bytes(0, request) as u64;
        let sequence = expected.sequence.wrapping_add(1);
        self.expected = Some(Message { sequence, ..expected });
    }

    /// Nothing if the connection is over; what does not fit is sent when there is room.
    fn echo(&mut self, answer: &[u8]) -> Option<()> {
        let sent = match self.stream.write(answer) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => return None,
        };
        if sent < answer.len() {
            let bytes = answer.to_vec();
            self.unfinished = Some(Box::new(Unfinished { bytes, sent, is_whole: true }));
        }
        Some(())
    }

    fn echo_rest(&mut self) -> Option<()> {
        let unfinished = self.unfinished.as_mut()?;
        match self.stream.write(&unfinished.bytes[unfinished.sent..]) {
            Ok(sent) => unfinished.sent += sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
        if unfinished.sent == unfinished.bytes.len() {
            self.unfinished = None;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    #[test]
    fn echo_that_does_not_fit_is_sent_in_parts() {
        const SIZE: usize = 65_536;
        let mut server = Server::listen(Ipv4Addr::LOCALHOST, 1, SIZE, EpollTimeout::ZERO)
            .expect("ports are free");
        let address = server.address().expect("it is bound");
        let mut stream = TcpStream::connect(address).expect("it listens");
        while server.connections.is_empty() {
            server.turn().expect("epoll works");
        }
        let connection = server.connections[0].as_ref().expect("it lives");
        setsockopt(&connection.stream, sockopt::SndBuf, &1).expect("the least is taken");
        let mut request = vec![0; SIZE];
        let message = Message { connection: 0, sequence: 0 };
        message.write(&mut request);
        stream.write_all(&request).expect("it is open");
        stream.set_nonblocking(true).expect("it is open");
        let (mut echo, mut parts) = (Vec::new(), 0);
        while echo.len() < SIZE {
            server.turn().expect("epoll works");
            let connection = server.connections[0].as_ref().expect("it lives");
            let unfinished = connection.unfinished.as_ref();
            parts += u32::from(unfinished.is_some_and(|unfinished| unfinished.is_whole));
            let mut part = [0; 4_096];
            if let Ok(len) = stream.read(&mut part) {
                echo.extend_from_slice(&part[..len]);
            }
        }
        assert!(echo == request && parts > 0, "{parts} parts");
    }
}
