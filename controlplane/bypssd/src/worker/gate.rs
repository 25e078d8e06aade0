//! Where connections come in: the listening sockets, and who is not let in for want of room.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use base::Instant;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{Backlog, listen};
use rustls::ServerConfig;

use crate::config::Listener;
use crate::error::Error;
use crate::limits::{ACCEPT_PAUSE, BACKLOG};

/// A token with this bit is no connection.
pub(super) const NO_CONNECTION: u64 = 1 << 63;

/// One socket.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    /// Whether it speaks TLS.
    is_tls: bool,
}

impl Door {
    /// Listens.
    pub(crate) fn open(listener: Listener) -> Result<Self, Error> {
        let Listener { address, is_tls } = listener;
        let failed = |source: io::Error| Error::Listen { address, right: mend(&source), source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        // The standard library asks for 128, which a hundred nodes that come back at once fill.
        let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
        listen(&listener, backlog).map_err(|errno| failed(errno.into()))?;
        Ok(Self { listener, is_tls })
    }

    /// Where, with the port that the kernel chose if it was to.
    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(Error::io("ask for the address of a socket"))
    }
}

fn mend(error: &io::Error) -> &'static str {
    let is = |kind| error.kind() == kind;
    if is(io::ErrorKind::AddrInUse) {
        "end who has it (`ss -ltnp`), or choose another port"
    } else if is(io::ErrorKind::AddrNotAvailable) {
        "use an address of this machine (`ip address`)"
    } else if is(io::ErrorKind::PermissionDenied) {
        "use a port above 1023, or allow it with CAP_NET_BIND_SERVICE"
    } else {
        "choose another address"
    }
}

/// Who has come.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) tls: Option<Arc<ServerConfig>>,
}

/// Why nobody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// Nobody waits.
    Empty,
    /// The one who came is gone again.
    Gone,
    /// There is no descriptor or no memory for one.
    Resource,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Gate {
    doors: Vec<Door>,
    tls: Option<Arc<ServerConfig>>,
    /// When those who come are taken again.
    closed_until: Option<Instant>,
}

fn token(index: usize) -> u64 {
    NO_CONNECTION | index as u64
}

impl Gate {
    /// Doors whose events come with tokens that have [`NO_CONNECTION`].
    pub(super) fn new(
        doors: Vec<Door>,
        tls: Option<Arc<ServerConfig>>,
        epoll: &Epoll,
    ) -> Result<Self, Error> {
        for (index, door) in doors.iter().enumerate() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, token(index));
            epoll.add(&door.listener, event).map_err(Error::errno("watch a listening socket"))?;
        }
        Ok(Self { doors, tls, closed_until: None })
    }

    /// The door of a token.
    pub(super) fn door(&self, token: u64) -> Option<usize> {
        let index = usize::try_from(token & !NO_CONNECTION).ok()?;
        (index < self.doors.len()).then_some(index)
    }

    /// The next who waits at a door.
    pub(super) fn take(&self, door: usize) -> Result<Arrival, Nobody> {
        let Door { listener, is_tls } = &self.doors[door];
        match listener.accept() {
            Ok((stream, _address)) => {
                let tls = is_tls.then(|| self.tls.clone()).flatten();
                Ok(Arrival { stream, tls })
            }
            Err(error) => Err(match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN) => Nobody::Empty,
                Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                    Nobody::Resource
                }
                // Errors that were pending on the new socket are told here (accept(2)).
                _of_the_arrival => Nobody::Gone,
            }),
        }
    }

    /// Lets nobody in for a moment: without a descriptor, those who wait would be told of over and
    /// over.
    pub(super) fn pause(&mut self, epoll: &Epoll, now: Instant) {
        self.closed_until = Some(now + ACCEPT_PAUSE);
        self.watch(epoll, EpollFlags::empty());
    }

    /// Opens again after a pause; when that will be.
    pub(super) fn poll(&mut self, epoll: &Epoll, now: Instant) -> Option<Instant> {
        let until = self.closed_until?;
        if now < until {
            return Some(until);
        }
        self.closed_until = None;
        self.watch(epoll, EpollFlags::EPOLLIN);
        None
    }

    fn watch(&self, epoll: &Epoll, flags: EpollFlags) {
        for (index, door) in self.doors.iter().enumerate() {
            let mut event = EpollEvent::new(flags, token(index));
            let fd = door.listener.as_raw_fd();
            let modified = epoll.modify(&door.listener, &mut event);
            assert!(modified.is_ok(), "descriptor {fd} is open and watched: {modified:?}");
        }
    }

    /// Who else comes is another certificate's.
    pub(super) fn set_tls(&mut self, tls: Option<Arc<ServerConfig>>) {
        self.tls = tls;
    }

    /// Nobody is let in any more.
    pub(super) fn close(&mut self) {
        self.closed_until = None;
        self.doors.clear();
    }
}
