//! The asking end of the kernel peer: one request outstanding per connection, every answer checked.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};

use super::CONNECTION_FLAGS;
use crate::error::Error;
use crate::limits::{DRAIN_MS_MAX, EPOLL_EVENTS_MAX};
use crate::pattern::Message;
use crate::recorder::{Phase, Recorder, Stamp};
use crate::sockets::wait;
use crate::stop::Stop;

/// What the client counted beside the recorder's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientTally {
    /// Whole requests that left.
    pub(super) messages: u64,
    /// Bytes that did not come back, or not as they were sent, or that nobody sent.
    pub(super) bytes_lost: u64,
    /// Connections that ended before their time or never answered.
    pub(super) connections_lost: u32,
}

/// All connections of the client, driven by [`Client::turn`].
#[derive(Debug)]
pub(super) struct Client {
    epoll: Epoll,
    events: Vec<EpollEvent>,
    timeout: EpollTimeout,
    connections: Vec<Connection>,
    outstanding: usize,
    /// Connections whose answers came in this turn, and which ask again at its end.
    ready: Vec<usize>,
    /// Once the round is over: when it was, or when the last answer after that came.
    drained: Option<Instant>,
    scratch: Scratch,
    recorder: Recorder,
    tally: ClientTally,
}

#[derive(Debug)]
struct Connection {
    /// Nothing once the connection is lost.
    stream: Option<TcpStream>,
    /// The request outstanding, or the one to ask next.
    message: Message,
    sent: usize,
    received: usize,
    /// While an answer is awaited.
    is_outstanding: bool,
    stamp: Stamp,
}

/// Shared by all connections, so that it stays in the first-level cache.
#[derive(Debug)]
struct Scratch {
    request: Vec<u8>,
    /// One byte longer than a message, so that a byte too many is seen.
    answer: Vec<u8>,
}

/// How a step of one connection ended.
enum Step {
    Waiting,
    Completed,
    Lost,
}

impl Client {
    /// Opens `connections` connections to `address`, numbered from 0.
    pub(super) fn connect(
        address: SocketAddr,
        connections: u32,
        size: usize,
        timeout: EpollTimeout,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno("make an epoll"))?;
        let mut opened = Vec::with_capacity(usize::try_from(connections).expect("fits"));
        for number in 0..connections {
            let stream = open(address)?;
            epoll
                .add(&stream, EpollEvent::new(CONNECTION_FLAGS, u64::from(number)))
                .map_err(Error::errno("watch a connection"))?;
            opened.push(Connection {
                stream: Some(stream),
                message: Message { connection: number, sequence: 0 },
                sent: 0,
                received: 0,
                is_outstanding: false,
                stamp: Stamp::default(),
            });
            stop.check()?;
        }
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); EPOLL_EVENTS_MAX],
            timeout,
            connections: opened,
            outstanding: 0,
            ready: Vec::with_capacity(EPOLL_EVENTS_MAX),
            drained: None,
            scratch: Scratch { request: vec![0; size], answer: vec![0; size + 1] },
            recorder: Recorder::new(Duration::ZERO),
            tally: ClientTally::default(),
        })
    }

    /// Sends the first request of every connection; the round lasts `length` from now.
    pub(super) fn start(&mut self, length: Duration) {
        self.recorder = Recorder::new(length);
        for index in 0..self.connections.len() {
            self.outstanding += 1;
            self.begin(index);
        }
    }

    /// Takes all answers that are here, then asks again on all their connections. False once the
    /// round is over and all that was asked is answered or given up.
    pub(super) fn turn(&mut self) -> Result<bool, Error> {
        let phase = self.recorder.on_turn();
        let count = wait(&self.epoll, &mut self.events, self.timeout)?;
        self.ready.clear();
        for index in 0..count {
            let token = self.events[index].data();
            self.receive(usize::try_from(token).expect("we gave it from a u32"));
        }
        for slot in 0..self.ready.len() {
            self.begin(self.ready[slot]);
        }
        if phase != Phase::Over {
            return Ok(true);
        }
        let drained = *self.drained.get_or_insert_with(Instant::now);
        if drained.elapsed() > Duration::from_millis(DRAIN_MS_MAX) {
            self.give_up();
        }
        Ok(self.outstanding > 0)
    }

    /// Looks a last time at every connection for bytes that nobody sent, while the server still
    /// holds its ends open.
    pub(super) fn look_for_surplus(&mut self) {
        for connection in &mut self.connections {
            let Some(stream) = &mut connection.stream else {
                continue;
            };
            match stream.read(&mut self.scratch.answer) {
                Ok(0) => self.tally.connections_lost += 1,
                Ok(surplus) => self.tally.bytes_lost += surplus as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.tally.connections_lost += 1,
            }
        }
    }

    /// Resets all connections and gives what was counted.
    pub(super) fn close(self) -> (Recorder, ClientTally) {
        (self.recorder, self.tally)
    }

    /// Goes on with one connection, on which something happened.
    fn receive(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        match connection.on_ready(&mut self.scratch, &mut self.tally) {
            Step::Waiting => return,
            Step::Lost => return self.lose(index),
            Step::Completed => {}
        }
        self.recorder.on_completed(connection.stamp);
        connection.message.sequence = connection.message.sequence.wrapping_add(1);
        if self.recorder.phase() != Phase::Over {
            self.ready.push(index);
            return;
        }
        connection.is_outstanding = false;
        self.outstanding -= 1;
        self.drained = Some(Instant::now());
    }

    /// Asks the next request of a connection that is counted as outstanding.
    fn begin(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let Message { connection: number, sequence } = connection.message;
        connection.stamp = self.recorder.stamp(number, sequence);
        self.tally.messages += 1;
        if !connection.ask(&mut self.scratch) {
            self.lose(index);
        }
    }

    fn lose(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if connection.is_outstanding {
            let missing = self.scratch.request.len() - connection.received;
            self.tally.bytes_lost += missing as u64;
            self.outstanding -= 1;
        }
        self.tally.connections_lost += 1;
        connection.is_outstanding = false;
        connection.stream = None;
    }

    #[cold]
    fn give_up(&mut self) {
        for index in 0..self.connections.len() {
            if self.connections[index].is_outstanding {
                self.lose(index);
            }
        }
    }
}

fn open(address: SocketAddr) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect(address).map_err(Error::io("connect"))?;
    stream.set_nodelay(true).map_err(Error::io("set TCP_NODELAY"))?;
    stream.set_nonblocking(true).map_err(Error::io("connect without blocking"))?;
    // Closing will reset: nothing stays in TIME-WAIT to disturb the next round.
    let reset = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &reset).map_err(Error::errno("set SO_LINGER"))?;
    Ok(stream)
}

impl Connection {
    /// Begins the next request; false if the connection is broken.
    fn ask(&mut self, scratch: &mut Scratch) -> bool {
        self.is_outstanding = true;
        self.sent = 0;
        self.received = 0;
        self.send(scratch)
    }

    /// Sends what is left of the request; false if the connection is broken.
    fn send(&mut self, scratch: &mut Scratch) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        self.message.write(&mut scratch.request);
        match stream.write(&scratch.request[self.sent..]) {
            Ok(sent) => self.sent += sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        true
    }

    fn on_ready(&mut self, scratch: &mut Scratch, tally: &mut ClientTally) -> Step {
        let size = scratch.request.len();
        let is_request_unsent = self.is_outstanding && self.sent < size;
        if is_request_unsent && !self.send(scratch) {
            return Step::Lost;
        }
        let Some(stream) = &mut self.stream else {
            return Step::Waiting;
        };
        let received = match stream.read(&mut scratch.answer[self.received..]) {
            Ok(0) => return Step::Lost,
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Waiting,
            Err(_) => return Step::Lost,
        };
        let asked = if self.is_outstanding { size } else { self.received };
        let surplus = (self.received + received).saturating_sub(asked);
        if surplus > 0 {
            tally.bytes_lost += surplus as u64;
            return Step::Lost;
        }
        let answer = &scratch.answer[self.received..][..received];
        tally.bytes_lost += self.message.wrong_bytes(self.received, answer) as u64;
        self.received += received;
        if self.received < size { Step::Waiting } else { Step::Completed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rr::kernel::server::Server;

    #[test]
    fn request_that_does_not_fit_is_sent_in_parts() {
        const SIZE: usize = 65_536;
        let mut server = Server::listen(std::net::Ipv4Addr::LOCALHOST, 1, SIZE, EpollTimeout::ZERO)
            .expect("ports are free");
        let address = server.address().expect("it is bound");
        let mut client = Client::connect(address, 1, SIZE, EpollTimeout::ZERO, &Stop::default())
            .expect("it listens");
        let stream = client.connections[0].stream.as_ref().expect("it lives");
        setsockopt(stream, sockopt::SndBuf, &1).expect("the least is taken");
        client.start(Duration::from_millis(20));
        let mut parts = 0;
        while client.turn().expect("epoll works") {
            parts += u32::from(client.connections[0].sent < SIZE);
            server.turn().expect("epoll works");
        }
        let (_, tally) = client.close();
        assert_eq!((tally.bytes_lost, tally.connections_lost), (0, 0));
        assert_eq!(server.tally().bytes_wrong, 0);
        assert!(parts > 0 && tally.messages > 0, "{parts} parts");
    }
}
