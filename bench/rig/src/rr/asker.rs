//! The asking service: one request outstanding per connection, every byte of the answers checked.

use base::Duration;
use stack::{CloseReason, Conn, Context, Data, Refuse, Service};
use wire::Address;

use crate::ends::{Asked, Asks, PORT};
use crate::limits::{DRAIN_MS_MAX, OPENING_MAX};
use crate::pattern::Message;
use crate::recorder::{Phase, Recorded, Recorder, Stamp};

#[derive(Debug)]
struct Connection {
    conn: Option<Conn>,
    /// The request outstanding, or the one to ask next.
    message: Message,
    received: usize,
    is_outstanding: bool,
    stamp: Stamp,
}

/// What the asker found.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    bytes_lost: u64,
    bytes_sent: u64,
    connections_lost: u64,
    closed: u64,
}

/// The service of the client's end.
#[derive(Debug)]
pub(crate) struct Asker {
    servers: Vec<Address>,
    connections: Vec<Connection>,
    /// Connections that are opened after these, and on which nothing is asked.
    silent: u32,
    opened: u32,
    opening: u32,
    /// Waits to be told to begin.
    rests: bool,
    asked_first: bool,
    outstanding: usize,
    request: Vec<u8>,
    round: std::time::Duration,
    recorder: Recorder,
    tally: Tally,
    over_since: Option<base::Instant>,
    is_done: bool,
}

impl Asker {
    /// Connections to all of `servers` by turns, which ask for one round as soon as all are open.
    pub(crate) fn new(
        servers: Vec<Address>,
        connections: u32,
        size: usize,
        round: std::time::Duration,
    ) -> Self {
        let connection = |number| Connection {
            conn: None,
            message: Message { connection: number, sequence: 0 },
            received: 0,
            is_outstanding: false,
            stamp: Stamp::default(),
        };
        Self {
            servers,
            connections: (0..connections).map(connection).collect(),
            silent: 0,
            opened: 0,
            opening: 0,
            rests: false,
            asked_first: false,
            outstanding: 0,
            request: vec![0; size],
            round,
            recorder: Recorder::new(std::time::Duration::ZERO),
            tally: Tally::default(),
            over_since: None,
            is_done: false,
        }
    }

    /// Opens so many more connections, which stay silent, and asks nothing before [`Self::begin`].
    pub(crate) fn among_silent(self, silent: u32) -> Self {
        Self { silent, rests: true, ..self }
    }

    /// Whether every connection is open.
    pub(crate) fn is_open(&self) -> bool {
        self.opened == self.open_max()
    }

    /// Begins a round; the one before is done.
    pub(crate) fn begin(&mut self) {
        self.rests = false;
        self.asked_first = false;
        self.over_since = None;
        self.is_done = false;
    }

    /// What the round recorded that is done. The next one waits for [`Self::begin`].
    pub(crate) fn end(&mut self) -> Recorded {
        self.rests = true;
        let recorder = Recorder::new(std::time::Duration::ZERO);
        std::mem::replace(&mut self.recorder, recorder).into_recorded()
    }

    fn open_max(&self) -> u32 {
        let asking = u32::try_from(self.connections.len());
        asking.expect("connections are counted by a u32") + self.silent
    }

    fn open_more(&mut self, cx: &mut Context<'_>) {
        while self.opening < OPENING_MAX && self.opened + self.opening < self.open_max() {
            let word = self.opened + self.opening;
            let server = self.servers[word as usize % self.servers.len()];
            if cx.connect(server, PORT, word).is_err() {
                // No room in this turn: the next one tries again.
                return;
            }
            self.opening += 1;
        }
    }

    /// Sends the next request of a connection.
    fn ask(&mut self, cx: &mut Context<'_>, index: usize) {
        let connection = &mut self.connections[index];
        let Some(conn) = connection.conn else { return };
        let message = connection.message;
        connection.stamp = self.recorder.stamp(message.connection, message.sequence);
        connection.received = 0;
        connection.is_outstanding = true;
        message.write(&mut self.request);
        let sent = cx.send(conn, &self.request).unwrap_or(0);
        self.tally.bytes_sent += sent as u64;
        if sent < self.request.len() {
            // One request always fits an empty queue: anything less is a lost request.
            self.tally.bytes_lost += (self.request.len() - sent) as u64;
        }
    }

    fn complete(&mut self, cx: &mut Context<'_>, index: usize) {
        let connection = &mut self.connections[index];
        self.recorder.on_completed(connection.stamp);
        connection.message.sequence = connection.message.sequence.wrapping_add(1);
        connection.is_outstanding = false;
        if self.recorder.phase() == Phase::Over {
            self.outstanding -= 1;
        } else {
            self.ask(cx, index);
        }
    }

    fn give_up(&mut self) {
        for connection in &mut self.connections {
            if connection.is_outstanding {
                self.tally.bytes_lost += (self.request.len() - connection.received) as u64;
                self.tally.connections_lost += 1;
            }
        }
        self.outstanding = 0;
    }
}

impl Asks for Asker {
    fn is_done(&self) -> bool {
        self.is_done
    }

    fn into_asked(self) -> Asked {
        let Tally { bytes_lost, bytes_sent, connections_lost, closed } = self.tally;
        Asked { recorder: self.recorder, bytes_lost, bytes_sent, connections_lost, closed }
    }
}

impl Service for Asker {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        let word = cx.word(conn).ok_or(Refuse)?;
        if let Some(connection) = self.connections.get_mut(word as usize) {
            connection.conn = Some(conn);
        }
        self.opening -= 1;
        self.opened += 1;
        Ok(())
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        let index = cx.word(conn).expect("the handle of a callback is live") as usize;
        let bytes = data.bytes(cx);
        let len = bytes.len();
        let Some(connection) = self.connections.get_mut(index) else {
            // Nothing was asked there.
            self.tally.bytes_lost += len as u64;
            return len;
        };
        let expected = if connection.is_outstanding { self.request.len() } else { 0 };
        let wrong = connection.message.wrong_bytes(connection.received, bytes);
        connection.received += len;
        let received = connection.received;
        self.tally.bytes_lost += wrong as u64 + received.saturating_sub(expected) as u64;
        if received == expected {
            self.complete(cx, index);
        }
        len
    }

    fn on_writable(&mut self, _cx: &mut Context<'_>, _conn: Conn) {}

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, _why: CloseReason) {
        // No connection ends before the round does.
        self.tally.connections_lost += 1;
        self.tally.closed += 1;
        let index = cx.word(conn).expect("the handle of a callback is live") as usize;
        let Some(connection) = self.connections.get_mut(index) else { return };
        if connection.is_outstanding {
            connection.is_outstanding = false;
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        connection.conn = None;
    }

    fn on_turn(&mut self, cx: &mut Context<'_>) {
        if !self.is_open() {
            self.open_more(cx);
            return;
        }
        if self.rests {
            return;
        }
        if !self.asked_first {
            self.asked_first = true;
            self.recorder = Recorder::new(self.round);
            self.outstanding = self.connections.len();
            for index in 0..self.connections.len() {
                self.ask(cx, index);
            }
        }
        if self.recorder.on_turn() != Phase::Over {
            return;
        }
        let over_since = *self.over_since.get_or_insert(cx.now());
        if cx.now().saturating_since(over_since) > Duration::from_millis(DRAIN_MS_MAX) {
            self.give_up();
        }
        self.is_done = self.outstanding == 0;
    }
}
