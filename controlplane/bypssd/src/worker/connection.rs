//! The connections of a worker: a slab whose indices the service knows them by.

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConnection;

use crate::limits::{KEEP_ALIVE_IDLE_S, KEEP_ALIVE_INTERVAL_S, KEEP_ALIVE_PROBES, USER_TIMEOUT_MS};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// TLS is being agreed on; the service does not know of it.
    Handshaking,
    /// The service has it.
    Open,
    /// The service has it; it is to end once what there is was sent.
    Ending,
    /// The service does not know of it any more: what still comes in is thrown away, so many bytes.
    Lingering { thrown_away: usize },
}

/// One of them.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) tls: Option<Box<ServerConnection>>,
    pub(super) is_loopback: bool,
    pub(super) state: State,
    /// The beginning of a frame whose rest has not come, or frames that the service did not take.
    pub(super) partial: Vec<u8>,
    /// The kernel may have something to read.
    pub(super) is_readable: bool,
    /// The kernel may take something.
    pub(super) is_writable: bool,
    /// The other end has closed its direction: the end is there to be read.
    pub(super) is_hung_up: bool,
    /// It is in the list of those to be read.
    pub(super) is_queued: bool,
    /// It is in the list of those to be sent to.
    pub(super) is_sending: bool,
    /// The service did not take a whole frame: it has too many answers to send.
    pub(super) is_blocked: bool,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Connection {
    /// A connection that was just taken, with or without TLS.
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<Box<ServerConnection>>,
    ) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        setsockopt(&stream, sockopt::KeepAlive, &true)?;
        setsockopt(&stream, sockopt::TcpKeepIdle, &KEEP_ALIVE_IDLE_S)?;
        setsockopt(&stream, sockopt::TcpKeepInterval, &KEEP_ALIVE_INTERVAL_S)?;
        setsockopt(&stream, sockopt::TcpKeepCount, &KEEP_ALIVE_PROBES)?;
        setsockopt(&stream, sockopt::TcpUserTimeout, &USER_TIMEOUT_MS)?;
        let is_loopback = stream.peer_addr()?.ip().to_canonical().is_loopback();
        let state = if tls.is_some() { State::Handshaking } else { State::Open };
        Ok(Self {
            stream,
            tls,
            is_loopback,
            state,
            partial: Vec::new(),
            is_readable: false,
            is_writable: true,
            is_hung_up: false,
            is_queued: false,
            is_sending: false,
            is_blocked: false,
        })
    }

    /// Whether the service knows of it.
    pub(super) fn is_served(&self) -> bool {
        matches!(self.state, State::Open | State::Ending)
    }
}

/// A place of the slab.
#[derive(Debug, Default)]
struct Place {
    connection: Option<Connection>,
    /// How many connections were here.
    generation: u32,
}

/// A connection at a place, distinguished from those that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Generations have 31 bits, so that the top bit of a token is free for what is no connection.
const GENERATION_MASK: u32 = u32::MAX >> 1;

impl Key {
    /// The number that the kernel tells with an event.
    pub(super) fn token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key in such a number.
    pub(super) fn of_token(token: u64) -> Self {
        let [high, low] = [token >> 32, token & u64::from(u32::MAX)];
        let part = |part| u32::try_from(part).expect("32 bits");
        Self { index: part(low), generation: part(high) }
    }
}

/// See the file's first words.
#[derive(Debug)]
pub(super) struct Connections {
    places: Vec<Place>,
    free: Vec<u32>,
    count: u32,
    max: u32,
}

impl Connections {
    /// Room for so many.
    pub(super) fn new(max: u32) -> Self {
        Self { places: Vec::new(), free: Vec::new(), count: 0, max }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether there is no room for another.
    pub(super) fn is_full(&self) -> bool {
        self.count == self.max
    }

    /// Puts one in, if there is room.
    pub(super) fn add(&mut self, connection: Connection) -> Option<Key> {
        if self.is_full() {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("bounded by `max`")
        });
        self.count += 1;
        let place = &mut self.places[index as usize];
        place.connection = Some(connection);
        Some(Key { index, generation: place.generation })
    }

    /// Takes it out.
    pub(super) fn remove(&mut self, index: u32) -> Option<Connection> {
        let place = self.places.get_mut(index as usize)?;
        let connection = place.connection.take()?;
        place.generation = place.generation.wrapping_add(1) & GENERATION_MASK;
        self.count -= 1;
        self.free.push(index);
        Some(connection)
    }

    /// The one at `index`, if there is one.
    pub(super) fn at(&mut self, index: u32) -> Option<&mut Connection> {
        self.places.get_mut(index as usize)?.connection.as_mut()
    }

    /// The same, if it is still that one.
    pub(super) fn find(&mut self, key: Key) -> Option<&mut Connection> {
        let place = self.places.get_mut(key.index as usize)?;
        place.connection.as_mut().filter(|_connection| place.generation == key.generation)
    }

    /// What the one at `index` is told apart from earlier ones by.
    pub(super) fn key(&self, index: u32) -> Key {
        Key { index, generation: self.places[index as usize].generation }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::{Connection, Connections, Key};

    fn connection(listener: &TcpListener) -> Connection {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Connection::new(stream, None).unwrap()
    }

    #[test]
    fn a_place_is_used_again_and_its_old_key_finds_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connections = Connections::new(2);
        let first = connections.add(connection(&listener)).unwrap();
        let second = connections.add(connection(&listener)).unwrap();
        assert!(connections.add(connection(&listener)).is_none() && connections.is_full());
        assert_eq!(Key::of_token(second.token()), second);
        assert!(connections.remove(first.index).is_some());
        assert!(connections.remove(first.index).is_none());
        let third = connections.add(connection(&listener)).unwrap();
        assert_eq!(third.index, first.index);
        assert!(connections.find(first).is_none() && connections.find(third).is_some());
        assert_eq!(connections.count(), 2);
    }
}
