//! The connections of the switch, and which of them have something to send.

use std::collections::VecDeque;

use protocol::{Limits, Nonce, Role, SessionId};

use crate::access::Peer;
use crate::limits::NIL;
use crate::outbox::{Outbox, Pushed, Spares};
use crate::sessions::SessionRef;

/// A connection, by a number that the daemon chooses and may use again once it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none of that number.
    Closed,
    /// It was greeted and has not said who it is.
    Greeted,
    /// It was let in.
    Open,
    /// It ends when what waits for it has left.
    Closing,
}

/// What a connection watches.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// The number of the request.
    pub(crate) id: u32,
    pub(crate) prefix: Vec<u8>,
    /// Events did not fit, and it has not been told.
    pub(crate) is_missing: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) phase: Phase,
    pub(crate) peer: Peer,
    pub(crate) nonce: Nonce,
    pub(crate) limits: Limits,
    /// From here on what `HELLO` said, once it is open.
    pub(crate) role: Role,
    /// The entry of the list by which it came in.
    pub(crate) access: u32,
    pub(crate) node: u32,
    pub(crate) session_id: SessionId,
    /// Its place in the session's pool.
    pub(crate) index: u16,
    pub(crate) generation: u64,
    pub(crate) address: String,
    /// The session as it was found last.
    pub(crate) session: Option<SessionRef>,
    pub(crate) queue_len_max: u32,
    pub(crate) watch: Option<Box<Watch>>,
    pub(crate) outbox: Outbox,
    is_dirty: bool,
}

impl Connection {
    fn closed() -> Self {
        Self {
            phase: Phase::Closed,
            peer: Peer::default(),
            nonce: Nonce::default(),
            limits: Limits::BEFORE_WELCOME,
            role: Role::Node,
            access: 0,
            node: NIL,
            session_id: SessionId::NONE,
            index: 0,
            generation: 0,
            address: String::new(),
            session: None,
            queue_len_max: 0,
            watch: None,
            outbox: Outbox::new(Limits::BEFORE_WELCOME),
            is_dirty: false,
        }
    }
}

/// See the file's first words.
#[derive(Debug)]
pub(crate) struct Connections {
    connections: Vec<Connection>,
    connections_max: u32,
    dirty: VecDeque<ConnId>,
    spares: Spares,
    count: u32,
}

impl Connections {
    pub(crate) fn new(connections_max: u32) -> Self {
        Self {
            connections: Vec::new(),
            connections_max,
            dirty: VecDeque::new(),
            spares: Spares::default(),
            count: 0,
        }
    }

    /// Begins a connection, whose frames will have these limits once it is open.
    pub(crate) fn open(&mut self, conn: ConnId, peer: Peer, nonce: Nonce, limits: Limits) {
        let ConnId(index) = conn;
        assert!(index < self.connections_max, "{conn:?}: there are {}", self.connections_max);
        while self.connections.len() <= index as usize {
            self.connections.push(Connection::closed());
        }
        let connection = &mut self.connections[index as usize];
        assert!(connection.phase == Phase::Closed, "{conn:?} is {:?}", connection.phase);
        let is_dirty = connection.is_dirty;
        *connection = Connection {
            phase: Phase::Greeted,
            peer,
            nonce,
            outbox: Outbox::new(limits),
            is_dirty,
            ..Connection::closed()
        };
        self.count += 1;
    }

    /// Ends a connection and gives what it was.
    pub(crate) fn close(&mut self, conn: ConnId) -> Connection {
        let connection = &mut self.connections[conn.0 as usize];
        assert!(connection.phase != Phase::Closed, "{conn:?} is closed twice");
        connection.outbox.clear(&mut self.spares);
        // It may stand in the list of the dirty, and is passed over there.
        let is_dirty = connection.is_dirty;
        self.count -= 1;
        std::mem::replace(connection, Connection { is_dirty, ..Connection::closed() })
    }

    /// Connections that are there.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Numbers of connections lie below it.
    pub(crate) fn end(&self) -> u32 {
        u32::try_from(self.connections.len()).expect("bounded by a u32")
    }

    #[inline]
    pub(crate) fn at(&self, conn: ConnId) -> &Connection {
        &self.connections[conn.0 as usize]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, conn: ConnId) -> &mut Connection {
        &mut self.connections[conn.0 as usize]
    }

    /// Appends an answer.
    #[inline]
    pub(crate) fn answer(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        self.connections[conn.0 as usize].outbox.answer(&mut self.spares, write);
        self.touch(conn);
    }

    /// Appends a push.
    #[inline]
    pub(crate) fn push(&mut self, conn: ConnId, pushed: Pushed<'_>) {
        self.connections[conn.0 as usize].outbox.push(&mut self.spares, pushed);
        self.touch(conn);
    }

    /// Bytes of it have left.
    pub(crate) fn handle_sent(&mut self, conn: ConnId, len: usize) {
        self.connections[conn.0 as usize].outbox.handle_sent(len, &mut self.spares);
    }

    /// Drops what waits for it, if anything does: it can be closed now.
    pub(crate) fn forget_outgoing(&mut self, conn: ConnId) -> bool {
        let outbox = &mut self.connections[conn.0 as usize].outbox;
        let has_lost = !outbox.is_empty();
        outbox.clear(&mut self.spares);
        self.touch(conn);
        has_lost
    }

    /// It has something to send, or is to be closed.
    #[inline]
    pub(crate) fn touch(&mut self, conn: ConnId) {
        let connection = &mut self.connections[conn.0 as usize];
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push_back(conn);
        }
    }

    /// The next connection that was touched since it was given the last time.
    pub(crate) fn next_dirty(&mut self) -> Option<ConnId> {
        loop {
            let conn = self.dirty.pop_front()?;
            let connection = &mut self.connections[conn.0 as usize];
            connection.is_dirty = false;
            if connection.phase != Phase::Closed {
                connection.outbox.turn(&mut self.spares);
                return Some(conn);
            }
        }
    }
}
