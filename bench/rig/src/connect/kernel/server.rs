//! The serving end: accepts in bursts, checks and echoes one message, waits for the client's end.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Backlog, MsgFlags, listen, recv, send, setsockopt, sockopt};
use serde::{Deserialize, Serialize};

use crate::connect::EXCHANGE_LEN;
use crate::error::Error;
use crate::limits::{BACKLOG, DRAIN_MS_MAX, EPOLL_EVENTS_MAX, PORT_ATTEMPTS};
use crate::pattern::Message;
use crate::sockets::wait;

const LISTENER: u64 = 1 << 32;
const CONTROL: u64 = u64::MAX;
const CONNECTION_FLAGS: EpollFlags =
    EpollFlags::EPOLLIN.union(EpollFlags::EPOLLRDHUP).union(EpollFlags::EPOLLET);

/// What the server saw; the client's count must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServerTally {
    pub(super) accepted: u64,
    /// Whole messages sent back.
    pub(super) answered: u64,
    /// Connections that the client ended after its answer.
    pub(super) closed: u64,
    /// Bytes that were not those the client should have sent.
    pub(super) bytes_wrong: u64,
}

/// Whether the server goes on after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    More,
    /// The control descriptor was closed at its other end.
    Ended,
}

/// The listening sockets and their connections, driven by [`Server::turn`].
#[derive(Debug)]
pub(super) struct Server {
    epoll: Epoll,
    events: Vec<EpollEvent>,
    timeout: EpollTimeout,
    listeners: Vec<TcpListener>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// What each slot of the client must say next.
    expected: Vec<u32>,
    tally: ServerTally,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    request: [u8; EXCHANGE_LEN],
    received: usize,
}

/// How a look at a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting,
    Whole,
    Ended,
}

impl Server {
    /// Listens on one free port of all `addresses`, for a client of `slots` slots.
    pub(super) fn listen(
        addresses: &[Ipv4Addr],
        slots: u32,
        timeout: EpollTimeout,
    ) -> Result<Self, Error> {
        let listeners = listen_on_all(addresses)?;
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno("make an epoll"))?;
        for (index, listener) in listeners.iter().enumerate() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER + index as u64);
            epoll.add(listener, event).map_err(Error::errno("watch a listener"))?;
        }
        let slots = usize::try_from(slots).expect("32 bits fit a usize");
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); EPOLL_EVENTS_MAX],
            timeout,
            listeners,
            connections: Vec::with_capacity(2 * slots),
            free: Vec::with_capacity(2 * slots),
            expected: vec![0; slots],
            tally: ServerTally::default(),
        })
    }

    /// The port of every address.
    pub(super) fn port(&self) -> Result<u16, Error> {
        port_of(&self.listeners[0])
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

    /// Takes all that is here.
    pub(super) fn turn(&mut self) -> Result<Turn, Error> {
        let count = wait(&self.epoll, &mut self.events, self.timeout)?;
        let mut turn = Turn::More;
        for index in 0..count {
            let event = self.events[index];
            match event.data() {
                CONTROL => turn = Turn::Ended,
                token if token >= LISTENER => self.accept(index_of(token - LISTENER))?,
                token => self.look(index_of(token), event.events()),
            }
        }
        Ok(turn)
    }

    /// Waits for the last ends of connections.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.timeout = EpollTimeout::ZERO;
        let begin = Instant::now();
        while self.free.len() < self.connections.len()
            && begin.elapsed() < Duration::from_millis(DRAIN_MS_MAX)
        {
            self.turn()?;
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> Result<(), Error> {
        loop {
            let stream = match self.listeners[listener].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Error::io("accept")(error)),
            };
            self.tally.accepted += 1;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let mut connection = Connection { stream, request: [0; EXCHANGE_LEN], received: 0 };
            // The request is often here already: then the event is for the end alone.
            let step = connection.receive();
            let event = EpollEvent::new(CONNECTION_FLAGS, index as u64);
            self.epoll
                .add(&connection.stream, event)
                .map_err(Error::errno("watch a connection"))?;
            self.connections[index] = Some(connection);
            self.act(index, step);
        }
    }

    fn look(&mut self, index: usize, events: EpollFlags) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let is_answered = connection.received == EXCHANGE_LEN;
        let step = if is_answered && events.contains(EpollFlags::EPOLLRDHUP) {
            Step::Ended
        } else {
            connection.receive()
        };
        self.act(index, step);
        if step == Step::Whole && events.contains(EpollFlags::EPOLLRDHUP) {
            // The edge of the end came with the request and does not come again.
            self.act(index, Step::Ended);
        }
    }

    fn act(&mut self, index: usize, step: Step) {
        match step {
            Step::Waiting => {}
            Step::Whole => self.answer(index),
            Step::Ended => {
                let connection = self.connections[index].take();
                let is_answered =
                    connection.is_some_and(|connection| connection.received == EXCHANGE_LEN);
                self.tally.closed += u64::from(is_answered);
                self.free.push(index);
            }
        }
    }

    /// Checks a whole request and sends it back.
    fn answer(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let request = &connection.request;
        let claimed = Message::claimed_by(request).expect("no message is shorter than that");
        match self.expected.get_mut(index_of(u64::from(claimed.connection))) {
            Some(expected) => {
                let message = Message { sequence: *expected, ..claimed };
                self.tally.bytes_wrong += message.wrong_bytes(0, request) as u64;
                *expected = expected.wrapping_add(1);
            }
            None => self.tally.bytes_wrong += EXCHANGE_LEN as u64,
        }
        // The first message of a connection always fits its queue.
        let sent = send(connection.stream.as_raw_fd(), request, MsgFlags::MSG_NOSIGNAL);
        if sent == Ok(EXCHANGE_LEN) {
            self.tally.answered += 1;
        }
    }
}

impl Connection {
    /// Takes what is here of the request, or of what should not be.
    fn receive(&mut self) -> Step {
        let fd = self.stream.as_raw_fd();
        if self.received == EXCHANGE_LEN {
            let mut surplus = [0; 1];
            return match recv(fd, &mut surplus, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => Step::Waiting,
                Ok(_) | Err(_) => Step::Ended,
            };
        }
        match recv(fd, &mut self.request[self.received..], MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Step::Ended,
            Ok(len) => {
                self.received += len;
                if self.received == EXCHANGE_LEN { Step::Whole } else { Step::Waiting }
            }
            Err(Errno::EAGAIN) => Step::Waiting,
            Err(_) => Step::Ended,
        }
    }
}

/// One port for all: the first address chooses, and where another has it taken it chooses again.
fn listen_on_all(addresses: &[Ipv4Addr]) -> Result<Vec<TcpListener>, Error> {
    let mut last = None;
    for _attempt in 0..PORT_ATTEMPTS {
        let mut port = 0;
        let mut listeners = Vec::new();
        for &address in addresses {
            match TcpListener::bind((address, port)) {
                Ok(listener) => {
                    port = port_of(&listener)?;
                    prepare(&listener)?;
                    listeners.push(listener);
                }
                Err(error) => {
                    last = Some(error);
                    break;
                }
            }
        }
        if listeners.len() == addresses.len() {
            return Ok(listeners);
        }
    }
    let error = last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into());
    Err(Error::io("listen on all addresses")(error))
}

fn prepare(listener: &TcpListener) -> Result<(), Error> {
    // The standard library asks for a queue of 128, and a connect that finds it full waits a
    // second; listening again only changes the length.
    Backlog::new(BACKLOG)
        .and_then(|backlog| listen(listener, backlog))
        .map_err(Error::errno("lengthen the listener's queue"))?;
    setsockopt(listener, sockopt::TcpNoDelay, &true).map_err(Error::errno("set TCP_NODELAY"))?;
    listener.set_nonblocking(true).map_err(Error::io("listen without blocking"))
}

fn port_of(listener: &TcpListener) -> Result<u16, Error> {
    let address = listener.local_addr().map_err(Error::io("ask for the listener's address"))?;
    Ok(address.port())
}

fn index_of(token: u64) -> usize {
    usize::try_from(token).expect("we gave it from a usize")
}
