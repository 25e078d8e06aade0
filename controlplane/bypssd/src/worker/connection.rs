//! The connections of a worker: a slab whose indices the service knows them by.

use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConnection;

use super::census::Census;
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

/// Whom connections are counted for: an address of IPv4, or a /64 of IPv6, which one host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(u128);

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(u128::from(address.to_bits())),
            IpAddr::V6(address) => Self(address.to_bits() >> 64 << 64),
        }
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) tls: Option<Box<ServerConnection>>,
    pub(super) source: Source,
    pub(super) is_loopback: bool,
    pub(super) state: State,
    /// The beginning of a frame whose rest has not come, or frames that the service did not take.
    pub(super) partial: Vec<u8>,
    /// Bytes of frames that the service keeps until some of the answers have left.
    pub(super) kept: usize,
    /// Bytes of a half frame that came since its deadline was looked at last; as many as there can be
    /// where a frame was whole meanwhile.
    pub(super) progress: usize,
    /// It is in the list of those whose half frames have a deadline.
    pub(super) is_timed: bool,
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
        let address = stream.peer_addr()?.ip().to_canonical();
        let (source, is_loopback) = (Source::of(address), address.is_loopback());
        let state = if tls.is_some() { State::Handshaking } else { State::Open };
        Ok(Self {
            stream,
            tls,
            source,
            is_loopback,
            state,
            partial: Vec::new(),
            kept: 0,
            progress: 0,
            is_timed: false,
            is_readable: false,
            is_writable: true,
            is_hung_up: false,
            is_queued: false,
            is_sending: false,
            is_blocked: false,
        })
    }

    /// Bytes of frames that take memory before the service has done them.
    pub(super) fn held_len(&self) -> usize {
        self.partial.len() + self.kept
    }

    /// Whether it is not read before some of its answers have left.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_blocked || self.kept > 0
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
    census: Census,
    /// The worker's number in it.
    worker: usize,
}

impl Connections {
    /// Those of a worker, which are counted with all others.
    pub(super) fn new(census: Census, worker: usize) -> Self {
        Self { places: Vec::new(), free: Vec::new(), count: 0, census, worker }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Puts one in that the census has let in.
    pub(super) fn add(&mut self, connection: Connection) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("the census bounds them")
        });
        self.count += 1;
        let place = &mut self.places[index as usize];
        place.connection = Some(connection);
        Key { index, generation: place.generation }
    }

    /// Takes it out.
    pub(super) fn remove(&mut self, index: u32) -> Option<Connection> {
        let place = self.places.get_mut(index as usize)?;
        let connection = place.connection.take()?;
        place.generation = place.generation.wrapping_add(1) & GENERATION_MASK;
        self.count -= 1;
        self.census.leave(connection.source, self.worker);
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

    /// All of them, with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Connection)> {
        let each = (0..).zip(&self.places);
        each.filter_map(|(index, place)| Some((index, place.connection.as_ref()?)))
    }

    /// What the one at `index` is told apart from earlier ones by.
    pub(super) fn key(&self, index: u32) -> Key {
        Key { index, generation: self.places[index as usize].generation }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::census::Census;
    use super::{Connection, Connections, Key, Source};

    fn connection(listener: &TcpListener) -> Connection {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Connection::new(stream, None).unwrap()
    }

    #[test]
    fn a_source_is_an_address_or_what_one_host_has_of_them() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
    }

    #[test]
    fn a_place_is_used_again_and_its_old_key_finds_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let census = Census::new(1, 2, 2);
        let mut connections = Connections::new(census.clone(), 0);
        let add = |connections: &mut Connections| {
            let connection = connection(&listener);
            census.enter(connection.source).map(|_worker| connections.add(connection))
        };
        let first = add(&mut connections).unwrap();
        let second = add(&mut connections).unwrap();
        assert!(add(&mut connections).is_err());
        assert_eq!(Key::of_token(second.token()), second);
        assert!(connections.remove(first.index).is_some());
        assert!(connections.remove(first.index).is_none());
        let third = add(&mut connections).unwrap();
        assert_eq!(third.index, first.index);
        assert!(connections.find(first).is_none() && connections.find(third).is_some());
        assert_eq!(connections.count(), 2);
        assert!([0, 1].iter().all(|index| connections.remove(*index).is_some()));
        assert!(add(&mut connections).is_ok());
    }
}
