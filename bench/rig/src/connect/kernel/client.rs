//! The connecting end: opens in every free slot, sends, checks the answer, closes.

use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, connect, recv, send, socket,
};

use crate::connect::EXCHANGE_LEN;
use crate::error::Error;
use crate::limits::{DRAIN_MS_MAX, EPOLL_EVENTS_MAX};
use crate::pattern::Message;
use crate::recorder::{Phase, Recorder, Stamp};
use crate::sockets::wait;

/// What the client counted beside the recorder's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientTally {
    pub(super) opened: u64,
    /// Connections whose answer came whole.
    pub(super) exchanged: u64,
    /// Bytes that did not come back, or not as they were sent.
    pub(super) bytes_lost: u64,
    /// Connections that broke, or never answered.
    pub(super) connections_lost: u64,
}

/// All slots of the client, driven by [`Client::turn`].
#[derive(Debug)]
pub(super) struct Client {
    epoll: Epoll,
    events: Vec<EpollEvent>,
    timeout: EpollTimeout,
    servers: Vec<SockaddrIn>,
    server_next: usize,
    slots: Vec<Slot>,
    /// Slots without a connection, which open one at the end of the turn.
    ready: Vec<usize>,
    over_since: Option<Instant>,
    recorder: Recorder,
    tally: ClientTally,
}

#[derive(Debug)]
struct Slot {
    socket: Option<OwnedFd>,
    message: Message,
    is_sent: bool,
    answer: [u8; EXCHANGE_LEN],
    received: usize,
    stamp: Stamp,
}

/// How a step of one connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Waiting,
    Completed,
    Lost,
}

impl Client {
    /// A client that keeps `slots` connections open to `servers` for a round of `length`, from
    /// now on.
    pub(super) fn new(
        servers: Vec<SocketAddrV4>,
        slots: u32,
        length: Duration,
        timeout: EpollTimeout,
    ) -> Result<Self, Error> {
        let epoll =
            Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(Error::errno("make an epoll"))?;
        let slot = |number| Slot {
            socket: None,
            message: Message { connection: number, sequence: 0 },
            is_sent: false,
            answer: [0; EXCHANGE_LEN],
            received: 0,
            stamp: Stamp::default(),
        };
        let slots: Vec<Slot> = (0..slots).map(slot).collect();
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); EPOLL_EVENTS_MAX],
            timeout,
            servers: servers.into_iter().map(SockaddrIn::from).collect(),
            server_next: 0,
            ready: (0..slots.len()).collect(),
            slots,
            over_since: None,
            recorder: Recorder::new(length),
            tally: ClientTally::default(),
        })
    }

    /// Takes all answers that are here, closes, and opens anew. False once the round is over and
    /// all that was asked is answered or given up.
    pub(super) fn turn(&mut self) -> Result<bool, Error> {
        let phase = self.recorder.on_turn();
        if phase != Phase::Over {
            while let Some(index) = self.ready.pop() {
                self.open(index)?;
            }
        }
        let count = wait(&self.epoll, &mut self.events, self.timeout)?;
        for event in 0..count {
            let token = self.events[event].data();
            let index = usize::try_from(token).expect("we gave it from a usize");
            self.go_on(index);
        }
        if phase != Phase::Over {
            return Ok(true);
        }
        let over_since = *self.over_since.get_or_insert_with(Instant::now);
        if over_since.elapsed() > Duration::from_millis(DRAIN_MS_MAX) {
            self.give_up();
        }
        Ok(self.ready.len() < self.slots.len())
    }

    /// What was counted.
    pub(super) fn finish(self) -> (Recorder, ClientTally) {
        (self.recorder, self.tally)
    }

    fn open(&mut self, index: usize) -> Result<(), Error> {
        let server = self.servers[self.server_next];
        self.server_next = (self.server_next + 1) % self.servers.len();
        let slot = &mut self.slots[index];
        let Message { connection, sequence } = slot.message;
        slot.stamp = self.recorder.stamp(connection, sequence);
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)
            .map_err(Error::errno("make a socket"))?;
        match connect(socket.as_raw_fd(), &server) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(Error::errno("connect")(errno)),
        }
        self.tally.opened += 1;
        slot.received = 0;
        slot.is_sent = false;
        let step = slot.send(&socket);
        // Where the request is out already, room to send is no news.
        let wanted = if slot.is_sent { EpollFlags::empty() } else { EpollFlags::EPOLLOUT };
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET | wanted;
        self.epoll
            .add(&socket, EpollEvent::new(flags, index as u64))
            .map_err(Error::errno("watch a connection"))?;
        slot.socket = Some(socket);
        if step == Step::Lost {
            self.lose(index);
        }
        Ok(())
    }

    /// Goes on with one connection, on which something happened.
    fn go_on(&mut self, index: usize) {
        match self.slots[index].on_ready(&mut self.tally) {
            Step::Waiting => {}
            Step::Lost => self.lose(index),
            Step::Completed => {
                let slot = &mut self.slots[index];
                slot.socket = None;
                slot.message.sequence = slot.message.sequence.wrapping_add(1);
                self.tally.exchanged += 1;
                self.recorder.on_completed(slot.stamp);
                self.ready.push(index);
            }
        }
    }

    fn lose(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.socket = None;
        self.tally.bytes_lost += (EXCHANGE_LEN - slot.received) as u64;
        self.tally.connections_lost += 1;
        self.ready.push(index);
    }

    #[cold]
    fn give_up(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].socket.is_some() {
                self.lose(index);
            }
        }
    }
}

impl Slot {
    /// Sends the request if the connection is open by now; it always fits an empty queue.
    fn send(&mut self, socket: &OwnedFd) -> Step {
        let mut request = [0; EXCHANGE_LEN];
        self.message.write(&mut request);
        match send(socket.as_raw_fd(), &request, MsgFlags::MSG_NOSIGNAL) {
            Ok(EXCHANGE_LEN) => {
                self.is_sent = true;
                Step::Waiting
            }
            Err(Errno::EAGAIN) => Step::Waiting,
            Ok(_) | Err(_) => Step::Lost,
        }
    }

    fn on_ready(&mut self, tally: &mut ClientTally) -> Step {
        let Some(socket) = self.socket.take() else {
            return Step::Waiting;
        };
        let step = if self.is_sent { Step::Waiting } else { self.send(&socket) };
        let step =
            if step == Step::Lost || !self.is_sent { step } else { self.receive(&socket, tally) };
        self.socket = Some(socket);
        step
    }

    fn receive(&mut self, socket: &OwnedFd, tally: &mut ClientTally) -> Step {
        let answer = &mut self.answer[self.received..];
        let len = match recv(socket.as_raw_fd(), answer, MsgFlags::empty()) {
            Ok(0) => return Step::Lost,
            Ok(len) => len,
            Err(Errno::EAGAIN) => return Step::Waiting,
            Err(_) => return Step::Lost,
        };
        tally.bytes_lost += self.message.wrong_bytes(self.received, &answer[..len]) as u64;
        self.received += len;
        if self.received == EXCHANGE_LEN { Step::Completed } else { Step::Waiting }
    }
}
